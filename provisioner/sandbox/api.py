"""What the API does: its four calls, and the source of each behaviour.

Decides who may call, what is called and the honest answer. HTTP, faults and storage are
elsewhere.

- documented by Octopush: the paths, the authentication headers, the fields of the
  requests, the answers of create, read and balance; that reading and writing
  differ (``callbacks`` is read back as ``callback``, ``email_for_inbounds`` as
  ``email``, a URL that is not set as ``null``); that a limit exists, 20 by default;
  that a request with incorrect values is silently corrected and succeeds.
- seen in clients: the form of a login; 201 as the answer to an edit; a refusal as
  ``{"code", "message"}``; in older ones, the code 210 for an account that is not one
  of the parent's own.
- guessed: that 210 also means an account that nobody has, and comes with 404; every
  other code, and every message; how an account over the limit is refused (400); the
  answers to a missing field or wrong credentials (400, 401; 403 if a sub-account makes
  a call of its parent's); which characters are prohibited; that a number or a boolean
  given as a text is cast and anything else ignored; that an edit keeps what it does
  not name, replaces ``callbacks`` as a whole and clears a company that is ``null`` or
  empty; the names of the URLs in ``callback``, and the body of an edit (``{}``).

The content of a balance is in ``wallet``.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Final

from provisioner.sandbox.account import SandboxAccount
from provisioner.sandbox.accounts import SandboxAccounts
from provisioner.sandbox.parent import SandboxParent
from provisioner.sandbox.reply import SandboxReply, answered, refuse
from provisioner.sandbox.request import Endpoint, SandboxRequest
from provisioner.sandbox.wallet import PARENT_CENTS, balance

PREFIX: Final = "/v1/public"
ROUTES: Final[tuple[tuple[re.Pattern[str], Mapping[str, Endpoint]], ...]] = (
    (re.compile(f"{PREFIX}/subaccount/create"), {"POST": Endpoint.CREATE}),
    (re.compile(f"{PREFIX}/subaccount/([^/]+)"), {"GET": Endpoint.READ}),
    (re.compile(f"{PREFIX}/subaccount/([^/]+)/edit"), {"PATCH": Endpoint.EDIT}),
    (re.compile(f"{PREFIX}/wallet/check-balance"), {"GET": Endpoint.BALANCE}),
)
REQUIRED: Final = ("first_name", "last_name", "password")


class SandboxApi:
    """The four calls, for every parent and its sub-accounts; safe to share between threads."""

    def __init__(self, parents: tuple[SandboxParent, ...], accounts: SandboxAccounts) -> None:
        self._parents = {each.api_login: each for each in parents}
        self._accounts = accounts

    def answer(
        self, endpoint: Endpoint, login: str, request: SandboxRequest, ignored: Collection[str] = ()
    ) -> SandboxReply:
        """Return the honest answer, with some of the request's fields ``ignored``; raises RefusalError."""
        caller = self._authenticated(request)
        if endpoint is Endpoint.BALANCE:
            query = request.target.partition("?")[2]
            return answered(HTTPStatus.OK, balance(PARENT_CENTS if isinstance(caller, SandboxParent) else 0, query))
        if isinstance(caller, SandboxAccount):
            refuse(HTTPStatus.FORBIDDEN, 103, "Only the parent account may do this.")
        if endpoint is Endpoint.CREATE:
            return self._create(caller, request.document(), ignored)
        account = self._accounts.owned(caller, login)
        if endpoint is Endpoint.EDIT:
            self._accounts.edit(caller, login, request.document(), ignored)
            return answered(HTTPStatus.CREATED, {})
        return answered(HTTPStatus.OK, account.read())

    def _authenticated(self, request: SandboxRequest) -> SandboxParent | SandboxAccount:
        """Return who calls; raises RefusalError."""
        caller = self._parents.get(request.api_login) or self._accounts.find(request.api_login)
        if caller is None or not _same(request.api_key, caller.api_key.reveal()):
            refuse(HTTPStatus.UNAUTHORIZED, 101, "The credentials are not valid.")
        return caller

    def _create(self, parent: SandboxParent, document: dict[str, object], ignored: Collection[str]) -> SandboxReply:
        if missing := [name for name in REQUIRED if name not in document]:
            refuse(HTTPStatus.BAD_REQUEST, 121, f"Missing: {', '.join(missing)}.")
        account = self._accounts.create(parent, document, ignored)
        return answered(HTTPStatus.CREATED, {"api_key": account.api_key.reveal(), "api_login": account.api_login})


def _same(given: str, expected: str) -> bool:
    """Compare any two texts: a key set by hand may not be valid UTF-8."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass"))
