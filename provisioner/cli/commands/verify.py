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
    short_help="Check that the credentials work.",
    examples=[
        ("provisioner verify", "Check all accounts."),
        ("provisioner verify paris rome", "Check two accounts."),
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
    """Open all credentials, or those named, and compare them with the state and with Octopush.

    Reports credentials that no longer work, and any that somebody has replaced, moved, restored
    or copied, and then exits with 7. It proves that the key belongs to the login at Octopush;
    nothing can prove a password. Needs the parents' credentials and an identity. Changes nothing.
    """
    from provisioner.cli.progress import reporter_for
    from provisioner.cli.watched import show

    project = choice.open(context)
    reporter = reporter_for(context.console, len(project.settings.parents))
    with reporter:
        reports = project.verify(names, parents=parents, shard=shard, jobs=jobs, rate=rate, reporter=reporter)
    reports.require_any()
    show(context.console, reports, output)
    return reports.exit_code
