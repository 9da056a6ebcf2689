"""One connection to the sandbox: HTTP/1.1 in, replies out.

Owns what is HTTP and what is not, how long a client may be silent, and how an answer
gets onto the wire byte by byte or not at all. Refuses to know what is asked.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final, Protocol

from provisioner.sandbox.dashboard import BY_HAND, Dashboard
from provisioner.sandbox.faulty import FaultyApi
from provisioner.sandbox.received import Received
from provisioner.sandbox.reply import Ending, RefusalError, Reply, refuse, refused
from provisioner.sandbox.request import Request

BODY_CAP: Final = 64 * 2**10
DRAIN_CAP: Final = 16 * 2**20
IDLE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share."""

    api: FaultyApi
    dashboard: Dashboard
    received: Received
    latency: float
    """Seconds between the processing of a request and its answer."""
    stopping: threading.Event
    """Ends every pause."""


class Serving(Protocol):
    """The server that a connection came to."""

    service: Service
    connections: set[socket.socket]


class Connection(BaseHTTPRequestHandler):
    """One connection, for as many requests as it brings."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server: Serving  # type: ignore[assignment]  # the base class wants its own server, of which it uses nothing

    def setup(self) -> None:
        """Make the connection known until it ends, so that a stop ends it."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        """Answer a request of any method."""
        service = self.server.service
        if self.path.startswith(BY_HAND):
            self._send(self._reply_by_hand())
            return
        number = service.received.note(self.command, self.path)
        fault = None
        try:
            reply, fault = service.api.answer(self._request())
        except RefusalError as refusal:
            reply = refusal.reply
        if service.stopping.wait(service.latency + reply.wait):
            self.close_connection = True
            return
        service.received.settle(number, reply.status, fault.spec if fault else None)
        self._send(reply)

    do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = do_GET

    def _reply_by_hand(self) -> Reply:
        try:
            return self.server.service.dashboard.answer(self._request())
        except RefusalError as refusal:
            return refusal.reply

    def _request(self) -> Request:
        login, key = self.headers.get("api-login", ""), self.headers.get("api-key", "")
        return Request(self.command, self.path, login, key, self._body())

    def _body(self) -> bytes:
        declared = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch(r"\d{1,15}", declared, re.ASCII):
            self.close_connection = True
            refuse(HTTPStatus.LENGTH_REQUIRED, 107, "A Content-Length is needed.")
        length = int(declared)
        if length > BODY_CAP:
            self.close_connection = True
            self.rfile.read(min(length, DRAIN_CAP))  # a client reads no answer before it has sent its body
            refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 108, f"The body is longer than {BODY_CAP} bytes.")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client went away before its body was whole")
        return body

    def _send(self, reply: Reply) -> None:
        self.close_connection = self.close_connection or reply.ending is not Ending.KEEP
        if reply.ending is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # close() alone would come after a FIN
            return
        data = reply.encoded(close=self.close_connection, bodiless=self.command == "HEAD")
        step = 1 if reply.pace else max(len(data), 1)
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            if self.server.service.stopping.wait(reply.pace):
                return

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is not HTTP, in the API's shape."""
        self.close_connection = True
        self._send(refused(code, 100, message or explain or "This is not HTTP."))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Print nothing; what was received can be asked for."""
