"""Puts back what was rescued when a state could not be saved, or what a person had it forget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from provisioner import executor, files
from provisioner.errors import (
    CommandInvalid,
    IdentityRejected,
    ProvisionerError,
    StateConflict,
    StateForeign,
    StateRolledBack,
)
from provisioner.model.state import Pending, State, Unknown
from provisioner.project.deciding import confirmed
from provisioner.project.running import attempted
from provisioner.state import codec, rescue

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import RunContext
    from provisioner.state.rescue import RescueEntry


@dataclass(frozen=True, slots=True)
class Accepted:
    """A state that is about to be taken as it stands, whatever this machine has seen before."""

    address: str
    state: State | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """What has become of one parent's state."""

    parent: str
    address: str
    before: State | None
    after: State | None
    names: tuple[str, ...]
    """The accounts that rescued outcomes were given for, each once."""


_MAX_LOG_BYTES: Final = 100_000_000

Accept = Callable[[Sequence[Accepted]], bool]


def read_log(log: Path | BinaryIO, name: str) -> str:
    """Return the text of a ``log``, a file, a pipe or what is open already; raises CommandInvalid."""
    try:
        if isinstance(log, Path):
            return files.read_or_pipe(log, _MAX_LOG_BYTES).decode(errors="replace")
        return files.bounded(log.fileno(), _MAX_LOG_BYTES).decode(errors="replace")
    except files.TooLarge as error:
        raise CommandInvalid(
            f"The log {name} cannot be read: {error.strerror}.",
            hint="Give the part of it in which the run that failed speaks.",
        ) from None
    except OSError as error:
        raise CommandInvalid(
            f"The log {name} cannot be read: {error.strerror or error}.", hint="Give a file that you may read."
        ) from None


def entries_in(text: str, source: str, only: str | None) -> tuple[RescueEntry, ...]:
    """Return the rescued outcomes in ``text``, a log say; of the account ``only``, the last.

    Raises:
        CommandInvalid: there is none.
        StateInvalid: one is damaged.

    """
    entries = rescue.found_in(text, source)
    if not entries:
        raise CommandInvalid(
            f"There is no rescued outcome in {source}.",
            hint="It is a line of its own, which the run printed to standard error.",
        )
    if only is None:
        return entries
    chosen = tuple(each for each in entries if each.name == only)[-1:]
    if not chosen:
        raise CommandInvalid(
            f"There is no rescued outcome of {only} in {source}.", hint="Without --only, all that is there is put back."
        )
    return chosen


def recover(
    parents: Sequence[Parent],
    entries: Sequence[RescueEntry],
    run: RunContext,
    *,
    accept_state: bool,
    approve: Accept | None,
) -> tuple[Recovered, ...]:
    """Put ``entries`` back, and what earlier runs left next to the states; see :meth:`Project.recover`."""
    if accept_state:
        parents = parents if len(parents) == 1 else _refused(parents, run.reporter)
        stands = tuple(Accepted(parent.store.address, _as_it_stands(parent)) for parent in parents)
        confirmed(None if approve is None else lambda: approve(stands))
    if len(parents) > 1 and (others := {entry.parent for entry in entries} - {parent.name for parent in parents}):
        raise CommandInvalid(
            f"There are rescued outcomes of {', '.join(sorted(others))}, which is not among the parents at hand.",
            hint="Look at --parent, and at `parents` in the settings. Nothing was changed.",
        )
    done = [
        attempted(_recovered, parent, entries, run, accept_state=accept_state, alone=len(parents) == 1)
        for parent in parents
    ]
    for outcome in done:
        if isinstance(outcome, ProvisionerError):
            raise outcome
    return tuple(outcome for outcome in done if not isinstance(outcome, ProvisionerError | None))


def _refused(parents: Sequence[Parent], reporter: Reporter) -> list[Parent]:
    """Return the parents whose state is not the one that this machine knows; raises CommandInvalid where none is."""
    found = [
        parent
        for parent in parents
        if isinstance(attempted(parent.look, reporter), StateRolledBack | StateForeign)
        or isinstance(attempted(parent.require_own, _as_it_stands(parent), reporter), StateForeign)
    ]
    if not found:
        raise CommandInvalid(
            "Every state is the one that this machine knows, or a later one.", hint="There is nothing to accept."
        )
    return found


def _as_it_stands(parent: Parent) -> State | None:
    raw, _ = parent.store.load()
    return None if raw is None else codec.decode(raw, parent.store.address)


def _recovered(
    parent: Parent,
    entries: Sequence[RescueEntry],
    run: RunContext,
    *,
    accept_state: bool,
    alone: bool,
) -> Recovered | None:
    # The outcomes of another state are refused where only one parent is at hand.
    own = tuple(entry for entry in entries if alone or entry.parent == parent.name)
    taken_back = [entry for entry in own if entry.record is None]
    own = tuple(entry for entry in own if entry.record is not None)
    if not (alone or own or taken_back or accept_state or parent.store.rescued()):
        return None
    if accept_state:
        parent.look_up_account(run.reporter)
    with parent.hold(run, accept=accept_state) as session:
        before = session.state
        _require_own_logins(parent, before, rescue.put_back(before, own), run.reporter)
        session.put_back(own)
        _say_taken_back(taken_back, session.state, run.reporter)
        names = tuple(dict.fromkeys(entry.name for entry in own))
        return Recovered(parent.name, parent.store.address, before, session.state, names)


def _say_taken_back(entries: Sequence[RescueEntry], state: State | None, reporter: Reporter) -> None:
    """Say which accounts were not created if the log is right: whoever can write one must free no slot."""
    records = {} if state is None else state.accounts
    for entry in entries:
        record = records.get(entry.name)
        if isinstance(record, Pending | Unknown) and record.operation.id == entry.operation:
            reporter.warning(
                f"the log says that {entry.name} was not created. A log frees no slot: if you know that it is so, say"
                f" `provisioner resolve {entry.name} --not-created`."
            )


def _require_own_logins(parent: Parent, before: State | None, after: State | None, reporter: Reporter) -> None:
    """Refuse to put back what has another name by now; only the login says that for certain, and it is sealed.

    Raises StateConflict. Without an identity that opens it, a warning says what was not compared.
    """
    if before is None or after is None or before == after:
        return
    put = {name for name, each in after.accounts.items() if before.accounts.get(name) != each}
    try:
        known = parent.keys.has_identity()
        faults = executor.shared_logins(after, parent.opener(reporter)) if known else None
    except IdentityRejected:
        faults = None
    if faults is None:
        reporter.warning(
            "there is no identity that opens what is put back, so its login was not compared with those of the others;"
            " `provisioner verify` does that."
        )
        return
    for name in sorted(put & faults.keys()):
        raise StateConflict(
            f"{name} is not put back: {faults[name]}.",
            hint="It is the same account, and has that name by now: there is nothing to put back. Nothing was changed.",
        )
