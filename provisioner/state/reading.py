"""Reads a state for what changes nothing, and checks that it is the one that was meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provisioner.errors import StateForeign, StateRolledBack
from provisioner.model.state import State
from provisioner.state import codec
from provisioner.state.seen import Seen, Warn
from provisioner.state.stores import Store

if TYPE_CHECKING:
    from provisioner.state.rescue import RescueEntry


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state as it was at one moment."""

    state: State | None
    """None where there is none yet."""
    version: str = field(repr=False)
    """Of the document in its store."""
    rescued: tuple[RescueEntry, ...] = ()
    """What earlier runs had to keep next to it: whoever holds the state next puts it back."""

    @property
    def settled(self) -> State | None:
        """The state with what was rescued put back, as the next to hold it finds it; its serial is as it was.

        Raises:
            StateForeign, StateConflict: what was rescued does not belong there.

        """
        if not self.rescued:
            return self.state
        from provisioner.state import rescue  # noqa: PLC0415  # most states have nothing to be put back

        return rescue.put_back(self.state, self.rescued)


def load(store: Store, *, held: bool = True) -> Snapshot:
    """Return what is in ``store`` just now; raises StateInvalid.

    Where it is not ``held``, what a run that is at work is just rescuing is its own affair.
    """
    # Before the state: what is put back between the two looks is then in both, and twice is once.
    kept = store.rescued()
    raw, version = store.load()
    state = None if raw is None else codec.decode(raw, store.address)
    if not kept or not (held or store.holder() is None):
        return Snapshot(state, version)
    from provisioner.state import rescue  # noqa: PLC0415  # most states have nothing to be put back

    return Snapshot(state, version, rescue.decode(kept, store.rescue_address))


def read(store: Store, *, parent: str, seen: Seen, warn: Warn) -> Snapshot:
    """Return the state without holding it: for a plan or a status, which change nothing."""
    snapshot = load(store, held=False)
    while True:
        try:
            check(store, snapshot.state, parent)
            seen.check(store.key, snapshot.state, warn, store.backup)
        except (StateRolledBack, StateForeign):
            # A run may have saved, and noted that, between the two looks: then it is there by now.
            known = snapshot.version
            snapshot = load(store, held=False)
            if snapshot.version == known:
                raise
        else:
            return snapshot


def check(store: Store, state: State | None, parent: str) -> None:
    """Compare what was loaded with what was asked for, and with the history of its store.

    Raises:
        StateForeign: it is another parent's.
        StateRolledBack: its history has a newer one.

    """
    reached = store.newest(None)
    if reached > (0 if state is None else state.serial):
        newest = store.newest(None if state is None else state.lineage)
        is_at = "is gone" if state is None else f"has serial {state.serial}"
        raise StateRolledBack(
            f"{store.address} {is_at}; its history has serial {reached}.",
            hint="Somebody has put an older state back, or removed it: what was created since would be created again."
            f" See `provisioner state history`; `provisioner state push` puts back what `provisioner state show"
            f" --serial {newest}` prints. Nothing was sent.",
        )
    if state is not None and state.parent != parent:
        raise StateForeign(
            f"{store.address} is the state of the parent {state.parent}, not of {parent}.",
            hint="Give each parent its own state: put {parent} into the setting `state`. One that was renamed"
            " needs the name that it had: what is sealed bears it.",
        )
