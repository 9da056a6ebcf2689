"""Turns SIGINT, SIGTERM and SIGHUP into a request to stop, which a run checks between two API requests.

Owns the signal handlers while something is being changed. Never interrupts an API request:
its answer may be the only copy of a credential.
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
_FINISHING: Final = "Finishing the request in flight and saving its answer; then the run ends."
_NO_ANSWER: Final = (
    "Octopush has not answered yet, and the run is waiting. If you kill the process now, the account in flight stays"
    " pending, and the next run shows it as unknown."
)
PATIENCE: Final = 5.0
"""Seconds between a signal and the message that no answer has come; CI runners kill after 7.5."""
_STDERR: Final = 2


class Interrupt:
    """Handles signals from :meth:`arm` to the end of a ``with``; afterwards, they are ignored.

    A signal that was ignored when the process started stays ignored: ``nohup`` and shells
    with background jobs do that on purpose.

    ``encoded`` encodes a message for standard error.
    """

    def __init__(self, encoded: Callable[[str], bytes]) -> None:
        self._encoded = encoded
        self._code: ExitCode | None = None
        self._armed = False
        # A pipe ends a wait whenever a signal comes; a lock could be held at that very moment.
        self._woken, self._wake = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # The report comes next and takes only moments: a signal must not replace it with
            # "nothing was being changed".
            for number in _EXITS:
                signal.signal(number, signal.SIG_IGN)
        os.close(self._woken)
        os.close(self._wake)

    def arm(self) -> None:
        """Handle signals from here on; before this call, a signal ends the command at once."""
        self._armed = True
        for number in _EXITS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)

    def code(self) -> ExitCode | None:
        """Return the exit code of the first signal, or None if none has come."""
        return self._code

    def cancel(self) -> None:
        """End the run as a signal does."""
        if self._code is None:
            self._code = ExitCode.INTERRUPTED
            os.write(self._wake, b"!")

    def sleep(self, seconds: float) -> None:
        """Wait, or return at once when a signal comes or has come."""
        select.select([self._woken], [], [], seconds)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._code is None:
            self._code = _EXITS[signal.Signals(number)]
            os.write(self._wake, b"!")
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            self._say(_FINISHING)

    def _on_alarm(self, _: int, __: FrameType | None) -> None:
        self._say(_NO_ANSWER)

    def _say(self, message: str) -> None:
        # The reader may be gone, and an error raised here would interrupt the request in flight.
        with suppress(OSError):
            os.write(_STDERR, self._encoded(message))
