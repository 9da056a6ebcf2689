"""Reporters, which follow an operation while it runs.

Owns the interface. Prints nothing: the command line has its own reporters, and so can any
program that uses the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.immutable import immutable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.model.account import Problem
    from provisioner.model.plan import Plan
    from provisioner.model.report import Outcome


@immutable
class Requested:
    """One finished request, without secrets."""

    parent: str
    account: str | None
    operation: str | None
    """The id of the operation, if the request changes something."""
    call: str
    """``create``, ``edit``, ``read`` or ``balance``."""
    attempt: int
    """From 1."""
    status: int | None
    """The HTTP status, or None without an answer."""
    reason: str | None
    """Why there was no answer, or no complete one."""
    sent: bool | None
    """Without an answer: whether any part of the request was sent."""
    seconds: float


class Reporter:
    """A reporter that does nothing; override the methods that you need.

    Parents run in parallel, so several threads may call any method at once. Do not raise
    exceptions: they end the operation for that parent, after what is in progress is saved.
    """

    def problem(self, problem: Problem) -> None:
        """Receive an error or a warning about a manifest."""

    def warning(self, message: str) -> None:
        """Receive a warning for the user that is not in any result."""

    def planned(self, plans: Sequence[Plan], digest: str) -> None:
        """Receive the plans to apply, one for each parent, and their digest, before anybody is asked."""

    def expected(self, accounts: int) -> None:
        """Receive the number of accounts that the operation will work on, over all parents."""

    def phase(self, name: str, seconds: float) -> None:
        """Receive the duration of a part of the operation, at its end."""

    def started(self, parent: str, account: str, operation: str | None) -> None:
        """Receive the start of work on an account; ``operation`` is the id, if a request changes the account."""

    def requested(self, request: Requested) -> None:
        """Receive a finished request."""

    def waiting(self, parent: str, words: str) -> None:
        """Receive the reason when a parent has to wait."""

    def finished(self, parent: str, outcome: Outcome) -> None:
        """Receive a final outcome; a created account is saved, but not yet read back."""

    def read_back(self, parent: str, found: Outcome) -> None:
        """Receive the finding that a created account is not as it was sent, or could not be read.

        Its outcome in the report says the same.
        """

    def identity_said(self, text: str) -> None:
        """Receive what the identity command wrote to standard error."""

    def last_resort(self, line: str) -> bool:
        """Receive a sealed outcome that could not be saved to any disk; return whether you keep it, as in a log.

        The line is sealed and safe in a log, from which ``recover`` reads it. If you do not
        keep it, it is in the report.
        """
        del line
        return False


SILENT = Reporter()
"""A reporter that does nothing."""
