"""What a command says: data to standard output, talk to standard error.

Owns printing and colour. rich is imported only where there is a terminal to colour.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import click

from provisioner.errors import CommandInvalid, ProvisionerError
from provisioner.model.account import Problem, Severity
from provisioner.render import documents
from provisioner.render.lines import BAD, CHANGED, Line, printable

if TYPE_CHECKING:
    from provisioner.cli.logs import JsonLines
    from provisioner.model.report import Report

# What Python makes of a byte in a file's name that is not UTF-8; no JSON may hold it. It is
# compiled only for JSON, as that takes its time.
_SURROGATE: Final = "[\ud800-\udfff]"
_BYTES: Final = 0xDC00


def data(content: str) -> None:
    """Write ``content`` to standard output as it is, in UTF-8 whatever the locale; raises OutputError."""
    with _writing():
        sys.stdout.buffer.write(content.encode(errors="backslashreplace"))
        sys.stdout.flush()


def document(content: dict[str, Any]) -> None:
    """Write one JSON document to standard output."""
    data(re.sub(_SURROGATE, _escaped, json.dumps(content, indent=2, ensure_ascii=False)) + "\n")


def _escaped(surrogate: re.Match[str]) -> str:
    r"""Return what stands for a byte in a file's name that is not UTF-8 as four characters, ``\xff``."""
    code = ord(surrogate.group())
    return rf"\\x{code - _BYTES:02x}" if code - _BYTES in range(0x80, 0x100) else rf"\\u{code:04x}"


def reports(these: Sequence[Report], output: str) -> None:
    """Write what a command did, as text or as JSON; of the latter, why it ended early is talk."""
    from provisioner.render import report as faces

    if output == "json":
        document(documents.reports(these))
        talk(*faces.endings(these))
    else:
        for each in these:
            lines(faces.text(each))


def lines(these: Iterable[Line]) -> None:
    """Write lines to standard output, coloured on a terminal; raises OutputError."""
    with _writing():
        _write(sys.stdout, these)


def talk(*these: Line | str) -> None:
    """Write lines to standard error, coloured on a terminal.

    A reader that went away does not end the command: what it does matters more than what it says.
    """
    with suppress(OSError):
        _write(sys.stderr, (each if isinstance(each, Line) else Line(each) for each in these))


def warn(message: str) -> None:
    """Say on standard error what a person should know and no exit code tells."""
    if (stream := log()) is not None:
        stream.event("warning", "warning", message=message)
        return
    talk(Line(f"warning: {message}", CHANGED))


def problem(this: Problem) -> None:
    """Say on standard error what is wrong with a manifest, and where."""
    if (stream := log()) is not None:
        level = {Severity.ERROR: "error", Severity.WARNING: "warning"}.get(this.severity, "info")
        stream.event(level, "problem", **documents.problem(this))
        return
    from provisioner.render import text

    talk(*text.problem(this))


def failure(error: ProvisionerError) -> None:
    """Say on standard error what ended the command, and what to do."""
    if (stream := log()) is not None:
        stream.event("error", "error", **documents.error(error)["error"])
        return
    first, *more = error.message.splitlines() or [""]
    talk(Line(f"error: {printable(first)}", BAD), *(Line(f"  {printable(line)}", BAD) for line in more))
    talk(*(f"  {printable(line)}" for line in error.hint.splitlines()))


def failure_document(error: ProvisionerError) -> None:
    """Write the JSON document of a failure."""
    document(documents.error(error))


def log_as_json() -> None:
    """Make standard error a log for programs, from here to the end of the process: one JSON object per line."""
    from provisioner.cli.logs import JsonLines

    if log() is None:
        sys.stderr = cast("TextIO", JsonLines(sys.stderr))


def log() -> JsonLines | None:
    """Return standard error where it is a log for programs."""
    # Only log_as_json loads what it would be an instance of.
    return cast("JsonLines", sys.stderr) if hasattr(sys.stderr, "event") else None


def event(name: str, **fields: object) -> None:
    """Tell a log for programs what a person sees by other means."""
    if (stream := log()) is not None:
        stream.event("info", name, **fields)


def urgent(message: str) -> bytes:
    """Return what a signal's handler may write to standard error by itself, in the form that it has."""
    if log() is None:
        return f"\n{message}\n".encode()
    from provisioner.cli.logs import encoded

    return encoded("warning", "signal", message=message).encode()


def stderr() -> TextIO:
    """Return standard error, for what must be said whatever happens."""
    return sys.stderr


def is_interactive() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def require_answer(*, yes: bool) -> None:
    """Refuse, before anything is done, a question that nobody could answer; raises CommandInvalid."""
    if not yes and not is_interactive():
        raise CommandInvalid("There is no terminal to ask on.", hint="Add --yes once you are sure.")


def confirm(question: str, *, yes: bool) -> None:
    """Return once a person has said yes; raises CommandInvalid where there is no terminal, and Abort for a no."""
    require_answer(yes=yes)
    if not yes:
        click.confirm(question, abort=True, err=True)


def coloured(stream: TextIO) -> bool:
    """Tell whether ``stream`` is a terminal that may be coloured; NO_COLOR is respected."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class OutputError(ProvisionerError):
    """Standard output did not take what was written."""


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        # What did not fit must not be tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(
            f"Standard output cannot be written: {error.strerror}.",
            hint="What the command did is done all the same; `provisioner status` shows it.",
        ) from error


def _write(stream: TextIO, these: Iterable[Line]) -> None:
    if not coloured(stream):
        stream.write("".join(f"{line.text}\n" for line in these))
        stream.flush()
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    for line in these:
        console.print(Text(line.text, style=line.style))
