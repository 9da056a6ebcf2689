"""Advice: what of a manifest's values is unwise, and which placeholder may not be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from unicodedata import is_normalized

from provisioner import placeholders
from provisioner.model.account import Severity
from provisioner.model.url import token_in_clear

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provisioner.document import Check, Step, Value

    Remark = tuple[tuple[Step, ...], tuple[str, str], Severity]
    """The path of a value, the predicate and the hint, and how bad it is."""

LITERAL_PASSWORD: Final = (
    "is written in clear, for everybody who can read this file",
    "Delete it, and a strong one is generated; or write ${env:NAME} or ${file:PATH}.",
)
NOT_COMPOSED: Final = (
    "is not in the form of Unicode that keyboards type (NFC)",
    "Type it again: of two texts that look the same, each would count as a change of the other.",
)
NOT_ESCAPED: Final = (
    "holds an escape as plain text, backslash and all",
    "If the character is meant, type it; or in YAML, put the text in double quotes.",
)
_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})")
NO_TLS: Final = ("is not encrypted: it begins with http://", "Write https:// if the server can; messages are private.")
_IN_CLEAR: Final = "seems to hold a token in its {}, in clear, for everybody who can read this file"
_USE_PLACEHOLDER: Final = "Write ${env:NAME} or ${file:PATH} in its place, and have a new one made."
_LOST: Final = re.compile(r"\?(?=[^\W\d_])|\?{3,}|(?<!\w)\?{2,}")
_LOST_LETTER: Final = (
    "has a question mark in the place of a letter",
    "A program that could not save the letter leaves one: type it again, and save the file as UTF-8.",
)
_TWO_SIGNS: Final = re.compile(r"[^\x00-\x7f]{2}")
_GARBLED: Final = (
    "seems to have been UTF-8 that a program read as something else",
    "Type it again, and save the file as UTF-8.",
)


def _was_utf8(text: str) -> bool:
    """Tell whether the bytes of ``text`` in an older table are UTF-8: two signs of it were one letter."""
    for table in ("cp1252", "latin-1", "mac_roman") if _TWO_SIGNS.search(text) else ():
        try:
            return len(text.encode(table).decode()) < len(text)
        except UnicodeError:
            continue
    return False


def advice(fields: Mapping[str, Value], refused: Check | None) -> Iterator[Remark]:
    """Yield what is to be said of the values of an account's ``fields`` that its schema allows.

    ``refused`` says of a text why its placeholders may not be read; None: nobody is going to.
    """
    if refused is not None:
        for path, text in _texts(fields):
            if "${" in text and (fault := refused(text)):
                yield path, fault, Severity.ERROR
    for path, fault in _unwise(fields):
        yield path, fault, Severity.WARNING


def _texts(fields: Mapping[str, Value]) -> Iterator[tuple[tuple[Step, ...], str]]:
    for name, value in fields.items():
        if isinstance(value, str):
            yield (name,), value
        elif isinstance(value, dict):
            yield from (((name, *path), text) for path, text in _texts(value))


def _misspelled(text: str) -> Iterator[tuple[str, str]]:
    if not is_normalized("NFC", text):
        yield NOT_COMPOSED
    if "\\" in text and _ESCAPE.search(text):
        yield NOT_ESCAPED
    if "?" in text and _LOST.search(text):
        yield _LOST_LETTER
    if _was_utf8(text):
        yield _GARBLED


def _unwise(fields: Mapping[str, Value]) -> Iterator[tuple[tuple[Step, ...], tuple[str, str]]]:
    password = fields.get("password")
    if isinstance(password, str) and password and not placeholders.names(password):
        yield ("password",), LITERAL_PASSWORD
    for name in ("first_name", "last_name", "company_name"):
        text = fields.get(name)
        if isinstance(text, str):
            yield from (((name,), fault) for fault in _misspelled(text))
    callbacks = fields.get("callbacks")
    if isinstance(callbacks, dict):
        for name, url in callbacks.items():
            if not isinstance(url, str) or not name.startswith("callback_url_"):
                continue
            if url[:7].lower() == "http://":
                yield ("callbacks", name), NO_TLS
            if place := token_in_clear(url):
                yield ("callbacks", name), (_IN_CLEAR.format(place), _USE_PLACEHOLDER)
