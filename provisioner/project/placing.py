"""Where accounts of ``parent: auto`` go, and that no two runs place one on two parents.

Two runs that place at once can differ, as their manifests, settings or states may. So before the
first of such accounts is created, its place is saved in a document of its own, beside the
states: whoever is second finds it there and sends nothing. It is a state without accounts,
kept where that of a parent named ``auto`` would be. It is read before the states are, so that
what it does not have yet cannot be in them either, and what it says of an account it changes
only where a state has the account.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from provisioner.errors import PlanStale, ProvisionerError, StateConflict, StateMoved
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
"""Seconds for which a run waits at least for another that saves its own places: that is one save."""
_ATTEMPTS: Final = 10
"""How often saving is tried again where others save theirs in between."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where accounts were placed, and what that was made from."""

    begins: bool
    """Whether nothing was ever placed."""
    remembered: Mapping[str, str]
    """By name, the parent that was known before."""
    wanted: Mapping[str, str]
    """By name, also by those that accounts had before, the parent."""


def remembered(workspace: Workspace, run: RunContext) -> Snapshot | ProvisionerError:
    """Return what is known of earlier placements; to be read before any state is."""
    return attempted(workspace.placements.look, run.reporter)


def placed(
    workspace: Workspace,
    manifests: Mapping[str, Manifest],
    known: Snapshot | ProvisionerError,
    looks: Mapping[str, tuple[Parent, Snapshot] | ProvisionerError],
) -> tuple[dict[str, Manifest], Placement, dict[str, ProvisionerError]]:
    """Return ``manifests`` with their accounts where they go, how they were placed, and why others were not.

    ``looks`` has every parent of the settings, and may have others.
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


def require_begun(workspace: Workspace, placement: Placement, *, may_begin: bool) -> None:
    """Return if accounts may be placed that nothing was placed before; raises StateConflict."""
    if placement.begins and not may_begin:
        raise StateConflict(
            f"There is no record of earlier placements at {workspace.placements.store.address}.",
            hint="If accounts of `parent: auto` were created, bring it back: without it they could be placed elsewhere,"
            " and created again. If these are the first, run `provisioner apply` once without --yes, or give"
            " --new-state once. Nothing was sent.",
        )


def keep(workspace: Workspace, placement: Placement, run: RunContext) -> None:
    """Save where the accounts go, before any of them is created.

    Raises:
        PlanStale: another run has placed one of them elsewhere meanwhile.
        StateError, StateLocked: it cannot be saved.

    """
    for _ in range(_ATTEMPTS):
        try:
            return _keep(workspace, placement, run)
        except StateMoved:
            # Others place their own accounts: what is there by now decides.
            continue
    return _keep(workspace, placement, run)


def _keep(workspace: Workspace, placement: Placement, run: RunContext) -> None:
    with workspace.placements.hold(run, patience=_PATIENCE) as session:
        state = session.state or State(lineage=str(uuid.uuid4()), parent=AUTO_PARENT)
        if (after := _with(placement, state.placements)) != state.placements:
            session.save(replace(state, serial=state.serial + 1, placements=after))


def _with(placement: Placement, now: Mapping[str, str]) -> dict[str, str]:
    """Return what is to be remembered; raises PlanStale."""
    moved = [
        f"{name} on {now[name]}"
        for name, parent in sorted(placement.wanted.items())
        if name in now and now[name] not in {parent, placement.remembered.get(name)}
    ]
    if moved:
        raise PlanStale(
            f"Another run has placed accounts meanwhile: {', '.join(moved)}.",
            hint="Look at who else works on it, and plan again. Nothing was sent.",
        )
    return {**now, **placement.wanted}
