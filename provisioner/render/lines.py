"""Lines of text for people, each with a style.

A line must be understandable without its style, because output need not be coloured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from provisioner.immutable import immutable
from provisioner.model.characters import UNSEEN


@immutable
class Line:
    """One line; ``style`` is one of those below, or empty."""

    text: str
    style: str = ""
    hanging: int | None = None
    """How far the rest is indented where the line is wrapped; None: a little further than its beginning."""


HEADING: Final = "bold"
GOOD: Final = "green"
CHANGED: Final = "yellow"
BAD: Final = "red"
QUIET: Final = "dim"


def printable(text: str) -> str:
    """Return ``text`` with control characters and invisible characters escaped."""
    if is_seen(text):
        return text
    return "".join(one if is_seen(one) else one.encode("unicode_escape").decode("ascii") for one in text)


def is_seen(text: str) -> bool:
    """Return whether ``text`` contains no control characters and no invisible characters."""
    return text.isprintable() and (text.isascii() or not re.search(UNSEEN, text))


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Line]:
    """Yield aligned columns, two spaces apart, without trailing blanks."""
    all_rows = [heading, *rows]
    widths = [max(len(row[column]) for row in all_rows) for column in range(len(heading))]
    for number, row in enumerate(all_rows):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield Line(f"  {text}", QUIET if number == 0 else "")


def wrapped(line: Line, width: int) -> Iterator[Line]:
    """Yield ``line`` in pieces of at most ``width`` characters, broken only between words."""
    if len(line.text) <= width:
        yield line
        return
    import textwrap  # noqa: PLC0415  # only needed for a narrow terminal

    lead = " " * (len(line.text) - len(line.text.lstrip(" ")))
    rest = " " * line.hanging if line.hanging is not None else f"{lead}    " if lead else ""
    pieces = textwrap.wrap(
        line.text, width, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False,
        expand_tabs=False, replace_whitespace=False,
    )  # fmt: skip
    yield from (Line(piece, line.style) for piece in pieces or [""])


def counted(count: int, noun: str) -> str:
    """Return a count and its noun, in the plural if needed."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
