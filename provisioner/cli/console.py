"""A command's output: data on standard output, messages on standard error.

Owns printing, prompts and colour. There are two consoles, one for people and one whose
messages are events for programs; the process chooses one when it starts, and passes it on.

Output that cannot be written never ends a command, because its work matters more than its
messages. If data could not be written, the exit code is 1, unless the command ends with
another.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from provisioner.errors import CommandInvalid, ExitCode, ProvisionerError, gravest
from provisioner.model.rescue import MARK, defused
from provisioner.render import events
from provisioner.render.events import ERROR, INFO, WARNING, Event

if TYPE_CHECKING:
    from provisioner.model.account import Problem
    from provisioner.model.report import Report
    from provisioner.render.lines import Line
    from provisioner.render.words import View

_ANSWERS: Final = " [y/N]:"
_USUAL_WIDTH: Final = 80
_STYLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "bold": {"bold": True}, "dim": {"dim": True}, "green": {"fg": "green"}, "yellow": {"fg": "yellow"},
    "red": {"fg": "red"},
}  # fmt: skip
"""The styles of lines, as click has them."""


class OutputError(ProvisionerError):
    """Standard output did not take what was written."""


class Console:
    """The streams of one command; its messages are for people."""

    def __init__(self, stdin: TextIO, stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self._stdin = stdin
        self._environ = environ
        self._lost_messages = False
        self.lost_data = False
        """Whether something could not be written to standard output."""
        # Parents run in parallel; each line must be written whole.
        self._lock = threading.Lock()

    # ── Data ─────────────────────────────────────────────────────────────────

    def data(self, content: str) -> None:
        """Write ``content`` to standard output, in UTF-8 regardless of the locale."""
        self.exact(defused(content))

    def exact(self, content: str) -> None:
        """Write ``content`` unchanged, for a program to which every character matters."""

        def write() -> None:
            self.stdout.buffer.write(content.encode(errors="backslashreplace"))
            self.stdout.flush()

        self._put(write)

    def document(self, content: Mapping[str, Any]) -> None:
        """Write one JSON document to standard output."""
        from provisioner.render import documents  # only needed for JSON

        self.data(documents.text(content))

    def lines(self, these: Iterable[Line]) -> None:
        """Write lines to standard output, coloured on a terminal."""
        self._put(lambda: self._write(self.stdout, these))

    def _put(self, write: Callable[[], None]) -> None:
        if self.lost_data:
            return
        try:
            write()
        except OSError as error:
            self.lose(error)

    def lose(self, error: OSError) -> None:
        """Discard everything else for standard output, and report ``error`` unless the reader just went away."""
        self.lost_data = True
        _discard(self.stdout)
        if not isinstance(error, BrokenPipeError):
            reason = "it is closed" if error.errno == errno.EBADF else error.strerror
            self.failure(
                OutputError(
                    f"Standard output cannot be written: {reason}.",
                    hint="What the command did is done; `provisioner status` shows what the state holds.",
                )
            )

    def _write(self, stream: TextIO, these: Iterable[Line]) -> None:
        """Write lines without any terminal control sequences but for their colours."""
        if (width := _width(stream)) is not None:
            these = _wrapped(these, width)
        coloured = self.is_coloured(stream)
        texts = ((_safe(line.text), line.style if coloured else "") for line in these)
        stream.write("".join(f"{click.style(text, **_STYLES[style]) if style else text}\n" for text, style in texts))
        stream.flush()

    def is_coloured(self, stream: TextIO) -> bool:
        """Return whether ``stream`` is a terminal that may be coloured; NO_COLOR is respected."""
        plain = self._environ.get("NO_COLOR") or self._environ.get("TERM") in {"dumb", "unknown"}
        return stream.isatty() and not plain

    def view(self, stream: TextIO, *, compact: bool | None = None) -> View:
        """Return the view of plans and reports for readers of ``stream``."""
        from provisioner.render.words import View  # only needed for a plan or a report

        return View(private=stream.isatty(), compact=compact)

    # ── Questions ────────────────────────────────────────────────────────────

    @property
    def is_interactive(self) -> bool:
        """Whether there is a person to ask."""
        return self._stdin.isatty() and self.stderr.isatty()

    def require_answer(self, *, yes: bool) -> None:
        """Raise CommandInvalid, before anything is done, if nobody could answer a question."""
        if not yes and not self.is_interactive:
            raise CommandInvalid("There is no terminal to ask for confirmation.", hint="Add --yes once you are sure.")

    def confirm(self, question: str, *, yes: bool) -> bool:
        """Return whether ``yes`` was given or a person says yes; raises CommandInvalid if there is no terminal."""
        self.require_answer(yes=yes)
        if yes:
            return True
        from provisioner.render.lines import Line  # most commands do not ask

        asked = _wrapped(map(Line, f"{_safe(question)}{_ANSWERS}".split("\n")), _width(self.stderr) or _USUAL_WIDTH)
        text = "\n".join(line.text for line in asked)
        return bool(click.prompt(text, "n", value_proc=_is_yes, prompt_suffix=" ", show_default=False, err=True))

    # ── Talk ─────────────────────────────────────────────────────────────────

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write whole lines to standard error, and ignore errors: a reader that goes away ends nothing."""
        with self._lock:
            try:
                yield
            except OSError:
                self._lost_messages = True
                with suppress(OSError):
                    _discard(self.stderr)

    def _written(self, text: str) -> bool:
        """Write ``text`` to standard error, and return whether that worked."""
        with self._writing():
            self.stderr.write(text)
            self.stderr.flush()
        return not self._lost_messages

    def talk(self, *these: Line | str) -> None:
        """Write messages while the command runs, coloured on a terminal."""
        from provisioner.render.lines import Line  # only needed for messages

        with self._writing():
            self._write(self.stderr, (each if isinstance(each, Line) else Line(each) for each in these))

    def warn(self, message: str) -> None:
        """Say what a person should know and no exit code says."""
        from provisioner.render.lines import CHANGED, Line  # only needed for messages

        self.talk(Line(f"warning: {message}", CHANGED))

    def problem(self, this: Problem) -> None:
        """Say what is wrong with a manifest, and where."""
        from provisioner.render import text  # most manifests have none

        self.talk(*text.problem(this))

    def failure(self, error: ProvisionerError, parent: str | None = None) -> None:
        """Say what ended the command, or what kept it from a parent, and what to do."""
        from provisioner.render import advice  # most commands do not fail

        self.talk(*advice.failure(error, "error: " if parent is None else f"error: {parent}: "))

    def failed(self, these: Mapping[str, ProvisionerError | None]) -> ExitCode:
        """Say what kept the command from some parents, and return the exit code."""
        found = {parent: error for parent, error in these.items() if error is not None}
        for parent, error in found.items():
            self.failure(error, parent)
        return gravest(error.exit_code for error in found.values())

    def endings(self, these: Sequence[Report], *, are_read: bool) -> None:
        """Say why work ended early, parent by parent, unless standard output says it to people."""
        from provisioner.render import report  # most commands report nothing

        if not are_read:
            self.talk(*report.endings(these))

    def event(self, level: str, event: Event, **fields: object) -> None:
        """Write what only a log holds; nothing for people."""

    def raw(self, text: str) -> None:
        """Write lines as they are, for example a traceback."""
        self._written(defused(text))

    def urgent(self, message: str) -> bytes:
        """Return the bytes that a signal handler may write to standard error directly."""
        return f"\n{message}\n".encode()

    def last_resort(self, line: str) -> bool:
        """Write a sealed outcome that could not be saved to disk, and return whether that worked."""
        return self._written(f"{line}\n")


