"""What the sandbox puts on the wire, and the faults that can be ordered of it.

Owns the shape of one answer (:class:`Reply`), the grammar of a fault and the
table of its kinds. Refuses sockets, threads and accounts: a fault only says which
requests it strikes, whether the request is processed first, what of it is then
ignored, and how the honest answer is distorted.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from provisioner.errors import CommandInvalid
from provisioner.model.account import CALLBACK_NAMES


class Endpoint(StrEnum):
    """The calls that are counted, and can be struck."""

    CREATE = "create"
    READ = "read"
    EDIT = "edit"
    BALANCE = "balance"


# ── An answer ────────────────────────────────────────────────────────────────


class Ending(Enum):
    """What becomes of the connection after the answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, honest or distorted."""

    status: int | None
    """None: no status that a client could read is sent."""
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    declared: int | None = None
    """The Content-Length, where it is not the body's own."""
    wire: bytes | None = None
    """Sent as it is, instead of status, headers and body."""
    wait: float = 0.0
    """Seconds before the first byte."""
    pace: float = 0.0
    """Seconds after each byte; 0 sends everything at once."""
    ending: Ending = Ending.KEEP

    def encoded(self, *, close: bool, bodiless: bool = False) -> bytes:
        """Return the bytes to send; ``close`` announces the connection's end, ``bodiless`` answers a HEAD."""
        if self.wire is not None:
            return self.wire
        declared = len(self.body) if self.declared is None else self.declared
        lines = (
            _status_line(self.status),
            "Content-Type: application/json",
            f"Content-Length: {declared}",
            f"Connection: {'close' if close else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in self.headers),
        )
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if bodiless else self.body)


PHRASES: Final[Mapping[int | None, str]] = {each.value: each.phrase for each in HTTPStatus}


def _status_line(status: int | None) -> str:
    return f"HTTP/1.1 {status} {PHRASES.get(status, 'Unassigned')}"


