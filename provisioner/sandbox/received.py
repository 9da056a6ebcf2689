"""What the API received, in order of arrival.

Owns the record of the latest requests, for tests and people to look at. Safe to share
between threads. Holds no header and no body: there is no secret in it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Final

KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class SeenKey:
    """One request that was received; ``n`` counts them from 1."""

    n: int
    method: str
    path: str
    status: int | None = None
    """What the client could read; None: nothing, or not yet."""
    fault: str | None = None


class Received:
    """The latest 10,000 requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._seen: dict[int, SeenKey] = {}

    def note(self, method: str, path: str) -> int:
        """Count one request, forget the oldest beyond those kept, and return its number."""
        with self._lock:
            self._count += 1
            self._seen[self._count] = SeenKey(self._count, method, path)
            self._seen.pop(self._count - KEPT, None)
            return self._count

    def settle(self, n: int, status: int | None, fault: str | None) -> None:
        """Note how request ``n`` was answered, unless it is forgotten already."""
        with self._lock:
            if n in self._seen:
                self._seen[n] = replace(self._seen[n], status=status, fault=fault)

    def every(self) -> tuple[SeenKey, ...]:
        """Return every request that is kept, the oldest first."""
        with self._lock:
            return tuple(self._seen.values())
