"""``provisioner resolve``."""

from __future__ import annotations

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid, ExitCode


@click.command(
    cls=Command,
    short_help="End an unknown outcome.",
    examples=[
        ("provisioner resolve paris --not-created", "The dashboard does not have it: free its slot."),
        ("provisioner resolve paris --abandon", "Nobody can find out: keep its slot taken."),
    ],
)
@click.argument("name", shell_complete=completion.accounts("unknown", "pending"))
@options.parents
@options.project("lock_timeout")
@click.option("--not-created", is_flag=True, help="The account does not exist: free its slot.")
@click.option("--abandon", is_flag=True, help="Nobody can find out: give it up. It keeps its slot.")
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
    """End an unknown outcome, once a person has looked in Octopush's dashboard."""
    from provisioner.cli.progress import reporter
    from provisioner.cli.questions import about

    console = context.console
    if abandon == not_created:
        raise CommandInvalid(
            "Say how it ended with one of --not-created and --abandon.",
            hint="Look in Octopush's dashboard first: --not-created frees the slot, and the next apply creates it.",
        )
    if abandon:
        question = f"Give {name} up for good? It keeps its slot."
        said = f"{name} is given up; it keeps its slot."
    else:
        question = f"Are you sure that {name} does not exist? Its slot will be free again."
        said = f"{name} does not exist; its slot is free, and the next apply creates it."
    project = choice.open(context)
    project.resolve(
        name,
        abandon=abandon,
        parents=parents,
        confirm=lambda: yes or console.confirm(about(project, name, parents, question), yes=False),
        reporter=reporter(console),
    )
    console.talk(said)
    return ExitCode.DONE
