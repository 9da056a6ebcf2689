"""From whatever ended a command to the error that is reported."""

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
    """SIGTERM or SIGHUP came; nothing that waits for an answer may take it for a failure of the connection."""


def trace(error: InternalError) -> str:
    """Return where this program failed, without the exception's own words: they may hold a secret."""
    import traceback  # noqa: PLC0415  # only a fault of ours needs it

    cause = error.__cause__ or error
    return "".join(traceback.format_tb(cause.__traceback__))


class Ended(Exception):  # noqa: N818  # it is not an error of anybody's
    """Carries what asked a command to end past click, which would say something of its own."""

    def __init__(self, by: KeyboardInterrupt) -> None:
        super().__init__()
        self.by = by


def reported(error: BaseException) -> ProvisionerError:
    """Return what is to be said of ``error``; of a fault of this program, neither its words nor its values."""
    match error:
        case ProvisionerError():
            return error
        case Ended():
            return reported(error.by)
        case click.UsageError():
            command = f"`{error.ctx.command_path} --help`" if error.ctx else "`provisioner --help`"
            return CommandInvalid(error.format_message(), hint=f"See {command}.")
        case click.ClickException():
            return CommandInvalid(error.format_message())
        case KeyboardInterrupt() | click.Abort():
            # click turns what ends its question into an error of its own; that it hides the first makes no difference.
            match error if isinstance(error, KeyboardInterrupt) else error.__context__:
                case Terminated():
                    return TerminatedError("Asked to end; nothing was being changed at Octopush.")
                case KeyboardInterrupt():
                    return InterruptedRunError("Interrupted; nothing was being changed at Octopush.")
                case _:
                    return InterruptedRunError("Not confirmed; nothing was changed.")
        case _:
            return internal(error)
