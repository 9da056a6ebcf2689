"""Reads a state without holding it, and checks that it is the intended one."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from provisioner.errors import StateForeign, StateRolledBack
from provisioner.immutable import immutable
from provisioner.model import address
from provisioner.model.state import State
from provisioner.state import codec
from provisioner.state.seen import Seen, Warn
from provisioner.state.stores import Store

if TYPE_CHECKING:
    from provisioner.state.rescue import RescueEntry


@immutable
class Snapshot:
    """A state at one moment."""

    state: State | None
    """None if there is none yet."""
    version: str = field(repr=False)
    """The version of the document in its store."""
    rescued: tuple[RescueEntry, ...] = ()
    """Outcomes that earlier runs had to keep next to the state; the next run that holds it puts them back."""

    @property
    def settled(self) -> State | None:
        """The state with the rescued outcomes put back, as the next holder will see it; the serial is unchanged.

        Raises:
            StateForeign, StateConflict: a rescued outcome does not belong here.

        """
        if not self.rescued:
            return self.state
        from provisioner.state import rescue  # noqa: PLC0415  # rarely needed

        return rescue.put_back(self.state, self.rescued)


def load(store: Store, *, held: bool = True) -> Snapshot:
    """Return the current content of ``store``; raises StateInvalid.

    If it is not ``held``, the rescued outcomes of a run that is still at work are left out.
    """
    # Before the state: an outcome put back between the two reads is then in both, which does no harm.
    kept = store.rescued()
    raw, version = store.load()
    state = None if raw is None else codec.decode(raw, store.address)
    if not kept or not (held or store.holder() is None):
        return Snapshot(state, version)
    from provisioner.state import rescue  # noqa: PLC0415  # rarely needed

    return Snapshot(state, version, rescue.decode(kept, store.rescue_address))


def read(store: Store, *, parent: str, seen: Seen, warn: Warn) -> Snapshot:
    """Return the state without holding it, for a plan or a status, which change nothing."""
    snapshot = load(store, held=False)
    while True:
        try:
            check(store, snapshot.state, parent)
            seen.check(store.key, snapshot.state, warn, store.backup)
        except (StateRolledBack, StateForeign):
            # A run may have saved, and recorded that, between the two reads: then the newer state is there now.
            known = snapshot.version
            snapshot = load(store, held=False)
            if snapshot.version == known:
                raise
        else:
            return snapshot


def check(store: Store, state: State | None, parent: str) -> None:
    """Compare the loaded state with the wanted parent and with the history of its store.

    Raises:
        StateForeign: it belongs to another parent.
        StateRolledBack: the store's history has a newer state.

    """
    reached = store.newest(None)
    if reached > (0 if state is None else state.serial):
        newest = store.newest(None if state is None else state.lineage)
        is_at = "is gone" if state is None else f"has serial {state.serial}"
        raise StateRolledBack(
            f"{store.address} {is_at}; its history has serial {reached}.",
            hint="Somebody has put back an older state, or removed it: accounts created since would be created again."
            f" See `provisioner state history`. To restore the newest, use `provisioner state push` with what"
            f" `provisioner state show --serial {newest}` prints. Nothing was sent.",
        )
    if state is not None and state.parent != parent:
        raise StateForeign(
            f"{store.address} is the state of the parent {state.parent}, not of {parent}.",
            hint="Give each parent its own state: put {parent} into the setting `state`. A parent that was renamed"
            " needs its old name, because the sealed contents contain it.",
        )


def check_endpoint(state: State, endpoint: str) -> None:
    """Raise StateForeign if ``endpoint`` is not the address where the accounts of ``state`` live."""
    if state.accounts and state.endpoint is not None and not address.is_same(state.endpoint, endpoint):
        from urllib.parse import urlsplit  # noqa: PLC0415  # rarely needed

        sandbox = " A sandbox keeps its address and its accounts with --port and --ledger."
        ours = urlsplit(endpoint).hostname
        raise StateForeign(
            f"The accounts of this state live at {state.endpoint}; the settings say {endpoint}.",
            hint="Set OCTOPUSH_API_URL to the state's address, or use another state."
            f"{sandbox if address.is_this_machine(ours or '') else ''} Nothing was sent.",
        )
