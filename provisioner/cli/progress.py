"""Progress of an operation: lines or a bar for people, events for programs.

With several parents, each line begins with its parent.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provisioner.cli.console import ERROR, INFO, WARNING, LogConsole
from provisioner.cli.events import Event
from provisioner.cli.reporters import ConsoleReporter
from provisioner.errors import ExitCode
from provisioner.model.report import Outcome, Result
from provisioner.model.rescue import defused
from provisioner.render import advice
from provisioner.render import report as texts
from provisioner.render.lines import Line, printable
from provisioner.render.words import Once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.cli.console import Console
    from provisioner.model.plan import Plan
    from provisioner.project.reporter import Requested

# The results of accounts that the run worked on; the others appear only in the report.
_DONE: Final = frozenset({Result.CREATED, Result.UPDATED, Result.ADOPTED, Result.FAILED, Result.UNKNOWN})
# The results that need no line of their own: the bar itself shows them.
_EXPECTED: Final = frozenset({Result.CREATED, Result.UNCHANGED, Result.VERIFIED})
_INSPECTING: Final = frozenset({"refresh", "verify", "balance"})
_SUCCESSES: Final = range(200, 300)


class _PersonReporter(ConsoleReporter):
    """Formats lines about accounts for people."""

    def __init__(self, console: Console, parents: int) -> None:
        super().__init__(console)
        self._names_parents = parents > 1
        self._once: dict[str, Once] = {}
        """By parent."""

    def _whose(self, parent: str) -> str:
        return f"{printable(parent)}: " if self._names_parents else ""

    def _line(self, parent: str, outcome: Outcome) -> Line:
        if outcome.result is Result.UNCHECKED and outcome.reason is not None:
            outcome = replace(outcome, reason=self._once.setdefault(parent, Once()).shorten(outcome.reason))
        line = texts.outcome(outcome)
        return Line(f"{self._whose(parent)}{line.text}", line.style)


class LineReporter(_PersonReporter):
    """Prints one line for each account that the run works on, when it is done."""

    def __init__(self, console: Console, parents: int) -> None:
        super().__init__(console, parents)
        self._total = 0
        self._done = 0
        self._lock = threading.Lock()

    def expected(self, accounts: int) -> None:
        """Set the number of accounts."""
        self._total, self._done = accounts, 0

    def waiting(self, parent: str, words: str) -> None:
        """Report why nothing happens for a while."""
        self._console.talk(f"{self._whose(parent)}waiting: {printable(words)}")

    def finished(self, parent: str, outcome: Outcome) -> None:
        """Print the account's line."""
        if not _is_done(outcome):
            return
        with self._lock:
            self._done += 1
            line = self._line(parent, outcome)
            self._console.talk(Line(f"[{self._done}/{self._total}] {line.text}", line.style))

    def read_back(self, parent: str, found: Outcome) -> None:
        """Report what was found; the account has been counted already."""
        self._console.talk(self._line(parent, found))


class BarReporter(_PersonReporter):
    """Shows a bar for the whole run, and above it a line for each account that failed."""

    def __init__(self, console: Console, parents: int) -> None:
        super().__init__(console, parents)
        from rich.console import Console as Terminal  # rich is only for a terminal
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        terminal = Terminal(stderr=True, highlight=False, no_color=not console.is_coloured(console.stderr))
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("", total=0)

    def expected(self, accounts: int) -> None:
        """Start a bar of that length."""
        self.close()
        if accounts:
            with suppress(OSError):  # the terminal may be gone; the run goes on
                self._bar.reset(self._task, total=accounts, description="")
                self._bar.start()

    def close(self) -> None:
        """Remove the bar."""
        with suppress(OSError):
            self._bar.update(self._task, description="")
            self._bar.stop()

    def started(self, parent: str, account: str, operation: str | None) -> None:
        """Show the account that the run is working on."""
        del operation
        with suppress(OSError):
            self._bar.update(self._task, description=f"{self._whose(parent)}{printable(account)}")

    def waiting(self, parent: str, words: str) -> None:
        """Report above the bar why it does not move."""
        self._print(Line(f"{self._whose(parent)}waiting: {printable(words)}"))

    def finished(self, parent: str, outcome: Outcome) -> None:
        """Advance the bar."""
        if not _is_done(outcome):
            return
        with suppress(OSError):
            self._bar.advance(self._task)
        if outcome.result not in _EXPECTED or outcome.reason:
            self._print(self._line(parent, outcome))

    def read_back(self, parent: str, found: Outcome) -> None:
        """Report above the bar what was found."""
        self._print(self._line(parent, found))

    def phase(self, name: str, seconds: float) -> None:
        """Remove the bar when its phase has ended."""
        super().phase(name, seconds)
        self.close()

    def _print(self, line: Line) -> None:
        from rich.text import Text  # rich is only for a terminal

        with suppress(OSError):
            self._bar.console.print(Text(defused(line.text), style=line.style))


