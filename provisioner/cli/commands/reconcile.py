"""``provisioner reconcile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context

if TYPE_CHECKING:
    from provisioner.cli.reporters import ConsoleReporter
    from provisioner.model.shard import Shard
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports


@click.command(
    cls=Command,
    short_help="Apply on a schedule, unattended.",
    examples=[
        ("provisioner reconcile --max-creates 5", "Apply manifests/, unless it creates more than 5 accounts."),
        ("provisioner reconcile --page status.html", "Also write a page about all parents."),
    ],
)
@options.manifests
@options.parents
@options.shard
@options.project(
    "max_creates", "max_updates", "limit", "reserved", "encoding", *options.CONNECTION, *options.CREATION,
    "lock_timeout", "metrics_file", "heartbeat_url",
)  # fmt: skip
@options.output("text", "json")
@options.log_format
@options.report
@click.option(
    "--page",
    type=options.FILE,
    metavar="FILE",
    help="Write a page about all parents to FILE, for people: HTML, or Markdown if FILE ends in .md.",
)
@options.new_state
@options.jobs
@options.cluster
@options.apply_rate
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    manifests: tuple[Path, ...],
    parents: tuple[str, ...],
    shard: Shard | None,
    output: str,
    report: Path | None,
    page: Path | None,
    new_state: bool,
    jobs: int,
    cluster: str | None,
    rate: int | None,
) -> int:
    """Make Octopush match the manifests, unattended: for a scheduler.

    Looks for drift if there is an identity, plans, and applies, without asking. Over a
    threshold, or if a create looks like a renamed or moved account, it does nothing and exits with 4.
    If nothing is new, it only reads, and writes no state. Needs the parents' credentials and
    the recipients to seal to.
    """
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.watched import watched
    from provisioner.project.bounds import Bounds
    from provisioner.project.pages import PageRequest

    def run(project: Project, reporter: ConsoleReporter) -> Reports:
        looks = project.has_identity
        if not looks:
            reporter.warning("there is no identity, so no account is compared with Octopush or changed.")
        plans = project.plan(
            manifests, parents=parents, shard=shard, refresh=looks, wait=True, jobs=jobs, rate=rate, reporter=reporter
        )
        settings = project.settings
        bounds = Bounds(
            max_creates=settings.max_creates,
            max_updates=settings.max_updates,
            new_state=new_state,
            lookalikes=False,
        )
        with (
            options.cluster_at(cluster, choice) as workers,
            Interrupt(context.console.urgent) as interrupt,
        ):

            def approve(_: Plans) -> bool:
                interrupt.arm()
                return True

            return project.apply(
                plans,
                approve=approve,
                bounds=bounds,
                jobs=jobs,
                cluster=workers,
                rate=rate,
                reporter=reporter,
                cancel=interrupt,
            )

    wanted = None if page is None else PageRequest(page, parents, shard, jobs)
    return watched(
        context,
        choice,
        run,
        manifests=manifests,
        parents=parents,
        shard=shard,
        output=output,
        report=report,
        page=wanted,
    )
