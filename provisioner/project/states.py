"""Operations on a whole state: pull, push, migrate, history, unlock.

Never goes back to an earlier serial or to another lineage: newer accounts would be created again.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.errors import (
    CommandInvalid,
    ProvisionerError,
    StateConflict,
    StateForeign,
    StateInvalid,
    StateRolledBack,
)
from provisioner.immutable import immutable
from provisioner.model.state import Active
from provisioner.project.running import attempted
from provisioner.state import codec
from provisioner.state.stores import Note
from provisioner.state.stores.remote import RemoteStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.model.revision import Revision
    from provisioner.model.state import State
    from provisioner.project.parent import Parent
    from provisioner.project.running import RunContext
    from provisioner.project.workspace import Workspace
    from provisioner.state.lease import Lease
    from provisioner.state.stores import Store


@immutable
class Moved:
    """The result of a push or a migration of one parent's state."""

    parent: str
    origin: str
    """Where it was, for messages."""
    address: str
    """Where it is now."""
    state: State | None
    """None if there was none."""
    failure: ProvisionerError | None = None
    """Why it was not moved; None if it was, or if there was none."""


@immutable
class Prepared:
    """The prepared store of one parent's state."""

    parent: str
    address: str
    is_new: bool
    """Whether anything had to be created."""
    failure: ProvisionerError | None = None
    """Why it was not prepared; None if it was."""


def one(workspace: Workspace, names: Sequence[str]) -> Parent:
    """Return the one parent in ``names``, or the record of placements; raises CommandInvalid if there are several."""
    parents = [each for each in workspace.records() if [each.name] == [*names]] or workspace.parents(names)
    if len(parents) > 1:
        raise CommandInvalid(
            f"There are several parents: {', '.join(parent.name for parent in parents)}.",
            hint="Choose one with --parent.",
        )
    return parents[0]


def pull(parent: Parent) -> bytes:
    """Return the document of the state from its store; raises StateConflict if there is none."""
    raw, _ = parent.store.load()
    if raw is None:
        raise StateConflict(
            f"There is no state of the parent {parent.name} at {parent.store.address}.", hint="Check `state`."
        )
    return raw


def history(parent: Parent) -> tuple[Revision, ...]:
    """Return the saves of a state, newest first; raises CommandInvalid if its store has no history."""
    return _remote(parent).backend.history()


def revision(parent: Parent, serial: int) -> bytes:
    """Return the document with ``serial``; raises CommandInvalid if there is none, or no history."""
    raw = _remote(parent).backend.revision(serial)
    if raw is None:
        raise CommandInvalid(
            f"The history of {parent.store.address} has no serial {serial}.",
            hint="`provisioner state history` lists all serials.",
        )
    return raw


def unlock(parent: Parent, lease: str) -> Lease:
    """End the lease of a dead run, and return it; raises CommandInvalid if there is no such lease."""
    store = parent.store
    found = store.backend.lease() if isinstance(store, RemoteStore) else None
    if found is None or found.id != lease or not isinstance(store, RemoteStore):
        holder = "" if found is None else f" It is held by {found.holder}, with the lease {found.id}."
        raise CommandInvalid(
            f"No run holds {store.address} with the lease {lease}.{holder}",
            hint="The lock of a state in a file ends with its run, and needs no unlocking.",
        )
    store.backend.end(lease)
    return found


def push(parent: Parent, raw: bytes, source: str, run: RunContext, *, undo_move: bool) -> Moved:
    """Replace the state, which may be damaged, with the document ``raw``; ``source`` is its name in messages.

    With ``undo_move``, also replace the note of a move whose new place is lost. If this machine has
    seen a newer state there, the state is put back, but refused until a person accepts it.

    Raises:
        StateInvalid: it is not a state.
        StateForeign: it is the state of another parent or of another lineage, or the state has moved.
        StateRolledBack: it is older than the current state, its history, or what this machine has seen.

    """
    state = codec.decode(raw, source)
    _require_own(state, source, parent)
    with parent.hold_store(run) as store:
        found, version = store.load()
        place = None if found is None else codec.moved_to(found)
        if place is not None and not undo_move:
            raise StateForeign(
                f"The state at {store.address} has moved to {place}.",
                hint="Set `state` to its new place. Only if that place is lost, put back your newest copy with"
                " `provisioner state push FILE --undo-move`. Nothing was changed.",
            )
        _require_later(state, _decoded(found if place is None else None, store), store, source)
        seen = attempted(parent.require_seen, state, run.reporter)
        if isinstance(seen, ProvisionerError) and place is None:
            raise seen
        state = _put(state, version, store, f"push from {source}", parent, run)
        if seen is None:
            # Otherwise this machine must not forget the newer state.
            parent.remember(state, run.reporter)
    return Moved(parent.name, source, store.address, state)


