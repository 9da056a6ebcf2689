"""Writes files durably: temporary file, fsync, replace, fsync of the folder.

Owns the order of these calls. ``Disk`` is the interface to them, so that a test can use
one that fails or dies at any call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from provisioner import files

PRIVATE: Final = 0o600
PUBLIC: Final = 0o666
_PRIVATE_FOLDER: Final = 0o700


class Disk:
    """The system calls that make bytes durable; each raises OSError."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return when everything written to ``descriptor`` is on the disk."""
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Replace ``target`` with ``source``, atomically."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in ``folder`` are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)


def read_file(path: Path) -> bytes | None:
    """Return the content of a file of ours, or None if there is none; raises OSError, or Unfit for anything else."""
    try:
        return files.read(path, files.MAX_STATE_BYTES, own=True)
    except (FileNotFoundError, NotADirectoryError):
        files.require_folders(path)
        return None


def open_private(path: Path, flags: int) -> int:
    """Open or create our file at ``path``, never through a link; raises OSError.

    Only its owner may read or write it, whatever the umask, if the file system supports that
    and the file is not another user's.
    """
    descriptor = files.open_file(path, flags | os.O_CREAT, own=True, mode=PRIVATE)
    with suppress(OSError):
        os.fchmod(descriptor, PRIVATE)
    return descriptor


def write_atomically(
    path: Path, data: bytes, disk: Disk, *, mode: int = PRIVATE, ready: Callable[[], None] = lambda: None
) -> None:
    """Write ``data`` to ``path``, completely or not at all; by default only its owner may read it.

    ``ready`` is called once ``data`` is on the disk, right before it takes the place of the old file.
    Raises OSError; the old file is then still there, unless only the last step failed.
    Anything that is not a file of ours, such as a link, is neither followed nor replaced.
    """
    files.require_own(path)
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        if mode == PRIVATE:
            with suppress(OSError):
                os.fchmod(descriptor, PRIVATE)
        _fill(descriptor, data, disk)
        ready()
        disk.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    disk.sync_folder(path.parent)


def write_new(path: Path, data: bytes, disk: Disk) -> None:
    """Write ``data`` to the new file ``path``, completely or not at all; the umask decides who may read it.

    Raises OSError: FileExistsError if anything is there, even a dangling link.
    """
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PUBLIC)
    try:
        _fill(descriptor, data, disk)
        # Unlike replace, link fails if the target exists.
        os.link(temporary, path, follow_symlinks=False)
    finally:
        temporary.unlink(missing_ok=True)
    disk.sync_folder(path.parent)


def check_room(path: Path) -> None:
    """Raise OSError unless a file can be written next to ``path``, which is not touched."""
    temporary = _temporary(path)
    os.close(open_private(temporary, os.O_WRONLY | os.O_EXCL))
    temporary.unlink()


def append(path: Path, data: bytes, disk: Disk) -> None:
    """Append ``data`` to the existing file at ``path``; raises OSError."""
    _fill(files.open_file(path, os.O_WRONLY | os.O_APPEND, own=True), data, disk)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")


def _fill(descriptor: int, data: bytes, disk: Disk) -> None:
    try:
        disk.write(descriptor, data)
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, disk: Disk) -> None:
    """Create ``folder`` and its parents durably: a lost folder loses everything in it. Raises OSError.

    Only the owner may enter the new ones, whatever the umask. One that exists is made durable too: a run
    that was killed, or another one at work, may have created it just now.
    """
    if folder.is_dir():
        # The name of a mount is not on its parent's disk, and whoever may not read the parent has not created it.
        if not folder.is_mount():
            with suppress(PermissionError):
                disk.sync_folder(folder.parent)
        return
    make_folder(folder.parent, disk)
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER)
    except FileExistsError:
        files.require_folders(folder / "in")
    else:
        folder.chmod(_PRIVATE_FOLDER)
    disk.sync_folder(folder.parent)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files that a killed run left next to ``path``; only for the holder of its lock."""
    # They do no harm; whoever must read or write the folder will find out whether that is possible.
    found: list[Path] = []
    with suppress(OSError):
        found = [each for each in path.parent.iterdir() if each.name.startswith(f".{path.name}.")]
    for leftover in found:
        if leftover.suffix == ".tmp":
            with suppress(OSError):
                leftover.unlink()
