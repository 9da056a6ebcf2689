"""The files that this machine keeps for a state: a lock, a backup, a history, rescued and forgotten lines.

``<state>.lock`` is held by the run at work. ``<state>.backup`` is the state as a run found it.
``<state>.rescue`` has the outcomes that could not be saved, in space reserved before the run starts.
``<state>.forgotten`` has the accounts that a person had it forget. ``<state>.history.jsonl`` says
who did what.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from provisioner import files
from provisioner.errors import StateError, StateInvalid, StateNotSaved
from provisioner.state.disk import Disk, make_folder, open_private, read_file, remove_leftovers, write_atomically
from provisioner.state.holder import Holder
from provisioner.state.lock import OURS, held, holder_of
from provisioner.state.stores import Note

NO_LINK: Final = "Name a file that you may read: a state is never read or written through a link."
_SIBLINGS: Final = ("lock", "backup", "rescue", "forgotten")
HISTORY: Final = "history.jsonl"


class LocalFiles:
    """The files next to ``path``: the file of a state, or only a name for a state that is kept elsewhere."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path = path
        self._disk = disk or Disk()

    # ── The lock ─────────────────────────────────────────────────────────────

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """Create the folder, hold the lock, and clear up after a run that was killed."""
        try:
            make_folder(self.path.parent, Disk())
        except OSError as error:
            raise StateError(
                f"The folder {self.path.parent} cannot be created: {error.strerror or error}.",
                hint="Create it, or name another place in the setting `state`. Nothing was sent.",
            ) from error
        with held(self._sibling("lock"), holder, timeout, sleep):
            self._require_own_files()
            remove_leftovers(self.path)
            self._sync_names()
            yield

    def _sync_names(self) -> None:
        """Make what the folder contains durable; raises StateError.

        A run that was killed right after it had replaced the state may not have synced it. From
        here on this run builds on that state, and this machine remembers its serial.
        """
        try:
            Disk().sync_folder(self.path.parent)
        except OSError as error:
            raise StateError(
                f"The folder {self.path.parent} cannot be synced to the disk: {error.strerror or error}.",
                hint="Keep the state on a file system that supports fsync. Nothing was sent.",
            ) from error

    def _require_own_files(self) -> None:
        """Require that every file which this run will write is our own, before anything is sent."""
        for path in self.files():
            if path == self._sibling(HISTORY):
                # Nothing depends on the history: no run fails because of it.
                continue
            try:
                files.require_own(path)
            except OSError as error:
                raise StateInvalid(
                    f"{path} cannot be used: {error.strerror or error}.",
                    hint=NO_LINK if path == self.path else OURS,
                ) from error

    def holder(self) -> str | None:
        """See :class:`Store`."""
        return holder_of(self._sibling("lock"))

    # ── What lies next to the state ──────────────────────────────────────────

    @property
    def backup(self) -> str | None:
        """See :class:`Store`."""
        path = self._sibling("backup")
        return str(path) if path.is_file() else None

    @property
    def rescue_address(self) -> str:
        """See :class:`Store`."""
        return str(self._sibling("rescue"))

    def reserve(self, size: int) -> None:
        """Write ``size`` zero bytes, so that a rescue needs no new space."""
        try:
            self._put(b"\0" * size)
        except OSError as error:
            raise StateNotSaved(
                f"No space could be reserved at {self.rescue_address}: {error.strerror or error}.",
                hint="Free some space, or make the folder writable, then run again. Nothing was sent.",
            ) from error

    def rescue(self, line: bytes) -> None:
        """Write into the reserved space."""
        try:
            self._put(line)
        except OSError as error:
            raise StateNotSaved(
                f"{self.rescue_address} could not be written either: {error.strerror or error}."
            ) from error

    def rescued(self) -> bytes:
        """See :class:`Store`."""
        try:
            raw = read_file(self._sibling("rescue")) or b""
        except OSError as error:
            raise StateInvalid(
                f"{self.rescue_address} cannot be read: {error.strerror or error}.",
                hint="Correct that: it may contain an outcome that the state does not have.",
            ) from error
        return raw.rstrip(b"\0")

    def clear_rescued(self) -> None:
        """See :class:`Store`."""
        try:
            self._sibling("rescue").unlink(missing_ok=True)
        except OSError as error:
            raise StateError(
                f"{self.rescue_address} cannot be removed: {error.strerror or error}.",
                hint="Make the folder of the state writable. The state has everything that is in the file.",
            ) from error

    def keep_forgotten(self, line: bytes) -> str:
        """See :class:`Store`."""
        path = self._sibling("forgotten")
        try:
            before = read_file(path) or b""
            end = b"" if not before or before.endswith(b"\n") else b"\n"
            write_atomically(path, before + end + line, self._disk)
        except OSError as error:
            raise StateNotSaved(
                f"The account to forget could not be saved to {path}: {error.strerror or error}.",
                hint="Free some space, and make sure that it is your own file in a writable folder."
                " Nothing was forgotten.",
            ) from error
        return str(path)

    def older_copies(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        return tuple(str(path) for path in map(self._sibling, ("backup", "forgotten")) if path.exists())

    def files(self) -> Mapping[Path, str]:
        """See :class:`Store`."""
        siblings = map(self._sibling, (*_SIBLINGS, HISTORY))
        return {self.path: "the state", **dict.fromkeys(siblings, "next to the state")}

    # ── Its history ──────────────────────────────────────────────────────────

    def record(self, note: Note) -> None:
        """See :class:`Store`; without syncing to disk, so no run waits for it."""
        path = self._sibling(HISTORY)
        try:
            with os.fdopen(open_private(path, os.O_RDWR | os.O_APPEND), "r+b") as file:
                # A run that was killed may have left half a line.
                is_whole = not file.seek(0, os.SEEK_END) or os.pread(file.fileno(), 1, file.tell() - 1) == b"\n"
                lines = note.lines if is_whole else ("", *note.lines)
                file.write("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise StateError(
                f"The history cannot be written to {path}: {error.strerror or error}.",
                hint="Make sure that it is your own file in a writable folder.",
            ) from error

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        path = self._sibling(HISTORY)
        try:
            raw = read_file(path) or b""
        except OSError as error:
            raise StateError(
                f"{path} cannot be read: {error.strerror or error}.", hint="Make sure that it is your own file."
            ) from error
        return tuple(filter(None, raw.decode(errors="replace").split("\n")))

    def _sibling(self, kind: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{kind}")

    def _put(self, data: bytes) -> None:
        """Write after the existing lines, into the reserved space: without truncating, so no new space is needed."""
        path = self._sibling("rescue")
        with os.fdopen(open_private(path, os.O_RDWR), "r+b", buffering=0) as file:
            before = file.read().rstrip(b"\0")
            end = file.seek(len(before))
            try:
                # Appended to half a line, it would be unreadable.
                self._disk.write(file.fileno(), data if not before or before.endswith(b"\n") else b"\n" + data)
            except BaseException:
                # The next run would take half a line for damage, and refuse to start.
                file.truncate(end)
                raise
            self._disk.sync(file.fileno())
        self._disk.sync_folder(path.parent)
