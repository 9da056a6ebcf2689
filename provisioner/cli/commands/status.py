"""``provisioner status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context

if TYPE_CHECKING:
    from provisioner.model.shard import Shard


@click.command(
    cls=Command,
    short_help="List the accounts of the state.",
    examples=[
        ("provisioner status", "List the accounts of all parents."),
        ("provisioner status --format html > status.html", "Make a page about all parents."),
    ],
)
@options.parents
@options.shard
@options.project(*options.CONNECTION)
@options.output("text", "markdown", "json", "html")
@click.option(
    "--balances",
    is_flag=True,
    help="Also show each account's balance; this asks as that account, and needs an identity.",
)
@options.jobs
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    parents: tuple[str, ...],
    shard: Shard | None,
    output: str,
    balances: bool,
    jobs: int,
) -> int:
    """List the accounts in every parent's state, with their statuses.

    With --format html or markdown, print one page about all parents: what needs attention,
    what to do next, slots, and the last operations. Needs no secret and no network, except
    for --balances.
    """
    from provisioner.cli.progress import reporter_for
    from provisioner.errors import gravest

    console = context.console
    project = choice.open(context)
    reporter = reporter_for(console, len(project.settings.parents))
    with reporter:
        statuses = project.status(parents=parents, shard=shard, balances=balances, jobs=jobs, reporter=reporter)
    failures = {each.parent: each.failure for each in statuses if each.failure is not None}
    if len(statuses) == 1 and failures and output in {"text", "json"}:
        raise failures[statuses[0].parent]
    known = [each for each in statuses if each.parent not in failures]
    match output:
        case "json":
            from provisioner.render import documents

            console.document(documents.states(statuses))
        case "markdown" | "html":
            from provisioner.project import pages

            console.data(pages.shown(project, statuses, markdown=output == "markdown"))
        case _:
            from provisioner.render import status as texts

            for each in known:
                console.lines(texts.text(each.parent, each.state, each.address, each.balances, each.frozen))
    for parent, failure in failures.items():
        console.failure(failure, parent)
    return gravest(each.exit_code for each in statuses)
