"""Reports an operation while it runs: lines or a bar for people, events for programs.

Measures how long each phase took. Never ends a run because nobody reads its output: the work
matters more than the messages.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Self

from provisioner.cli.console import LogConsole
from provisioner.project.reporter import Reporter
from provisioner.render.events import INFO, WARNING, Event
from provisioner.render.lines import Line, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress

    from provisioner.cli.console import Console
    from provisioner.model.account import Problem
    from provisioner.model.plan import Plan
    from provisioner.model.report import Outcome
    from provisioner.project.reporter import Requested
    from provisioner.render.words import Once

_SUCCESSES = range(200, 300)


class ConsoleReporter(Reporter):
    """Reports to a console; with several ``parents``, each line for people begins with its parent."""

    def __init__(self, console: Console, parents: int = 1) -> None:
        self.phases: dict[str, float] = {}
        """The duration of each phase in seconds."""
        self.compact: bool | None = None
        """How a plan is shown, see :class:`provisioner.render.words.View`."""
        self._console = console
        self._is_log = isinstance(console, LogConsole)
        self._names_parents = parents > 1
        self._bar: Progress | None = None
        self._total = self._done = 0
        self._lock = threading.Lock()
        self._once: dict[str, Once] = {}
        """By parent."""
        self._current: dict[str, tuple[str | None, str | None, float]] = {}
        """By parent: the current account, its operation, and when it started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def problem(self, problem: Problem) -> None:
        """Report a problem in a manifest."""
        self._console.problem(problem)

    def warning(self, message: str) -> None:
        """Print a warning."""
        self._console.warn(message)

    def planned(self, plans: Sequence[Plan], digest: str) -> None:
        """Show the plans, before asking for confirmation; to programs, also the place of each."""
        if not self._is_log:
            from provisioner.render import text  # only an apply shows plans here

            view = self._console.view(self._console.stderr, compact=self.compact)
            self._console.talk(*text.plans(plans, digest, view))
            return
        from provisioner.model.plan import counts  # only an apply shows plans here
        from provisioner.render import documents

        for plan in plans:
            more = {"slots": documents.slots(plan.slots)} | ({} if plan.terms is None else documents.place(plan.terms))
            self._console.event(INFO, Event.PLAN, parent=plan.parent, serial=plan.serial, **counts([plan]), **more)
        self._console.event(INFO, Event.DIGEST, digest=digest)

    def expected(self, accounts: int) -> None:
        """Start to count, with a bar on a terminal."""
        self._close()
        self._total, self._done = accounts, 0
        if accounts and not self._is_log and self._console.stderr.isatty():
            from rich.console import Console as Terminal  # rich is only for a terminal
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            coloured = self._console.is_coloured(self._console.stderr)
            bar = Progress(
                BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False),
                console=Terminal(stderr=True, highlight=False, no_color=not coloured),
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            bar.add_task("", total=accounts)
            self._bar = bar
            with suppress(OSError):  # the terminal may be gone; the run goes on
                bar.start()

    def _close(self) -> None:
        """Stop the bar."""
        if self._bar is not None:
            self._move("")
            with suppress(OSError):
                self._bar.stop()
            self._bar = None

    def _move(self, words: str | None = None, by: int = 0) -> None:
        if (bar := self._bar) is not None:
            with suppress(OSError):
                bar.update(bar.task_ids[0], description=words, advance=by)

    def phase(self, name: str, seconds: float) -> None:
        """Record how long a phase took, which ends its bar."""
        self.phases[name] = round(seconds, 3)
        self._close()

    def started(self, parent: str, account: str, operation: str | None) -> None:
        """Record which account and which operation comes next."""
        self._current[parent] = (account, operation, time.monotonic())
        self._move(f"{self._whose(parent)}{printable(account)}")

    def waiting(self, parent: str, words: str) -> None:
        """Report why nothing happens for a while."""
        account, operation, _ = self._current.get(parent, (None, None, 0.0))
        self._console.event(WARNING, Event.WAITING, parent=parent, account=account, operation=operation, message=words)
        self._print(Line(f"{self._whose(parent)}waiting: {printable(words)}"))

    def requested(self, request: Requested) -> None:
        """Report one request to programs: its status, or why it has none."""
        if self._is_log:
            known = asdict(request)
            duration = known.pop("seconds")
            level = INFO if request.status in _SUCCESSES else WARNING
            self._console.event(level, Event.REQUEST, **known, duration=duration)

    def finished(self, parent: str, outcome: Outcome) -> None:
        """Report the outcome of an account: to people only if this run worked on it, and the bar does not show it."""
        from provisioner.render import report  # a plan finishes no account

        if self._is_log:
            self._log(Event.ACCOUNT, parent, outcome)
        elif report.is_progress(outcome):
            with self._lock:
                self._done += 1
                self._move(by=1)
                if self._bar is None:
                    self._print(self._line(parent, outcome, f"[{self._done}/{self._total}] "))
                elif report.is_remarkable(outcome):
                    self._print(self._line(parent, outcome))

    def read_back(self, parent: str, found: Outcome) -> None:
        """Report what was found; the account has been counted already."""
        if self._is_log:
            self._log(Event.READ_BACK, parent, found)
        else:
            self._print(self._line(parent, found))

    def identity_said(self, text: str) -> None:
        """Pass on what the identity command wrote for the user."""
        self._console.raw(f"{text}\n")

    def last_resort(self, line: str) -> bool:
        """Write a sealed outcome to standard error."""
        return self._console.last_resort(line)

    def _whose(self, parent: str) -> str:
        return f"{printable(parent)}: " if self._names_parents else ""

    def _line(self, parent: str, outcome: Outcome, prefix: str = "") -> Line:
        from provisioner.model.report import Result  # a plan has no outcomes
        from provisioner.render import report
        from provisioner.render.words import Once

        if outcome.result is Result.UNCHECKED and outcome.reason is not None:
            outcome = replace(outcome, reason=self._once.setdefault(parent, Once()).shorten(outcome.reason))
        line = report.outcome(outcome)
        return Line(f"{prefix}{self._whose(parent)}{line.text}", line.style)

    def _print(self, line: Line) -> None:
        """Print a line for people, above the bar if there is one."""
        if (bar := self._bar) is not None:
            from rich.text import Text  # rich is only for a terminal

            from provisioner.model.rescue import defused

            with suppress(OSError):
                bar.console.print(Text(defused(line.text), style=line.style))
        elif not self._is_log:
            self._console.talk(line)

    def _log(self, event: Event, parent: str, outcome: Outcome) -> None:
        from provisioner.render import events  # a plan has no outcomes

        account, operation, since = self._current.pop(parent, (None, None, 0.0))
        own = {"operation": operation, "duration": round(time.monotonic() - since, 3)}
        self._console.event(
            events.level(outcome), event, parent=parent, **events.account(outcome),
            **(own if account == outcome.name else {}),
        )  # fmt: skip
