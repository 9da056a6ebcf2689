"""The desired accounts, as a manifest describes them, and the type that keeps a secret from being printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from typing import Any, Final
from unicodedata import normalize
from urllib.parse import urlsplit, urlunsplit

from provisioner.immutable import immutable
from provisioner.model.url import masked_path

DEFAULT_PARENT: Final = "default"
AUTO_PARENT: Final = "auto"
"""The parent of accounts that are placed wherever slots are free. No parent in the settings may have this name."""


MASK: Final = "***"
PLACEHOLDER: Final = re.compile(r"\$\{(?:env:([A-Za-z_][A-Za-z0-9_]*)|file:([^{}\x00-\x1f\x7f]+))\}")
"""A reference to a value that the manifest does not contain: an environment variable or a file."""
_UP_TO_HOST: Final = r"[^/?#\\]*(?://[^/?#\\]*)?"
"""A URL's scheme, user-info, host and port."""
_FIRST_STAND_IN: Final = 0xE000
"""The first of the 6,400 private-use characters, which have no meaning of their own."""


@immutable
class Secret:
    """A text that must not be printed by accident.

    ``str()``, ``repr()`` and f-strings give ``***``; only :meth:`reveal` returns the
    text, so that a search for its name finds every place where a secret is used.
    """

    _text: str

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return MASK


@immutable
class Credentials:
    """What the API returns once."""

    api_login: str
    api_key: Secret


def is_login(text: str) -> bool:
    """Return whether ``text`` can be an account's login, which is sent in a header and in the path of a URL.

    The server chooses logins (for example ``abc_1f2@sub-accounts.com``), so the only
    requirement is that one can be sent, and cannot leave its place in the path.
    """
    return re.fullmatch(r"(?!\.+$)[!-~]{1,254}", text) is not None and not re.search(r"[/\\?#%]", text)


def is_key(text: str) -> bool:
    """Return whether ``text`` can be an API key: a header can carry it unchanged."""
    return re.fullmatch("[!-~](?:[ -~]{0,4094}[!-~])?", text) is not None


def stood_in(text: str) -> tuple[str, dict[int, str]]:
    """Return ``text`` with each placeholder replaced by one character, and the table for ``str.translate`` to undo it.

    The path in a ``${file:…}`` may contain any of the characters that separate the parts of a URL.
    """
    written = {_FIRST_STAND_IN + number: each.group() for number, each in enumerate(PLACEHOLDER.finditer(text))}
    stand_ins = map(chr, written)
    return PLACEHOLDER.sub(lambda _: next(stand_ins), text), written


@lru_cache(maxsize=4096)
def masked_url(url: str) -> str:
    """Return ``url`` with user-info, query, fragment and anything in its path that looks like a token masked.

    Callbacks carry no signature, so people put a token into the URL. Placeholders are not
    secret and stay visible: a reviewer must see which secret goes where. Cached, because most
    accounts share a few URLs.
    """
    bare, written = stood_in(url)
    try:
        parts = urlsplit(bare)
    except ValueError:
        return MASK
    clear = re.compile(f"[^{''.join(map(chr, written))}]+" if written else "(?s:.+)")
    user, at, host = parts.netloc.rpartition("@")
    query = "&".join(key for key, _ in groupby(_masked_pair(each, clear) for each in parts.query.split("&")))
    path, fragment = masked_path(parts.path, MASK), clear.sub(MASK, parts.fragment)
    return urlunsplit((parts.scheme, clear.sub(MASK, user) + at + host, path, query, fragment)).translate(written)


def _masked_pair(pair: str, clear: re.Pattern[str]) -> str:
    """Return one pair of a query string, masked; its name stays if its value consists of placeholders alone."""
    name, _, value = pair.partition("=")
    return f"{name}={value}" if value and clear.search(value) is None else clear.sub(MASK, pair)


@immutable
class Callbacks:
    """Where Octopush sends its reports; the field names are the API's."""

    callback_url_for_deliveries: str | None = None
    callback_url_for_blacklisted_numbers: str | None = None
    callback_url_for_visits: str | None = None
    callback_url_for_inbounds: str | None = None
    email_for_inbounds: str | None = None

    def given(self) -> dict[str, str]:
        """Return the callbacks that are set, by name."""
        values = ((name, getattr(self, name)) for name in CALLBACK_NAMES)
        return {name: value for name, value in values if value is not None}

    def __repr__(self) -> str:
        given = (f"{name}={shown_value(name, value)!r}" for name, value in self.given().items())
        return f"Callbacks({', '.join(given)})"


CALLBACK_NAMES: Final = tuple(each.name for each in fields(Callbacks))
FIELDS: Final = ("first_name", "last_name", "company_name", *(f"callbacks.{name}" for name in CALLBACK_NAMES))
"""The dotted path of every field that can be read back."""


