"""Shows how far a run has come: a bar on a terminal, one plain line for each account elsewhere.

Refuses to end a run because nobody looks on: what it does matters more than what it says.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from provisioner.cli import terminal
from provisioner.model.report import Outcome, Result
from provisioner.render import report
from provisioner.render.lines import Line, printable

if TYPE_CHECKING:
    from provisioner.cli.logs import LogProgress
    from provisioner.octopush.client import Exchange

# The results of accounts about which something was done; the others are in the report alone.
_DONE: Final = frozenset({Result.CREATED, Result.UPDATED, Result.ADOPTED, Result.FAILED, Result.UNKNOWN})
# Those of accounts that went as they should: the bar itself tells of them.
_AS_IT_SHOULD: Final = frozenset({Result.CREATED, Result.UNCHANGED, Result.VERIFIED})
_INSPECTING: Final = frozenset({"refresh", "verify", "balance"})


class PlainProgress:
    """One line for each account that something was done about, as it is done."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def at(self, parent: str) -> None:
        """Say nothing: the report names the parents."""

    def started(self, name: str, operation: str | None = None) -> None:
        """Say nothing: the line comes with the outcome."""

    def carrying(self, carrier: Exchange) -> Exchange:
        """Return ``carrier``: nobody wants to hear of single requests."""
        return carrier

    def waiting(self, words: str) -> None:
        """Say why nothing happens for a while."""
        terminal.talk(f"waiting: {printable(words)}")

    def finished(self, outcome: Outcome) -> None:
        """Print the account's line."""
        if _is_done(outcome):
            self._done += 1
            line = report.outcome(outcome)
            terminal.talk(Line(f"[{self._done}/{self._total}] {line.text}", line.style))


class BarProgress:
    """A bar for the whole run, and above it a line for each account that went wrong."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False, no_color=not terminal.coloured(sys.stderr))
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._bar.update(self._task, description="")
            self._bar.stop()

    def at(self, parent: str) -> None:
        """Say nothing: the report names the parents."""

    def carrying(self, carrier: Exchange) -> Exchange:
        """Return ``carrier``: nobody wants to hear of single requests."""
        return carrier

    def started(self, name: str, operation: str | None = None) -> None:
        """Name the account that the run is at."""
        del operation
        with suppress(OSError):  # the terminal may be gone; the run goes on
            self._bar.update(self._task, description=printable(name))

    def waiting(self, words: str) -> None:
        """Say above the bar why it stands still."""
        from rich.text import Text

        with suppress(OSError):
            self._bar.console.print(Text(f"waiting: {printable(words)}"))

    def finished(self, outcome: Outcome) -> None:
        """Move the bar on."""
        from rich.text import Text

        if not _is_done(outcome):
            return
        with suppress(OSError):
            self._bar.advance(self._task)
            if outcome.result not in _AS_IT_SHOULD or outcome.reason:
                line = report.outcome(outcome)
                self._bar.console.print(Text(line.text, style=line.style))


def progress(total: int) -> PlainProgress | BarProgress | LogProgress:
    """Return the progress fit for standard error: events for a program, a bar on a terminal, lines elsewhere."""
    if (log := terminal.log()) is not None:
        from provisioner.cli.logs import LogProgress

        return LogProgress(log)
    return BarProgress(total) if total and sys.stderr.isatty() else PlainProgress(total)


def _is_done(outcome: Outcome) -> bool:
    """Tell whether this run did something about the account; an old unknown is none of its work."""
    if outcome.action in _INSPECTING:
        return True
    return outcome.action in {"create", "update", "adopt"} and outcome.result in _DONE
