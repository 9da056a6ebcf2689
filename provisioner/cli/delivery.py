"""The commands that open what is sealed and hand it over: to a person, or to a file.

Owns who gets a secret in clear, and how the file is made that holds one. Refuses to
hand over what is not known to be credentials, and to change any state.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from provisioner import config
from provisioner.cli import terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.errors import CommandInvalid, ExitCode, StateConflict, StateInvalid
from provisioner.model.state import Active, Record
from provisioner.model.verdict import SealedContent
from provisioner.render import credentials as faces
from provisioner.state.disk import Disk, write_atomically
from provisioner.state.sealing import AgeOpener, parse_identities

_FACES: Final = {
    "env": faces.as_env,
    "json": faces.as_json,
    "csv": faces.as_csv,
    "kubernetes": faces.as_kubernetes,
}
_DURATION: Final = re.compile(r"([0-9]+)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Narrower than datetime's own reading, which takes any character for the T and a week for a date.
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def show(options: Options) -> int:
    """Print one account's credentials, or what little is kept of one whose outcome is unknown."""
    (content,) = _opened(options, [options["name"]])
    if options["output"] == "json":
        terminal.data(faces.as_json([content]))
    else:
        # Never wrapped at a terminal's edge: these are there to be copied.
        terminal.data("".join(f"{line.text}\n" for line in faces.as_text(content)))
    if content.credentials is None:
        terminal.warn(
            f"the outcome of {options['name']} is unknown: this is what was kept of it, not credentials that are known"
            " to work."
        )
    return ExitCode.DONE


def list_masked(options: Options) -> int:
    """Print the logins of all active accounts."""
    terminal.lines(faces.masked(_opened(options, ())))
    return ExitCode.DONE


def export(options: Options) -> int:
    """Write credentials in clear, to standard output or to a file of the user's alone."""
    since = None if options["since"] is None else _moment(options["since"], datetime.now(UTC))
    if since is not None and options["names"]:
        raise CommandInvalid(
            "Accounts were named, and --since chooses them too.", hint="Give names or --since, and not both."
        )
    opened = _opened(options, options["names"], since)
    doubtful = [each.name for each in opened if each.credentials is None]
    if doubtful:
        raise StateConflict(
            f"There are no credentials of {', '.join(doubtful)}: nobody knows how its creation ended.",
            hint="`provisioner credentials show NAME` shows what was kept. Nothing was exported.",
        )
    if since is not None and not opened:
        terminal.talk(f"No account was created since {since:%Y-%m-%d %H:%M:%S} UTC.")
    content = _FACES[options["output"]](opened)
    if options["output"] == "csv" and (altered := faces.altered_by_csv(opened)):
        terminal.warn(f"an apostrophe stands before a value of {', '.join(altered)}, so that it is no formula.")
    _deliver(content, options["out"])
    return ExitCode.DONE


def _opened(options: Options, names: Sequence[str], since: datetime | None = None) -> list[SealedContent]:
    """Open the records of ``names``, or where none is named, of all active accounts, or those created ``since``."""
    settings = wiring.settings(options)
    state = wiring.existing(wiring.stored(settings, options["parent"]), options["parent"])
    missing = [name for name in names if name not in state.accounts]
    if missing:
        raise CommandInvalid(
            f"The state has no account {', '.join(missing)}.", hint="`provisioner status` lists those that it has."
        )
    wanted = names or [name for name, record in sorted(state.accounts.items()) if _is_chosen(name, record, since)]
    text, source = config.identity(settings, os.environ, wiring.default_identity())
    opener = AgeOpener(parse_identities(text, source))
    opened = []
    for name in wanted:
        sealed = state.accounts[name].sealed
        if sealed is None:
            raise StateConflict(f"Nothing is kept of {name}.", hint="Its outcome is unknown: see `provisioner status`.")
        opened.append(opener.open(sealed, lineage=state.lineage, parent=state.parent, name=name))
    return opened


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
    try:
        _require_replaceable(out)
        write_atomically(out, content.encode(), Disk())
    except OSError as error:
        raise CommandInvalid(
            f"{out} cannot be written: {error.strerror or error}.", hint="Name a file in a folder that is writable."
        ) from error
    terminal.talk(f"Written to {out}, readable by you alone.")


def _require_replaceable(out: Path) -> None:
    """Refuse what a file must not take the place of: a folder, a device, a pipe. Raises OSError as well."""
    try:
        mode = out.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "no file but a pipe or a device"
        raise CommandInvalid(f"{out} is {kind}.", hint="Name a file that may be written or replaced.")
