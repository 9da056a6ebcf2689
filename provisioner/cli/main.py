"""The grammar of the command line, and the one place where an error becomes an exit.

Owns the list of commands and the exit codes. Refuses to work: each command is a module of
its own, loaded when it is called, and imports what it needs when it runs, so that
``--help`` and ``--version`` load no library but click.
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
from provisioner.cli.console import Console, LogConsole, TextConsole
from provisioner.cli.failures import Ended, Terminated, reported, trace
from provisioner.cli.help import Group
from provisioner.cli.options import Context
from provisioner.errors import MEANINGS, ExitCode, InternalError, ProvisionerError

EXITS: Final = tuple(
    ("130, 143" if code is ExitCode.INTERRUPTED else str(int(code)), meaning)
    for code, (meaning, _) in MEANINGS.items()
    if code is not ExitCode.TERMINATED
)
"""The exit codes, each with its meaning."""
_UNWRITABLE: Final = (errno.EBADF, errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT, errno.EAGAIN)
_ASKED: Final[list[signal.Signals]] = []
"""The signals that have asked this process to end while it only read."""
COMMANDS: Final[Mapping[str, str]] = {
    name: f"provisioner.cli.commands.{module}"
    for name, module in (
        ("init", "init"),
        ("keygen", "keygen"),
        ("doctor", "doctor"),
        ("validate", "validate"),
        ("plan", "plan"),
        ("apply", "apply"),
        ("reconcile", "reconcile"),
        ("refresh", "refresh"),
        ("verify", "verify"),
        ("status", "status"),
        ("history", "history"),
        ("credentials", "credentials"),
        ("exec", "execute"),
        ("resolve", "resolve"),
        ("adopt", "adopt"),
        ("forget", "forget"),
        ("rotate-password", "rotate_password"),
        ("rekey", "rekey"),
        ("recover", "recover"),
        ("state", "state"),
        ("unlock", "unlock"),
        ("explain", "explain"),
        ("schema", "schema"),
        ("completion", "completion"),
        ("sandbox", "sandbox"),
    )
}
"""In the order of a day's work; each module has the command as ``command``."""


class _Commands(Group):
    """Loads a command's module when the command is called, or described."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in their order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(COMMANDS[cmd_name]).command
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what asks it to end is kept from click, which would print an empty line."""
        try:
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is _ended_early:
                    signal.signal(number, _terminated)
            return super().invoke(ctx)
        except KeyboardInterrupt as signalled:
            raise Ended(signalled) from None


@click.group(
    cls=_Commands,
    table=("Exit codes", EXITS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="provisioner")
def cli() -> None:
    """Provision Octopush SMS sub-accounts in batch, and never lose a credential.

    A manifest (YAML, CSV or workbook) says which accounts should exist, a plan says
    what is missing, an apply creates it and keeps the credentials, which the API returns
    once, in an encrypted state. Without MANIFEST, the folder manifests/ is read.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    _open_streams()
    _keep_no_core()
    if isinstance(sys.stdout, TextIOWrapper):
        # A letter that the terminal's encoding has not is written out; it would end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments), os.environ))


def _open_streams() -> None:
    """Open what whoever started this has closed, so that no file of ours is opened in its place.

    Nothing can be read from it, and writing to it fails.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.close(number)
            while os.open(os.devnull, os.O_RDONLY) < number:
                pass
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))


def _keep_no_core() -> None:
    """Have no core dump written, of this process or one that it starts: it would hold keys and passwords."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    # Less than any core has, and Linux gives none to a program either (core_pattern), which it does where this is 0.
    resource.setrlimit(resource.RLIMIT_CORE, (0 if most == 0 else 1, most))


def run(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run the command line and return the exit code; whatever goes wrong has been said."""
    # Before the command line is parsed: a log for programs holds nothing but events.
    log = _given(arguments, "--log-format", environ.get("PROVISIONER_LOG_FORMAT")) == "json"
    console = (LogConsole if log else TextConsole)(sys.stdin, sys.stdout, sys.stderr, environ)
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup, say, has them ignored
                signal.signal(number, _ended_early)
        code = cli.main(arguments, prog_name="provisioner", standalone_mode=False, obj=Context(console, environ))
    except click.exceptions.NoArgsIsHelpError as error:
        console.raw(f"{error.format_message()}\n")
        return ExitCode.USAGE
    except SystemExit as ended:
        # click ends so once it has completed a word for a shell, and where nobody reads a help text to its end.
        return int(ended.code or ExitCode.DONE)
    except BaseException as error:  # noqa: BLE001  # the last line of defence, see failures.reported
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # It has ended: what is left is to say why, which nothing should cut short.
            signal.signal(number, signal.SIG_IGN)
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            # Files raise errors of ours: this is standard output, to which click writes a help text by itself.
            console.lose(error)
            return ExitCode.FAILURE
        if _ASKED and not isinstance(error, ProvisionerError):
            # While modules load, what it was asked comes as whatever the one that was cut short makes of it.
            error = Ended(Terminated())
        return _failed(error, console, as_json=_given(arguments, "--format") == "json")
    return int(code or (ExitCode.FAILURE if console.lost_data else ExitCode.DONE))


def _ended_early(_: int, __: FrameType | None) -> NoReturn:
    """End a command that has not begun: click, which reads the command line, would print an empty line."""
    _ASKED.append(signal.SIGTERM)
    raise Ended(Terminated())


def _terminated(_: int, __: FrameType | None) -> NoReturn:
    """End a command as Ctrl-C does, while it only reads; what changes something hears signals itself."""
    _ASKED.append(signal.SIGTERM)
    raise Terminated


def _failed(error: BaseException, console: Console, *, as_json: bool) -> int:
    failure = reported(error)
    if isinstance(failure, InternalError):
        console.raw(trace(failure))
    elif isinstance(error, Ended | KeyboardInterrupt | click.Abort) and console.stderr.isatty():
        console.raw("\n")
    console.failure(failure)
    if as_json:
        from provisioner.render import documents  # noqa: PLC0415  # most failures are for people

        console.document(documents.error(failure))
    return failure.exit_code


def _given(arguments: list[str], option: str, default: str | None = None) -> str | None:
    """Return the value that an option has on the command line, which may be what is wrong."""
    if arguments[:1] == ["exec"]:
        # What stands there is for another command.
        return default
    found = default
    for each, following in pairwise((*arguments, "")):
        if each == option:
            found = following
        elif each.startswith(f"{option}="):
            found = each.removeprefix(f"{option}=")
    return found
