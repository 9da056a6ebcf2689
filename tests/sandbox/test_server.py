"""Many connections at once, and what happens after a bug."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from provisioner.model.account import Secret
from provisioner.sandbox import SandboxParent
from provisioner.sandbox.connection import Service
from provisioner.sandbox.received import Received
from provisioner.sandbox.server import HOST, Server
from tests.sandbox.calls import TIMEOUT, connected, create, create_bytes, eventually, holds, running

if TYPE_CHECKING:
    from provisioner.sandbox.request import SandboxRequest

CLIENTS = 64


def test_many_clients_are_answered_at_once() -> None:
    # One after the other, most of them would be answered too late for the client.
    parents = tuple(SandboxParent(f"parent-{number}", Secret("key"), 1) for number in range(CLIENTS))
    with running(parents=parents, latency=1.0) as sandbox, ThreadPoolExecutor(CLIENTS) as clients:
        statuses = clients.map(
            lambda parent: create(sandbox, {"api-login": parent.api_login, "api-key": "key"}).status_code, parents
        )
        assert [201] * CLIENTS == list(statuses)
        assert {each.api_login for each in parents} == {each.parent for each in sandbox.accounts}


def test_connections_that_say_nothing_keep_nobody_out() -> None:
    with running(limit=3) as sandbox:
        silent = [connected(sandbox) for _ in range(CLIENTS)]
        assert 201 == create(sandbox).status_code
        silent[-1].sendall(create_bytes())
        eventually(lambda: holds(sandbox, 2))
        for each in silent:
            each.close()
        assert 201 == create(sandbox).status_code


def test_a_stop_ends_every_connection_and_no_thread_stays() -> None:
    before = threading.active_count()
    with running(latency=60) as sandbox:
        silent, waiting = connected(sandbox), connected(sandbox)
        waiting.sendall(create_bytes())
        eventually(lambda: holds(sandbox, 1))
    assert [b"", b""] == [each.recv(1) for each in (silent, waiting)]
    for each in (silent, waiting):
        each.close()
    eventually(lambda: threading.active_count() <= before)


class Broken:
    """An API with a bug."""

    def answer(self, request: SandboxRequest) -> Any:  # noqa: ANN401  # it never answers
        raise LookupError(request.target)


def test_a_defect_is_shown_and_the_other_connections_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    service = Service(Broken(), Broken(), Received(), 0.0, threading.Event())
    server = Server(0, service)
    server.start()
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{HOST}:{server.port}/defect", timeout=TIMEOUT)
    server.stop()
    assert 2 == capfd.readouterr().err.count("LookupError: /defect")
