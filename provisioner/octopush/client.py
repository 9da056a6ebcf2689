"""The Octopush sub-account API, one method per endpoint.

Owns addresses, headers and bodies as Octopush documents them. Refuses to judge
(``verdict``), to repeat (``retry``) and to carry (``transport``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from provisioner import __version__
from provisioner.model import Attributes, CreateRequest, Credentials, Verdict
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Request, Transport
from provisioner.octopush.verdict import judge


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks for one parent account."""

    base_url: str
    """As documented: ``https://api.octopush.com/v1/public``."""
    parent: Credentials
    transport: Transport
    retry: RetryPolicy
    now: Callable[[], datetime]
    retry_on_503: bool = False

    def create(self, request: CreateRequest) -> Verdict:
        """Create a sub-account: ``POST /subaccount/create`` (documented), 201 with its credentials.

        It is not idempotent: it is sent again only where every earlier attempt is
        proven not to have been processed.
        """
        body = {**request.attributes.document(), "password": request.password.reveal()}
        message = Request("POST", f"{self.base_url}/subaccount/create", self._headers(), _json(body))
        hidden = (self.parent.api_key.reveal(), request.password.reveal(), *_tokens(request.attributes))
        return self.retry.until_settled(partial(self._create_once, message, hidden))

    def _create_once(self, message: Request, hidden: tuple[str, ...]) -> Verdict:
        outcome = self.transport.exchange(message)
        return judge(outcome, retry_on_503=self.retry_on_503, now=self.now(), hidden=hidden)

    def _headers(self) -> dict[str, str]:
        return {
            "api-login": self.parent.api_login,
            "api-key": self.parent.api_key.reveal(),
            "cache-control": "no-cache",
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
            "User-Agent": f"octopush-provisioner/{__version__}",
        }


def _tokens(attributes: Attributes) -> tuple[str, ...]:
    """Return what callback URLs may hide: the query string, and the user-info before the host."""
    urls = [urlsplit(value) for value in attributes.callbacks.given().values()]
    return tuple(text for url in urls for text in (url.query, url.netloc.rpartition("@")[0]))


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
