"""Limits the rate at which requests are sent.

All threads and all parents that share it wait in one queue: first come, first served. Does
not look at requests or answers.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from provisioner.octopush.client import Exchange
from provisioner.octopush.refusals import INTERRUPTED
from provisioner.octopush.transport import Failure, Reply, Request


class Paced:
    """Sends requests through ``carrier``, at most ``rate`` of them per second.

    Any number of threads may share it. ``clock`` returns seconds and is monotonic. ``sleep`` may
    return early if the run is interrupted; a request that was waiting for its turn is then not sent.
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
        """The time of the first free turn."""

    def exchange(self, request: Request) -> Reply | Failure:
        """Send ``request`` when its turn comes, and return the outcome."""
        turn = self._take_turn()
        wait = turn - self._clock()
        if wait > 0:
            self._sleep(wait)
            # Half an interval is more than the clock and the sleep can differ by, and too little for a burst.
            if turn - self._clock() > self._interval / 2:
                return Failure(sent=False, reason=INTERRUPTED, interrupted=True)
        return self._carrier.exchange(request)

    def _take_turn(self) -> float:
        """Return when the next request may be sent; the one after it waits an interval longer."""
        with self._lock:
            turn = max(self._clock(), self._free)
            self._free = turn + self._interval
            return turn
