"""What a command says: data to standard output, talk to standard error.

Owns printing, colour and the progress of a run. rich is imported only where
there is a terminal to colour.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, Self, TextIO

from provisioner.errors import ProvisionerError
from provisioner.model import Outcome, Result
from provisioner.render import documents, text
from provisioner.render.text import Line


def data(content: str) -> None:
    """Write ``content`` to standard output as it is."""
    sys.stdout.write(content)
    sys.stdout.flush()


def document(content: dict[str, Any]) -> None:
    """Write one JSON document to standard output."""
    data(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def lines(these: Iterable[Line]) -> None:
    """Write lines to standard output, coloured on a terminal."""
    _write(sys.stdout, these)


def talk(*these: Line | str) -> None:
    """Write lines to standard error, coloured on a terminal.

    A reader that went away does not end the command: what it does matters more than what it says.
    """
    with suppress(OSError):
        _write(sys.stderr, (each if isinstance(each, Line) else Line(each) for each in these))


def warn(message: str) -> None:
    """Say on standard error what a person should know and no exit code tells."""
    talk(Line(f"warning: {message}", text.CHANGED))


def failure(error: ProvisionerError) -> None:
    """Say on standard error what ended the command, and what to do."""
    talk(Line(f"error: {text.printable(error.message)}", text.BAD))
    if error.hint:
        talk(f"  {text.printable(error.hint)}")


def failure_document(error: ProvisionerError) -> None:
    """Write the JSON document of a failure."""
    document(documents.error(error))


def stderr() -> TextIO:
    """Return standard error, for what must be said whatever happens."""
    return sys.stderr


def is_interactive() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def coloured(stream: TextIO) -> bool:
    """Tell whether ``stream`` is a terminal that may be coloured; NO_COLOR is respected."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _write(stream: TextIO, these: Iterable[Line]) -> None:
    if not coloured(stream):
        stream.write("".join(f"{line.text}\n" for line in these))
        stream.flush()
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, soft_wrap=True)
    for line in these:
        console.print(Text(line.text, style=line.style))


# The results of accounts about which something was done; the others are in the report alone.
_DONE: Final = frozenset({Result.CREATED, Result.UPDATED, Result.FAILED, Result.UNKNOWN})


class PlainProgress:
    """One line for each account that something was done about, as it is done."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def started(self, name: str) -> None:
        """Say nothing: the line comes with the outcome."""

    def finished(self, outcome: Outcome) -> None:
        """Print the account's line."""
        if outcome.result in _DONE:
            self._done += 1
            line = text.outcome(outcome)
            talk(Line(f"[{self._done}/{self._total}] {line.text}", line.style))


class BarProgress:
    """A bar for the whole run, and above it a line for each account that went wrong."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, highlight=False, no_color=not coloured(sys.stderr))
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

    def started(self, name: str) -> None:
        """Name the account that the run is at."""
        with suppress(OSError):  # the terminal may be gone; the run goes on
            self._bar.update(self._task, description=text.printable(name))

    def finished(self, outcome: Outcome) -> None:
        """Move the bar on."""
        from rich.text import Text

        if outcome.result not in _DONE:
            return
        with suppress(OSError):
            self._bar.advance(self._task)
            if outcome.result is not Result.CREATED or outcome.reason:
                line = text.outcome(outcome)
                self._bar.console.print(Text(line.text, style=line.style))


def progress(total: int) -> PlainProgress | BarProgress:
    """Return the progress fit for standard error: a bar on a terminal, lines elsewhere."""
    return BarProgress(total) if sys.stderr.isatty() else PlainProgress(total)
