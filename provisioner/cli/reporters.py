"""Reports progress that matters to people and programs alike, and measures how long each phase took.

Never ends a run because nobody reads its output: the work matters more than the messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from provisioner.project.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.cli.console import Console
    from provisioner.model.account import Problem
    from provisioner.model.plan import Plan


class ConsoleReporter(Reporter):
    """Reports problems, warnings and plans, and records how long each phase took."""

    def __init__(self, console: Console) -> None:
        self.phases: dict[str, float] = {}
        """The duration of each phase in seconds."""
        self.compact: bool | None = None
        """How a plan is shown, see :class:`provisioner.render.words.View`."""
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Restore the terminal."""

    def problem(self, problem: Problem) -> None:
        """Report a problem in a manifest."""
        self._console.problem(problem)

    def warning(self, message: str) -> None:
        """Print a warning."""
        self._console.warn(message)

    def planned(self, plans: Sequence[Plan], digest: str) -> None:
        """Show the plans, before asking for confirmation."""
        from provisioner.render import text  # only an apply shows plans here

        view = self._console.view(self._console.stderr, compact=self.compact)
        self._console.talk(*text.plans(plans, digest, view))

    def phase(self, name: str, seconds: float) -> None:
        """Record how long a phase took."""
        self.phases[name] = round(seconds, 3)

    def identity_said(self, text: str) -> None:
        """Pass on what the identity command wrote for the user."""
        self._console.raw(f"{text}\n")

    def last_resort(self, line: str) -> bool:
        """Write a sealed outcome to standard error."""
        return self._console.last_resort(line)
