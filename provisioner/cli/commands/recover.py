"""``provisioner recover``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid, gravest

if TYPE_CHECKING:
    from provisioner.project.recovering import Accepted, Recovered

_STDIN: Final = "-"


@click.command(
    cls=Command,
    short_help="Restore rescued outcomes.",
    examples=[
        ("provisioner recover", "Restore everything from the .rescue file."),
        ("provisioner recover run.log", "Restore what a run had to print into its log."),
    ],
)
@click.argument("log", required=False, metavar="[LOG]", shell_complete=completion.files)
@options.parents
@options.project("lock_timeout")
@click.option("--only", metavar="NAME", help="Restore only this account, from its last entry in LOG.")
@click.option(
    "--accept-state",
    is_flag=True,
    help="Accept the state as it is, even if this machine has seen a newer or another one.",
)
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
    """Restore what was rescued when the state could not be saved.

    Without LOG, it reads the .rescue file next to the state. LOG is the log of a run (- is
    standard input) that could save an outcome nowhere and printed it, sealed; or the .forgotten
    file next to the state, where `forget` keeps what it removes.
    """
    from provisioner.cli.progress import reporter_for
    from provisioner.project.recovering import read_log
    from provisioner.render import status as texts

    console = context.console
    if only is not None and log is None:
        raise CommandInvalid("--only needs a LOG to choose from.", hint="Name the file that contains the account.")

    def approve(these: Sequence[Accepted]) -> bool:
        return console.confirm(
            f"Accept {' and '.join(map(_described, these))}, even if this machine has seen a newer or another state?"
            " Accounts that it does not contain would be created again.",
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
        reporter=reporter_for(console),
    )
    for each in recovered:
        for name in each.names:
            console.talk(_put_back(name, each))
        if each.failure is not None:
            console.failure(each.failure, each.parent)
        elif accept_state and each.after is None:
            console.talk(f"Accepted: there is no state at {each.address}. The next apply may begin a state here.")
        else:
            console.lines(texts.text(each.parent, each.after, each.address))
    if not recovered:
        console.talk("There is nothing to restore.")
    return gravest(each.failure.exit_code for each in recovered if each.failure is not None)


def _described(this: Accepted) -> str:
    """Return a description of the state to accept."""
    from provisioner.render.lines import counted

    if this.state is None:
        return f"that there is no state at {this.address}"
    return f"{this.address} with serial {this.state.serial} and {counted(len(this.state.accounts), 'account')}"


def _put_back(name: str, this: Recovered) -> str:
    """Return the message about an account for which there was a rescued outcome."""
    was, record = (None if state is None else state.accounts.get(name) for state in (this.before, this.after))
    if was == record:
        return f"There was nothing to restore for {name}: the state has its outcome, perhaps under another name."
    return f"{name} was not created: its slot is free." if record is None else f"{name} is back in the state."
