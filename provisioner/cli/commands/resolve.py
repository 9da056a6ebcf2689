"""``provisioner resolve``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid


@options.command(
    "Resolve an unknown outcome.",
    examples=[
        ("provisioner resolve paris --not-created", "It is not in the dashboard: free its slot."),
        ("provisioner resolve paris --abandon", "Nobody can find out: it keeps its slot."),
    ],
)
def command(
    *,
    name: Annotated[str, options.account("unknown", "pending")],
    parents: options.Parents,
    context: Annotated[Context, options.settings("lock_timeout")],
    not_created: Annotated[bool, "The account does not exist: free its slot."],
    abandon: Annotated[bool, "Nobody can find out: abandon it. It keeps its slot."],
    yes: options.Yes,
) -> None:
    """Resolve an unknown outcome, after you have looked in Octopush's dashboard."""
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
    project = context.open()
    project.resolve(
        name,
        abandon=abandon,
        parents=parents,
        confirm=context.asking(name, question, yes=yes),
        reporter=context.reporter(project),
    )
    context.console.talk(message)
