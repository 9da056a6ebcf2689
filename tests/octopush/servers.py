"""Servers on loopback that follow a script, so that a test decides every byte and when it comes.

``with scripted(script) as server:`` runs ``script(wire)`` for each connection, one
after the other, and closes the connection when the script returns.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tests.conftest import PATIENCE

if TYPE_CHECKING:
    import ssl

HOST: Final = "127.0.0.1"
ANSWERED: Final = b'{"api_key": "sub-key-77", "api_login": "abc_1f2@sub-accounts.com"}'


def answer(status: str = "201 Created", body: bytes = ANSWERED, *headers: str, length: int | None = None) -> bytes:
    """Return a whole answer; ``length`` is declared instead of the body's own."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Wire:
    """One connection, as its script sees it."""

    def __init__(self, connection: socket.socket, server: Server) -> None:
        self.connection = connection
        self._server = server

    def request(self) -> bytes:
        """Read one whole request, and record it."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += self._more()
        self._server.requests.append(head + b"\r\n\r\n" + body)
        return self._server.requests[-1]

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes, pause: float = 0.05) -> None:
        """Send byte by byte, until the client is gone."""
        for each in data:
            self.send(bytes([each]))
            if self._server.stopping.wait(pause):
                return

    def silence(self) -> None:
        """Send nothing until the client is gone."""
        while self.connection.recv(65536):
            pass

    def hold(self) -> None:
        """Neither read nor send anything until the test is over."""
        self._server.stopping.wait(PATIENCE)

    def reset(self) -> None:
        """End the connection with an RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def secure(self, context: ssl.SSLContext) -> None:
        """Shake hands as a TLS server."""
        self.connection = context.wrap_socket(self.connection, server_side=True)

    def _more(self) -> bytes:
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionAbortedError
        return data


Script = Callable[[Wire], None]


class Server:
    """A listening socket, and what it received."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.stopping = threading.Event()
        self._script = script
        self._tls = tls
        self._failure: Exception | None = None
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._wire: Wire | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    def _serve(self) -> None:
        while not self.stopping.is_set():
            with suppress(OSError):  # the client went away, or the test is over
                connection, _ = self._listener.accept()
                self._follow(connection)

    def _follow(self, connection: socket.socket) -> None:
        self.connections += 1
        connection.settimeout(PATIENCE)
        wire = self._wire = Wire(connection, self)
        try:
            if self._tls:
                wire.secure(self._tls)
            self._script(wire)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  # raised again in the test's own thread
            self._failure = error
        finally:
            connection.close()
            wire.connection.close()

    def stop(self) -> None:
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        if self._wire:
            with suppress(OSError):  # it has ended
                self._wire.connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()
        if self._failure:
            raise self._failure


@contextmanager
def scripted(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(script, tls)
    try:
        yield server
    finally:
        server.stop()


# ── Scripts ──────────────────────────────────────────────────────────────────


def answering(*answers: bytes) -> Script:
    """Read a request, then send each of ``answers`` as it is."""

    def script(wire: Wire) -> None:
        wire.request()
        for each in answers:
            wire.send(each)

    return script


def then(step: Script, *before: bytes) -> Script:
    """Read a request, send what comes ``before``, then do ``step``."""

    def script(wire: Wire) -> None:
        answering(*before)(wire)
        step(wire)

    return script


def dripping(data: bytes, *before: bytes) -> Script:
    """Read a request, send what comes ``before`` at once, and ``data`` byte by byte."""
    return then(lambda wire: wire.drip(data), *before)
