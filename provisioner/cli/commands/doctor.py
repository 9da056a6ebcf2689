"""``provisioner doctor``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import gravest


@options.command("Check that everything is set up.")
def command(
    *,
    parents: options.Parents,
    context: Annotated[Context, options.settings(*options.CONNECTION)],
    output: options.Output,
    offline: Annotated[bool, "Do not check whether Octopush accepts the credentials."],
    jobs: options.Jobs,
) -> int:
    """Check settings, manifests, keys, states and credentials, before they are needed.

    Changes nothing. For a remote state, it checks whether a save would succeed, as far as that
    is possible without saving. It asks Octopush for the balance of each parent, to see whether
    login and key are accepted. The exit code is that of the most serious failure.
    """
    from provisioner.render import checks as texts

    project = context.open()
    checks = project.examine(parents=parents, offline=offline, jobs=jobs, reporter=context.reporter(project))
    these = [(each.parent, each.what, each.found, each.failure) for each in checks]
    if output == "json":
        context.console.document(texts.document(these))
    else:
        context.console.lines(texts.text(these))
    return gravest(each.failure.exit_code for each in checks if each.failure is not None)
