"""``provisioner state``: the state as a whole, and its history."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final, cast

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Group
from provisioner.cli.options import Choice, Context
from provisioner.errors import ExitCode

_STDIN: Final = "-"


@click.group(cls=Group, short_help="Move the state as a whole, and look back.")
def command() -> None:
    """Move the state as a whole, and look at what it was.

    Nothing goes back in serial, or to another lineage: what was created since would be
    created again.
    """


@command.command("pull")
@options.parents
@options.project()
@options.pass_context
def pull(context: Context, *, choice: Choice, parents: tuple[str, ...]) -> int:
    """Print the state as its store has it. What is secret in it is sealed."""
    context.console.exact(choice.open(context).pull_state(parents=parents).decode(errors="replace"))
    return ExitCode.DONE


@command.command("push", examples=[("provisioner state push old.json", "Put back what `state pull` saved.")])
@click.argument("file", shell_complete=completion.files)
@click.option("--undo-move", is_flag=True, help="Also over the note that a move left: its new place is lost.")
@options.parents
@options.project("lock_timeout")
@options.yes
@options.pass_context
def push(context: Context, *, choice: Choice, file: str, undo_move: bool, parents: tuple[str, ...], yes: bool) -> int:
    """Replace the state by the one in FILE (- is standard input).

    For one that is damaged, or older than it should be. One that is newer stays.
    """
    from provisioner.cli.progress import reporter
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
    if not console.confirm(f"Replace the state by the one in {source}?", yes=yes):
        raise InterruptedRunError("Not confirmed; nothing was changed.")
    project = choice.open(context)
    pushed = project.push_state(text.encode(), source, undo_move=undo_move, parents=parents, reporter=reporter(console))
    console.talk(f"{pushed.address} has the state in {source} by now.")
    console.lines(texts.text(pushed.parent, pushed.state, pushed.address))
    return ExitCode.DONE


@command.command("migrate")
@click.option(
    "--from", "origin", metavar="ADDRESS", shell_complete=completion.files, help="Where it was; {parent} is replaced."
)
@options.parents
@options.project("lock_timeout")
@options.pass_context
def migrate(context: Context, *, choice: Choice, origin: str | None, parents: tuple[str, ...]) -> int:
    """Take the states from ADDRESS to where the settings keep them.

    Set `state` to the new place first. A note stays at the old one, which sends every run
    there to the new place. It can be run again.

    It makes the tables that states in PostgreSQL need. Without --from, that is all it does.
    """
    from provisioner.cli.progress import reporter

    project = choice.open(context)
    if origin is None:
        for ready in project.prepare_states(parents=parents):
            done = "The tables were made" if ready.is_new else "All that it needs is there"
            context.console.talk(f"{done}: {ready.address}")
        return ExitCode.DONE
    for moved in project.migrate_states(origin, parents=parents, reporter=reporter(context.console)):
        context.console.talk(
            f"{moved.parent}: there is no state at {moved.origin}."
            if moved.state is None
            else f"The state of {moved.parent} has moved from {moved.origin} to {moved.address}."
        )
    return ExitCode.DONE


@command.command("history")
@options.parents
@options.project()
@options.output("text", "json")
@options.pass_context
def history(context: Context, *, choice: Choice, parents: tuple[str, ...], output: str) -> int:
    """List what was saved, newest first, and by whom."""
    from provisioner.render import documents
    from provisioner.render import status as texts

    revisions = choice.open(context).state_history(parents=parents)
    if output == "json":
        context.console.document(documents.history(revisions))
    else:
        context.console.lines(texts.history(revisions))
    return ExitCode.DONE


@command.command("show")
@click.option("--serial", type=click.IntRange(1), required=True, help="Which save, as `state history` numbers them.")
@options.parents
@options.project()
@options.pass_context
def show(context: Context, *, choice: Choice, serial: int, parents: tuple[str, ...]) -> int:
    """Print the state as it was saved with this serial."""
    raw = choice.open(context).state_revision(serial, parents=parents)
    context.console.exact(raw.decode(errors="replace"))
    return ExitCode.DONE
