"""``provisioner reconcile``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from provisioner.cli import options
from provisioner.cli.context import Context

if TYPE_CHECKING:
    from provisioner.cli.reporter import ConsoleReporter
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project


@options.command(
    "Apply on a schedule, unattended.",
    examples=[
        ("provisioner reconcile --max-creates 5", "Apply manifests/, unless it creates more than 5 accounts."),
        ("provisioner reconcile --page status.html", "Also write a page about all parents."),
    ],
)
def command(
    *,
    manifests: options.Manifests,
    parents: options.Parents,
    shard: options.Shards,
    context: Annotated[
        Context, options.settings("max_creates", "max_updates", "limit", "reserved", *options.APPLICATION)
    ],
    output: options.LoggedOutput,
    report: options.Report,
    page: Annotated[
        Path | None, "Write a page about all parents to FILE, for people: HTML, or Markdown if FILE ends in .md."
    ],
    new_state: options.NewState,
    jobs: options.Jobs,
    cluster: options.Cluster,
    rate: options.ApplyRate,
) -> int:
    """Make Octopush match the manifests, unattended: for a scheduler.

    Looks for drift if there is an identity, plans, and applies, without asking. Over a
    threshold, or if a create looks like a renamed or moved account, it does nothing and exits with 4.
    If nothing is new, it only reads, and writes no state. Needs the parents' credentials and
    the recipients to seal to.
    """
    from provisioner.cli.applying import Work
    from provisioner.project.bounds import Bounds
    from provisioner.project.pages import PageRequest

    wanted = None if page is None else PageRequest(page, parents, shard, jobs)
    work = Work(
        context, output, report,
        manifests=manifests, parents=parents, shard=shard, jobs=jobs, cluster=cluster, rate=rate, page=wanted,
    )  # fmt: skip

    def plan(project: "Project", reporter: "ConsoleReporter") -> "Plans":
        looks = project.has_identity
        if not looks:
            reporter.warning("there is no identity, so no account is compared with Octopush or changed.")
        return project.plan(
            manifests, parents=parents, shard=shard, refresh=looks, wait=True, jobs=jobs, rate=rate, reporter=reporter
        )

    def bounds(project: "Project") -> Bounds:
        most = project.settings
        return Bounds(max_creates=most.max_creates, max_updates=most.max_updates, new_state=new_state, lookalikes=False)

    return work.run(plan, bounds, lambda _, __: True)
