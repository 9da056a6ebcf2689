"""Keeps requests from beginning faster than a server is to be asked.

Owns the time between two beginnings. Refuses to look at a request or an answer, and
to be shared between threads: it is one row of requests that it slows down.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from provisioner.octopush.client import Exchange
from provisioner.octopush.transport import Failure, Reply, Request


class Paced:
    """Carries requests as another carrier does, no more than ``rate`` of them begun in any second."""

    def __init__(
        self, carrier: Exchange, rate: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._carrier = carrier
        self._interval = 1 / rate
        self._clock = clock
        self._sleep = sleep
        self._earliest = -math.inf

    def exchange(self, request: Request) -> Reply | Failure:
        """Send ``request`` once its time has come, and return what came of it."""
        wait = self._earliest - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._earliest = self._clock() + self._interval
        return self._carrier.exchange(request)
