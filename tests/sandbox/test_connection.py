"""One connection: what is HTTP, what is not, and clients that vanish."""

from __future__ import annotations

import json
import socket
import struct
import time
from functools import partial
from typing import TYPE_CHECKING

import requests

from provisioner.sandbox import Sandbox
from tests.sandbox.calls import LEONARDO, PARENT, TIMEOUT, connected, create, create_bytes, eventually, holds, running

if TYPE_CHECKING:
    import pytest


def test_a_body_of_unknown_length_is_refused(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/subaccount/create"
    answer = requests.post(url, data=iter([b"{}"]), headers=PARENT, timeout=TIMEOUT)
    assert answer.status_code == 411


def test_a_head_is_refused_without_a_body(sandbox: Sandbox) -> None:
    with requests.Session() as session:
        assert session.head(f"{sandbox.url}/subaccount/create", timeout=TIMEOUT).status_code == 405
        assert session.get(f"{sandbox.url}/wallet/check-balance", headers=PARENT, timeout=TIMEOUT).status_code == 200


def test_what_is_not_http_is_refused_in_json(sandbox: Sandbox) -> None:
    with connected(sandbox) as connection:
        connection.sendall(b"what is this thing\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"code", "message"}


def test_one_connection_brings_many_creates_without_a_stall() -> None:
    with running(limit=100) as sandbox, requests.Session() as session:
        started = time.monotonic()
        for _ in range(50):
            session.post(f"{sandbox.url}/subaccount/create", json=LEONARDO, headers=PARENT, timeout=TIMEOUT)
        assert time.monotonic() - started < 50 * 0.04
        assert len(sandbox.accounts) == 50


def test_one_connection_brings_many_refusals(sandbox: Sandbox) -> None:
    with connected(sandbox) as connection, connection.makefile("rb") as answers:
        for _ in range(3):
            connection.sendall(create_bytes(b"no json"))
            assert answers.readline() == b"HTTP/1.1 400 Bad Request\r\n"
            length = 0
            while (line := answers.readline()) != b"\r\n":
                length = int(line.split()[1]) if line.startswith(b"Content-Length") else length
            answers.read(length)


def test_latency_precedes_each_answer() -> None:
    with running(latency=0.1) as sandbox:
        assert create(sandbox).elapsed.total_seconds() >= 0.1


def test_clients_that_vanish_leave_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    with running("huge=8000000@1", "drip=0.001@2", "delay=0.05@3") as sandbox:
        for number in range(1, 4):
            with connected(sandbox) as connection:
                connection.sendall(create_bytes())
                eventually(partial(holds, sandbox, number))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with connected(sandbox) as connection:
            connection.sendall(create_bytes()[:-5])
        assert create(sandbox).status_code == 201
        time.sleep(0.1)
    assert capfd.readouterr() == ("", "")
