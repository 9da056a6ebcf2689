"""Moves a state as a whole: out of its store and into it, from one store to another, and back through its history.

Refuses to go back in serial or across lineages: what was created since would be created again.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provisioner.errors import (
    CommandInvalid,
    ProvisionerError,
    StateConflict,
    StateForeign,
    StateInvalid,
    StateRolledBack,
)
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


@dataclass(frozen=True, slots=True)
class Moved:
    """What has become of one parent's state."""

    parent: str
    origin: str
    """Where it was, in words for a message."""
    address: str
    """Where it is by now."""
    state: State | None
    """None: there was none."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """That the place of one parent's state is ready for it."""

    parent: str
    address: str
    is_new: bool
    """Whether anything had to be made."""


def one(workspace: Workspace, names: Sequence[str]) -> Parent:
    """Return the one parent that is meant, or what is kept beside the states; raises CommandInvalid: several are."""
    parents = [each for each in workspace.beside() if [each.name] == [*names]] or workspace.parents(names)
    if len(parents) > 1:
        raise CommandInvalid(
            f"There are several parents: {', '.join(parent.name for parent in parents)}.",
            hint="Say which of them with --parent.",
        )
    return parents[0]


def pull(parent: Parent) -> bytes:
    """Return the document of the state as it is in its store; raises StateConflict where there is none."""
    raw, _ = parent.store.load()
    if raw is None:
        raise StateConflict(
            f"There is no state of the parent {parent.name} at {parent.store.address}.", hint="Check `state`."
        )
    return raw


def history(parent: Parent) -> tuple[Revision, ...]:
    """Return the saves of a state, newest first; raises CommandInvalid where its store keeps no history."""
    return _remote(parent).backend.history()


def revision(parent: Parent, serial: int) -> bytes:
    """Return the document that had ``serial``; raises CommandInvalid where there is none, or no history."""
    raw = _remote(parent).backend.revision(serial)
    if raw is None:
        raise CommandInvalid(
            f"The history of {parent.store.address} has no serial {serial}.",
            hint="`provisioner state history` lists those that it has.",
        )
    return raw


def unlock(parent: Parent, lease: str) -> Lease:
    """End the lease of a run that has died, and return it; raises CommandInvalid where it is not there."""
    store = parent.store
    found = store.backend.lease() if isinstance(store, RemoteStore) else None
    if found is None or found.id != lease or not isinstance(store, RemoteStore):
        by = "" if found is None else f" It is held by {found.holder}, with the lease {found.id}."
        raise CommandInvalid(
            f"No run holds {store.address} with the lease {lease}.{by}",
            hint="The lock of a state in a file ends with its run, and needs no unlocking.",
        )
    store.backend.end(lease)
    return found


def push(parent: Parent, raw: bytes, source: str, run: RunContext, *, undo_move: bool) -> Moved:
    """Put the document ``raw``, which ``source`` names, in the place of what is there, which may be damaged.

    With ``undo_move``, that may be the note that a move left. The place that it names is lost, and what this machine
    has seen there may be newer: then the state is put back, and is refused until a person accepts it.

    Raises:
        StateInvalid: it is not a state.
        StateForeign: it is the state of another parent, or not of the lineage that is there, or a note is there.
        StateRolledBack: it is older than what is there, than the history has, or than this machine has seen.

    """
    state = codec.decode(raw, source)
    _require_own(state, source, parent)
    with parent.holds(run) as store:
        found, version = store.load()
        place = None if found is None else codec.moved_to(found)
        if place is not None and not undo_move:
            raise StateForeign(
                f"The state that was at {store.address} has moved to {place}.",
                hint="Set `state` to its new place. Only if that place is lost, put the newest copy that is left back"
                " with `provisioner state push FILE --undo-move`. Nothing was changed.",
            )
        _require_later(state, _decoded(found if place is None else None, store), store, source)
        seen = attempted(parent.require_seen, state, run.reporter)
        if isinstance(seen, ProvisionerError) and place is None:
            raise seen
        state = _put(state, version, store, f"push from {source}", parent, run)
        if seen is None:
            # Otherwise this machine goes on to know a newer one.
            parent.note(state, run.reporter)
    return Moved(parent.name, source, store.address, state)


def prepare(parent: Parent) -> Prepared:
    """Make what the store needs before its first save, such as tables; raises StateUnreachable."""
    store = parent.store
    return Prepared(parent.name, store.address, isinstance(store, RemoteStore) and store.backend.prepare())


def migrate_each(parents: Sequence[Parent], origin: str, run: RunContext) -> tuple[Moved, ...]:
    """Move the states of all ``parents``; what fails for one is raised once the others were tried."""
    done = [attempted(migrate, each, origin.replace("{parent}", each.name), run) for each in parents]
    if failure := next((each for each in done if isinstance(each, ProvisionerError)), None):
        raise failure
    return tuple(each for each in done if not isinstance(each, ProvisionerError))


