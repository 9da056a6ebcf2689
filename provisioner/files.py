"""Files as they are found: what stands at a path is looked at before it is opened, and read up to a bound.

Owns which file may be read whole, and which may be one of our own. Refuses to wait on a
pipe that nobody said may be one, and to go through a link where only a file of ours can be.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_STATE_BYTES: Final = 256 * 1024 * 1024
"""Of a state and what lies next to it: far more than can be worked with, so that no state outgrows it."""

_MAX_AUTHORITIES_BYTES: Final = 10_000_000

_PIECE: Final = 1024 * 1024
_OTHERS: Final = 0o077
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class Unfit(OSError):  # noqa: N818  # a kind of OSError, so that whoever says why a file cannot be used says this too
    """What stands at a path cannot be used; ``strerror`` says why, as the end of a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EINVAL, why)


class NotAFile(Unfit):
    """It is no regular file, or a link where only a file of our own may be."""


class TooLarge(Unfit):
    """It holds more than may be read."""


class Exposed(Unfit):
    """It is a private file, and others can read it."""


def require_fit(status: os.stat_result, *, own: bool = False) -> None:
    """Return if ``status`` is that of a regular file and, where it is our ``own``, of no other name; raises Unfit."""
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        kind = next((words for is_that, words in _KINDS if is_that(mode)), "a device")
        raise NotAFile(f"it is {kind}, and not a file")
    if own and status.st_nlink > 1:
        raise NotAFile("it is a hard link: the same file has another name")


def require_own(path: Path) -> bool:
    """Return whether a file of our own stands at ``path``; raises Unfit where something else does."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    require_fit(status, own=True)
    return True


def open_file(path: Path, flags: int = os.O_RDONLY, *, own: bool = False, mode: int = 0o600) -> int:
    """Open, or make, the regular file at ``path`` and return its descriptor; it never waits.

    ``own``: nobody but us makes it, so that no link takes its place. Raises OSError.
    """
    try:
        # Asked before opening: to open a device may do something.
        require_fit(path.lstat() if own else _status(path), own=own)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    return _opened(path, flags | (os.O_NOFOLLOW if own else 0), mode, own=own)


def _status(path: Path) -> os.stat_result:
    """Return that of what a path leads to. Raises OSError: NotAFile for a link that leads nowhere."""
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise NotAFile("it is a link that leads nowhere") from None
        raise


def require_folders(path: Path) -> None:
    """Return if there is nothing but folders on the way to ``path``, so far as there is anything.

    Raises NotADirectoryError: behind a link that leads nowhere, such as to a disk that is
    not mounted, nobody knows what there is.
    """
    for folder in path.parents:
        if os.path.lexists(folder) and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is not a folder")


def _opened(path: Path, flags: int, mode: int, *, own: bool) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        # Something else may have taken its place between the two looks.
        require_fit(os.fstat(descriptor), own=own)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read(path: Path, limit: int, *, own: bool = False, private: bool = False) -> bytes:
    """Return what the regular file at ``path`` holds, ``limit`` bytes at most.

    ``private``: it is refused where others can read it, as ssh does. Raises OSError: Unfit
    where what is there cannot be used.
    """
    descriptor = open_file(path, own=own)
    with os.fdopen(descriptor, "rb", buffering=0):
        if private:
            require_private(os.fstat(descriptor))
        if os.fstat(descriptor).st_size > limit:
            raise _too_large(limit)
        return bounded(descriptor, limit)


def read_or_pipe(path: Path, limit: int) -> bytes:
    """Return the same of a file or of a pipe, as in ``<(command)``; one into which nobody writes is empty."""
    if not stat.S_ISFIFO(_status(path).st_mode):
        return read(path, limit)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0):
        os.set_blocking(descriptor, True)
        return bounded(descriptor, limit)


def read_authorities(path: Path) -> str:
    """Return the PEM text of a file of certificate authorities; raises OSError.

    What else is around the certificates, a comment in any encoding say, is of no account.
    """
    return read(path, _MAX_AUTHORITIES_BYTES).decode("ascii", "ignore")


def bounded(descriptor: int, limit: int) -> bytes:
    """Return all that can be read from ``descriptor``, ``limit`` bytes at most; raises OSError, TooLarge."""
    content = bytearray()
    while piece := os.read(descriptor, _PIECE):
        content += piece
        if len(content) > limit:
            raise _too_large(limit)
    return bytes(content)


def require_private(status: os.stat_result) -> None:
    """Refuse a file of one's own that others can read, write or run; raises Exposed.

    Of a file that is somebody else's, as one that a container or a service is given, only
    they can change who reads it: ssh's rule.
    """
    if status.st_uid == os.getuid() and status.st_mode & _OTHERS:
        raise Exposed(f"others may use it (mode {stat.S_IMODE(status.st_mode):04o})")


def _too_large(limit: int) -> TooLarge:
    for size, unit in ((1024 * 1024, "MiB"), (1_000_000, "MB"), (1024, "KiB")):
        if limit >= size and limit % size == 0:
            return TooLarge(f"it is over {limit // size} {unit}")
    return TooLarge(f"it is over {limit:,} bytes")