@immutable
class Attributes:
    """An account's fields except its password; placeholders are not expanded."""

    first_name: str
    last_name: str
    company_name: str | None = None
    callbacks: Callbacks = Callbacks()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Attributes:
        """Return the attributes in ``document``, a JSON object that has passed its schema."""
        return cls(**{**document, "callbacks": Callbacks(**document.get("callbacks", {}))})

    @classmethod
    def of_fields(cls, fields: Mapping[str, str | None]) -> Attributes:
        """Return the attributes in ``fields``, by dotted path; an empty string means an absent value."""
        callbacks = {name: fields.get(f"callbacks.{name}") or None for name in CALLBACK_NAMES}
        return cls(
            fields.get("first_name") or "",
            fields.get("last_name") or "",
            fields.get("company_name") or None,
            Callbacks(**callbacks),
        )

    def document(self) -> dict[str, str | dict[str, str]]:
        """Return the JSON object used by manifest, state and plan; absent fields are left out."""
        document: dict[str, str | dict[str, str]] = {
            "first_name": self.first_name,
            "last_name": self.last_name,
        }
        if self.company_name is not None:
            document["company_name"] = self.company_name
        if callbacks := self.callbacks.given():
            document["callbacks"] = dict(callbacks)
        return document

    def shown(self) -> dict[str, str | dict[str, str]]:
        """Return :meth:`document` with every callback URL masked."""
        document = self.document()
        if callbacks := self.callbacks.given():
            document["callbacks"] = {name: shown_value(name, value) for name, value in callbacks.items()}
        return document

    def holder(self) -> tuple[str, ...]:
        """Return the names that the account is for, normalized, so that case, width and spacing do not matter."""
        names = (self.first_name, self.last_name, self.company_name or "")
        return tuple(" ".join(normalize("NFKC", name).casefold().split()) for name in names)

    def flat(self) -> dict[str, str]:
        """Return every field that is set by its dotted path, as in ``callbacks.email_for_inbounds``."""
        flat = {"first_name": self.first_name, "last_name": self.last_name}
        if self.company_name is not None:
            flat["company_name"] = self.company_name
        for name, value in self.callbacks.given().items():
            flat[f"callbacks.{name}"] = value
        return flat


def shown_value(path: str, value: str) -> str:
    """Return the value of the field at ``path`` in a form that is safe to show."""
    return masked_url(value) if path.rpartition(".")[2].startswith("callback_url_") else value


def has_placeholder(text: str) -> bool:
    """Return whether a manifest's text contains a placeholder; nothing else in a manifest may contain ``${``."""
    return "${" in text


def fits(text: str, value: str) -> bool:
    """Return whether ``text`` could expand to ``value``: the text around the placeholders is there, in order.

    A placeholder stands for at least one character, of any kind. In the host of a URL,
    the text after the last placeholder must still end the host.
    """
    first, *others = PLACEHOLDER.split(text)[::3]
    if not others:
        return text == value
    *between, last = others
    end = len(first)
    for each in between:
        # The first place that fits leaves the most for those that follow.
        found = value.find(each, end + 1)
        if found < 0:
            return False
        end = found + len(each)
    is_around = value.startswith(first) and value.endswith(last) and len(value) - len(last) > end
    return is_around and _keeps_host(text, value)


def _keeps_host(text: str, value: str) -> bool:
    """Return whether ``value`` goes to the host in ``text``, and not to one that a placeholder's value cut short."""
    bare, written = stood_in(text)
    if "://" not in bare:
        return True
    host, found = (str(re.findall(_UP_TO_HOST, each)[0]) for each in (bare, value))
    end = max((host.rfind(chr(each)) for each in written), default=-1) + 1
    return found.endswith(host[end:])


@immutable
class Origin:
    """A position in a manifest; numbers count from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    row: int | None = None
    """The data row of a table, not counting its header; in a workbook, the row of the sheet, like :attr:`line`."""
    sheet: str | None = None
    """The sheet, in a workbook."""
    left: int | None = None
    """The column of the sheet where the table begins."""

    @property
    def cell(self) -> str:
        """The cell of a workbook, as in ``Sheet1!C7``, or else its row or its sheet; empty for any other file."""
        if self.sheet is None or self.line is None:
            return self.sheet or ""
        letters, number = "", self.column or 0
        while number:
            number, letter = divmod(number - 1, 26)
            letters = chr(ord("A") + letter) + letters
        name = self.sheet if self.sheet.isalnum() else "'" + self.sheet.replace("'", "''") + "'"
        return f"{name}!{letters}{self.line}" if letters else f"{name}!{self.line}:{self.line}"


@immutable
class DesiredAccount:
    """One sub-account that a manifest asks for."""

    name: str
    """Our own stable key; never sent to the API."""
    attributes: Attributes
    password: Secret | None
    """As in the manifest, a placeholder or a literal; None: one is generated."""
    origin: Origin
    previously: str | None = None
    """The account's old name: its record moves to the new one, and nothing is sent."""
    password_version: int = 1
    """A number that differs from the one in the state sets a new password."""
    placed: str | None = None
    """The parent that ``parent: auto`` placed it on; None: the manifest names its parent."""

    def texts(self) -> dict[str, str]:
        """Return every given field by its dotted path, the password included; placeholders unexpanded."""
        password = {} if self.password is None else {"password": self.password.reveal()}
        return self.attributes.flat() | password


@immutable
class Manifest:
    """Everything that the manifests want of one parent."""

    parent: str
    accounts: tuple[DesiredAccount, ...]


class Severity(StrEnum):
    """How serious a problem is; only an ERROR makes a manifest invalid."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@immutable
class Problem:
    """One problem in a manifest, for the person who wrote it."""

    origin: Origin
    path: str
    """The path of the value, as in ``accounts[2].callbacks.email_for_inbounds``; in a table, the column."""
    message: str
    hint: str
    severity: Severity = Severity.ERROR
