"""The commands that explain: ``explain``, ``schema`` and ``completion``. They need no project."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

import click  # noqa: TC002  # the grammar is loaded anyway
from click.shell_completion import get_completion_class

from provisioner import schemas
from provisioner.cli import terminal
from provisioner.cli.wiring import Options
from provisioner.document import nearest
from provisioner.errors import MEANINGS, CommandInvalid, ExitCode, ProvisionerError

_PROGRAM: Final = "provisioner"


def explain(options: Options) -> int:
    """Print what an exit code, or an error of that name, means and what to do."""
    what: str = options["what"]
    kinds = {kind.__name__.lower(): kind for kind in _kinds(ProvisionerError)}
    if what.isdecimal() and int(what) in set(ExitCode):
        _tell(ExitCode(int(what)), f"Exit code {what}")
    elif (kind := kinds.get(what.lower())) is not None:
        terminal.data(f"{kind.__name__}: {inspect.getdoc(kind)}\n")
        _tell(kind.exit_code, f"It ends the command with exit code {int(kind.exit_code)}")
    else:
        names = [kind.__name__ for kind in kinds.values()]
        near = nearest(what, list(kinds))
        raise CommandInvalid(
            f"{what} is no exit code and no error of this program.",
            hint=f"Did you mean {kinds[near].__name__}?" if near else f"Known errors: {', '.join(sorted(names))}.",
        )
    return ExitCode.DONE


def schema(options: Options) -> int:
    """Print one schema as it stands in its file."""
    terminal.data(schemas.text(f"{options['name']}.v1"))
    return ExitCode.DONE


def completion(commands: click.Command, options: Options) -> int:
    """Print what click makes for the shell."""
    kind = get_completion_class(options["shell"])
    assert kind is not None  # noqa: S101  # the grammar names those that click knows
    terminal.data(kind(commands, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE").source() + "\n")
    return ExitCode.DONE


def _tell(code: ExitCode, subject: str) -> None:
    meaning, todo = MEANINGS[code]
    terminal.data(f"{subject}: {meaning}.\n" + (f"{todo}\n" if todo else ""))


def _kinds(kind: type[ProvisionerError]) -> Iterator[type[ProvisionerError]]:
    """Yield every error below ``kind`` that a command may print."""
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
