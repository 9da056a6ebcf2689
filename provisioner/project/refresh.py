"""Compares every active account with Octopush, for a plan or by itself.

Never changes anything at Octopush, and saves only the drift that it found.
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
    """Read the accounts of each parent, and return what was found; None for a parent without a state.

    ``only`` has the names of the accounts to read, for each of ``looks``; empty: all accounts.
    Nothing is held or saved.
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
    """Return the state of each parent that has one, or the error if it cannot be read.

    Raises:
        StateConflict: there are parents, but none of them has a state.

    """
    looks = [(parent, attempted(parent.look, reporter)) for parent in parents]
    found = [(parent, look) for parent, look in looks if isinstance(look, ProvisionerError) or look.state is not None]
    if parents and not found:
        require_state(None, *parents)
    return found


def active_accounts(states: Iterable[State | None], only: Collection[str] = ()) -> int:
    """Return the number of active accounts in ``states``; with ``only``, of those with these names."""
    return sum(
        isinstance(record, Active) and (not only or name in only)
        for state in states
        if state is not None
        for name, record in state.accounts.items()
    )


def _read(parent: Parent, state: State, run: RunContext, only: Collection[str] = ()) -> Refreshed:
    opener = parent.opener(run.reporter)
    # Another address or another parent would not know these accounts.
    parent.bound(state, run.reporter)
    watch = run.watch(parent.name)
    return executor.refresh(state, opener, parent.client(watch, run), watch, only)


def refresh(parents: Sequence[Parent], run: RunContext, jobs: Jobs) -> Reports:
    """Read all active accounts of ``parents``, and save the drift; see :meth:`Project.refresh`."""
    looks = looked(parents, run.reporter)
    run.reporter.expected(active_accounts(look.state for _, look in looks if not isinstance(look, ProvisionerError)))

    def turn(parent: Parent) -> tuple[Report, list[Session]]:
        held: list[Session] = []
        outcome = attempted(_refreshed, parent, run, held)
        report = failed(parent.name, outcome) if isinstance(outcome, ProvisionerError) else outcome
        return parent.with_terms(report), held

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
            # Report what was found, even if it cannot be saved.
            return replace(found.report, stop=Stop.of(error))
        return found.report
