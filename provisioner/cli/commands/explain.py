"""``provisioner explain``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Context
from provisioner.errors import MEANINGS, CommandInvalid, ExitCode, ProvisionerError

if TYPE_CHECKING:
    from provisioner.cli.console import Console


_TERMS: Final = {
    "pending": (
        "a create that is in flight now, or whose run has died; the next apply marks it as unknown.",
        "Look at `provisioner status`: it shows which run started it, and when.",
        "$ provisioner status",
    ),
    "unknown": (
        (
            "a create was sent, and nobody knows whether Octopush created the account. It keeps its slot, and is not"
            " retried automatically."
        ),
        "Do not create it by hand. Look for it in Octopush's dashboard, by its first and last name.",
        "$ provisioner adopt paris LOGIN            it exists: the dashboard shows its login",
        "$ provisioner resolve paris --not-created  it does not exist: its slot is free again",
        "$ provisioner resolve paris --abandon      nobody can find out: it keeps its slot",
    ),
    "abandoned": (
        "an unknown that nobody could resolve. It keeps its slot, and its name is not used again.",
        "To create it, give it another name in the manifest. If it turns out not to exist, free its slot.",
        "$ provisioner forget paris --force",
    ),
    "gone": (
        "Octopush no longer knows the account's login. It keeps its slot, and every apply exits with 7.",
        (
            "Look for it in Octopush's dashboard. If it was deleted, remove it from the manifest and free its slot. If"
            " it still exists, refresh."
        ),
        "$ provisioner forget paris",
        "$ provisioner refresh",
    ),
    "drift": (
        "Octopush has another value than was sent: somebody changed it, or Octopush stored it differently.",
        (
            "Look at both values. The next apply changes back what somebody changed. To keep the new value instead,"
            " write it into the manifest."
        ),
        "$ provisioner plan --refresh",
    ),
    "unmanaged": (
        "the state has the account, but no manifest names it. It is not changed.",
        "Add it to a manifest again, or delete it in Octopush's dashboard and free its slot.",
        "$ provisioner forget paris",
    ),
    "unchecked": (
        "the account could not be compared with Octopush. Nothing new is known about it.",
        "Read the reason next to it, fix the cause, and refresh.",
        "$ provisioner refresh",
    ),
}
"""For each word in a plan, a status or a report that requires action: its meaning, what to do, and the commands."""


def _known() -> Iterator[str]:
    """Yield everything that can be explained, except Octopush's codes, which people copy from a message."""
    yield from _TERMS
    yield from (kind.__name__ for kind in _kinds(ProvisionerError))
    yield from (str(int(code)) for code in ExitCode)


@click.command(
    cls=Command,
    short_help="Explain an exit code, an error, a status or an Octopush code.",
    examples=[
        ("provisioner explain 8", "Explain exit code 8."),
        ("provisioner explain unknown", "Explain the status unknown."),
    ],
)
@click.argument("what", metavar="CODE|ERROR|STATUS", shell_complete=completion.words(_known))
@options.pass_context
def command(context: Context, *, what: str) -> int:
    """Explain an exit code, an error's name, a status or an Octopush code, and what to do about it.

    A status is a word such as unknown, gone, abandoned or pending.
    """
    from provisioner.document import nearest
    from provisioner.model.codes import CODES
    from provisioner.render.lines import Line

    console = context.console
    kinds = {kind.__name__.lower(): kind for kind in _kinds(ProvisionerError)}
    number = int(what) if re.fullmatch("[0-9]{1,9}", what) else -1
    if number in set(ExitCode):
        _explain(console, ExitCode(number), f"Exit code {number}")
    elif number in CODES:
        code = CODES[number]
        console.lines(map(Line, (f"Octopush's code {number}: {code.meaning}.", code.source.value, code.todo)))
    elif what.lower() in _TERMS:
        meaning, *todo = _TERMS[what.lower()]
        console.lines(map(Line, (f"{what.lower()}: {meaning}", *todo)))
    elif (kind := kinds.get(what.lower())) is not None:
        console.lines(map(Line, f"{kind.__name__}: {inspect.getdoc(kind)}".splitlines()))
        _explain(console, kind.exit_code, f"It ends the command with exit code {int(kind.exit_code)}")
    else:
        near = nearest(
            what.lower(),
            [*kinds, *_TERMS],
        )
        known = sorted(kind.__name__ for kind in kinds.values()) if number < 0 else map(str, CODES)
        named = f"Known {'errors' if number < 0 else 'Octopush codes'}: {', '.join(known)}."
        named += "" if number >= 0 else f" Known statuses: {', '.join(_TERMS)}."
        raise CommandInvalid(
            f"{what} is not an exit code, an error or a status of this program, nor a known Octopush code.",
            hint=f"Did you mean {kinds[near].__name__ if near in kinds else near}?" if near else named,
        )
    return ExitCode.DONE


def _explain(console: Console, code: ExitCode, subject: str) -> None:
    from provisioner.render.lines import Line

    meaning, todo = MEANINGS[code]
    console.lines(map(Line, (f"{subject}: {meaning}.", *todo.splitlines())))


def _kinds(kind: type[ProvisionerError]) -> Iterator[type[ProvisionerError]]:
    """Yield every subclass of ``kind``; a command may print any of them."""
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
