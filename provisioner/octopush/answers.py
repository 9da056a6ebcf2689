"""What is in any answer of the API: the words of an error, ``Retry-After``, the JSON.

Does not judge. Facts about the API are marked documented, seen or inferred.
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
_BINARY: Final = rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]"
"""Bytes that no text contains, but all compressed data does."""
_CREDENTIAL: Final = re.compile(".*(?:login|apikey)")
"""The name of a credential, in lower case, without characters other than letters and digits."""
_IN_TEXT: Final = (
    "(?i)"
    r"""api[\s_.-]{0,3}(?:login|key)[\s"'\\]{0,9}(?:[:=>]|%3[ad]){1,3}[\s"'\\>]{0,9}([^\s"'\\<>&,;{}\[\]]{1,4096})"""
    # The form of a login (seen): good enough to notice one, but not to refuse one.
    r"|([\w.+-]{1,64}@sub-accounts\.com)"
)


# ── JSON ─────────────────────────────────────────────────────────────────────


class RepeatedKeyError(ValueError):
    """An object has a key twice."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of ``pairs``; raises RepeatedKeyError, which names the key only if it is a credential's."""
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise RepeatedKeyError(key if key in {"api_key", "api_login"} else "a key")
        document[key] = value
    return document


def parsed(body: bytes) -> object:
    """Return ``body`` as strict JSON: no NaN, and no repeated key.

    Raises:
        RepeatedKeyError: a key is repeated.
        ValueError: it is not JSON, or nested too deeply.

    """
    try:
        return json.loads(body, object_pairs_hook=unique, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError from error


def _no_number(_: str) -> NoReturn:
    raise ValueError


def is_whole(text: str) -> bool:
    """Return whether ``text`` has no lone surrogate, which JSON can express but nothing can print or send."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


# ── The words of the API ─────────────────────────────────────────────────────


def words(reply: Reply, hidden: Sequence[str]) -> str:
    """Return the API's own code and message (seen: ``{"code": 121, "message": "…"}``), for the end of a reason.

    A known code is explained. Nothing else of a body is repeated, because it may contain what was
    sent. In the message, whatever was sent or looks like a credential is masked.
    """
    code, message = _code_and_message(reply)
    # The message may repeat other parts of the answer, such as a new key.
    hidden = (*hidden, *(value for name, value in _values(_lenient(reply)) if _is_credential_name(name)))
    parts = []
    if code is not None:
        meaning = CODES[found].meaning if (found := _number(code)) in CODES else ""
        known = f" ({meaning})" if meaning and meaning.casefold() not in (message or "").casefold() else ""
        parts.append(f"code {masked(code, hidden)[:_CODE_LENGTH]}{known}")
    if message is not None:
        # The message becomes part of a sentence of ours.
        parts.append(masked(message, hidden)[:_MESSAGE_LENGTH].rstrip(" .!"))
    return f", {': '.join(parts)}" if parts else ""


def message(reply: Reply) -> str:
    """Return the API's message unmasked, which must not be shown."""
    return _code_and_message(reply)[1] or ""


def hint(reply: Reply) -> str:
    """Return what to do about the code in an answer, if the code is known."""
    known = CODES.get(_number(_code_and_message(reply)[0] or ""))
    return "" if known is None else known.todo


def blames_credentials(reply: Reply) -> bool:
    """Return whether the code in an answer says that the login or the key is wrong."""
    return _number(_code_and_message(reply)[0] or "") == WRONG_CREDENTIALS


def _code_and_message(reply: Reply) -> tuple[str | None, str | None]:
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


# ── The kind of answer ───────────────────────────────────────────────────────


def is_page(reply: Reply) -> bool:
    """Return whether the answer is a web page: then Octopush's API is not what answered."""
    text = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    typed = "html" in reply.headers.get("Content-Type", "").lower()
    return text.startswith(b"<") or (bool(text) and typed and _lenient(reply) is None)


def doubt(reply: Reply) -> str | None:
    """Return why a refusal proves nothing, or None: an answer that was not read completely may say anything."""
    if reply.cut is not None and not is_page(reply):  # a page may be long, and says nothing
        return f"the answer was cut: {reply.cut}"
    if _is_unreadable(reply):
        return "the answer is compressed, though no compression was requested"
    return "the answer is broken JSON" if _is_broken(reply) else None


def _is_unreadable(reply: Reply) -> bool:
    """Return whether the body is unreadable because it is compressed; JSON is readable, whatever its headers say."""
    if not reply.body or _lenient(reply) is not None:
        return False
    codings = ",".join(reply.headers.get(name, "") for name in ("Content-Encoding", "Transfer-Encoding"))
    coded = {each.strip().lower() for each in codings.split(",")} - {"", "identity", "chunked"}
    return bool(coded) or re.search(_BINARY, reply.body) is not None


def _is_broken(reply: Reply) -> bool:
    """Return whether the body looks like JSON, but is not valid, in any encoding."""
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
    """Return whether ``body`` contains a login or a key, other than those of ``own``, which the request carried.

    A false alarm costs a look at the dashboard; a miss, a duplicate account.
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
    """Return whether the value of a login or a key may be one: not a sentence, not our own, and not masked."""
    bare = value.strip().casefold()
    return re.fullmatch(r"(?!.*(?: |\*\*|…)).*\w.*", bare, re.DOTALL) is not None and bare not in known


def _text_holds(text: str, known: str) -> bool:
    """Return whether a text contains one; a word about a key, as in ``api_key: missing``, is not a key."""
    found = ((one or other).rstrip(".!?:)") for one, other in re.findall(_IN_TEXT, text))
    return any(re.search("[0-9@]", each) and _may_be_one(each, known) for each in found)


class _Pairs(list[tuple[str, Any]]):
    """An object that keeps every value of a repeated key."""


def _lenient(reply: Reply) -> object:
    """Return the body as JSON, objects as pairs; None if it is not JSON."""
    return _loaded(reply.body)


def _loaded(text: bytes | str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None


def _values(document: object) -> Iterator[tuple[str, str]]:
    """Yield every text and number of a document with its key, also from JSON within a text."""
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
