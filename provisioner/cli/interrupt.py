"""Turns SIGINT, SIGTERM and SIGHUP into a wish that a run hears between two requests.

Owns the signal handlers while something is changed. Refuses to cut a request short: its
answer may be the only copy of a credential.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final, Self

from provisioner.errors import ExitCode

_EXITS: Final = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.TERMINATED,  # the terminal was closed
}
_SAID: Final = "Finishing the request in flight and saving its answer; then the run ends."
_LATE: Final = (
    "Octopush has not answered yet, and the run waits for it. Should the process be killed now, the account in flight"
    " is kept as pending, and shows as unknown."
)
PATIENCE: Final = 5.0
"""Seconds after a signal before it is said that no answer comes; CI runners kill after 7.5."""
_STDERR: Final = 2


class Interrupt:
    """Hears signals from :meth:`arm` to the end of a ``with``, after which nobody does.

    A signal that was ignored when the process started stays ignored: ``nohup`` and a shell
    that runs a command in the background do so on purpose.

    ``encoded`` gives a message the form that standard error has.
    """

    def __init__(self, encoded: Callable[[str], bytes]) -> None:
        self._encoded = encoded
        self._code: ExitCode | None = None
        self._armed = False
        # A pipe wakes a wait whenever the signal comes; a lock could be held at that very moment.
        self._woken, self._wake = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # What was done is reported next, which takes moments: a signal must not put the
            # words "nothing was being changed" in the place of the report.
            for number in _EXITS:
                signal.signal(number, signal.SIG_IGN)
        os.close(self._woken)
        os.close(self._wake)

    def arm(self) -> None:
        """Hear signals from here on: until now, one ends the command at once."""
        self._armed = True
        for number in _EXITS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._heard)
        signal.signal(signal.SIGALRM, self._late)

    def code(self) -> ExitCode | None:
        """Return the exit code of the first signal that came, or None."""
        return self._code

    def cancel(self) -> None:
        """End the run as a signal does."""
        if self._code is None:
            self._code = ExitCode.INTERRUPTED
            os.write(self._wake, b"!")

    def sleep(self, seconds: float) -> None:
        """Wait, or return at once when a signal comes or has come."""
        select.select([self._woken], [], [], seconds)

    def _heard(self, number: int, _: FrameType | None) -> None:
        if self._code is None:
            self._code = _EXITS[signal.Signals(number)]
            os.write(self._wake, b"!")
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            self._say(_SAID)

    def _late(self, _: int, __: FrameType | None) -> None:
        self._say(_LATE)

    def _say(self, message: str) -> None:
        # Whoever reads may be gone; an error raised here would cut the request in flight short.
        with suppress(OSError):
            os.write(_STDERR, self._encoded(message))
