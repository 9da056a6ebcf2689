"""The parts that the pages share: the document with its policy and its filter, tables, folded lists, and the gauge.

Owns how they are built. Their elements are in ``markup``, through which every value goes. A
page is readable without scripts, loads nothing, and its policy allows only its own script
and its own style.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup

from provisioner.immutable import immutable
from provisioner.model.state import Slots
from provisioner.render import markup
from provisioner.render.markup import filled, joined
from provisioner.render.words import CodeText, Name, Sentence

_ROWS: Final = 250
"""The most rows of one table; a longer one is split, so that a browser lays out only what is in view."""
_LINES: Final = 1000
"""The most lines of one folded list, for the same reason."""
_MARKED_SLOTS: Final = 100
"""Up to this many slots, the gauge shows each one."""
_NUMBERED: Final = 0.03
"""The smallest share of the gauge with room for a number."""


@immutable
class Page:
    """The content of one page."""

    kind: str
    """What the page shows, for example ``plan``."""
    generator: str
    """What generated the page, for programs."""
    title: str
    head: Markup
    """The content below the title."""
    content: Markup
    foot: Markup
    boxes: Sequence[tuple[str, str, int]]
    """The filter's checkboxes: the key of the rows that each selects, its label, and the number of rows."""
    rows: str
    """The filter's word for rows, for example ``changes``."""
    folded: str
    """The filter's word for lines in folded lists, for example ``unchanged``."""
    example: str
    """The filter's example of what to type."""


# ── The document ─────────────────────────────────────────────────────────────


def document(this: Page) -> str:
    """Return the whole page."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)};"
        " base-uri 'none'; form-action 'none'"
    )
    boxes = [filled(markup.BOX, *box) for box in this.boxes]
    search = filled(
        markup.FILTER,
        this.rows,
        this.rows,
        this.folded,
        this.example,
        filled(markup.BOXES, joined(boxes)) if boxes else markup.EMPTY,
    )
    content = joined((markup.PATTERNS, this.content))
    head = filled(markup.HEAD, policy, this.generator, this.title, style)
    return str(filled(markup.PAGE, head, this.kind, this.title, this.head, search, content, this.foot, script))


def _asset(name: str) -> Markup:
    """Return a file of the page, with the line endings that a browser hashes."""
    content = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return Markup(content)  # noqa: S704  # a file of this package, without any value from a plan


def _source(content: str) -> str:
    """Return the source expression for ``content`` in a policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def sentence(pieces: Sentence) -> Markup:
    """Return a sentence with names and commands as code."""
    return joined(filled(markup.CODE if isinstance(each, Name | CodeText) else markup.TEXT, each) for each in pieces)


def label(key: str, mark: str, word: str) -> Markup:
    """Return the first cell of a row with the filter's ``key``, a mark of one character and a word."""
    return filled(markup.ROW_LABEL, key, key, mark, word)


def tables(rows: Sequence[Markup], headings: tuple[str, str, str], caption: str) -> Iterator[Markup]:
    """Yield the tables of ``rows``: one, or several if there are too many to lay out at once."""
    if len(rows) <= _ROWS:
        if rows:
            yield filled(markup.TABLE, "part", filled(markup.CAPTION_READ_OUT, caption), *headings, joined(rows))
        return
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        shown = filled(markup.CAPTION, f"{caption} {begin + 1} to {begin + len(some)} of {len(rows)}")
        yield filled(markup.TABLE, "part long", shown, *headings, joined(some))


def folded(title: str, items: Sequence[Markup]) -> Markup:
    """Return ``items`` in lists folded under ``title``."""
    lists = (
        filled(markup.FOLDED_LIST, joined(items[begin : begin + _LINES])) for begin in range(0, len(items), _LINES)
    )
    return filled(markup.FOLDED, title, joined(lists))


# ── The gauge ────────────────────────────────────────────────────────────────


Kinds = tuple[tuple[str, int, str], ...]
"""The slots of a parent by kind: the kind's name in the style, the number of slots, and the label."""


def gauge(slots: Slots) -> Markup:
    """Return the slots of a parent as a bar, and a legend that says the same in words."""
    kinds = _kinds(slots)
    legend = [filled(markup.LEGEND, kind, f"{count} {what}") for kind, count, what in kinds if count]
    if slots.left < 0:
        legend.append(filled(markup.LEGEND, "mark-limit", f"the limit of {slots.limit}: {-slots.left} too many"))
    elif not slots.left:
        legend.append(filled(markup.LEGEND, "left", "0 left"))
    return joined((_drawn("gauge", slots, kinds), filled(markup.LEGENDS, joined(legend))))


def bar(slots: Slots, words: str) -> Markup:
    """Return a small gauge for one row of a table, with its meaning in ``words``."""
    return joined((filled(markup.EXPLANATION, words), _drawn("gauge bar", slots, _kinds(slots))))


def legend(these: Iterable[Slots]) -> Markup:
    """Return the legend for the small gauges of ``these`` slots."""
    found: dict[str, str] = {}
    for slots in these:
        found |= {kind: what for kind, count, what in _kinds(slots) if count}
        if slots.left < 0:
            found["mark-limit"] = "the limit"
    return filled(markup.LEGENDS, joined(filled(markup.LEGEND, *each) for each in found.items()))


def _kinds(slots: Slots) -> Kinds:
    over = min(slots.planned, max(0, -slots.left))
    return (
        ("known", slots.used - slots.unknown, "used for certain" if slots.unknown else "used"),
        ("unknown", slots.unknown, "used, unknown"),
        ("reserved", slots.reserved, "reserved"),
        ("planned", slots.planned - over, "planned"),
        ("over", over, "planned without a slot"),
        ("left", max(0, slots.left), "left"),
    )


def _drawn(style: str, slots: Slots, kinds: Kinds) -> Markup:
    whole = sum(count for _, count, _ in kinds) or 1
    segments: list[Markup] = []
    numbers: list[Markup] = []
    begin = 0
    for kind, count, _ in kinds:
        if count:
            segments.append(filled(markup.SEGMENT, kind, _share(begin, whole), _share(count, whole)))
            if count / whole >= _NUMBERED:
                numbers.append(filled(markup.NUMBER, _share(begin + count / 2, whole), count))
        begin += count
    limit = markup.EMPTY
    if slots.left < 0:
        place = _share(slots.limit, whole)
        limit = filled(markup.LIMIT, place, place)
    lines = joined(_lines(whole, whole - max(0, slots.left)))
    return filled(markup.GAUGE, style, joined(segments), lines, limit, joined(numbers))


def _lines(whole: int, taken: int) -> Iterator[Markup]:
    """Yield the lines between the slots, if there are few enough to show each one."""
    for slot in range(1, whole) if whole <= _MARKED_SLOTS else ():
        place = _share(slot, whole)
        yield filled(markup.BETWEEN_FREE if slot > taken else markup.BETWEEN, place, place)


def _share(count: float, whole: int) -> str:
    return f"{100 * count / whole:.4g}%"
