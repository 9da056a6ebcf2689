"""Where a state is kept: the interface, and its two plain forms.

Owns the rule that a save against a version that has moved on fails, so that two
runs can never hold the same intent. The contract is the same for every store
and one test suite runs over all of them.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final, Protocol

from provisioner.errors import StateInvalid, StateMoved, StateNotSaved
from provisioner.model.state import State
from provisioner.state import codec
from provisioner.state.disk import Disk, read_file, write_atomically

ABSENT: Final = ""
"""The version of a state that does not exist."""


class Store(Protocol):
    """One parent's state in one place."""

    address: str
    """Where it is kept, as people write it."""
    key: str
    """The same place, whatever folder the command is run from."""

    @property
    def backup(self) -> str | None:
        """Where the state is as an earlier run found it, or None where nowhere."""

    def load(self) -> tuple[State | None, str]:
        """Return the state, or None where there is none, and its version.

        Raises:
            StateInvalid: what is there cannot be read as a state.

        """

    def save(self, state: State, expected_version: str) -> str:
        """Make ``state`` durable and return its version.

        Raises:
            StateMoved: the version in the store is not ``expected_version``.
            StateNotSaved: the store did not take it; whether the old or the new
                state is there now must be found out by loading.

        """


class LocalStore:
    """A state in a file; ``<file>.backup`` is the state as this run found it."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path = path
        self.address = str(path)
        self.key = str(Path(os.path.realpath(path.parent)) / path.name)
        self._disk = disk or Disk()
        self._found: bytes | None = None
        self._backup = path.with_name(f"{path.name}.backup")

    @property
    def backup(self) -> str | None:
        """See :class:`Store`."""
        return str(self._backup) if self._backup.is_file() else None

    def load(self) -> tuple[State | None, str]:
        """Read the file; see :class:`Store`."""
        raw = self._read()
        self._found = raw
        return (None if raw is None else codec.decode(raw, self.address)), _version(raw)

    def save(self, state: State, expected_version: str) -> str:
        """Replace the file; see :class:`Store`. The first save keeps the backup."""
        if _version(self._read()) != expected_version:
            raise moved(self.address)
        raw = codec.encode(state)
        try:
            if self._found is not None:
                write_atomically(self._backup, self._found, self._disk)
                self._found = None
            write_atomically(self.path, raw, self._disk)
        except OSError as error:
            raise StateNotSaved(
                f"The state could not be saved to {self.address}: {error.strerror or error}.",
                hint="Make room, or make the folder writable, then run again.",
            ) from error
        return _version(raw)

    def _read(self) -> bytes | None:
        try:
            return read_file(self.path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise StateInvalid(
                    f"{self.address} is a symbolic link.",
                    hint="Name the file itself: a state is never read or written through a link.",
                ) from None
            raise StateInvalid(
                f"{self.address} cannot be read: {error.strerror or error}.",
                hint="Check that the path is a file and that you may read it.",
            ) from error


class MemoryStore:
    """A state kept in this process, for tests and for trying things out."""

    address = key = "memory"
    backup = None

    def __init__(self) -> None:
        self._raw: bytes | None = None

    def load(self) -> tuple[State | None, str]:
        """Return what was saved; see :class:`Store`."""
        return (None if self._raw is None else codec.decode(self._raw, self.address)), _version(self._raw)

    def save(self, state: State, expected_version: str) -> str:
        """Keep ``state``; see :class:`Store`."""
        if _version(self._raw) != expected_version:
            raise moved(self.address)
        self._raw = codec.encode(state)
        return _version(self._raw)


def moved(address: str) -> StateMoved:
    """Return the error of a save that came too late."""
    return StateMoved(
        f"{address} was changed by somebody else while this run held it.",
        hint="Nothing of theirs was overwritten. Look at what changed, then run again.",
    )


def _version(raw: bytes | None) -> str:
    if raw is None:
        return ABSENT
    import hashlib  # noqa: PLC0415  # it takes its time to load, and a plan without a state has no use for it

    return hashlib.sha256(raw).hexdigest()
