"""``provisioner unlock``."""

from __future__ import annotations

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import ExitCode


@click.command(
    cls=Command,
    short_help="End the hold of a run that has died.",
    examples=[
        ("provisioner unlock 6f1c0e8a", "End the hold that the error about the lock names."),
    ],
)
@click.argument("lease")
@options.parents
@options.project()
@options.pass_context
def command(context: Context, *, choice: Choice, lease: str, parents: tuple[str, ...]) -> int:
    """End the hold of a run that has died on another machine, before it ends by itself.

    LEASE is the id that the message about the locked state shows. A run that is still at
    work loses nothing: what decides is whether its next save still follows the last one.
    """
    ended = choice.open(context).unlock(lease, parents=parents)
    context.console.talk(f"The hold of {ended.holder} has ended.")
    return ExitCode.DONE
