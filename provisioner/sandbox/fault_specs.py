"""The specification of a fault, as in ``lost@3``.

Has the grammar of a fault, its explanation, and every message about an invalid one. What
each kind does is in ``faults``.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from provisioner.errors import CommandInvalid
from provisioner.model.account import CALLBACK_NAMES
from provisioner.sandbox.faults import INATTENTIVE, KINDS, PROCESSED, UNPROCESSED, Fault, FaultKind
from provisioner.sandbox.request import Endpoint

_GRAMMAR: Final = f"KIND[=PARAM]@WHEN[:{'|'.join(Endpoint)}]"
_WHEN: Final = re.compile(
    r"(?:(?P<first>[1-9]\d{0,8})(?P<range>-(?P<last>[1-9]\d{0,8})?)?"
    r"|(?P<share>\d{1,3}(?:\.\d{1,6})?)%(?:/(?P<seed>\w+))?"
    r"|\*)"
    rf"(?::(?P<endpoint>{'|'.join(Endpoint)}))?",
    re.ASCII,
)


def _described(kinds: tuple[FaultKind, ...]) -> tuple[str, ...]:
    return tuple(f"  {kind.shown:<23}  {kind.text}{_only(kind)}" for kind in kinds)


def _only(kind: FaultKind) -> str:
    return "" if kind.endpoints == tuple(Endpoint) else f"; only for {' and '.join(kind.endpoints)}"


FAULT_HELP: Final = "\n".join(
    (
        f"{_GRAMMAR}; the endpoint is create unless given; if several faults match, the first one strikes.",
        "WHEN counts the requests to the endpoint from 1:",
        "  3        the third",
        "  3-5      the third to the fifth; 3- has no end",
        "  *        each",
        "  10%      one in ten, different ones at every start",
        "  10%/42   one in ten, the same ones at every start; 42 is any word",
        "KIND after the request is processed and the account created:",
        *_described(PROCESSED),
        "KIND while the request is processed; the answer is a success, but the old value stays:",
        *_described(INATTENTIVE),
        "  FIELD is first_name, last_name, company_name, password, callbacks or one of these:",
        *(f"    {name}" for name in CALLBACK_NAMES),
        "KIND before anything is processed:",
        *_described(UNPROCESSED),
    )
)


def parse_fault(spec: str) -> Fault:
    """Return the fault that ``spec`` describes, as in ``lost@3``, ``429=2@1-2:read`` or ``503@10%/42``.

    Raises CommandInvalid, with the grammar and the kinds as its hint.
    """
    what, at, when = spec.rpartition("@")
    name, equals, given = what.partition("=")
    kind = next((each for each in KINDS if each.called(name)), None)
    if not at or kind is None:
        raise _invalid(spec, f"{name!r} is not a kind of fault" if at else "it does not say when, as in @3")
    return _placed(spec, when, name, kind, _param(spec, kind, given if equals else None))


def _param(spec: str, kind: FaultKind, given: str | None) -> str:
    if given is None:
        if kind.default is None:
            raise _invalid(spec, f"it needs a parameter, {kind.shown}")
        return kind.default
    if kind.param is None:
        raise _invalid(spec, f"{kind.shown} takes no parameter")
    if not re.fullmatch(kind.param, given, re.ASCII):
        raise _invalid(spec, f"{given!r} does not fit {kind.shown}")
    return given


def _placed(spec: str, when: str, name: str, kind: FaultKind, param: str) -> Fault:
    found = _WHEN.fullmatch(when)
    if found is None:
        raise _invalid(spec, f"{when!r} is not a valid WHEN")
    first = int(found["first"] or 1)
    last = int(found["last"]) if found["last"] else first if found["first"] and not found["range"] else None
    share = float(found["share"]) / 100 if found["share"] else 1.0
    if (last is not None and last < first) or not 0 < share <= 1:
        raise _invalid(spec, f"{when!r} means never, or more than always")
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
    return CommandInvalid(f"The fault {spec!r} is not valid: {reason}", hint=FAULT_HELP)
