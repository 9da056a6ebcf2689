"""Spreads the parents of an apply over the workers of a cluster.

A task says "apply this parent's plan, which has this digest". It contains no secret: a worker
opens the project in its own folder, reads credentials from its own environment, plans again
and compares. A task may run twice without harm, because the store allows only one to save.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import InternalError, ProvisionerError, Refused
from provisioner.immutable import immutable
from provisioner.model.plan import Create, Update
from provisioner.model.report import Attempt, Outcome, Report, Result, Scope, Stop
from provisioner.model.state import Active, Pending, State, Unknown
from provisioner.project import saved
from provisioner.project.reports import failed
from provisioner.project.running import attempted
from provisioner.settings import Settings

if TYPE_CHECKING:
    from provisioner.project.bounds import Bounds
    from provisioner.project.parent import Parent
    from provisioner.project.plans import Plans
    from provisioner.project.running import RunContext
    from provisioner.render.documents import Document

_POLL: Final = 0.5
"""Seconds between two checks whether the run was interrupted."""

Done = tuple[Report, bool, State | None]
"""The report of one parent, whether its state was held, and the state afterwards."""


@immutable
class Cluster:
    """The workers that get the tasks, and the settings that they use."""

    executor: Executor
    work: Callable[[Task], Done]
    """Does one task, on a worker."""
    config: Path | None
    """The path from ``--config``; workers read their own copy."""
    flags: Mapping[str, object]


@immutable
class Task:
    """The task of a worker; it contains no secret, and is safe to repeat."""

    parent: str
    plan: Document
    """As in :meth:`Project.save_plan`, for this parent only."""
    digest: str
    whole: str | None
    """The digest of the plans of all parents, which is what was reviewed."""
    config: Path | None
    flags: Mapping[str, object]
    bounds: Bounds


def require_reachable(parents: Iterable[Parent]) -> None:
    """Raise Refused if workers cannot reach a parent's state."""
    if here := sorted(parent.name for parent in parents if parent.store.is_here):
        raise Refused(
            f"The state of {', '.join(here)} is in a file, which the workers of a cluster cannot reach.",
            hint="Keep it in git, in object storage or in PostgreSQL. Nothing was sent.",
        )


def sent(
    cluster: Cluster, plans: Plans, settings: Settings, name: str, bounds: Bounds, whole: str | None
) -> Future[Done]:
    """Hand one parent's plan to a worker; ``whole`` is the digest of all of ``plans``."""
    document = saved.document(replace(plans, parents={name: plans.parents[name]}, failures={}), settings)
    task = Task(name, document, str(document["digest"]), whole, cluster.config, cluster.flags, bounds)
    return cluster.executor.submit(cluster.work, task)


def received(future: Future[Done], parent: Parent, plans: Plans, run: RunContext) -> Done:
    """Wait for a worker, and return its result; if it was lost, the result according to its parent's state."""
    held, state = False, None
    try:
        report, held, state = _result(future, run)
    except (Exception, CancelledError) as error:  # noqa: BLE001  # a cluster has errors of its own
        if (code := run.cancel.code()) is not None:
            reason = "the run was interrupted; a worker that has started continues with its parent"
            report = Report(
                parent.name, (), Stop(code, reason, "See `provisioner status`, and run it again.", Scope.RUN)
            )
        else:
            lost = InternalError(
                f"The worker that applied the plan of {parent.name} was lost ({type(error).__name__}).",
                hint="Check `provisioner status`: accounts in progress show as unknown. Then run it again.",
            )
            report = failed(parent.name, lost)
        report = _as_left(report, parent, plans, run)
    else:
        if report.failure is not None:
            report = _as_left(report, parent, plans, run)
    for outcome in report.outcomes:
        run.reporter.finished(parent.name, outcome)
    return report, held, state


def _result(future: Future[Done], run: RunContext) -> Done:
    """Wait for a worker, or until the run is interrupted; raises the worker's exception."""
    while True:
        try:
            return future.result(_POLL if run.cancel.code() is None else 0)
        except TimeoutError:
            if future.done():
                raise
            if run.cancel.code() is not None:
                future.cancel()
                raise CancelledError from None


def _as_left(report: Report, parent: Parent, plans: Plans, run: RunContext) -> Report:
    """Return a failed ``report`` with the outcome of each change, as far as the state shows it."""
    look = attempted(parent.look, run.reporter)
    if isinstance(look, ProvisionerError):
        return report
    before = plans.parents[parent.name].snapshot.state
    changes = plans.parents[parent.name].plan.changes
    outcomes = [
        _outcome(change, before, look.state, report) for change in changes if isinstance(change, Create | Update)
    ]
    return replace(
        report, outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.name)), begun=look.state is not None
    )


def _outcome(change: Create | Update, before: State | None, after: State | None, report: Report) -> Outcome:
    record = None if after is None else after.accounts.get(change.name)
    if isinstance(record, Pending | Unknown):
        cause = _in_progress(report) if isinstance(record, Pending) else record.reason
        attempt = Attempt(record.attributes, record.operation.started_at)
        return Outcome(change.name, change.action, Result.UNKNOWN, cause, attempt=attempt)
    # The state does not say whether a lost worker did it, or another run.
    done = "by a worker that was lost, or by another run"
    if isinstance(record, Active) and isinstance(change, Create):
        return Outcome(change.name, change.action, Result.CREATED, done)
    was = None if before is None or isinstance(change, Create) else before.accounts.get(change.record_name)
    if isinstance(record, Active) and isinstance(was, Active):
        if record.edit is not None and record.edit != was.edit:
            return Outcome(
                change.name, change.action, Result.FAILED, f"{_in_progress(report)}; the next apply finishes it"
            )
        if record.operation != was.operation or (before is not None and change.name not in before.accounts):
            return Outcome(change.name, change.action, Result.UPDATED, done)
    reason = report.failure.message.splitlines()[0].removesuffix(".") if report.failure else None
    reason = report.stop.reason if report.stop else reason
    return Outcome(change.name, change.action, Result.NOT_ATTEMPTED, reason)


def _in_progress(report: Report) -> str:
    """Return why the outcome of a request is unknown."""
    if report.stop is not None:
        return "a worker may still be at work on it"
    is_lost = isinstance(report.failure, InternalError)
    return "the worker that sent it was lost" if is_lost else "another run is at work on it, or was lost"
