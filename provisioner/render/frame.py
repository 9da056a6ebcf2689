"""What the pages have in common: the document with its policy and its filter, tables, folds, and the gauge.

Owns how each of them is put together; their elements stand in ``markup``, through which
every value goes. A page needs no script to be read, asks for nothing from anywhere, and
its policy lets no script and no style run but its own two.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from provisioner.model.state import Slots
from provisioner.render import markup
from provisioner.render.markup import filled, joined
from provisioner.render.words import Code, Name, Sentence

_ROWS: Final = 250
"""Rows of one table; a longer one becomes several, so that a browser lays out only those in view."""
_LINES: Final = 1000
"""Lines of one folded list, for the same reason."""
_MARKED_SLOTS: Final = 100
"""Slots up to which the gauge shows each by itself."""
_NUMBERED: Final = 0.03
"""The least share of the gauge that has room for a number."""


@dataclass(frozen=True, slots=True)
class Page:
    """What makes one page another than the next."""

    kind: str
    """What it shows: ``plan``."""
    generator: str
    """What made it, for programs."""
    title: str
    head: Markup
    """What stands under the title."""
    content: Markup
    foot: Markup
    boxes: Sequence[tuple[str, str, int]]
    """Those of the filter: the key of the rows that each stands for, its word, and how many rows there are."""
    rows: str
    """What the filter counts: ``changes``."""
    folded: str
    """What it says of lines in folded lists: ``unchanged``."""
    example: str
    """What a reader may type into it."""


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
    """Return a file of the page, with the line ends that a browser will have made of it when it takes the hash."""
    content = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return Markup(content)  # noqa: S704  # what a file of this package holds is ours: nothing of a plan is in it


def _source(content: str) -> str:
    """Return how a policy names the one content that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def sentence(pieces: Sentence) -> Markup:
    """Return a sentence with its names, and what a person would type, as code."""
    return joined(filled(markup.CODE if isinstance(each, Name | Code) else markup.TEXT, each) for each in pieces)


def label(key: str, mark: str, word: str) -> Markup:
    """Return the first cell of a row that the filter knows by ``key``, with its mark of one character and its word."""
    return filled(markup.ROW_LABEL, key, key, mark, word)


def tables(rows: Sequence[Markup], headings: tuple[str, str, str], caption: str) -> Iterator[Markup]:
    """Yield the tables of ``rows``: one, or one for as many as a browser lays out at once."""
    if len(rows) <= _ROWS:
        if rows:
            yield filled(markup.TABLE, "part", filled(markup.CAPTION_READ_OUT, caption), *headings, joined(rows))
        return
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        shown = filled(markup.CAPTION, f"{caption} {begin + 1} to {begin + len(some)} of {len(rows)}")
        yield filled(markup.TABLE, "part long", shown, *headings, joined(some))


def folded(title: str, items: Sequence[Markup]) -> Markup:
    """Return ``items`` in lists that are folded under ``title``."""
    lists = (
        filled(markup.FOLDED_LIST, joined(items[begin : begin + _LINES])) for begin in range(0, len(items), _LINES)
    )
    return filled(markup.FOLDED, title, joined(lists))


# ── The gauge ────────────────────────────────────────────────────────────────


Kinds = tuple[tuple[str, int, str], ...]
"""What the slots of a parent hold: each kind as the style knows it, how many there are, and its words."""


def gauge(slots: Slots) -> Markup:
    """Return the slots of a parent as lengths, each a share of the whole, and a legend that says the same in words."""
    kinds = _kinds(slots)
    legend = [filled(markup.LEGEND, kind, f"{count} {what}") for kind, count, what in kinds if count]
    if slots.left < 0:
        legend.append(filled(markup.LEGEND, "mark-limit", f"the limit of {slots.limit}: {-slots.left} too many"))
    elif not slots.left:
        legend.append(filled(markup.LEGEND, "left", "0 left"))
    return joined((_drawn("gauge", slots, kinds), filled(markup.LEGENDS, joined(legend))))


def bar(slots: Slots, words: str) -> Markup:
    """Return the same as a small gauge for one row of a table; ``words`` say what it shows."""
    return joined((filled(markup.EXPLANATION, words), _drawn("gauge bar", slots, _kinds(slots))))


def legend(these: Iterable[Slots]) -> Markup:
    """Return what the marks of small gauges mean, as far as these have them."""
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
    """Yield the lines between the slots, where there are few enough to show each by itself."""
    for slot in range(1, whole) if whole <= _MARKED_SLOTS else ():
        place = _share(slot, whole)
        yield filled(markup.BETWEEN_FREE if slot > taken else markup.BETWEEN, place, place)


def _share(count: float, whole: int) -> str:
    return f"{100 * count / whole:.4g}%"
