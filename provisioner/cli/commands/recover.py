"""``provisioner recover``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid, ExitCode

if TYPE_CHECKING:
    from provisioner.project.recovering import Accepted, Recovered

_STDIN: Final = "-"


@click.command(
    cls=Command,
    short_help="Put back what was rescued.",
    examples=[
        ("provisioner recover", "Put back what is in the .rescue file."),
        ("provisioner recover run.log", "Put back what a run had to print into its log."),
    ],
)
@click.argument("log", required=False, metavar="[LOG]", shell_complete=completion.files)
@options.parents
@options.project("lock_timeout")
@click.option("--only", metavar="NAME", help="Put back this account alone, as LOG last has it.")
@click.option("--accept-state", is_flag=True, help="Take the state as it stands, whatever this machine has seen.")
@options.yes
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    log: str | None,
    parents: tuple[str, ...],
    only: str | None,
    accept_state: bool,
    yes: bool,
) -> int:
    """Put back what was rescued when the state could not be saved.

    Without LOG, it is taken from the .rescue file next to the state. LOG is the log of a
    run (- is standard input) that had to print what it could save nowhere, sealed; or the
    .forgotten file next to the state, where `forget` keeps what it takes out.
    """
    from provisioner.cli.progress import reporter
    from provisioner.project.recovering import read_log
    from provisioner.render import status as texts

    console = context.console
    if only is not None and log is None:
        raise CommandInvalid("--only chooses from a log, and none is named.", hint="Name the file that holds it.")

    def approve(these: Sequence[Accepted]) -> bool:
        return console.confirm(
            f"Accept {' and '.join(map(_described, these))}, whatever this machine has seen before? Accounts that it"
            " does not know would be created again.",
            yes=yes,
        )

    project = choice.open(context)
    text, source = None, log or ""
    if log == _STDIN:
        source = "standard input"
        text = read_log(cast("BinaryIO", click.open_file(log, "rb")), source)
    elif log is not None:
        text = read_log(Path(log), source)
    recovered = project.recover(
        text,
        source,
        only=only,
        accept_state=accept_state,
        parents=parents,
        approve=approve,
        reporter=reporter(console),
    )
    for each in recovered:
        for name in each.names:
            console.talk(_put_back(name, each))
        if accept_state and each.after is None:
            console.talk(f"Accepted: there is no state at {each.address}. The next apply may begin a state here.")
        else:
            console.lines(texts.text(each.parent, each.after, each.address))
    if not recovered:
        console.talk("There is nothing to put back.")
    return ExitCode.DONE


def _described(this: Accepted) -> str:
    """Return what is about to be accepted."""
    from provisioner.render.lines import counted

    if this.state is None:
        return f"that there is no state at {this.address}"
    return f"{this.address} with serial {this.state.serial} and {counted(len(this.state.accounts), 'account')}"


def _put_back(name: str, this: Recovered) -> str:
    """Return what has become of an account that a rescued outcome was given for."""
    was, record = (None if state is None else state.accounts.get(name) for state in (this.before, this.after))
    if was == record:
        return f"There was nothing to put back of {name}: the state has its outcome, under this name or another."
    return f"{name} was not created: its slot is free." if record is None else f"{name} is back in the state."
