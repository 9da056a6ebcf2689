"""``provisioner verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context

if TYPE_CHECKING:
    from provisioner.model.shard import Shard


@click.command(
    cls=Command,
    short_help="Prove that the credentials are good.",
    examples=[
        ("provisioner verify", "Check all accounts."),
        ("provisioner verify paris rome", "Check two."),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.accounts("active"))
@options.parents
@options.shard
@options.project(*options.CONNECTION)
@options.output("text", "json")
@options.log_format
@options.jobs
@options.rate
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    names: tuple[str, ...],
    parents: tuple[str, ...],
    shard: Shard | None,
    output: str,
    jobs: int,
    rate: int,
) -> int:
    """Open every credential, or those named, and compare it with its record and with Octopush.

    Names each one that is dead, or that somebody replaced, moved, put back or copied, and
    exits with 7. It proves that Octopush has the key for the login; nothing can prove a
    password. Needs the parents' credentials and an identity; changes nothing.
    """
    from provisioner.cli.progress import reporter
    from provisioner.cli.watched import show

    project = choice.open(context)
    hears = reporter(context.console, len(project.settings.parents))
    with hears:
        reports = project.verify(names, parents=parents, shard=shard, jobs=jobs, rate=rate, reporter=hears)
    reports.require_any()
    show(context.console, reports, output)
    return reports.exit_code
