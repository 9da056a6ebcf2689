"""Places the accounts whose parent is ``auto`` where slots are free, deterministically.

An account that a state has stays there, and so does one that was placed before. The others go,
in the order of their names, to the parent with the most free slots; ties go to the first by
name. A frozen parent takes none of those. Never moves an account, and places none while a state
that may have it cannot be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from provisioner.errors import OverLimit, StateConflict
from provisioner.immutable import immutable
from provisioner.model.account import AUTO_PARENT, DesiredAccount

if TYPE_CHECKING:
    from provisioner.errors import ProvisionerError
    from provisioner.model.state import State

_NAMED: Final = 20
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_OWN: Final = "Write `parent: NAME` under each"


@immutable
class Room:
    """One parent, with what decides how many slots it has free."""

    state: State | None
    """None while it has none."""
    accounts: Sequence[DesiredAccount]
    """The accounts that manifests assign to it by name."""
    limit: int
    reserved: int
    is_frozen: bool = False
    """Whether the settings freeze it: then it takes no account that could go elsewhere."""


@immutable
class Placed:
    """Which account goes where."""

    parents: Mapping[str, str]
    """The parent of each account, by its name: existing accounts, and new ones only if all can be placed."""
    refusal: ProvisionerError | None = field(default=None)
    """Why no new account is placed."""


def place(
    accounts: Sequence[DesiredAccount],
    rooms: Mapping[str, Room],
    remembered: Mapping[str, str],
    *,
    unreadable: Mapping[str, str] = _NONE,
) -> Placed:
    """Return where ``accounts``, whose parent is ``auto``, go.

    ``rooms`` has every parent of the settings whose state can be read. ``unreadable`` maps each
    state that cannot be read to the reason. ``remembered`` has the parents of accounts placed
    before, by current and by previous name.
    """
    owners = {
        account.name: [name for name, room in sorted(rooms.items()) if _has(room.state, account)]
        for account in accounts
    }
    there = {name: found[0] for name, found in owners.items() if len(found) == 1}
    doubled = {name: found for name, found in owners.items() if len(found) > 1}
    rest = sorted((each for each in accounts if not owners[each.name]), key=lambda each: each.name)
    if doubled:
        named = "; ".join(f"{name} ({', '.join(found)})" for name, found in sorted(doubled.items()))
        return Placed(
            there,
            StateConflict(
                f"Several parents have an account of the same name: {named}.",
                hint=f"{_OWN}, with the parent that you mean. Nothing was placed.",
            ),
        )
    if not rest:
        return Placed(there)
    if unreadable:
        what, reasons = ", ".join(unreadable), unreadable.values()
        return Placed(
            there,
            StateConflict(
                "\n".join((f"{what[0].upper()}{what[1:]} cannot be read, and may have {_names(rest)}.", *reasons)),
                hint="Correct that first: an account placed without it could be created twice. Nothing was placed.",
            ),
        )
    twins = _twins(accounts, rooms)
    sure: dict[str, str] = {}
    for account in rest:
        before = remembered.get(account.name) or remembered.get(account.previously or "")
        if (parent := before or twins.get(account.attributes.holder())) is not None:
            sure[account.name] = parent
    if gone := {name: parent for name, parent in sure.items() if parent not in rooms}:
        named = ", ".join(f"{name} on {parent}" for name, parent in sorted(gone.items())[:_NAMED])
        return Placed(
            there,
            StateConflict(
                f"The settings no longer name a parent on which accounts were placed: {named}.",
                hint="Name it under `parents` again: the accounts may exist there. If they do not,"
                f" {_OWN.lower()}, with another parent. Nothing was placed.",
            ),
        )
    planned = Counter(sure.values())
    free = {name: _free(room) - planned[name] for name, room in rooms.items() if not room.is_frozen}
    new = [account for account in rest if account.name not in sure]
    if (short := len(new) - sum(max(0, count) for count in free.values())) > 0:
        return Placed(
            there,
            OverLimit(
                f"`parent: {AUTO_PARENT}` asks for {len(new)} slots, and all parents together have {len(new) - short}"
                f" free: {short} too few.{_frozen(rooms)}",
                hint="Take accounts out of the manifest, name another parent in the settings, or set `limit` where"
                " Octopush has raised it. Nothing was placed.",
            ),
        )
    for account in new:
        parent = min(free, key=lambda name: (-free[name], name))
        free[parent] -= 1
        sure[account.name] = parent
    return Placed(there | sure)


def _has(state: State | None, account: DesiredAccount) -> bool:
    return state is not None and (account.name in state.accounts or account.previously in state.accounts)


def _free(room: Room) -> int:
    """Return how many slots are left once the accounts that name the parent exist."""
    used = 0 if room.state is None else len(room.state.accounts)
    return room.limit - room.reserved - used - sum(not _has(room.state, each) for each in room.accounts)


def _twins(accounts: Iterable[DesiredAccount], rooms: Mapping[str, Room]) -> dict[tuple[str, ...], str]:
    """Return the parent of each account that no manifest names now, by the account's holder.

    A new account that looks like one of them goes to the same parent: only there can the plan notice a rename.
    """
    autos = {name for each in accounts for name in (each.name, each.previously)}
    found: dict[tuple[str, ...], str] = {}
    for parent, room in sorted(rooms.items()):
        wanted = autos | {name for each in room.accounts for name in (each.name, each.previously)}
        for name, record in () if room.state is None else room.state.accounts.items():
            if name not in wanted:
                found.setdefault(record.attributes.holder(), parent)
    return found


def _frozen(rooms: Mapping[str, Room]) -> str:
    frozen = [name for name, room in sorted(rooms.items()) if room.is_frozen]
    return f" Those that are frozen take no new account: {', '.join(frozen)}." if frozen else ""


def _names(accounts: Sequence[DesiredAccount]) -> str:
    named = ", ".join(each.name for each in accounts[:_NAMED])
    return f"{named} and {len(accounts) - _NAMED} more" if accounts[_NAMED:] else named
