"""``provisioner resolve``."""

from __future__ import annotations

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid, ExitCode


@click.command(
    cls=Command,
    short_help="Resolve an unknown outcome.",
    examples=[
        ("provisioner resolve paris --not-created", "It is not in the dashboard: free its slot."),
        ("provisioner resolve paris --abandon", "Nobody can find out: it keeps its slot."),
    ],
)
@click.argument("name", shell_complete=completion.accounts("unknown", "pending"))
@options.parents
@options.project("lock_timeout")
@click.option("--not-created", is_flag=True, help="The account does not exist: free its slot.")
@click.option("--abandon", is_flag=True, help="Nobody can find out: abandon it. It keeps its slot.")
@options.yes
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    name: str,
    parents: tuple[str, ...],
    not_created: bool,
    abandon: bool,
    yes: bool,
) -> int:
    """Resolve an unknown outcome, after you have looked in Octopush's dashboard."""
    from provisioner.cli.progress import reporter_for
    from provisioner.cli.questions import about

    console = context.console
    if abandon == not_created:
        raise CommandInvalid(
            "Give either --not-created or --abandon.",
            hint="Look in Octopush's dashboard first: --not-created frees the slot, and the next apply creates it.",
        )
    if abandon:
        question = f"Abandon {name} for good? It keeps its slot."
        message = f"{name} is abandoned; it keeps its slot."
    else:
        question = f"Are you sure that {name} does not exist? Its slot will be free again."
        message = f"{name} does not exist; its slot is free, and the next apply creates it."
    project = choice.open(context)
    project.resolve(
        name,
        abandon=abandon,
        parents=parents,
        confirm=lambda: yes or console.confirm(about(project, name, parents, question), yes=False),
        reporter=reporter_for(console),
    )
    console.talk(message)
    return ExitCode.DONE
