"""The command line's entry point, and the one place where an error becomes an exit code.

Owns the list of commands and the exit codes. Does no work itself: each command is its own
module, loaded only when it is called. A command imports what it needs when it runs, so that
``--help`` and ``--version`` load no library except click.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from itertools import pairwise
from types import FrameType
from typing import Final, NoReturn

import click

from provisioner._version import __version__
from provisioner.cli.console import Console, LogConsole
from provisioner.cli.context import Context
from provisioner.cli.failures import CommandEnded, Terminated, reported, trace
from provisioner.cli.help import Group
from provisioner.errors import MEANINGS, ExitCode, InternalError, ProvisionerError

EXITS: Final = tuple(
    ("130, 143" if code is ExitCode.INTERRUPTED else str(int(code)), meaning)
    for code, (meaning, _) in MEANINGS.items()
    if code is not ExitCode.TERMINATED
)
"""Each exit code with its meaning."""
_UNWRITABLE: Final = (errno.EBADF, errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT, errno.EAGAIN)
_SIGNALS: Final[list[signal.Signals]] = []
"""The signals that have asked this process to end while it was only reading."""
COMMANDS: Final = (
    *("init", "keygen", "doctor", "validate", "plan", "apply", "reconcile", "refresh", "verify", "status", "history"),
    *("credentials", "exec", "resolve", "adopt", "forget", "rotate-password", "rekey", "recover", "state", "unlock"),
    *("explain", "schema", "completion", "sandbox"),
)
"""The commands in the order in which they are used; each has a module of its name, with its ``command``."""


class _Commands(Group):
    """Loads a command's module only when the command runs or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command with that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"provisioner.cli.commands.{cmd_name.replace('-', '_')}").command
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Signals to end are hidden from click, which would print an empty line."""
        try:
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is _ended_early:
                    signal.signal(number, _terminated)
            return super().invoke(ctx)
        except KeyboardInterrupt as signalled:
            raise CommandEnded(signalled) from None


@click.group(
    cls=_Commands,
    table=("Exit codes", EXITS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="provisioner")
def cli() -> None:
    """Provision Octopush SMS sub-accounts in batch, and never lose a credential.

    A manifest (YAML, CSV or workbook) lists the accounts that should exist. A plan shows
    what is missing. An apply creates it, and keeps the credentials, which the API returns
    only once, in an encrypted state. Without MANIFEST, all of the folder manifests/ is read.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    _open_streams()
    _keep_no_core()
    if isinstance(sys.stdout, TextIOWrapper):
        # A character that the terminal's encoding lacks would end the command: write it escaped.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments), os.environ))


def _open_streams() -> None:
    """Open the standard streams that the caller has closed, so that no file of ours gets their numbers.

    Reading from such a stream gives nothing, and writing to it fails.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.close(number)
            while os.open(os.devnull, os.O_RDONLY) < number:
                pass
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def _keep_no_core() -> None:
    """Prevent core dumps of this process and its children: they would contain keys and passwords."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    # 1 is smaller than any core dump. With 0, Linux would still pipe one to the program in core_pattern.
    resource.setrlimit(resource.RLIMIT_CORE, (0 if most == 0 else 1, most))


def run(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run the command line and return the exit code. Every error has been reported by then."""
    # Needed before the command line is parsed: a log for programs contains only events.
    log = _given(arguments, "--log-format", environ.get("PROVISIONER_LOG_FORMAT")) == "json"
    console = (LogConsole if log else Console)(sys.stdin, sys.stdout, sys.stderr, environ)
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup, for example, ignores them
                signal.signal(number, _ended_early)
        code = cli.main(arguments, prog_name="provisioner", standalone_mode=False, obj=Context(console, environ))
    except click.exceptions.NoArgsIsHelpError as error:
        console.raw(f"{error.format_message()}\n")
        return ExitCode.USAGE
    except SystemExit as ended:
        # click does this after completing a word for a shell, and if the reader of a help text has gone away.
        return int(ended.code or ExitCode.DONE)
    except BaseException as error:  # noqa: BLE001  # the last resort, see failures.reported
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # The command has ended. Nothing may interrupt the report of why.
            signal.signal(number, signal.SIG_IGN)
        if "_PROVISIONER_COMPLETE" in environ:
            # A shell is completing a word: a message would appear in the line that is being typed.
            return reported(error).exit_code
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            # Our own file access raises our own errors: this is standard output, where click writes help itself.
            console.lose(error)
            return ExitCode.FAILURE
        if _SIGNALS and not isinstance(error, ProvisionerError):
            # A signal while modules load may surface as any exception of the interrupted module.
            error = CommandEnded(Terminated())
        return _failed(error, console, as_json=_given(arguments, "--format") == "json")
    return int(code or (ExitCode.FAILURE if console.lost_data else ExitCode.DONE))


def _ended_early(_: int, __: FrameType | None) -> NoReturn:
    """End a command that has not started: click, which is parsing the command line, would print an empty line."""
    _SIGNALS.append(signal.SIGTERM)
    raise CommandEnded(Terminated())


def _terminated(_: int, __: FrameType | None) -> NoReturn:
    """End a command that only reads, as Ctrl-C does; one that makes changes handles signals itself."""
    _SIGNALS.append(signal.SIGTERM)
    raise Terminated


def _failed(error: BaseException, console: Console, *, as_json: bool) -> int:
    failure = reported(error)
    if isinstance(failure, InternalError):
        console.raw(trace(failure))
    elif isinstance(error, CommandEnded | KeyboardInterrupt | click.Abort) and console.stderr.isatty():
        console.raw("\n")
    console.failure(failure)
    if as_json:
        from provisioner.render import documents  # noqa: PLC0415  # only for --format json

        console.document(documents.error(failure))
    return failure.exit_code


def _given(arguments: list[str], option: str, default: str | None = None) -> str | None:
    """Return an option's value, even from a command line that is not valid."""
    if arguments[:1] == ["exec"]:
        # The options there belong to another command.
        return default
    found = default
    for each, following in pairwise((*arguments, "")):
        if each == option:
            found = following
        elif each.startswith(f"{option}="):
            found = each.removeprefix(f"{option}=")
    return found
