"""Syntax: what is wrong where a parser of YAML gives up, told to the person who typed it.

Owns these words. The parser says what it expected, which is seldom what was meant: what
stands at its place decides. Its own sentence is never shown, and no more of the text than
the one sign that YAML took for its own: the rest may be a secret.
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
Told = tuple[Mark, str, str]
"""Where it is, what is wrong, and a hint."""

_CLOSING: Final = {"{": "}", "[": "]"}
_CALLED: Final = {"{": "brace", "[": "bracket"}
_INDICATORS: Final = frozenset("-?:,[]{}&*!|>%@`")
_RESERVED: Final = frozenset("@`")
"""No text begins with one of them anywhere."""
_VALUE_BEGINS: Final = re.compile(r"[:?-]\s+$|[\[{,]\s*$")
"""What stands before a value in its line."""
_SIGNED: Final = ("an alias", "an anchor", "a tag", "a block scalar")
"""What the parser was at where the sign at its beginning is to blame."""
_BULLETS: Final = frozenset({"Pd", "Po", "Sm", "So"})
"""The categories of what people type for the hyphen of a list."""
_COLONS: Final = frozenset("\uff1a\ufe55\ufe13\ua789\u2236\u02d0\u05c3")
"""What only looks like one."""
_NO_BLANK: Final = re.compile(r"\s*(?:- +)*[\w-]+:(?!//)(\S)")


def explained(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> Told:
    """Return what ``error`` means in a text of ``lines``."""
    said = f"{error.context} {error.problem}"
    at = _place(error.problem_mark)
    begun = _place(error.context_mark) if error.context_mark else at
    if "quoted scalar" in said:
        return _quoted(said, at, begun, lines)
    if "expected ',' or" in said and (told := _flow(at, begun, lines)):
        return told
    places = (begun, at) if "scanning" in said else (at,)
    is_sure = any(f"scanning {what}" in said for what in _SIGNED)
    return _hidden(places, lines) or _sign(places, lines, is_sure=is_sure) or _other(said, at, begun, lines)


def _place(mark: yaml.Mark | None) -> Mark:
    return (mark.line, mark.column) if mark else (0, 0)


def _line(lines: Sequence[str], at: Mark) -> str:
    """Return the line at a place; of the end of the text an empty one."""
    return lines[at[0]] if at[0] < len(lines) else ""


def _quoted(said: str, at: Mark, begun: Mark, lines: Sequence[str]) -> Told:
    if "escape" in said or "hex" in said:
        # The parser is at the backslash or a little behind it.
        backslash = _line(lines, at).rfind("\\", 0, at[1] + 1)
        if "Unicode" in said:
            message = "This escape is half of a character, and the other half does not follow."
            return (at[0], max(0, backslash)), message, "Write both halves, or the character itself."
        message = "In double quotes a backslash begins an escape, and this is none that YAML knows."
        hint = "Write it twice, or use single quotes, in which it is nothing special: 'C:\\Temp'."
        return (at[0], max(0, backslash)), message, hint
    return begun, "The quote that opens here is not closed.", "Close it with the same kind of quote."


def _flow(at: Mark, begun: Mark, lines: Sequence[str]) -> Told | None:
    opening = _line(lines, begun)[begun[1] : begun[1] + 1]
    if opening not in _CLOSING:
        return None
    closing, called = _CLOSING[opening], _CALLED[opening]
    rest = _line(lines, at)[at[1] :]
    wrong = rest[:1] in _CLOSING.values() and rest[0] != closing
    if wrong or not (closing in rest or any(closing in each for each in lines[at[0] + 1 :])):
        hint = "Close it, or put the text in quotes."
        if any(re.search(rf"\s#.*\{closing}", each) for each in lines[begun[0] : at[0] + 1]):
            hint = "A # after a space begins a comment: put a text that holds one in quotes."
        return begun, f"The {called} that opens here is not closed.", hint
    doubt = "" if at[0] == begun[0] else f", or the {called} that opens on line {begun[0] + 1} is not closed"
    hint = f"Separate the entries with commas; put a text that holds a colon, a comma or a {called} in quotes."
    return at, f"A comma is missing before this{doubt}.", hint


def _hidden(places: Sequence[Mark], lines: Sequence[str]) -> Told | None:
    """Return what is said of a tab, or a character that cannot be told by looking, where YAML wants a space."""
    for place in places:
        line = _line(lines, place)
        indent = len(line) - len(line.lstrip())
        if "\t" in line[:indent] or line[place[1] : place[1] + 1] == "\t":
            column = line.index("\t")
            return (place[0], column), "A tab stands here, where YAML wants spaces.", "Indent with spaces alone."
        for column, one in enumerate(line):
            if column == indent and not one.isascii() and unicodedata.category(one) in _BULLETS:
                message = f"The line begins with {character(one)}."
                return (place[0], column), message, "An entry of a list begins with a hyphen and a space."
            # In its indentation, or where a colon or a dash wants a space after it.
            if (column <= indent or line[column - 1] in ":-") and (fault := disguise(one)):
                return (place[0], column), f"The line {fault[0]}.", "Type a space in its place, or delete it."
    return None


def _sign(places: Sequence[Mark], lines: Sequence[str], *, is_sure: bool) -> Told | None:
    """Return what is said of a text that begins with a sign that YAML takes for its own."""
    for place in places:
        line = _line(lines, place)
        sign = line[place[1] : place[1] + 1]
        is_value = is_sure or _VALUE_BEGINS.search(line[: place[1]])
        if sign in _RESERVED or (sign in _INDICATORS and is_value):
            return place, f"A text that begins with {sign} must stand in quotes.", f'Write it as in "{sign} Co".'
    return None


def _other(said: str, at: Mark, begun: Mark, lines: Sequence[str]) -> Told:
    line = _line(lines, at)
    if "simple key" in said:
        if found := _NO_BLANK.match(_line(lines, begun)):
            return (begun[0], found.start(1)), "A space is missing after the colon here.", "Write it as in name: paris."
        if like := next((one for one in _line(lines, begun) if one in _COLONS), ""):
            column = _line(lines, begun).index(like)
            return (begun[0], column), f"This is {character(like)} and no colon.", "Type a colon and a space."
        return begun, "A field's name has no colon after it.", "Write it as in name: paris."
    if "not allowed" in said and line[:1].isspace() and ": " not in line[: at[1]]:
        hint = "Align it with its neighbours; put a text of several lines in quotes."
        return (at[0], len(line) - len(line.lstrip())), "This line does not fit the ones above it.", hint
    if "not allowed" in said:
        return at, "A colon stands here where none can.", "Put the value in quotes, or check the indentation."
    if "did not find expected" in said and (before := line[: at[1]].rstrip()):
        hint = "Put the whole text in quotes."
        if before[-1] in "'\"":
            hint = "Write a quote inside a text twice: 'L''Aquila'; or use the other kind of quotes around it."
        return at, "The value has ended before this, and nothing else can stand on its line.", hint
    if "did not find expected" in said:
        return at, "This line does not fit the ones above it.", "Align it with its neighbours."
    return at, "This is not valid YAML.", "Look at the quotes, colons and indentation near here."
