"""The overview of all parents as one HTML page, for a morning check or a wall screen.

Owns the text of the page; see ``frame`` for the parts that all pages share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from provisioner.model.status import ParentStatus
from provisioner.render import frame, markup, overview, words
from provisioner.render.markup import filled, joined
from provisioner.render.overview import Done, Finding, Overview, Trouble

if TYPE_CHECKING:
    from markupsafe import Markup


def page(this: Overview) -> str:
    """Return the whole page."""
    found = Counter(each.trouble for each in this.findings)
    whole = frame.Page(
        kind="status",
        generator=overview.signature(this),
        title=overview.title(this),
        head=joined(filled(markup.LEAD, kind, text) for kind, text in _head(this)),
        content=joined(_sections(this)),
        foot=filled(markup.FOOT, overview.FOOT),
        boxes=[(each.key, each.word, found[each]) for each in Trouble if found[each]],
        rows="rows",
        folded="balances",
        example="parent, account or reason",
    )
    return frame.document(whole)


def _head(this: Overview) -> Iterator[tuple[str, str]]:
    yield "summary", overview.summary(this)
    yield "quiet", overview.times(this)
    if (ended := overview.failure(this)) is not None:
        yield "refused", ended


def _sections(this: Overview) -> Iterator[Markup]:
    if this.findings:
        rows = [_finding(each, this) for each in this.findings]
        yield _section(
            "Needs attention", frame.tables(rows, ("What", "Account", "Why, and what to do next"), "Needs attention")
        )
    rows = [_parent(each, this) for each in this.parents]
    legend = frame.legend(slots for each in this.parents if (slots := each.slots) is not None)
    yield _section("Parents", (legend, *frame.tables(rows, ("Parent", "Accounts", "Slots"), "Parents")))
    if balances := tuple(_balances(this)):
        yield _section("Balances", balances)
    if this.operations:
        rows = [_operation(each, this) for each in this.operations]
        yield _section("Last operations", frame.tables(rows, ("When", "Account", "What"), "Operations"))


def _section(title: str, content: Iterable[Markup]) -> Markup:
    key = title.lower().replace(" ", "-")
    return filled(markup.PART, key, key, title, joined(content))


def _account(name: str | None, parent: str, this: Overview) -> Markup:
    """Return the name of an account, with its parent if there are several."""
    if name is None:
        return filled(markup.TEXT, parent)
    return filled(markup.TEXT, name) if len(this.parents) == 1 else filled(markup.ACCOUNT_OF, name, parent)


# ── Rows ─────────────────────────────────────────────────────────────────────


def _finding(each: Finding, this: Overview) -> Markup:
    label = frame.label(each.trouble.key, each.trouble.mark, each.trouble.word)
    return filled(markup.ROW, label, _account(each.account, each.parent, this), joined(_description(each, this)))


def _description(each: Finding, this: Overview) -> Iterator[Markup]:
    if each.attributes is not None:
        yield filled(markup.HOLDER, words.holder(each.attributes))
    yield filled(markup.EXPLANATION, overview.why(each, this.now))
    if each.todo:
        yield filled(markup.NOTE, frame.sentence(("Next: ", *each.todo)))


def _parent(each: ParentStatus, this: Overview) -> Markup:
    slots = each.slots
    gauge = filled(markup.EXPLANATION, "not known") if slots is None else frame.bar(slots, words.current_slots(slots))
    return filled(markup.PARENT_ROW, each.parent, overview.accounts(each, this), gauge)


def _operation(each: Done, this: Overview) -> Markup:
    parent, entry = each
    account = _account(entry.name, parent, this)
    return filled(markup.OPERATION_ROW, overview.when(entry.author.at, this.now), account, overview.done(entry))


def _balances(this: Overview) -> Iterator[Markup]:
    """Yield the balances of each parent's accounts, folded."""
    for each in this.parents:
        known = overview.balances(each)
        items = [
            filled(markup.FOLDED_ACCOUNT, _account(name, each.parent, this), overview.amount(balance))
            for name, balance in known
        ]
        if items:
            yield frame.folded(f"{each.parent}: {overview.sums(known)}", items)
