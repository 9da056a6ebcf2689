"""``provisioner state``: the whole state, and its history."""

from typing import Annotated

import click

from provisioner.cli import completion, options
from provisioner.cli.context import Context
from provisioner.cli.help import Group


@click.group(cls=Group, short_help="Save, replace or move a whole state, and see its history.")
def command() -> None:
    """Save, replace or move a whole state, and see its history.

    No command accepts an older serial or another lineage: accounts that were created since
    would be created again.
    """


@options.command(of=command)
def pull(*, parents: options.Parents, context: Annotated[Context, options.settings()]) -> None:
    """Print the state as it is stored. All secrets in it are sealed."""
    context.console.exact(context.open().pull_state(parents=parents).decode(errors="replace"))


@options.command(of=command, examples=[("provisioner state push old.json", "Restore what `state pull` saved.")])
def push(
    *,
    file: Annotated[str, options.argument(shell_complete=completion.files)],
    undo_move: Annotated[bool, "Also replace the note that a move left, because the new place is lost."],
    parents: options.Parents,
    context: Annotated[Context, options.settings("lock_timeout")],
    yes: options.Yes,
) -> None:
    """Replace the state with the one in FILE (- is standard input).

    For a state that is damaged or too old. A newer state is never replaced.
    """
    from provisioner.errors import InterruptedRunError
    from provisioner.render import status as texts

    console = context.console
    console.require_answer(yes=yes)
    text, source = context.read(file)
    if not console.confirm(f"Replace the state with the one in {source}?", yes=yes):
        raise InterruptedRunError("Not confirmed; nothing was changed.")
    project = context.open()
    pushed = project.push_state(
        text.encode(), source, undo_move=undo_move, parents=parents, reporter=context.reporter(project)
    )
    console.talk(f"{pushed.address} now contains the state from {source}.")
    console.lines(texts.text(pushed.parent, pushed.state, pushed.address))


@options.command(of=command)
def migrate(
    *,
    origin: Annotated[
        str | None,
        options.option(
            "The old place; {parent} stands for the parent's name.",
            "--from",
            metavar="ADDRESS",
            shell_complete=completion.files,
        ),
    ],
    parents: options.Parents,
    context: Annotated[Context, options.settings("lock_timeout")],
) -> int:
    """Move the states from ADDRESS to the place in the settings.

    Set `state` to the new place first. A note stays at the old place, and points every run
    to the new one. You can run this again.

    It also creates the tables that states in PostgreSQL need. Without --from, it does only that.
    """
    console, project = context.console, context.open()
    if origin is None:
        prepared = project.prepare_states(parents=parents)
        for ready in prepared:
            done = "The tables were created" if ready.is_new else "Everything that it needs exists already"
            if ready.failure is None:
                console.talk(f"{done}: {ready.address}")
        return console.failed({each.parent: each.failure for each in prepared})
    moves = project.migrate_states(origin, parents=parents, reporter=context.reporter(project))
    for moved in moves:
        if moved.failure is None:
            console.talk(
                f"{moved.parent}: there is no state at {moved.origin}."
                if moved.state is None
                else f"The state of {moved.parent} has moved from {moved.origin} to {moved.address}."
            )
    return console.failed({each.parent: each.failure for each in moves})


@options.command(of=command)
def history(
    *, parents: options.Parents, context: Annotated[Context, options.settings()], output: options.Output
) -> None:
    """List every save, newest first, and who made it."""
    from provisioner.render import documents
    from provisioner.render import status as texts

    revisions = context.open().state_history(parents=parents)
    if output == "json":
        context.console.document(documents.history(revisions))
    else:
        context.console.lines(texts.history(revisions))


@options.command(of=command)
def show(
    *,
    serial: Annotated[
        int, options.option("The serial of the save, as in `state history`.", type=click.IntRange(1), required=True)
    ],
    parents: options.Parents,
    context: Annotated[Context, options.settings()],
) -> None:
    """Print the state that was saved with this serial."""
    raw = context.open().state_revision(serial, parents=parents)
    context.console.exact(raw.decode(errors="replace"))
