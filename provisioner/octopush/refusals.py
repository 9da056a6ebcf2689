"""The meaning of a refusal, or of no answer: one table for every call.

Decides whether to retry, to go on or to stop, and what the user should check. Does not judge
a success or a doubtful answer: those depend on the call.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Final

from provisioner.errors import ExitCode
from provisioner.immutable import immutable
from provisioner.model.verdict import Then
from provisioner.octopush import answers
from provisioner.octopush.transport import Failure, Reply

RETRIED: Final = frozenset({408, 421, 425, 429})
"""Statuses that mean that the request was not processed and may be sent again."""
UNREACHED: Final = "Check that OCTOPUSH_API_URL and the proxy, if you use one, are right and can be reached from here."
UNANSWERED: Final = (
    "The server was reached, but did not answer: try again later. If it keeps failing, check the proxy, if you use one."
)
MISPLACED: Final = (
    "Check OCTOPUSH_API_URL, or api_url in the settings: Octopush's own address is https://api.octopush.com/v1/public,"
    " with that path. If it is right, something between here and Octopush answers instead."
)
EXPOSED: Final = "Every request carries the parent's key: use https. Plain http is for this machine alone."
INTERRUPTED: Final = "the run was interrupted before it was sent"
DISTRUSTED: Final = "Do not go on until you know who answered. For a certificate authority of your own, set ca_file."
PARENT_CREDENTIALS: Final = "OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY"
"""Where the login and the key come from, unless the settings name other variables."""


@immutable
class Caller:
    """Whose credentials a call carries, for the messages of a refusal."""

    credentials: str
    """As in ``the parent's credentials``."""
    unaccepted: str
    """What to check if the API does not accept them."""
    unpaid: str = ""
    """What to check if the API asks for payment."""
    of_login: bool = False
    """Whether the path contains a login; a login such as ``create`` leads to another call (405) at a right address."""


@immutable
class Refusal:
    """Why a request failed, and what to do next."""

    reason: str
    then: Then
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    exit_code: ExitCode = ExitCode.SOME_FAILED
    hint: str = ""


def refused(reply: Reply, words: str, now: datetime, caller: Caller) -> Refusal:
    """Return the meaning of a 4xx, except a 404 in which the API itself says that it does not know a login.

    ``words`` are the API's own, with secrets masked; ``now`` is the time that a ``Retry-After`` date is relative to.
    """
    status = reply.status
    # The wrong host may have answered.
    who = f"{reply.host}, HTTP {status}" if reply.host else f"HTTP {status}"
    page = answers.is_page(reply)
    missed = {HTTPStatus.NOT_FOUND} if caller.of_login else {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
    match status:
        case _ if status in RETRIED:  # a gateway says so with a page, too
            wait = answers.retry_after(reply, now)
            return Refusal(f"the API asked to try later (HTTP {status}{words})", Then.RETRY, wait)
        case _ if page or status in missed:
            what = "a web page answered instead of the API" if page else "the API has no such call at this address"
            return Refusal(f"{what} ({who}{words})", Then.STOP, exit_code=ExitCode.SETTING_INVALID, hint=MISPLACED)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Refusal(
                f"the API did not accept {caller.credentials} ({who}{words})",
                Then.STOP,
                exit_code=ExitCode.SETTING_INVALID,
                # The hint of a wrong login or key would repeat this one, less precisely.
                hint=_joined(caller.unaccepted, "" if answers.blames_credentials(reply) else answers.hint(reply)),
            )
        case HTTPStatus.PAYMENT_REQUIRED:
            hint = _joined(caller.unpaid, answers.hint(reply))
            return Refusal(f"the API asks for payment (HTTP {status}{words})", Then.STOP, hint=hint)
        case _:
            todo = answers.hint(reply).rstrip(".")
            also = f"; {todo[0].lower()}{todo[1:]}" if todo else ""
            return Refusal(f"the API refused it (HTTP {status}{words}){also}", Then.GO_ON)


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def unanswered(failure: Failure) -> Refusal:
    """Return the meaning of no answer, for a request that may be sent again."""
    if failure.interrupted:
        return Refusal(failure.reason_with_host, Then.STOP)
    if failure.certificate:
        return Refusal(failure.reason_with_host, Then.STOP, hint=DISTRUSTED)
    if failure.exposed:
        return Refusal(failure.reason_with_host, Then.STOP, exit_code=ExitCode.SETTING_INVALID, hint=EXPOSED)
    return Refusal(failure.reason_with_host, Then.RETRY, hint=UNANSWERED if failure.sent else UNREACHED)
