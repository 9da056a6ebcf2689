"""Compares every active account with what Octopush has: for a plan, or by itself.

Refuses to change anything at Octopush, and to save more than the drift that it found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner import executor
from provisioner.errors import ProvisionerError, StateError
from provisioner.executor import Refreshed
from provisioner.model.report import Report, Stop
from provisioner.model.state import Active, State
from provisioner.project.parent import require_state
from provisioner.project.reports import Reports, failed
from provisioner.project.running import attempted, each

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.reporter import Reporter
    from provisioner.project.running import Jobs, RunContext
    from provisioner.state.reading import Snapshot
    from provisioner.state.session import Session

Look = tuple["Parent", "Snapshot"]


def refreshed(
    looks: Sequence[Look | ProvisionerError], only: Sequence[Collection[str]], run: RunContext, jobs: Jobs
) -> list[Refreshed | ProvisionerError | None]:
    """Return what reading the accounts of each parent has shown; None where it has no state.

    ``only`` has the names of the accounts to read for each of ``looks``; none: all. Nothing is
    held or saved.
    """
    states = [None if isinstance(look, ProvisionerError) else look[1].settled for look in looks]
    run.reporter.expected(sum(active_accounts([state], names) for state, names in zip(states, only, strict=True)))

    def read(this: tuple[Look | ProvisionerError, Collection[str]]) -> Refreshed | ProvisionerError | None:
        look, names = this
        if isinstance(look, ProvisionerError):
            return None
        parent, snapshot = look
        return None if snapshot.settled is None else attempted(_read, parent, snapshot.settled, run, names)

    return each([*zip(looks, only, strict=True)], read, jobs, run.cancel)


def looked(parents: Sequence[Parent], reporter: Reporter) -> list[tuple[Parent, Snapshot | ProvisionerError]]:
    """Return the state of each of ``parents`` that has one, or why it cannot be read.

    Raises:
        StateConflict: there are some, and none of them has a state.

    """
    looks = [(parent, attempted(parent.look, reporter)) for parent in parents]
    found = [(parent, look) for parent, look in looks if isinstance(look, ProvisionerError) or look.state is not None]
    if parents and not found:
        require_state(None, *parents)
    return found


def active_accounts(states: Iterable[State | None], only: Collection[str] = ()) -> int:
    """Return how many accounts of ``states``, or of those with one of the names ``only``, are active."""
    return sum(
        isinstance(record, Active) and (not only or name in only)
        for state in states
        if state is not None
        for name, record in state.accounts.items()
    )


def _read(parent: Parent, state: State, run: RunContext, only: Collection[str] = ()) -> Refreshed:
    opener = parent.opener(run.reporter)
    # That another Octopush, or another account, does not know them would mean nothing.
    parent.bound(state, run.reporter)
    watch = run.watch(parent.name)
    return executor.refresh(state, opener, parent.client(watch, run), watch, only)


def refresh(parents: Sequence[Parent], run: RunContext, jobs: Jobs) -> Reports:
    """Read every active account of ``parents``, and save the drift; see :meth:`Project.refresh`."""
    looks = looked(parents, run.reporter)
    run.reporter.expected(active_accounts(look.state for _, look in looks if not isinstance(look, ProvisionerError)))

    def turn(parent: Parent) -> tuple[Report, list[Session]]:
        held: list[Session] = []
        outcome = attempted(_refreshed, parent, run, held)
        report = failed(parent.name, outcome) if isinstance(outcome, ProvisionerError) else outcome
        return parent.placed(report), held

    done = each([parent for parent, _ in looks], turn, jobs, run.cancel)
    states = {report.parent: held[0].state for report, held in done if held}
    return Reports(tuple(report for report, _ in done), states)


def _refreshed(parent: Parent, run: RunContext, held: list[Session]) -> Report:
    with parent.hold(run) as session:
        held.append(session)
        state = parent.bound(require_state(session.state, parent), run.reporter)
        found = _read(parent, state, run)
        after = executor.with_drift(found, state)
        try:
            if after != state:
                session.save(after)
        except StateError as error:
            # What was found is reported even so.
            return replace(found.report, stop=Stop.of(error))
        return found.report
