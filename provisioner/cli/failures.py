"""Turns whatever ended a command into the error to report."""

from __future__ import annotations

import click

from provisioner.errors import (
    CommandInvalid,
    InternalError,
    InterruptedRunError,
    ProvisionerError,
    TerminatedError,
    internal,
)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came. Code that waits for an answer must not mistake it for a connection error."""


def trace(error: InternalError) -> str:
    """Return where this program failed, without the exception's message, which may contain a secret."""
    import traceback  # noqa: PLC0415  # only needed for a bug of ours

    cause = error.__cause__ or error
    return "".join(traceback.format_tb(cause.__traceback__))


class CommandEnded(Exception):  # noqa: N818  # nothing went wrong
    """Carries a request to end past click, which would print something of its own."""

    def __init__(self, by: KeyboardInterrupt) -> None:
        super().__init__()
        self.by = by


def reported(error: BaseException) -> ProvisionerError:
    """Return the error to report; for a bug in this program, it contains neither the message nor any value."""
    match error:
        case ProvisionerError():
            return error
        case CommandEnded():
            return reported(error.by)
        case click.UsageError():
            command = f"`{error.ctx.command_path} --help`" if error.ctx else "`provisioner --help`"
            return CommandInvalid(error.format_message(), hint=f"See {command}.")
        case click.ClickException():
            return CommandInvalid(error.format_message())
        case KeyboardInterrupt() | click.Abort():
            # click turns an interrupted prompt into its own error; the original is still its context.
            match error if isinstance(error, KeyboardInterrupt) else error.__context__:
                case Terminated():
                    return TerminatedError("Asked to end; nothing was being changed at Octopush.")
                case KeyboardInterrupt():
                    return InterruptedRunError("Interrupted; nothing was being changed at Octopush.")
                case _:
                    return InterruptedRunError("Not confirmed; nothing was changed.")
        case _:
            return internal(error)