class LogConsole(Console):
    """Writes for programs: standard error is one JSON object per line.

    Never writes a request's address, its content or its answer, except for the status: the
    address contains a login, and the rest contains secrets.
    """

    def talk(self, *these: Line | str) -> None:
        """Write an event for each line."""
        for each in these:
            text = each if isinstance(each, str) else each.text
            if text.strip():
                self.event(INFO, Event.MESSAGE, message=text.strip())

    def warn(self, message: str) -> None:
        """See :class:`Console`."""
        self.event(WARNING, Event.WARNING, message=message)

    def problem(self, this: Problem) -> None:
        """See :class:`Console`."""
        from provisioner.model.account import Severity  # most manifests have none
        from provisioner.render import documents

        level = {Severity.ERROR: ERROR, Severity.WARNING: WARNING}.get(this.severity, INFO)
        self.event(level, Event.PROBLEM, **documents.problem(this))

    def failure(self, error: ProvisionerError, parent: str | None = None) -> None:
        """See :class:`Console`."""
        from provisioner.render import documents  # most commands do not fail

        self.event(ERROR, Event.ERROR, parent=parent, **documents.error(error)["error"])

    def endings(self, these: Sequence[Report], *, are_read: bool) -> None:
        """Write an event for each parent, even if standard output shows it: a log is read on its own."""
        from provisioner.render import advice  # most commands report nothing

        del are_read
        for each in these:
            if each.failure is not None:
                self.failure(each.failure, each.parent)
            if (stop := each.stop) is not None:
                self.event(ERROR, Event.STOPPED, parent=each.parent, reason=stop.reason, hint=advice.hint(stop) or None)

    def event(self, level: str, event: Event, **fields: object) -> None:
        """Write one event, with those ``fields`` that are known.

        A reader that goes away ends nothing: between a request and the save of its answer,
        that would lose an account.
        """
        self._written(events.line(level, event, **fields))

    def raw(self, text: str) -> None:
        """Write an event for each line."""
        self.talk(*text.splitlines())

    def urgent(self, message: str) -> bytes:
        """See :class:`Console`."""
        return events.line(WARNING, Event.SIGNAL, message=message).encode()

    def last_resort(self, line: str) -> bool:
        """Write the outcome under its own key, so that ``recover`` finds it in a log."""
        # Only this key may contain the mark; everything else is written without it.
        named = events.line(ERROR, Event.RESCUE, **{MARK: json.loads(line.removeprefix(MARK))})
        return self._written(named.replace(f'"{defused(MARK)}": ', f'"{MARK}": ', 1))


def _is_yes(answer: str) -> bool:
    if (word := answer.strip().lower()) not in {"y", "yes", "n", "no"}:
        raise click.UsageError("Please answer y or n.")
    return word.startswith("y")


def _discard(stream: TextIO) -> None:
    """Keep Python from writing the rest again when the process ends, and from changing the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _width(stream: TextIO) -> int | None:
    """Return the width of ``stream`` in characters if it is a terminal, or None."""
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH


def _wrapped(these: Iterable[Line], width: int) -> Iterator[Line]:
    from provisioner.render.lines import wrapped  # only for a terminal

    return chain.from_iterable(wrapped(line, width) for line in these)


def _safe(text: str) -> str:
    """Return ``text`` without terminal control sequences and without the mark of a rescued line; it may have lines."""
    from provisioner.render.lines import printable  # only needed for messages

    return defused("\n".join(map(printable, text.split("\n"))))
