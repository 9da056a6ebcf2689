"""Reading files safely: check what is at a path before opening it, and read no more than a limit.

Decides which files may be read whole, and which can be our own. Waits on a pipe only where
the caller allows one, and follows no link to a file of our own.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MAX_STATE_BYTES: Final = 256 * 1024 * 1024
"""For a state and the files next to it: far more than is practical, so that no state outgrows it."""

_MAX_AUTHORITIES_BYTES: Final = 10_000_000

_PIECE: Final = 1024 * 1024
_OTHERS: Final = 0o077
_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class Unfit(OSError):  # noqa: N818  # an OSError, so that code which reports why a file cannot be used covers it too
    """The file at a path cannot be used; ``strerror`` says why, as the end of a sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EINVAL, why)


class NotAFile(Unfit):
    """It is not a regular file, or it is a link where only a file of our own may be."""


class TooLarge(Unfit):
    """It is larger than the limit."""


class Exposed(Unfit):
    """It must be private, and others can read it."""


def require_fit(status: os.stat_result, *, own: bool = False) -> None:
    """Require that ``status`` is a regular file's and, if it is our ``own``, without a hard link; raises Unfit."""
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "a device")
        raise NotAFile(f"it is {kind}, and not a file")
    if own and status.st_nlink > 1:
        raise NotAFile("it is a hard link: the same file has another name")


def require_own(path: Path) -> bool:
    """Return whether a file of our own is at ``path``; raises Unfit if something else is."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    require_fit(status, own=True)
    return True


def open_file(path: Path, flags: int = os.O_RDONLY, *, own: bool = False, mode: int = 0o600) -> int:
    """Open or create the regular file at ``path`` and return its descriptor, without ever blocking.

    ``own``: only we create it, so a link in its place is refused. Raises OSError.
    """
    try:
        # Check before opening: opening a device can have side effects.
        require_fit(path.lstat() if own else _status(path), own=own)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    return _opened(path, flags | (os.O_NOFOLLOW if own else 0), mode, own=own)


def _status(path: Path) -> os.stat_result:
    """Return the status of the file that ``path`` leads to. Raises OSError: NotAFile for a dangling link."""
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise NotAFile("it is a link that leads nowhere") from None
        raise


def require_folders(path: Path) -> None:
    """Require that every parent of ``path`` that exists is a folder.

    Raises NotADirectoryError, also for a dangling link: it may lead to a disk that is not
    mounted, and what is on that disk is unknown.
    """
    for folder in path.parents:
        if os.path.lexists(folder) and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is not a folder")


def _opened(path: Path, flags: int, mode: int, *, own: bool) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        # Something else may have taken its place since the first check.
        require_fit(os.fstat(descriptor), own=own)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read(path: Path, limit: int, *, own: bool = False, private: bool = False) -> bytes:
    """Return the content of the regular file at ``path``, at most ``limit`` bytes.

    ``private``: refuse it if others can read it, as ssh does. Raises OSError: Unfit if the
    file cannot be used.
    """
    descriptor = open_file(path, own=own)
    with os.fdopen(descriptor, "rb", buffering=0):
        if private:
            require_private(os.fstat(descriptor))
        if os.fstat(descriptor).st_size > limit:
            raise _too_large(limit)
        return bounded(descriptor, limit)


def read_or_pipe(path: Path, limit: int) -> bytes:
    """Return the content of a file or of a pipe, as in ``<(command)``; a pipe without a writer is empty."""
    if not stat.S_ISFIFO(_status(path).st_mode):
        return read(path, limit)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0):
        os.set_blocking(descriptor, True)
        return bounded(descriptor, limit)


def read_authorities(path: Path) -> str:
    """Return the PEM text of a file of certificate authorities; raises OSError.

    Text around the certificates, such as a comment in any encoding, does not matter.
    """
    return read(path, _MAX_AUTHORITIES_BYTES).decode("ascii", "ignore")


def bounded(descriptor: int, limit: int) -> bytes:
    """Read ``descriptor`` to its end, at most ``limit`` bytes; raises OSError, TooLarge."""
    content = bytearray()
    while piece := os.read(descriptor, _PIECE):
        content += piece
        if len(content) > limit:
            raise _too_large(limit)
    return bytes(content)


def require_private(status: os.stat_result) -> None:
    """Refuse a file of our own user that others can read, write or execute; raises Exposed.

    A file of another user, as a container or a service gets it, is accepted, as ssh does: only its owner
    can change who may read it.
    """
    if status.st_uid == os.getuid() and status.st_mode & _OTHERS:
        raise Exposed(f"others may use it (mode {stat.S_IMODE(status.st_mode):04o})")


def _too_large(limit: int) -> TooLarge:
    for size, unit in ((1024 * 1024, "MiB"), (1_000_000, "MB"), (1024, "KiB")):
        if limit >= size and limit % size == 0:
            return TooLarge(f"it is over {limit // size} {unit}")
    return TooLarge(f"it is over {limit:,} bytes")
