"""The Octopush sub-account API, one method per endpoint.

Owns addresses, headers and bodies as Octopush documents them. Refuses to judge
(``verdict``), to repeat (``retry``) and to carry (``transport``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from provisioner import __version__
from provisioner.model.account import Attributes, Credentials
from provisioner.model.verdict import CreateRequest, Verdict
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Request, Transport
from provisioner.octopush.verdict import judge

_SHORTEST_TOKEN: Final = 6
"""A shorter value of a query hides little, and masking it would make holes all over a message."""


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


def _tokens(attributes: Attributes) -> Iterator[str]:
    """Yield what callback URLs may hide: user-info, query string and its values, fragment."""
    for value in attributes.callbacks.given().values():
        try:
            url = urlsplit(value)
        except ValueError:
            yield value  # a placeholder can hold anything
            continue
        user_info = url.netloc.rpartition("@")[0]
        yield from (user_info, url.query, url.fragment)
        values = (user_info.partition(":")[2], *(each.partition("=")[2] for each in url.query.split("&")))
        yield from (each for each in values if len(each) >= _SHORTEST_TOKEN)


def _json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
