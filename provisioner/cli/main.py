"""The grammar of the command line, and the one place where an error becomes an exit.

Owns commands, options and exit codes. Refuses to work: each command imports what
it needs when it runs, so that ``--help`` and ``--version`` load no library but click.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

import click

from provisioner import __version__, schemas
from provisioner.cli.failures import InternalError, Terminated, told
from provisioner.errors import MEANINGS, ExitCode
from provisioner.model.account import DEFAULT_PARENT

_Command = TypeVar("_Command", bound=Callable[..., Any])
_KINDS: Final = {"integer": int, "number": float, "string": str}
_FILE: Final = click.Path(path_type=Path)

_SCHEMAS: Final = ("manifest", "config", "state", "plan", "report", "status", "problems", "credentials", "error")
_CODE_WIDTH: Final = 4
# Read aloud by --help; the README's table is checked against it.
_EXITS: Final = "\b\nExit codes:\n" + "\n".join(
    f"  {'130, 143' if code is ExitCode.INTERRUPTED else str(int(code)).ljust(_CODE_WIDTH - 1)}  {meaning}"
    for code, (meaning, _) in MEANINGS.items()
    if code is not ExitCode.TERMINATED
)


# ── Options that several commands share ──────────────────────────────────────


def _settings_options(*tuning: str) -> Callable[[_Command], _Command]:
    """Add the options of every command that reads settings, and those of the ``tuning`` that it heeds.

    Their kinds and words are those of the settings' schema.
    """
    known = schemas.load("config.v1")

    def add(command: _Command) -> _Command:
        for name in reversed(tuning):
            schema = known["properties"][name]
            if "$ref" in schema:
                schema = known["$defs"][schema["$ref"].rpartition("/")[2]]
            flag = "--" + name.replace("_", "-")
            words = schema["description"] + (f" [default: {schema['default']}]" if schema.get("default") else "")
            if schema["type"] == "boolean":
                option = click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=words)
            else:
                option = click.option(flag, name, type=_KINDS[schema["type"]], help=words)
            command = option(command)
        command = click.option("--state", metavar="PATH", help="Where the state is; {parent} is replaced.")(command)
        return click.option("--config", type=_FILE, metavar="FILE", help="Settings [default: provisioner.yaml].")(
            command
        )

    return add


def _parent_option(words: str) -> Callable[[_Command], _Command]:
    return click.option("--parent", metavar="NAME", default=DEFAULT_PARENT, show_default=True, help=words)


def _format_option(*formats: str, words: str = "What standard output holds.") -> Callable[[_Command], _Command]:
    return click.option(
        "--format", "output", type=click.Choice(formats), default=formats[0], show_default=True, help=words
    )


_parent_of_manifests = _parent_option("The parent of manifests that name none.")
_parent_of_many = click.option(
    "--parent", metavar="NAME", help="The parent that owns the accounts [default: every one that has a state]."
)
_rate = click.option(
    "--rate", type=click.IntRange(1, 1000), default=20, show_default=True, help="Requests that begin in one second."
)
_refresh = click.option("--refresh", is_flag=True, help="Read every account at Octopush first; needs the identity.")
_CONNECTION: Final = ("timeout", "attempts", "retry_budget", "retry_after_cap", "proxy", "ca_file")
_log_format = click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", envvar="PROVISIONER_LOG_FORMAT",
    help="What standard error holds: talk, or one JSON object per line.",
)  # fmt: skip
_report = click.option("--report", type=_FILE, metavar="FILE", help="Keep the JSON report, or the error, in FILE too.")
_parent_of_account = _parent_option("The parent that owns the account.")
_manifests = click.argument("manifests", nargs=-1, type=_FILE, metavar="[MANIFEST]...")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")


# ── Commands ─────────────────────────────────────────────────────────────────


class _InOrder(click.Group):
    """Lists its commands in the order of a day's work, which is that of this file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names as they were added."""
        del ctx
        return list(self.commands)


@click.group(
    cls=_InOrder, epilog=_EXITS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="provisioner")
def cli() -> None:
    """Provision Octopush SMS sub-accounts in batch, and never lose a credential.

    A manifest (YAML or CSV) says which sub-accounts should exist, a plan says what
    is missing, an apply creates it and keeps the credentials, which the API returns
    once, in an encrypted state. Without MANIFEST, the folder manifests/ is read.
    """