def prepare(parent: Parent) -> Prepared:
    """Create what the store needs before its first save, such as tables; raises StateUnreachable."""
    store = parent.store
    return Prepared(parent.name, store.address, isinstance(store, RemoteStore) and store.backend.prepare())


def migrate_each(parents: Sequence[Parent], origin: str, run: RunContext) -> tuple[Moved, ...]:
    """Move the states of all ``parents``; raises the error of the only one."""
    found = []
    for parent in parents:
        old, new = (
            each.replace("{parent}", parent.name) for each in (origin, parent.settings.state_address(parent.name))
        )
        done = attempted(migrate, parent, old, run)
        if isinstance(done, ProvisionerError):
            done = Moved(parent.name, old, new, None, _unless_alone(done, parents))
        found.append(done)
    return tuple(found)


def prepare_each(parents: Sequence[Parent]) -> tuple[Prepared, ...]:
    """Prepare the stores of all ``parents``; raises the error of the only one."""
    found = []
    for parent in parents:
        done = attempted(prepare, parent)
        if isinstance(done, ProvisionerError):
            address = parent.settings.state_address(parent.name)
            done = Prepared(parent.name, address, is_new=False, failure=_unless_alone(done, parents))
        found.append(done)
    return tuple(found)


def _unless_alone(failure: ProvisionerError, parents: Sequence[Parent]) -> ProvisionerError:
    """Return the ``failure`` of one of ``parents``; raise it if there is only one."""
    if len(parents) == 1:
        raise failure
    return failure


def migrate(parent: Parent, origin: str, run: RunContext) -> Moved:
    """Move the state from ``origin`` to the address in the settings, and leave a note at the old address.

    Safe to repeat: a state at the new address stays, unless it is older.

    Raises:
        StateForeign: another state is at the new address, or another parent's at the old one.
        StateConflict: there is a rescued outcome next to the old state, or both copies were used since.

    """
    old = parent.store_at(origin)
    if old.key == parent.store.key:
        raise CommandInvalid(
            f"{old.address} is where the settings keep the state.",
            hint="First set `state` to the new address, then give the old one with --from.",
        )
    prepare(parent)
    with ExitStack() as held:
        held.enter_context(parent.hold_store(run, old))
        raw, version = old.load()
        if raw is None:
            return Moved(parent.name, old.address, parent.store.address, None)
        if _leads_to(raw, parent.store):
            return Moved(parent.name, old.address, parent.store.address, _decoded(parent.store.load()[0], parent.store))
        state = codec.decode(raw, old.address)
        _require_own(state, old.address, parent)
        if old.rescued():
            raise StateConflict(
                f"There is a rescued outcome in {old.rescue_address}, which is not in the state yet.",
                hint=f"Put it back first: `provisioner recover --state {origin}`. Nothing was moved.",
            )
        store = held.enter_context(parent.hold_store(run))
        there, its_version = store.load()
        # A state that moves back finds its own note there.
        found = None if there is not None and _leads_to(there, old) else _decoded(there, store)
        if found is not None and found.lineage == state.lineage:
            _require_one_way(state, old, found, store)
        if found is None or found.serial < state.serial or found.lineage != state.lineage:
            _require_later(state, found, store, old.address)
            state = _put(
                state, its_version, store, f"moved from {old.address}", parent, run, _history(old, parent, run)
            )
            parent.remember(state, run.reporter)
        old.save(codec.tombstone(store.address), version)
    return Moved(parent.name, old.address, store.address, state)


