"""Puts back outcomes that were rescued when a state could not be saved, or records that a person forgot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from provisioner.immutable import immutable
from provisioner.model.state import Pending, State, Unknown
from provisioner.project.deciding import confirmed
from provisioner.project.running import attempted
from provisioner.state import codec, rescue

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import RunContext
    from provisioner.state.rescue import RescueEntry


@immutable
class Accepted:
    """A state to accept as it is, although this machine has seen another."""

    address: str
    state: State | None


@immutable
class Recovered:
    """The result for one parent's state."""

    parent: str
    address: str
    before: State | None
    after: State | None
    names: tuple[str, ...]
    """The accounts in the given rescued outcomes, without duplicates."""
    failure: ProvisionerError | None = None
    """Why nothing was put back or accepted here; None if there was no error."""


_MAX_LOG_BYTES: Final = 100_000_000

Accept = Callable[[Sequence[Accepted]], bool]


def read_log(log: Path | BinaryIO, name: str) -> str:
    """Return the text of a ``log``, which may be a file, a pipe or an open stream; raises CommandInvalid."""
    try:
        if isinstance(log, Path):
            return files.read_or_pipe(log, _MAX_LOG_BYTES).decode(errors="replace")
        return files.bounded(log.fileno(), _MAX_LOG_BYTES).decode(errors="replace")
    except files.TooLarge as error:
        raise CommandInvalid(
            f"The log {name} cannot be read: {error.strerror}.",
            hint="Give only the part that the failed run wrote.",
        ) from None
    except OSError as error:
        raise CommandInvalid(
            f"The log {name} cannot be read: {error.strerror or error}.", hint="Name a file that you can read."
        ) from None


def entries_in(text: str, source: str, only: str | None) -> tuple[RescueEntry, ...]:
    """Return the rescued outcomes in ``text``, such as a log; with ``only``, the last one of that account.

    Raises:
        CommandInvalid: there is none.
        StateInvalid: an outcome is damaged.

    """
    entries = rescue.found_in(text, source)
    if not entries:
        raise CommandInvalid(
            f"There is no rescued outcome in {source}.",
            hint="Look for a separate line that the run printed to standard error.",
        )
    if only is None:
        return entries
    chosen = tuple(each for each in entries if each.name == only)[-1:]
    if not chosen:
        raise CommandInvalid(
            f"There is no rescued outcome of {only} in {source}.", hint="Without --only, all of them are put back."
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
    """Put back ``entries`` and the outcomes next to the states; see :meth:`Project.recover`."""
    alone = len(parents) == 1
    if not alone and (others := {entry.parent for entry in entries} - {parent.name for parent in parents}):
        raise CommandInvalid(
            f"There are rescued outcomes of {', '.join(sorted(others))}, not one of the chosen parents.",
            hint="Check --parent, and `parents` in the settings. Nothing was changed.",
        )
    accepted: dict[str, Accepted] = {}
    unreadable: dict[str, ProvisionerError] = {}
    if accept_state:
        accepted, unreadable = _to_accept(parents, run.reporter)
        confirmed(None if approve is None or not accepted else lambda: approve(tuple(accepted.values())))
    done: list[Recovered] = []
    for parent in parents:
        name = parent.name
        outcome: Recovered | ProvisionerError | None = unreadable.get(name)
        if outcome is None:
            outcome = attempted(_recovered, parent, entries, run, accept=name in accepted, alone=alone)
        if isinstance(outcome, ProvisionerError):
            if alone:
                raise outcome
            outcome = Recovered(name, parent.settings.state_address(name), None, None, (), outcome)
        if outcome is not None:
            done.append(outcome)
    return tuple(done)


def _to_accept(
    parents: Sequence[Parent], reporter: Reporter
) -> tuple[dict[str, Accepted], dict[str, ProvisionerError]]:
    """Return the states to accept, and the errors of states that cannot be read, by parent.

    Of several parents, only states that this machine refuses are accepted. Raises CommandInvalid if there are none.
    """
    accepted: dict[str, Accepted] = {}
    unreadable: dict[str, ProvisionerError] = {}
    for parent in parents:
        state = attempted(_unchecked, parent)
        if isinstance(state, ProvisionerError):
            unreadable[parent.name] = state
        elif len(parents) == 1 or _is_refused(parent, state, reporter):
            accepted[parent.name] = Accepted(parent.store.address, state)
    if not accepted and not unreadable:
        raise CommandInvalid(
            "Every state is the one that this machine knows, or a later one.", hint="There is nothing to accept."
        )
    return accepted, unreadable


def _is_refused(parent: Parent, state: State | None, reporter: Reporter) -> bool:
    """Return whether ``state`` is not the one that this machine knows."""
    return isinstance(attempted(parent.look, reporter), StateRolledBack | StateForeign) or isinstance(
        attempted(parent.require_own, state, reporter), StateForeign
    )


def _unchecked(parent: Parent) -> State | None:
    """Return the state, whatever this machine has seen."""
    raw, _ = parent.store.load()
    return None if raw is None else codec.decode(raw, parent.store.address)


def _recovered(
    parent: Parent,
    entries: Sequence[RescueEntry],
    run: RunContext,
    *,
    accept: bool,
    alone: bool,
) -> Recovered | None:
    # With only one parent, outcomes of other states are refused instead of left out.
    own = tuple(entry for entry in entries if alone or entry.parent == parent.name)
    not_created = [entry for entry in own if entry.record is None]
    own = tuple(entry for entry in own if entry.record is not None)
    if not (alone or own or not_created or accept or parent.store.rescued()):
        return None
    if accept:
        parent.look_up_account(run.reporter)
    with parent.hold(run, accept=accept) as session:
        before = session.state
        _require_own_logins(parent, before, rescue.put_back(before, own), run.reporter)
        session.put_back(own)
        _warn_of_not_created(not_created, session.state, run.reporter)
        names = tuple(dict.fromkeys(entry.name for entry in own))
        return Recovered(parent.name, parent.store.address, before, session.state, names)


def _warn_of_not_created(entries: Sequence[RescueEntry], state: State | None, reporter: Reporter) -> None:
    """Warn about accounts that, according to the log, were not created; a log alone must not free a slot."""
    records = {} if state is None else state.accounts
    for entry in entries:
        record = records.get(entry.name)
        if isinstance(record, Pending | Unknown) and record.operation.id == entry.operation:
            reporter.warning(
                f"the log says that {entry.name} was not created, but a log cannot free a slot. If you know that it is"
                f" right, run `provisioner resolve {entry.name} --not-created`."
            )


def _require_own_logins(parent: Parent, before: State | None, after: State | None, reporter: Reporter) -> None:
    """Raise StateConflict for an account that now has another name, which only its sealed login proves.

    Without an identity that opens the login, only warn.
    """
    if before is None or after is None or before == after:
        return
    changed = {name for name, each in after.accounts.items() if before.accounts.get(name) != each}
    try:
        known = parent.keys.has_identity()
        faults = executor.shared_logins(after, parent.opener(reporter)) if known else None
    except IdentityRejected:
        faults = None
    if faults is None:
        reporter.warning(
            "there is no identity to open the login that is put back, so it was not compared with other accounts;"
            " `provisioner verify` does that."
        )
        return
    for name in sorted(changed & faults.keys()):
        raise StateConflict(
            f"{name} is not put back: {faults[name]}.",
            hint="It is the same account under its new name: there is nothing to put back. Nothing was changed.",
        )
