"""``provisioner status``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import gravest


@options.command(
    "List the accounts of the state.",
    examples=[
        ("provisioner status", "List the accounts of all parents."),
        ("provisioner status --format html > status.html", "Make a page about all parents."),
    ],
)
def command(
    *,
    parents: options.Parents,
    shard: options.Shards,
    context: Annotated[Context, options.settings(*options.CONNECTION)],
    output: Annotated[str, options.formats("text", "markdown", "json", "html")],
    balances: Annotated[bool, "Also show each account's balance; this asks as that account, and needs an identity."],
    jobs: options.Jobs,
) -> int:
    """List the accounts in every parent's state, with their statuses.

    With --format html or markdown, print one page about all parents: what needs attention,
    what to do next, slots, and the last operations. Needs no secret and no network, except
    for --balances.
    """
    console = context.console
    project = context.open()
    with context.reporter(project) as reporter:
        statuses = project.status(parents=parents, shard=shard, balances=balances, jobs=jobs, reporter=reporter)
    failures = {each.parent: each.failure for each in statuses if each.failure is not None}
    if len(statuses) == 1 and failures and output in {"text", "json"}:
        raise failures[statuses[0].parent]
    match output:
        case "json":
            from provisioner.render import documents

            console.document(documents.states(statuses))
        case "markdown" | "html":
            from provisioner.project import pages

            console.data(pages.shown(project, statuses, markdown=output == "markdown"))
        case _:
            from provisioner.render import status as texts

            for each in statuses:
                if each.failure is None:
                    console.lines(texts.text(each.parent, each.state, each.address, each.balances, each.frozen))
    console.failed(failures)
    return gravest(each.exit_code for each in statuses)
