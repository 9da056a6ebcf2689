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


def _unwise(fields: Mapping[str, Value]) -> Iterator[tuple[tuple[Step, ...], tuple[str, str]]]:
    password = fields.get("password")
    if isinstance(password, str) and password and not placeholders.names(password):
        yield ("password",), LITERAL_PASSWORD
    for name in ("first_name", "last_name", "company_name"):
        text = fields.get(name)
        if isinstance(text, str) and not is_normalized("NFC", text):
            yield (name,), NOT_COMPOSED
        if isinstance(text, str) and "\\" in text and _ESCAPE.search(text):
            yield (name,), NOT_ESCAPED
    callbacks = fields.get("callbacks")
    if isinstance(callbacks, dict):
        for name, url in callbacks.items():
            if not isinstance(url, str) or not name.startswith("callback_url_"):
                continue
            if url[:7].lower() == "http://":
                yield ("callbacks", name), NO_TLS
            if place := token_in_clear(url):
                yield ("callbacks", name), (_IN_CLEAR.format(place), _USE_PLACEHOLDER)
