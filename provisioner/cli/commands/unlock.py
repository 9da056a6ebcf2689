"""``provisioner unlock``."""

from __future__ import annotations

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import ExitCode


@click.command(
    cls=Command,
    short_help="Release the lock of a run that has died.",
    examples=[
        ("provisioner unlock 6f1c0e8a", "Release the lock that the error message names."),
    ],
)
@click.argument("lease")
@options.parents
@options.project()
@options.pass_context
def command(context: Context, *, choice: Choice, lease: str, parents: tuple[str, ...]) -> int:
    """Release the lock of a run that has died on another machine, before the lock expires.

    LEASE is the id in the message about the locked state. This is safe even if the run is still
    at work: its next save succeeds only if it still follows the last one.
    """
    ended = choice.open(context).unlock(lease, parents=parents)
    context.console.talk(f"The lock of {ended.holder} is released.")
    return ExitCode.DONE
