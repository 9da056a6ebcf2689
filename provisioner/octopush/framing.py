"""Where an answer begins and ends, strictly by HTTP/1.1.

Parses the head of an answer (its status line, and the interim answers before the final
one), its declared length, and chunks. ``http.client`` accepts more than HTTP allows, such
as ``4_04`` for a number, an end of file for the end of a head, or a chunk of -5 bytes; but
a malformed answer proves nothing. Keeps a body of which only the end is unclear, because
it may contain credentials, which come only once.
"""

from __future__ import annotations

import io
import re
import sys
from http.client import BadStatusLine, HTTPException, HTTPResponse, LineTooLong, RemoteDisconnected
from typing import Any, Final, cast

INTERIM_CAP: Final = 100
"""How many interim answers to skip before giving up a request; servers send one or two."""

_LINE_CAP: Final = 64 * 1024
_HEAD_CAP: Final = 128 * 1024
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?\r?\n")
_SWITCHING: Final = 101
"""The one status below 200 after which no other answer comes."""
_SUCCESS: Final = 200
_BODILESS: Final = frozenset({_SWITCHING, 204, 304})
_LENGTH: Final = re.compile("[0-9]{1,18}")
_CHUNK_LINE: Final = rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?\r?\n"


class CutHeadError(HTTPException):
    """The connection ended within the head of an answer."""


class EndlessInterimError(HTTPException):
    """Interim answers came, but no final one."""


class UnclearEndError(HTTPException):
    """The body ended, but it may not be complete."""


class BrokenChunkError(HTTPException):
    """The framing of a chunk is not valid, or the connection ended within a chunk."""


class StrictResponse(HTTPResponse):
    """The final answer to a request; ``begin`` raises HTTPException if its head is not strictly HTTP."""

    def begin(self) -> None:
        """Read the head, skipping interim answers (RFC 9110, 15.2)."""
        stream = self.fp
        head = _final_head(stream)
        try:
            self.fp = cast("io.BufferedReader", io.BytesIO(head))
            super().begin()
        finally:
            self.fp = stream
        if self.status in _BODILESS:
            return
        if self.chunked:
            self.chunked, self.length = False, None
            self.fp = io.BufferedReader(_Chunks(stream))
        elif declared := self.headers.get_all("Content-Length", []):
            lengths = {each.strip(" \t") for value in declared for each in value.split(",")}
            # urllib3 reads the field too, and drops the answer if two lengths differ.
            del self.headers["Content-Length"]
            if len(lengths) == 1 and _LENGTH.fullmatch(only := lengths.pop()):
                self.headers["Content-Length"] = only
                self.length = int(only)
            else:
                self.length = None
                self.fp = io.BufferedReader(_UnclearEnd(stream))


def _final_head(stream: io.BufferedReader) -> bytes:
    """Return the head of the first answer that is not interim."""
    for _ in range(INTERIM_CAP + 1):
        head, status = _head(stream)
        if status >= _SUCCESS or status == _SWITCHING:
            return head
    raise EndlessInterimError


def _head(stream: io.BufferedReader) -> tuple[bytes, int]:
    """Return one head, with the empty line at its end, and its status."""
    first = stream.readline(_LINE_CAP + 1)
    if not first:
        raise RemoteDisconnected("no answer")
    if (found := _STATUS_LINE.fullmatch(first)) is None:
        raise BadStatusLine(repr(first))
    head = bytearray(first)
    while (line := stream.readline(_LINE_CAP + 1)) not in {b"\r\n", b"\n"}:
        head += line
        if len(line) > _LINE_CAP or len(head) > _HEAD_CAP:
            raise LineTooLong("head")
        if not line.endswith(b"\n"):
            raise CutHeadError
    return bytes(head + line), int(found[1])


class _Body(io.RawIOBase):
    """A body that is read from ``stream``."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the stream, too."""
        self._stream.close()
        super().close()


class _UnclearEnd(_Body):
    """A body without a valid length: it is read to the end of the connection, and never considered complete."""

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # any writable buffer, says io
        """Fill ``buffer``; raises UnclearEndError at the end."""
        got = self._stream.readinto1(buffer)
        if not got:
            raise UnclearEndError
        return got


class _Chunks(_Body):
    """A body in chunks (RFC 9112, 7.1); after a broken frame, it is read to the end of the connection."""

    _left: int | None = None
    """Bytes left of the chunk; None before the first."""
    _ended = False
    _odd = b""
    """The bytes that came instead of a frame."""

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # the same
        """Fill ``buffer``; raises BrokenChunkError at the end of a body that is not in chunks."""
        if not self._left and not self._ended:
            self._begin()
        if self._ended:
            return 0
        room = memoryview(buffer)[: self._left]
        got = min(len(room), len(self._odd))
        room[:got], self._odd = self._odd[:got], self._odd[got:]
        got = got or self._stream.readinto1(room)
        if not got:
            raise BrokenChunkError
        assert self._left is not None  # noqa: S101  # a chunk has begun
        self._left -= got
        return got

    def _begin(self) -> None:
        """Read the frame of the next chunk, and the trailer after the last one."""
        line = self._stream.readline(_LINE_CAP) if self._left == 0 else b"\n"
        if line in {b"\r\n", b"\n"} and (found := re.fullmatch(_CHUNK_LINE, line := self._stream.readline(_LINE_CAP))):
            self._left = int(found[1], 16)
            self._ended = self._left == 0
        else:
            self._left, self._odd = sys.maxsize, line
        # However the trailer ends, the body is complete.
        while self._ended and self._stream.readline(_LINE_CAP).strip():
            pass
