"""One connection: what is HTTP, what is not, and clients that vanish."""

from __future__ import annotations

import json
import socket
import struct
import time
from functools import partial

import pytest
import requests

from provisioner.sandbox import Sandbox
from tests.sandbox.calls import LEONARDO, PARENT, TIMEOUT, connected, create, create_bytes, eventually, holds, running


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


def exchanged(sandbox: Sandbox, data: bytes) -> bytes:
    """Everything that comes back until the server ends the connection."""
    with connected(sandbox) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("line", "fields"),
    [(b"HTTP/1.1", b"Connection: close\r\n"), (b"HTTP/1.0", b""), (b"HTTP/1.1", b"connection:CLOSE \r\n")],
)
def test_a_connection_ends_where_the_client_wants_it(sandbox: Sandbox, line: bytes, fields: bytes) -> None:
    answer = exchanged(sandbox, b"GET /sandbox/accounts " + line + b"\r\n" + fields + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer


def test_requests_may_follow_each_other_before_an_answer(sandbox: Sandbox) -> None:
    last = b"GET /sandbox/accounts HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert 2 == exchanged(sandbox, create_bytes() * 2 + last).count(b"HTTP/1.1 201 Created\r\n")
    assert 2 == len(sandbox.accounts)


def test_an_older_client_may_keep_its_connection(sandbox: Sandbox) -> None:
    kept = b"GET /sandbox/accounts HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    assert 2 == exchanged(sandbox, kept + kept.replace(b"Connection", b"Other")).count(b"200 OK")


def test_a_client_that_waits_for_a_word_before_its_body_gets_it(sandbox: Sandbox) -> None:
    head, blank, body = create_bytes().partition(b"\r\n\r\n")
    with connected(sandbox) as connection, connection.makefile("rb") as answers:
        connection.sendall(head + b"\r\nExpect: 100-continue" + blank)
        assert [b"HTTP/1.1 100 Continue\r\n", b"\r\n"] == [answers.readline() for _ in range(2)]
        connection.sendall(body)
        assert b"HTTP/1.1 201 Created\r\n" == answers.readline()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 2**16 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\na: " + b"a" * 2**16 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", b"431"),
        (b"PRI * HTTP/2.0\r\n\r\n", b"505"),
        (b"GET / HTTP/1.1\r\nno field\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
        (b"G\xe9T / HTTP/1.1\r\n\r\n", b"400"),
    ],
)
def test_a_head_that_is_not_http_ends_the_connection(sandbox: Sandbox, head: bytes, status: bytes) -> None:
    answer = exchanged(sandbox, head)
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert b"\r\nConnection: close\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"code", "message"}
    assert () == sandbox.requests


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_without_a_request_there_is_no_answer(sandbox: Sandbox, end: bytes) -> None:
    with connected(sandbox) as connection:
        connection.sendall(end)
        connection.shutdown(socket.SHUT_WR)
        assert b"" == connection.recv(65536)


@pytest.mark.parametrize(
    ("cut", "answer"),
    [
        (b"POST /v1", b"HTTP/1.1 400 Bad Request"),
        (b"POST /v1/public/subaccount/create HTTP/1.1\r\napi-login: x\r\n", b""),
    ],
)
def test_a_truncated_head_is_not_a_request(sandbox: Sandbox, cut: bytes, answer: bytes) -> None:
    with connected(sandbox) as connection:
        connection.sendall(cut)
        connection.shutdown(socket.SHUT_WR)
        assert answer == connection.recv(65536).partition(b"\r\n")[0]
    assert () == sandbox.requests
