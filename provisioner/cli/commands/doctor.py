"""``provisioner doctor``."""

from __future__ import annotations

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context


@click.command(cls=Command, short_help="Check that everything is set up.")
@options.parents
@options.project(*options.CONNECTION)
@options.output("text", "json")
@click.option("--offline", is_flag=True, help="Do not check whether Octopush accepts the credentials.")
@options.jobs
@options.pass_context
def command(
    context: Context, *, choice: Choice, parents: tuple[str, ...], output: str, offline: bool, jobs: int
) -> int:
    """Check settings, manifests, keys, states and credentials, before they are needed.

    Changes nothing. For a remote state, it checks whether a save would succeed, as far as that
    is possible without saving. It asks Octopush for the balance of each parent, to see whether
    login and key are accepted. The exit code is that of the most serious failure.
    """
    from provisioner.cli.progress import reporter_for
    from provisioner.errors import gravest
    from provisioner.render import checks as texts

    console = context.console
    checks = choice.open(context).examine(parents=parents, offline=offline, jobs=jobs, reporter=reporter_for(console))
    these = [(each.parent, each.what, each.found, each.failure) for each in checks]
    if output == "json":
        console.document(texts.document(these))
    else:
        console.lines(texts.text(these))
    return gravest(each.failure.exit_code for each in checks if each.failure is not None)
