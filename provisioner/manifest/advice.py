"""Advice: warns of unwise values in a manifest, and refuses placeholders that may not be read."""

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
    """The path of a value, predicate and hint, and the severity."""

LITERAL_PASSWORD: Final = (
    "is in clear text, visible to everybody who can read this file",
    "Delete it to have a strong one generated, or write ${env:NAME} or ${file:PATH}.",
)
NOT_COMPOSED: Final = (
    "is not in the Unicode form that keyboards type (NFC)",
    "Type it again: the same text in another form would count as a change.",
)
NOT_ESCAPED: Final = (
    "contains an escape as plain text, backslash included",
    "If you mean the character, type it; or in YAML, put the text in double quotes.",
)
_ESCAPE: Final = r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
NO_TLS: Final = (
    "is not encrypted: it begins with http://",
    "Write https:// if the server supports it: messages are private.",
)
_IN_CLEAR: Final = "seems to contain a token in its {}, in clear text, visible to everybody who can read this file"
_USE_PLACEHOLDER: Final = "Replace it with ${env:NAME} or ${file:PATH}, and have a new token issued."
_LOST: Final = r"\?(?=[^\W\d_])|\?{3,}|(?<!\w)\?{2,}"
_LOST_LETTER: Final = (
    "has a question mark instead of a letter",
    "A program that cannot save a letter writes one: type the letter again, and save the file as UTF-8.",
)
_TWO_SIGNS: Final = re.compile(r"[^\x00-\x7f]{2}")
_GARBLED: Final = (
    "looks like UTF-8 that a program read in another encoding",
    "Type it again, and save the file as UTF-8.",
)


def _was_utf8(text: str) -> bool:
    """Return whether ``text`` is UTF-8 that was decoded as an older encoding: one letter became two characters."""
    for encoding in ("cp1252", "latin-1", "mac_roman") if _TWO_SIGNS.search(text) else ():
        try:
            return len(text.encode(encoding).decode()) < len(text)
        except UnicodeError:
            continue
    return False


def advice(fields: Mapping[str, Value], refused: Check | None) -> Iterator[Remark]:
    """Yield advice on the values of an account's ``fields`` that the schema allows.

    ``refused`` says why the placeholders of a text may not be read; None: nobody will read them.
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
    if "\\" in text and re.search(_ESCAPE, text):
        yield NOT_ESCAPED
    if "?" in text and re.search(_LOST, text):
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
