"""Judges the outcome of one create request.

Decides which answers prove that an account was created, which that it was not, and
which leave a doubt. Pure, and total: it never raises, whatever the bytes. Facts about
the API are marked documented, seen or inferred.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Final

from provisioner.errors import ExitCode
from provisioner.model.account import Credentials, Secret, is_key, is_login
from provisioner.model.verdict import Answer, Created, NotCreated, OutcomeUnknown, Then, Verdict
from provisioner.octopush import answers
from provisioner.octopush.refusals import PARENT_CREDENTIALS, RETRIED, Caller, Refusal, refused, unanswered
from provisioner.octopush.transport import Failure, Reply

# How Octopush refuses the 21st sub-account is not documented. A refusal that mentions a
# limit and sub-accounts, but not a length, counts as one. If that is wrong, the run only
# stops early.
_LIMIT: Final = r"(?is)(?=.*(?:limit|maximum|quota|too many))(?=.*sub.?accounts?)(?!.*(?:length|characters|too long))"


def judge(  # noqa: PLR0913  # the outcome, the assumptions about gateways, and what the messages need
    outcome: Reply | Failure,
    *,
    retry_on_429: bool = True,
    retry_on_503: bool = False,
    now: datetime,
    hidden: Sequence[str] = (),
    credential_names: str = PARENT_CREDENTIALS,
) -> Verdict:
    """Return the verdict on one create request.

    ``retry_on_429`` assumes that a server which answers 408, 421, 425 or 429 has not processed
    the request, and ``retry_on_503`` assumes the same for 503; otherwise the outcome is unknown.
    ``now`` is the time that a ``Retry-After`` date is relative to. ``hidden`` are the texts in the
    request, including the parent's login and key, that no reason may repeat even if the API
    echoes them. ``credential_names`` says where login and key come from.
    """
    if isinstance(outcome, Failure):
        return _judge_failure(outcome)
    status = outcome.status
    if HTTPStatus.OK <= status < answers.ACCEPTED:
        return _judge_success(outcome, answers.words(outcome, hidden))
    if answers.holds_credentials(outcome.body, hidden):
        return OutcomeUnknown(
            f"the API answered HTTP {status}, and the answer contains a login or a key", _answer(outcome)
        )
    words = answers.words(outcome, hidden)
    unavailable = status == HTTPStatus.SERVICE_UNAVAILABLE and retry_on_503
    refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    doubt = answers.doubt(outcome) if unavailable or refusal else None
    if unavailable and doubt is None:
        return NotCreated(f"the API is not available (HTTP {status})", Then.RETRY, answers.retry_after(outcome, now))
    if refusal and doubt is None and (retry_on_429 or status not in RETRIED):
        return _judge_refusal(outcome, words, now, credential_names)
    match status // 100:
        case _ if doubt is not None:
            what = doubt
        case 4:
            what = "it may have created the account anyway"
        case 1:
            what = "no final answer"
        case 3:
            what = "redirected to another address, which is not followed"
        case _:
            what = "it may have created the account before it failed"
    return OutcomeUnknown(f"the API answered HTTP {status}: {what}", _answer(outcome), words)


def _judge_failure(failure: Failure) -> Verdict:
    if failure.sent:
        return OutcomeUnknown(f"{failure.reason_with_host}, after the request was sent")
    refusal = unanswered(failure)
    if refusal.then is Then.RETRY:
        refusal = replace(refusal, reason=f"{refusal.reason}, before the request was sent")
    return _not_created(refusal)


def _judge_success(reply: Reply, words: str) -> Verdict:
    if reply.cut is not None:
        return OutcomeUnknown(f"HTTP {reply.status}, but the answer was cut: {reply.cut}", _answer(reply))
    try:
        document = answers.parsed(reply.body)
    except answers.RepeatedKeyError as error:
        return OutcomeUnknown(f"HTTP {reply.status}, but the answer repeats {error}", _answer(reply))
    except ValueError:
        what = "a web page" if answers.is_page(reply) else "not JSON"
        return OutcomeUnknown(f"HTTP {reply.status}, but the answer is {what}", _answer(reply))
    if not isinstance(document, dict):
        return OutcomeUnknown(f"HTTP {reply.status}, but the answer is not a JSON object", _answer(reply))
    # An error may come with a status of success (seen in clients): its code is not zero.
    if document.get("code") not in (0, "0", None):
        return OutcomeUnknown(f"HTTP {reply.status}, but the answer carries an error", _answer(reply), words)
    login, key = document.get("api_login"), document.get("api_key")
    if not (isinstance(login, str) and login.strip() and isinstance(key, str) and key.strip()):
        return OutcomeUnknown(f"HTTP {reply.status}, but the answer lacks a credential", _answer(reply))
    for name, usable in (("api_login", is_login(login)), ("api_key", is_key(key))):
        if not usable:
            return OutcomeUnknown(
                f"HTTP {reply.status}, but the answer has an {name} that cannot be used", _answer(reply)
            )
    warning = None if reply.status == HTTPStatus.CREATED else f"created, though the API answered HTTP {reply.status}"
    return Created(Credentials(login, Secret(key)), warning)


def _judge_refusal(reply: Reply, words: str, now: datetime, credential_names: str) -> Verdict:
    caller = Caller(
        "the parent's credentials",
        unaccepted=f"Check {credential_names}, and that they may create sub-accounts.",
        unpaid="Check the parent's balance.",
    )
    refusal = refused(reply, words, now, caller)
    if refusal.then is not Then.RETRY and re.match(_LIMIT, answers.message(reply)):
        return NotCreated(
            f"the API refused one more sub-account (HTTP {reply.status}{words})",
            Then.STOP,
            exit_code=ExitCode.REFUSED,
            hint="Count the sub-accounts in the dashboard: set `limit` if Octopush gives you fewer, or `reserved` for"
            " those outside this state.",
        )
    return _not_created(refusal)


def _not_created(refusal: Refusal) -> NotCreated:
    return NotCreated(refusal.reason, refusal.then, refusal.retry_after, refusal.exit_code, refusal.hint)


def _answer(reply: Reply) -> Answer | None:
    return Answer(reply.status, reply.body) if reply.body else None
