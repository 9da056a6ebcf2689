"""``provisioner state``: the whole state, and its history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Group
from provisioner.cli.options import Choice, Context
from provisioner.errors import ExitCode, ProvisionerError, gravest

if TYPE_CHECKING:
    from provisioner.cli.console import Console

_STDIN: Final = "-"


@click.group(cls=Group, short_help="Save, replace or move a whole state, and see its history.")
def command() -> None:
    """Save, replace or move a whole state, and see its history.

    No command accepts an older serial or another lineage: accounts that were created since
    would be created again.
    """


@command.command("pull")
@options.parents
@options.project()
@options.pass_context
def pull(context: Context, *, choice: Choice, parents: tuple[str, ...]) -> int:
    """Print the state as it is stored. All secrets in it are sealed."""
    context.console.exact(choice.open(context).pull_state(parents=parents).decode(errors="replace"))
    return ExitCode.DONE


@command.command("push", examples=[("provisioner state push old.json", "Restore what `state pull` saved.")])
@click.argument("file", shell_complete=completion.files)
@click.option(
    "--undo-move", is_flag=True, help="Also replace the note that a move left, because the new place is lost."
)
@options.parents
@options.project("lock_timeout")
@options.yes
@options.pass_context
def push(context: Context, *, choice: Choice, file: str, undo_move: bool, parents: tuple[str, ...], yes: bool) -> int:
    """Replace the state with the one in FILE (- is standard input).

    For a state that is damaged or too old. A newer state is never replaced.
    """
    from provisioner.cli.progress import reporter_for
    from provisioner.errors import InterruptedRunError
    from provisioner.project.recovering import read_log
    from provisioner.render import status as texts

    console = context.console
    console.require_answer(yes=yes)
    if file == _STDIN:
        source = "standard input"
        text = read_log(cast("BinaryIO", click.open_file(file, "rb")), source)
    else:
        source = file
        text = read_log(Path(file), source)
    if not console.confirm(f"Replace the state with the one in {source}?", yes=yes):
        raise InterruptedRunError("Not confirmed; nothing was changed.")
    project = choice.open(context)
    pushed = project.push_state(
        text.encode(), source, undo_move=undo_move, parents=parents, reporter=reporter_for(console)
    )
    console.talk(f"{pushed.address} now contains the state from {source}.")
    console.lines(texts.text(pushed.parent, pushed.state, pushed.address))
    return ExitCode.DONE


@command.command("migrate")
@click.option(
    "--from",
    "origin",
    metavar="ADDRESS",
    shell_complete=completion.files,
    help="The old place; {parent} stands for the parent's name.",
)
@options.parents
@options.project("lock_timeout")
@options.pass_context
def migrate(context: Context, *, choice: Choice, origin: str | None, parents: tuple[str, ...]) -> int:
    """Move the states from ADDRESS to the place in the settings.

    Set `state` to the new place first. A note stays at the old place, and points every run
    to the new one. You can run this again.

    It also creates the tables that states in PostgreSQL need. Without --from, it does only that.
    """
    from provisioner.cli.progress import reporter_for

    console, project = context.console, choice.open(context)
    if origin is None:
        prepared = project.prepare_states(parents=parents)
        for ready in prepared:
            done = "The tables were created" if ready.is_new else "Everything that it needs exists already"
            if ready.failure is None:
                console.talk(f"{done}: {ready.address}")
        return _ended(console, {each.parent: each.failure for each in prepared})
    moves = project.migrate_states(origin, parents=parents, reporter=reporter_for(console))
    for moved in moves:
        if moved.failure is None:
            console.talk(
                f"{moved.parent}: there is no state at {moved.origin}."
                if moved.state is None
                else f"The state of {moved.parent} has moved from {moved.origin} to {moved.address}."
            )
    return _ended(console, {each.parent: each.failure for each in moves})


def _ended(console: Console, failures: Mapping[str, ProvisionerError | None]) -> ExitCode:
    """Print what kept a command from some parents, and return the exit code."""
    found = {parent: failure for parent, failure in failures.items() if failure is not None}
    for parent, failure in found.items():
        console.failure(failure, parent)
    return gravest(failure.exit_code for failure in found.values())


@command.command("history")
@options.parents
@options.project()
@options.output("text", "json")
@options.pass_context
def history(context: Context, *, choice: Choice, parents: tuple[str, ...], output: str) -> int:
    """List every save, newest first, and who made it."""
    from provisioner.render import documents
    from provisioner.render import status as texts

    revisions = choice.open(context).state_history(parents=parents)
    if output == "json":
        context.console.document(documents.history(revisions))
    else:
        context.console.lines(texts.history(revisions))
    return ExitCode.DONE


@command.command("show")
@click.option("--serial", type=click.IntRange(1), required=True, help="The serial of the save, as in `state history`.")
@options.parents
@options.project()
@options.pass_context
def show(context: Context, *, choice: Choice, serial: int, parents: tuple[str, ...]) -> int:
    """Print the state that was saved with this serial."""
    raw = choice.open(context).state_revision(serial, parents=parents)
    context.console.exact(raw.decode(errors="replace"))
    return ExitCode.DONE
