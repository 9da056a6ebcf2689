"""``provisioner history``."""

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
    short_help="List who did what to which account.",
    examples=[
        ("provisioner history", "List all operations."),
        ("provisioner history paris --since 7d", "List the last week's operations on one account."),
    ],
)
@click.argument("name", required=False, shell_complete=completion.accounts("pending", "active", "unknown", "abandoned"))
@options.parents
@options.shard
@options.project()
@options.output("text", "json")
@click.option("--since", metavar="WHEN", help="Only since a date or time (UTC), or in the last 30m, 12h or 7d.")
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    name: str | None,
    parents: tuple[str, ...],
    shard: Shard | None,
    output: str,
    since: str | None,
) -> int:
    """List every operation, newest first: when, on which account, its outcome, and who did it.

    For CI, it also shows who started the job, who approved it (if the CI system says so), the
    URL of the run and the digest of the plan. NAME is an account, even one that has been
    forgotten; earlier names of an account are found too. To list the saves of a state, for
    `state show`, use `state history`. Needs no secret.
    """
    from provisioner.cli.moments import since as moment
    from provisioner.cli.reporters import ConsoleReporter
    from provisioner.errors import ExitCode, gravest
    from provisioner.render import history as texts

    console = context.console
    project = choice.open(context)
    found = project.history(name, parents=parents, shard=shard, since=moment(since), reporter=ConsoleReporter(console))
    failures = {each.parent: each.failure for each in found if each.failure is not None}
    if len(found) == 1 and failures:
        raise failures[found[0].parent]
    entries = texts.merged({each.parent: each.entries for each in found})
    if output == "json":
        console.document(texts.document(entries, failures))
    else:
        console.lines(texts.text(entries, several=len(found) > 1))
    for parent, failure in failures.items():
        console.failure(failure, parent)
    return gravest(
        [ExitCode.DONE, *(each.exit_code for each in failures.values())],
    )
