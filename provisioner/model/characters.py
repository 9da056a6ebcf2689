"""Characters: which ones a text may contain, and how to name one to a person.

Owns decoding and the rule for plain text. Never changes a text: it is kept as it is,
or refused.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import cache
from typing import Final

UNSEEN: Final = (
    # Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Others that are blank: Braille, a note without a head, fillers, and the object replacement character.
    r"\u2800\ufffc\U00013441\U00013442\U00016fe4\U0001d159]"
)
"""One character that shows nothing, whatever Unicode's category for it."""

# Where such characters are part of normal writing: only right after their emoji, letter or
# ideograph. Anywhere else they are hidden, and so is a second one in a row.
_PICTURE: Final = (
    # Extended_Pictographic of Unicode's emoji-data, from U+2000 on the same since version 13.
    r"[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u2388\u23cf\u23e9-\u23f3"
    r"\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705"
    r"\u2708-\u2712\u2714\u2716\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757"
    r"\u2763-\u2767\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d"
    r"\u3297\u3299\U0001f000-\U0001f0ff\U0001f10d-\U0001f10f\U0001f12f\U0001f16c-\U0001f171\U0001f17e\U0001f17f"
    r"\U0001f18e\U0001f191-\U0001f19a\U0001f201-\U0001f20f\U0001f21a\U0001f22f\U0001f232-\U0001f23a"
    r"\U0001f249-\U0001f3fa\U0001f400-\U0001f53d\U0001f546-\U0001f64f\U0001f680-\U0001f6ff\U0001f774-\U0001f77f"
    r"\U0001f7d5-\U0001f7ff\U0001f90c-\U0001f93a\U0001f93c-\U0001f945\U0001f947-\U0001faff]"
)
_DRAWN: Final = rf"{_PICTURE}[\ufe0f\U0001f3fb-\U0001f3ff]?"
_TAGGED: Final = "|".join("".join(chr(0xE0000 + ord(one)) for one in flag) for flag in ("gbeng", "gbsct", "gbwls"))
_VIRAMA: Final = (
    r"[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d3b\u0d3c\u0d4d\u0dca\u1039\u103a\u17d2\u1b44\ua9c0]"
)
_MONGOLIAN: Final = r"[\u1820-\u1878\u1880-\u18aa]"
_JOINING: Final = (
    # Letters of the scripts with a Joining_Type: Arabic, Syriac, N'Ko, Mandaic, Mongolian, Phags-pa, Adlam, Rohingya.
    r"[\u0620-\u064a\u066e-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06ff\u0710-\u072f\u074d-\u077f\u07ca-\u07ea\u0840-\u0858"
    r"\u0860-\u086a\u0870-\u08c9\u1820-\u1878\u1880-\u18aa\ua840-\ua872\U00010d00-\U00010d23\U0001e900-\U0001e943]"
)
_MEANT: Final = (
    # Emoji: joined, coloured or black, keycaps, and the three flags made of tag characters.
    rf"{_DRAWN}(?:\u200d{_DRAWN})+|{_PICTURE}[\ufe0e\ufe0f]|[0-9#*]\ufe0f\u20e3",
    rf"\U0001f3f4(?:{_TAGGED})\U000e007f",
    # After a virama, as in RFC 5892, A.1 and A.2, and before one, as in Bengali and Sinhala.
    rf"(?<={_VIRAMA})[\u200c\u200d]|(?<=\w)[\u200c\u200d](?={_VIRAMA})",
    # Between letters that would otherwise join, ignoring vowel signs: mostly Persian.
    rf"{_JOINING}[\u064b-\u065f\u0670]*\u200c(?={_JOINING})",
    # Variants of Mongolian letters and of ideographs; Japanese names are registered with these.
    rf"{_MONGOLIAN}(?:[\u180b-\u180d\u180f]|\u180e(?={_MONGOLIAN}))",
    r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff][\ufe00-\ufe02\U000e0100-\U000e01ef]",
)

_PLAIN_WORDS: Final = {
    "\n": "a line break",
    "\r": "a line break",
    "\t": "a tab",
    "\ufffd": "U+FFFD, the trace of a wrong encoding",
}
_RETYPE: Final = "Delete it, or type the text again by hand: such characters often come from copying."
_UNQUOTE: Final = "Delete it. If you meant a backslash, use YAML's single quotes: in double quotes it begins an escape."
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
_MERGE_MARK: Final = r"(?m)^(?:(?:<{7,}|>{7,}|\|{7,})(?![^ \r\n])|={7,}\r?$)"
_UNMERGED: Final = (
    "A merge was not finished: this line is one of the marks that git leaves.",
    "Keep one of the two sides, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>.",
)
_ASCII: Final = (
    bytes(each for each in range(0x20, 0x7F) if each != ord("\\"))
    + b"+AGE-\\u0041\\n~{1~}\x0e1\x0f\x1b$B1\x1b(B1 a\tb\r\n"
)
"""Every ASCII character but the backslash, and sequences that UTF-7, HZ, ISO-2022 and Python's escapes would change."""
_SHOWN_CHARACTERS: Final = 64
"""Longer than any good name, short enough for one line."""


