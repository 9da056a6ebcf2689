"""Syntax: explains to the user why the YAML parser gave up.

The parser says what it expected, which is seldom what the user meant, so the text at that
place decides the message. The parser's own message is never shown, and no more of the text
than the one character that is special to YAML: the rest may be a secret.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from provisioner.model.characters import character, disguise

if TYPE_CHECKING:
    from collections.abc import Sequence

    import yaml

Mark = tuple[int, int]
"""Line and column, from 0."""
Explanation = tuple[Mark, str, str]
"""The place, the message and the hint."""

_CLOSING: Final = {"{": "}", "[": "]"}
_NOUNS: Final = {"{": "brace", "[": "bracket"}
_INDICATORS: Final = frozenset("-?:,[]{}&*!|>%@`")
_RESERVED: Final = frozenset("@`")
"""No unquoted text can begin with one of these."""
_VALUE_BEGINS: Final = r"[:?-]\s+$|[\[{,]\s*$"
"""What precedes a value on its line."""
_SIGNED: Final = ("an alias", "an anchor", "a tag", "a block scalar")
"""If the parser was scanning one of these, its first character is to blame."""
_BULLETS: Final = frozenset({"Pd", "Po", "Sm", "So"})
"""The Unicode categories of what people type instead of a list's hyphen."""
_COLONS: Final = frozenset("\uff1a\ufe55\ufe13\ua789\u2236\u02d0\u05c3")
"""Characters that only look like a colon."""
_NO_BLANK: Final = r"\s*(?:- +)*[\w-]+:(?!//)(\S)"


def explained(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> Explanation:
    """Return what ``error`` means in the text ``lines``."""
    complaint = f"{error.context} {error.problem}"
    at = _place(error.problem_mark)
    start = _place(error.context_mark) if error.context_mark else at
    if "quoted scalar" in complaint:
        return _quoted(complaint, at, start, lines)
    if "expected ',' or" in complaint and (found := _flow(at, start, lines)):
        return found
    places = (start, at) if "scanning" in complaint else (at,)
    is_sure = any(f"scanning {what}" in complaint for what in _SIGNED)
    return _hidden(places, lines) or _sign(places, lines, is_sure=is_sure) or _other(complaint, at, start, lines)


def _place(mark: yaml.Mark | None) -> Mark:
    return (mark.line, mark.column) if mark else (0, 0)


def _line(lines: Sequence[str], at: Mark) -> str:
    """Return the line at a place; empty at the end of the text."""
    return lines[at[0]] if at[0] < len(lines) else ""


def _quoted(complaint: str, at: Mark, start: Mark, lines: Sequence[str]) -> Explanation:
    if "escape" in complaint or "hex" in complaint:
        # The parser is at the backslash or a little after it.
        backslash = _line(lines, at).rfind("\\", 0, at[1] + 1)
        if "Unicode" in complaint:
            message = "This escape is half of a character, and the other half does not follow."
            return (at[0], max(0, backslash)), message, "Write both halves, or the character itself."
        message = "In double quotes a backslash begins an escape, and YAML does not know this one."
        hint = "Write the backslash twice, or use single quotes, where it is not special: 'C:\\Temp'."
        return (at[0], max(0, backslash)), message, hint
    return start, "The quote that opens here is not closed.", "Close it with the same kind of quote."


def _flow(at: Mark, start: Mark, lines: Sequence[str]) -> Explanation | None:
    opening = _line(lines, start)[start[1] : start[1] + 1]
    if opening not in _CLOSING:
        return None
    closing, noun = _CLOSING[opening], _NOUNS[opening]
    rest = _line(lines, at)[at[1] :]
    wrong = rest[:1] in _CLOSING.values() and rest[0] != closing
    if wrong or not (closing in rest or any(closing in each for each in lines[at[0] + 1 :])):
        hint = "Close it, or put the text in quotes."
        if any(re.search(rf"\s#.*\{closing}", each) for each in lines[start[0] : at[0] + 1]):
            hint = "A # after a space begins a comment: put a text that contains one in quotes."
        return start, f"The {noun} that opens here is not closed.", hint
    doubt = "" if at[0] == start[0] else f", or the {noun} that opens on line {start[0] + 1} is not closed"
    hint = f"Separate the entries with commas; put a text that contains a colon, a comma or a {noun} in quotes."
    return at, f"A comma is missing before this{doubt}.", hint


def _hidden(places: Sequence[Mark], lines: Sequence[str]) -> Explanation | None:
    """Return the explanation of a tab, or of a character that only looks right, where YAML needs a space."""
    for place in places:
        line = _line(lines, place)
        indent = len(line) - len(line.lstrip())
        if "\t" in line[:indent] or line[place[1] : place[1] + 1] == "\t":
            column = line.index("\t")
            return (place[0], column), "There is a tab here, where YAML needs spaces.", "Indent with spaces only."
        for column, one in enumerate(line):
            if column == indent and not one.isascii() and unicodedata.category(one) in _BULLETS:
                message = f"The line begins with {character(one)}."
                return (place[0], column), message, "A list entry begins with a hyphen and a space."
            # In the indentation, or where a colon or a dash needs a space after it.
            if (column <= indent or line[column - 1] in ":-") and (fault := disguise(one)):
                return (place[0], column), f"The line {fault[0]}.", "Type a space instead, or delete it."
    return None


def _sign(places: Sequence[Mark], lines: Sequence[str], *, is_sure: bool) -> Explanation | None:
    """Return the explanation of a text that begins with a character that is special to YAML."""
    for place in places:
        line = _line(lines, place)
        sign = line[place[1] : place[1] + 1]
        is_value = is_sure or re.search(_VALUE_BEGINS, line[: place[1]])
        if sign in _RESERVED or (sign in _INDICATORS and is_value):
            return place, *unquoted(sign)
    return None


def unquoted(sign: str) -> tuple[str, str]:
    """Return the message and the hint about an unquoted text that begins with ``sign``, which is special to YAML."""
    return f"A text that begins with {sign} must be in quotes.", f'Write it as in "{sign} Co".'


def _other(complaint: str, at: Mark, start: Mark, lines: Sequence[str]) -> Explanation:
    line = _line(lines, at)
    if "simple key" in complaint:
        if found := re.match(_NO_BLANK, _line(lines, start)):
            return (start[0], found.start(1)), "A space is missing after the colon here.", "Write it as in name: paris."
        if like := next((one for one in _line(lines, start) if one in _COLONS), ""):
            column = _line(lines, start).index(like)
            return (start[0], column), f"This is {character(like)} and not a colon.", "Type a colon and a space."
        return start, "A field's name has no colon after it.", "Write it as in name: paris."
    if "not allowed" in complaint and line[:1].isspace() and ": " not in line[: at[1]]:
        hint = "Align it with its neighbours; put a text of several lines in quotes."
        return (at[0], len(line) - len(line.lstrip())), "This line does not fit the ones above it.", hint
    if "not allowed" in complaint:
        return at, "A colon is not allowed here.", "Put the value in quotes, or check the indentation."
    if "did not find expected" in complaint and (before := line[: at[1]].rstrip()):
        hint = "Put the whole text in quotes."
        if before[-1] in "'\"":
            hint = "Write a quote inside a text twice: 'L''Aquila'; or use the other kind of quotes around it."
        return at, "The value ends before this, and nothing else is allowed on its line.", hint
    if "did not find expected" in complaint:
        return at, "This line does not fit the ones above it.", "Align it with its neighbours."
    return at, "This is not valid YAML.", "Look at the quotes, colons and indentation near here."
