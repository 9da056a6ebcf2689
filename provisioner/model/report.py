"""What was done: one outcome for each account, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from provisioner.errors import Advice, ExitCode, ProvisionerError, gravest
from provisioner.model.plan import FieldChange
from provisioner.model.terms import Terms


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
    advice: Advice | None = None
    """What a command can do about it."""
    only_password: bool = False
    """Whether a new password is all that it was about."""

    @property
    def exit_code(self) -> ExitCode:
        """What it would tell the caller if it were the only one."""
        return self.weight if self.weight is not None else _EXITS.get(self.result, ExitCode.DONE)

    def warned(self, *warnings: str | None) -> Outcome:
        """Return the same with more to its reason; None adds nothing."""
        return replace(self, reason="; ".join(filter(None, (self.reason, *warnings))) or None)


class Scope(StrEnum):
    """What a stop ends."""

    PARENT = "parent"
    RUN = "run"
    """Every parent of the run: it was interrupted."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the work for a parent ended before it was done."""

    exit_code: ExitCode
    reason: str
    hint: str = ""
    scope: Scope = Scope.PARENT
    advice: Advice | None = None
    """What a command can do about it."""

    @classmethod
    def of(cls, error: ProvisionerError) -> Stop:
        """Return the stop that ``error`` is for the parent that met it."""
        return cls(error.exit_code, error.message.removesuffix("."), error.hint, advice=error.advice)


@dataclass(frozen=True, slots=True)
class Report:
    """What a command did for one parent."""

    parent: str
    outcomes: tuple[Outcome, ...]
    stop: Stop | None = None
    failure: ProvisionerError | None = None
    """Why nothing could be done for this parent."""
    terms: Terms | None = None
    """On what terms it was carried out; None of a command that says nothing of that."""


def exit_code(reports: Iterable[Report]) -> ExitCode:
    """Return what a command tells its caller.

    A doubt is graver than why a parent was stopped, or could not be begun with, that than
    a failure, and that than what could not be tried.
    """
    these = tuple(reports)
    outcomes = {outcome.exit_code for report in these for outcome in report.outcomes}
    if ExitCode.OUTCOME_UNKNOWN in outcomes:
        return ExitCode.OUTCOME_UNKNOWN
    ends = [each.exit_code for report in these for each in (report.stop, report.failure) if each is not None]
    if ends:
        return gravest(ends)
    if ExitCode.SOME_FAILED in outcomes:
        return ExitCode.SOME_FAILED
    return gravest(outcomes)
