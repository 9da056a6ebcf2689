"""From whatever ended a command to the error that is told of it."""

from __future__ import annotations

import click

from provisioner.errors import CommandInvalid, ExitCode, ProvisionerError


class InterruptedRunError(ProvisionerError):
    """The person ended the command before anything was to be changed."""

    exit_code = ExitCode.INTERRUPTED


class TerminatedError(ProvisionerError):
    """Something outside ended the command before anything was changed."""

    exit_code = ExitCode.TERMINATED


class InternalError(ProvisionerError):
    """A fault of this program."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came; nothing that waits for an answer may take it for a failure of the connection."""


def told(error: BaseException) -> ProvisionerError:
    """Return what is to be said of ``error``; of a fault of this program, neither its words nor its values."""
    match error:
        case ProvisionerError():
            return error
        case click.UsageError():
            command = f"`{error.ctx.command_path} --help`" if error.ctx else "`provisioner --help`"
            return CommandInvalid(error.format_message(), hint=f"See {command}.")
        case click.ClickException():
            return CommandInvalid(error.format_message())
        case KeyboardInterrupt() | click.Abort():
            # click turns what ends its question into an error of its own; that it hides the first makes no difference.
            match error if isinstance(error, KeyboardInterrupt) else error.__context__:
                case Terminated():
                    return TerminatedError("Asked to end; nothing was being changed.")
                case KeyboardInterrupt():
                    return InterruptedRunError("Interrupted; nothing was being changed.")
                case _:
                    return InterruptedRunError("Not confirmed; nothing was changed.")
        case _:
            return InternalError(
                f"provisioner failed in a way that it should not ({type(error).__name__}).",
                hint="Please report the lines above. What was saved is safe; an unfinished request shows as unknown.",
            )
