"""Compares every active account with what Octopush has: for a plan, or by itself.

Refuses to change anything at Octopush, and to save more than the drift that it found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    looks: Sequence[Look | ProvisionerError], run: RunContext, jobs: Jobs
) -> list[Refreshed | ProvisionerError | None]:
    """Return what reading the accounts of each parent has shown; None where it has no state.

    Nothing is held or saved.
    """
    states = [None if isinstance(look, ProvisionerError) else look[1].settled for look in looks]
    run.reporter.expected(active_accounts(states))

    def read(look: Look | ProvisionerError) -> Refreshed | ProvisionerError | None:
        if isinstance(look, ProvisionerError):
            return None
        parent, snapshot = look
        return None if snapshot.settled is None else attempted(_read, parent, snapshot.settled, run)

    return each(looks, read, jobs, run.cancel)


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


def active_accounts(states: Iterable[State | None]) -> int:
    """Return how many accounts of ``states`` are active."""
    return sum(
        isinstance(record, Active) for state in states if state is not None for record in state.accounts.values()
    )


def _read(parent: Parent, state: State, run: RunContext) -> Refreshed:
    opener = parent.opener(run.reporter)
    # That another Octopush, or another account, does not know them would mean nothing.
    parent.bound(state, run.reporter)
    watch = run.watch(parent.name)
    return executor.refresh(state, opener, parent.client(watch, run), watch)


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
