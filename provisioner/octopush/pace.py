"""Keeps requests from beginning faster than a server is to be asked.

Owns the turns: one row for every thread and every parent that sends through it, first
come, first served. Refuses to look at a request or an answer.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from provisioner.octopush.client import Exchange
from provisioner.octopush.refusals import INTERRUPTED
from provisioner.octopush.transport import Failure, Reply, Request


class Paced:
    """Carries requests as another carrier does, no more than ``rate`` of them begun in any second.

    Any number of threads may share it. ``clock`` gives seconds that never go back; ``sleep`` may
    return early when the run is interrupted: then a request that waited for its turn is not sent.
    """

    def __init__(
        self, carrier: Exchange, rate: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._carrier = carrier
        self._interval = 1 / rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free = -math.inf
        """The first turn that nobody has taken."""

    def exchange(self, request: Request) -> Reply | Failure:
        """Send ``request`` when its turn has come, and return what came of it."""
        turn = self._take_turn()
        wait = turn - self._clock()
        if wait > 0:
            self._sleep(wait)
            # Half an interval is more than a clock and a sleep differ by, and too little for a burst.
            if turn - self._clock() > self._interval / 2:
                return Failure(sent=False, reason=INTERRUPTED, interrupted=True)
        return self._carrier.exchange(request)

    def _take_turn(self) -> float:
        """Return when the next request may begin; the one after it waits an interval more."""
        with self._lock:
            turn = max(self._clock(), self._free)
            self._free = turn + self._interval
            return turn
