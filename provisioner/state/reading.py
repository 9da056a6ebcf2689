"""Reads a state for what changes nothing, and checks that it is the one that was meant."""

from __future__ import annotations

from provisioner.errors import StateForeign, StateRolledBack
from provisioner.model.state import State
from provisioner.state.seen import Seen
from provisioner.state.store import Store


def read(store: Store, *, parent: str, seen: Seen) -> State | None:
    """Return the state without holding it: for a plan or a status, which change nothing."""
    state, version = store.load()
    while True:
        try:
            check(store, state, parent, seen, accept=False)
        except (StateRolledBack, StateForeign):
            # A run may have saved, and noted that, between the two looks: then it is there by now.
            known = version
            state, version = store.load()
            if version == known:
                raise
        else:
            return state


def check(store: Store, state: State | None, parent: str, seen: Seen, *, accept: bool) -> None:
    """Compare what was loaded with what was asked for and, unless ``accept``, with what this machine has seen.

    Raises StateForeign or StateRolledBack.
    """
    if state is not None and state.parent != parent:
        raise StateForeign(
            f"{store.address} is the state of the parent {state.parent}, not of {parent}.",
            hint="Give each parent its own state: put {parent} into the setting `state`.",
        )
    if not accept:
        seen.check(store.key, state, store.backup)
