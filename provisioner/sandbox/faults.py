"""The faults that the sandbox can produce.

Has the table of the kinds of fault, and decides which requests a fault strikes. Knows no
sockets, threads or accounts: a fault only says whether the request is processed first, which
part of it is ignored, and how the honest answer is distorted. ``fault_specs`` parses them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from provisioner.immutable import immutable
from provisioner.model.account import CALLBACK_NAMES
from provisioner.sandbox.reply import LIMIT_REACHED, Ending, SandboxReply, answered, refused, status_line
from provisioner.sandbox.request import Endpoint

FIELDS: Final = ("first_name", "last_name", "company_name", "password", "callbacks", *CALLBACK_NAMES)
"""What a create or an edit can set, and a fault can ignore: one callback, or all of them."""


def _as_it_is(reply: SandboxReply, _: Fault) -> SandboxReply:
    return reply


def _nothing(_: Fault) -> tuple[str, ...]:
    return ()


@immutable
class FaultKind:
    """One way in which a request or its answer can go wrong."""

    shown: str
    """The name, then the parameter: ``=P`` if it is required, ``[=P]`` if there is a default."""
    text: str
    distort: Callable[[SandboxReply, Fault], SandboxReply] = _as_it_is
    param: str | None = None
    """A pattern that the whole parameter matches; None: there is no parameter."""
    default: str | None = ""
    """The default of the parameter; None: it is required."""
    names: str | None = None
    """A pattern that the whole name matches, for a family of names; None: only the one shown."""
    ignore: Callable[[Fault], tuple[str, ...]] = _nothing
    """Returns which of FIELDS are silently removed from the request before it is processed."""
    endpoints: tuple[Endpoint, ...] = tuple(Endpoint)
    """Those that it can strike."""

    def called(self, name: str) -> bool:
        """Return whether ``name`` names this kind."""
        return re.fullmatch(self.names or re.escape(re.split(r"\[?=", self.shown)[0]), name, re.ASCII) is not None


@immutable
class Fault:
    """One kind of fault and the requests that it strikes."""

    spec: str
    name: str
    param: str
    kind: FaultKind
    endpoint: Endpoint
    first: int
    last: int | None
    """The last request struck, counted from 1 like ``first``; None: no end."""
    share: float
    """The share of those requests that is struck, above 0 and up to 1."""
    seed: str

    def strikes(self, endpoint: Endpoint, number: int) -> bool:
        """Return whether the ``number``-th request to ``endpoint`` is struck; always the same answer."""
        if endpoint is not self.endpoint or number < self.first or (self.last is not None and number > self.last):
            return False
        if self.share == 1:
            return True
        drawn = sha256(f"{self.seed}:{self.name}:{number}".encode()).digest()
        return int.from_bytes(drawn[:8]) < self.share * 2**64

    @property
    def processed(self) -> bool:
        """Whether the request is processed before the fault strikes."""
        return self.kind not in UNPROCESSED

    @property
    def ignored(self) -> tuple[str, ...]:
        """Which of FIELDS in the request are ignored."""
        return self.kind.ignore(self)

    def distorted(self, honest: SandboxReply) -> SandboxReply:
        """Return what is sent instead of ``honest``."""
        return self.kind.distort(honest, self)


def _edited(reply: SandboxReply, **changes: object) -> SandboxReply:
    return replace(reply, body=json.dumps({**json.loads(reply.body), **changes}).encode())


def _silence(reply: SandboxReply, _: Fault) -> SandboxReply:
    return replace(reply, status=None, wire=b"", ending=Ending.CLOSE)


def _reset(reply: SandboxReply, _: Fault) -> SandboxReply:
    return replace(reply, status=None, wire=b"", ending=Ending.RESET)


def _delayed(reply: SandboxReply, fault: Fault) -> SandboxReply:
    return replace(reply, wait=float(fault.param))


def _cut(reply: SandboxReply, _: Fault) -> SandboxReply:
    whole = reply.body
    return replace(reply, declared=len(whole), body=whole[: len(whole) // 2], ending=Ending.CLOSE)


def _not_json(reply: SandboxReply, _: Fault) -> SandboxReply:
    return replace(reply, body=b"<html><body>It works!</body></html>")


def _without_key(reply: SandboxReply, _: Fault) -> SandboxReply:
    document = json.loads(reply.body)
    document.pop("api_key", None)
    return replace(reply, body=json.dumps(document).encode())


def _key_twice(reply: SandboxReply, _: Fault) -> SandboxReply:
    return replace(reply, body=b'{"api_key": "another", ' + reply.body.removeprefix(b"{"))


def _coded(reply: SandboxReply, fault: Fault) -> SandboxReply:
    return _edited(reply, code=int(fault.param), message="Something was not right.")


def _status(_: SandboxReply, fault: Fault) -> SandboxReply:
    headers = (("Retry-After", fault.param),) if fault.param else ()
    return refused(int(fault.name[:3]), 121, f"Requested by the fault {fault.name}.", headers=headers)


def _redirect(_: SandboxReply, fault: Fault) -> SandboxReply:
    status = HTTPStatus.TEMPORARY_REDIRECT if fault.name == "redirect" else int(fault.name)
    return answered(status, {}, headers=(("Location", fault.param),))


def _limit(_: SandboxReply, __: Fault) -> SandboxReply:
    return LIMIT_REACHED


def _broken_status(reply: SandboxReply, _: Fault) -> SandboxReply:
    return replace(reply, status=None, wire=b"HTTQ/9 what?\r\n\r\n", ending=Ending.CLOSE)


def _interim(reply: SandboxReply, fault: Fault) -> SandboxReply:
    status = int(fault.param)
    return replace(reply, status=status, wire=f"{status_line(status)}\r\n\r\n".encode(), ending=Ending.CLOSE)


def _interim_first(reply: SandboxReply, fault: Fault) -> SandboxReply:
    return replace(reply, before=f"{status_line(int(fault.param))}\r\n\r\n".encode())


def _relabelled(reply: SandboxReply, fault: Fault) -> SandboxReply:
    headers = (("Retry-After", fault.param),) if fault.param else ()
    return replace(reply, status=int(fault.name[:3]), headers=headers)


def _huge(reply: SandboxReply, fault: Fault) -> SandboxReply:
    return replace(reply, body=reply.body.ljust(int(fault.param)))


def _drip(reply: SandboxReply, fault: Fault) -> SandboxReply:
    return replace(reply, pace=float(fault.param))


def _success(reply: SandboxReply, fault: Fault) -> SandboxReply:
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
    FaultKind("lost", "the connection closes before a byte is sent", _silence),
    FaultKind("reset-after", "a TCP reset", _reset),
    FaultKind("delay=SECONDS", "the answer is late by that much", _delayed, _SECONDS, None),
    FaultKind("cut", "half of the body that Content-Length declares", _cut),
    FaultKind("not-json", "the body is an HTML page", _not_json),
    FaultKind("missing-credential", "the answer lacks api_key", _without_key),
    FaultKind("duplicate-credential", "the answer has api_key twice", _key_twice),
    FaultKind("code[=NUMBER]", "the body carries a code, by default 121", _coded, r"\d{1,9}", "121"),
    FaultKind("200 … 203", "that status instead of the usual one", _success, names="20[0-3]"),
    FaultKind("huge[=BYTES]", "a body of that size, by default 16 MiB", _huge, r"\d{1,9}", str(16 * 2**20)),
    FaultKind("drip[=SECONDS]", "the answer comes byte by byte, by default one every 0.1 s", _drip, _SECONDS, "0.1"),
    FaultKind("broken-status", "the status line is garbage", _broken_status),
    FaultKind("1xx[=STATUS]", "an interim status, by default 103, and nothing after it", _interim, r"1\d\d", "103"),
    FaultKind(
        "interim[=STATUS]", "an interim status, by default 103, and then the answer", _interim_first, r"1\d\d", "103"
    ),
    FaultKind("NNN-after[=RETRY_AFTER]", "400 to 599, though processed", _status, _PRINTABLE, names=r"[45]\d\d-after"),
    FaultKind(
        "NNN-body[=RETRY_AFTER]",
        "400 to 599, though processed and with the usual body",
        _relabelled,
        _PRINTABLE,
        names=r"[45]\d\d-body",
    ),
)
"""The request is processed first, so the account is created. A refusal stays as it is: its outcome is certain."""

INATTENTIVE: Final = (
    FaultKind(
        "drop=FIELD", "as if FIELD were not given", param=_FIELD, default=None, ignore=_the_one, endpoints=_WRITING
    ),
    FaultKind("ignored", "as if nothing were given", ignore=_everything, endpoints=(Endpoint.EDIT,)),
)
"""A part of the request is ignored, and the answer does not show it. A refusal stays as it is."""

UNPROCESSED: Final = (
    FaultKind("reset-before", "a TCP reset", _reset),
    FaultKind("limit", "refused as if the limit were reached", _limit),
    FaultKind("NNN[=RETRY_AFTER]", "400 to 599; Retry-After is any text", _status, _PRINTABLE, names=r"[45]\d\d"),
    FaultKind(
        "redirect[=URL]", "307 to another host; also 301, 302, 303, 308", _redirect, _URL, _ELSEWHERE, _REDIRECTS
    ),
)
"""Nothing is checked, not even the credentials."""

KINDS: Final = (*PROCESSED, *INATTENTIVE, *UNPROCESSED)
