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
        ("provisioner history paris --since 7d", "List those on one account in the last week."),
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
    """List every operation, newest first: when, on which account, what came of it, and who did it.

    In CI it also says who started the job, who approved it where the CI gives that, the
    address of the run and the digest of the plan. NAME is an account, which may be
    forgotten by now; its earlier names count. `state history` lists the saves of a state
    instead, for `state show`. Needs no secret.
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
    entries = [(each.parent, entry) for each in found for entry in each.entries]
    if output == "json":
        console.document(texts.document(entries, failures))
    else:
        console.lines(texts.text(entries, several=len(found) > 1))
    for parent, failure in failures.items():
        console.failure(failure, parent)
    return gravest(
        [ExitCode.DONE, *(each.exit_code for each in failures.values())],
    )
