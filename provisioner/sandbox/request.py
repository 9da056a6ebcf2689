"""One request as received, and which call it is.

Has the request's shape, its JSON, the names of the API's calls and the look-up in a table of
routes; the tables are in ``api`` and ``dashboard``. The only answer that it gives is that
there is no such call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum, StrEnum
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import unquote

from provisioner.immutable import immutable
from provisioner.sandbox.reply import refuse


class Endpoint(StrEnum):
    """The calls of the API, which are counted and which a fault can strike."""

    CREATE = "create"
    READ = "read"
    EDIT = "edit"
    BALANCE = "balance"


Call = TypeVar("Call", bound=Enum)


@immutable
class SandboxRequest:
    """One request, with its whole body."""

    method: str
    target: str
    """Path and query string, as received."""
    api_login: str
    api_key: str
    body: bytes

    def document(self) -> dict[str, object]:
        """Return the body, a JSON object; raises RefusalError for anything else."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            refuse(HTTPStatus.BAD_REQUEST, 100, "The body is not a JSON object.")
        return document


def routed(request: SandboxRequest, routes: Iterable[tuple[re.Pattern[str], Mapping[str, Call]]]) -> tuple[Call, str]:
    """Return which call ``request`` is, and the login in its path, or an empty text.

    ``routes`` has the call of each method, for each path. Raises RefusalError.
    """
    path = request.target.partition("?")[0]
    for pattern, calls in routes:
        if found := pattern.fullmatch(path):
            if request.method not in calls:
                allow = (("Allow", ", ".join(calls)),)
                refuse(HTTPStatus.METHOD_NOT_ALLOWED, 100, "This method is not allowed here.", headers=allow)
            return calls[request.method], unquote("".join(found.groups()))
    return refuse(HTTPStatus.NOT_FOUND, 100, "There is nothing at this path.")
