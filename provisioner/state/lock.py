"""The lock of a state on this machine: flock, so that the kernel frees it however a run ends.

A lock file is never deleted: otherwise two runs could each hold one.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from provisioner import files
from provisioner.errors import StateError, StateLocked
from provisioner.state.disk import open_private
from provisioner.state.holder import Holder

OURS: Final = "Move it away: the provisioner needs that place for a file of its own. Nothing was sent."
_POLL: Final = 0.1
_HOLDER: Final = b'{"pid": '
"""How a lock file that names its holder begins."""


@contextmanager
def held(
    path: Path, holder: Holder, timeout: float, sleep: Callable[[float], None], *, what: str = "The state"
) -> Iterator[None]:
    """Hold the lock at ``path`` inside a ``with``; wait for it for up to ``timeout`` seconds.

    Raises:
        StateLocked: somebody else holds it; the message says who holds ``what``.
        StateError: it cannot be locked here at all.

    """
    try:
        descriptor = open_private(path, os.O_RDWR)
    except OSError as error:
        raise StateError(
            f"The lock {path} cannot be opened: {error.strerror or error}.",
            hint="The folder of the state must be writable, and the lock must be a regular file. Nothing was sent.",
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
        with suppress(OSError):  # the descriptor, and with it the lock, is gone even then
            os.close(descriptor)


def holder_of(path: Path) -> str | None:
    """Return who holds the lock at ``path`` now, or None; None too if the lock belongs to another user."""
    try:
        descriptor = files.open_file(path, own=True)
    except OSError:
        # No run has been here, or the lock belongs to another user. If the file is not a lock
        # at all, the next run that wants to hold it will say so.
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _named(descriptor)
    else:
        return None
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
                    hint=f"Wait for that run, or use --lock-timeout SECONDS. The lock is {path}; never delete it.",
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
    """Raise StateError if the file under the lock's name is something else, since it would be emptied."""
    held = os.pread(descriptor, 4096, 0).strip(b"\0")
    if held and not held.startswith(_HOLDER):
        raise StateError(
            f"{path} is not a lock: it contains something else.",
            hint=OURS,
        )


def _named(descriptor: int) -> str:
    try:
        return str(Holder(**json.loads(os.pread(descriptor, 4096, 0))))
    except (ValueError, TypeError, RecursionError):
        # The holder has not written its name yet, or the content is not a name.
        return "another run"


def _write(descriptor: int, text: bytes) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
    except OSError:
        # The name only informs people; flock is the lock. A full disk must not end the run here:
        # whether the state can be saved is checked before anything is sent.
        return
