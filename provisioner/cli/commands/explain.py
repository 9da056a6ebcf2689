"""``provisioner explain``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from provisioner.cli import options
from provisioner.cli.options import Context
from provisioner.errors import MEANINGS, CommandInvalid, ExitCode, ProvisionerError

if TYPE_CHECKING:
    from provisioner.cli.console import Console


@click.command(short_help="Say what an exit code, an error or a code of Octopush means.")
@click.argument("what", metavar="CODE|ERROR")
@options.pass_context
def command(context: Context, *, what: str) -> int:
    """Say what an exit code, an error's name, or a code in an answer of Octopush means, and what to do about it."""
    from provisioner.document import nearest
    from provisioner.model.codes import CODES

    console = context.console
    kinds = {kind.__name__.lower(): kind for kind in _kinds(ProvisionerError)}
    number = int(what) if re.fullmatch("[0-9]{1,9}", what) else -1
    if number in set(ExitCode):
        _explain(console, ExitCode(number), f"Exit code {number}")
    elif number in CODES:
        code = CODES[number]
        console.data(f"Octopush's code {number}: {code.meaning}.\n{code.source.value}\n{code.todo}\n")
    elif (kind := kinds.get(what.lower())) is not None:
        console.data(f"{kind.__name__}: {inspect.getdoc(kind)}\n")
        _explain(console, kind.exit_code, f"It ends the command with exit code {int(kind.exit_code)}")
    else:
        near = nearest(what, list(kinds))
        known = sorted(kind.__name__ for kind in kinds.values()) if number < 0 else map(str, CODES)
        named = f"Known {'errors' if number < 0 else 'codes of Octopush'}: {', '.join(known)}."
        raise CommandInvalid(
            f"{what} is not an exit code, an error of this program, or a code of Octopush whose meaning is known.",
            hint=f"Did you mean {kinds[near].__name__}?" if near else named,
        )
    return ExitCode.DONE


def _explain(console: Console, code: ExitCode, subject: str) -> None:
    meaning, todo = MEANINGS[code]
    console.data(f"{subject}: {meaning}.\n" + (f"{todo}\n" if todo else ""))


def _kinds(kind: type[ProvisionerError]) -> Iterator[type[ProvisionerError]]:
    """Yield every error below ``kind`` that a command may print."""
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
