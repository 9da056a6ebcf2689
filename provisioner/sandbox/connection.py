"""One connection to the sandbox: HTTP/1.1 in, replies out.

Reads bodies, limits how long a client may be silent, and sends an answer at once, byte by
byte or not at all. Does not know what is requested.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from http import HTTPStatus
from typing import Final

from provisioner.immutable import immutable
from provisioner.sandbox.dashboard import BY_HAND, Dashboard
from provisioner.sandbox.faulty import FaultyApi
from provisioner.sandbox.head import Head, read_head
from provisioner.sandbox.received import Received
from provisioner.sandbox.reply import Ending, RefusalError, SandboxReply, refuse, status_line
from provisioner.sandbox.request import SandboxRequest

BODY_CAP: Final = 64 * 2**10
DRAIN_CAP: Final = 16 * 2**20
IDLE_SECONDS: Final = 60


@immutable
class Service:
    """What all connections share."""

    api: FaultyApi
    dashboard: Dashboard
    received: Received
    latency: float
    """Seconds between the processing of a request and its answer."""
    stopping: threading.Event
    """Ends every pause."""


class Connection:
    """One connection, for all its requests."""

    def __init__(self, wire: socket.socket, service: Service) -> None:
        wire.settimeout(IDLE_SECONDS)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = wire
        self._stream = wire.makefile("rb")
        self._service = service
        self._ends = False

    def serve(self) -> None:
        """Serve until the connection ends; raises OSError if the client ends it."""
        with self._stream:
            while not self._ends:
                self._serve_one()

    def _serve_one(self) -> None:
        try:
            head = read_head(self._stream)
        except RefusalError as refusal:
            self._ends = True
            self._send(refusal.reply)
            return
        if head is None:
            self._ends = True
            return
        self._ends = not head.persistent
        reply = self._by_hand(head) if head.target.startswith(BY_HAND) else self._answered(head)
        if reply is not None:
            self._send(reply, bodiless=head.method == "HEAD")

    def _by_hand(self, head: Head) -> SandboxReply:
        try:
            return self._service.dashboard.answer(self._request(head))
        except RefusalError as refusal:
            return refusal.reply

    def _answered(self, head: Head) -> SandboxReply | None:
        """Return the API's answer when it is due, or None if the sandbox stops before."""
        number = self._service.received.note(head.method, head.target)
        fault = None
        try:
            reply, fault = self._service.api.answer(self._request(head))
        except RefusalError as refusal:
            reply = refusal.reply
        if self._stopped_within(self._service.latency + reply.wait):
            self._ends = True
            return None
        self._service.received.settle(number, reply.status, fault.spec if fault else None)
        return reply

    def _request(self, head: Head) -> SandboxRequest:
        login, key = (head.fields.get(each, "") for each in ("api-login", "api-key"))
        return SandboxRequest(head.method, head.target, login, key, self._body(head))

    def _body(self, head: Head) -> bytes:
        declared = head.fields.get("content-length", "0")
        if "transfer-encoding" in head.fields or not re.fullmatch(r"\d{1,15}", declared, re.ASCII):
            self._ends = True
            refuse(HTTPStatus.LENGTH_REQUIRED, 107, "A Content-Length is required.")
        if head.expectant:
            self._wire.sendall(f"{status_line(HTTPStatus.CONTINUE)}\r\n\r\n".encode())
        length = int(declared)
        if length > BODY_CAP:
            self._ends = True
            self._stream.read(min(length, DRAIN_CAP))  # a client reads no answer before it has sent its body
            refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 108, f"The body is longer than {BODY_CAP} bytes.")
        body = self._stream.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client went away before it had sent its whole body")
        return body

    def _send(self, reply: SandboxReply, *, bodiless: bool = False) -> None:
        self._ends = self._ends or reply.ending is not Ending.KEEP
        if reply.ending is Ending.RESET:
            self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self._wire.detach())  # close() alone would come after a FIN
            return
        data = reply.encoded(close=self._ends, bodiless=bodiless)
        if not reply.pace:
            self._wire.sendall(data)
            return
        for each in data:
            self._wire.sendall(bytes((each,)))
            if self._stopped_within(reply.pace):
                self._ends = True
                return

    def _stopped_within(self, seconds: float) -> bool:
        """Wait ``seconds``, and return whether the sandbox stopped meanwhile."""
        return seconds > 0 and self._service.stopping.wait(seconds)