@cli.command(short_help="Write a starter project.")
@click.argument("folder", default=".", type=_FILE)
@click.option(
    "--ci", type=click.Choice(["github", "gitlab"]), multiple=True,
    help="Plan each pull request, apply what is merged, reconcile at night; may be repeated.",
)  # fmt: skip
@click.option(
    "--schedule", type=click.Choice(["cron", "systemd", "kubernetes"]), multiple=True,
    help="Reconcile every night on a machine or cluster of yours, with alert rules for Prometheus; may be repeated.",
)  # fmt: skip
def init(**options: Any) -> int:
    """Write a starter project: settings, a manifest, and an identity outside the repository.

    --ci and --schedule write working files for those as well; in a project that exists, only
    these are added. A file that is there is never changed.
    """
    from provisioner.cli import projects

    return projects.init(options)


@cli.command(short_help="Make an age identity.")
@click.option("-o", "--out", type=_FILE, metavar="FILE", help="Where to write it, instead of the usual place.")
def keygen(**options: Any) -> int:
    """Make an age identity (0600) and print its recipient."""
    from provisioner.cli import projects

    return projects.keygen(options)


@cli.command(short_help="Tell every problem of every manifest.")
@_manifests
@_parent_of_manifests
@_settings_options()
@_format_option("text", "json", "github", "gitlab")
def validate(**options: Any) -> int:
    """Tell every problem of every manifest, with its place and what to do."""
    from provisioner.cli import planning

    return planning.validate(options)


@cli.command(short_help="Show what apply would do.")
@_manifests
@_parent_of_manifests
@_settings_options("limit", "reserved", *_CONNECTION)
@_format_option("text", "markdown", "json", "html")
@click.option("--out", type=_FILE, metavar="FILE", help="Save the plan, for `apply --plan FILE`; it holds no secret.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when changes are pending.")
@_refresh
def plan(**options: Any) -> int:
    """Show what apply would do, and the slots used, planned and left.

    Needs no secret and no network, unless --refresh asks for what stands at Octopush
    just now: then it needs OCTOPUSH_API_LOGIN, OCTOPUSH_API_KEY and the identity, saves
    nothing, and exits with 7 where an account could not be checked.
    """
    from provisioner.cli import planning

    return planning.plan(options)


@cli.command(short_help="Create what is missing.")
@_manifests
@_parent_of_manifests
@_settings_options(
    "limit", "reserved", "timeout", "attempts", "retry_budget", "retry_after_cap", "retry_on_503", "lock_timeout",
    "keep_going", "proxy", "ca_file", "metrics_file", "heartbeat_url",
)  # fmt: skip
@_format_option("text", "json")
@_log_format
@_report
@click.option(
    "--plan", type=_FILE, metavar="FILE", help="Do exactly what `plan --out FILE` saved, or nothing and exit with 9."
)
@_refresh
@_yes
def apply(**options: Any) -> int:
    """Create what is missing, one account at a time, and keep the credentials sealed.

    Needs OCTOPUSH_API_LOGIN, OCTOPUSH_API_KEY and the recipients to seal to. With
    --refresh, what somebody changed at Octopush is found first, and changed back.
    With --plan, the saved plan is made anew and compared: what was reviewed is what happens.
    """
    from provisioner.cli import applying

    return applying.apply(options)


@cli.command(short_help="Apply on a schedule, unattended.")
@_manifests
@_parent_of_manifests
@_settings_options(
    "max_creates", "max_updates", "limit", "reserved", "timeout", "attempts", "retry_budget", "retry_after_cap",
    "retry_on_503", "lock_timeout", "keep_going", "proxy", "ca_file", "metrics_file", "heartbeat_url",
)  # fmt: skip
@_format_option("text", "json")
@_log_format
@_report
@click.option("--new-state", is_flag=True, help="Begin a state where there is none; else that is refused, with 5.")
def reconcile(**options: Any) -> int:
    """Make Octopush what the manifests say, with nobody there: for a scheduler.

    Looks for drift where there is an identity, plans, and applies, without asking. Over
    a threshold nothing is done, and the exit is 4. Where nothing is new, it sends nothing
    but reads, and writes no state. Needs OCTOPUSH_API_LOGIN, OCTOPUSH_API_KEY and the
    recipients to seal to.
    """
    from provisioner.cli import applying

    return applying.reconcile(options)


