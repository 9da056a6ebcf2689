"""Problems: which of them refuse what was read, and their order within a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.errors import ManifestInvalid
from provisioner.model.account import Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable


def errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems for which what was read is refused."""
    return tuple(each for each in problems if each.severity is Severity.ERROR)


def refuse_any(problems: Iterable[Problem], whose: str) -> None:
    """Refuse what was read if there is an error.

    :param whose: what was read, in the words of the message.
    :raises ManifestInvalid: there is.
    """
    if number := len(errors(problems)):
        plural = "" if number == 1 else "s"
        raise ManifestInvalid(f"{number} problem{plural} in the {whose}.", hint="Correct each; nothing was sent.")


def by_place(problem: Problem) -> tuple[int, int]:
    """Sort the problems of one file by line, and by column within a line."""
    return problem.origin.line or 0, problem.origin.column or 0
