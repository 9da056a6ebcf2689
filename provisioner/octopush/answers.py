"""What any answer of the API tells: its error's words, its wish to be asked later, its JSON.

Refuses to judge; facts about the API are marked documented, seen or inferred.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from provisioner.model.account import MASK
from provisioner.octopush.transport import Reply

ACCEPTED: Final = 300
"""Statuses from 200 up to this one are a success."""
_WORDS: Final = frozenset({"code", "message"})
_CODE_LENGTH: Final = 40
_MESSAGE_LENGTH: Final = 300


def words(reply: Reply, hidden: Sequence[str]) -> str:
    """Return the API's own code and message (seen: ``{"code": 121, "message": "…"}``), for a reason's end.

    Nothing else of a body is repeated: it may hold what was sent.
    """
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    code, message = document.get("code"), document.get("message")
    # The message may repeat what else the answer holds: a key that was just made, say.
    hidden = (*hidden, *(value for key, value in document.items() if key not in _WORDS and isinstance(value, str)))
    parts = []
    if isinstance(code, int | str):
        parts.append(f"code {_shown(str(code), hidden)[:_CODE_LENGTH]}")
    if isinstance(message, str):
        # The message ends inside a sentence of ours.
        parts.append(_shown(message, hidden)[:_MESSAGE_LENGTH].rstrip(" .!"))
    return f", {': '.join(parts)}" if parts else ""


def _shown(text: str, hidden: Sequence[str]) -> str:
    """Return ``text`` fit for a terminal and a log; the longest first, as a hidden text may hold another."""
    for each in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(each, MASK)
    return "".join(c if c.isprintable() else " " for c in text)


def retry_after(reply: Reply, now: datetime) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, given as a number or as an HTTP date."""
    text = reply.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def is_whole(text: str) -> bool:
    """Tell whether ``text`` holds no half of a character, which JSON can spell and nothing can print or send."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


class RepeatedKeyError(ValueError):
    """A key stands twice in one object."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of ``pairs``; raises RepeatedKeyError, which names a credential and no other key."""
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise RepeatedKeyError(key if key in {"api_key", "api_login"} else "a key")
        document[key] = value
    return document