def answered(status: int, document: object, *, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return the answer that carries ``document`` as JSON."""
    return Reply(status, json.dumps(document).encode(), headers)


def refused(status: int, code: int, message: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a refusal in the shape that clients of the real API have seen."""
    return answered(status, {"code": code, "message": message}, headers=headers)


LIMIT_REACHED: Final = refused(HTTPStatus.BAD_REQUEST, 150, "The limit of sub-accounts of this user is reached.")
"""How the real API refuses is not documented: status, code and message are a guess."""


# ── A fault ──────────────────────────────────────────────────────────────────


FIELDS: Final = ("first_name", "last_name", "company_name", "password", "callbacks", *CALLBACK_NAMES)
"""What a create and an edit can give, and a fault can ignore; a callback on its own as well as all of them."""


def _as_it_is(reply: Reply, _: Fault) -> Reply:
    return reply


def _nothing(_: Fault) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One way in which a request or its answer can go wrong."""

    shown: str
    """The name, then the parameter: ``=P`` where one must be given, ``[=P]`` where there is a default."""
    text: str
    distort: Callable[[Reply, Fault], Reply] = _as_it_is
    param: str | None = None
    """A pattern that the whole parameter matches; None: there is no parameter."""
    default: str | None = ""
    """The parameter where none is given; None: one must be given."""
    names: str | None = None
    """A pattern that the whole name matches, for a family of names; None: the one shown."""
    ignore: Callable[[Fault], tuple[str, ...]] = _nothing
    """Tells which of FIELDS are taken out of the request, unseen, before it is processed."""
    endpoints: tuple[Endpoint, ...] = tuple(Endpoint)
    """Where it can be ordered."""

    def called(self, name: str) -> bool:
        """Return whether ``name`` names this kind."""
        return re.fullmatch(self.names or re.escape(re.split(r"\[?=", self.shown)[0]), name, re.ASCII) is not None


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault and the requests that it strikes."""

    spec: str
    name: str
    param: str
    kind: Kind
    endpoint: Endpoint
    first: int
    last: int | None
    """The last request struck, counted like ``first`` from 1; None: no end."""
    share: float
    """The part of those requests that is struck, above 0 and up to 1."""
    seed: str

    def strikes(self, endpoint: Endpoint, number: int) -> bool:
        """Return whether the ``number``-th request to ``endpoint`` is struck; the same for every asking."""
        if endpoint is not self.endpoint or number < self.first or (self.last is not None and number > self.last):
            return False
        drawn = sha256(f"{self.seed}:{self.name}:{number}".encode()).digest()
        return int.from_bytes(drawn[:8]) < self.share * 2**64

    @property
    def processed(self) -> bool:
        """Whether the request is processed before the fault strikes."""
        return self.kind not in UNPROCESSED

    @property
    def ignored(self) -> tuple[str, ...]:
        """Which of FIELDS the request gives in vain."""
        return self.kind.ignore(self)

    def distorted(self, honest: Reply) -> Reply:
        """Return what is sent instead of ``honest``."""
        return self.kind.distort(honest, self)


def _edited(reply: Reply, **changes: object) -> Reply:
    return replace(reply, body=json.dumps({**json.loads(reply.body), **changes}).encode())


def _silence(reply: Reply, _: Fault) -> Reply:
    return replace(reply, status=None, wire=b"", ending=Ending.CLOSE)


def _reset(reply: Reply, _: Fault) -> Reply:
    return replace(reply, status=None, wire=b"", ending=Ending.RESET)


def _delayed(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, wait=float(fault.param))


def _cut(reply: Reply, _: Fault) -> Reply:
    whole = reply.body
    return replace(reply, declared=len(whole), body=whole[: len(whole) // 2], ending=Ending.CLOSE)


def _not_json(reply: Reply, _: Fault) -> Reply:
    return replace(reply, body=b"<html><body>It works!</body></html>")


def _without_key(reply: Reply, _: Fault) -> Reply:
    document = json.loads(reply.body)
    document.pop("api_key", None)
    return replace(reply, body=json.dumps(document).encode())


def _key_twice(reply: Reply, _: Fault) -> Reply:
    return replace(reply, body=b'{"api_key": "another", ' + reply.body.removeprefix(b"{"))


def _coded(reply: Reply, fault: Fault) -> Reply:
    return _edited(reply, code=int(fault.param), message="Something was not right.")


def _status(_: Reply, fault: Fault) -> Reply:
    headers = (("Retry-After", fault.param),) if fault.param else ()
    return refused(int(fault.name[:3]), 121, f"Ordered by the fault {fault.name}.", headers=headers)


def _redirect(_: Reply, fault: Fault) -> Reply:
    status = HTTPStatus.TEMPORARY_REDIRECT if fault.name == "redirect" else int(fault.name)
    return answered(status, {}, headers=(("Location", fault.param),))


def _limit(_: Reply, __: Fault) -> Reply:
    return LIMIT_REACHED


def _broken_status(reply: Reply, _: Fault) -> Reply:
    return replace(reply, status=None, wire=b"HTTQ/9 what?\r\n\r\n", ending=Ending.CLOSE)


def _interim(reply: Reply, fault: Fault) -> Reply:
    status = int(fault.param)
    return replace(reply, status=status, wire=f"{_status_line(status)}\r\n\r\n".encode(), ending=Ending.CLOSE)


def _huge(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, body=reply.body.ljust(int(fault.param)))


def _drip(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, pace=float(fault.param))


def _success(reply: Reply, fault: Fault) -> Reply:
    return replace(reply, status=int(fault.name))


def _the_one(fault: Fault) -> tuple[str, ...]:
    return (fault.param,)


def _everything(_: Fault) -> tuple[str, ...]:
    return FIELDS


_SECONDS: Final = r"\d{1,6}(\.\d{1,6})?"
_PRINTABLE: Final = r"[ -~]+"
_URL: Final = r"https?://[!-~]+"
_ELSEWHERE: Final = "https://elsewhere.invalid/v1/public/subaccount/create"
_REDIRECTS: Final = r"redirect|30[12378]"
_FIELD: Final = "|".join(FIELDS)
_WRITING: Final = (Endpoint.CREATE, Endpoint.EDIT)

PROCESSED: Final = (
    Kind("lost", "the connection is closed with no byte sent", _silence),
    Kind("reset-after", "a TCP reset", _reset),
    Kind("delay=SECONDS", "the answer comes that much later", _delayed, _SECONDS, None),
    Kind("cut", "half of the body that Content-Length announces", _cut),
    Kind("not-json", "the body is a page", _not_json),
    Kind("missing-credential", "the answer lacks api_key", _without_key),
    Kind("duplicate-credential", "the answer has api_key twice", _key_twice),
    Kind("code[=NUMBER]", "the body carries a code, by default 121", _coded, r"\d{1,9}", "121"),
    Kind("200 … 203", "that status instead of the usual one", _success, names="20[0-3]"),
    Kind("huge[=BYTES]", "a body of that size, by default 16 MiB", _huge, r"\d{1,9}", str(16 * 2**20)),
    Kind("drip[=SECONDS]", "the answer comes byte by byte, by default each 0.1 s", _drip, _SECONDS, "0.1"),
    Kind("broken-status", "the status line is garbage", _broken_status),
    Kind("1xx[=STATUS]", "an interim status, by default 103, and nothing after it", _interim, r"1\d\d", "103"),
    Kind("NNN-after[=RETRY_AFTER]", "400 to 599 all the same", _status, _PRINTABLE, names=r"[45]\d\d-after"),
)
"""The request is processed first, so that the account is made. A refusal is left as it is: nothing is then in doubt."""

INATTENTIVE: Final = (
    Kind("drop=FIELD", "as if FIELD were not given", param=_FIELD, default=None, ignore=_the_one, endpoints=_WRITING),
    Kind("ignored", "as if nothing were given", ignore=_everything, endpoints=(Endpoint.EDIT,)),
)
"""The request is processed but for a part of it, and answered as if for the whole. A refusal is left as it is."""

UNPROCESSED: Final = (
    Kind("reset-before", "a TCP reset", _reset),
    Kind("limit", "refused as if the limit were reached", _limit),
    Kind("NNN[=RETRY_AFTER]", "400 to 599; Retry-After is any text", _status, _PRINTABLE, names=r"[45]\d\d"),
    Kind("redirect[=URL]", "307 to another host; also 301, 302, 303, 308", _redirect, _URL, _ELSEWHERE, _REDIRECTS),
)
"""Nothing is looked at, not even the credentials."""

KINDS: Final = (*PROCESSED, *INATTENTIVE, *UNPROCESSED)

# ── Its grammar ──────────────────────────────────────────────────────────────

_GRAMMAR: Final = f"KIND[=PARAM]@WHEN[:{'|'.join(Endpoint)}]"
_WHEN: Final = re.compile(
    r"(?:(?P<first>[1-9]\d{0,8})(?P<range>-(?P<last>[1-9]\d{0,8})?)?"
    r"|(?P<share>\d{1,3}(?:\.\d{1,6})?)%(?:/(?P<seed>\w+))?"
    r"|\*)"
    rf"(?::(?P<endpoint>{'|'.join(Endpoint)}))?",
    re.ASCII,
)


def _described(kinds: tuple[Kind, ...]) -> tuple[str, ...]:
    return tuple(f"  {kind.shown:<23}  {kind.text}{_only(kind)}" for kind in kinds)


def _only(kind: Kind) -> str:
    return "" if kind.endpoints == tuple(Endpoint) else f"; only for {' and '.join(kind.endpoints)}"


FAULT_HELP: Final = "\n".join(
    (
        f"{_GRAMMAR}; the endpoint is create unless given; of several faults the first that fits strikes.",
        "WHEN counts the requests to the endpoint from 1:",
        "  3        the third",
        "  3-5      the third to the fifth; 3- has no end",
        "  *        each",
        "  10%      one in ten, drawn anew with every start",
        "  10%/42   one in ten, the same ones with every start; 42 is any word",
        "KIND once the request was processed and the account made:",
        *_described(PROCESSED),
        "KIND while the request is processed; it is answered with success, and what was there stays:",
        *_described(INATTENTIVE),
        "  FIELD is first_name, last_name, company_name, password, callbacks or one of these:",
        *(f"    {name}" for name in CALLBACK_NAMES),
        "KIND before anything was processed:",
        *_described(UNPROCESSED),
    )
)


def parse_fault(spec: str) -> Fault:
    """Return the fault that ``spec`` orders, as in ``lost@3``, ``429=2@1-2:read`` or ``503@10%/42``.

    Raises CommandInvalid, with the grammar and the kinds as its hint.
    """
    ordered, at, when = spec.rpartition("@")
    name, equals, given = ordered.partition("=")
    kind = next((each for each in KINDS if each.called(name)), None)
    if not at or kind is None:
        raise _invalid(spec, f"{name!r} is no kind of fault" if at else "it does not say when, as in @3")
    return _placed(spec, when, name, kind, _param(spec, kind, given if equals else None))


def _param(spec: str, kind: Kind, given: str | None) -> str:
    if given is None:
        if kind.default is None:
            raise _invalid(spec, f"a parameter is needed, {kind.shown}")
        return kind.default
    if kind.param is None:
        raise _invalid(spec, f"{kind.shown} takes no parameter")
    if not re.fullmatch(kind.param, given, re.ASCII):
        raise _invalid(spec, f"{given!r} does not fit {kind.shown}")
    return given


def _placed(spec: str, when: str, name: str, kind: Kind, param: str) -> Fault:
    found = _WHEN.fullmatch(when)
    if found is None:
        raise _invalid(spec, f"{when!r} does not say when")
    first = int(found["first"] or 1)
    last = int(found["last"]) if found["last"] else first if found["first"] and not found["range"] else None
    share = float(found["share"]) / 100 if found["share"] else 1.0
    if (last is not None and last < first) or not 0 < share <= 1:
        raise _invalid(spec, f"{when!r} is never, or more than always")
    endpoint = Endpoint(found["endpoint"] or Endpoint.CREATE)
    if endpoint not in kind.endpoints:
        raise _invalid(spec, f"{kind.shown} cannot strike {endpoint}{_only(kind)}")
    return Fault(
        spec=spec,
        name=name,
        param=param,
        kind=kind,
        endpoint=endpoint,
        first=first,
        last=last,
        share=share,
        seed=found["seed"] or secrets.token_hex(8),
    )


def _invalid(spec: str, reason: str) -> CommandInvalid:
    return CommandInvalid(f"The fault {spec!r} cannot be understood: {reason}", hint=FAULT_HELP)
