"""``provisioner exec``."""

import os
import signal
from collections.abc import Sequence
from typing import Annotated, Final

import click

from provisioner.cli import completion, options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid, StateConflict

# Python ignores these signals, and the command would inherit that.
_IGNORED: Final = (signal.SIGPIPE, signal.SIGXFSZ)
_LINE: Final = options.argument(
    nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARG]...", shell_complete=completion.files
)


@options.command(
    "Run a command as one account.",
    context_settings={"allow_interspersed_args": False},
    examples=[("provisioner exec paris -- ./send.sh", "Run a script as the account paris.")],
)
def command(
    *,
    parents: options.Parents,
    context: Annotated[Context, options.settings()],
    name: Annotated[str, options.account("active")],
    words: Annotated[tuple[str, ...], _LINE],
) -> int:
    """Run a command with the credentials of one account in its environment, and nowhere else.

    The command gets OCTOPUSH_API_LOGIN, OCTOPUSH_API_KEY and, if the password is known,
    OCTOPUSH_PASSWORD. It gets no variables of this program, of the CI system, of a parent or of
    a placeholder. The exit code is the command's own.
    """
    from provisioner.cli.commands.credentials import DELIVERED, warn
    from provisioner.project.credentials import require_credentials
    from provisioner.render import credentials as formats

    line = _command_line(words)
    project = context.open()
    (opened,) = project.open_credentials([name], parents=parents, reporter=context.reporter(project))
    require_credentials([opened], "Nothing was run.")
    warn(context.console, [opened], DELIVERED)
    environ = project.inherited(sorted(formats.VARIABLES)) | formats.as_environment(opened.content)
    before = {each: signal.signal(each, signal.SIG_DFL) for each in _IGNORED}
    try:
        os.execvpe(line[0], line, environ)  # noqa: S606  # no shell is needed
    except OSError as error:
        raise CommandInvalid(
            f"{line[0]} cannot be run: {error.strerror or error}.",
            hint="Check its name and PATH. Options of exec go before the account's name.",
        ) from None
    except ValueError:
        # Without its cause, which may contain the value.
        raise StateConflict(
            f"The credentials of {name} contain a character that no environment variable can contain.",
            hint="Use `provisioner credentials export` instead. Nothing was run.",
        ) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _command_line(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command from the words that follow the account's name."""
    marked = words[:1] == ("--",)
    line = tuple(words[1:] if marked else words)
    if not line or not line[0]:
        raise CommandInvalid(
            "No command was given.", hint="Write it after the account's name, as in `provisioner exec paris -- env`."
        )
    if line[0].startswith("-") and not marked:
        raise CommandInvalid(
            f"{line[0]} is an option, but a command is expected here.",
            hint="Options of exec go before the account's name: `provisioner exec --parent acme paris -- env`.",
        )
    return line
