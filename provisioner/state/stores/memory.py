"""A state in the memory of this process: for tests, and for trying things out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from provisioner.errors import StateLocked
from provisioner.state.holder import Holder
from provisioner.state.stores import NOTE, Note, moved, version

_POLL: Final = 0.1


class MemoryStore:
    """See :class:`provisioner.state.stores.Store`; safe to share between threads."""

    backup = None
    is_here = True

    def __init__(self, name: str = "memory") -> None:
        self.address = self.key = name
        self.forgotten = b""
        """The lines of the accounts that a person had the state forget."""
        self.lines: list[str] = []
        """The lines of the history."""
        self._raw: bytes | None = None
        self._rescued = b""
        self._lock = threading.Lock()
        self._held = threading.Lock()
        self._holder: Holder | None = None

    @property
    def rescue_address(self) -> str:
        """See :class:`Store`."""
        return self.address

    def load(self) -> tuple[bytes | None, str]:
        """Return the document that was saved last."""
        with self._lock:
            return self._raw, version(self._raw)

    def newest(self, lineage: str | None) -> int:
        """Return 0: it keeps no history."""
        del lineage
        return 0

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        """Keep ``raw``."""
        del note
        with self._lock:
            if version(self._raw) != expected_version:
                raise moved(self.address)
            self._raw = raw
            return version(raw)

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """Lock it for every other user of this object."""
        waited = 0.0
        while not self._held.acquire(blocking=False):
            if waited >= timeout:
                raise StateLocked(
                    f"The state is held by {self.holder() or 'another run'}.",
                    hint="Wait for that run, or use --lock-timeout SECONDS.",
                )
            pause = min(_POLL, timeout - waited)
            sleep(pause)
            waited += pause
        try:
            self._holder = holder
            yield
        finally:
            self._holder = None
            self._held.release()

    def release(self) -> None:
        """Do nothing: it has no leases."""

    def holder(self) -> str | None:
        """See :class:`Store`."""
        return None if (this := self._holder) is None else str(this)

    def reserve(self, size: int) -> None:
        """Do nothing: there is space."""

    def rescue(self, line: bytes) -> None:
        """See :class:`Store`."""
        self._rescued += line

    def rescued(self) -> bytes:
        """See :class:`Store`."""
        return self._rescued

    def clear_rescued(self) -> None:
        """See :class:`Store`."""
        self._rescued = b""

    def keep_forgotten(self, line: bytes) -> str:
        """See :class:`Store`."""
        self.forgotten += line
        return self.address

    def record(self, note: Note) -> None:
        """See :class:`Store`."""
        self.lines += note.lines

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        return tuple(self.lines)

    def older_copies(self) -> tuple[str, ...]:
        """Return nothing: it keeps none."""
        return ()

    def files(self) -> Mapping[Path, str]:
        """Return nothing: it keeps no files."""
        return {}
