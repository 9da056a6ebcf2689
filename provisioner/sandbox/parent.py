"""The parent accounts that a sandbox serves, written as in ``acme@example.com:made-up:50``.

Has the grammar and every message about an invalid one. No message repeats a key: somebody
may have given a real one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from provisioner.errors import CommandInvalid
from provisioner.immutable import immutable
from provisioner.model.account import Secret

MADE_UP_KEY: Final = Secret("sandbox")
_WORD: Final = r"[!-9;-~]+"
_LIMIT: Final = r"[0-9]{1,9}"
_HINT: Final = (
    "Write each as LOGIN:KEY or LOGIN:KEY:LIMIT, as in acme@example.com:made-up:50. "
    "Login and key consist of visible ASCII characters other than a colon."
)


@immutable
class SandboxParent:
    """One parent account, with the credentials that its requests carry."""

    api_login: str = "parent@example.com"
    api_key: Secret = MADE_UP_KEY
    limit: int = 20
    """How many sub-accounts fit."""


def parse_parents(specs: Iterable[str], *, limit: int) -> tuple[SandboxParent, ...]:
    """Return the parents in ``specs``, each ``LOGIN:KEY[:LIMIT]``; ``limit`` is the default.

    Raises CommandInvalid, also if two have the same login.
    """
    parents: dict[str, SandboxParent] = {}
    for number, spec in enumerate(specs, 1):
        parent = _parsed(number, spec, limit)
        if parent.api_login in parents:
            raise CommandInvalid(
                f"The parent account {parent.api_login} is given twice.", hint="Give each login once, with one key."
            )
        parents[parent.api_login] = parent
    return tuple(parents.values())


def _parsed(number: int, spec: str, limit: int) -> SandboxParent:
    match spec.split(":"):
        case [login, key] if _are_words(login, key):
            return SandboxParent(login, Secret(key), limit)
        case [login, key, given] if _are_words(login, key) and re.fullmatch(_LIMIT, given):
            return SandboxParent(login, Secret(key), int(given))
        case [_]:
            reason = "it has no key"
        case [login, key] | [login, key, _] if not _are_words(login, key):
            reason = "its login or its key is empty, or contains a character that is not allowed"
        case [_, _, _]:
            reason = "its limit is not a number of at most nine digits"
        case _:
            reason = "it has too many colons"
    raise CommandInvalid(f"The parent account number {number} is not valid: {reason}.", hint=_HINT)


def _are_words(*texts: str) -> bool:
    return all(re.fullmatch(_WORD, each) for each in texts)
