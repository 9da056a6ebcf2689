"""Helpers for the tests of the state: examples, disks that fail, and other processes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from provisioner.model.account import Attributes, Callbacks
from provisioner.model.state import Abandoned, Active, Operation, Pending, State, Unknown
from provisioner.state.disk import Disk
from provisioner.state.holder import Holder

# ── Examples ─────────────────────────────────────────────────────────────────

SEALED: Final = "-----BEGIN AGE ENCRYPTED FILE-----\nc2VhbGVk\n-----END AGE ENCRYPTED FILE-----\n"
OPERATION: Final = Operation("op-1", "2026-01-02T03:04:05Z", "ada@laptop")
LEONARDO: Final = Attributes(
    "Léonardo", "Da Vinci", "Italy", Callbacks(callback_url_for_visits="https://h.example/v?t=${env:T}")
)
PENDING: Final = Pending(LEONARDO, OPERATION, SEALED)
ACTIVE: Final = Active(LEONARDO, OPERATION, "2026-01-02T03:04:06Z", SEALED)
UNKNOWN: Final = Unknown(LEONARDO, OPERATION, "the answer was cut", SEALED)
ABANDONED: Final = Abandoned(LEONARDO, OPERATION, "nobody remembers")
STATE: Final = State(
    lineage="lineage-1",
    parent="default",
    serial=3,
    endpoint="https://api.example/v1",
    parent_check="00$00",
    recipients=("age1abc",),
    accounts={"paris": ACTIVE, "rome": UNKNOWN, "oslo": ABANDONED},
)
LATER: Final = STATE.with_record("lima", PENDING)
ADA: Final = Holder(4711, "laptop", "ada", "2026-01-02T03:04:05Z", "https://ci.example/run/7")
BOB: Final = Holder(12, "server", "bob", "2026-01-02T03:04:06Z")


def never(seconds: float) -> None:
    """A sleep for runs that must not wait."""
    raise AssertionError(f"It slept for {seconds} seconds.")


def of_operation(record: Active | Pending | Unknown, operation: str) -> Active | Pending | Unknown:
    """Return ``record`` as another operation would have left it."""
    return replace(record, operation=replace(record.operation, id=operation))


@contextmanager
def with_umask(mask: int) -> Iterator[None]:
    """Use another umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    """Return the permissions of ``path``."""
    return stat.S_IMODE(path.stat().st_mode)


UMASKS: Final = (0, 0o022, 0o377, 0o777)


# ── Disks that fail, and a process that dies at one of their calls ───────────


def full() -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


class ScriptedDisk(Disk):
    """Records its calls; before call number ``at``, or in the middle of it if it is a write, it calls ``then``."""

    def __init__(self, at: int = 0, then: Callable[[], None] = full) -> None:
        self.calls: list[str] = []
        self._at = at
        self._then = then

    def write(self, descriptor: int, data: bytes) -> None:
        if len(self.calls) + 1 == self._at:
            super().write(descriptor, data[: len(data) // 2])
        self._step("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._step("sync")
        super().sync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._step(f"replace {target.name}")
        super().replace(source, target)

    def sync_folder(self, folder: Path) -> None:
        self._step(f"folder {folder.name}")
        super().sync_folder(folder)

    def _step(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) == self._at:
            self._then()


# ── Other processes ──────────────────────────────────────────────────────────

_TOP: Final = Path(__file__).parents[2]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: a full disk, if nothing can be mounted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mounts: Final = pytest.mark.skipif(not _may_mount(), reason="unshare may not mount a tmpfs here")


def with_disk_of(size: str, folder: Path, function: Callable[[Path], None]) -> None:
    """Call ``function``, of a module, where ``folder`` is a disk of that size; its failures fail the caller."""
    _in_namespace(f'mount -t tmpfs -o size={size} none "$0"', folder, function)


def with_read_only(folder: Path, function: Callable[[Path], None]) -> None:
    """Call ``function``, of a module, where nothing in ``folder`` can be changed; its failures fail the caller."""
    _in_namespace('mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"', folder, function)


def _in_namespace(mount: str, folder: Path, function: Callable[[Path], None]) -> None:
    script = f'{mount} && exec "$@"'
    code = f"from pathlib import Path; import {function.__module__} as m; m.{function.__name__}(Path({str(folder)!r}))"
    command = ["unshare", "-Urm", "sh", "-c", script, str(folder), sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=_TOP)
    assert (0, "") == (done.returncode, done.stderr)


def fill(folder: Path) -> Path:
    """Write into ``folder`` until its disk is full and return the file that fills it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert errno.ENOSPC == error.errno  # noqa: PT017  # that it is raised ends the loop
    return ballast
