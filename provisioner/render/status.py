"""The accounts of a state as text for people, and as the JSON document of version 1; with balances where asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from provisioner.model.exchange import Balance, Failed
from provisioner.model.state import Active, Record, State
from provisioner.render.documents import VERSION, Document
from provisioner.render.lines import HEADING, Line, counted, printable, table

Balances = Mapping[str, Balance | Failed]
"""What accounts have left, by name; one that is not here was not asked for."""


def document(these: Iterable[tuple[str, State | None]], balances: Mapping[str, Balances] | None = None) -> Document:
    """Return the document of ``status --format json``; each state comes with its parent's name.

    ``balances`` are those of each parent's accounts, where they were asked for.
    """
    told = [(parent, state, None if balances is None else balances.get(parent, {})) for parent, state in these]
    return {"version": VERSION, "states": [_state(*each) for each in told]}


def _state(parent: str, state: State | None, balances: Balances | None) -> Document:
    return {
        "parent": parent,
        "lineage": state.lineage if state else None,
        "serial": state.serial if state else 0,
        "accounts": [
            _account(name, record, balances) for name, record in sorted(state.accounts.items() if state else ())
        ],
    }


def _account(name: str, record: Record, balances: Balances | None) -> Document:
    balance = (balances or {}).get(name)
    document: Document = {
        "name": name,
        "status": type(record).__name__.lower(),
        "created_at": record.created_at if isinstance(record, Active) else None,
        "reason": _unavailable(record, balance),
    }
    if balances is not None:
        document["balance"] = {"amount": balance.amount, "unit": balance.unit} if isinstance(balance, Balance) else None
    return document


def text(parent: str, state: State | None, address: str, balances: Balances | None = None) -> list[Line]:
    """Return the accounts of one state, each with the time when it was created or tried, and what it has left."""
    if state is None:
        return [Line(f"{parent}: there is no state at {printable(address)} yet", HEADING)]
    if not state.accounts:
        return [Line(f"{parent}: no accounts yet", HEADING)]
    rows = [
        (
            printable(name),
            type(record).__name__.lower(),
            record.created_at if isinstance(record, Active) else record.operation.started_at,
            *(() if balances is None else (_balance(balances.get(name)),)),
            printable(_unavailable(record, (balances or {}).get(name)) or ""),
        )
        for name, record in sorted(state.accounts.items())
    ]
    title = Line(f"{parent}: {counted(len(rows), 'account')}, serial {state.serial}", HEADING)
    heading = ("NAME", "STATUS", "SINCE", *(() if balances is None else ("BALANCE",)), "REASON")
    return [title, *table(heading, rows)]


def _balance(this: Balance | Failed | None) -> str:
    return f"{this.amount:.2f} {printable(this.unit)}" if isinstance(this, Balance) else "?" if this else ""


def reason(record: Record) -> str | None:
    """Return why an account is not simply active, or None where it is."""
    if not isinstance(record, Active):
        return record.reason
    parts = []
    if record.edit is not None:
        parts.append(f"an edit was begun at {record.edit.operation.started_at} and is not known to be finished")
    if record.drift.gone:
        parts.append("Octopush no longer knows its login")
    if record.drift.altered:
        parts.append(f"Octopush altered {', '.join(record.drift.altered)}")
    if record.drift.changed:
        parts.append(f"somebody changed {', '.join(record.drift.changed)}")
    return "; ".join(parts) or None


def _unavailable(record: Record, balance: Balance | Failed | None) -> str | None:
    """Return why an account is not simply active, and why its balance is not known where it could not be had."""
    why = f"its balance cannot be had: {balance.reason}" if isinstance(balance, Failed) else None
    return "; ".join(filter(None, (reason(record), why))) or None
