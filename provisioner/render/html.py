"""Plans as one HTML page, for a reviewer who wants to see the whole of it, to search it, or to print it.

Owns what the page says; its elements stand in ``markup``, through which every value goes.
The page needs no script to be read, asks for nothing from anywhere, and its policy lets no
script and no style run but its own two. Refuses to say more than the text plan may: what a
callback's URL hides stays hidden.
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
"""Names that the refusal tells; the table marks all of them."""
_KEYS: Final = {label: label.word.replace(" ", "-") for label in Label}
"""Labels as the filter and the style know them."""
_ROW_LABELS: Final = {label: frame.label(key, label.mark, label.word) for label, key in _KEYS.items()}


# ── The page ─────────────────────────────────────────────────────────────────


def page(plans: Sequence[Plan], digest: str, failed: Sequence[str] = (), view: View = words.PUBLISHED) -> str:
    """Return the whole page; ``digest`` is that of the plans, and ``failed`` the parents that have none."""
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
    """Return one parent, which the page links to by its ``number``, and add the labels of its changes to ``found``."""
    rows: list[Markup] = []
    for label, change in words.shown(plan):
        found[label] += 1
        rows.append(filled(markup.ROW, _ROW_LABELS[label], change.name, joined(_said(change, view))))
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
    """Yield why nothing is sent."""
    if (said := conditions.freeze(plan.terms)) is not None:
        yield filled(markup.FROZEN, frame.sentence((*said, ".")))
    if plan.over:
        yield filled(markup.REFUSED, frame.sentence(words.refusal(plan, _NAMED)))


def _list(kind: str, items: Iterable[Markup]) -> Markup:
    """Return a list of sentences, or nothing where there are none."""
    found = joined(filled(markup.TERM, each) for each in items)
    return filled(markup.TERMS, kind, found) if found else markup.EMPTY


def _settings(plans: Sequence[Plan]) -> Markup:
    """Return which settings are not as they usually are, which hold for all plans."""
    known = next((plan.terms.settings for plan in plans if plan.terms is not None), ())
    return _list("settings", (filled(markup.TEXT, said) for said in conditions.settings(known)))


def _terms(plan: Plan, view: View) -> Markup:
    notes = filter(None, (conditions.past_freeze(plan.terms), words.selection(plan, _NAMED)))
    where = markup.EMPTY if plan.terms is None else _given(conditions.place(plan.terms, view))
    who = () if plan.terms is None else conditions.recipients(plan.terms)
    return joined((where, _list("terms", map(frame.sentence, (*who, *notes, *conditions.all_reading(plan))))))


def _unchanged(these: Sequence[Unchanged]) -> Markup:
    """Return the accounts that stay as they are, folded."""
    if not these:
        return markup.EMPTY
    items = [filled(markup.FOLDED_ACCOUNT, each.name, words.holder(each.attributes)) for each in these]
    return frame.folded(f"{counted(len(these), 'account')} unchanged", items)


# ── What is to be done ───────────────────────────────────────────────────────


def _said(change: Change, view: View) -> Iterator[Markup]:
    """Yield what is said of a change, and by what its account can be known."""
    match change:
        case Create(account=account):
            yield _given(words.given(account))
            yield from map(_note, words.notes(change))
        case Update():
            if change.begun is not None:
                said = words.begun(change.begun)
                yield _explanation((f"An earlier run began it, and its outcome is not known: {said}.",))
            if change.fields:
                yield filled(markup.FIELDS, joined(map(_field, change.fields)))
            if said := conditions.reading(change):
                yield _explanation((said,))
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
    """Return labels, which are words of ours, with what each is about."""
    return filled(_definitions(tuple(these)), *these.values())


@cache
def _definitions(labels: tuple[str, ...]) -> Markup:
    """Return the template for ``labels``; most accounts have the same few."""
    return filled(markup.ATTRIBUTES, joined(filled(markup.ATTRIBUTE, label) for label in labels))


def _note(lines: Sequence[Sentence]) -> Markup:
    return filled(markup.NOTE, joined(map(frame.sentence, lines), markup.SPACE))


def _field(change: FieldChange) -> Markup:
    """Return one field of an update, from what it is to what it will be; what its values may hide is masked."""
    if (renewed := words.new_password(change)) is not None:
        return filled(markup.FIELD, "password", renewed)
    before = filled(markup.NOTHING if change.before is None else markup.BEFORE, words.before(change))
    after = filled(markup.NOTHING if change.after is None else markup.AFTER, words.value(change.path, change.after))
    said = words.remarks(change)
    remark = filled(markup.REMARK, f"({said})") if said else markup.EMPTY
    return filled(markup.FIELD, words.label(change.path), filled(markup.BEFORE_AFTER, before, after, remark))
