"""The commands that open what is sealed and hand it over: to a person, to a file, or to a command.

Owns who gets a secret in clear, how the file is made that holds one, and what a
command inherits. Refuses to hand over for credentials what is not known to be some,
to pass on this program's own secrets, and to change any state.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NoReturn

from provisioner import placeholders
from provisioner.cli import opening, outfile, terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, ExitCode, StateConflict, StateInvalid
from provisioner.model.account import Secret
from provisioner.model.state import Active, Record, State
from provisioner.model.verdict import SealedContent
from provisioner.render import credentials as faces
from provisioner.state.sealing import AgeOpener

_FACES: Final = {
    "env": faces.as_env,
    "json": faces.as_json,
    "csv": faces.as_csv,
    "kubernetes": faces.as_kubernetes,
}
# What a command has no use for: the keys to every account. A proxy's address may hold a password.
_OWN_SECRETS: Final = frozenset(
    {
        "PROVISIONER_IDENTITY",
        "PROVISIONER_IDENTITY_FILE",
        "PROVISIONER_IDENTITY_COMMAND",
        "PROVISIONER_PROXY",
        "PROVISIONER_HEARTBEAT_URL",
    }
)
# Python ignores these signals, and what is ignored would stay so in the command.
_IGNORED: Final = (signal.SIGPIPE, signal.SIGXFSZ)
_DELIVERED: Final = "the password that is delivered is the one before"
_DURATION: Final = re.compile(r"([0-9]+)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Narrower than datetime's own reading, which takes any character for the T and a week for a date.
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


@dataclass(frozen=True, slots=True)
class _Opened:
    """Accounts of a state, and what is sealed of each."""

    state: State
    opener: AgeOpener
    contents: Sequence[SealedContent]

    def begun(self, name: str) -> tuple[Secret, ...]:
        """Return the passwords that Octopush may have instead of the one that is kept, the latest first."""
        record = self.state.accounts[name]
        sealed = record.edit.sealed if isinstance(record, Active) and record.edit is not None else None
        if sealed is None:
            return ()
        content = self.opener.open(sealed, lineage=self.state.lineage, parent=self.state.parent, name=name)
        return tuple(each for each in (content.password, *content.others) if each is not None)

    def warn_of_gone(self) -> None:
        """Say which accounts Octopush did not know any more when they were last looked for."""
        for name in (each.name for each in self.contents):
            record = self.state.accounts[name]
            if isinstance(record, Active) and record.drift.gone:
                terminal.warn(
                    f"Octopush no longer knew the login of {name} when it was last asked: its credentials are likely to"
                    f" be dead. `provisioner verify {name}` asks again."
                )

    def warn(self, consequence: str) -> None:
        """Say of which accounts nobody knows which password holds."""
        for name in (each.name for each in self.contents):
            record = self.state.accounts[name]
            if not isinstance(record, Active) or record.edit is None or record.edit.sealed is None:
                continue
            todo = (
                f"`provisioner apply` finishes it, or `provisioner rotate-password {name}` where no manifest names it."
            )
            if record.drift.gone:
                todo = "Octopush did not know its login any more: `provisioner refresh` looks for it again."
            terminal.warn(
                f"{name} was to get a new password at {record.edit.operation.started_at}, and whether it has is not"
                f" known: {consequence}. {todo}"
            )


def show(options: Options) -> int:
    """Print one account's credentials, or what little is kept of one whose outcome is unknown."""
    opened = _opened(wiring.settings(options), options["parent"], [options["name"]])
    (content,) = opened.contents
    begun = opened.begun(options["name"])
    if options["output"] == "json":
        terminal.data(faces.shown_as_json(content, begun))
    else:
        # Never wrapped at a terminal's edge: these are there to be copied.
        terminal.data("".join(f"{line.text}\n" for line in faces.as_text(content, begun)))
    opened.warn_of_gone()
    opened.warn("one of these passwords is right")
    if content.credentials is None:
        terminal.warn(
            f"the outcome of {options['name']} is unknown: this is what was kept of it, not credentials that are known"
            " to work."
        )
    return ExitCode.DONE


def list_masked(options: Options) -> int:
    """Print the logins of all active accounts."""
    opened = _opened(wiring.settings(options), options["parent"], ())
    terminal.lines(faces.masked(opened.contents))
    opened.warn_of_gone()
    opened.warn("the password that is kept may be the one before")
    return ExitCode.DONE


def export(options: Options) -> int:
    """Write credentials in clear, to standard output or to a file of the user's alone."""
    since = None if options["since"] is None else _moment(options["since"], datetime.now(UTC))
    if since is not None and options["names"]:
        raise CommandInvalid(
            "Accounts were named, and --since chooses them too.", hint="Give names or --since, and not both."
        )
    settings = wiring.settings(options)
    if options["out"] is not None:
        outfile.require_free(options["out"], wiring.own_files(settings, options))
    opened = _opened(settings, options["parent"], options["names"], since, verified=options["verified"])
    contents = opened.contents
    _require_credentials(contents, "Nothing was exported.")
    if since is not None and not contents:
        terminal.talk(f"No account was created since {since:%Y-%m-%d %H:%M:%S} UTC.")
    content = _FACES[options["output"]](contents)
    if options["output"] == "csv" and (altered := faces.altered_by_csv(contents)):
        terminal.warn(f"an apostrophe was put into a value of {', '.join(altered)}, so that it is no formula.")
    opened.warn_of_gone()
    opened.warn(_DELIVERED)
    _deliver(content, options["out"])
    return ExitCode.DONE


