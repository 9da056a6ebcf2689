"""Who did what to the accounts of each parent, from the histories of their states."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from provisioner.errors import CommandInvalid, ProvisionerError
from provisioner.immutable import immutable
from provisioner.project.running import attempted
from provisioner.render.lines import counted
from provisioner.state import history as lines

if TYPE_CHECKING:
    from provisioner.model.history import HistoryEntry
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter


@immutable
class ParentHistory:
    """The history of one parent's state, or why it cannot be read."""

    parent: str
    entries: tuple[HistoryEntry, ...]
    """Newest first."""
    failure: ProvisionerError | None = None


def history(
    parents: Sequence[Parent], name: str | None, since: datetime | None, reporter: Reporter
) -> tuple[ParentHistory, ...]:
    """Return the histories of ``parents``; see :meth:`Project.history`."""
    whole = [_history(parent, reporter) for parent in parents]
    if name is not None:
        _require_known(name, parents, whole, reporter)
    earliest = "" if since is None else since.strftime("%Y-%m-%dT%H:%M:%SZ")

    def chosen(entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
        own = entries if name is None else lines.of(entries, name)
        return tuple(each for each in own if each.author.at >= earliest)

    return tuple(ParentHistory(each.parent, chosen(each.entries), each.failure) for each in whole)


def _history(parent: Parent, reporter: Reporter) -> ParentHistory:
    found = attempted(_recorded, parent)
    if isinstance(found, ProvisionerError):
        return ParentHistory(parent.name, (), found)
    entries = [lines.decode(line) for line in reversed(found)]
    known = tuple(each for each in entries if each is not None)
    if damaged := len(entries) - len(known):
        parent.warn(reporter, f"The history has {counted(damaged, 'damaged line')}, not shown.")
    return ParentHistory(parent.name, known)


def _recorded(parent: Parent) -> tuple[str, ...]:
    return parent.store.recorded()


def _require_known(name: str, parents: Sequence[Parent], whole: Sequence[ParentHistory], reporter: Reporter) -> None:
    """Raise CommandInvalid if neither a history nor a state has the account ``name``."""
    known = {each for this in whole for entry in this.entries for each in (entry.name, entry.previous)}
    if name in known or any(this.failure is not None for this in whole):
        return
    for parent in parents:
        look = attempted(parent.look, reporter)
        if isinstance(look, ProvisionerError):
            return
        known |= set() if look.state is None else {*look.state.accounts}
    if name not in known:
        from provisioner.project.accounts import meant  # only needed after a mistake

        raise CommandInvalid(
            f"No history and no state has an account {name}.",
            hint=f"{meant([name], filter(None, known))}`provisioner history` lists all operations.",
        )
