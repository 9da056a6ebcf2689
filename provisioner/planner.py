"""Compares the manifest with the state, and counts the slots.

Decides what happens to every account. Does no I/O and sees no secret. The same manifest
and state give the same plan, whatever the order of the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from provisioner.errors import StateConflict
from provisioner.model.account import MASK, Attributes, DesiredAccount, Manifest, has_placeholder
from provisioner.model.plan import (
    Change,
    Create,
    Elsewhere,
    FieldChange,
    Gone,
    Plan,
    Selection,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
)
from provisioner.model.state import Abandoned, Active, Pending, Record, Slots, State, Unknown

if TYPE_CHECKING:
    from provisioner.model.report import Report

Found = Mapping[str, Mapping[str, str | None]]
"""What a refresh has just found at Octopush, by account and dotted path."""
NOTHING_FOUND: Final[Found] = MappingProxyType({})


def plan(manifest: Manifest, state: State | None, *, limit: int, reserved: int, found: Found = NOTHING_FOUND) -> Plan:
    """Return what an apply of ``manifest`` would do, sorted by name.

    ``state`` is None if nothing was ever applied. A plan that needs more slots than there
    are is still returned; ``over`` has the names that do not fit, those created last.

    Raises:
        StateConflict: an account would take over the record of its previous name, but has its own.

    """
    records = state.accounts if state else {}
    moved = {_record_name(account, records): account for account in manifest.accounts}
    unwanted = [name for name in records if name not in moved]
    changes = [_wanted(account, name, records.get(name), found) for name, account in moved.items()]
    changes += [_unwanted(name, records[name]) for name in unwanted]
    changes = list(_resembling(sorted(changes, key=lambda change: change.name), frozenset(unwanted)))
    creates = [change.name for change in changes if isinstance(change, Create)]
    known = state or State(lineage="", parent=manifest.parent)
    slots = known.slots(limit=limit, reserved=reserved, planned=len(creates))
    return Plan(
        parent=manifest.parent,
        lineage=state.lineage if state else None,
        serial=state.serial if state else 0,
        slots=slots,
        changes=tuple(changes),
        over=_over(creates, slots),
    )


def restricted(plan: Plan, manifest: Manifest, only: Collection[str]) -> Plan:
    """Return ``plan``, which was made from ``manifest``, restricted to the accounts ``only``.

    It was still compared with the whole manifest and the whole state. The other accounts need no slots.
    """
    chosen = [account for account in manifest.accounts if account.name in only]
    # A record may still have the account's previous name.
    names = {name for account in chosen for name in (account.name, account.previously)}
    changes = tuple(change for change in plan.changes if change.name in names)
    creates = [change.name for change in changes if isinstance(change, Create)]
    slots = replace(plan.slots, planned=len(creates))
    selection = Selection(
        tuple(sorted(account.name for account in chosen)),
        creates=len(plan.creates) - len(creates),
        updates=len(plan.updates) - sum(isinstance(change, Update) for change in changes),
    )
    return replace(plan, changes=changes, slots=slots, over=_over(creates, slots), selection=selection)


def with_moves(plans: Sequence[Plan], manifests: Sequence[Manifest]) -> tuple[Plan, ...]:
    """Return the ``plans`` made from ``manifests``, with accounts marked that seem to move to another parent.

    Octopush cannot move an account: what looks like a move leaves one account, and creates another.
    """
    left: dict[tuple[str, ...], list[Elsewhere]] = {}
    for plan, manifest in zip(plans, manifests, strict=True):
        for change in plan.changes:
            if isinstance(change, Unmanaged | StillUnknown) and not _names(manifest, change):
                left.setdefault(change.attributes.holder(), []).append(Elsewhere(plan.parent, change.name))
    if not left:
        return tuple(plans)
    origins: dict[Elsewhere, Elsewhere] = {}
    targets: dict[Elsewhere, Elsewhere] = {}
    for plan in plans:
        for create in plan.creates:
            twins = [each for each in left.get(create.account.attributes.holder(), ()) if each.parent != plan.parent]
            if twins and create.resembles is None:
                new = Elsewhere(plan.parent, create.name)
                origins[new] = old = next((each for each in twins if each.name == create.name), twins[0])
                targets.setdefault(old, new)
    return tuple(replace(plan, changes=tuple(_moved(plan, origins, targets))) if origins else plan for plan in plans)


def _names(manifest: Manifest, change: Unmanaged | StillUnknown) -> bool:
    """Return whether ``manifest`` names the account of ``change``."""
    return isinstance(change, StillUnknown) and any(
        change.name in {account.name, account.previously} for account in manifest.accounts
    )


def _moved(
    plan: Plan, origins: Mapping[Elsewhere, Elsewhere], targets: Mapping[Elsewhere, Elsewhere]
) -> Iterator[Change]:
    for change in plan.changes:
        this = Elsewhere(plan.parent, change.name)
        if isinstance(change, Create) and this in origins:
            yield replace(change, moved_from=origins[this])
        elif isinstance(change, Unmanaged | StillUnknown) and this in targets:
            yield replace(change, moved_to=targets[this])
        else:
            yield change


def _over(creates: Sequence[str], slots: Slots) -> tuple[str, ...]:
    """Return the last of ``creates``, which are in the order of execution, for which there is no slot."""
    return tuple(creates[max(0, len(creates) + min(0, slots.left)) :])


def with_unchecked(plan: Plan, report: Report) -> Plan:
    """Return ``plan`` with those accounts marked that the refresh in ``report`` could not check.

    For these, the plan shows only what the state knew before.
    """
    from provisioner.model.report import Result  # noqa: PLC0415  # a plan without a refresh does not need it

    unseen = {each.name: each.reason for each in report.outcomes if each.result is Result.UNCHECKED}
    changes = (
        replace(each, unchecked=unseen[each.name]) if isinstance(each, Unchanged) and each.name in unseen else each
        for each in plan.changes
    )
    return replace(plan, changes=tuple(changes))


def _record_name(account: DesiredAccount, records: Mapping[str, Record]) -> str:
    """Return the name under which the account has its record: its own name, or its previous one."""
    previous = account.previously
    if previous is None or previous not in records:
        return account.name
    if account.name in records:
        raise StateConflict(
            f"The manifest says that {account.name} was previously {previous}, but the state has both.",
            hint=f"If they are two accounts, delete `previously: {previous}` from the manifest. Nothing was changed.",
        )
    return previous


def _wanted(account: DesiredAccount, name: str, record: Record | None, found: Found) -> Change:
    """Return the change for a desired account whose record, if any, is ``record``, under ``name``."""
    match record:
        case None:
            return Create(account)
        case Active() if record.drift.gone:
            return Gone(name, record.attributes)
        case Active():
            fields = tuple(_differences(account, name, record, found.get(name, {})))
            if fields or record.edit is not None:
                return Update(account, fields, name if name != account.name else None, record.edit)
            return Unchanged(name, record.attributes, record.drift)
        case _:
            return _held(name, record)


def _unwanted(name: str, record: Record) -> Change:
    match record:
        case Active() if record.drift.gone:
            return Gone(name, record.attributes)
        case Active():
            return Unmanaged(name, record.attributes, record.drift, record.edit is not None)
        case _:
            return _held(name, record)


def _held(name: str, record: Pending | Unknown | Abandoned) -> Change:
    match record:
        case Pending() | Unknown():
            return StillUnknown(name, record.attributes, record.reason, record.operation.started_at)
        case Abandoned():
            return StillAbandoned(name, record.attributes, record.reason)
        case _:
            assert_never(record)


def _differences(
    account: DesiredAccount, name: str, record: Active, found: Mapping[str, str | None]
) -> Iterator[FieldChange]:
    """Yield each field of ``record`` that differs from what is desired; an unfinished edit may or may not have run."""
    if name != account.name:
        yield FieldChange("name", name, account.name)
    new = account.attributes.flat()
    olds = [each.flat() for each in _possible(record)]
    changed = record.drift.changed
    for path in dict.fromkeys((*(path for old in olds for path in old), *new, *changed)):
        if path in changed:
            actual, wanted = found.get(path) or None, new.get(path)
            # The actual value may contain the placeholder's value, which may be a secret.
            masked = actual is not None and wanted is not None and has_placeholder(wanted)
            unseen = path not in found and path not in record.drift.emptied
            yield FieldChange(path, MASK if masked else actual, wanted, drifted=True, unseen=unseen)
        else:
            befores = [old.get(path) for old in olds if old.get(path) != new.get(path)]
            if befores:
                yield FieldChange(path, befores[0], new.get(path))
    if account.password_version != record.password_version:
        yield FieldChange("password_version", str(record.password_version), str(account.password_version))


def _possible(record: Active) -> tuple[Attributes, ...]:
    return (record.attributes,) if record.edit is None else (record.attributes, record.edit.attributes)


def _resembling(changes: list[Change], unwanted: frozenset[str]) -> Iterator[Change]:
    """Yield the changes; a create that looks like a renamed account, which no manifest names now, says which.

    A rename keeps the holder of an account. A callback often contains the name, so it changes too.
    """
    twins = {
        change.attributes.holder(): change.name
        for change in reversed(changes)
        if isinstance(change, Unmanaged | StillUnknown | Gone) and change.name in unwanted
    }
    for change in changes:
        if isinstance(change, Create) and (twin := twins.get(change.account.attributes.holder())) is not None:
            yield Create(change.account, twin)
        else:
            yield change