def execute(options: Options) -> NoReturn:
    """Become the command that was given, with one account's credentials in its environment."""
    name, command = options["name"], _command(options["command"])
    settings = wiring.settings(options)
    opened = _opened(settings, options["parent"], [name])
    _require_credentials(opened.contents, "Nothing was run.")
    opened.warn_of_gone()
    opened.warn(_DELIVERED)
    environ = _inherited(settings) | faces.as_environment(opened.contents[0])
    before = {each: signal.signal(each, signal.SIG_DFL) for each in _IGNORED}
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606  # there is nothing for a shell to do
    except OSError as error:
        raise CommandInvalid(
            f"{command[0]} cannot be run: {error.strerror or error}.",
            hint="Check its name and PATH. Options of exec stand before the account's name.",
        ) from None
    except ValueError:
        # Without its cause, which may hold the value.
        raise StateConflict(
            f"The credentials of {name} hold a character that no environment may hold.",
            hint="`provisioner credentials export` delivers them all the same. Nothing was run.",
        ) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _command(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command itself, of all words that follow the account's name."""
    marked = words[:1] == ("--",)
    command = tuple(words[1:] if marked else words)
    if not command or not command[0]:
        raise CommandInvalid(
            "No command was given.", hint="Write it after the account's name, as in `provisioner exec paris -- env`."
        )
    if command[0].startswith("-") and not marked:
        raise CommandInvalid(
            f"There is an option, {command[0]}, where a command should be.",
            hint="Options of exec stand before the account's name: `provisioner exec --parent acme paris -- env`.",
        )
    return command


def _inherited(settings: Settings) -> dict[str, str]:
    """Return what a command may know of our environment: nothing that opens another account."""
    keys = (name for parent in settings.parents.values() for name in placeholders.names(parent.api_key))
    ours = _OWN_SECRETS | faces.VARIABLES | {name.removeprefix("env:") for name in keys}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _opened(
    settings: Settings, parent: str, names: Sequence[str], since: datetime | None = None, *, verified: bool = False
) -> _Opened:
    """Open the records of ``names``, or where none is named, of all active accounts, or those created ``since``.

    With ``verified``, only once Octopush itself has told that all of them are right.
    """
    state = wiring.existing(wiring.stored(settings, parent), parent)
    wiring.require_known(state, names)
    wanted = names or [name for name, record in sorted(state.accounts.items()) if _is_chosen(name, record, since)]
    opener = opening.opener(settings)
    if active := [name for name in wanted if verified and isinstance(state.accounts[name], Active)]:
        from provisioner.cli import inspecting  # noqa: PLC0415  # only this loads what sends

        inspecting.require_verified(state, active, settings, opener)
    contents = []
    for name in wanted:
        sealed = state.accounts[name].sealed
        if sealed is None:
            raise StateConflict(f"Nothing is kept of {name}.", hint="Its outcome is unknown: see `provisioner status`.")
        contents.append(opener.open(sealed, lineage=state.lineage, parent=state.parent, name=name))
    return _Opened(state, opener, contents)


def _require_credentials(opened: Sequence[SealedContent], consequence: str) -> None:
    doubtful = [each.name for each in opened if each.credentials is None]
    if doubtful:
        raise StateConflict(
            f"There are no credentials of {', '.join(doubtful)}: nobody knows how its creation ended.",
            hint=f"`provisioner credentials show NAME` shows what was kept. {consequence}",
        )


def _is_chosen(name: str, record: Record, since: datetime | None) -> bool:
    if not isinstance(record, Active) or since is None:
        return isinstance(record, Active)
    try:
        return _in_utc(datetime.fromisoformat(record.created_at)) >= since
    except (ValueError, OverflowError):
        raise StateInvalid(
            f"When {name} was created cannot be read from the state.", hint="Name the accounts instead of --since."
        ) from None


def _moment(text: str, now: datetime) -> datetime:
    """Return what ``--since`` says, to the whole second before it: no more is known of an account."""
    moment = None
    with suppress(ValueError, OverflowError):
        if duration := _DURATION.fullmatch(text):
            moment = now - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        elif _MOMENT.fullmatch(text):
            moment = _in_utc(datetime.fromisoformat(text))
    if moment is None:
        raise CommandInvalid(
            f"--since {text} is neither a date nor a duration.",
            hint="Write a date or time as in 2026-01-31 or 2026-01-31T12:00:00Z (UTC where no zone is named), or how"
            " long ago as in 30m, 12h or 7d.",
        )
    return moment.replace(microsecond=0)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _deliver(content: str, out: Path | None) -> None:
    if out is None:
        terminal.data(content)
        return
    outfile.write(out, content)
    terminal.talk(f"Written to {out}, readable by you alone.")
