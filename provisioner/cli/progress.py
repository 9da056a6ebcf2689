"""How far an operation has come: lines or a bar for people, events for programs.

Where there are several parents, each line says whose it is.
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

# The results of accounts that something was done about; the others are in the report alone.
_DONE: Final = frozenset({Result.CREATED, Result.UPDATED, Result.ADOPTED, Result.FAILED, Result.UNKNOWN})
# Those of accounts that went as they should: the bar itself shows them.
_AS_IT_SHOULD: Final = frozenset({Result.CREATED, Result.UNCHANGED, Result.VERIFIED})
_INSPECTING: Final = frozenset({"refresh", "verify", "balance"})
_SUCCESSES: Final = range(200, 300)


class _PersonReporter(ConsoleReporter):
    """Speaks to a person about accounts."""

    def __init__(self, console: Console, parents: int) -> None:
        super().__init__(console)
        self._names_parents = parents > 1
        self._once: dict[str, Once] = {}
        """By parent."""

    def _whose(self, parent: str) -> str:
        return f"{printable(parent)}: " if self._names_parents else ""

    def _line(self, parent: str, outcome: Outcome) -> Line:
        if outcome.result is Result.UNCHECKED and outcome.reason is not None:
            outcome = replace(outcome, reason=self._once.setdefault(parent, Once()).told(outcome.reason))
        line = texts.outcome(outcome)
        return Line(f"{self._whose(parent)}{line.text}", line.style)


class LineReporter(_PersonReporter):
    """One line for each account that something was done about, as it is done."""

    def __init__(self, console: Console, parents: int) -> None:
        super().__init__(console, parents)
        self._total = 0
        self._done = 0
        self._lock = threading.Lock()

    def expected(self, accounts: int) -> None:
        """Note how many there will be."""
        self._total, self._done = accounts, 0

    def waiting(self, parent: str, words: str) -> None:
        """Say why nothing happens for a while."""
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
        """Say what was found; the account was counted before."""
        self._console.talk(self._line(parent, found))


class BarReporter(_PersonReporter):
    """A bar for the whole run, and above it a line for each account that went wrong."""

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
        """Begin a bar of that length."""
        self.close()
        if accounts:
            with suppress(OSError):  # the terminal may be gone; the run goes on
                self._bar.reset(self._task, total=accounts, description="")
                self._bar.start()

    def close(self) -> None:
        """Take the bar away."""
        with suppress(OSError):
            self._bar.update(self._task, description="")
            self._bar.stop()

    def started(self, parent: str, account: str, operation: str | None) -> None:
        """Name the account that the run is at."""
        del operation
        with suppress(OSError):
            self._bar.update(self._task, description=f"{self._whose(parent)}{printable(account)}")

    def waiting(self, parent: str, words: str) -> None:
        """Say above the bar why it stands still."""
        self._print(Line(f"{self._whose(parent)}waiting: {printable(words)}"))

    def finished(self, parent: str, outcome: Outcome) -> None:
        """Move the bar on."""
        if not _is_done(outcome):
            return
        with suppress(OSError):
            self._bar.advance(self._task)
        if outcome.result not in _AS_IT_SHOULD or outcome.reason:
            self._print(self._line(parent, outcome))

    def read_back(self, parent: str, found: Outcome) -> None:
        """Say above the bar what was found."""
        self._print(self._line(parent, found))

    def phase(self, name: str, seconds: float) -> None:
        """Take the bar away: what it was about has ended."""
        super().phase(name, seconds)
        self.close()

    def _print(self, line: Line) -> None:
        from rich.text import Text  # rich is only for a terminal

        with suppress(OSError):
            self._bar.console.print(Text(defused(line.text), style=line.style))


class LogReporter(ConsoleReporter):
    """An event for each request and each account, with how long it took."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._begun: dict[str, tuple[str, str | None, float]] = {}
        """By parent: the account that it is at, the operation, and since when."""

    def planned(self, plans: Sequence[Plan], digest: str) -> None:
        """Write an event for each plan: how much it changes, and where; and one with the digest of all."""
        from provisioner.model.plan import counts  # only an apply shows it here
        from provisioner.render import documents

        for plan in plans:
            more = {"slots": documents.slots(plan.slots)} | ({} if plan.terms is None else documents.place(plan.terms))
            self._console.event(INFO, Event.PLAN, parent=plan.parent, serial=plan.serial, **counts([plan]), **more)
        self._console.event(INFO, Event.DIGEST, digest=digest)

    def started(self, parent: str, account: str, operation: str | None) -> None:
        """Note which account, and which operation, what follows is about."""
        self._begun[parent] = (account, operation, time.monotonic())

    def waiting(self, parent: str, words: str) -> None:
        """Say why nothing happens for a while."""
        account, operation, _ = self._begun.get(parent, (None, None, 0.0))
        self._console.event(WARNING, Event.WAITING, parent=parent, account=account, operation=operation, message=words)

    def requested(self, request: Requested) -> None:
        """Tell of one request: its status, or why it has none."""
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
        """Tell what became of an account; how long it took, where anything was asked about it."""
        self._told(Event.ACCOUNT, parent, outcome)

    def read_back(self, parent: str, found: Outcome) -> None:
        """Tell what was found."""
        self._told(Event.READ_BACK, parent, found)

    def _told(self, event: Event, parent: str, outcome: Outcome) -> None:
        account, operation, since = self._begun.pop(parent, (None, None, 0.0))
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


def reporter(console: Console, parents: int = 1) -> ConsoleReporter:
    """Return the reporter fit for standard error: events for a program, a bar on a terminal, lines elsewhere.

    Where there are several ``parents``, each line says whose it is.
    """
    if isinstance(console, LogConsole):
        return LogReporter(console)
    return (BarReporter if console.stderr.isatty() else LineReporter)(console, parents)


def _is_done(outcome: Outcome) -> bool:
    """Whether this run did something about the account; an old unknown is not its work."""
    if outcome.action in _INSPECTING:
        return True
    return outcome.action in {"create", "update", "adopt"} and outcome.result in _DONE


def _level(outcome: Outcome) -> str:
    if outcome.result in {Result.FAILED, Result.UNKNOWN}:
        return ERROR
    doubtful = outcome.result in {Result.DRIFTED, Result.GONE} or outcome.exit_code is not ExitCode.DONE
    return WARNING if doubtful or outcome.reason else INFO
