"""``provisioner history``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context


@options.command(
    "List who did what to which account.",
    examples=[
        ("provisioner history", "List all operations."),
        ("provisioner history paris --since 7d", "List the last week's operations on one account."),
    ],
)
def command(
    *,
    name: Annotated[str | None, options.account("pending", "active", "unknown", "abandoned", required=False)],
    parents: options.Parents,
    shard: options.Shards,
    context: Annotated[Context, options.settings()],
    output: options.Output,
    since: options.Since,
) -> int:
    """List every operation, newest first: when, on which account, its outcome, and who did it.

    For CI, it also shows who started the job, who approved it (if the CI system says so), the
    URL of the run and the digest of the plan. NAME is an account, even one that has been
    forgotten; earlier names of an account are found too. To list the saves of a state, for
    `state show`, use `state history`. Needs no secret.
    """
    from provisioner.render import history as texts

    project = context.open()
    found = project.history(name, parents=parents, shard=shard, since=since, reporter=context.reporter(project))
    failures = {each.parent: each.failure for each in found if each.failure is not None}
    if len(found) == 1 and failures:
        raise failures[found[0].parent]
    entries = texts.merged({each.parent: each.entries for each in found})
    if output == "json":
        context.console.document(texts.document(entries, failures))
    else:
        context.console.lines(texts.text(entries, several=len(found) > 1))
    return context.console.failed(failures)
