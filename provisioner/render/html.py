"""Plans as one HTML page, for a reviewer who wants to see the whole of it, to search it, or to print it.

Owns what the page says; its elements stand in ``markup``, through which every value goes.
The page needs no script to be read, asks for nothing from anywhere, and its policy lets no
script and no style run but its own two. Refuses to say more than the text plan may: what a
callback's URL hides stays hidden.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, assert_never

from markupsafe import Markup

from provisioner.model.account import Attributes, shown_value
from provisioner.model.plan import (
    Change,
    Create,
    FieldChange,
    Gone,
    Plan,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
)
from provisioner.model.state import Slots
from provisioner.render import markup, words
from provisioner.render.lines import counted
from provisioner.render.markup import filled, joined
from provisioner.render.words import Code, Label, Name, Sentence

_ROWS: Final = 250
"""Changes in one table; a longer plan has several, so that a browser lays out only those in view."""
_LINES: Final = 1000
"""Unchanged accounts in one list, for the same reason."""
_NAMED: Final = 20
"""Names that the refusal tells; the table marks all of them."""
_MARKED_SLOTS: Final = 100
"""Slots up to which the gauge shows each by itself."""
_NUMBERED: Final = 0.03
"""The least share of the gauge that has room for a number."""

_KEYS: Final = {label: label.word.replace(" ", "-") for label in Label}
"""Labels as the filter and the style know them."""
_ROW_LABELS: Final = {label: filled(markup.ROW_LABEL, key, key, label.mark, label.word) for label, key in _KEYS.items()}


# ── The page ─────────────────────────────────────────────────────────────────


def page(plans: Sequence[Plan], digest: str, failed: Sequence[str] = ()) -> str:
    """Return the whole page; ``digest`` is that of the plans, and ``failed`` the parents that have none."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)};"
        " base-uri 'none'; form-action 'none'"
    )
    title = f"Plan for {plans[0].parent if len(plans) == 1 else counted(len(plans), 'parent')}"
    found: Counter[Label] = Counter()
    sections = [_section(number, plan, found) for number, plan in enumerate(plans, 1)]
    navigation = _navigation(plans) if len(plans) > 1 else markup.EMPTY
    unplanned = filled(markup.UNPLANNED, _sentence(words.unplanned(failed, len(failed)))) if failed else markup.EMPTY
    content = joined((markup.PATTERNS, _settings(plans), unplanned, *sections))
    return str(filled(markup.PAGE, policy, title, style, title, navigation, _actions(found), content, digest, script))


def _asset(name: str) -> Markup:
    """Return a file of the page, with the line ends that a browser will have made of it when it takes the hash."""
    content = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return Markup(content)  # noqa: S704  # what a file of this package holds is ours: nothing of a plan is in it


