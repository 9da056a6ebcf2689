"""Placement of accounts with ``parent: auto``, so that no two runs place one account on two parents.

Two runs at the same time may place an account differently, since their manifests, settings or
states may differ. So before such an account is created, its parent is saved in a record of
placements: the second run finds it there and sends nothing. The record is a state without
accounts, stored at the address of a parent named ``auto``. It is read before the states: an
account that is missing from the record is then missing from the states too. The parent of an
account in the record changes only if a state has the account.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provisioner.errors import PlanStale, ProvisionerError, StateConflict, StateMoved
from provisioner.immutable import immutable
from provisioner.model.account import AUTO_PARENT, DesiredAccount, Manifest
from provisioner.model.state import State
from provisioner.placement import Room, place
from provisioner.project.running import attempted

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.running import RunContext
    from provisioner.project.workspace import Workspace
    from provisioner.state.reading import Snapshot

_PATIENCE: Final = 30.0
"""Seconds that a run waits at least for another that saves its placements, which takes one save."""
_ATTEMPTS: Final = 10
"""How often a save is tried again if other runs save in between."""


@immutable
class Placement:
    """The result of placing accounts, compared with the record."""

    begins: bool
    """Whether there is no record yet."""
    recorded: Mapping[str, str]
    """The parent of each account in the record so far, by account name."""
    wanted: Mapping[str, str]
    """The parent of each account now, by its name and by its previous name."""


def recorded(workspace: Workspace, run: RunContext) -> Snapshot | ProvisionerError:
    """Return the record of earlier placements; read it before any state."""
    return attempted(workspace.placements.look, run.reporter)


def placed(
    workspace: Workspace,
    manifests: Mapping[str, Manifest],
    known: Snapshot | ProvisionerError,
    looks: Mapping[str, tuple[Parent, Snapshot] | ProvisionerError],
) -> tuple[dict[str, Manifest], Placement, dict[str, ProvisionerError]]:
    """Return ``manifests`` with all accounts on their parents, the placement, and an error if some have no parent.

    ``looks`` has at least all parents of the settings.
    """
    autos = manifests[AUTO_PARENT].accounts
    rooms: dict[str, Room] = {}
    unreadable: dict[str, str] = {}
    if isinstance(known, ProvisionerError):
        unreadable["the record of earlier placements"] = known.message
    for name, own in workspace.settings.parents.items():
        look = looks[name]
        state = look if isinstance(look, ProvisionerError) else attempted(_settled, look[1])
        if isinstance(state, ProvisionerError):
            unreadable[f"the state of {name}"] = state.message
            continue
        accounts = manifests[name].accounts if name in manifests else ()
        rooms[name] = Room(state, accounts, own.limit, own.reserved, workspace.parent(name).is_frozen)
    before = {} if isinstance(known, ProvisionerError) or known.state is None else known.state.placements
    found = place(autos, rooms, before, unreadable=unreadable)
    merged = {name: list(this.accounts) for name, this in manifests.items() if name != AUTO_PARENT}
    wanted: dict[str, str] = {}
    for account in autos:
        if (parent := found.parents.get(account.name)) is not None:
            merged.setdefault(parent, []).append(replace(account, placed=parent))
            wanted |= {name: parent for name in (account.name, account.previously) if name is not None}
    begins = not isinstance(known, ProvisionerError) and known.state is None
    return (
        {name: Manifest(name, tuple(sorted(these, key=_name))) for name, these in sorted(merged.items())},
        Placement(begins, {name: before[name] for name in wanted if name in before}, wanted),
        {} if found.refusal is None else {AUTO_PARENT: found.refusal},
    )


def _settled(snapshot: Snapshot) -> State | None:
    return snapshot.settled


def _name(account: DesiredAccount) -> str:
    return account.name


def require_record(workspace: Workspace, placement: Placement, *, may_begin: bool) -> None:
    """Raise StateConflict if there is no record of placements and a new one is not allowed."""
    if placement.begins and not may_begin:
        raise StateConflict(
            f"There is no record of earlier placements at {workspace.placements.store.address}.",
            hint="If accounts with `parent: auto` were created, restore it: without it they could be placed elsewhere,"
            " and created again. If these are the first, run `provisioner apply` once without --yes, or once with"
            " --new-state. Nothing was sent.",
        )


def save(workspace: Workspace, placement: Placement, run: RunContext) -> None:
    """Save where the accounts were placed, before any of them is created.

    Raises:
        PlanStale: another run has meanwhile placed an account elsewhere.
        StateError, StateLocked: the record cannot be saved.

    """
    for _ in range(_ATTEMPTS):
        try:
            return _save(workspace, placement, run)
        except StateMoved:
            # Other runs save too: try again with the new record.
            continue
    return _save(workspace, placement, run)


def _save(workspace: Workspace, placement: Placement, run: RunContext) -> None:
    with workspace.placements.hold(run, patience=_PATIENCE) as session:
        state = session.state or State(lineage=str(uuid.uuid4()), parent=AUTO_PARENT)
        if (after := _with(placement, state.placements)) != state.placements:
            session.save(replace(state, serial=state.serial + 1, placements=after))


def _with(placement: Placement, now: Mapping[str, str]) -> dict[str, str]:
    """Return the placements to save; raises PlanStale if the record has changed for an account."""
    moved = [
        f"{name} on {now[name]}"
        for name, parent in sorted(placement.wanted.items())
        if name in now and now[name] not in {parent, placement.recorded.get(name)}
    ]
    if moved:
        raise PlanStale(
            f"Another run has meanwhile placed accounts elsewhere: {', '.join(moved)}.",
            hint="Find out who else works on it, and plan again. Nothing was sent.",
        )
    return {**now, **placement.wanted}
