"""A state in a file, and everything that lies next to it.

``<state>.lock`` is held with flock, so that the kernel frees it however the run ends; it is
never deleted, because a deleted lock file can be held twice. ``<state>.backup`` is the
state as this run found it. ``<state>.rescue`` keeps what the state did not take, its room
reserved before the run begins; ``<state>.forgotten`` what a person had it forget.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from provisioner import files
from provisioner.errors import StateError, StateInvalid, StateLocked, StateNotSaved
from provisioner.state.disk import Disk, make_folder, open_private, read_file, remove_leftovers, write_atomically
from provisioner.state.holder import Holder
from provisioner.state.stores import moved, version

_POLL: Final = 0.1
_HOLDER: Final = b'{"pid": '
"""What a lock begins with that names its holder."""
_OURS: Final = "Move it away: a run keeps a file of its own there. Nothing was sent."
_STATE: Final = "Name a file that you may read: a state is never read or written through a link."
_BESIDE: Final = ("lock", "backup", "rescue", "forgotten")


class LocalStore:
    """See :class:`provisioner.state.stores.Store`."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self.path = path
        self.address = str(path)
        self.key = str(Path(os.path.realpath(path.parent)) / path.name)
        self._disk = disk or Disk()
        self._kept_backup = False
        """Whether the state as this run found it is kept: the first save does that."""

    # ── The state ────────────────────────────────────────────────────────────

    def load(self) -> tuple[bytes | None, str]:
        """Read the file; a symbolic link is refused."""
        raw = self._read()
        return raw, version(raw)

    def save(self, raw: bytes, expected_version: str) -> str:
        """Replace the file; the first save keeps the backup."""
        found = self._read()
        if version(found) != expected_version:
            raise moved(self.address)
        try:
            if found is not None and not self._kept_backup:
                write_atomically(self._beside("backup"), found, self._disk)
            self._kept_backup = True
            write_atomically(self.path, raw, self._disk)
        except OSError as error:
            raise StateNotSaved(
                f"The state could not be saved to {self.address}: {error.strerror or error}.",
                hint="Make room, or make the folder writable, then run again.",
            ) from error
        return version(raw)

    def _read(self) -> bytes | None:
        try:
            return read_file(self.path)
        except OSError as error:
            raise StateInvalid(
                f"{self.address} cannot be read: {error.strerror or error}.",
                hint=_STATE,
            ) from error

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
            self._kept_backup = False
            yield

    def _require_own_files(self) -> None:
        """Refuse what else stands where this run will write; to be found out before anything is sent."""
        for path in self.files():
            try:
                files.require_own(path)
            except OSError as error:
                raise StateInvalid(
                    f"{path} cannot be used: {error.strerror or error}.",
                    hint=_STATE if path == self.path else _OURS,
                ) from error

    def holder(self) -> str | None:
        """See :class:`Store`; a lock that is another user's says nothing."""
        try:
            descriptor = files.open_file(self._beside("lock"), own=True)
        except OSError:
            # No run has been here, or its lock is another user's: nothing can be said of it. That it is
            # no lock at all, whoever wants to hold it finds out.
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _named(descriptor)
        else:
            return None
        finally:
            os.close(descriptor)

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
            raise StateNotSaved(f"{self.rescue_address} did not take it either: {error.strerror or error}.") from error

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
        return {self.path: "the state", **{self._beside(kind): "next to the state" for kind in _BESIDE}}

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


@contextmanager
def held(
    path: Path, holder: Holder, timeout: float, sleep: Callable[[float], None], *, what: str = "The state"
) -> Iterator[None]:
    """Hold the lock at ``path`` for the length of a ``with``, for up to ``timeout`` seconds of waiting.

    Raises:
        StateLocked: somebody else holds it; the message says who holds ``what``.
        StateError: it cannot be held here at all.

    """
    try:
        descriptor = open_private(path, os.O_RDWR)
    except OSError as error:
        raise StateError(
            f"The lock {path} cannot be opened: {error.strerror or error}.",
            hint="The folder of the state must be writable, and the lock a file of its own. Nothing was sent.",
        ) from error
    try:
        _acquire(descriptor, path, timeout, sleep, what)
        _require_lock(descriptor, path)
        _write(descriptor, json.dumps(asdict(holder)).encode())
        try:
            yield
        finally:
            _write(descriptor, b"")
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, timeout: float, sleep: Callable[[float], None], what: str) -> None:
    waited = 0.0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited >= timeout:
                raise StateLocked(
                    f"{what} is held by {_named(descriptor)}.",
                    hint=f"Wait for that run, or give --lock-timeout SECONDS. The lock is {path}; never delete it.",
                ) from None
            pause = min(_POLL, timeout - waited)
            sleep(pause)
            waited += pause
        except OSError as error:
            raise StateError(
                f"The lock {path} cannot be taken: {error.strerror or error}.",
                hint="Keep the state on a file system that supports flock. Nothing was sent.",
            ) from error
        else:
            return


def _require_lock(descriptor: int, path: Path) -> None:
    """Refuse a file that somebody else keeps under the lock's name: it would be emptied. Raises StateError."""
    held = os.pread(descriptor, 4096, 0).strip(b"\0")
    if held and not held.startswith(_HOLDER):
        raise StateError(
            f"{path} is not a lock: it holds something else.",
            hint=_OURS,
        )


def _named(descriptor: int) -> str:
    try:
        return str(Holder(**json.loads(os.pread(descriptor, 4096, 0))))
    except (ValueError, TypeError, RecursionError):
        # The holder has not written its name yet, or what is there is not a name.
        return "another run"


def _write(descriptor: int, text: bytes) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
    except OSError:
        # The name is a courtesy; the lock is flock's. A full disk must not end a run here:
        # whether the state itself can be saved is found out before anything is sent.
        return
