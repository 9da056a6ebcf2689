"""One answer of the sandbox, as it goes over the wire.

Has the shape of an answer (:class:`SandboxReply`), its bytes, and how a request is refused.
Knows no sockets and no requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from http import HTTPStatus
from typing import Final, NoReturn

from provisioner.immutable import immutable


class Ending(Enum):
    """What happens to the connection after the answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@immutable
class SandboxReply:
    """One answer, honest or distorted."""

    status: int | None
    """None: no status that a client could read."""
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    declared: int | None = None
    """The Content-Length, if it differs from the body's."""
    wire: bytes | None = None
    """Sent as it is, instead of status, headers and body."""
    before: bytes = b""
    """Sent first, as it is: an interim answer."""
    wait: float = 0.0
    """Seconds before the first byte."""
    pace: float = 0.0
    """Seconds after each byte; 0 sends everything at once."""
    ending: Ending = Ending.KEEP

    def encoded(self, *, close: bool, bodiless: bool = False) -> bytes:
        """Return the bytes to send; ``close`` announces the end of the connection, ``bodiless`` answers a HEAD."""
        if self.wire is not None:
            return self.wire
        declared = len(self.body) if self.declared is None else self.declared
        lines = (
            status_line(self.status),
            "Content-Type: application/json",
            f"Content-Length: {declared}",
            f"Connection: {'close' if close else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in self.headers),
        )
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return self.before + head + (b"" if bodiless else self.body)


PHRASES: Final[Mapping[int | None, str]] = {each.value: each.phrase for each in HTTPStatus}


def status_line(status: int | None) -> str:
    """Return the first line of an answer, without its line break."""
    return f"HTTP/1.1 {status} {PHRASES.get(status, 'Unassigned')}"


def answered(status: int, document: object, *, headers: tuple[tuple[str, str], ...] = ()) -> SandboxReply:
    """Return the answer that carries ``document`` as JSON."""
    return SandboxReply(status, json.dumps(document).encode(), headers)


def refused(status: int, code: int, message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> SandboxReply:
    """Return a refusal in the shape that clients of the real API have seen."""
    return answered(status, {"code": code, "message": message}, headers=headers)


LIMIT_REACHED: Final = refused(HTTPStatus.BAD_REQUEST, 150, "The limit of sub-accounts of this user is reached.")
"""How the real API refuses is not documented: status, code and message are a guess."""


class RefusalError(Exception):
    """A request that is answered with ``reply`` and changes nothing."""

    def __init__(self, reply: SandboxReply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def refuse(status: int, code: int, message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> NoReturn:
    """Raise the RefusalError that answers with ``status``, ``code`` and ``message``."""
    raise RefusalError(refused(status, code, message, headers=headers))