@cli.command(short_help="Find what was changed at Octopush.")
@_parent_of_many
@_settings_options("lock_timeout", *_CONNECTION)
@_format_option("text", "json")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when an account has drifted or is gone.")
@_log_format
@_rate
def refresh(**options: Any) -> int:
    """Read every active account at Octopush, and compare it with what was sent.

    What was found is kept in the state, so that the next plan shows it; nothing is changed
    at Octopush. Needs OCTOPUSH_API_LOGIN, OCTOPUSH_API_KEY and the identity. Exits with 7
    where an account could not be checked.
    """
    from provisioner.cli import inspecting

    return inspecting.refresh(options)


@cli.command(short_help="Prove that the credentials are good.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--parent", metavar="NAME", help="The parent that owns the accounts [default: every one; of a NAME, default]."
)
@_settings_options(*_CONNECTION)
@_format_option("text", "json")
@_log_format
@_rate
def verify(**options: Any) -> int:
    """Open every credential, or those named, and compare it with its record and with Octopush.

    One that was replaced, moved, doubled or is dead is named, and the exit is 7. Needs
    OCTOPUSH_API_LOGIN, OCTOPUSH_API_KEY and the identity; changes nothing.
    """
    from provisioner.cli import inspecting

    return inspecting.verify(options)


@cli.command(short_help="List the accounts of the state.")
@_settings_options(*_CONNECTION)
@_format_option("text", "json")
@click.option("--balances", is_flag=True, help="Ask what each account has left, as that account; needs the identity.")
def status(**options: Any) -> int:
    """List the accounts of the state with their statuses; needs no identity, unless for --balances."""
    from provisioner.cli import accounts

    return accounts.status(options)


@cli.group(short_help="Open what is sealed.")
def credentials() -> None:
    """Open what is sealed; needs the identity."""


@credentials.command("show")
@click.argument("name")
@_parent_of_account
@_settings_options()
@_format_option("text", "json")
def credentials_show(**options: Any) -> int:
    """Show the login, key and password of one account, in clear."""
    from provisioner.cli import delivery

    return delivery.show(options)


@credentials.command("list")
@_parent_of_account
@_settings_options()
def credentials_list(**options: Any) -> int:
    """List the logins of all accounts, with keys and passwords masked."""
    from provisioner.cli import delivery

    return delivery.list_masked(options)


@credentials.command("export")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_parent_of_account
@_settings_options(*_CONNECTION)
@_format_option("env", "json", "csv", "kubernetes")
@click.option("--verified", is_flag=True, help="Only if `verify` finds all of them good; else none, and exit 7.")
@click.option(
    "--since", metavar="WHEN", help="Only those created since a date or time (UTC), or since 30m, 12h, 7d ago."
)
@click.option("--out", type=_FILE, metavar="FILE", help="Write to FILE (0600) instead of standard output.")
def credentials_export(**options: Any) -> int:
    """Write the credentials of all active accounts, or of those named, in clear."""
    from provisioner.cli import delivery

    return delivery.export(options)


@cli.command("exec", short_help="Run a command as one account.", context_settings={"allow_interspersed_args": False})
@_parent_of_account
@_settings_options()
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND [ARG]...")
def execute(**options: Any) -> int:
    """Run a command with the credentials of one account in its environment, and nowhere else.

    It finds OCTOPUSH_API_LOGIN, OCTOPUSH_API_KEY and, where one is kept, OCTOPUSH_PASSWORD,
    and neither the identity nor the parent's key. The exit code is the command's own.
    """
    from provisioner.cli import delivery

    delivery.execute(options)


@cli.command(short_help="End an unknown outcome.")
@click.argument("name")
@_parent_of_account
@_settings_options("lock_timeout")
@click.option("--not-created", is_flag=True, help="It does not exist: its slot is free again.")
@click.option("--abandon", is_flag=True, help="It is given up: it keeps its slot.")
@_yes
def resolve(**options: Any) -> int:
    """End an unknown outcome, once a person has looked in Octopush's dashboard."""
    from provisioner.cli import accounts

    return accounts.resolve(options)


