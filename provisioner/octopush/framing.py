"""Where an answer begins and ends, by the letter of HTTP/1.1.

Owns the head of an answer (its status line, and the interim answers before the final
one), its announced length, and chunks. ``http.client`` takes more than HTTP allows for
an answer, such as ``4_04`` for a number, an end of file for the end of a head, or a
chunk of -5 bytes: what is not clean proves nothing. Refuses to give up a body whose
end alone is unclear: it may hold credentials that come once.
"""

from __future__ import annotations

import io
import re
import sys
from http.client import BadStatusLine, HTTPException, HTTPResponse, LineTooLong, RemoteDisconnected
from typing import Any, Final, cast

INTERIM_CAP: Final = 100
"""Interim answers that are read past before one request is given up; servers send one or two."""

_LINE_CAP: Final = 64 * 1024
_HEAD_CAP: Final = 128 * 1024
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?\r?\n")
_SWITCHING: Final = 101
"""The one status below 200 after which no other answer comes."""
_SUCCESS: Final = 200
_BODILESS: Final = frozenset({_SWITCHING, 204, 304})
_LENGTH: Final = re.compile("[0-9]{1,18}")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?\r?\n")


class CutHeadError(HTTPException):
    """The connection ended within the head of an answer."""


class EndlessInterimError(HTTPException):
    """Interim answers came, and no final one."""


class UnclearEndError(HTTPException):
    """The body ended, and whether it was whole cannot be known."""


class BrokenChunkError(HTTPException):
    """What frames a chunk is not HTTP's, or the connection ended within one."""


class StrictResponse(HTTPResponse):
    """The final answer to a request; ``begin`` raises HTTPException where its head is not exactly HTTP's."""

    def begin(self) -> None:
        """Read the head, past interim answers (RFC 9110, 15.2)."""
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
        elif announced := self.headers.get_all("Content-Length", []):
            lengths = {each.strip(" \t") for value in announced for each in value.split(",")}
            # urllib3 reads the field too, and takes two that differ for a reason to drop the answer.
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
    """Return one head with the empty line at its end, and its status."""
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
    """A body, as it is read off ``stream``."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close what it is read off, too."""
        self._stream.close()
        super().close()


class _UnclearEnd(_Body):
    """A body whose announced length is none: it is read to the end of the connection, and never taken for whole."""

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # any writable buffer, says io
        """Fill ``buffer``; raises UnclearEndError at the end."""
        got = self._stream.readinto1(buffer)
        if not got:
            raise UnclearEndError
        return got


class _Chunks(_Body):
    """A body that comes in chunks (RFC 9112, 7.1); what follows a broken frame is read to the end of the connection."""

    _left: int | None = None
    """Bytes left of the chunk; None before the first."""
    _ended = False
    _odd = b""
    """What stood in the place of a frame."""

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # the same
        """Fill ``buffer``; raises BrokenChunkError at the end of what is not chunks."""
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
        assert self._left is not None  # noqa: S101  # a chunk was begun
        self._left -= got
        return got

    def _begin(self) -> None:
        """Read what stands between the last chunk and the next, and, after the last of all, the trailer."""
        line = self._stream.readline(_LINE_CAP) if self._left == 0 else b"\n"
        if line in {b"\r\n", b"\n"} and (found := _CHUNK_LINE.fullmatch(line := self._stream.readline(_LINE_CAP))):
            self._left = int(found[1], 16)
            self._ended = self._left == 0
        else:
            self._left, self._odd = sys.maxsize, line
        # Whatever ends the trailer, the body is whole.
        while self._ended and self._stream.readline(_LINE_CAP).strip():
            pass
