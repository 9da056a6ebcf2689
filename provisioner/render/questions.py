"""Questions before something is changed: what, for whom, where, and in which state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from provisioner.model.state import Active
from provisioner.render import conditions, text, words
from provisioner.render.lines import counted, printable

if TYPE_CHECKING:
    from provisioner.model.plan import Plan
    from provisioner.model.state import Record
    from provisioner.model.terms import Terms


def place(parent: str, terms: Terms) -> list[str]:
    """Return where a parent's accounts and its state are; only the user at their own terminal sees it."""
    return [f"{printable(parent)}:", *(line.text for line in text.place(terms, words.View(private=True)))]


def about(parent: str, terms: Terms, name: str, record: Record | None) -> list[str]:
    """Return where an account is; for one that may not exist, also whom it is for and when its creation was tried."""
    lines = place(parent, terms)
    if record is not None and not isinstance(record, Active):
        known = words.attempt(record.attributes, record.operation.started_at, words.PUBLISHED)
        lines += [f"{printable(name)}, {record.status}:", *(f"  {each}" for each in text.aligned(known.items()))]
    return lines


def doubts(plans: Sequence[Plan]) -> Iterator[str]:
    """Yield a question for each account to create that looks like a renamed or moved one."""
    for plan in plans:
        whose = f" of {plan.parent}" if len(plans) > 1 else ""
        for change in plan.creates:
            if change.resembles is not None:
                yield (
                    f"{change.name} has the same names as {change.resembles}{whose}, which no manifest contains any"
                    f" more. Create {change.name} as another account?"
                )
            if (old := change.moved_from) is not None:
                yield (
                    f"{change.name} of {plan.parent} has the same names as {old.name} of {old.parent}, which no"
                    f" manifest contains any more. Octopush cannot move it. Create {change.name} as another account?"
                )


def apply(plans: Sequence[Plan], address: str, *, several: bool) -> str:
    """Return the question before ``plans`` are applied at ``address``; with ``several`` parents, it names the one."""
    counts = (
        ("create", sum(len(each.creates) for each in plans)),
        ("change", sum(len(each.updates) for each in plans)),
    )
    verbs = " and ".join(f"{verb} {count}" for verb, count in counts if count).capitalize()
    noun = "sub-account" if sum(count for _, count in counts) == 1 else "sub-accounts"
    changed = {plan.parent: plan.terms for plan in plans if plan.pending and plan.terms}
    place = f" at {address}"
    match [*changed.items()]:
        case [(name, terms)]:
            whose = printable(terms.account or conditions.source(terms.login))
            whose = f"{name} ({whose})" if several else whose
            place += f", {'and begin the state' if terms.begins else 'state in'} {printable(terms.state)}"
        case _:
            begun = sum(terms.begins for terms in changed.values())
            whose = f"{len(changed)} parents"
            place += f", and begin {counted(begun, 'state')}" if begun else ""
    return f"{verbs} {noun} of {whose}{place}?"
