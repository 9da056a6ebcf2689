"""A state in a file; everything else that belongs to it is in the same folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from provisioner.errors import StateInvalid, StateNotSaved
from provisioner.state.disk import Disk, read_file, write_atomically
from provisioner.state.holder import Holder
from provisioner.state.stores import NOTE, Note, moved, version
from provisioner.state.stores.local_files import NO_LINK, LocalFiles


class LocalStore(LocalFiles):
    """See :class:`provisioner.state.stores.Store`."""

    is_here = True

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        super().__init__(path, disk)
        self.address = str(path)
        self.key = str(Path(os.path.realpath(path.parent)) / path.name)
        self._has_backup = False
        """Whether this run has written the backup: its first save does."""
        self._recorded: Note | None = None
        """The last note that a save has recorded."""

    def load(self) -> tuple[bytes | None, str]:
        """Read the file; refuses a symbolic link."""
        raw = self._read()
        return raw, version(raw)

    def newest(self, lineage: str | None) -> int:
        """Return 0: a file has no history."""
        del lineage
        return 0

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        """Replace the file and write the history; the first save also writes the backup."""
        found = self._read()
        if version(found) != expected_version:
            raise moved(self.address)
        try:
            if found is not None and not self._has_backup:
                write_atomically(self._sibling("backup"), found, self._disk)
            self._has_backup = True
            write_atomically(self.path, raw, self._disk, ready=lambda: self._record_now(note))
        except OSError as error:
            raise StateNotSaved(
                f"The state could not be saved to {self.address}: {error.strerror or error}.",
                hint="Free some space, or make the folder writable, then run again.",
            ) from error
        return version(raw)

    def _record_now(self, note: Note) -> None:
        """Record ``note`` right before the file is replaced, so that a killed run hardly loses it."""
        # No save depends on it: `record` tries again, and reports a failure.
        with suppress(Exception):
            if note.lines:
                super().record(note)
            self._recorded = note

    def record(self, note: Note) -> None:
        """See :class:`Store`; the save has done it already, unless that failed."""
        if note is not self._recorded:
            super().record(note)

    def _read(self) -> bytes | None:
        try:
            return read_file(self.path)
        except OSError as error:
            raise StateInvalid(
                f"{self.address} cannot be read: {error.strerror or error}.",
                hint=NO_LINK,
            ) from error

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """See :class:`Store`."""
        with super().hold(holder, timeout=timeout, sleep=sleep):
            self._has_backup = False
            yield

    def release(self) -> None:
        """Do nothing: the lock is released with the hold."""
