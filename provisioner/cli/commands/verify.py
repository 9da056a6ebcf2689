"""``provisioner verify``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context


@options.command(
    "Check that the credentials work.",
    examples=[
        ("provisioner verify", "Check all accounts."),
        ("provisioner verify paris rome", "Check two accounts."),
    ],
)
def command(
    *,
    names: options.Names,
    parents: options.Parents,
    shard: options.Shards,
    context: Annotated[Context, options.settings(*options.CONNECTION)],
    output: options.LoggedOutput,
    jobs: options.Jobs,
    rate: options.Rate,
) -> int:
    """Open all credentials, or those named, and compare them with the state and with Octopush.

    Reports credentials that no longer work, and any that somebody has replaced, moved, restored
    or copied, and then exits with 7. It proves that the key belongs to the login at Octopush;
    nothing can prove a password. Needs the parents' credentials and an identity. Changes nothing.
    """
    project = context.open()
    with context.reporter(project) as reporter:
        reports = project.verify(names, parents=parents, shard=shard, jobs=jobs, rate=rate, reporter=reporter)
    reports.require_any()
    return context.show(reports, output)
