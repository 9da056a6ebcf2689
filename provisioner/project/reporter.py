"""Whoever hears what an operation does while it goes on.

Owns the interface. Refuses to print: the command line has reporters that do, and a
program that embeds this one may write its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.model.account import Problem
    from provisioner.model.plan import Plan
    from provisioner.model.report import Outcome


@dataclass(frozen=True, slots=True)
class Requested:
    """One request that has ended; nothing in it is a secret."""

    parent: str
    account: str | None
    operation: str | None
    """The id of the operation that the request belongs to, where it changes something."""
    call: str
    """``create``, ``edit``, ``read`` or ``balance``."""
    attempt: int
    """From 1."""
    status: int | None
    """The answer's HTTP status, or None where there was no answer."""
    reason: str | None
    """Why there was no answer, or why it is not whole."""
    sent: bool | None
    """Where there was no answer: whether any of the request was sent."""
    seconds: float


class Reporter:
    """Hears of everything and does nothing about it; override what you want to hear.

    Parents run side by side, so any method may be called from several threads at once.
    What a method raises ends the operation for that parent, once what is under way is
    saved; so let it raise nothing.
    """

    def problem(self, problem: Problem) -> None:
        """Hear what is wrong, or unwise, in a manifest."""

    def warning(self, message: str) -> None:
        """Hear what a person should know and no result says."""

    def planned(self, plans: Sequence[Plan], digest: str) -> None:
        """Hear what is about to be applied, a plan for each parent, and their digest, before anybody is asked."""

    def expected(self, accounts: int) -> None:
        """Hear how many accounts the operation is about to work on, over all parents."""

    def phase(self, name: str, seconds: float) -> None:
        """Hear that a part of the operation has ended, and how long it took."""

    def started(self, parent: str, account: str, operation: str | None) -> None:
        """Hear that work on an account begins, and by which operation where a request changes it."""

    def requested(self, request: Requested) -> None:
        """Hear that a request has ended."""

    def waiting(self, parent: str, words: str) -> None:
        """Hear why nothing happens to a parent for a while."""

    def finished(self, parent: str, outcome: Outcome) -> None:
        """Hear of an outcome that is final; what was created is safe by then, and not yet read back."""

    def read_back(self, parent: str, found: Outcome) -> None:
        """Hear that an account that was created is not as it was sent, or could not be read: ``found`` says why.

        Its outcome in the report has the same.
        """

    def identity_said(self, text: str) -> None:
        """Hear what the command that prints the identity wrote to standard error."""

    def last_resort(self, line: str) -> bool:
        """Take a sealed outcome that no disk took, and return whether you keep it, as a log does.

        The line is sealed: it is safe in a log, and ``recover`` reads it from there. Where
        nobody takes it, it stands in the report.
        """
        del line
        return False


SILENT = Reporter()
"""Hears everything, and does nothing."""
