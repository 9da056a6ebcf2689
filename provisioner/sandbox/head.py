"""The head of a request: the request line and the header fields.

Decides what is HTTP/1. Used instead of ``http.server``, which takes longer to parse it than
the sandbox takes to answer. Does not read bodies, and knows only the fields about the
connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import BinaryIO, Final

from provisioner.immutable import immutable
from provisioner.sandbox.reply import refuse

LINE_CAP: Final = 64 * 2**10
FIELDS_CAP: Final = 100
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION: Final = re.compile(rb"HTTP/([0-9]+)\.([0-9]+)")


@immutable
class Head:
    """The head of one request."""

    method: str
    target: str
    """Path and query string, as received."""
    fields: Mapping[str, str]
    """By name in lower case; if one is repeated, the first."""
    version: tuple[int, int]

    @property
    def persistent(self) -> bool:
        """Whether the client wants to keep the connection."""
        wish = self.fields.get("connection", "").lower()
        return wish == "keep-alive" if self.version == (1, 0) else wish != "close"

    @property
    def expectant(self) -> bool:
        """Whether the client waits for a 100 before it sends the body."""
        return self.version > (1, 0) and self.fields.get("expect", "").lower() == "100-continue"


def read_head(stream: BinaryIO) -> Head | None:
    """Return the next head, or None if there is none.

    Raises RefusalError for anything but HTTP/1, and ConnectionAbortedError for a truncated head.
    """
    line = _line(stream, HTTPStatus.REQUEST_URI_TOO_LONG)
    words = line.split()
    if not words:
        return None
    version = _VERSION.fullmatch(words[-1])
    if len(words) != 3 or version is None or not _TOKEN.fullmatch(words[0]):  # noqa: PLR2004  # method, target, version
        refuse(HTTPStatus.BAD_REQUEST, 100, "This is not HTTP.")
    if version[1] != b"1":
        refuse(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, 100, "This is not HTTP/1.")
    return Head(words[0].decode(), words[1].decode("latin-1"), _fields(stream), (1, int(version[2])))


def _fields(stream: BinaryIO) -> dict[str, str]:
    fields: dict[str, str] = {}
    for _ in range(FIELDS_CAP + 1):
        line = _line(stream, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if line in {b"\r\n", b"\n"}:
            return fields
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError("the client went away before it had sent its whole head")
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            refuse(HTTPStatus.BAD_REQUEST, 100, "A header field is not HTTP.")
        fields.setdefault(name.decode().lower(), value.strip().decode("latin-1"))
    return refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, 100, "There are too many header fields.")


def _line(stream: BinaryIO, too_long: HTTPStatus) -> bytes:
    line = stream.readline(LINE_CAP + 1)
    if len(line) > LINE_CAP:
        refuse(too_long, 100, "A line is too long.")
    return line
