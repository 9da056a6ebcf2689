"""Finds accounts by name, across all parents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from provisioner import executor
from provisioner.errors import CommandInvalid
from provisioner.model.state import State
from provisioner.project.parent import require_state

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter


def owner_of(name: str, parents: Sequence[Parent], reporter: Reporter) -> Parent:
    """Return the parent whose state has the account ``name``; if there is only one parent, that one in any case.

    Raises:
        CommandInvalid: of several parents, none has it, or more than one.
        StateError: a state cannot be read, so the account might be there.

    """
    if len(parents) == 1:
        return parents[0]
    return _owner(name, _owners((parent, parent.look(reporter).state) for parent in parents))


def _owners(states: Iterable[tuple[Parent, State | None]]) -> dict[str, list[Parent]]:
    """Return the parents that have each account, by its name."""
    owners: dict[str, list[Parent]] = {}
    for parent, state in states:
        for name in () if state is None else state.accounts:
            owners.setdefault(name, []).append(parent)
    return owners


def _owner(name: str, owners: Mapping[str, Sequence[Parent]]) -> Parent:
    match owners.get(name, ()):
        case [owner]:
            return owner
        case []:
            raise CommandInvalid(
                f"No state has an account {name}.",
                hint=f"{meant([name], owners)}`provisioner status` lists all accounts.",
            )
        case several:
            raise CommandInvalid(
                f"{name} exists under several parents ({', '.join(parent.name for parent in several)}).",
                hint="Choose one with --parent.",
            )


def by_owner(
    parents: Sequence[Parent], names: Sequence[str], reporter: Reporter, *, active: bool = False, settled: bool = False
) -> list[tuple[Parent, State, tuple[str, ...]]]:
    """Return each parent that has some of the accounts ``names``, its state, and their names without duplicates.

    With ``settled``, the state is the one that the next run will see, with all rescued outcomes put back.

    Raises:
        CommandInvalid: one of the accounts does not exist, or exists under several parents.
        StateConflict: the parent has no state, or with ``active``, the login of one of them is not known.

    """
    looks = {parent.name: parent.look(reporter) for parent in parents}
    states = {name: look.settled if settled else look.state for name, look in looks.items()}
    owners = _owners((parent, states[parent.name]) for parent in parents)
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        owner = parents[0] if len(parents) == 1 else _owner(name, owners)
        found.setdefault(owner.name, []).append(name)
    chosen = []
    for parent in parents:
        own = found.get(parent.name)
        if own is None:
            continue
        state = require_state(states[parent.name], parent)
        require_known(state, own)
        if active:
            for name in own:
                executor.active(state, name)
        chosen.append((parent, state, tuple(own)))
    return chosen


def require_known(state: State, names: Iterable[str]) -> None:
    """Raise CommandInvalid, with a suggestion, unless ``state`` has all ``names``."""
    missing = [name for name in names if name not in state.accounts]
    if missing:
        raise CommandInvalid(
            f"The state has no account {', '.join(missing)}.",
            hint=f"{meant(missing, state.accounts)}`provisioner status` lists all accounts.",
        )


def meant(missing: Iterable[str], known: Iterable[str]) -> str:
    """Return a question that suggests the nearest ``known`` name for each of the ``missing`` ones."""
    from provisioner.document import nearest  # only needed after a mistake

    near = dict.fromkeys(filter(None, (nearest(name, sorted(known)) for name in missing)))
    return f"Did you mean {', '.join(near)}? " if near else ""
