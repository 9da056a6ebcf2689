"""One made-up sub-account: its fields, and how they change.

Decides how the API corrects its input, and what can be set by hand. Storage, limits, logins
and keys are elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from provisioner.immutable import immutable
from provisioner.model.account import CALLBACK_NAMES, Callbacks, Secret

NO_CALLBACKS: Final = Callbacks()
Current = TypeVar("Current", str, str | None)
PROHIBITED: Final = dict.fromkeys((*range(0x20), 0x7F, *map(ord, '<>{}[]|\\^~"`#$%*=;')))
"""Deleted from names; which characters the real API deletes is not documented."""


@immutable
class SandboxAccount:
    """One sub-account, as stored."""

    parent: str
    """The login of the parent that created it."""
    api_login: str
    api_key: Secret
    password: Secret
    first_name: str = ""
    last_name: str = ""
    company_name: str | None = None
    callbacks: Callbacks = NO_CALLBACKS

    def read(self) -> dict[str, object]:
        """Return the answer of the read call."""
        given = {name: getattr(self.callbacks, name) for name in CALLBACK_NAMES}
        return {
            "first_name": self.first_name,
            "last_name": self.last_name,
            "company_name": self.company_name,
            "api_key": self.api_key.reveal(),
            "callback": {"email" if name == "email_for_inbounds" else name: value for name, value in given.items()},
        }

    def listed(self) -> dict[str, object]:
        """Return what may be shown without credentials: no key and no password."""
        return {
            "parent": self.parent,
            "api_login": self.api_login,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "company_name": self.company_name,
            "callbacks": self.callbacks.given(),
        }

    def corrected(self, document: Mapping[str, object], ignored: Collection[str] = ()) -> SandboxAccount:
        """Return the account with what can be understood of a create's or an edit's ``document``.

        An ``ignored`` field or callback stays as it is.
        """
        document = {name: value for name, value in document.items() if name not in ignored}
        company, callbacks = document.get("company_name", self.company_name), document.get("callbacks")
        return replace(
            self,
            password=Secret(_text(document.get("password"), self.password.reveal())),
            first_name=_name(document.get("first_name"), self.first_name),
            last_name=_name(document.get("last_name"), self.last_name),
            company_name=None if company is None else _name(company, self.company_name) or None,
            callbacks=self._callbacks(callbacks, ignored) if isinstance(callbacks, dict) else self.callbacks,
        )

    def _callbacks(self, given: Mapping[str, object], ignored: Collection[str]) -> Callbacks:
        addresses = {name: _address(name, given.get(name)) for name in CALLBACK_NAMES if name not in ignored}
        return replace(self.callbacks, **addresses)

    def set_by_hand(self, document: Mapping[str, object]) -> SandboxAccount:
        """Return the account with exactly the values in ``document``; raises ValueError if one cannot be set."""
        changes: dict[str, Any] = {name: self._exactly(name, value) for name, value in document.items()}
        return replace(self, **changes)

    def _exactly(self, name: str, value: object) -> str | Secret | Callbacks | None:
        match name, value:
            case ("first_name" | "last_name" | "company_name", str() as text):
                return text
            case ("company_name", None):
                return None
            case ("api_key", str() as key):
                return Secret(key)
            case ("callbacks", dict(given)):
                return merged(self.callbacks, given)
        raise ValueError(f"{name} cannot be set to this")


def _text(value: object, current: Current) -> str | Current:
    match value:
        case str():
            return value
        case bool() | int() | float():
            return str(int(value) if isinstance(value, bool) else value)
    return current


def _name(value: object, current: Current) -> str | Current:
    text = _text(value, current)
    return text if text is None else text.translate(PROHIBITED)


def merged(callbacks: Callbacks, given: Mapping[str, object]) -> Callbacks:
    """Return ``callbacks`` with exactly the values ``given``; None clears one. Raises ValueError."""
    known = {name: value for name, value in given.items() if name in CALLBACK_NAMES and isinstance(value, str | None)}
    if wrong := sorted(given.keys() - known.keys()):
        raise ValueError(f"in callbacks, {', '.join(wrong)} cannot be set to this")
    return replace(callbacks, **known)


def _address(name: str, value: object) -> str | None:
    pattern = r"[^@\s]+@[^@\s]+" if name.startswith("email") else r"https?://\S+"
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None
