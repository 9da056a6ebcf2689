"""``provisioner completion``."""

from typing import Annotated

import click
from click.shell_completion import get_completion_class

from provisioner.cli import options
from provisioner.cli.context import Context


@options.command(
    "Print a shell's completion script.",
    examples=[
        ('eval "$(provisioner completion bash)"', "In ~/.bashrc."),
        ('eval "$(provisioner completion zsh)"', "In ~/.zshrc."),
        ("provisioner completion fish | source", "In ~/.config/fish/config.fish."),
    ],
)
def command(
    *, shell: Annotated[str, options.argument(type=click.Choice(["bash", "zsh", "fish"]))], context: Context
) -> None:
    """Print the script that lets a shell complete commands and options."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # the argument allows only shells that click knows
    root = click.get_current_context().find_root().command
    context.console.data(f"{kind(root, {}, 'provisioner', '_PROVISIONER_COMPLETE').source()}\n")