class LogReporter(ConsoleReporter):
    """Writes an event for each request and each account, with its duration."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._current: dict[str, tuple[str, str | None, float]] = {}
        """By parent: the current account, its operation, and when it started."""

    def planned(self, plans: Sequence[Plan], digest: str) -> None:
        """Write an event for each plan, with its changes and its place, and one with the digest of all plans."""
        from provisioner.model.plan import counts  # only an apply shows plans here
        from provisioner.render import documents

        for plan in plans:
            more = {"slots": documents.slots(plan.slots)} | ({} if plan.terms is None else documents.place(plan.terms))
            self._console.event(INFO, Event.PLAN, parent=plan.parent, serial=plan.serial, **counts([plan]), **more)
        self._console.event(INFO, Event.DIGEST, digest=digest)

    def started(self, parent: str, account: str, operation: str | None) -> None:
        """Record which account and which operation the next events are about."""
        self._current[parent] = (account, operation, time.monotonic())

    def waiting(self, parent: str, words: str) -> None:
        """Report why nothing happens for a while."""
        account, operation, _ = self._current.get(parent, (None, None, 0.0))
        self._console.event(WARNING, Event.WAITING, parent=parent, account=account, operation=operation, message=words)

    def requested(self, request: Requested) -> None:
        """Report one request: its status, or why it has none."""
        self._console.event(
            INFO if request.status in _SUCCESSES else WARNING,
            Event.REQUEST,
            parent=request.parent,
            account=request.account,
            operation=request.operation,
            call=request.call,
            attempt=request.attempt,
            status=request.status,
            reason=request.reason,
            sent=request.sent,
            duration=request.seconds,
        )

    def finished(self, parent: str, outcome: Outcome) -> None:
        """Report the outcome of an account, and its duration if a request was sent."""
        self._write(Event.ACCOUNT, parent, outcome)

    def read_back(self, parent: str, found: Outcome) -> None:
        """Report what was found."""
        self._write(Event.READ_BACK, parent, found)

    def _write(self, event: Event, parent: str, outcome: Outcome) -> None:
        account, operation, since = self._current.pop(parent, (None, None, 0.0))
        mine = account == outcome.name
        self._console.event(
            _level(outcome),
            event,
            parent=parent,
            account=outcome.name,
            operation=operation if mine else None,
            action=outcome.action,
            status=outcome.result.value,
            reason=advice.reason(outcome),
            fields=[each.path for each in outcome.fields] or None,
            duration=round(time.monotonic() - since, 3) if mine else None,
        )


def reporter_for(console: Console, parents: int = 1) -> ConsoleReporter:
    """Return the reporter that suits standard error: events for a program, a bar on a terminal, lines elsewhere.

    With several ``parents``, each line begins with its parent.
    """
    if isinstance(console, LogConsole):
        return LogReporter(console)
    return (BarReporter if console.stderr.isatty() else LineReporter)(console, parents)


def _is_done(outcome: Outcome) -> bool:
    """Return whether this run worked on the account; an old unknown is not its work."""
    if outcome.action in _INSPECTING:
        return True
    return outcome.action in {"create", "update", "adopt"} and outcome.result in _DONE


def _level(outcome: Outcome) -> str:
    if outcome.result in {Result.FAILED, Result.UNKNOWN}:
        return ERROR
    doubtful = outcome.result in {Result.DRIFTED, Result.GONE} or outcome.exit_code is not ExitCode.DONE
    return WARNING if doubtful or outcome.reason else INFO
