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
        ("provisioner forget paris", "Forget it once it is deleted at Octopush."),
    ],
)
@click.argument("name", shell_complete=completion.accounts("active", "unknown", "abandoned"))
@options.parents
@options.project("lock_timeout", *options.CONNECTION)
@options.output("text", "json")
@click.option("--force", is_flag=True, help="Do not ask Octopush whether it is still there.")
@options.yes
@options.pass_context
def command(
    context: Context, *, choice: Choice, name: str, parents: tuple[str, ...], output: str, force: bool, yes: bool
) -> int:
    """Forget an account that was deleted in Octopush's dashboard, and free its slot.

    Refuses while Octopush knows its login. Needs the credentials of the parent and
    an identity; with --force neither. What was known of it is kept, sealed, next to the
    state, and `recover` puts it back.
    """
    from provisioner.cli.progress import reporter
    from provisioner.cli.questions import about
    from provisioner.cli.watched import show

    console = context.console
    console.require_answer(yes=yes)
    unasked = " Octopush is not asked whether it is still there." if force else ""
    question = f"Forget {name}, its login, key and password?{unasked}"
    project = choice.open(context)
    reports, kept = project.forget(
        name,
        force=force,
        parents=parents,
        confirm=lambda: yes or console.confirm(about(project, name, parents, question), yes=False),
        reporter=reporter(console),
    )
    console.talk(
        "Its slot is free; while a manifest names it, the next apply creates it again. What was known of it is kept,"
        f" sealed, in {kept}: `provisioner recover {kept} --only {name}` puts it back."
    )
    show(console, reports, output)
    return reports.exit_code
