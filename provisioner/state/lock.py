"""Lets one run at a time hold a state.

Owns ``<state>.lock``: held with flock, so that the kernel frees it however the
run ends; never deleted, because a deleted lock file can be held twice. What is
written in it only serves to name the holder.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from provisioner.errors import StateError, StateLocked
from provisioner.state.disk import open_private

_POLL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a state."""

    pid: int
    host: str
    user: str
    started_at: str
    ci_run: str | None = None
    """Address of the CI run, where there is one."""

    def __str__(self) -> str:
        run = f", {self.ci_run}" if self.ci_run else ""
        return f"process {self.pid} of {self.user} on {self.host}, since {self.started_at}{run}"


@contextmanager
def held(path: Path, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
    """Hold the lock at ``path`` for the length of a ``with``; wait up to ``timeout`` seconds for it.

    Raises:
        StateLocked: somebody else holds it; the message says who.
        StateError: the file cannot be made or locked.

    """
    try:
        descriptor = open_private(path, os.O_RDWR)
    except OSError as error:
        raise StateError(
            f"The lock {path} cannot be opened: {error.strerror or error}.",
            hint="The folder of the state must be writable and the lock no link. Nothing was sent.",
        ) from error
    try:
        _acquire(descriptor, path, timeout, sleep)
        _write(descriptor, json.dumps(asdict(holder)).encode())
        try:
            yield
        finally:
            _write(descriptor, b"")
    finally:
        os.close(descriptor)


def holder(path: Path) -> str | None:
    """Return who holds the lock at ``path`` just now, or None; nothing is made or waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        # No run has been here, or its lock is another user's: nothing can be said of it.
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _holder(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, timeout: float, sleep: Callable[[float], None]) -> None:
    waited = 0.0
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waited >= timeout:
                raise StateLocked(
                    f"The state is held by {_holder(descriptor)}.",
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


def _holder(descriptor: int) -> str:
    try:
        return str(Holder(**json.loads(os.pread(descriptor, 4096, 0))))
    except (ValueError, TypeError, RecursionError):
        # The holder has not written its name yet, or what is there is no name.
        return "another run"


def _write(descriptor: int, text: bytes) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
    except OSError:
        # The name is a courtesy; the lock is flock's. A full disk must not end a run here:
        # whether the state itself can be saved is found out before anything is sent.
        return
