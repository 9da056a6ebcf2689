"""Plans as one HTML page, for a reviewer who wants to see, search or print everything.

Owns the text of the page. Its elements are in ``markup``, through which every value goes.
The page is readable without scripts, loads nothing, and its policy allows only its own
script and its own style. Shows no more than the text plan: a callback's URL stays masked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, assert_never

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
from provisioner.render import conditions, frame, markup, words
from provisioner.render.lines import counted
from provisioner.render.markup import filled, joined
from provisioner.render.words import Label, Sentence, View

if TYPE_CHECKING:
    from markupsafe import Markup

_NAMED: Final = 20
"""How many names a refusal lists; the table marks all of them."""
_KEYS: Final = {label: label.word.replace(" ", "-") for label in Label}
"""The labels' names in the filter and the style."""
_ROW_LABELS: Final = {label: frame.label(key, label.mark, label.word) for label, key in _KEYS.items()}


# ── The page ─────────────────────────────────────────────────────────────────


def page(plans: Sequence[Plan], digest: str, failed: Sequence[str] = (), view: View = words.PUBLISHED) -> str:
    """Return the whole page for plans with this ``digest``; ``failed`` are the parents without a plan."""
    found: Counter[Label] = Counter()
    sections = [_section(number, plan, found, view) for number, plan in enumerate(plans, 1)]
    unplanned = (
        filled(markup.UNPLANNED, frame.sentence(words.unplanned(failed, len(failed)))) if failed else markup.EMPTY
    )
    page = frame.Page(
        kind="plan",
        generator="octopush-provisioner: plan",
        title=f"Plan for {plans[0].parent if len(plans) == 1 else counted(len(plans), 'parent')}",
        head=_navigation(plans) if len(plans) > 1 else markup.EMPTY,
        content=joined((_settings(plans), unplanned, *sections)),
        foot=filled(markup.PLAN_DIGEST, digest),
        boxes=[(_KEYS[label], label.word, found[label]) for label in Label if found[label]],
        rows="changes",
        folded="unchanged",
        example="name, field or value",
    )
    return frame.document(page)


def _navigation(plans: Sequence[Plan]) -> Markup:
    links = (
        filled(markup.PARENT_LINK, number, plan.parent, words.summary([plan])) for number, plan in enumerate(plans, 1)
    )
    return filled(markup.NAVIGATION, joined(links))


def _section(number: int, plan: Plan, found: Counter[Label], view: View) -> Markup:
    """Return the section of one parent, with ``number`` as its anchor, and count its labels in ``found``."""
    rows: list[Markup] = []
    for label, change in words.shown(plan):
        found[label] += 1
        rows.append(filled(markup.ROW, _ROW_LABELS[label], change.name, joined(_description(change, view))))
    return filled(
        markup.SECTION,
        number,
        number,
        plan.parent,
        "no state yet" if plan.lineage is None else f"state serial {plan.serial}",
        words.slots(plan.slots),
        _terms(plan, view),
        frame.gauge(plan.slots),
        joined(_banners(plan)),
        words.summary([plan]),
        joined(frame.tables(rows, ("Action", "Account", "What"), "Changes")),
        _unchanged([each for each in plan.changes if isinstance(each, Unchanged) and each.is_sure]),
    )


def _banners(plan: Plan) -> Iterator[Markup]:
    """Yield the reasons why nothing is sent."""
    if (freeze := conditions.freeze(plan.terms)) is not None:
        yield filled(markup.FROZEN, frame.sentence((*freeze, ".")))
    if plan.over:
        yield filled(markup.REFUSED, frame.sentence(words.refusal(plan, _NAMED)))


def _list(kind: str, items: Iterable[Markup]) -> Markup:
    """Return a list of sentences, empty if there are none."""
    found = joined(filled(markup.TERM, each) for each in items)
    return filled(markup.TERMS, kind, found) if found else markup.EMPTY


def _settings(plans: Sequence[Plan]) -> Markup:
    """Return the settings that differ from their defaults; they apply to all plans."""
    known = next((plan.terms.settings for plan in plans if plan.terms is not None), ())
    return _list("settings", (filled(markup.TEXT, effect) for effect in conditions.settings(known)))


def _terms(plan: Plan, view: View) -> Markup:
    notes = filter(None, (conditions.past_freeze(plan.terms), words.selection(plan, _NAMED)))
    where = markup.EMPTY if plan.terms is None else _given(conditions.place(plan.terms, view))
    who = () if plan.terms is None else conditions.recipients(plan.terms)
    return joined((where, _list("terms", map(frame.sentence, (*who, *notes, *conditions.all_reading(plan))))))


def _unchanged(these: Sequence[Unchanged]) -> Markup:
    """Return the unchanged accounts, folded."""
    if not these:
        return markup.EMPTY
    items = [filled(markup.FOLDED_ACCOUNT, each.name, words.holder(each.attributes)) for each in these]
    return frame.folded(f"{counted(len(these), 'account')} unchanged", items)


# ── Changes ──────────────────────────────────────────────────────────────────


def _description(change: Change, view: View) -> Iterator[Markup]:
    """Yield the description of a change and of its account."""
    match change:
        case Create(account=account):
            yield _given(words.given(account))
            yield from map(_note, words.notes(change))
        case Update():
            if change.edit is not None:
                edit = words.unfinished_edit(change.edit)
                yield _explanation((f"An earlier run started it, and its outcome is not known: {edit}.",))
            if change.fields:
                yield filled(markup.FIELDS, joined(map(_field, change.fields)))
            if reading := conditions.reading(change):
                yield _explanation((reading,))
        case Unchanged():
            yield _explanation(words.explanation(change))
        case StillUnknown():
            yield _explanation(words.explanation(change))
            yield _given(words.attempt(change.attributes, change.since, view))
        case Gone() | StillAbandoned() | Unmanaged():
            yield _explanation(words.explanation(change))
            yield _given(words.attributes(change.attributes))
        case _:
            assert_never(change)


def _explanation(why: Sentence) -> Markup:
    return filled(markup.EXPLANATION, frame.sentence(why))


def _given(these: Mapping[str, str]) -> Markup:
    """Return labels, which are our own words, with their values."""
    return filled(_definitions(tuple(these)), *these.values())


@cache
def _definitions(labels: tuple[str, ...]) -> Markup:
    """Return the template for ``labels``; most accounts have the same few."""
    return filled(markup.ATTRIBUTES, joined(filled(markup.ATTRIBUTE, label) for label in labels))


def _note(lines: Sequence[Sentence]) -> Markup:
    return filled(markup.NOTE, joined(map(frame.sentence, lines), markup.SPACE))


def _field(change: FieldChange) -> Markup:
    """Return one field of an update, with its old and new value; secret parts are masked."""
    if (renewed := words.new_password(change)) is not None:
        return filled(markup.FIELD, "password", renewed)
    before = filled(markup.NOTHING if change.before is None else markup.BEFORE, words.before(change))
    after = filled(markup.NOTHING if change.after is None else markup.AFTER, words.value(change.path, change.after))
    remarks = words.remarks(change)
    remark = filled(markup.REMARK, f"({remarks})") if remarks else markup.EMPTY
    return filled(markup.FIELD, words.label(change.path), filled(markup.BEFORE_AFTER, before, after, remark))
