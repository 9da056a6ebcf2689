"""Compares what is desired with what is known, and counts the slots.

Owns the decision about every account. Refuses I/O, secrets and order: the same
manifest and state give the same plan, whatever the order of rows.
"""

from __future__ import annotations

from typing import assert_never

from provisioner.model.account import Attributes, DesiredAccount, Manifest
from provisioner.model.plan import Change, Closed, Create, FieldChange, Plan, Unchanged, Undecided, Unmanaged, Update
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown


def plan(manifest: Manifest, state: State | None, *, limit: int, reserved: int) -> Plan:
    """Return what an apply of ``manifest`` would do, sorted by name.

    ``state`` is None where nothing was ever applied. A plan that needs more slots
    than there are is returned all the same, with the names that do not fit in
    ``over``: those that would be created last.
    """
    records = state.accounts if state else {}
    desired = {account.name: account for account in manifest.accounts}
    changes = tuple(
        _wanted(desired[name], records.get(name)) if name in desired else _unwanted(name, records[name])
        for name in sorted({*desired, *records})
    )
    creates = [change.name for change in changes if isinstance(change, Create)]
    known = state or State(lineage="", parent=manifest.parent)
    slots = known.slots(limit=limit, reserved=reserved, planned=len(creates))
    fit = max(0, len(creates) + min(0, slots.left))
    return Plan(
        parent=manifest.parent,
        lineage=state.lineage if state else None,
        serial=state.serial if state else 0,
        slots=slots,
        changes=changes,
        over=tuple(creates[fit:]),
    )


def _wanted(account: DesiredAccount, record: Record | None) -> Change:
    match record:
        case None:
            return Create(account)
        case Active():
            fields = _differences(record.attributes, account.attributes)
            return Update(account, fields) if fields else Unchanged(account.name, record.attributes)
        case _:
            return _held(account.name, record)


def _unwanted(name: str, record: Record) -> Change:
    return Unmanaged(name, record.attributes) if isinstance(record, Active) else _held(name, record)


def _held(name: str, record: Pending | Unknown | Abandoned) -> Change:
    match record:
        case Pending() | Unknown():
            return Undecided(name, record.attributes, record.reason)
        case Abandoned():
            return Closed(name, record.attributes, record.reason)
        case _:
            assert_never(record)


def _differences(before: Attributes, after: Attributes) -> tuple[FieldChange, ...]:
    old, new = before.flat(), after.flat()
    paths = (path for path in dict.fromkeys((*old, *new)) if old.get(path) != new.get(path))
    return tuple(FieldChange(path, old.get(path), new.get(path)) for path in paths)