def is_utf32(raw: bytes) -> bool:
    """Return whether ``raw`` has the byte-order mark of UTF-32; UTF-16's is the beginning of one of them."""
    return raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE))


def decoded(raw: bytes) -> str:
    """Return ``raw`` as text: UTF-8, with or without a byte-order mark, or UTF-16 with one.

    :raises UnicodeDecodeError: it is neither.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    return raw.removeprefix(codecs.BOM_UTF8).decode()


def encoding_fault(name: str) -> tuple[str, str] | None:
    """Return why the encoding ``name`` cannot be that of a table, and a hint, or None.

    It must be a text encoding that Python knows and that keeps ASCII as ASCII in every context, or UTF-16.
    """
    hint = "Write its usual name, as in windows-1252, macintosh, cp850, windows-1250 or shift-jis."
    try:
        if codecs.lookup(name).name.startswith("utf-16"):
            return None
    except (LookupError, ValueError):
        return "names an unknown encoding", hint
    try:
        kept = (_ASCII + b"\xa4\xa2").decode(name, "replace").startswith(_ASCII.decode())
    except (LookupError, ValueError):
        kept = False
    return None if kept else ("names an encoding that a table cannot have", hint)


def character(one: str) -> str:
    """Return the code point of the character ``one`` and its Unicode name, if it has one."""
    return f"U+{ord(one):04X} {unicodedata.name(one, '')}".rstrip()


def shown(text: str) -> str | None:
    """Return ``text`` in quotes if it may be repeated in a message, else None.

    Only what looks like a name may: a URL, or whatever else could carry a secret into
    the wrong place, has other characters or is longer.
    """
    plain = len(text) <= _SHOWN_CHARACTERS and all(each.isalnum() or each in " _.-" for each in text)
    return f'"{text}"' if text and plain and not re.search(UNSEEN, text) else None


def merge_mark(text: str) -> tuple[int, str, str] | None:
    """Return line (from 0), message and hint for the first conflict mark of an unfinished merge, or None."""
    # A plain search is far quicker, and almost no text has one.
    if any(7 * sign in text for sign in "<>=|") and (found := re.search(_MERGE_MARK, text)):
        return text.count("\n", 0, found.start()), *_UNMERGED
    return None


def text_fault(text: str) -> tuple[str, str] | None:
    """Return what is wrong with ``text`` as one line of plain text and a hint, or None.

    It refuses characters that would break the line, and invisible ones that have no effect
    where they are: the API deletes characters that it does not like, and reports success.
    """
    odd = _odd(text)
    if odd:
        if odd in "\r\n":
            return _oddity(odd), "Write it in one line."
        return _oddity(odd), _UNQUOTE if unicodedata.category(odd) == "Cc" else _RETYPE
    if text != text.strip(" "):
        return "begins or ends with a space", "Delete the space."
    return None


def disguise(text: str) -> tuple[str, str] | None:
    """Return the first invisible or misleading character of ``text`` as a message, and a hint, or None."""
    odd = _odd(text)
    return (_oddity(odd), _RETYPE) if odd and odd not in _PLAIN_WORDS else None


def _odd(text: str) -> str:
    """Return the first character of ``text`` that is invisible where it is, or an empty string."""
    if text.isprintable() and (text.isascii() or not ("\ufffd" in text or re.search(UNSEEN, text))):
        return ""
    left = _meant().sub("", text)
    return next((one for one in left if not one.isprintable() or one == "\ufffd" or re.match(UNSEEN, one)), "")


@cache
def _meant() -> re.Pattern[str]:
    """Return the pattern of the places where invisible characters belong; it is slow to compile and rarely needed."""
    return re.compile("|".join(_MEANT))


def _oddity(one: str) -> str:
    if one in _PLAIN_WORDS:
        return f"contains {_PLAIN_WORDS[one]}"
    why = _BY_CATEGORY.get(unicodedata.category(one), "which is not a character of any script")
    return f"contains {character(one)}, {why}"
