"""A state that is kept where several machines can reach it, with local files on each machine.

Has what all such stores have in common: the lease, and the local files. A ``Backend`` moves the
bytes and enforces the condition of a save.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from provisioner.errors import ProvisionerError, StateError, StateLocked, StateMoved
from provisioner.model.revision import Revision
from provisioner.state.disk import Disk, read_file, write_atomically
from provisioner.state.holder import Holder
from provisioner.state.lease import Lease
from provisioner.state.stores import NOTE, Note, moved
from provisioner.state.stores.local_files import HISTORY, LocalFiles

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

_LEASE: Final = "lease"
_POLL: Final = 2.0
_LASTS: Final = timedelta(minutes=10)
"""How long after its last save a run counts as at work: longer than any request with its retries."""

_PATIENCE: Final = 30.0
"""Seconds that a run waits at its end for the history."""


class Backend(Protocol):
    """Moves the bytes of one parent's state to a place that several machines reach, and back."""

    address: str
    keeps_history: bool
    """Whether earlier saves remain readable."""

    @property
    def key(self) -> str:
        """The same for every machine and folder from which the place is named. Raises SettingInvalid."""

    def prepare(self) -> bool:
        """Create what a first save needs, and return whether anything was missing; raises StateUnreachable."""

    def load(self) -> tuple[bytes | None, str]:
        """Return the document, or None, and its version; raises StateInvalid, StateUnreachable, SettingInvalid."""

    def save(self, raw: bytes, expected_version: str, note: Note, lease: Lease | None) -> str:
        """Make ``raw`` durable together with the lease, and return its version.

        If the answer is lost, reads back whether it was saved.

        Raises:
            StateMoved: the version in the store is not ``expected_version``.
            StateNotSaved: it was not saved, or nobody can know whether it was.

        """

    def try_out(self) -> str:
        """Check, as far as possible without saving, whether a save would succeed, and return what was found.

        Raises:
            StateNotSaved, StateUnreachable, SettingInvalid: it would fail.

        """

    def newest(self, lineage: str | None) -> int:
        """See :class:`provisioner.state.stores.Store`."""

    def record(self, note: Note) -> None:
        """See :class:`provisioner.state.stores.Store`; right after the save that the note was for."""

    def recorded(self) -> tuple[str, ...]:
        """See :class:`provisioner.state.stores.Store`."""

    def lease(self) -> Lease | None:
        """Return the lease in the store, or None; raises StateUnreachable."""

    def end(self, lease: str) -> None:
        """Remove the lease with this id, if there is one; raises StateError."""

    def history(self) -> tuple[Revision, ...]:
        """Return the saves, newest first; raises StateUnreachable, or Refused if the store keeps none."""

    def revision(self, serial: int) -> bytes | None:
        """Return the document with this serial, the latest if there are several, or None."""


