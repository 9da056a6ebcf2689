"""``provisioner completion``."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Context
from provisioner.errors import ExitCode

_PROGRAM: Final = "provisioner"


@click.command(
    cls=Command,
    short_help="Print a shell's completion script.",
    examples=[
        ('eval "$(provisioner completion bash)"', "In ~/.bashrc."),
        ('eval "$(provisioner completion zsh)"', "In ~/.zshrc."),
        ("provisioner completion fish | source", "In ~/.config/fish/config.fish."),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@options.pass_context
@click.pass_context
def command(this: click.Context, context: Context, *, shell: str) -> int:
    """Print the script that lets a shell complete commands and options."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # the argument allows only shells that click knows
    script = kind(this.find_root().command, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE").source()
    context.console.data(f"{script}\n")
    return ExitCode.DONE