def migrate(parent: Parent, origin: str, run: RunContext) -> Moved:
    """Take the state at the address ``origin`` to the place that the settings name, and leave a note in its old one.

    Twice is once: what is there already, and no older, stays.

    Raises:
        StateForeign: another state is at the new place, or another parent's at the old one.
        StateConflict: an outcome is rescued beside the old one, or the two places have gone on apart.

    """
    old = parent.store_at(origin)
    if old.key == parent.store.key:
        raise CommandInvalid(
            f"{old.address} is where the settings keep the state.",
            hint="Set `state` to the new place first, and give the old one with --from.",
        )
    prepare(parent)
    with ExitStack() as held:
        held.enter_context(parent.holds(run, old))
        raw, version = old.load()
        if raw is None:
            return Moved(parent.name, old.address, parent.store.address, None)
        if _leads_to(raw, parent.store):
            return Moved(parent.name, old.address, parent.store.address, _decoded(parent.store.load()[0], parent.store))
        state = codec.decode(raw, old.address)
        _require_own(state, old.address, parent)
        if old.rescued():
            raise StateConflict(
                f"An outcome is kept in {old.rescue_address}, and not in the state yet.",
                hint=f"Put it back first: `provisioner recover --state {origin}`. Nothing was moved.",
            )
        store = held.enter_context(parent.holds(run))
        there, its_version = store.load()
        # A state that moves back finds the note that sent everybody to where it is.
        found = None if there is not None and _leads_to(there, old) else _decoded(there, store)
        if found is not None and found.lineage == state.lineage:
            _require_one_way(state, old, found, store)
        if found is None or found.serial < state.serial or found.lineage != state.lineage:
            _require_later(state, found, store, old.address)
            state = _put(
                state, its_version, store, f"moved from {old.address}", parent, run, _history(old, parent, run)
            )
            parent.note(state, run.reporter)
        old.save(codec.tombstone(store.address), version)
    return Moved(parent.name, old.address, store.address, state)


def _leads_to(raw: bytes, store: Store) -> bool:
    return codec.moved_to(raw) in {store.address, store.key}


def _require_own(state: State, source: str, parent: Parent) -> None:
    """Refuse the state of another parent; raises StateForeign."""
    if state.parent != parent.name:
        raise StateForeign(
            f"{source} is the state of the parent {state.parent}, not of {parent.name}.",
            hint="Say which parent is meant with --parent. Nothing was changed.",
        )


def _require_one_way(state: State, old: Store, found: State, store: Store) -> None:
    """Refuse two copies of a state that were both used: one would take the accounts of the other away.

    A move that was cut short leaves both until it is run again. Raises StateConflict.
    """
    goes, stays = ((found, store), (state, old)) if found.serial < state.serial else ((state, old), (found, store))
    kept = {each.operation.id for each in stays[0].accounts.values()}
    kept |= {one for each in stays[0].accounts.values() if isinstance(each, Active) for one in each.operations}
    apart = sorted(name for name, each in goes[0].accounts.items() if each.operation.id not in kept)
    if apart or (state.serial == found.serial and state != found):
        which = f", and {', '.join(apart)} {'are' if apart[1:] else 'is'} only in {goes[1].address}" if apart else ""
        raise StateConflict(
            f"{old.address} and {store.address} were both used since they were one state{which}.",
            hint="Let nobody run anything until they are one again: take what is missing over with `provisioner adopt"
            f" NAME LOGIN --state {stays[1].address}`, then run `provisioner forget NAME --force --state"
            f" {goes[1].address}`, and this once more. Nothing was moved.",
        )


def _history(old: Store, parent: Parent, run: RunContext) -> tuple[str, ...]:
    """Return the lines of the history that a state takes along; that they cannot be read is said, and no more."""
    lines = attempted(old.recorded)
    if isinstance(lines, ProvisionerError):
        parent.warn(run.reporter, f"The history stays behind. {lines.message}")
        return ()
    return lines


def _put(
    state: State, version: str, store: Store, what: str, parent: Parent, run: RunContext, lines: tuple[str, ...] = ()
) -> State:
    """Save ``state`` and return it; where its serial was taken before, it gets the next: one serial is one document."""
    state = replace(state, serial=max(state.serial, store.newest(None) + 1))
    note = Note(state.lineage, state.serial, what, lines)
    store.save(codec.encode(state, secrets.token_hex(8)), version, note)
    if lines and isinstance(failure := attempted(store.record, note), ProvisionerError):
        parent.warn(run.reporter, f"The history stays behind. {failure.message}")
    return state


def _decoded(raw: bytes | None, store: Store) -> State | None:
    """Return the state that is there; None where there is none, or what is there is damaged: it may be replaced."""
    try:
        return None if raw is None else codec.decode(raw, store.address)
    except StateInvalid:
        return None


def _require_later(state: State, found: State | None, store: Store, source: str) -> None:
    """Return if ``state`` may take the place of what was ``found``; raises StateForeign or StateRolledBack."""
    others = store.newest(None) if store.newest(state.lineage) == 0 else 0
    if (found is not None and found.lineage != state.lineage) or others:
        other = "another" if found is None else found.lineage
        raise StateForeign(
            f"{source} has lineage {state.lineage}, and {store.address} {other}: they are two states.",
            hint="A state is never replaced by one of another lineage. Nothing was changed.",
        )
    newest = max(store.newest(state.lineage), 0 if found is None else found.serial)
    if state.serial < newest:
        raise StateRolledBack(
            f"{source} has serial {state.serial}, and {store.address} has had {newest}.",
            hint="What was created since would be created again. Nothing was changed.",
        )


def _remote(parent: Parent) -> RemoteStore:
    store = parent.store
    if isinstance(store, RemoteStore) and store.backend.keeps_history:
        return store
    kept = "" if store.backup is None else f" {store.backup} is the state from before an earlier run."
    raise CommandInvalid(
        f"{store.address} keeps no earlier saves.{kept}",
        hint="A state in git, object storage or PostgreSQL keeps them. `provisioner history` lists what was done.",
    )
