"""What was done: one outcome for each account, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from provisioner.errors import ExitCode, ProvisionerError
from provisioner.model.plan import FieldChange


class Result(StrEnum):
    """How one account came out of a command."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"
    ADOPTED = "adopted"
    FORGOTTEN = "forgotten"
    VERIFIED = "verified"
    DRIFTED = "drifted"
    GONE = "gone"
    UNCHECKED = "unchecked"


_EXITS: Final = {
    Result.UNKNOWN: ExitCode.OUTCOME_UNKNOWN,
    Result.FAILED: ExitCode.SOME_FAILED,
    Result.NOT_ATTEMPTED: ExitCode.SOME_FAILED,
    Result.UNCHECKED: ExitCode.SOME_FAILED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did about one account."""

    name: str
    action: str
    result: Result
    reason: str | None = None
    fields: tuple[FieldChange, ...] = ()
    """Where Octopush holds something else than it should: ``before`` as sent, ``after`` as found."""
    weight: ExitCode | None = None
    """What it means for the exit, where that is not what its result means."""

    @property
    def exit_code(self) -> ExitCode:
        """What it would tell the caller if it were the only one."""
        return self.weight if self.weight is not None else _EXITS.get(self.result, ExitCode.DONE)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ended before its plan was done."""

    exit_code: ExitCode
    reason: str
    hint: str = ""
    unanswered: bool = False
    """Nobody answered, whichever parent asked."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a command did for one parent."""

    parent: str
    outcomes: tuple[Outcome, ...]
    stop: Stop | None = None
    failure: ProvisionerError | None = None
    """Why nothing could be done for this parent."""


GRAVITY: Final = (
    ExitCode.OUTCOME_UNKNOWN,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.FAILURE,
    ExitCode.STATE_UNUSABLE,
    ExitCode.SETTING_INVALID,
    ExitCode.PLAN_STALE,
    ExitCode.STATE_LOCKED,
    ExitCode.REFUSED,
    ExitCode.MANIFEST_INVALID,
    ExitCode.USAGE,
    ExitCode.SOME_FAILED,
    ExitCode.CHANGES_PENDING,
    ExitCode.DONE,
)
"""The exit codes, gravest first: where several parents end differently, the first of these is what is told."""


def exit_code(reports: Iterable[Report]) -> ExitCode:
    """Return what a command tells its caller.

    A doubt is stronger than why a parent stopped or failed, of which the gravest counts; that is stronger than
    accounts that failed, and those than what could not be tried.
    """
    these = tuple(reports)
    outcomes = {outcome.exit_code for report in these for outcome in report.outcomes}
    if ExitCode.OUTCOME_UNKNOWN in outcomes:
        return ExitCode.OUTCOME_UNKNOWN
    ends = {end.exit_code for report in these for end in (report.stop, report.failure) if end is not None}
    if ends:
        return min(ends, key=GRAVITY.index)
    if ExitCode.SOME_FAILED in outcomes:
        return ExitCode.SOME_FAILED
    return min(outcomes, key=GRAVITY.index, default=ExitCode.DONE)
