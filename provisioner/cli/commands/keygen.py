"""``provisioner keygen``."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Context
from provisioner.errors import ExitCode


@click.command(cls=Command, short_help="Create an age identity.")
@click.option(
    "-o", "--out", type=options.FILE, metavar="FILE", help="Where to write it [default: your configuration folder]."
)
@options.pass_context
def command(context: Context, *, out: Path | None) -> int:
    """Create an age identity (0600) and print its recipient."""
    from provisioner.project import identity
    from provisioner.project.folders import Folders

    path = out or Folders.of_user().identity
    recipient = identity.keygen(path)
    context.console.talk(f"The identity is in {path}. Keep it secret, and keep a copy. Its recipient:")
    context.console.data(f"{recipient}\n")
    return ExitCode.DONE
