"""The files that this machine keeps for a state: a lock, a backup, a history, what was rescued and what was forgotten.

``<state>.lock`` is held by the run that is at work. ``<state>.backup`` is the state as a run
found it. ``<state>.rescue`` keeps what the state did not take, its room reserved before the
run begins; ``<state>.forgotten`` what a person had it forget. ``<state>.history.jsonl`` says who did what.
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
_BESIDE: Final = ("lock", "backup", "rescue", "forgotten")
HISTORY: Final = "history.jsonl"


class LocalFiles:
    """The files beside ``path``, which is where a state is, or stands for one that is kept elsewhere."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path = path
        self._disk = disk or Disk()

    # ── The lock ─────────────────────────────────────────────────────────────

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """Make the folder, hold the lock, and remove what a killed run left of its saves."""
        try:
            make_folder(self.path.parent, Disk())
        except OSError as error:
            raise StateError(
                f"The folder {self.path.parent} cannot be made: {error.strerror or error}.",
                hint="Make it, or name another place in the setting `state`. Nothing was sent.",
            ) from error
        with held(self._beside("lock"), holder, timeout, sleep):
            self._require_own_files()
            remove_leftovers(self.path)
            yield

    def _require_own_files(self) -> None:
        """Refuse what else stands where this run will write; to be found out before anything is sent."""
        for path in self.files():
            if path == self._beside(HISTORY):
                # Nothing depends on it: what stands in its place ends no run.
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
        return holder_of(self._beside("lock"))

    # ── What lies next to the state ──────────────────────────────────────────

    @property
    def backup(self) -> str | None:
        """See :class:`Store`."""
        path = self._beside("backup")
        return str(path) if path.is_file() else None

    @property
    def rescue_address(self) -> str:
        """See :class:`Store`."""
        return str(self._beside("rescue"))

    def reserve(self, size: int) -> None:
        """Write so many bytes of nothing, so that no new room is needed later."""
        try:
            self._put(b"\0" * size)
        except OSError as error:
            raise StateNotSaved(
                f"No room could be reserved at {self.rescue_address}: {error.strerror or error}.",
                hint="Make room, or make the folder writable, then run again. Nothing was sent.",
            ) from error

    def rescue(self, line: bytes) -> None:
        """Write over the reserved room."""
        try:
            self._put(line)
        except OSError as error:
            raise StateNotSaved(
                f"{self.rescue_address} could not keep it either: {error.strerror or error}."
            ) from error

    def rescued(self) -> bytes:
        """See :class:`Store`."""
        try:
            raw = read_file(self._beside("rescue")) or b""
        except OSError as error:
            raise StateInvalid(
                f"{self.rescue_address} cannot be read: {error.strerror or error}.",
                hint="Put that right. It may hold an outcome that the state does not.",
            ) from error
        return raw.rstrip(b"\0")

    def clear_rescued(self) -> None:
        """See :class:`Store`."""
        try:
            self._beside("rescue").unlink(missing_ok=True)
        except OSError as error:
            raise StateError(
                f"{self.rescue_address} cannot be removed: {error.strerror or error}.",
                hint="Make the folder of the state writable. Nothing that the file holds is missing from the state.",
            ) from error

    def keep_forgotten(self, line: bytes) -> str:
        """See :class:`Store`."""
        path = self._beside("forgotten")
        try:
            before = read_file(path) or b""
            end = b"" if not before or before.endswith(b"\n") else b"\n"
            write_atomically(path, before + end + line, self._disk)
        except OSError as error:
            raise StateNotSaved(
                f"What is to be forgotten could not be kept in {path}: {error.strerror or error}.",
                hint="Make room, and let it be a file of yours in a writable folder. Nothing was forgotten.",
            ) from error
        return str(path)

    def older_copies(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        return tuple(str(path) for path in map(self._beside, ("backup", "forgotten")) if path.exists())

    def files(self) -> Mapping[Path, str]:
        """See :class:`Store`."""
        return {self.path: "the state", **{self._beside(kind): "next to the state" for kind in (*_BESIDE, HISTORY)}}

    # ── Its history ──────────────────────────────────────────────────────────

    def record(self, note: Note) -> None:
        """See :class:`Store`; they are not synced, so that no run waits for them."""
        path = self._beside(HISTORY)
        try:
            with os.fdopen(open_private(path, os.O_RDWR | os.O_APPEND), "r+b") as file:
                # A run that was killed may have left half a line.
                is_whole = not file.seek(0, os.SEEK_END) or os.pread(file.fileno(), 1, file.tell() - 1) == b"\n"
                lines = note.lines if is_whole else ("", *note.lines)
                file.write("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise StateError(
                f"{path} does not take what was done: {error.strerror or error}.",
                hint="Let it be a file of yours in a writable folder.",
            ) from error

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        path = self._beside(HISTORY)
        try:
            raw = read_file(path) or b""
        except OSError as error:
            raise StateError(
                f"{path} cannot be read: {error.strerror or error}.", hint="Let it be a file of yours."
            ) from error
        return tuple(filter(None, raw.decode(errors="replace").split("\n")))

    def _beside(self, kind: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{kind}")

    def _put(self, data: bytes) -> None:
        """Write behind the lines that are there, over reserved room: without truncation, no new room is needed."""
        path = self._beside("rescue")
        with os.fdopen(open_private(path, os.O_RDWR), "r+b", buffering=0) as file:
            before = file.read().rstrip(b"\0")
            end = file.seek(len(before))
            try:
                # A line is known by where it stands: behind half a line it would be nothing.
                self._disk.write(file.fileno(), data if not before or before.endswith(b"\n") else b"\n" + data)
            except BaseException:
                # Half a line would be taken for damage, and stand in the next run's way.
                file.truncate(end)
                raise
            self._disk.sync(file.fileno())
        self._disk.sync_folder(path.parent)
