"""A network between a command and the sandbox that resets, stalls, cuts, repeats and drops, as a gateway would.

A real proxy on the loopback: it reads whole requests and whole answers, so that a fault strikes one
exchange at one moment. It also knows which answers came through whole, and the judge needs that.
"""

from __future__ import annotations

import random
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.proof.chaos import Outcome, Subject, concluded
from tests.proof.chaos.grounds import Ground, new_ground
from tests.proof.chaos.tracing import PATIENCE, Run, run

CREATE: Final = b"POST /v1/public/subaccount/create "
DEADLINE: Final = "1"
"""Seconds that a command waits for an answer."""

_BYTES: Final = 1 << 16
_LENGTH: Final = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""A socket that lingers like this sends a reset when it is closed."""


class Fault(StrEnum):
    """What befalls one exchange. All but the first four leave the request acted on."""

    RESET_BEFORE = "reset before the request went on"
    SILENT_BEFORE = "silence until the client gives up, and nothing is acted on"
    GATEWAY_BEFORE = "502 from a gateway, and nothing is acted on"
    DROPPED_BEFORE = "closed before the request went on"
    RESET = "reset in place of the answer"
    DROPPED = "closed in place of the answer"
    SILENT = "silence in place of the answer, until the client gives up"
    LATE = "acted on only after the client gave up"
    GATEWAY = "504 from a gateway in place of the answer"
    CUT_HEAD = "closed within the head of the answer"
    CUT_BODY = "closed within the body of the answer"
    STUCK_BODY = "silence within the body of the answer"
    TWICE = "the answer comes twice"
    STALE = "the answer to the request before comes first"
    RESENT = "a read is sent on twice"


_BEFORE: Final = frozenset({Fault.RESET_BEFORE, Fault.SILENT_BEFORE, Fault.GATEWAY_BEFORE, Fault.DROPPED_BEFORE})
_RESET: Final = frozenset({Fault.RESET_BEFORE, Fault.RESET})
_SILENT: Final = frozenset({Fault.SILENT_BEFORE, Fault.SILENT, Fault.STUCK_BODY})
_WHOLE: Final = frozenset({Fault.TWICE, Fault.STALE, Fault.RESENT})


@dataclass(slots=True)
class Gateway:
    """Passes everything on, but strikes the request with the number ``at``, counted from 0."""

    upstream: tuple[str, int]
    fault: Fault | None = None
    at: int = 0
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    struck: int = 0
    whole: list[bytes] = field(default_factory=list)
    """The answers that were sent back whole, with their heads."""
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when the fault has done what it does: also to a request that is acted on late."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, client: socket.socket) -> None:
        """Pass on what comes on one connection until it ends."""
        before = b""
        with client, suppress(OSError):
            client.settimeout(PATIENCE)
            while request := message(client):
                with self._lock:
                    fault = self.fault if len(self.requests) == self.at else None
                    self.requests.append(request)
                    self.struck += fault is not None
                if fault is None:
                    before = self._answer(request)
                    client.sendall(before)
                    self.whole.append(before)
                    continue
                try:
                    if not self._strike(client, fault, request, before):
                        return
                finally:
                    self.ended.set()

    def _strike(self, client: socket.socket, fault: Fault, request: bytes, before: bytes) -> bool:
        """Do what ``fault`` says, and return whether the connection goes on."""
        if fault is Fault.LATE:
            _until_gone(client)
        if fault is Fault.RESENT and not request.startswith(CREATE):
            self._answer(request)
        answer = b"" if fault in _BEFORE else self._answer(request)
        client.sendall(_sent(fault, answer, before))
        if fault in _WHOLE:
            self.whole.append(answer)
        if fault in _SILENT:
            _until_gone(client)
        if fault in _RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        return fault in _WHOLE

    def _answer(self, request: bytes) -> bytes:
        with socket.create_connection(self.upstream, PATIENCE) as server:
            server.sendall(request)
            return message(server)


def _sent(fault: Fault, answer: bytes, before: bytes) -> bytes:
    """Return what the client gets instead of ``answer``; ``before`` is what came before it on its connection."""
    body = answer.find(b"\r\n\r\n") + 4
    match fault:
        case Fault.GATEWAY_BEFORE:
            return _gateway("502 Bad Gateway")
        case Fault.GATEWAY:
            return _gateway("504 Gateway Timeout")
        case Fault.CUT_HEAD:
            return answer[: body // 2]
        case Fault.CUT_BODY | Fault.STUCK_BODY:
            return answer[: (body + len(answer)) // 2]
        case Fault.TWICE:
            return answer * 2
        case Fault.STALE:
            return before + answer
        case Fault.RESENT:
            return answer
        case _:
            return b""


def message(connection: socket.socket) -> bytes:
    """Return the next request or answer whole; nothing if the other side has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(_BYTES)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    missing = int(found[1]) - len(body) if (found := _LENGTH.search(head)) else 0
    while missing > 0:
        if not (more := connection.recv(_BYTES)):
            return b""
        data += more
        missing -= len(more)
    return data


