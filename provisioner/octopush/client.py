"""The Octopush sub-account API, one method per endpoint.

Has the addresses, headers and bodies that Octopush documents. ``verdict`` judges answers,
``retry`` repeats requests, and ``transport`` sends them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from provisioner._version import __version__
from provisioner.immutable import immutable
from provisioner.model.account import CALLBACK_NAMES, MASK, Attributes, Credentials, is_key, is_login
from provisioner.model.exchange import Balance, Edited, EditRequest, EditVerdict, Failed, Reading
from provisioner.model.url import masked_path
from provisioner.model.verdict import Answer, CreateRequest, NotCreated, OutcomeUnknown, Then, Verdict
from provisioner.octopush.idempotent import judge_balance, judge_edit, judge_read
from provisioner.octopush.refusals import INTERRUPTED, PARENT_CREDENTIALS
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Failure, Reply, Request
from provisioner.octopush.verdict import judge

_SHORTEST_TOKEN: Final = 6
"""A shorter value of a query is not worth hiding, and masking it would leave holes all over a message."""

_UNSENT: Final = Failed(INTERRUPTED, Then.STOP)
_FOLDERS: Final = frozenset({"", ".", ".."})
"""Texts that quoting cannot make a part of a path."""
_UNUSABLE: Final = Failed("its login or key cannot be sent", Then.GO_ON)
_Outcome = TypeVar("_Outcome")


class Exchange(Protocol):
    """Something that sends requests."""

    def exchange(self, request: Request) -> Reply | Failure:
        """Send ``request`` and return the outcome."""


@immutable
class Client:
    """The API for one parent account; keeps no state between two calls."""

    base_url: str
    """``https://api.octopush.com/v1/public`` (documented)."""
    parent: Credentials
    transport: Exchange
    retry: RetryPolicy
    now: Callable[[], datetime]
    retry_on_429: bool = True
    retry_on_503: bool = False
    credential_names: str = PARENT_CREDENTIALS
    """Where the parent's login and key come from, for a hint: ``ACME_LOGIN and ACME_KEY``."""

    def create(self, request: CreateRequest) -> Verdict:
        """Create a sub-account: ``POST /subaccount/create`` (documented), 201 with its credentials.

        It is not idempotent: it is sent again only if every earlier attempt is proven not
        to have been processed.
        """
        body = {**request.attributes.document(), "password": request.password.reveal()}
        message = Request("POST", f"{self.base_url}/subaccount/create", self._headers(self.parent), _json(body))
        hidden = (*self._hidden(request), request.password.reveal())
        return self.retry.until_settled(
            partial(self._create_once, message, hidden), unsent=NotCreated(INTERRUPTED, Then.STOP)
        )

    def edit(self, api_login: str, request: EditRequest) -> EditVerdict:
        """Change a sub-account: ``PATCH /subaccount/{api_login}/edit`` (documented), any 2xx.

        Whether it merges or replaces ``callbacks`` is not documented, so the whole account
        is sent, with null for what it should not have. It is idempotent.
        """
        if api_login in _FOLDERS:
            return _UNUSABLE
        attributes = request.attributes
        body: dict[str, object] = {
            "company_name": None,
            **attributes.document(),
            "callbacks": {name: getattr(attributes.callbacks, name) for name in CALLBACK_NAMES},
        }
        if request.password is not None:
            body["password"] = request.password.reveal()
        message = Request("PATCH", f"{self._account(api_login)}/edit", self._headers(self.parent), _json(body))
        hidden = (*self._hidden(request), request.password.reveal() if request.password else "", api_login)
        judged = partial(judge_edit, retry_on_429=self.retry_on_429, credential_names=self.credential_names)
        attempts = _EditAttempts(partial(self._exchange, message, judged, hidden))
        verdict = self.retry.until_settled(attempts, unsent=_UNSENT)
        if attempts.possible and not isinstance(verdict, Edited):
            return replace(verdict, possible=True)
        return verdict

    def read(self, api_login: str) -> Reading:
        """Return a sub-account, without its password: ``GET /subaccount/{api_login}`` (documented), 200."""
        if api_login in _FOLDERS:
            return _UNUSABLE
        message = Request("GET", self._account(api_login), self._headers(self.parent))
        judged = partial(judge_read, credential_names=self.credential_names)
        attempt = partial(self._exchange, message, judged, (*_own(self.parent), api_login))
        return self.retry.until_settled(attempt, unsent=_UNSENT)

    def balance(self, account: Credentials) -> Balance | Failed:
        """Return the balance of ``account``: ``GET /wallet/check-balance`` (documented), 200 or 201.

        ``with_details`` adds the packs that it consists of (documented).
        """
        if not (is_login(account.api_login) and is_key(account.api_key.reveal())):
            return _UNUSABLE
        message = Request("GET", f"{self.base_url}/wallet/check-balance?with_details=true", self._headers(account))
        attempt = partial(self._exchange, message, judge_balance, _own(account))
        return self.retry.until_settled(attempt, unsent=_UNSENT)

    def _create_once(self, message: Request, hidden: tuple[str, ...]) -> Verdict:
        outcome = self.transport.exchange(message)
        try:
            return judge(
                outcome,
                retry_on_429=self.retry_on_429,
                retry_on_503=self.retry_on_503,
                now=self.now(),
                hidden=hidden,
                credential_names=self.credential_names,
            )
        except Exception as error:  # noqa: BLE001  # the answer may be the only copy of a credential
            answer = Answer(outcome.status, outcome.body) if isinstance(outcome, Reply) else None
            return OutcomeUnknown(f"this program could not judge the answer ({type(error).__name__})", answer)

    def _exchange(self, message: Request, judge: Callable[..., _Outcome], hidden: tuple[str, ...]) -> _Outcome:
        return judge(self.transport.exchange(message), now=self.now(), hidden=hidden)

    def _hidden(self, request: CreateRequest | EditRequest) -> tuple[str, ...]:
        """Return what no message may repeat: the secrets of the attributes, and the parent's credentials."""
        return (*_own(self.parent), *request.hidden, *_tokens(request.attributes))

    def _account(self, api_login: str) -> str:
        """Return the address of one account; its login is quoted, so that it stays one part of the path."""
        return f"{self.base_url}/subaccount/{quote(api_login, safe='@')}"

    def _headers(self, credentials: Credentials) -> dict[str, str]:
        return {
            "api-login": credentials.api_login,
            "api-key": credentials.api_key.reveal(),
            "cache-control": "no-cache",
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
            "User-Agent": f"octopush-provisioner/{__version__}",
        }


