"""What people do in Octopush's dashboard because the API has no call for it: here the sandbox has calls for it.

They need no credentials, no fault strikes them, and they are not among the requests that
are listed and counted:

- ``GET /sandbox/accounts``: the accounts of all parents, oldest first, ``[{"parent",
  "api_login", "first_name", "last_name", "company_name", "callbacks"}]``, where
  ``parent`` is the parent's login.
- ``PATCH /sandbox/accounts/{login}``: sets any of ``first_name``, ``last_name``,
  ``company_name``, ``callbacks`` and ``api_key`` to exactly the given value; of
  ``callbacks`` only those that are named, and null clears one. Answers the account as it
  is listed, or 400 if a value cannot be set, and then changes nothing.
- ``DELETE /sandbox/accounts/{login}``: deletes the account, and frees its slot.
- ``GET /sandbox/requests``: what the API received, ``[{"n", "method", "path",
  "status", "fault"}]``, the latest 10,000, with null for a status that was not, or
  not yet, sent.

HTTP and storage are elsewhere. Never shows a password or a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import Enum
from http import HTTPStatus
from typing import Final

from provisioner.sandbox.accounts import SandboxAccounts
from provisioner.sandbox.received import Received
from provisioner.sandbox.reply import SandboxReply, answered
from provisioner.sandbox.request import SandboxRequest, routed

BY_HAND: Final = "/sandbox/"


class Action(Enum):
    """What can be done in the dashboard."""

    REQUESTS = "requests"
    ACCOUNTS = "accounts"
    CHANGE = "change"
    DELETE = "delete"


ROUTES: Final[tuple[tuple[re.Pattern[str], Mapping[str, Action]], ...]] = (
    (re.compile(f"{BY_HAND}requests"), {"GET": Action.REQUESTS}),
    (re.compile(f"{BY_HAND}accounts"), {"GET": Action.ACCOUNTS}),
    (re.compile(f"{BY_HAND}accounts/([^/]+)"), {"PATCH": Action.CHANGE, "DELETE": Action.DELETE}),
)


class Dashboard:
    """The calls of the dashboard; safe to share between threads."""

    def __init__(self, accounts: SandboxAccounts, received: Received) -> None:
        self._accounts = accounts
        self._received = received

    def answer(self, request: SandboxRequest) -> SandboxReply:
        """Return the answer, which ends with a newline for a terminal; raises RefusalError."""
        done = self._done(request)
        return replace(done, body=done.body + b"\n")

    def _done(self, request: SandboxRequest) -> SandboxReply:
        action, login = routed(request, ROUTES)
        match action:
            case Action.REQUESTS:
                return answered(HTTPStatus.OK, [asdict(each) for each in self._received.every()])
            case Action.ACCOUNTS:
                return answered(HTTPStatus.OK, [each.listed() for each in self._accounts.every()])
            case Action.CHANGE:
                account = self._accounts.set_by_hand(login, request.document())
                return answered(HTTPStatus.OK, account.listed())
            case Action.DELETE:
                self._accounts.delete(login)
                return answered(HTTPStatus.OK, {})
