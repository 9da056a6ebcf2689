"""A callback's URL: which parts of it may be secret, and how to show it without them.

Callbacks carry no signature, so people put a token into the URL, and at Slack, Discord,
Teams, Zapier or healthchecks the path itself is the token. Owns the single rule that
decides which URLs are masked, warned about, and kept out of a manifest. It knows no
service by name: a token is anything that a person would not make up as a word or number.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

_STAND_IN: Final = "\ue000"
_CLEAR: Final = "[^\ue000-\uf8ff]+"
"""Everything but stand-ins for placeholders, which are private-use characters."""
_PLACEHOLDER: Final = re.compile(r"\$\{(?:env|file):[^{}]*\}")
_PIECES: Final = re.compile(r"[^\W_]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LETTERS: Final = r"([^\W\d_]*)"
_READABLE: Final = rf"\d{{0,5}}{_LETTERS}\d{{0,8}}|{_LETTERS}[24]{_LETTERS}|[^\W\d_]{{0,5}}\d{{9,14}}"
"""A word with a number before or after it, a word like web2sms, or a company number such as a SIRET or VAT number."""
_READABLE_BELOW_HOOK: Final = rf"{_LETTERS}(?:\d{{1,2}}|(?:19|20)\d\d)?|\d{{1,8}}"
_LONG: Final = 16
_MIXED: Final = r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])"
"""A long text in mixed case with a digit is a token, however readable it seems."""
_SHORTEST: Final = 5
"""Nothing shorter is a token: mp3, b2b."""
_SHORTEST_NAMED: Final = 4
"""The same for a value whose name says that it is secret."""
_HUMPS: Final = r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])"
_SHORTEST_HUMPS: Final = 3
"""The words of a camelCase name are at least this long on average; those in random letters are not."""
_LONGEST_WORD: Final = 24
_CONSONANTS: Final = r"(?i)[b-df-hj-np-tv-xz]"
_MOST_CONSONANTS: Final = 0.75
_HOOKS: Final = frozenset(
    {"bot", "catch", "hook", "hooks", "incoming", "incomingwebhook", "integration", "integrations", "ping", "services",
     "trigger", "triggers", "webhook", "webhooks", "webhookb2", "workflows"}
)  # fmt: skip
"""Path segments that services put a token after, as in /services/T024/B08/…"""
_NAMES_IN_PATHS: Final = frozenset({"apikey", "key", "passwd", "password", "secret", "token"})
_ENDS: Final = tuple(_NAMES_IN_PATHS)
_NAMES: Final = _NAMES_IN_PATHS | frozenset(
    {"auth", "authorization", "bearer", "clave", "cle", "clef", "contrasena", "credential", "credentials", "haslo",
     "hash", "hmac", "jeton", "jwt", "k", "kennwort", "mdp", "motdepasse", "pass", "passe", "passwort", "pw", "pwd",
     "senha", "session", "sid", "sig", "sign", "signature", "t", "tok"}
)  # fmt: skip
"""Names of parameters with secret values, alone or within a longer name such as api_key or mot_de_passe."""
_WORDS: Final = "[A-Z]?[a-z]+|[A-Z]+"


def masked_path(path: str, mask: str) -> str:
    """Return the path of a URL with ``mask`` in place of anything that looks like a token; stand-ins are kept."""
    segments = path.split("/")
    for number in _tokens(segments):
        segments[number] = re.sub(_CLEAR, mask, segments[number])
    return "/".join(segments)


def may_hold_secret(url: str) -> bool:
    """Return whether any part of ``url`` must not be shown."""
    parts = _parts(url)
    # For every parser: without these characters there is no user-info, no query string and no fragment.
    return parts is None or any(sign in url for sign in "@?#") or bool(_tokens(parts[3].split("/")))


@lru_cache(maxsize=4096)
def token_in_clear(url: str) -> str | None:
    """Return the part of ``url``, as a noun, that seems to contain a secret in clear; placeholders do not count.

    Cached, because most accounts share a few URLs.
    """
    parts = _parts(url)
    if parts is None:
        return None
    _, user, _, path, query, fragment = parts
    name, colon, password = (user or "").partition(":")
    if (password if colon else name).replace(_STAND_IN, ""):
        return "user-info"
    if _tokens(path.split("/")):
        return "path"
    for noun, text in (("query string", query), ("fragment", fragment)):
        if any(_is_parameter(each) for each in re.split("[&;]", text)):
            return noun
    return None


def _parts(url: str) -> tuple[str, str | None, str, str, str, str] | None:
    """Return scheme, user-info, host with port, path, query and fragment, each placeholder replaced by a stand-in."""
    try:
        scheme, netloc, path, query, fragment = urlsplit(_PLACEHOLDER.sub(_STAND_IN, url))
    except ValueError:
        return None
    user, at, host = netloc.rpartition("@")
    return scheme, user if at else None, host, path, query, fragment


def _tokens(segments: list[str]) -> frozenset[int]:
    """Return the indexes of the path ``segments`` that look like a token."""
    found = set()
    before, below_hook = "", False
    for number, segment in enumerate(segments):
        named = _names_next(before) and len("".join(re.findall(_CLEAR, segment))) >= _SHORTEST_NAMED
        if named or _is_token(segment, below_hook=below_hook):
            found.add(number)
        before = segment
        below_hook = below_hook or segment.lower() in _HOOKS
    return frozenset(found)


def _names_next(segment: str) -> bool:
    """Return whether the last word of a ``segment``, as in api-key, says that the next segment is a secret."""
    if not segment.lower().endswith(_ENDS):
        return False
    return re.findall(_WORDS, segment)[-1].lower() in _NAMES_IN_PATHS


def _is_parameter(text: str) -> bool:
    """Return whether a parameter, ``name=value`` or a value alone, seems to contain a secret in clear."""
    name, equals, value = text.partition("=")
    if not equals:
        return _is_token(text, below_hook=False)
    if _STAND_IN not in value and len(value) >= _SHORTEST_NAMED and _is_name(name):
        return True
    return _is_token(value, below_hook=False)


def _is_name(text: str) -> bool:
    words = re.findall(_WORDS, unquote(text))
    return any(word.lower() in _NAMES for word in (*words, text))


@lru_cache(maxsize=4096)
def _is_token(text: str, *, below_hook: bool) -> bool:
    """Return whether ``text`` looks random; cached, because most accounts share a few paths."""
    text = unquote(text)
    # With one of these in a path, parsers disagree about the host.
    if "@" in text or "\\" in text or _UUID.search(text):
        return True
    for parameter in text.split(";")[1:]:
        if "=" in parameter and _is_parameter(parameter):
            return True
    readable = _READABLE_BELOW_HOOK if below_hook else _READABLE
    for piece in _PIECES.findall(text):
        if len(piece) < _SHORTEST or not piece.isascii():
            continue
        match = re.fullmatch(readable, piece)
        if match is None or not all(_is_word(word) for word in match.groups() if word):
            return True
        if len(piece) >= _LONG and re.search(_MIXED, piece):
            return True
    return False


def _is_word(letters: str) -> bool:
    """Return whether ASCII ``letters`` may be a word, or several in camelCase, in any language."""
    if len(letters) < _SHORTEST:
        return True
    humps = re.findall(_HUMPS, letters)
    if len(letters) < len(humps) * _SHORTEST_HUMPS:
        return False
    return all(
        len(hump) <= _LONGEST_WORD
        and (len(hump) <= 2 * _SHORTEST or len(re.findall(_CONSONANTS, hump)) <= len(hump) * _MOST_CONSONANTS)
        for hump in humps
    )
