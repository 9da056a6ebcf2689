"""The socket that the sandbox listens on, and a thread for each of its connections.

Owns the port, the threads and their end. Listens nowhere but on loopback. Refuses to
know what goes over a connection.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from socketserver import ThreadingTCPServer
from typing import Final

from provisioner.sandbox.connection import Connection, Service

HOST: Final = "127.0.0.1"


class Server(ThreadingTCPServer):
    """The socket, a daemon thread for each connection, and what they share."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, service: Service) -> None:
        """Listen on ``port``, 0 for any that is free; raises OSError or OverflowError."""
        super().__init__((HOST, port), Connection)
        self.service = service
        self.connections: set[socket.socket] = set()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Say nothing of a client that went away; anything else is a defect and is shown."""
        if not isinstance(sys.exception(), OSError) and not self.service.stopping.is_set():
            super().handle_error(request, client_address)

    def stop(self, *, serving: bool) -> None:
        """Stop accepting, and end every connection and pause."""
        self.service.stopping.set()
        if serving:
            self.shutdown()  # waits for the loop, and for ever where there is none
        self.server_close()
        for connection in tuple(self.connections):
            with contextlib.suppress(OSError):  # it was closed a moment ago
                connection.shutdown(socket.SHUT_RDWR)
