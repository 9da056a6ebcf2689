"""Masks in the API's words what no log may contain, in any form.

A secret that is cut, encoded, in other capitals or split up is still a secret. When in
doubt, masks a word too many rather than one too few.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote

from provisioner.model.account import MASK

_SHORTEST_CUT: Final = 6
"""Parts of a shorter secret are not searched for: they would be found everywhere."""
_PIECES: Final = (4, 8)
"""The shortest and the longest piece of a secret that gives it away; in between, a third of the secret."""
_DEPTH: Final = 3
"""How deeply encodings may be nested."""
_LOOKED_AT: Final = 4000
"""Characters: far more than are ever shown."""
_KEY_LENGTH: Final = 8
_WORD: Final = r"""[^\s"'()\[\]{}<>]*[^\s"'()\[\]{}<>.:!?,;]"""
"""A word without the punctuation after it."""
_EMAIL: Final = r"(?i)^([^@\s]+)@[a-z0-9.-]+\.[a-z]{2,}$"
_QUERY: Final = r"(?s)\?(?=.*=)"
_ESCAPED: Final = r"\\+(?:u\{?([0-9a-fA-F]{4})\}?|x([0-9a-fA-F]{2}))"
_BASE64: Final = r"[A-Za-z0-9+/_-]{6,}"
_HEX: Final = r"(?:[0-9a-fA-F]{2}){4,}"


def masked(text: str, hidden: Iterable[str]) -> str:
    """Return ``text`` fit for a terminal and a log, without any of ``hidden`` and anything that may be a login or key.

    A hidden text that begins with ``?`` and contains ``=`` is a query: its names are not secret.
    """
    secrets = sorted({each for each in hidden if each}, key=len, reverse=True)  # one may contain another
    for each in (re.sub(_QUERY, "", secret) for secret in secrets):
        text = re.sub(re.escape(each), MASK, text, flags=re.IGNORECASE)
    text = "".join(each if each.isprintable() else " " for each in text)
    if len(text) > _LOOKED_AT:
        text = text[:_LOOKED_AT].rpartition(" ")[0] or MASK
    bare = _bare(text)
    if any(len(each) >= _SHORTEST_CUT and each in bare for each in map(_bare, secrets)):
        return MASK
    pieces = {piece for each in secrets for piece in _pieces(each)}
    return re.sub(_WORD, lambda found: MASK if _gives_away(found[0], pieces) else found[0], text)


def _gives_away(word: str, pieces: set[str]) -> bool:
    """Return whether a word may be a login or a key, or contains a piece of a secret in any form."""
    if "@" in word:
        return True
    if len(word) >= _KEY_LENGTH and re.search("[0-9]", word) and re.search("[A-Za-z]", word):
        return True
    return any(piece in form for form in _forms(word) for piece in pieces)


def _pieces(secret: str) -> Iterator[str]:
    """Yield the pieces, in any form, that give a secret away; for an e-mail address, none of its domain."""
    if re.match(_QUERY, secret):
        return
    for text in _forms(re.sub(_EMAIL, r"\1", secret)):
        for part in text.split() if len(text) >= _SHORTEST_CUT else ():
            length = min(max(_PIECES[0], len(part) // 3), _PIECES[1])
            yield from (part[at : at + length] for at in range(len(part) - length + 1))


def _forms(word: str) -> set[str]:
    """Return ``word`` and everything that it may encode."""
    forms = found = {word}
    for _ in range(_DEPTH):
        found = {form for each in found for form in _decoded(each)} - forms
        forms = forms | found
    return {_plain(each) for each in forms}


def _decoded(word: str) -> Iterator[str]:
    yield unquote(word)
    if "&" in word:
        import html  # noqa: PLC0415  # slow to load, and few answers contain one

        yield html.unescape(word)
    yield re.sub(_ESCAPED, lambda found: chr(int(found[1] or found[2], 16)), word)
    for run in re.findall(_HEX, word):
        yield bytes.fromhex(run).decode(errors="ignore")
    for run in re.findall(_BASE64, word):
        # The text before it can shift it, by up to three characters.
        for start in range(4):
            whole = run[start:].replace("-", "+").replace("_", "/")
            yield base64.b64decode(whole + "A" * (-len(whole) % 4)).decode(errors="ignore")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _bare(text: str) -> str:
    """Return the letters and digits of ``text`` alone."""
    return "".join(each for each in _plain(text) if each.isalnum())
