"""A callback's URL: which parts of it may be a secret, and how it is shown without them.

Callbacks carry no signature, so people put a token into the URL, and at Slack, Discord,
Teams, Zapier or healthchecks the path itself is the token. Owns the one judgement by
which URLs are masked, warned about, and kept out of a manifest. Refuses to know any
service: a token is what no person would have made up as a word or a number.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

_STAND_IN: Final = "\ue000"
_CLEAR: Final = re.compile("[^\ue000-\uf8ff]+")
"""What is no stand-in for a placeholder: those are of the characters that mean nothing."""
_PLACEHOLDER: Final = re.compile(r"\$\{(?:env|file):[^{}]*\}")
_PIECES: Final = re.compile(r"[^\W_]+")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LETTERS: Final = r"([^\W\d_]*)"
_READABLE: Final = re.compile(rf"\d{{0,5}}{_LETTERS}\d{{0,8}}|{_LETTERS}[24]{_LETTERS}|[^\W\d_]{{0,5}}\d{{9,14}}")
"""A word with a number before or behind it, one such as web2sms, or a company's number, as a SIRET or for VAT."""
_READABLE_BELOW_HOOK: Final = re.compile(rf"{_LETTERS}(?:\d{{1,2}}|(?:19|20)\d\d)?|\d{{1,8}}")
_LONG: Final = 16
_MIXED: Final = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])")
"""Long, in both cases and with a number, it is none of ours, however well it reads."""
_SHORTEST: Final = 5
"""Nothing shorter, as mp3 or b2b, is a token."""
_SHORTEST_NAMED: Final = 4
"""The same of what follows a name that says that it is one."""
_HUMPS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SHORTEST_HUMPS: Final = 3
"""The words of a camelCase name are longer than this on average; those of random letters are not."""
_LONGEST_WORD: Final = 24
_CONSONANTS: Final = re.compile(r"[b-df-hj-np-tv-xz]", re.IGNORECASE)
_MOST_CONSONANTS: Final = 0.75
_HOOKS: Final = frozenset(
    {"bot", "catch", "hook", "hooks", "incoming", "incomingwebhook", "integration", "integrations", "ping", "services",
     "trigger", "triggers", "webhook", "webhooks", "webhookb2", "workflows"}
)  # fmt: skip
"""Segments of a path below which the services put a token, as in /services/T024/B08/…"""
_NAMES_IN_PATHS: Final = frozenset({"apikey", "key", "passwd", "password", "secret", "token"})
_ENDS: Final = tuple(_NAMES_IN_PATHS)
_NAMES: Final = _NAMES_IN_PATHS | frozenset(
    {"auth", "authorization", "bearer", "clave", "cle", "clef", "contrasena", "credential", "credentials", "haslo",
     "hash", "hmac", "jeton", "jwt", "k", "kennwort", "mdp", "motdepasse", "pass", "passe", "passwort", "pw", "pwd",
     "senha", "session", "sid", "sig", "sign", "signature", "t", "tok"}
)  # fmt: skip
"""Names of parameters whose values are secrets, plain or as a word of a longer one, as in api_key or mot_de_passe."""
_WORDS: Final = re.compile("[A-Z]?[a-z]+|[A-Z]+")


def masked_path(path: str, mask: str) -> str:
    """Return the path of a URL with ``mask`` for what seems to be a token; a stand-in for a placeholder is kept."""
    segments = path.split("/")
    for number in _tokens(segments):
        segments[number] = _CLEAR.sub(mask, segments[number])
    return "/".join(segments)


def may_hold_secret(url: str) -> bool:
    """Tell whether any part of ``url`` must not be shown."""
    parts = _parts(url)
    # Whatever parses it: without these signs there is no user-info, no query string and no fragment.
    return parts is None or any(sign in url for sign in "@?#") or bool(_tokens(parts[3].split("/")))


def token_in_clear(url: str) -> str | None:
    """Return the part of ``url`` in which a secret seems to be written in clear, as a noun; placeholders are none."""
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
    """Return scheme, user-info, host with port, path, query and fragment, with a stand-in for each placeholder."""
    try:
        scheme, netloc, path, query, fragment = urlsplit(_PLACEHOLDER.sub(_STAND_IN, url))
    except ValueError:
        return None
    user, at, host = netloc.rpartition("@")
    return scheme, user if at else None, host, path, query, fragment


def _tokens(segments: list[str]) -> frozenset[int]:
    """Return which ``segments`` of a path seem to be a token."""
    found = set()
    before, below_hook = "", False
    for number, segment in enumerate(segments):
        named = _names_next(before) and len("".join(_CLEAR.findall(segment))) >= _SHORTEST_NAMED
        if named or _is_token(segment, below_hook=below_hook):
            found.add(number)
        before = segment
        below_hook = below_hook or segment.lower() in _HOOKS
    return frozenset(found)


def _names_next(segment: str) -> bool:
    """Tell whether the last word of a ``segment`` says that the next one is a secret, as in api-key."""
    if not segment.lower().endswith(_ENDS):
        return False
    return _WORDS.findall(segment)[-1].lower() in _NAMES_IN_PATHS


def _is_parameter(text: str) -> bool:
    """Tell whether a parameter, ``name=value`` or a value alone, seems to hold a secret in clear."""
    name, equals, value = text.partition("=")
    if not equals:
        return _is_token(text, below_hook=False)
    if _STAND_IN not in value and len(value) >= _SHORTEST_NAMED and _is_name(name):
        return True
    return _is_token(value, below_hook=False)


def _is_name(text: str) -> bool:
    words = _WORDS.findall(unquote(text))
    return any(word.lower() in _NAMES for word in (*words, text))


@lru_cache(maxsize=4096)
def _is_token(text: str, *, below_hook: bool) -> bool:
    """Tell whether ``text`` has what no person makes up; most accounts have the same few paths, so it is kept."""
    text = unquote(text)
    # Where one of these stands in a path, parsers disagree about what is the host.
    if "@" in text or "\\" in text or _UUID.search(text):
        return True
    for parameter in text.split(";")[1:]:
        if "=" in parameter and _is_parameter(parameter):
            return True
    readable = _READABLE_BELOW_HOOK if below_hook else _READABLE
    for piece in _PIECES.findall(text):
        if len(piece) < _SHORTEST or not piece.isascii():
            continue
        match = readable.fullmatch(piece)
        if match is None or not all(_is_word(word) for word in match.groups() if word):
            return True
        if len(piece) >= _LONG and _MIXED.search(piece):
            return True
    return False


def _is_word(letters: str) -> bool:
    """Tell whether ASCII ``letters`` may be a word or several in camelCase, in whatever language."""
    if len(letters) < _SHORTEST:
        return True
    humps = _HUMPS.findall(letters)
    if len(letters) < len(humps) * _SHORTEST_HUMPS:
        return False
    return all(
        len(hump) <= _LONGEST_WORD
        and (len(hump) <= 2 * _SHORTEST or len(_CONSONANTS.findall(hump)) <= len(hump) * _MOST_CONSONANTS)
        for hump in humps
    )
