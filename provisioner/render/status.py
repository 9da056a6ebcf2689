"""The accounts in a state as text for people, with balances on request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from provisioner.model.exchange import Balance, Failed
from provisioner.model.report import Attempt
from provisioner.model.revision import Revision
from provisioner.model.state import Active, Pending, State, Unknown
from provisioner.model.terms import Freeze
from provisioner.render import conditions, words
from provisioner.render.lines import BAD, HEADING, Line, counted, printable, table
from provisioner.render.text import unknowns


def text(
    parent: str,
    state: State | None,
    address: str,
    balances: Mapping[str, Balance | Failed] | None = None,
    frozen: Freeze | None = None,
) -> list[Line]:
    """Return the accounts in one state, each with the time when it was created or tried, and its balance."""
    stopped = [] if frozen is None else [Line(f"  frozen {printable(conditions.until(frozen))}", BAD)]
    if state is None:
        return [Line(f"{printable(parent)}: there is no state at {printable(address)} yet", HEADING), *stopped]
    if not state.accounts:
        return [Line(f"{printable(parent)}: no accounts yet", HEADING), *stopped]
    rows = [
        (
            printable(name),
            "gone" if isinstance(record, Active) and record.drift.gone else record.status,
            record.created_at if isinstance(record, Active) else record.operation.started_at,
            *(() if balances is None else (_balance(balances.get(name)),)),
            printable(words.reason(record, (balances or {}).get(name)) or ""),
        )
        for name, record in sorted(state.accounts.items())
    ]
    title = Line(f"{printable(parent)}: {counted(len(rows), 'account')}, serial {state.serial}", HEADING)
    heading = ("NAME", "STATUS", "SINCE", *(() if balances is None else ("BALANCE",)), "REASON")
    unknown = {
        name: Attempt(record.attributes, record.operation.started_at)
        for name, record in sorted(state.accounts.items())
        if isinstance(record, Pending | Unknown)
    }
    sought = [Line("Look in Octopush's dashboard for:", BAD), *unknowns(unknown, words.PUBLISHED)] if unknown else []
    return [title, *stopped, *table(heading, rows), *sought]


def restored(names: Iterable[str], before: State | None, after: State | None) -> Iterator[str]:
    """Yield what became of each account with a rescued outcome."""
    for name in names:
        was, record = (None if state is None else state.accounts.get(name) for state in (before, after))
        if was == record:
            yield f"There was nothing to restore for {name}: the state has its outcome, perhaps under another name."
        else:
            yield f"{name} was not created: its slot is free." if record is None else f"{name} is back in the state."


def history(these: Iterable[Revision]) -> list[Line]:
    """Return a line for each save of a state."""
    rows = [(str(each.serial), each.saved_at, printable(each.what), printable(_by(each))) for each in these]
    return list(table(("SERIAL", "SAVED", "WHAT", "BY"), rows)) if rows else [Line("Nothing was saved yet.")]


def _by(this: Revision) -> str:
    """Return who made a save as ``user@host``, as a history does; a lock and its commit say more."""
    return re.sub(r"^process \d+ of (.+) on (\S+), since [^,]+", r"\1@\2", this.by)


def _balance(this: Balance | Failed | None) -> str:
    return f"{this.amount:.2f} {printable(this.unit)}" if isinstance(this, Balance) else "?" if this else ""
