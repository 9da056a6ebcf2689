"""What is desired: accounts as a manifest has them, and how a secret is kept from being shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import groupby
from typing import Any, Final
from unicodedata import normalize
from urllib.parse import urlsplit, urlunsplit

from provisioner.model.url import masked_path

DEFAULT_PARENT: Final = "default"
AUTO_PARENT: Final = "auto"
"""The parent of accounts that are placed where slots are free; none of the settings has this name."""


MASK: Final = "***"
PLACEHOLDER: Final = re.compile(r"\$\{(?:env:([A-Za-z_][A-Za-z0-9_]*)|file:([^{}\x00-\x1f\x7f]+))\}")
"""What stands for a value that a manifest does not hold: a variable's name, or a file's path."""
_UP_TO_HOST: Final = re.compile(r"[^/?#\\]*(?://[^/?#\\]*)?")
"""A URL's scheme, user-info, host and port."""
_FIRST_STAND_IN: Final = 0xE000
"""The first of 6,400 characters that mean nothing."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that must not be printed by accident.

    ``str()``, ``repr()`` and f-strings give ``***``; only :meth:`reveal` gives the
    text, so that every place where a secret is used can be found by name.
    """

    _text: str

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return MASK


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the API returns once."""

    api_login: str
    api_key: Secret


def is_login(text: str) -> bool:
    """Tell whether ``text`` can be the login of an account: it goes into a header and into the path of an address.

    Logins are the server's to make (seen: ``abc_1f2@sub-accounts.com``), so that nothing
    is asked of one but that it can be sent, and stays where it is put.
    """
    return re.fullmatch(r"(?!\.+$)[!-~]{1,254}", text) is not None and not re.search(r"[/\\?#%]", text)


def is_key(text: str) -> bool:
    """Tell whether ``text`` can be an API key: a header that carries it arrives as it was."""
    return re.fullmatch("[!-~](?:[ -~]{0,4094}[!-~])?", text) is not None


def stood_in(text: str) -> tuple[str, dict[int, str]]:
    """Return ``text`` with one character for each placeholder, and for ``str.translate`` what each stands for.

    A file's path may hold any of the signs that part an address.
    """
    written = {_FIRST_STAND_IN + number: each.group() for number, each in enumerate(PLACEHOLDER.finditer(text))}
    stand_ins = map(chr, written)
    return PLACEHOLDER.sub(lambda _: next(stand_ins), text), written


def masked_url(url: str) -> str:
    """Return ``url`` fit to be shown: user-info, query, fragment, and what seems to be a token in its path, are masked.

    Callbacks carry no signature, so people put a token into the URL. A placeholder is none
    itself, and is shown: who reviews a URL must see which secret goes there.
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
    """Return one pair of a query string; its name is shown where its value is nothing but placeholders."""
    name, _, value = pair.partition("=")
    return f"{name}={value}" if value and clear.search(value) is None else clear.sub(MASK, pair)


@dataclass(frozen=True, slots=True, repr=False)
class Callbacks:
    """Where Octopush reports to; the names are those of the API."""

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


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an account is made of, but for its password; placeholders unexpanded."""

    first_name: str
    last_name: str
    company_name: str | None = None
    callbacks: Callbacks = Callbacks()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Attributes:
        """Return the attributes of which ``document``, checked by its schema, is the JSON shape."""
        return cls(**{**document, "callbacks": Callbacks(**document.get("callbacks", {}))})

    @classmethod
    def of_fields(cls, fields: Mapping[str, str | None]) -> Attributes:
        """Return the attributes of which ``fields`` has the values by dotted path; an empty text is an absent value."""
        callbacks = {name: fields.get(f"callbacks.{name}") or None for name in CALLBACK_NAMES}
        return cls(
            fields.get("first_name") or "",
            fields.get("last_name") or "",
            fields.get("company_name") or None,
            Callbacks(**callbacks),
        )

    def document(self) -> dict[str, str | dict[str, str]]:
        """Return the JSON shape used by manifest, state and plan; absent stays absent."""
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
        """Return whom the account is for, however that is written."""
        names = (self.first_name, self.last_name, self.company_name or "")
        return tuple(" ".join(normalize("NFKC", name).casefold().split()) for name in names)

    def flat(self) -> dict[str, str]:
        """Return every given field by its dotted path, as in ``callbacks.email_for_inbounds``."""
        flat = {"first_name": self.first_name, "last_name": self.last_name}
        if self.company_name is not None:
            flat["company_name"] = self.company_name
        for name, value in self.callbacks.given().items():
            flat[f"callbacks.{name}"] = value
        return flat


def shown_value(path: str, value: str) -> str:
    """Return the value of the field at ``path`` as it may be shown."""
    return masked_url(value) if path.rpartition(".")[2].startswith("callback_url_") else value


def has_placeholder(text: str) -> bool:
    """Tell whether a text of a manifest stands for one that it does not show; nothing else there may hold this."""
    return "${" in text


def fits(text: str, value: str) -> bool:
    """Tell whether ``value`` may be what ``text`` expands to: the text around the placeholders is there, in order.

    A placeholder stands for one character at least, whatever they are; but what is written
    after one in a URL's host still ends the host.
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
    """Tell whether ``value`` goes to the host that ``text`` writes out, not to one that a placeholder ends."""
    bare, written = stood_in(text)
    if "://" not in bare:
        return True
    host, found = (str(_UP_TO_HOST.findall(each)[0]) for each in (bare, value))
    end = max((host.rfind(chr(each)) for each in written), default=-1) + 1
    return found.endswith(host[end:])


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in a manifest something stands; numbers count from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    row: int | None = None
    """The data row of a table, its header not counted; of a workbook, the sheet's row, as :attr:`line`."""
    sheet: str | None = None
    """Of a workbook."""
    left: int | None = None
    """The column of the sheet in which its table begins."""

    @property
    def cell(self) -> str:
        """The cell of a workbook, as in ``Sheet1!C7``, or its row, or its sheet; empty of another file."""
        if self.sheet is None or self.line is None:
            return self.sheet or ""
        letters, number = "", self.column or 0
        while number:
            number, letter = divmod(number - 1, 26)
            letters = chr(ord("A") + letter) + letters
        name = self.sheet if self.sheet.isalnum() else "'" + self.sheet.replace("'", "''") + "'"
        return f"{name}!{letters}{self.line}" if letters else f"{name}!{self.line}:{self.line}"


@dataclass(frozen=True, slots=True)
class DesiredAccount:
    """One sub-account that a manifest asks for."""

    name: str
    """Our own stable key; never sent to the API."""
    attributes: Attributes
    password: Secret | None
    """As the manifest has it: a placeholder or a literal; None: generate one."""
    origin: Origin
    previously: str | None = None
    """The name under which the account was known: its record moves, nothing is sent."""
    password_version: int = 1
    """A number other than the one that was carried out sets a new password."""
    placed: str | None = None
    """The parent on which it was placed; None: the manifest names its parent."""

    def texts(self) -> dict[str, str]:
        """Return every given field by its dotted path, the password included; placeholders unexpanded."""
        password = {} if self.password is None else {"password": self.password.reveal()}
        return self.attributes.flat() | password


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that the manifests ask of one parent."""

    parent: str
    accounts: tuple[DesiredAccount, ...]


class Severity(StrEnum):
    """How bad a problem is; only an ERROR makes a manifest invalid."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a manifest, told to the person who wrote it."""

    origin: Origin
    path: str
    """The value's path as in ``accounts[2].callbacks.email_for_inbounds``; a column name in a table."""
    message: str
    hint: str
    severity: Severity = Severity.ERROR
