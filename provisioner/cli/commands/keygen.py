"""``provisioner keygen``."""

from pathlib import Path
from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context


@options.command("Create an age identity.")
def command(
    *,
    context: Context,
    out: Annotated[
        Path | None, options.option("Where to write it [default: your configuration folder].", "--out", "-o")
    ],
) -> None:
    """Create an age identity (0600) and print its recipient."""
    from provisioner.project import identity
    from provisioner.project.folders import Folders

    path = out or Folders.of_user().identity
    recipient = identity.keygen(path)
    context.console.talk(f"The identity is in {path}. Keep it secret, and keep a copy. Its recipient:")
    context.console.data(f"{recipient}\n")
