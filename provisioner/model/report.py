"""A report: one outcome for each account, and the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from provisioner.errors import Advice, ExitCode, ProvisionerError, gravest
from provisioner.immutable import immutable
from provisioner.model.account import Attributes
from provisioner.model.plan import FieldChange
from provisioner.model.terms import Terms


class Result(StrEnum):
    """The result of a command for one account."""

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


@immutable
class Attempt:
    """What was sent for an account, and when."""

    attributes: Attributes
    """As the manifest has them, placeholders unexpanded."""
    since: str | None
    """UTC, ISO 8601 with a Z."""


@immutable
class Outcome:
    """What a command did for one account."""

    name: str
    action: str
    result: Result
    reason: str | None = None
    fields: tuple[FieldChange, ...] = ()
    """The fields that differ at Octopush: ``before`` as sent, ``after`` as found."""
    weight: ExitCode | None = None
    """Its exit code, if not the usual one of its result."""
    advice: Advice | None = None
    """Which command can help."""
    only_password: bool = False
    """Whether only a new password was set."""
    attempt: Attempt | None = None
    """For an unknown outcome: what a person looks for in Octopush's dashboard."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for this outcome alone."""
        return self.weight if self.weight is not None else _EXITS.get(self.result, ExitCode.DONE)

    def warned(self, *warnings: str | None) -> Outcome:
        """Return a copy with ``warnings`` added to its reason; None adds nothing."""
        return replace(self, reason="; ".join(filter(None, (self.reason, *warnings))) or None)


class Scope(StrEnum):
    """What a stop ends."""

    PARENT = "parent"
    RUN = "run"
    """All parents of the run: it was interrupted."""


@immutable
class Stop:
    """Why the work for a parent ended before it was done."""

    exit_code: ExitCode
    reason: str
    hint: str = ""
    scope: Scope = Scope.PARENT
    advice: Advice | None = None
    """Which command can help."""

    @classmethod
    def of(cls, error: ProvisionerError) -> Stop:
        """Return the stop for the parent that ``error`` happened to."""
        return cls(error.exit_code, error.message.removesuffix("."), error.hint, advice=error.advice)


@immutable
class Report:
    """What a command did for one parent."""

    parent: str
    outcomes: tuple[Outcome, ...]
    stop: Stop | None = None
    failure: ProvisionerError | None = None
    """Why nothing could be done for this parent."""
    terms: Terms | None = None
    """The terms that it was carried out on; None for a command that has none."""
    begun: bool = False
    """Whether the state is there that its terms begin."""


def exit_code(reports: Iterable[Report]) -> ExitCode:
    """Return the exit code of a command.

    From gravest to least: an unknown outcome, the reason why a parent stopped or could not
    start, a failed account, an account that was not attempted.
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