def _source(content: str) -> str:
    """Return how a policy names the one content that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def _navigation(plans: Sequence[Plan]) -> Markup:
    links = (
        filled(markup.PARENT_LINK, number, plan.parent, words.summary([plan])) for number, plan in enumerate(plans, 1)
    )
    return filled(markup.NAVIGATION, joined(links))


def _actions(found: Counter[Label]) -> Markup:
    """Return the boxes of the filter, one for each label that was ``found``."""
    boxes = [filled(markup.ACTION, _KEYS[label], label.word, found[label]) for label in Label if found[label]]
    return filled(markup.ACTIONS, joined(boxes)) if boxes else markup.EMPTY


def _sentence(pieces: Sentence) -> Markup:
    """Return a sentence with its names, and what a person would type, as code."""
    return joined(filled(markup.CODE if isinstance(each, Name | Code) else markup.TEXT, each) for each in pieces)


def _section(number: int, plan: Plan, found: Counter[Label]) -> Markup:
    """Return one parent, which the page links to by its ``number``, and add the labels of its changes to ``found``."""
    rows: list[Markup] = []
    for label, change in words.shown(plan):
        found[label] += 1
        rows.append(filled(markup.ROW, _ROW_LABELS[label], change.name, joined(_said(change))))
    return filled(
        markup.SECTION,
        number,
        number,
        plan.parent,
        "no state yet" if plan.lineage is None else f"state serial {plan.serial}",
        words.slots(plan.slots),
        _terms(plan),
        _gauge(plan.slots),
        joined(_banners(plan)),
        words.summary([plan]),
        joined(_tables(rows)),
        _unchanged([each for each in plan.changes if isinstance(each, Unchanged) and each.is_sure]),
    )


def _banners(plan: Plan) -> Iterator[Markup]:
    """Yield why nothing is sent."""
    if plan.terms is not None and plan.terms.is_frozen:
        yield filled(
            markup.FROZEN, _sentence((Code("apply"), " and ", Code("reconcile"), " do nothing for this parent."))
        )
    if plan.over:
        yield filled(markup.REFUSED, _sentence(words.refusal(plan, _NAMED)))


def _list(kind: str, items: Iterable[Markup]) -> Markup:
    """Return a list of sentences, or nothing where there are none."""
    found = joined(filled(markup.TERM, each) for each in items)
    return filled(markup.TERMS, kind, found) if found else markup.EMPTY


def _settings(plans: Sequence[Plan]) -> Markup:
    """Return which settings are not as they usually are, which hold for all plans."""
    known = next((plan.terms.settings for plan in plans if plan.terms is not None), ())
    return _list("settings", (filled(markup.TEXT, said) for said in words.settings(known)))


def _terms(plan: Plan) -> Markup:
    notes = (words.freeze(plan.terms), words.selection(plan, _NAMED))
    place = () if plan.terms is None else ((words.where(plan.terms),), *words.recipients(plan.terms))
    return _list("terms", map(_sentence, (*place, *filter(None, notes), *words.all_reading(plan))))


def _tables(rows: Sequence[Markup]) -> Iterator[Markup]:
    """Yield the tables of ``rows``: one, or one for as many as a browser lays out at once."""
    if len(rows) <= _ROWS:
        if rows:
            yield filled(markup.TABLE, "part", filled(markup.CAPTION_READ_OUT, "Changes"), joined(rows))
        return
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        caption = filled(markup.CAPTION, f"Changes {begin + 1} to {begin + len(some)} of {len(rows)}")
        yield filled(markup.TABLE, "part long", caption, joined(some))


def _unchanged(these: Sequence[Unchanged]) -> Markup:
    """Return the accounts that stay as they are, folded."""
    if not these:
        return markup.EMPTY
    items = [filled(markup.UNCHANGED_ACCOUNT, each.name, words.holder(each.attributes)) for each in these]
    parts = (
        filled(markup.UNCHANGED_PART, joined(items[begin : begin + _LINES])) for begin in range(0, len(items), _LINES)
    )
    return filled(markup.UNCHANGED, counted(len(these), "account"), joined(parts))


# ── The gauge ────────────────────────────────────────────────────────────────


def _gauge(slots: Slots) -> Markup:
    """Return the slots of a parent as lengths, each a share of the whole, and a legend that says the same in words."""
    over = min(slots.planned, max(0, -slots.left))
    kinds = (
        ("known", slots.used - slots.unknown, "used for certain" if slots.unknown else "used"),
        ("unknown", slots.unknown, "used, unknown"),
        ("reserved", slots.reserved, "reserved"),
        ("planned", slots.planned - over, "planned"),
        ("over", over, "planned without a slot"),
        ("left", max(0, slots.left), "left"),
    )
    whole = sum(count for _, count, _ in kinds) or 1
    segments: list[Markup] = []
    numbers: list[Markup] = []
    legend: list[Markup] = []
    begin = 0
    for kind, count, what in kinds:
        if count:
            segments.append(filled(markup.SEGMENT, kind, _share(begin, whole), _share(count, whole)))
            if count / whole >= _NUMBERED:
                numbers.append(filled(markup.NUMBER, _share(begin + count / 2, whole), count))
            legend.append(filled(markup.LEGEND, kind, f"{count} {what}"))
        begin += count
    limit = markup.EMPTY
    if slots.left < 0:
        place = _share(slots.limit, whole)
        limit = filled(markup.LIMIT, place, place)
        legend.append(filled(markup.LEGEND, "mark-limit", f"the limit of {slots.limit}: {-slots.left} too many"))
    elif not slots.left:
        legend.append(filled(markup.LEGEND, "left", "0 left"))
    lines = joined(_lines(whole, whole - max(0, slots.left)))
    return filled(markup.GAUGE, joined(segments), lines, limit, joined(numbers), joined(legend))


def _lines(whole: int, taken: int) -> Iterator[Markup]:
    """Yield the lines between the slots, where there are few enough to show each by itself."""
    for slot in range(1, whole) if whole <= _MARKED_SLOTS else ():
        place = _share(slot, whole)
        yield filled(markup.BETWEEN_FREE if slot > taken else markup.BETWEEN, place, place)


def _share(count: float, whole: int) -> str:
    return f"{100 * count / whole:.4g}%"


# ── What is to be done ───────────────────────────────────────────────────────


def _said(change: Change) -> Iterator[Markup]:
    """Yield what is said of a change, and by what its account can be known."""
    match change:
        case Create(account=account):
            yield _attributes(account.attributes)
            yield from _reading(change)
            yield from map(_note, words.notes(change))
        case Update():
            if change.begun is not None:
                said = words.begun(change.begun)
                yield _explanation((f"An earlier run began it, and its outcome is not known: {said}.",))
            if change.fields:
                yield filled(markup.FIELDS, joined(map(_field, change.fields)))
            yield from _reading(change)
        case Unchanged():
            yield _explanation(words.explanation(change))
        case Gone():
            yield _explanation((*words.explanation(change), "."))
            yield _attributes(change.attributes)
        case StillAbandoned():
            yield _explanation((*words.explanation(change), f" ({change.reason})"))
            yield _attributes(change.attributes)
        case Unmanaged() | StillUnknown():
            yield _explanation(words.explanation(change))
            yield _attributes(change.attributes)
        case _:
            assert_never(change)


def _reading(change: Change) -> Iterator[Markup]:
    if said := words.reading(change):
        yield _explanation((said,))


def _explanation(why: Sentence) -> Markup:
    return filled(markup.EXPLANATION, _sentence(why))


def _attributes(attributes: Attributes) -> Markup:
    flat = attributes.flat()
    return filled(_attribute_list(tuple(flat)), *(shown_value(path, value) for path, value in flat.items()))


@cache
def _attribute_list(paths: tuple[str, ...]) -> Markup:
    """Return the template for attributes at ``paths``, which are names of ours; most accounts have the same few."""
    return filled(markup.ATTRIBUTES, joined(filled(markup.ATTRIBUTE, path) for path in paths))


def _note(lines: Sequence[Sentence]) -> Markup:
    return filled(markup.NOTE, joined(map(_sentence, lines), markup.SPACE))


def _field(change: FieldChange) -> Markup:
    """Return one field of an update, from what it is to what it will be; what its values may hide is masked."""
    if (renewed := words.new_password(change)) is not None:
        return filled(markup.FIELD, "password", renewed)
    before, after = (words.value(change.path, each) for each in (change.before, change.after))
    shown_before = filled(markup.NOTHING if change.before is None else markup.BEFORE, before)
    shown_after = filled(markup.NOTHING if change.after is None else markup.AFTER, after)
    said = words.remark(change) or ("nothing is sent for that" if change.path == "name" else "")
    remark = filled(markup.REMARK, f"({said})") if said else markup.EMPTY
    if change.drifted:
        found = markup.EMPTY if change.before is None else filled(markup.DRIFTED_TO, shown_before)
        return filled(markup.FIELD, change.path, filled(markup.DRIFTED, found, shown_after, remark))
    return filled(markup.FIELD, change.path, filled(markup.BEFORE_AFTER, shown_before, shown_after, remark))
