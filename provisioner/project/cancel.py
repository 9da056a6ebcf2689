"""How an operation is asked to end early: between two requests, never within one."""

from __future__ import annotations

import threading
from typing import Protocol

from provisioner.errors import ExitCode


class Cancel(Protocol):
    """Asks an operation to end; may be asked from several threads."""

    def code(self) -> ExitCode | None:
        """Return the exit code of whoever asked it to end, or None while nobody has."""

    def cancel(self) -> None:
        """Ask it to end."""

    def sleep(self, seconds: float) -> None:
        """Wait, or return as soon as it is asked to end."""


class CancelToken:
    """Lets a program end an operation from another thread.

    ::

        token = CancelToken()
        threading.Timer(60, token.cancel).start()
        project.apply(plans, cancel=token)
    """

    def __init__(self) -> None:
        self._asked = threading.Event()

    def code(self) -> ExitCode | None:
        """Return INTERRUPTED once :meth:`cancel` was called."""
        return ExitCode.INTERRUPTED if self._asked.is_set() else None

    def cancel(self) -> None:
        """Let the requests in flight finish, save what they brought, and send nothing more."""
        self._asked.set()

    def sleep(self, seconds: float) -> None:
        """Wait, or return as soon as :meth:`cancel` is called."""
        self._asked.wait(seconds)
