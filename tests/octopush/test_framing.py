"""Strict HTTP: which heads are answers, how many interim ones come before, and where a body ends."""

from __future__ import annotations

import io
import socket
from functools import partial
from http.client import HTTPException
from typing import Final, cast

import pytest

from provisioner.octopush.framing import (
    INTERIM_CAP,
    BrokenChunkError,
    CutHeadError,
    EndlessInterimError,
    StrictResponse,
    UnclearEndError,
)

HEAD: Final = b"HTTP/1.1 201 Created\r\n"
END: Final = b"\r\n"
HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"


class Wire:
    """The bytes that arrived on a connection that has ended."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._data))  # type: ignore[arg-type]  # typeshed wants a raw stream


def begun(*parts: bytes) -> StrictResponse:
    answer = StrictResponse(cast("socket.socket", Wire(b"".join(parts))), method="POST")
    answer.begin()
    return answer


def body(*parts: bytes) -> bytes:
    answer = begun(*parts)
    read = b""
    while piece := answer.read1(7):
        read += piece
    return read


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 201 Created\r\n", 201),
        (b"HTTP/1.0 201 Created\r\n", 201),
        (b"HTTP/1.1 404 \r\n", 404),
        (b"HTTP/1.1 404\r\n", 404),
        (b"HTTP/1.1 404 Pas trouv\xe9\n", 404),
        (b"HTTP/1.1 999 Whatever\r\n", 999),
        (b"HTTP/1.1 101 Switching Protocols\r\n", 101),
    ],
)
def test_a_status_is_three_digits(line: bytes, status: int) -> None:
    assert status == begun(line, END).status


@pytest.mark.parametrize(
    "status",
    [
        *(
            b"4_04",
            b"+404",
            b"0404",
            b"-404",
            b"404.0",
            b"4 04",
            b"40",
            b"099",
            b"000",
            b"",
            b" 404",
            b"\t404",
            b"404\t",
        ),
        *(
            b"\xa0404",
            b"404\xa0No",
            b"\xd9\xa4\xd9\xa0\xd9\xa4",
            b"4e2",
            b"0x194",
            b"404\0",
            b"404 No\0",
            b"404 \x1b[J",
        ),
    ],
)
def test_a_number_that_only_python_accepts_is_not_a_status(status: bytes) -> None:
    with pytest.raises(HTTPException):
        begun(b"HTTP/1.1 " + status + b"\r\n", END)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"HTTP/2 201 Created\r\n",
            b"HTTP/1 201 Created\r\n",
            b"http/1.1 201 Created\r\n",
            b"HTTP/1.1\xa0201 Created\r\n",
        ),
        *(
            b"\r\nHTTP/1.1 201 Created\r\n",
            b" HTTP/1.1 201 Created\r\n",
            b"HTTP/1.1\t201 Created\r\n",
            b"HTTP/1.1 201 A\rB\r\n",
        ),
        *(b"ICY 201 OK\r\n", b"HTTP/1.1 201 Created", b"HTTP/1.1 201 " + b"x" * 70_000 + b"\r\n"),
    ],
)
def test_a_status_line_is_https_to_the_letter(line: bytes) -> None:
    with pytest.raises(HTTPException):
        begun(line, END)


@pytest.mark.parametrize(
    "head", [HEAD, HEAD + b"Retry-Af", HEAD + b"Retry-After: 7\r\n", HEAD + b"Retry-After: 7\r\n\r"]
)
def test_a_head_that_ends_too_early_is_not_an_answer(head: bytes) -> None:
    with pytest.raises(CutHeadError):
        begun(head)


def test_a_head_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(HTTPException):
        begun(HEAD, b"X: y\r\n" * 50_000)


def test_nothing_at_all_is_not_an_answer() -> None:
    with pytest.raises(ConnectionError):
        begun()


@pytest.mark.parametrize("status", [100, 102, 103, 104, 199])
@pytest.mark.parametrize("count", [1, 2, INTERIM_CAP])
def test_interim_answers_are_read_past(status: int, count: int) -> None:
    interim = HINTS.replace(b"103", b"%d" % status) * count
    answer = begun(interim, HEAD, b"Content-Length: 2\r\n", END, b"{}")
    assert (201, "2", None) == (answer.status, answer.headers["Content-Length"], answer.headers["Link"])
    assert b"{}" == answer.read1(9)


def test_there_is_an_end_to_interim_answers() -> None:
    with pytest.raises(EndlessInterimError):
        begun(HINTS * (INTERIM_CAP + 1), HEAD, END)


@pytest.mark.parametrize("interim", [HINTS, HINTS[:-2], HINTS * 3])
def test_interim_answers_alone_are_none(interim: bytes) -> None:
    with pytest.raises((CutHeadError, ConnectionError)):
        begun(interim)


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 1_3 Hints\r\n\r\n", HINTS + b"{}", HINTS.replace(b"\r\n\r\n", b"\r\n \r\n\r\n{")]
)
def test_what_follows_an_interim_answer_is_read_to_the_letter_too(interim: bytes) -> None:
    with pytest.raises(HTTPException):
        begun(interim, HEAD, END)


# ── Lengths ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("length", [b"2", b"02", b"2, 2", b"2\r\nContent-Length: 2", b" 2 "])
def test_a_length_is_digits(length: bytes) -> None:
    assert b"{}" == body(HEAD, b"Content-Length:", length, END, END, b"{}, and more")


@pytest.mark.parametrize(
    "length",
    [
        b"-2",
        b"+2",
        b"2_0",
        b"2.0",
        b"2, 3",
        b"2\r\nContent-Length: 3",
        b"two",
        b"",
        b"\xa02",
        b"9" * 5000,
        b"0x2",
        b"-0",
    ],
)
def test_without_a_valid_length_the_body_is_kept_but_never_complete(length: bytes) -> None:
    answer = begun(HEAD, b"Content-Length: ", length, END, END, b"{} and all")
    assert b"{} and all" == answer.read1(99)
    with pytest.raises(UnclearEndError):
        answer.read1(99)


# ── Chunks ───────────────────────────────────────────────────────────────────

CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "chunks",
    [
        b"2\r\n{}\r\n0\r\n\r\n",
        b"1\r\n{\r\n1;a=b\r\n}\r\n000\r\nX: y\r\n\r\n",
        b"0002 \r\n{}\r\n0\r\n",
        b"2\n{}\n0\n\n",
    ],
)
def test_chunks_are_put_together(chunks: bytes) -> None:
    assert b"{}" == body(CHUNKED, chunks)


def test_a_chunk_may_be_larger_than_what_is_read_at_once() -> None:
    assert b"x" * 70_000 == body(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (70_000, b"x" * 70_000))


@pytest.mark.parametrize(
    "after",
    [
        b"",
        b"-1\r\n",
        b"+1\r\nx\r\n",
        b"0x1\r\nx\r\n",
        b"1_0\r\nx",
        b" 1\r\nx\r\n",
        b"\r\n",
        b"what\r\n",
        b"5\r\nhalf",
        b"2",
        b"f" * 20 + b"\r\n",
    ],
)
def test_a_broken_chunk_is_noticed_and_the_body_kept(after: bytes) -> None:
    answer = begun(CHUNKED, b"2\r\n{}\r\n", after)
    assert b"{}" == answer.read1(99)
    with pytest.raises(BrokenChunkError):
        list(iter(partial(answer.read1, 99), b""))


@pytest.mark.parametrize("odd", [b'-5\r\n{"api_key": 1}', b'{"api_key": 1}', b"{\r\n\r\n}" * 99])
@pytest.mark.parametrize("before", [b"", b"2\r\n[]\r\n"])
def test_what_comes_instead_of_a_chunk_is_kept_too(before: bytes, odd: bytes) -> None:
    answer, found = begun(CHUNKED, before, odd), list[bytes]()
    with pytest.raises(BrokenChunkError):
        found.extend(iter(partial(answer.read1, 7), b""))
    assert before[3:5] + odd == b"".join(found)


def test_a_chunk_that_is_longer_than_it_says_is_noticed() -> None:
    answer = begun(CHUNKED, b"2\r\n{}abc\r\n0\r\n\r\n")
    assert b"{}" == answer.read1(99)
    with pytest.raises(BrokenChunkError):
        list(iter(partial(answer.read1, 99), b""))
