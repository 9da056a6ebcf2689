"""``provisioner refresh``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import ExitCode

if TYPE_CHECKING:
    from provisioner.model.shard import Shard


@click.command(cls=Command, short_help="Find what was changed at Octopush.")
@options.parents
@options.shard
@options.project("lock_timeout", *options.CONNECTION)
@options.output("text", "json")
@click.option("--detailed-exitcode", "detailed", is_flag=True, help="Exit with 2 if an account has drifted or is gone.")
@options.log_format
@options.jobs
@options.rate
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    parents: tuple[str, ...],
    shard: Shard | None,
    output: str,
    detailed: bool,
    jobs: int,
    rate: int,
) -> int:
    """Read every active account at Octopush, and compare it with what was sent.

    The result is saved in the state, so that the next plan shows it. Nothing is changed at
    Octopush. Needs the parents' credentials and an identity. Exits with 7 if an account could
    not be checked.
    """
    from provisioner.cli.progress import reporter_for
    from provisioner.cli.watched import show
    from provisioner.model.report import Result

    project = choice.open(context)
    reporter = reporter_for(context.console, len(project.settings.parents))
    with reporter:
        reports = project.refresh(parents=parents, shard=shard, jobs=jobs, rate=rate, reporter=reporter)
    reports.require_any()
    show(context.console, reports, output)
    results = {outcome.result for report in reports.reports for outcome in report.outcomes}
    if reports.exit_code is ExitCode.DONE and detailed and results & {Result.DRIFTED, Result.GONE}:
        return ExitCode.CHANGES_PENDING
    return reports.exit_code
