"""``provisioner rotate-password``."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.cli import options
from provisioner.cli.options import Choice, Context


@click.command("rotate-password", short_help="Give an account a new password.")
@click.argument("name")
@options.manifests
@options.parents
@options.project("encoding", "lock_timeout", *options.CONNECTION)
@options.output("text", "json")
@options.yes
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    name: str,
    manifests: tuple[Path, ...],
    parents: tuple[str, ...],
    output: str,
    yes: bool,
) -> int:
    """Give an account a new password: the manifest's if it gives one, else a generated one.

    The account is sent as it was last sent, with the password alone changed. Needs
    the credentials of the parent and an identity.
    """
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.progress import reporter
    from provisioner.cli.questions import about
    from provisioner.cli.watched import show

    console = context.console
    console.require_answer(yes=yes)
    project = choice.open(context)
    with Interrupt(console.urgent) as interrupt, reporter(console) as hears:

        def confirm() -> bool:
            agreed = yes or console.confirm(about(project, name, parents, f"Set a new password for {name}?"), yes=False)
            interrupt.arm()
            return agreed

        reports = project.rotate_password(
            name, manifests, parents=parents, confirm=confirm, reporter=hears, cancel=interrupt
        )
    show(console, reports, output)
    return reports.exit_code
