"""What any answer of the API tells: its error's words, its wish to be asked later, its JSON.

Refuses to judge; facts about the API are marked documented, seen or inferred.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn

from provisioner.model.codes import CODES, WRONG_CREDENTIALS
from provisioner.octopush.masking import masked
from provisioner.octopush.transport import Reply

ACCEPTED: Final = 300
"""Statuses from 200 up to this one are a success."""
_WORDS: Final = frozenset({"code", "message"})
_CODE_LENGTH: Final = 40
_MESSAGE_LENGTH: Final = 300
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""What stands in no text, and in whatever is compressed."""
_CREDENTIAL: Final = re.compile(".*(?:login|apikey)")
"""What the name of a credential is, without its capitals and whatever is no letter or digit."""
_IN_TEXT: Final = re.compile(
    r"""api[\s_.-]{0,3}(?:login|key)[\s"'\\]{0,9}(?:[:=>]|%3[ad]){1,3}[\s"'\\>]{0,9}([^\s"'\\<>&,;{}\[\]]{1,4096})"""
    # What logins look like (seen): good enough to notice one, and never to refuse one.
    r"|([\w.+-]{1,64}@sub-accounts\.com)",
    re.IGNORECASE,
)


# ── JSON ─────────────────────────────────────────────────────────────────────


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


