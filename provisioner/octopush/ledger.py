"""The sandbox's accounts, and the file that outlives it.

Owns what one made-up account holds, how the API corrects what it is given, what can
be set by hand, and the ledger: JSON lines, one per account created, edited or
deleted, only ever appended to and durable before :meth:`Ledger.append` returns. It
holds the made-up passwords and keys **in clear**. Refuses HTTP, limits, logins and
printing.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from dataclasses import dataclass, replace
from io import FileIO
from typing import TYPE_CHECKING, Any, Final, TypeVar

from provisioner.errors import SettingInvalid
from provisioner.model.account import CALLBACK_NAMES, Callbacks, Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

NO_CALLBACKS: Final = Callbacks()
Kept = TypeVar("Kept", str, str | None)
PROHIBITED: Final = dict.fromkeys((*range(0x20), 0x7F, *map(ord, '<>{}[]|\\^~"`#$%*=;')))
"""Deleted from names; which characters the real API deletes is not documented."""


@dataclass(frozen=True, slots=True)
class Account:
    """One sub-account, as it was stored."""

    api_login: str
    api_key: Secret
    password: Secret
    first_name: str = ""
    last_name: str = ""
    company_name: str | None = None
    callbacks: Callbacks = NO_CALLBACKS

    def read(self) -> dict[str, object]:
        """Return what the read call answers."""
        given = {name: getattr(self.callbacks, name) for name in CALLBACK_NAMES}
        return {
            "first_name": self.first_name,
            "last_name": self.last_name,
            "company_name": self.company_name,
            "api_key": self.api_key.reveal(),
            "callback": {"email" if name == "email_for_inbounds" else name: value for name, value in given.items()},
        }

    def listed(self) -> dict[str, object]:
        """Return what may be shown of it without credentials: neither key nor password."""
        return {
            "api_login": self.api_login,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "company_name": self.company_name,
            "callbacks": self.callbacks.given(),
        }

    def corrected(self, document: Mapping[str, object], ignored: Collection[str] = ()) -> Account:
        """Return the account with what can be read of a create's or an edit's ``document``.

        What is ``ignored``, a field or one of the callbacks, stays as it is.
        """
        document = {name: value for name, value in document.items() if name not in ignored}
        company, callbacks = document.get("company_name", self.company_name), document.get("callbacks")
        return replace(
            self,
            password=Secret(_text(document.get("password"), self.password.reveal())),
            first_name=_name(document.get("first_name"), self.first_name),
            last_name=_name(document.get("last_name"), self.last_name),
            company_name=None if company is None else _name(company, self.company_name) or None,
            callbacks=self._callbacks(callbacks, ignored) if isinstance(callbacks, dict) else self.callbacks,
        )

    def _callbacks(self, given: Mapping[str, object], ignored: Collection[str]) -> Callbacks:
        addresses = {name: _address(name, given.get(name)) for name in CALLBACK_NAMES if name not in ignored}
        return replace(self.callbacks, **addresses)

    def set_by_hand(self, document: Mapping[str, object]) -> Account:
        """Return the account with exactly what ``document`` gives; raises ValueError for what cannot be set."""
        changes: dict[str, Any] = {name: self._exactly(name, value) for name, value in document.items()}
        return replace(self, **changes)

    def _exactly(self, name: str, value: object) -> str | Secret | Callbacks | None:
        match name, value:
            case ("first_name" | "last_name" | "company_name", str() as text):
                return text
            case ("company_name", None):
                return None
            case ("api_key", str() as key):
                return Secret(key)
            case ("callbacks", dict(given)):
                return _merged(self.callbacks, given)
        raise ValueError(f"{name} cannot be set to this")


def _text(value: object, kept: Kept) -> str | Kept:
    match value:
        case str():
            return value
        case bool() | int() | float():
            return str(int(value) if isinstance(value, bool) else value)
    return kept


def _name(value: object, kept: Kept) -> str | Kept:
    text = _text(value, kept)
    return text if text is None else text.translate(PROHIBITED)


def _merged(callbacks: Callbacks, given: Mapping[str, object]) -> Callbacks:
    """Return ``callbacks`` with exactly those ``given``, where None clears one; raises ValueError."""
    known = {name: value for name, value in given.items() if name in CALLBACK_NAMES and isinstance(value, str | None)}
    if wrong := sorted(given.keys() - known.keys()):
        raise ValueError(f"in callbacks, {', '.join(wrong)} cannot be set to this")
    return replace(callbacks, **known)


def _address(name: str, value: object) -> str | None:
    pattern = r"[^@\s]+@[^@\s]+" if name.startswith("email") else r"https?://\S+"
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


# ── The file ─────────────────────────────────────────────────────────────────


class Ledger:
    """An append-only file of account events, held by one sandbox at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make ``path``, never through a symbolic link; raises SettingInvalid."""
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._file = FileIO(os.open(path, flags, 0o600), "r+")
        except OSError as error:
            raise SettingInvalid(
                f"The ledger {path} cannot be opened: {error.strerror}",
                hint="Name a file, not a symbolic link, in a folder that exists and can be written to.",
            ) from error
        try:
            self._claim()
        except BaseException:
            self._file.close()
            raise

    def _claim(self) -> None:
        descriptor = self._file.fileno()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SettingInvalid(f"The ledger {self._path} is not a file", hint="Name a file, or one to be made.")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingInvalid(
                f"The ledger {self._path} is held by another sandbox", hint="Stop that one, or name another file."
            ) from error
        os.fchmod(descriptor, 0o600)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def load(self) -> tuple[dict[str, Account], bool]:
        """Return every account by its login, and whether a damaged last line was cut off.

        Such a line is what a sandbox killed in writing leaves; its answer was never
        sent. Raises SettingInvalid for any other damage.
        """
        accounts: dict[str, Account] = {}
        sound = 0
        content = self._file.readall()
        *lines, rest = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                event, account = _event(line)
            except (ValueError, RecursionError) as error:
                if number < len(lines) or rest:
                    raise self._damaged(number, str(error)) from error
                break
            if (event == "created") == (account.api_login in accounts):
                raise self._damaged(number, "it does not follow from the lines before it")
            follow(accounts, event, account)
            sound += len(line) + 1
        self._file.truncate(sound)
        return accounts, sound < len(content)

    def _damaged(self, number: int, reason: str) -> SettingInvalid:
        return SettingInvalid(
            f"The ledger {self._path} is damaged at line {number}: {reason}",
            hint="Correct the line, or move the file away to start with no account.",
        )

    def append(self, event: str, account: Account) -> None:
        """Make one event, ``created``, ``edited`` or ``deleted``, durable; on OSError the file is as it was."""
        entry = {
            "event": event,
            "api_login": account.api_login,
            "api_key": account.api_key.reveal(),
            "password": account.password.reveal(),
            "first_name": account.first_name,
            "last_name": account.last_name,
            "company_name": account.company_name,
            "callbacks": account.callbacks.given(),
        }
        line = memoryview(json.dumps(entry).encode() + b"\n")
        size = self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(size)
            raise

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


def follow(accounts: dict[str, Account], event: str, account: Account) -> None:
    """Let ``event`` happen to ``accounts``, by their logins."""
    if event == "deleted":
        del accounts[account.api_login]
    else:
        accounts[account.api_login] = account


def _event(line: bytes) -> tuple[str, Account]:
    """Return what happened, and the account as it then was; raises ValueError."""
    match json.loads(line):
        case {
            "event": "created" | "edited" | "deleted" as event,
            "api_login": str(login),
            "api_key": str(key),
            "password": str(password),
            "first_name": str(first),
            "last_name": str(last),
            "company_name": str() | None as company,
            "callbacks": dict(callbacks),
        }:
            kept = _merged(NO_CALLBACKS, callbacks)
            return event, Account(login, Secret(key), Secret(password), first, last, company, kept)
    raise ValueError("it is not an account event")