def _until_gone(client: socket.socket) -> None:
    """Say nothing until the client has closed or reset the connection."""
    with suppress(ConnectionError):
        while client.recv(_BYTES):
            pass


def _gateway(status: str) -> bytes:
    body = f"<html><body>{status}</body></html>"
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@contextmanager
def through_gateway(ground: Ground, fault: Fault | None = None, at: int = 0) -> Iterator[Gateway]:
    """Put a gateway in front of the sandbox of ``ground``, for the length of a ``with``."""
    address = urlsplit(ground.url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gateway = Gateway((address.hostname or "", address.port or 0), fault, at, listener.getsockname()[1])
        serving = [threading.Thread(target=_accept, args=(listener, gateway), daemon=True)]
        serving[0].start()
        ground.url = address._replace(netloc=f"127.0.0.1:{gateway.port}").geturl()
        try:
            yield gateway
        finally:
            ground.url = address.geturl()
            # accept() does not notice that another thread closes what it waits for.
            listener.shutdown(socket.SHUT_RDWR)
            serving[0].join(PATIENCE)


def _accept(listener: socket.socket, gateway: Gateway) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=gateway.serve, args=(client,), daemon=True).start()


@dataclass(slots=True)
class Network:
    """Each fault at each request, one run for each."""

    name: str = "network"
    about: str = "an exchange is reset, stalled, cut, repeated, or dropped after it was acted on"
    usual: int = 0
    short: bool = False
    _cases: list[tuple[Fault, int]] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many different faults there are."""
        return len(self._cases)

    @contextmanager
    def opened(self, subject: Subject, folder: Path) -> Iterator[None]:
        """Record a run, to know how many requests there are to strike."""
        with new_ground(folder / "record", subject) as ground, through_gateway(ground) as gateway:
            impatiently(subject, ground)
        self._cases = [(fault, number) for number in range(len(gateway.requests)) for fault in Fault]
        # Seeds that follow each other should not all strike one request.
        random.Random(0).shuffle(self._cases)  # noqa: S311  # it hides nothing
        yield

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Strike one request."""
        return struck(subject, folder, *self._cases[seed % len(self._cases)])


def struck(subject: Subject, folder: Path, fault: Fault, at: int) -> Outcome:
    """Make one run in which ``fault`` befalls the request with the number ``at``."""
    with new_ground(folder, subject) as ground, through_gateway(ground, fault, at) as gateway:
        first = impatiently(subject, ground)
        assert not gateway.struck or gateway.ended.wait(PATIENCE)
        answers = b"".join(gateway.whole).decode()
        arrived = {each.login for each in ground.created() if each.login in answers and each.key in answers}
        outcome = concluded(ground, subject, [first], faults=gateway.struck, arrived=arrived)
        return outcome.of(f"request {at + 1}: {fault}: exit {first.code}")


def impatiently(subject: Subject, ground: Ground) -> Run:
    """Run the subject with a short deadline."""
    command = subject.command(ground)
    hurried = {"PROVISIONER_TIMEOUT": DEADLINE, "TIMEOUT": DEADLINE}
    return run(replace(command, environ={**command.environ, **hurried}))