class RemoteStore(LocalFiles):
    """See :class:`provisioner.state.stores.Store`."""

    is_here = False

    def __init__(
        self,
        backend: Backend,
        folder: Path,
        new_id: Callable[[], str],
        now: Callable[[], datetime],
        patience: float = _PATIENCE,
    ) -> None:
        super().__init__(folder / f"{hashlib.sha256(backend.key.encode()).hexdigest()[:32]}.json")
        self.address, self.key = backend.address, backend.key
        self.backend = backend
        self._new_id = new_id
        self._now = now
        self._patience = patience
        self._holder: Holder | None = None
        self._lease: Lease | None = None
        """Our own, once a save has written it."""
        self._recorder: Executor | None = None
        self._records: list[Future[None]] = []
        """The writes of this run to the history."""

    def load(self) -> tuple[bytes | None, str]:
        """See :class:`Store`."""
        return self.backend.load()

    def newest(self, lineage: str | None) -> int:
        """See :class:`Store`."""
        return self.backend.newest(lineage)

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        """Save it together with the lease: a run that changes nothing needs none."""
        expires = (self._now() + _LASTS).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if self._lease is not None:
            self._lease = replace(self._lease, expires_at=expires)
        elif self._holder is not None:
            # If the answer is lost, the lease may be in the store without our knowing.
            self._lease = Lease(self._new_id(), self._holder, expires)
            self._keep_id(self._lease.id)
        try:
            return self.backend.save(raw, expected_version, note, self._lease)
        except StateMoved:
            self._lease = None
            raise moved(self.address, self._other_holder()) from None

    def _other_holder(self) -> Holder | None:
        """Return who saved before us, if they left a lease."""
        try:
            lease = self.backend.lease()
        except StateError:
            # That the state has changed matters more than who changed it.
            return None
        return None if lease is None else lease.holder

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """Lock out other runs on this machine, and wait for those on other machines that have a lease."""
        waited = 0.0

        def wait(seconds: float) -> None:
            nonlocal waited
            waited += seconds
            sleep(seconds)

        with super().hold(holder, timeout=timeout, sleep=wait):
            while (lease := self._in_force()) is not None:
                if waited >= timeout:
                    raise StateLocked(
                        f"The state is held by {lease.holder}.",
                        hint="Wait for that run, or use --lock-timeout SECONDS. If it has died, end its lease with"
                        f" `provisioner unlock {lease.id}`; otherwise the lease expires at {lease.expires_at}.",
                    )
                wait(min(_POLL, timeout - waited))
            self._holder, self._lease = holder, None
            try:
                yield
            finally:
                self._holder = None

    def _in_force(self) -> Lease | None:
        """Return the lease of a run that may be at work; a run of this machine is dead, because we hold its lock."""
        lease = self.backend.lease()
        if lease is None or lease.is_over(self._now()) or lease.id == self._last_id():
            return None
        return lease

    def _keep_id(self, lease: str) -> None:
        """Save the id of our lease, so that this machine recognizes it if the run dies."""
        try:
            write_atomically(self._sibling(_LEASE), lease.encode(), Disk())
        except OSError:
            # It only saves a wait of minutes. Other writes, which matter, report a full disk.
            return

    def _last_id(self) -> str:
        try:
            return (read_file(self._sibling(_LEASE)) or b"").decode(errors="replace")
        except OSError:
            # It may be somebody else's file: ignore it.
            return ""

    def release(self) -> None:
        """See :class:`Store`; waits until the history is written."""
        lease, self._lease = self._lease, None
        try:
            self._end_records()
        finally:
            if lease is not None:
                self.backend.end(lease.id)

    def holder(self) -> str | None:
        """See :class:`Store`: a run of this machine, or one of another machine that has a lease."""
        if (here := super().holder()) is not None:
            return here
        lease = self.backend.lease()
        return None if lease is None or lease.is_over(self._now()) else str(lease.holder)

    def record(self, note: Note) -> None:
        """See :class:`Store`; in a thread of its own, because the request after a save must not wait."""
        if self._recorder is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # most commands save nothing

            self._recorder = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._records.append(self._recorder.submit(self.backend.record, note))

    def _end_records(self) -> None:
        """Wait a limited time until the history of this run is written; raises StateError if a write failed."""
        recorder, self._recorder = self._recorder, None
        records, self._records = self._records, []
        if recorder is None:
            return
        from concurrent.futures import wait  # noqa: PLC0415  # as above

        done, late = wait(records, self._patience)
        # A write under way ends by itself; each of the others could take as long again.
        recorder.shutdown(wait=not late, cancel_futures=True)
        failure = next(filter(None, (each.exception() for each in done)), None)
        if failure is None and not late:
            return
        if isinstance(failure, ProvisionerError):
            reason = failure.message
        else:
            reason = (
                f"It failed ({type(failure).__name__})." if failure else f"It takes more than {self._patience:g} s."
            )
        raise StateError(f"The history lacks what this run did. {reason}") from failure

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        return self.backend.recorded()

    def older_copies(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        history = (f"the history of {self.address}",) if self.backend.keeps_history else ()
        return (*super().older_copies(), *history)

    def files(self) -> Mapping[Path, str]:
        """See :class:`Store`."""
        lease = {self._sibling(_LEASE): "next to the state"}
        elsewhere = {self.path, self._sibling(HISTORY)}
        return {path: what for path, what in super().files().items() if path not in elsewhere} | lease
