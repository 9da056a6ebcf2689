"""Characters: which of them a text may hold, and how one is named to a person.

Owns decoding and the rule for plain text. Refuses to change any of it: a text is
kept as it is or refused.
"""

from __future__ import annotations

import codecs
import unicodedata
from typing import Final

_BLANK_LETTERS: Final = "\u034f\u115f\u1160\u2800\u3164\uffa0\ufffd"
"""Letters and signs for Unicode, and yet they show nothing, or that something was lost."""

_PLAIN_WORDS: Final = {
    "\n": "a line break",
    "\r": "a line break",
    "\t": "a tab",
    "\ufffd": "U+FFFD, the trace of a wrong encoding",
}
_BY_CATEGORY: Final = {
    "Cc": "a control character",
    "Cf": "which cannot be seen",
    "Lo": "which cannot be seen",
    "Mn": "which cannot be seen",
    "So": "which cannot be seen",
    "Zl": "which cannot be seen",
    "Zp": "which cannot be seen",
    "Zs": "which only looks like a space",
}
_SHOWN_CHARACTERS: Final = 64
"""Longer than any good name, short enough for one line."""


def is_utf32(raw: bytes) -> bool:
    """Tell whether ``raw`` has the byte-order mark of UTF-32, with which that of UTF-16 begins too."""
    return raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE))


def decoded(raw: bytes) -> str:
    """Return ``raw`` as text: UTF-8, with or without a byte-order mark, or UTF-16 with one.

    :raises UnicodeDecodeError: it is neither.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    return raw.removeprefix(codecs.BOM_UTF8).decode()


def character(one: str) -> str:
    """Return the code point of the character ``one`` and its Unicode name, if it has any."""
    return f"U+{ord(one):04X} {unicodedata.name(one, '')}".rstrip()


def shown(text: str) -> str | None:
    """Return ``text`` in quotes if it may be repeated in a message, else None.

    Only what looks like a name may: a URL, or whatever else could carry a secret into
    the wrong place, has other characters or is longer.
    """
    plain = len(text) <= _SHOWN_CHARACTERS and all(each.isalnum() or each in " _.-" for each in text)
    return f'"{text}"' if text and plain else None


def text_fault(text: str) -> tuple[str, str] | None:
    """Return what is wrong with ``text`` as one line of plain text and a hint, or None.

    Refused are characters that cannot be seen or would break the line: the API
    deletes what it does not like and reports success.
    """
    odd = "" if text.isprintable() else next(one for one in text if not one.isprintable())
    if not odd and not text.isascii():
        odd = next((one for one in _BLANK_LETTERS if one in text), "")
    if odd:
        return _oddity(odd), "Delete it, or type the text again by hand: it often comes from copying."
    if text != text.strip(" "):
        return "begins or ends with a space", "Delete the space."
    return None


def _oddity(one: str) -> str:
    if one in _PLAIN_WORDS:
        return f"contains {_PLAIN_WORDS[one]}"
    why = _BY_CATEGORY.get(unicodedata.category(one), "which is no character of any script")
    return f"contains {character(one)}, {why}"
