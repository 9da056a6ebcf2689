"""``provisioner explain``."""

from collections.abc import Iterable
from typing import Annotated

from provisioner.cli import completion, options
from provisioner.cli.context import Context


def _known() -> Iterable[str]:
    from provisioner.render import explanations

    return explanations.known()


@options.command(
    "Explain an exit code, an error, a status or an Octopush code.",
    examples=[
        ("provisioner explain 8", "Explain exit code 8."),
        ("provisioner explain unknown", "Explain the status unknown."),
    ],
)
def command(
    *,
    what: Annotated[str, options.argument(metavar="CODE|ERROR|STATUS", shell_complete=completion.words(_known))],
    context: Context,
) -> None:
    """Explain an exit code, an error's name, a status or an Octopush code, and what to do about it.

    A status is a word such as unknown, gone, abandoned or pending.
    """
    from provisioner.render import explanations

    context.console.lines(explanations.text(what))
