"""Problems: which of them are errors, how many are reported, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.document import MAX_REPORTED
from provisioner.errors import ManifestInvalid
from provisioner.model.account import Origin, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable


class ProblemLog:
    """The problems of one file: the first errors and the first others are kept, the rest is counted."""

    def __init__(self, problems: Iterable[Problem] = (), more: int = 0) -> None:
        self.kept: list[Problem] = []
        self.more = more
        self._room = {True: MAX_REPORTED, False: MAX_REPORTED}
        self.extend(problems)

    def has_room(self, severity: Severity = Severity.ERROR) -> bool:
        """Return whether one more of that severity would be kept; if not, just count it in :attr:`more`."""
        return self._room[severity is Severity.ERROR] > 0

    def append(self, problem: Problem) -> None:
        """Keep ``problem``, or count it."""
        if not self.has_room(problem.severity):
            self.more += 1
            return
        self._room[problem.severity is Severity.ERROR] -= 1
        self.kept.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Keep or count each of ``problems``."""
        for problem in problems:
            self.append(problem)


def to_report(files: Iterable[ProblemLog]) -> tuple[Problem, ...]:
    """Return the problems to report, file by file and by line; the last one says how many more there are.

    A warning never takes the place of an error.
    """
    more = 0
    found: list[Problem] = []
    for file in files:
        found += sorted(file.kept, key=_by_place)
        more += file.more
    room = {True: MAX_REPORTED, False: max(0, MAX_REPORTED - len(errors(found)))}
    first: list[Problem] = []
    for problem in found:
        is_error = problem.severity is Severity.ERROR
        if room[is_error]:
            room[is_error] -= 1
            first.append(problem)
    more += len(found) - len(first)
    if more:
        severity = Severity.WARNING if room[True] else Severity.ERROR
        message = "1 more problem is not shown." if more == 1 else f"{more:,} more problems are not shown."
        first.append(Problem(Origin(found[-1].origin.file), "", message, "Correct these first.", severity))
    return tuple(first)


def errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems that are errors."""
    return tuple(each for each in problems if each.severity is Severity.ERROR)


def refuse_any(problems: Iterable[Problem], noun: str) -> None:
    """Refuse the input if there is an error.

    :param noun: what the message calls the input.
    :raises ManifestInvalid: there is an error.
    """
    if found := errors(problems):
        number, plural = len(found), "" if len(found) == 1 else "s"
        error = ManifestInvalid(
            f"{number} problem{plural} in the {noun}.", hint=f"Correct {'each' if plural else 'it'}; nothing was sent."
        )
        error.problems = found
        raise error


def _by_place(problem: Problem) -> tuple[int, int]:
    """Sort the problems of one file by line, and by column within a line."""
    return problem.origin.line or 0, problem.origin.column or 0