@cli.command(short_help="Take over accounts that exist.")
@click.argument("words", nargs=-1, metavar="[NAME LOGIN] [MANIFEST]...")
@click.option("--from", "table", type=_FILE, metavar="FILE", help="Take over those of a CSV table: name,login.")
@click.option(
    "--write", type=_FILE, metavar="FILE",
    help="Where to write a manifest of those that have none [default: manifests/adopted.yaml].",
)  # fmt: skip
@_parent_option("The parent that owns the accounts, and the manifests that name none.")
@_settings_options("limit", "reserved", "lock_timeout", *_CONNECTION)
@_format_option("text", "json")
def adopt(**options: Any) -> int:
    """Take over accounts that exist at Octopush already: NAME is yours, LOGIN theirs.

    Reads each account, and keeps its login and key, sealed; of one that has its login
    already, a key that Octopush has changed. What differs from the manifest is changed
    by the next apply. For those that no manifest names, one is
    written, never over a file: the next free name is taken. Needs the credentials
    of the parent, and an identity.
    """
    from provisioner.cli import adopting

    return adopting.adopt(options)


@cli.command(short_help="Free the slot of a deleted account.")
@click.argument("name")
@_parent_of_account
@_settings_options("lock_timeout", *_CONNECTION)
@_format_option("text", "json")
@click.option("--force", is_flag=True, help="Do not ask Octopush whether it is still there.")
@_yes
def forget(**options: Any) -> int:
    """Forget an account that was deleted in Octopush's dashboard, and free its slot.

    Refuses while Octopush knows its login. Needs the credentials of the parent and
    an identity; with --force neither. What was known of it is kept, sealed, beside the
    state, and `recover` puts it back.
    """
    from provisioner.cli import changing

    return changing.forget(options)


@cli.command("rotate-password", short_help="Give an account a new password.")
@click.argument("name")
@_manifests
@_parent_option("The parent that owns the account, and the manifests that name none.")
@_settings_options("lock_timeout", *_CONNECTION)
@_format_option("text", "json")
@_yes
def rotate_password(**options: Any) -> int:
    """Give an account a new password: the manifest's if it gives one, else a generated one.

    The account is sent as it was last sent, with the password alone changed. Needs
    the credentials of the parent and an identity.
    """
    from provisioner.cli import changing

    return changing.rotate_password(options)


@cli.command(short_help="Change who can open what is sealed.")
@click.option("--add", multiple=True, metavar="RECIPIENT", help="Seal to this one too; may be repeated.")
@click.option("--remove", multiple=True, metavar="RECIPIENT", help="Seal to this one no longer; may be repeated.")
@_parent_of_account
@_settings_options("lock_timeout")
@_format_option("text", "json")
@_yes
def rekey(**options: Any) -> int:
    """Open everything and seal it anew, all or nothing.

    Without --add and --remove, to the recipients of the settings; else to those of
    the state with these changes. Needs an identity.
    """
    from provisioner.cli import changing

    return changing.rekey(options)


@cli.command(short_help="Put back what was rescued.")
@click.argument("log", required=False, type=click.File("r", encoding="utf-8", errors="replace"), metavar="[LOG]")
@_parent_of_account
@_settings_options("lock_timeout")
@click.option("--only", metavar="NAME", help="Put back this account alone, as LOG has it last.")
@click.option("--accept-state", is_flag=True, help="Take the state as it stands, though this machine saw another.")
@_yes
def recover(**options: Any) -> int:
    """Put back what was rescued when the state could not be saved.

    Without LOG, from the .rescue file beside the state; with it, from the log of the
    run (- is standard input), where the last resort was printed, sealed; or from the
    .forgotten file beside the state, where `forget` keeps what it takes out.
    """
    from provisioner.cli import accounts

    return accounts.recover(options)


@cli.command(short_help="Tell what an exit code or an error means.")
@click.argument("what", metavar="CODE|ERROR")
def explain(**options: Any) -> int:
    """Tell what an exit code, or an error's name, means and what to do about it."""
    from provisioner.cli import reference

    return reference.explain(options)


@cli.command(short_help="Print a JSON Schema.")
@click.argument("name", type=click.Choice(_SCHEMAS), default="manifest")
def schema(**options: Any) -> int:
    """Print a JSON Schema: of a manifest or the settings, of the state, or of what a command prints as JSON.

    \b
    plan         plan --format json
    report       apply, refresh, verify, adopt, forget, rotate-password, rekey
    status       status
    problems     validate
    credentials  credentials export and show
    error        every command that fails
    """  # noqa: D301  # click looks for the character itself
    from provisioner.cli import reference

    return reference.schema(options)


