"""What a refusal means, and a request that found nobody: one table for every call.

Owns whether to try again, to go on or to stop, and what is to be checked. Refuses to
judge a success and whatever leaves a doubt: those depend on the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from provisioner.errors import ExitCode
from provisioner.model.verdict import Then
from provisioner.octopush import answers
from provisioner.octopush.transport import Failure, Reply

RETRIED: Final = frozenset({408, 421, 425, 429})
"""Statuses that say that the request was not processed and may be sent again."""
UNREACHED: Final = "Check that OCTOPUSH_API_URL and the proxy, if there is one, are right and can be reached from here."
UNANSWERED: Final = (
    "The address was reached, and gave no answer: try again later. If it lasts, look at the proxy, if there is one."
)
MISPLACED: Final = (
    "Check OCTOPUSH_API_URL, or api_url in the settings: Octopush's own address is https://api.octopush.com/v1/public,"
    " with that path. If it is right, something between here and Octopush answers in its place."
)
EXPOSED: Final = "The parent's key goes with every request: use https. Plain http is for this machine alone."
INTERRUPTED: Final = "the run was interrupted before it was sent"
DISTRUSTED: Final = "Do not go on until you know who answered. For a certificate authority of your own, set ca_file."
PARENT_CREDENTIALS: Final = "OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY"
"""Where the login and the key come from, unless the settings name other variables."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials a call carries, in the words of a refusal."""

    credentials: str
    """As in ``the parent's credentials``."""
    unaccepted: str
    """What to check where the API does not accept them."""
    unpaid: str = ""
    """What to check where the API asks for payment."""
    of_login: bool = False
    """Whether the path holds a login: one such as ``create`` may lead to another call (405), at the right address."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request came to nothing, and what follows."""

    reason: str
    then: Then
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    exit_code: ExitCode = ExitCode.SOME_FAILED
    hint: str = ""


def refused(reply: Reply, said: str, now: datetime, caller: Caller) -> Refusal:
    """Return what a 4xx means; a 404 by which the API itself says that it knows no such login is none.

    ``said`` are the API's own words, secrets masked; ``now`` is what a ``Retry-After`` date is counted from.
    """
    status = reply.status
    # Another host than was meant may have answered.
    who = f"{reply.host}, HTTP {status}" if reply.host else f"HTTP {status}"
    page = answers.is_page(reply)
    missed = {HTTPStatus.NOT_FOUND} if caller.of_login else {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
    match status:
        case _ if status in RETRIED:  # a gateway says so with a page, too
            wait = answers.retry_after(reply, now)
            return Refusal(f"the API asked to try later (HTTP {status}{said})", Then.RETRY, wait)
        case _ if page or status in missed:
            what = "a web page answered instead of the API" if page else "the API has no such call at this address"
            return Refusal(f"{what} ({who}{said})", Then.STOP, exit_code=ExitCode.SETTING_INVALID, hint=MISPLACED)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Refusal(
                f"the API did not accept {caller.credentials} ({who}{said})",
                Then.STOP,
                exit_code=ExitCode.SETTING_INVALID,
                # What the code of a wrong login or key asks for is said already, of the right ones.
                hint=_joined(caller.unaccepted, "" if answers.blames_credentials(reply) else answers.hint(reply)),
            )
        case HTTPStatus.PAYMENT_REQUIRED:
            hint = _joined(caller.unpaid, answers.hint(reply))
            return Refusal(f"the API asks for payment (HTTP {status}{said})", Then.STOP, hint=hint)
        case _:
            todo = answers.hint(reply).rstrip(".")
            also = f"; {todo[0].lower()}{todo[1:]}" if todo else ""
            return Refusal(f"the API refused it (HTTP {status}{said}){also}", Then.GO_ON)


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def unanswered(failure: Failure) -> Refusal:
    """Return what it means that no answer arrived, for a request that may be sent again."""
    if failure.interrupted:
        return Refusal(failure.told, Then.STOP)
    if failure.certificate:
        return Refusal(failure.told, Then.STOP, hint=DISTRUSTED)
    if failure.exposed:
        return Refusal(failure.told, Then.STOP, exit_code=ExitCode.SETTING_INVALID, hint=EXPOSED)
    return Refusal(failure.told, Then.RETRY, hint=UNANSWERED if failure.sent else UNREACHED)
