"""Carries out a plan, one account at a time: first the creates, then the rest, each in the order of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Final, assert_never

from provisioner.errors import Advice, ExitCode, Remedy
from provisioner.executor.create import creates
from provisioner.executor.ports import Ports, Progress
from provisioner.executor.run import Run
from provisioner.executor.seals import credentials_of
from provisioner.executor.update import update
from provisioner.immutable import immutable
from provisioner.model.exchange import EditRequest
from provisioner.model.plan import (
    Create,
    Gone,
    Plan,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
    raise_if_over,
)
from provisioner.model.report import Attempt, Outcome, Report, Result, Stop
from provisioner.model.state import State
from provisioner.model.verdict import CreateRequest, SealedContent

NO_IDENTITY: Final = "its login is sealed, and there is no identity to open it"


@immutable
class Work:
    """What the changes of a plan need, prepared before the first request; by name."""

    creates: Mapping[str, CreateRequest] = field(default_factory=dict)
    edits: Mapping[str, EditRequest] = field(default_factory=dict)
    """Without an identity, there are none."""
    opened: Mapping[str, SealedContent] = field(default_factory=dict)
    """The sealed content of each account to update, by the name of its record."""
    unfinished: Mapping[str, SealedContent] = field(default_factory=dict)
    """The sealed content of its unfinished edit, if that has a password, by the name of its record."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why the sealed content of an account to update cannot be opened, by the name of its record."""


def apply(  # noqa: PLR0913  # four inputs, and two that limit the run
    plan: Plan, state: State, work: Work, ports: Ports, *, keep_going: bool = False, stop: Stop | None = None
) -> Report:
    """Carry out ``plan`` on ``state``, and return the outcome of every account.

    The plan must have been made from ``state``. ``stop`` is the reason if the refresh before the
    plan stopped: then nothing is sent. If an account fails, the report says so; nothing is raised
    after the first request.

    Raises:
        OverLimit: the plan needs more slots than there are; nothing was sent.
        StateConflict: the sealed content of an account to update has no credentials; nothing was sent.

    """
    raise_if_over(plan)
    for content in work.opened.values():
        credentials_of(content)
    run = Run(state, ports, stop)
    creates(run, plan.creates, work.creates, plan.slots, keep_going=keep_going)
    for change in plan.changes:
        match change:
            case Create() | Unmanaged():
                continue
            case Update():
                outcome = _skipped(run, change, work) or update(
                    run,
                    change,
                    work.edits[change.name] if change.sends else None,
                    work.opened[change.record_name],
                    work.unfinished.get(change.record_name),
                )
            case Unchanged() | Gone() | StillUnknown() | StillAbandoned():
                outcome = _without_request(change)
            case _:
                assert_never(change)
        run.finish(outcome)
    order = {change.name: number for number, change in enumerate(plan.changes)}
    report = run.report()
    return replace(report, outcomes=tuple(sorted(report.outcomes, key=lambda outcome: order[outcome.name])))


def report_unchanged(plan: Plan, progress: Progress, stop: Stop | None = None) -> Report:
    """Return the report of an apply of ``plan``, which changes nothing: neither the API nor recipients are needed."""
    known = (each for each in plan.changes if isinstance(each, Unchanged | Gone | StillUnknown | StillAbandoned))
    outcomes = tuple(map(_without_request, known))
    for outcome in outcomes:
        progress.finished(outcome)
    return Report(plan.parent, outcomes, stop)


def _skipped(run: Run, change: Update, work: Work) -> Outcome | None:
    """Return the outcome of an account that cannot be changed, or None."""
    stopped = run.skipped(change.name, "update")
    if (fault := work.faults.get(change.record_name)) is not None:
        return Outcome(change.name, "update", Result.NOT_ATTEMPTED, fault, weight=ExitCode.STATE_UNUSABLE)
    if change.record_name not in work.opened:
        return Outcome(change.name, "update", Result.NOT_ATTEMPTED, NO_IDENTITY, weight=ExitCode.SETTING_INVALID)
    return stopped


def _without_request(change: Unchanged | Gone | StillUnknown | StillAbandoned) -> Outcome:
    """Return the outcome of an account for which nothing is sent, whether or not the run has stopped."""
    match change:
        case Unchanged():
            return Outcome(change.name, change.action, Result.UNCHANGED)
        case Gone():
            advice = Advice(Remedy.FORGET, change.name)
            return Outcome(change.name, change.action, Result.NOT_ATTEMPTED, change.reason, advice=advice)
        case StillUnknown():
            attempt = Attempt(change.attributes, change.since)
            return Outcome(change.name, change.action, Result.UNKNOWN, change.reason, attempt=attempt)
        case StillAbandoned():
            reason = f"abandoned: {change.reason}"
            return Outcome(change.name, change.action, Result.NOT_ATTEMPTED, reason, weight=ExitCode.DONE)
        case _:
            assert_never(change)