def parsed(body: bytes) -> object:
    """Return what ``body`` is as JSON, by the letter: NaN is no number, and no key stands twice.

    Raises:
        RepeatedKeyError: a key does.
        ValueError: it is no JSON, or nested without an end.

    """
    try:
        return json.loads(body, object_pairs_hook=unique, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError from error


def _no_number(_: str) -> NoReturn:
    raise ValueError


def is_whole(text: str) -> bool:
    """Tell whether ``text`` holds no half of a character, which JSON can spell and nothing can print or send."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


# ── What it says ─────────────────────────────────────────────────────────────


def words(reply: Reply, hidden: Sequence[str]) -> str:
    """Return the API's own code and message (seen: ``{"code": 121, "message": "…"}``), for a reason's end.

    A code that is known is explained. Nothing else of a body is repeated: it may hold what was
    sent. Neither is what the message repeats of that, nor whatever looks like a credential.
    """
    code, message = _said(reply)
    # The message may repeat what else the answer holds: a key that was just made, say.
    hidden = (*hidden, *(value for name, value in _values(_lenient(reply)) if _is_credential_name(name)))
    parts = []
    if code is not None:
        meaning = CODES[found].meaning if (found := _number(code)) in CODES else ""
        known = f" ({meaning})" if meaning and meaning.casefold() not in (message or "").casefold() else ""
        parts.append(f"code {masked(code, hidden)[:_CODE_LENGTH]}{known}")
    if message is not None:
        # The message ends inside a sentence of ours.
        parts.append(masked(message, hidden)[:_MESSAGE_LENGTH].rstrip(" .!"))
    return f", {': '.join(parts)}" if parts else ""


def message(reply: Reply) -> str:
    """Return the API's message as it came, for nobody to read."""
    return _said(reply)[1] or ""


def hint(reply: Reply) -> str:
    """Return what can be done about the code that an answer bears, where it is known."""
    known = CODES.get(_number(_said(reply)[0] or ""))
    return "" if known is None else known.todo


def blames_credentials(reply: Reply) -> bool:
    """Tell whether the code that an answer bears says that the login or the key is wrong."""
    return _number(_said(reply)[0] or "") == WRONG_CREDENTIALS


def _said(reply: Reply) -> tuple[str | None, str | None]:
    document = _lenient(reply)
    if not isinstance(document, _Pairs):
        return None, None
    fields = dict(document)
    code, text = fields.get("code"), fields.get("message")
    return str(code) if isinstance(code, int | str) else None, text if isinstance(text, str) else None


def _number(code: str) -> int:
    return int(code) if re.fullmatch("[0-9]{1,9}", code) else -1


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


# ── What it is ───────────────────────────────────────────────────────────────


def is_page(reply: Reply) -> bool:
    """Tell whether a page for people came, as no API sends: whoever answered is not Octopush's API."""
    text = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    typed = "html" in reply.headers.get("Content-Type", "").lower()
    return text.startswith(b"<") or (bool(text) and typed and _lenient(reply) is None)


def doubt(reply: Reply) -> str | None:
    """Return why a refusal proves nothing, if so: what was not read, whole and by the letter, may say anything."""
    if reply.cut is not None and not is_page(reply):  # a page may be long, and says nothing
        return f"the answer was cut: {reply.cut}"
    if _is_unreadable(reply):
        return "the answer is compressed, though nothing compressed was asked for"
    return "the answer is JSON that is broken" if _is_broken(reply) else None


def _is_unreadable(reply: Reply) -> bool:
    """Tell whether what came cannot be read here, as it is compressed; JSON is read, whatever it is called."""
    if not reply.body or _lenient(reply) is not None:
        return False
    codings = ",".join(reply.headers.get(name, "") for name in ("Content-Encoding", "Transfer-Encoding"))
    coded = {each.strip().lower() for each in codings.split(",")} - {"", "identity", "chunked"}
    return bool(coded) or _BINARY.search(reply.body) is not None


def _is_broken(reply: Reply) -> bool:
    """Tell whether JSON came that is none by the letter, in whatever encoding."""
    if re.match(rb"[\s\[\xef\xbb\xbf]*\{", reply.body) is None:
        return False
    try:
        parsed(reply.body)
    except UnicodeDecodeError:
        return _loaded(reply.body.decode("latin-1")) is None
    except ValueError:
        return True
    return False


def holds_credentials(body: bytes, own: Sequence[str]) -> bool:
    """Tell whether a login or a key stands anywhere in ``body``, but those of ``own``, which the request carried.

    A false alarm costs a look into the dashboard; a miss, an account that exists twice.
    """
    known = "\n".join(own).casefold()
    document = _loaded(body)
    if document is None:
        return _text_holds(body.decode(errors="replace"), known)
    return any(
        _may_be_one(value, known) if _is_credential_name(name) else _text_holds(value, known)
        for name, value in _values(document)
    )


def _may_be_one(value: str, known: str) -> bool:
    """Tell whether what is called a login or a key may be one: no sentence, none of our own, and not masked."""
    bare = value.strip().casefold()
    return re.fullmatch(r"(?!.*(?: |\*\*|…)).*\w.*", bare, re.DOTALL) is not None and bare not in known


def _text_holds(text: str, known: str) -> bool:
    """Tell it of a text in which a word about a key, as in ``api_key: missing``, is no key."""
    found = ((one or other).rstrip(".!?:)") for one, other in _IN_TEXT.findall(text))
    return any(re.search("[0-9@]", each) and _may_be_one(each, known) for each in found)


class _Pairs(list[tuple[str, Any]]):
    """An object with every value of a key that stands twice."""


def _lenient(reply: Reply) -> object:
    """Return the body as JSON, objects as pairs; None where it is none."""
    return _loaded(reply.body)


def _loaded(text: bytes | str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None


def _values(document: object) -> Iterator[tuple[str, str]]:
    """Yield every text and number of a document, with the name that it stands under; also of JSON within a text."""
    pending = [("", document)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, _Pairs):
            pending += value
        elif isinstance(value, list):
            pending += [(name, each) for each in value]
        elif isinstance(value, str):
            inner = _loaded(value) if value.lstrip().startswith(("{", "[")) else None
            if inner is None:
                yield name, value
            else:
                pending.append((name, inner))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, str(value)


def _is_credential_name(name: str) -> bool:
    return _CREDENTIAL.fullmatch("".join(each for each in name.casefold() if each.isalnum())) is not None
