"""The ledger: the file that outlives a sandbox.

It has one JSON line for each account that was created, edited or deleted, is append-only,
and is durable before :meth:`Ledger.append` returns. It holds the made-up passwords and keys
**in clear text**.
"""

from __future__ import annotations

import fcntl
import json
import os
from io import FileIO
from pathlib import Path
from typing import Final

from provisioner import files
from provisioner.errors import SettingInvalid
from provisioner.model.account import Secret
from provisioner.sandbox.account import NO_CALLBACKS, SandboxAccount, merged

_BEGINNING: Final = b'{"event": "'


class Ledger:
    """An append-only file of account events, held by one sandbox at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create ``path``, never through a symbolic link; raises SettingInvalid."""
        self._path = path
        try:
            self._file = FileIO(files.open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, own=True), "r+")
        except OSError as error:
            raise SettingInvalid(
                f"The ledger {path} cannot be opened: {error.strerror}.",
                hint="Name a file, not a symbolic link, in a folder that exists and can be written to.",
            ) from error
        try:
            self._claim()
        except BaseException:
            self._file.close()
            raise

    def _claim(self) -> None:
        descriptor = self._file.fileno()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingInvalid(
                f"The ledger {self._path} is in use by another sandbox", hint="Stop that one, or name another file."
            ) from error
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def load(self, first_parent: str) -> tuple[dict[str, SandboxAccount], bool]:
        """Return every account by its login, and whether a damaged last line was cut off.

        A line without a parent, as older sandboxes wrote it, belongs to ``first_parent``. A
        sandbox that is killed while it writes leaves a damaged last line; its answer was
        never sent. Raises SettingInvalid for any other damage.
        """
        accounts: dict[str, SandboxAccount] = {}
        sound = 0
        content = self._file.readall()
        *lines, rest = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                event, account = _event(line, first_parent)
            except (ValueError, RecursionError) as error:
                if number < len(lines) or rest or not (sound or _may_be_cut(line)):
                    raise self._damaged(number, str(error)) from error
                break
            if (event == "created") == (account.api_login in accounts):
                raise self._damaged(number, "it does not follow from the lines before it")
            follow(accounts, event, account)
            sound += len(line) + 1
        if not (sound or _may_be_cut(rest)):
            raise self._damaged(len(lines) + 1, "it is not an account event")
        os.fchmod(self._file.fileno(), 0o600)
        self._file.truncate(sound)
        return accounts, sound < len(content)

    def _damaged(self, number: int, reason: str) -> SettingInvalid:
        return SettingInvalid(
            f"The ledger {self._path} is damaged at line {number}: {reason}",
            hint="Correct the line, or move the file away to start without accounts.",
        )

    def append(self, event: str, account: SandboxAccount) -> None:
        """Write one event, ``created``, ``edited`` or ``deleted``, durably; an OSError leaves the file as it was."""
        entry = {
            "event": event,
            "parent": account.parent,
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
        """Close the file."""
        self._file.close()


def follow(accounts: dict[str, SandboxAccount], event: str, account: SandboxAccount) -> None:
    """Apply ``event`` to ``accounts``, which are by login."""
    if event == "deleted":
        del accounts[account.api_login]
    else:
        accounts[account.api_login] = account


def _may_be_cut(line: bytes) -> bool:
    """Return whether ``line``, the only one, may be from a killed sandbox; anything else is not ours to cut off."""
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)


def _event(line: bytes, first_parent: str) -> tuple[str, SandboxAccount]:
    """Return the event and the account after it; raises ValueError."""
    document = json.loads(line)
    if isinstance(document, dict):
        document.setdefault("parent", first_parent)
    match document:
        case {
            "event": "created" | "edited" | "deleted" as event,
            "parent": str(parent),
            "api_login": str(login),
            "api_key": str(key),
            "password": str(password),
            "first_name": str(first),
            "last_name": str(last),
            "company_name": str() | None as company,
            "callbacks": dict(callbacks),
        }:
            given = merged(NO_CALLBACKS, callbacks)
            return event, SandboxAccount(parent, login, Secret(key), Secret(password), first, last, company, given)
    raise ValueError("it is not an account event")
