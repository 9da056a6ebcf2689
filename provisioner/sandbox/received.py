"""What the API received, in order of arrival.

Keeps the latest requests for tests and people to look at. Safe to share between threads.
Keeps no header and no body, so it contains no secret.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from provisioner.immutable import immutable

KEPT: Final = 10_000


@immutable
class ReceivedRequest:
    """One received request; ``n`` counts them from 1."""

    n: int
    method: str
    path: str
    status: int | None = None
    """The status that the client received; None: none, or not yet."""
    fault: str | None = None


class Received:
    """The latest 10,000 requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._requests: dict[int, ReceivedRequest] = {}

    def note(self, method: str, path: str) -> int:
        """Record one request, drop the oldest if there are too many, and return its number."""
        with self._lock:
            self._count += 1
            self._requests[self._count] = ReceivedRequest(self._count, method, path)
            self._requests.pop(self._count - KEPT, None)
            return self._count

    def settle(self, n: int, status: int | None, fault: str | None) -> None:
        """Record the answer to request ``n``, unless the request was dropped."""
        with self._lock:
            if n in self._requests:
                self._requests[n] = replace(self._requests[n], status=status, fault=fault)

    def every(self) -> tuple[ReceivedRequest, ...]:
        """Return the latest requests, oldest first."""
        with self._lock:
            return tuple(self._requests.values())
