"""Makes a file durable: temporary file, fsync, replace, fsync of the folder.

Owns the order of those calls. ``Disk`` is the interface to them, so that a test
can put one in its place that fails or dies at any of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from provisioner import files

PRIVATE: Final = 0o600
PUBLIC: Final = 0o666
_PRIVATE_FOLDER: Final = 0o700


class Disk:
    """The system calls by which bytes become durable; each raises OSError."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on the disk."""
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Put ``source`` in the place of ``target``, all at once."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in ``folder`` are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)


def read_file(path: Path) -> bytes | None:
    """Return what is in a file of ours, or None where there is none; raises OSError, Unfit where something else is."""
    try:
        return files.read(path, files.MAX_STATE_BYTES, own=True)
    except (FileNotFoundError, NotADirectoryError):
        files.require_folders(path)
        return None


def open_private(path: Path, flags: int) -> int:
    """Open or make the file of ours at ``path``, never through a link; raises OSError.

    It is its owner's alone to read and to write, whatever the umask: so far as its
    file system knows such a thing, and where it is no other user's.
    """
    descriptor = files.open_file(path, flags | os.O_CREAT, own=True, mode=PRIVATE)
    with suppress(OSError):
        os.fchmod(descriptor, PRIVATE)
    return descriptor


def write_atomically(path: Path, data: bytes, disk: Disk, *, mode: int = PRIVATE) -> None:
    """Put ``data`` at ``path``, readable by its owner alone unless ``mode`` says more, wholly or not at all.

    Raises OSError; the file that was there is then still there, except where only the
    last step failed. What is no file of ours (a link, say) is neither followed nor replaced.
    """
    files.require_own(path)
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        if mode == PRIVATE:
            with suppress(OSError):
                os.fchmod(descriptor, PRIVATE)
        _fill(descriptor, data, disk)
        disk.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    disk.sync_folder(path.parent)


def write_new(path: Path, data: bytes, disk: Disk) -> None:
    """Put ``data`` at ``path``, where nothing is yet, wholly or not at all; the umask says who may read it.

    Raises OSError: FileExistsError where anything is there, a link that leads nowhere included.
    """
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PUBLIC)
    try:
        _fill(descriptor, data, disk)
        # Unlike a replace, it fails where something is there already.
        os.link(temporary, path, follow_symlinks=False)
    finally:
        temporary.unlink(missing_ok=True)
    disk.sync_folder(path.parent)


def check_room(path: Path) -> None:
    """Return if a file could be written beside ``path``, which is left as it is. Raises OSError."""
    temporary = _temporary(path)
    os.close(open_private(temporary, os.O_WRONLY | os.O_EXCL))
    temporary.unlink()


def append(path: Path, data: bytes, disk: Disk) -> None:
    """Put ``data`` at the end of the file at ``path``, which is there already; raises OSError."""
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
    """Make ``folder`` and those above it, durably: what is in a folder that is lost is lost with it. Raises OSError.

    Those that are made are their owner's alone, whatever the umask.
    """
    if not folder.is_dir():
        make_folder(folder.parent, disk)
        try:
            folder.mkdir(mode=_PRIVATE_FOLDER)
        except FileExistsError:
            files.require_folders(folder / "in")
        else:
            folder.chmod(_PRIVATE_FOLDER)
        disk.sync_folder(folder.parent)


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files that a killed run left beside ``path``; only for the holder of its lock."""
    for leftover in path.parent.iterdir():
        if not (leftover.name.startswith(f".{path.name}.") and leftover.suffix == ".tmp"):
            continue
        with suppress(OSError):
            # It is in nobody's way; whether the folder can be written is found out by those who need it.
            leftover.unlink()
