"""Carries a plan out, one account at a time: first what is created, then the rest, each in the order of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from provisioner.errors import Advice, ExitCode, Remedy
from provisioner.executor.create import creates
from provisioner.executor.ports import Ports, Progress
from provisioner.executor.run import Run
from provisioner.executor.seals import credentials_of
from provisioner.executor.update import update
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


@dataclass(frozen=True, slots=True)
class Work:
    """What the changes of a plan need, made ready before the first request; by name."""

    creates: Mapping[str, CreateRequest] = field(default_factory=dict)
    edits: Mapping[str, EditRequest] = field(default_factory=dict)
    """None for an update where there is no identity."""
    opened: Mapping[str, SealedContent] = field(default_factory=dict)
    """What is sealed of each account that is to be updated, by the name of its record."""
    begun: Mapping[str, SealedContent] = field(default_factory=dict)
    """The same of its unfinished edit, where that holds a password."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """By the name of its record, why what is sealed of an account that is to be updated is not to be had."""


def apply(  # noqa: PLR0913  # the four that make a run, and the two that bound it
    plan: Plan, state: State, work: Work, ports: Ports, *, keep_going: bool = False, stop: Stop | None = None
) -> Report:
    """Carry ``plan`` out on ``state`` and return what became of every account.

    The plan must have been made from ``state``. ``stop`` is what ended the refresh that
    it was made after, if anything did: then nothing is sent. A failure of one account is
    in the report; nothing is raised once the first request has been sent.

    Raises:
        OverLimit: the plan needs more slots than there are; nothing was sent.
        StateConflict: what is sealed of an account to be updated is no credentials; nothing was sent.

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
                outcome = _held_back(run, change, work) or update(
                    run,
                    change,
                    work.edits[change.name] if change.sends else None,
                    work.opened[change.record_name],
                    work.begun.get(change.record_name),
                )
            case Unchanged() | Gone() | StillUnknown() | StillAbandoned():
                outcome = _left_alone(change)
            case _:
                assert_never(change)
        run.finish(outcome)
    order = {change.name: number for number, change in enumerate(plan.changes)}
    report = run.report()
    return replace(report, outcomes=tuple(sorted(report.outcomes, key=lambda outcome: order[outcome.name])))


def leave(plan: Plan, progress: Progress, stop: Stop | None = None) -> Report:
    """Return what an apply of ``plan`` comes to, which changes nothing: no API is needed, and nobody to seal to."""
    known = (each for each in plan.changes if isinstance(each, Unchanged | Gone | StillUnknown | StillAbandoned))
    outcomes = tuple(map(_left_alone, known))
    for outcome in outcomes:
        progress.finished(outcome)
    return Report(plan.parent, outcomes, stop)


def _held_back(run: Run, change: Update, work: Work) -> Outcome | None:
    """Return the outcome of an account that is not to be changed; None: it is."""
    stopped = run.held_back(change.name, "update")
    if (fault := work.faults.get(change.record_name)) is not None:
        return Outcome(change.name, "update", Result.NOT_ATTEMPTED, fault, weight=ExitCode.STATE_UNUSABLE)
    if change.record_name not in work.opened:
        return Outcome(change.name, "update", Result.NOT_ATTEMPTED, NO_IDENTITY, weight=ExitCode.SETTING_INVALID)
    return stopped


def _left_alone(change: Unchanged | Gone | StillUnknown | StillAbandoned) -> Outcome:
    """Return the outcome of an account for which nothing is sent, stopped or not."""
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
