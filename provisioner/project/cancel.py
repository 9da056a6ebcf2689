"""Ends an operation early: between two requests, never during one."""

from __future__ import annotations

import threading
from typing import Protocol

from provisioner.errors import ExitCode


class Cancel(Protocol):
    """Asks an operation to end; safe to call from several threads."""

    def code(self) -> ExitCode | None:
        """Return the exit code to end with, or None if the operation was not cancelled."""

    def cancel(self) -> None:
        """Ask the operation to end."""

    def sleep(self, seconds: float) -> None:
        """Wait, but return as soon as the operation is cancelled."""


class CancelToken:
    """Lets a program end an operation from another thread.

    ::

        token = CancelToken()
        threading.Timer(60, token.cancel).start()
        project.apply(plans, cancel=token)
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def code(self) -> ExitCode | None:
        """Return INTERRUPTED after :meth:`cancel` was called."""
        return ExitCode.INTERRUPTED if self._cancelled.is_set() else None

    def cancel(self) -> None:
        """Let the requests in flight finish, save their outcomes, and send nothing more."""
        self._cancelled.set()

    def sleep(self, seconds: float) -> None:
        """Wait, but return as soon as :meth:`cancel` is called."""
        self._cancelled.wait(seconds)
