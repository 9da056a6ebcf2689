"""``provisioner forget``."""

from __future__ import annotations

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context


@click.command(
    cls=Command,
    short_help="Free the slot of a deleted account.",
    examples=[
        ("provisioner forget paris", "Forget an account that was deleted at Octopush."),
    ],
)
@click.argument("name", shell_complete=completion.accounts("active", "unknown", "abandoned"))
@options.parents
@options.project("lock_timeout", *options.CONNECTION)
@options.output("text", "json")
@click.option("--force", is_flag=True, help="Do not check at Octopush whether it still exists.")
@options.yes
@options.pass_context
def command(
    context: Context, *, choice: Choice, name: str, parents: tuple[str, ...], output: str, force: bool, yes: bool
) -> int:
    """Forget an account that was deleted in Octopush's dashboard, and free its slot.

    Refuses while Octopush still knows its login. Needs the parent's credentials and an
    identity; with --force, neither. A sealed copy of its record is kept next to the state, and
    `recover` restores it.
    """
    from provisioner.cli.progress import reporter_for
    from provisioner.cli.questions import about
    from provisioner.cli.watched import show

    console = context.console
    console.require_answer(yes=yes)
    unchecked = " Nothing checks whether it still exists at Octopush." if force else ""
    question = f"Forget {name}, with its login, key and password?{unchecked}"
    project = choice.open(context)
    reports, backup = project.forget(
        name,
        force=force,
        parents=parents,
        confirm=lambda: yes or console.confirm(about(project, name, parents, question), yes=False),
        reporter=reporter_for(console),
    )
    console.talk(
        "Its slot is free. If a manifest still names it, the next apply creates it again. A sealed copy of its record"
        f" is in {backup}: `provisioner recover {backup} --only {name}` restores it."
    )
    show(console, reports, output)
    return reports.exit_code
