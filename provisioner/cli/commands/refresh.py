"""``provisioner refresh``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import ExitCode


@options.command("Find what was changed at Octopush.")
def command(
    *,
    parents: options.Parents,
    shard: options.Shards,
    context: Annotated[Context, options.settings("lock_timeout", *options.CONNECTION)],
    output: options.LoggedOutput,
    detailed: Annotated[
        bool, options.option("Exit with 2 if an account has drifted or is gone.", "--detailed-exitcode")
    ],
    jobs: options.Jobs,
    rate: options.Rate,
) -> int:
    """Read every active account at Octopush, and compare it with what was sent.

    The result is saved in the state, so that the next plan shows it. Nothing is changed at
    Octopush. Needs the parents' credentials and an identity. Exits with 7 if an account could
    not be checked.
    """
    from provisioner.model.report import Result

    project = context.open()
    with context.reporter(project) as reporter:
        reports = project.refresh(parents=parents, shard=shard, jobs=jobs, rate=rate, reporter=reporter)
    reports.require_any()
    code = context.show(reports, output)
    results = {outcome.result for report in reports.reports for outcome in report.outcomes}
    changed = detailed and results & {Result.DRIFTED, Result.GONE}
    return ExitCode.CHANGES_PENDING if code is ExitCode.DONE and changed else code
