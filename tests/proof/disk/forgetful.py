"""A file system in memory that keeps a log of all that is done to it: ``python -m tests.proof.disk.forgetful``.

Works as any other until the power is cut: what could then be left follows from the log, in
``states``. One request at a time, so that the log has one order for all processes.

An extended attribute of the top folder gives it an order:

- ``user.settle``: everything so far will last;
- ``user.fail`` = ``N NAME``: the Nth rename to NAME from now on fails (EIO);
- ``user.kill`` = ``N FOLDER``: kill the process that makes the Nth entry of the log from now on that is about
  something in FOLDER, right after it.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mfusepy

from tests.proof.disk import log
from tests.proof.disk.log import TOP, Make, Mode, Name, Operation, Settle, Size, Sync, Write


@dataclass(slots=True)
class _Inode:
    number: int
    mode: int
    path: str
    """Where it was made."""
    links: int = 0
    data: bytearray = field(default_factory=bytearray)
    names: dict[str, int] = field(default_factory=dict)
    changed: int = field(default_factory=time.time_ns)


class Forgetful(mfusepy.Operations):
    """The file system; each method is one request of the kernel, and raises OSError."""

    use_ns = True
    flag_nopath = flag_nullpath_ok = True
    """An open file may have lost its name: then there is no path. It can be read, but libfuse refuses its ``fstat``."""

    def __init__(self, recording: Path) -> None:
        self._log = recording.open("wb", buffering=0)
        self._inodes = {TOP: _Inode(TOP, stat.S_IFDIR | 0o755, "/", 2)}
        self._last = TOP
        self._open: dict[int, tuple[_Inode, int]] = {}
        """By handle, the open inode and the flags of its ``open``."""
        self._handle = 0
        self._fails, self._fail_in = "", 0
        self._kill_in, self._kill_where = 0, ""

    # ── Orders ───────────────────────────────────────────────────────────

    def setxattr(self, path: str, name: str, value: bytes, options: int, *_: int) -> int:
        del options
        match path, name:
            case "/", "user.settle":
                self._record(self._inodes[TOP], Settle())
            case "/", "user.fail":
                number, self._fails = value.decode().split()
                self._fail_in = int(number)
            case "/", "user.kill":
                number, self._kill_where = value.decode().split()
                self._kill_in = int(number)
            case _:
                raise OSError(errno.ENOTSUP, "no such order")
        return 0

    def _record(self, about: _Inode, operation: Operation) -> None:
        self._log.write(log.line(operation))
        if self._kill_in and about.path.startswith(self._kill_where):
            self._kill_in -= 1
            if not self._kill_in:
                with suppress(ProcessLookupError):
                    os.kill(mfusepy.fuse_get_context()[2], signal.SIGKILL)

    # ── Names ────────────────────────────────────────────────────────────

    def _find(self, path: str) -> _Inode:
        inode = self._inodes[TOP]
        for name in filter(None, path.split("/")):
            if name not in inode.names:
                raise OSError(errno.ENOENT, path)
            inode = self._inodes[inode.names[name]]
        return inode

    def _place(self, path: str) -> tuple[_Inode, str]:
        folder, _, name = path.rpartition("/")
        return self._find(folder), name

    def _set(self, folder: _Inode, *names: tuple[str, int | None]) -> None:
        for name, number in names:
            if (old := folder.names.pop(name, None)) is not None:
                self._inodes[old].links -= 1
            if number is not None:
                folder.names[name] = number
                self._inodes[number].links += 1
        folder.changed = time.time_ns()
        self._record(folder, Name(folder.number, names))

    def _made(self, path: str, mode: int) -> _Inode:
        folder, name = self._place(path)
        self._last += 1
        made = self._inodes[self._last] = _Inode(self._last, mode, path)
        self._record(made, Make(made.number, mode))
        self._set(folder, (name, made.number))
        return made

    def mkdir(self, path: str, mode: int) -> int:
        self._made(path, stat.S_IFDIR | mode)
        return 0

    def unlink(self, path: str) -> int:
        folder, name = self._place(path)
        self._set(folder, (name, None))
        return 0

    def rmdir(self, path: str) -> int:
        if self._find(path).names:
            raise OSError(errno.ENOTEMPTY, path)
        return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        (folder, before), (other, after) = self._place(old), self._place(new)
        if folder is not other:
            raise OSError(errno.EXDEV, "this disk renames within a folder only")
        if self._fails == after:
            self._fail_in -= 1
            if self._fail_in == 0:
                raise OSError(errno.EIO, new)
        self._set(folder, (before, None), (after, folder.names[before]))
        return 0

    def link(self, target: str, source: str) -> int:
        folder, name = self._place(target)
        self._set(folder, (name, self._find(source).number))
        return 0

    # ── What an inode is ─────────────────────────────────────────────────

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        inode = self._at(path, fh)
        return {
            "st_mode": inode.mode,
            "st_ino": inode.number,
            "st_nlink": inode.links,
            "st_size": len(inode.data),
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
            **dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), inode.changed),
        }

    def _at(self, path: str | None, handle: int | None) -> _Inode:
        if handle in self._open:
            return self._open[handle][0]
        if path is None:
            raise OSError(errno.ESTALE, "it has neither a name nor a handle")
        return self._find(path)

    def chmod(self, path: str, mode: int) -> int:
        inode = self._find(path)
        inode.mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(mode)
        self._record(inode, Mode(inode.number, inode.mode))
        return 0

    def utimens(self, path: str, times: object = None) -> int:
        del times
        self._find(path).changed = time.time_ns()
        return 0

    def readdir(self, path: str | None, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        folder = self._at(path, fh)
        for name, number in {".": folder.number, "..": TOP, **folder.names}.items():
            yield name, {"st_mode": self._inodes[number].mode, "st_ino": number}, 0

    # ── What a file holds ────────────────────────────────────────────────

    def _opened(self, inode: _Inode, flags: int) -> int:
        self._handle += 1
        self._open[self._handle] = inode, flags
        return self._handle

    def open(self, path: str, flags: int) -> int:
        inode = self._find(path)
        if flags & os.O_TRUNC and inode.data:
            self._change(inode, Size(inode.number, 0))
        return self._opened(inode, flags)

    def create(self, path: str, mode: int, flags: int) -> int:
        return self._opened(self._made(path, stat.S_IFREG | stat.S_IMODE(mode)), flags)

    def opendir(self, path: str) -> int:
        return self._opened(self._find(path), 0)

    def release(self, path: str | None, fh: int) -> int:
        del path, self._open[fh]
        return 0

    releasedir = release

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        del path
        return bytes(self._open[fh][0].data[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        del path
        inode, flags = self._open[fh]
        if flags & os.O_APPEND:
            offset = len(inode.data)
        self._change(inode, Write(inode.number, offset, data))
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        inode = self._at(path, fh)
        self._change(inode, Size(inode.number, length))
        return 0

    def _change(self, inode: _Inode, change: Write | Size) -> None:
        log.carry_out(inode.data, change)
        inode.changed = time.time_ns()
        self._record(inode, change)

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        del path, datasync
        inode, _ = self._open[fh]
        self._record(inode, Sync(inode.number))
        return 0

    fsyncdir = fsync


class _Fuse(mfusepy.FUSE):
    """The bridge to libfuse 3, where it is whole: mfusepy 3.1.1 drops the handle of an ftruncate."""

    def truncate_fuse_3(self, path: bytes | None, length: int, fip: Any) -> int:  # noqa: ANN401  # a pointer of C's
        return int(self.ftruncate(path, length, fip))


def main(folder: str, recording: str) -> None:
    """Mount it at ``folder``, and serve until it is unmounted."""
    # The kernel must keep nothing: what a process does reaches the log before its call returns.
    _Fuse(
        Forgetful(Path(recording)),
        folder,
        foreground=True,
        nothreads=True,
        direct_io=True,
        hard_remove=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