@cli.command(short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(**options: Any) -> int:
    """Print the script that lets a shell complete commands and options.

    \b
    bash:  eval "$(provisioner completion bash)"      in ~/.bashrc
    zsh:   eval "$(provisioner completion zsh)"       in ~/.zshrc
    fish:  provisioner completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301  # click looks for the character itself
    from provisioner.cli import reference

    return reference.completion(cli, options)


@cli.command(short_help="Serve a local Octopush to try things out.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Loopback port [default: a free one].")
@click.option(
    "--parent-account",
    "parent_accounts",
    multiple=True,
    metavar="LOGIN:KEY[:LIMIT]",
    help="A parent to serve, with a made-up key; repeat it for several [default: that of the environment].",
)
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Sub-accounts of a parent.")
@click.option("--latency", type=click.FloatRange(0, 60), default=0.0, metavar="S", help="Seconds before each answer.")
@click.option("--ledger", type=_FILE, metavar="FILE", help="Keep what was created here, and know it at the next start.")
@click.option(
    "--fault", "faults", multiple=True, metavar="SPEC", help="A fault to order; see `provisioner sandbox --fault help`."
)
def sandbox(**options: Any) -> int:
    """Serve a local Octopush to try things out on, with limits, latency and faults to order.

    With --port and --ledger, a restart keeps its address and its accounts. It expects the
    login and key of the environment, OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY, where they are set.
    To serve several parents, give each with --parent-account, and never with a real key. Each
    has its own sub-accounts, and its own limit where one is given.

    What a person does in Octopush's dashboard, these calls do; they need no credentials:

    \b
    GET    /sandbox/accounts          list the accounts of all parents, with their logins
    PATCH  /sandbox/accounts/LOGIN    change first_name, last_name, company_name, callbacks or api_key
    DELETE /sandbox/accounts/LOGIN    delete it, and free its place
    """  # noqa: D301  # click looks for the character itself
    from provisioner.cli import projects

    return projects.sandbox(options)


# ── From an error to an exit ─────────────────────────────────────────────────


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A letter that the terminal's encoding has not is written out; it would end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:  # whoever started this has closed it
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # it lasts as long as the process
    given = list(sys.argv[1:] if arguments is None else arguments)
    code = run(given)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code; whatever goes wrong has been said."""
    try:
        # Before the command runs, and before a signal is told: a log for programs holds nothing but events.
        _begin_log(arguments)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup, say, has them ignored
                signal.signal(number, _terminated)
        code = cli.main(arguments, prog_name="provisioner", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.format_message()}\n")
        return ExitCode.USAGE
    except BrokenPipeError:
        _drop_output()
        return ExitCode.FAILURE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the last line of defence, see failures.told
        return _failed(error, arguments)
    return int(code or ExitCode.DONE)


def _terminated(_: int, __: FrameType | None) -> NoReturn:
    """End a command as Ctrl-C does, while it only reads; what changes something hears signals itself."""
    raise Terminated


def _failed(error: BaseException, arguments: list[str]) -> int:
    from provisioner.cli import terminal

    _begin_log(arguments)
    failure = told(error)
    if isinstance(failure, InternalError):
        import traceback

        # Where it failed, without the exception's own words: they may hold a secret.
        sys.stderr.write("".join(traceback.format_tb(error.__traceback__)))
    elif isinstance(error, KeyboardInterrupt | click.Abort) and sys.stderr.isatty():
        sys.stderr.write("\n")
    terminal.failure(failure)
    if _wants_json(arguments):
        terminal.failure_document(failure)
    return failure.exit_code


def _begin_log(arguments: list[str]) -> None:
    if _given(arguments, "--log-format", os.environ.get("PROVISIONER_LOG_FORMAT")) == "json":
        from provisioner.cli import terminal

        terminal.log_as_json()


def _wants_json(arguments: list[str]) -> bool:
    return _given(arguments, "--format") == "json"


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


def _drop_output() -> None:
    """Let the interpreter end quietly though nobody reads its output any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