def _leads_to(raw: bytes, store: Store) -> bool:
    return codec.moved_to(raw) in {store.address, store.key}


def _require_own(state: State, source: str, parent: Parent) -> None:
    """Raise StateForeign if ``state`` belongs to another parent."""
    if state.parent != parent.name:
        raise StateForeign(
            f"{source} is the state of the parent {state.parent}, not of {parent.name}.",
            hint="Choose the right parent with --parent. Nothing was changed.",
        )


def _require_one_way(state: State, old: Store, found: State, store: Store) -> None:
    """Raise StateConflict if two copies of a state were both used: to replace one would lose its accounts.

    An interrupted move leaves both copies until it is run again.
    """
    goes, stays = ((found, store), (state, old)) if found.serial < state.serial else ((state, old), (found, store))
    known = {each.operation.id for each in stays[0].accounts.values()}
    known |= {one for each in stays[0].accounts.values() if isinstance(each, Active) for one in each.operations}
    missing = sorted(name for name, each in goes[0].accounts.items() if each.operation.id not in known)
    if missing or (state.serial == found.serial and state != found):
        which = f"; only {goes[1].address} has {', '.join(missing)}" if missing else ""
        raise StateConflict(
            f"{old.address} and {store.address} are copies of one state, but both were used since{which}.",
            hint="Stop all runs until there is one state again: adopt the missing accounts with `provisioner adopt"
            f" NAME LOGIN --state {stays[1].address}`, then run `provisioner forget NAME --force --state"
            f" {goes[1].address}`, then this command again. Nothing was moved.",
        )


def _history(old: Store, parent: Parent, run: RunContext) -> tuple[str, ...]:
    """Return the history lines that move with a state; if they cannot be read, only warn."""
    lines = attempted(old.recorded)
    if isinstance(lines, ProvisionerError):
        parent.warn(run.reporter, f"The history was not moved. {lines.message}")
        return ()
    return lines


def _put(
    state: State, version: str, store: Store, what: str, parent: Parent, run: RunContext, lines: tuple[str, ...] = ()
) -> State:
    """Save ``state`` and return it, with the next serial if its own was already used by another save."""
    state = replace(state, serial=max(state.serial, store.newest(None) + 1))
    note = Note(state.lineage, state.serial, what, lines)
    store.save(codec.encode(state, secrets.token_hex(8)), version, note)
    if lines and isinstance(failure := attempted(store.record, note), ProvisionerError):
        parent.warn(run.reporter, f"The history was not moved. {failure.message}")
    return state


def _decoded(raw: bytes | None, store: Store) -> State | None:
    """Return the state in ``raw``; None if there is none, or it is damaged and may be replaced."""
    try:
        return None if raw is None else codec.decode(raw, store.address)
    except StateInvalid:
        return None


def _require_later(state: State, found: State | None, store: Store, source: str) -> None:
    """Raise StateForeign or StateRolledBack unless ``state`` may replace the one that was ``found``."""
    others = store.newest(None) if store.newest(state.lineage) == 0 else 0
    if (found is not None and found.lineage != state.lineage) or others:
        other = "another" if found is None else found.lineage
        raise StateForeign(
            f"{source} has lineage {state.lineage}, but {store.address} has {other}: they are different states.",
            hint="A state cannot replace one of another lineage. Nothing was changed.",
        )
    newest = max(store.newest(state.lineage), 0 if found is None else found.serial)
    if state.serial < newest:
        raise StateRolledBack(
            f"{source} has serial {state.serial}, but {store.address} already had {newest}.",
            hint="Accounts created since then would be created again. Nothing was changed.",
        )


def _remote(parent: Parent) -> RemoteStore:
    store = parent.store
    if isinstance(store, RemoteStore) and store.backend.keeps_history:
        return store
    kept = "" if store.backup is None else f" {store.backup} is the state from before an earlier run."
    raise CommandInvalid(
        f"{store.address} keeps no earlier saves.{kept}",
        hint="Only stores in git, object storage or PostgreSQL keep them. `provisioner history` lists all operations.",
    )
