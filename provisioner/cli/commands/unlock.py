"""``provisioner unlock``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context


@options.command(
    "Release the lock of a run that has died.",
    examples=[("provisioner unlock 6f1c0e8a", "Release the lock that the error message names.")],
)
def command(
    *,
    lease: Annotated[str, options.argument()],
    parents: options.Parents,
    context: Annotated[Context, options.settings()],
) -> None:
    """Release the lock of a run that has died on another machine, before the lock expires.

    LEASE is the id in the message about the locked state. This is safe even if the run is still
    at work: its next save succeeds only if it still follows the last one.
    """
    ended = context.open().unlock(lease, parents=parents)
    context.console.talk(f"The lock of {ended.holder} is released.")
