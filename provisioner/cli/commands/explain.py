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


_WORDS: Final = {
    "pending": (
        "a create that is in flight just now, or whose run died; the next apply makes it an unknown.",
        "Look at `provisioner status`: it says which run began it, and when.",
        "$ provisioner status",
    ),
    "unknown": (
        (
            "a create was sent, and nobody knows whether Octopush made the account. It keeps its slot, and is not"
            " retried automatically."
        ),
        "Do not create it by hand. Look for it in Octopush's dashboard, by its first and last name.",
        "$ provisioner adopt paris LOGIN            it is there: its login is in the dashboard",
        "$ provisioner resolve paris --not-created  it is not there: its slot is free again",
        "$ provisioner resolve paris --abandon      nobody can find out: it keeps its slot",
    ),
    "abandoned": (
        "an unknown that a person gave up. It keeps its slot, and its name is not used again.",
        "To have it created, give it another name in the manifest. If it turns out not to exist, free its slot.",
        "$ provisioner forget paris --force",
    ),
    "gone": (
        "Octopush no longer knows the account's login. It keeps its slot, and every apply exits with 7.",
        (
            "Look for it in Octopush's dashboard. If it was deleted, take it out of the manifest and free its slot; if"
            " it is there after all, look again."
        ),
        "$ provisioner forget paris",
        "$ provisioner refresh",
    ),
    "drift": (
        "Octopush holds something else than was sent: somebody changed it, or Octopush made something else of it.",
        (
            "Look at both values. The next apply changes back what somebody changed. To keep it instead, write it into"
            " the manifest."
        ),
        "$ provisioner plan --refresh",
    ),
    "unmanaged": (
        "the state has the account, and no manifest names it. It is left alone.",
        "Write it into a manifest again, or delete it in Octopush's dashboard and free its slot.",
        "$ provisioner forget paris",
    ),
    "unchecked": (
        "the account was to be compared with Octopush, and could not be. Nothing new is known of it.",
        "Read the reason that stands with it, put it right, and look again.",
        "$ provisioner refresh",
    ),
}
"""Of each word of a plan, a status or a report that asks a person for something: what it means, what to do, and how."""


def _known() -> Iterator[str]:
    """Yield what can be explained, but for the codes of Octopush: nobody types one that was not shown."""
    yield from _WORDS
    yield from (kind.__name__ for kind in _kinds(ProvisionerError))
    yield from (str(int(code)) for code in ExitCode)


@click.command(
    cls=Command,
    short_help="Say what an exit code, an error, a status or a code of Octopush means.",
    examples=[
        ("provisioner explain 8", "What exit code 8 means."),
        ("provisioner explain unknown", "What the status unknown means."),
    ],
)
@click.argument("what", metavar="CODE|ERROR|STATUS", shell_complete=completion.words(_known))
@options.pass_context
def command(context: Context, *, what: str) -> int:
    """Say what an exit code, an error's name, a status, or a code of Octopush means, and what to do about it.

    A status is a word such as unknown, gone, abandoned or pending.
    """
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
    elif what.lower() in _WORDS:
        meaning, *todo = _WORDS[what.lower()]
        console.data("\n".join((f"{what.lower()}: {meaning}", *todo, "")))
    elif (kind := kinds.get(what.lower())) is not None:
        console.data(f"{kind.__name__}: {inspect.getdoc(kind)}\n")
        _explain(console, kind.exit_code, f"It ends the command with exit code {int(kind.exit_code)}")
    else:
        near = nearest(
            what.lower(),
            [*kinds, *_WORDS],
        )
        known = sorted(kind.__name__ for kind in kinds.values()) if number < 0 else map(str, CODES)
        named = f"Known {'errors' if number < 0 else 'codes of Octopush'}: {', '.join(known)}."
        named += "" if number >= 0 else f" Known statuses: {', '.join(_WORDS)}."
        raise CommandInvalid(
            f"{what} is not an exit code, an error or a status of this program, or a code of Octopush whose meaning is"
            " known.",
            hint=f"Did you mean {kinds[near].__name__ if near in kinds else near}?" if near else named,
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
