"""What was done: one outcome for each account, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from provisioner.errors import ExitCode


class Result(StrEnum):
    """How one account came out of an apply."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an apply did about one account."""

    name: str
    action: str
    result: Result
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ended before its plan was done."""

    exit_code: ExitCode
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What an apply did for one parent."""

    parent: str
    outcomes: tuple[Outcome, ...]
    stop: Stop | None = None


def exit_code(reports: Iterable[Report]) -> ExitCode:
    """Return what an apply tells its caller: a doubt is stronger than why the run stopped, and that than a failure."""
    these = tuple(reports)
    outcomes = [outcome for report in these for outcome in report.outcomes]
    if any(outcome.result is Result.UNKNOWN for outcome in outcomes):
        return ExitCode.OUTCOME_UNKNOWN
    for report in these:
        if report.stop is not None:
            return report.stop.exit_code
    undone = {Result.FAILED, Result.NOT_ATTEMPTED}
    if any(outcome.result in undone and outcome.action != "abandoned" for outcome in outcomes):
        return ExitCode.SOME_FAILED
    return ExitCode.DONE