class _EditAttempts:
    """The attempts of one edit; remembers whether any of them may have been carried out."""

    def __init__(self, attempt: Callable[[], EditVerdict]) -> None:
        self._attempt = attempt
        self.possible = False

    def __call__(self) -> EditVerdict:
        verdict = self._attempt()
        self.possible |= isinstance(verdict, Failed) and verdict.possible
        return verdict


def _own(credentials: Credentials) -> tuple[str, str]:
    return credentials.api_login, credentials.api_key.reveal()


def _tokens(attributes: Attributes) -> Iterator[str]:
    """Yield the possible secrets in callback URLs: user-info, tokens in the path, query and its values, fragment."""
    for value in attributes.callbacks.given().values():
        try:
            url = urlsplit(value)
        except ValueError:
            yield value  # a placeholder can bring in anything
            continue
        user_info = url.netloc.rpartition("@")[0]
        yield from (user_info, f"?{url.query}" if "=" in url.query else url.query, url.fragment)
        shown = masked_path(url.path, MASK).split("/")
        yield from (part for part, other in zip(url.path.split("/"), shown, strict=True) if part != other)
        values = (user_info.partition(":")[2], *(each.partition("=")[2] for each in url.query.split("&")))
        yield from (each for each in values if len(each) >= _SHORTEST_TOKEN)


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
