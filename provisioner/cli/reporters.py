"""What everybody gets to hear while an operation goes on, and how long each part took.

Refuses to end a run because nobody looks on: what it does matters more than what it says.
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
    """Says what everybody wants to hear, and remembers how long each part took."""

    def __init__(self, console: Console) -> None:
        self.phases: dict[str, float] = {}
        """Seconds that each part took."""
        self.compact: bool | None = None
        """How a plan is shown, see :class:`provisioner.render.words.View`."""
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was found."""

    def problem(self, problem: Problem) -> None:
        """Say what is wrong in a manifest."""
        self._console.problem(problem)

    def warning(self, message: str) -> None:
        """Warn."""
        self._console.warn(message)

    def planned(self, plans: Sequence[Plan], digest: str) -> None:
        """Show the plans, before anybody is asked."""
        from provisioner.render import text  # only an apply shows it here

        view = self._console.view(self._console.stderr, compact=self.compact)
        self._console.talk(*text.plans(plans, digest, view))

    def phase(self, name: str, seconds: float) -> None:
        """Remember how long it took."""
        self.phases[name] = round(seconds, 3)

    def identity_said(self, text: str) -> None:
        """Pass on what the command wrote: it is for the person."""
        self._console.raw(f"{text}\n")

    def last_resort(self, line: str) -> bool:
        """Write it to standard error."""
        return self._console.last_resort(line)
