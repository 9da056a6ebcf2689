"""Judges the outcome of one read, edit or balance request.

These may be sent again, so an answer that leaves the outcome open is a reason to retry.
Pure, and total: no function here raises, whatever the bytes. Facts about the API
are marked documented, seen or inferred.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any, Final, TypeGuard

from provisioner.model.account import CALLBACK_NAMES, Secret, is_key
from provisioner.model.exchange import Balance, Edited, EditVerdict, Failed, Missing, Observed, Pack, Reading
from provisioner.model.verdict import Then
from provisioner.octopush import answers
from provisioner.octopush.refusals import PARENT_CREDENTIALS, RETRIED, Caller, Refusal, refused, unanswered
from provisioner.octopush.transport import Failure, Reply

_EARLIEST: Final = timezone(timedelta(hours=14))
"""The time zone in which a day ends first."""
_EMAIL: Final = "email_for_inbounds"
_OWNER: Final = Caller(
    "the credentials", unaccepted="Check whether somebody changed the sub-account's own key at Octopush."
)


def judge_edit(
    outcome: Reply | Failure,
    *,
    retry_on_429: bool = True,
    now: datetime,
    hidden: Sequence[str] = (),
    credential_names: str = PARENT_CREDENTIALS,
) -> EditVerdict:
    """Return the outcome of one edit; ``credential_names`` says where the parent's login and key come from.

    The body of a success is not documented (seen: 201), so none is required. An error in it is
    believed, and an incomplete or malformed body may have contained one. Without
    ``retry_on_429``, 408, 421, 425 and 429 do not prove that nothing was processed, and a
    malformed refusal never does.
    """
    if (unknown := _unknown_login(outcome, hidden)) is not None:
        return unknown
    if (unsuccessful := _unsuccessful(outcome, now, hidden, _parent(credential_names))) is not None:
        return replace(unsuccessful, possible=unsuccessful.possible or _proves_nothing(outcome, retry_on_429))
    assert isinstance(outcome, Reply)  # noqa: S101  # only a reply can be a success
    if _carries_an_error(_document(outcome)):
        words = answers.words(outcome, hidden)
        return Failed(f"HTTP {outcome.status}, but the answer carries an error{words}", Then.GO_ON, possible=True)
    return Edited()


def judge_read(
    outcome: Reply | Failure,
    *,
    now: datetime,
    hidden: Sequence[str] = (),
    credential_names: str = PARENT_CREDENTIALS,
) -> Reading:
    """Return the outcome of one read; ``credential_names`` says where the parent's login and key come from.

    Reading differs from writing (documented): ``callbacks`` is read as ``callback``,
    ``email_for_inbounds`` as ``email``, and a URL that is not set as null.
    """
    if (unknown := _unknown_login(outcome, hidden)) is not None:
        return unknown
    document = _read_document(outcome, now, hidden, _parent(credential_names))
    if not isinstance(document, dict):
        return document
    fields: dict[str, str | None] = {}
    for name in ("first_name", "last_name", "company_name"):
        _record(fields, name, document, name)
    callbacks = document.get("callback")
    if "callback" in document and not callbacks:
        callbacks = dict.fromkeys((*CALLBACK_NAMES, "email"))  # null, or an empty list: none is set
    if isinstance(callbacks, dict):
        for name in CALLBACK_NAMES:
            _record(fields, f"callbacks.{name}", callbacks, "email" if name == _EMAIL else name)
    key = document.get("api_key")
    return Observed(fields, Secret(key) if isinstance(key, str) and is_key(key) else None)


def judge_balance(outcome: Reply | Failure, *, now: datetime, hidden: Sequence[str] = ()) -> Balance | Failed:
    """Return the outcome of one balance request (documented: ``{"amount": 12.54, "unit": "euros"}``).

    With details (documented), ``wallet_packs`` are added, as in ``{"wallet_pack_id": 1, "credit": 12.54,
    "expiration_date": "2030-10-23T13:41:46+02:00"}``. A malformed pack does not invalidate the balance.
    """
    document = _read_document(outcome, now, hidden, _OWNER)
    if isinstance(document, Failed):
        return document
    amount, unit = document.get("amount"), document.get("unit")
    if not (_is_amount(amount) and isinstance(unit, str) and answers.is_whole(unit)):
        return Failed("the answer contains no balance", Then.GO_ON)
    packs = document.get("wallet_packs")
    return Balance(amount, unit, _packs(packs if isinstance(packs, list) else ()))


def _packs(these: Iterable[object]) -> tuple[Pack, ...]:
    """Return the packs with a credit and an expiration date, first to expire first."""
    found: list[Pack] = []
    for each in these:
        match each:
            case {"credit": credit, "expiration_date": str(date)} if _is_amount(credit) and credit > 0:
                with suppress(ValueError):
                    expires = datetime.fromisoformat(date)
                    # Without a time zone, assume the earliest possible end, to be careful.
                    found.append(Pack(credit, expires if expires.tzinfo else expires.replace(tzinfo=_EARLIEST)))
    return tuple(sorted(found, key=lambda pack: pack.expires))


def _parent(credential_names: str) -> Caller:
    unaccepted = f"Check {credential_names}, and that they are the parent's."
    return Caller("the credentials", unaccepted=unaccepted, of_login=True)


def _unknown_login(outcome: Reply | Failure, hidden: Sequence[str]) -> Missing | None:
    """Return Missing if the API says that there is no such account: a 404 with JSON, as in its errors (seen), or empty.

    Any other 404 comes from another server, which has no accounts.
    """
    if isinstance(outcome, Failure) or outcome.status != HTTPStatus.NOT_FOUND:
        return None
    if answers.doubt(outcome) is not None or (outcome.body.strip() and _document(outcome) is None):
        return None
    return Missing(f"Octopush does not know its login (HTTP {outcome.status}{answers.words(outcome, hidden)})")


def _unsuccessful(outcome: Reply | Failure, now: datetime, hidden: Sequence[str], caller: Caller) -> Failed | None:
    """Return the failure of an outcome that is not a complete success from an API, or None."""
    if isinstance(outcome, Failure):
        ended = unanswered(outcome)
        return replace(_failed(ended), possible=outcome.sent, unanswered=ended.then is Then.RETRY)
    status, words, wait = outcome.status, answers.words(outcome, hidden), answers.retry_after(outcome, now)
    refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if _is_success(outcome) or refusal:
        if (doubt := answers.doubt(outcome)) is not None:
            return Failed(f"HTTP {status}, but {doubt}", Then.RETRY, wait)
        return _failed(refused(outcome, words, now, caller)) if refusal or answers.is_page(outcome) else None
    if status // 100 == 3:  # noqa: PLR2004  # the class of redirects
        reason = f"the API redirected it to another address (HTTP {status}), which is not followed"
        return Failed(reason, Then.STOP, possible=True)
    return Failed(f"the API answered HTTP {status}{words}", Then.RETRY, wait, possible=True)


def _proves_nothing(outcome: Reply | Failure, retry_on_429: bool) -> bool:  # noqa: FBT001  # one call, one meaning
    """Return whether an answer other than a success leaves open whether an edit was carried out."""
    if isinstance(outcome, Failure):
        return False
    is_untrusted = outcome.status in RETRIED and not retry_on_429
    return is_untrusted or _is_success(outcome) or answers.doubt(outcome) is not None


def _is_success(reply: Reply) -> bool:
    return HTTPStatus.OK <= reply.status < answers.ACCEPTED


def _failed(refusal: Refusal) -> Failed:
    return Failed(refusal.reason, refusal.then, refusal.retry_after, refusal.exit_code, refusal.hint)


def _read_document(
    outcome: Reply | Failure, now: datetime, hidden: Sequence[str], caller: Caller
) -> dict[str, Any] | Failed:
    """Return the object in a successful answer."""
    if (unsuccessful := _unsuccessful(outcome, now, hidden, caller)) is not None:
        return unsuccessful
    assert isinstance(outcome, Reply)  # noqa: S101  # only a reply can be a success
    document = _document(outcome)
    if document is None:
        return Failed(f"HTTP {outcome.status}, but the answer is not a JSON object", Then.RETRY)
    if _carries_an_error(document):
        words = answers.words(outcome, hidden)
        return Failed(f"HTTP {outcome.status}, but the answer carries an error{words}", Then.GO_ON)
    return document


def _document(reply: Reply) -> dict[str, Any] | None:
    try:
        document = answers.parsed(reply.body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _carries_an_error(document: Mapping[str, Any] | None) -> bool:
    """Return whether a success is really an error (seen in clients): its code is not zero."""
    return document is not None and document.get("code") not in (0, "0", None)


def _is_amount(value: object) -> TypeGuard[float]:
    """Return whether ``value`` is a number: not NaN, and not too large for a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _record(fields: dict[str, str | None], path: str, document: Mapping[str, Any], key: str) -> None:
    """Record the value of ``key`` in ``fields`` if a field can have it; ignore any other."""
    value = document.get(key, ...)
    if value is None or (isinstance(value, str) and answers.is_whole(value)):
        fields[path] = value
