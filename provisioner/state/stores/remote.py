"""A state that is kept elsewhere, where several machines reach it, and what this machine keeps of it.

Owns what all such stores have in common: the lease, and the files on this machine. A
``Backend`` moves the bytes, and owns the condition of a save.
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
"""How long after its last save a run counts as being at work: longer than any request and its retries take."""

_PATIENCE: Final = 30.0
"""Seconds that a run waits at its end for the history."""


class Backend(Protocol):
    """Moves the bytes of one parent's state to a place that several machines reach, and back."""

    address: str
    keeps_history: bool
    """Whether what was saved stays readable once it was replaced."""

    @property
    def key(self) -> str:
        """Return the same place, whatever machine or folder it is named from. Raises SettingInvalid."""

    def prepare(self) -> bool:
        """Make what a first save needs, where it is missing, and return whether it was; raises StateUnreachable."""

    def load(self) -> tuple[bytes | None, str]:
        """Return the document, or None, and its version; raises StateInvalid, StateUnreachable, SettingInvalid."""

    def save(self, raw: bytes, expected_version: str, note: Note, lease: Lease | None) -> str:
        """Make ``raw`` durable, together with who is at work, and return its version.

        An answer that was lost is settled by reading back.

        Raises:
            StateMoved: the version in the store is not ``expected_version``.
            StateNotSaved: the store did not take it, or nobody can say whether it did.

        """

    def try_out(self) -> str:
        """Find out whether a save would be taken, so far as that shows without one, and return what was found.

        Raises:
            StateNotSaved, StateUnreachable, SettingInvalid: it would not.

        """

    def newest(self, lineage: str | None) -> int:
        """See :class:`provisioner.state.stores.Store`."""

    def record(self, note: Note) -> None:
        """See :class:`provisioner.state.stores.Store`; right after the save that the note was for."""

    def recorded(self) -> tuple[str, ...]:
        """See :class:`provisioner.state.stores.Store`."""

    def lease(self) -> Lease | None:
        """Return the lease that is there; raises StateUnreachable."""

    def end(self, lease: str) -> None:
        """Take away the lease of this id, if it is there; raises StateError."""

    def history(self) -> tuple[Revision, ...]:
        """Return the saves, newest first; raises StateUnreachable, and Refused where none is kept."""

    def revision(self, serial: int) -> bytes | None:
        """Return the document that had this serial, the latest of several; None: there is none."""


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
        """Ours, once a save has put it there."""
        self._recorder: Executor | None = None
        self._recorded: list[Future[None]] = []
        """What the history is being told of this run."""

    def load(self) -> tuple[bytes | None, str]:
        """See :class:`Store`."""
        return self.backend.load()

    def newest(self, lineage: str | None) -> int:
        """See :class:`Store`."""
        return self.backend.newest(lineage)

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        """Save it together with the lease: who changes nothing tells nobody."""
        expires = (self._now() + _LASTS).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if self._lease is not None:
            self._lease = replace(self._lease, expires_at=expires)
        elif self._holder is not None:
            # Whether it is there is not known before the answer, nor after one that is lost.
            self._lease = Lease(self._new_id(), self._holder, expires)
            self._keep_id(self._lease.id)
        try:
            return self.backend.save(raw, expected_version, note, self._lease)
        except StateMoved:
            self._lease = None
            raise moved(self.address, self._faster()) from None

    def _faster(self) -> Holder | None:
        """Return who was faster, so far as they say so."""
        try:
            lease = self.backend.lease()
        except StateError:
            # That the state has moved matters more than who has moved it.
            return None
        return None if lease is None else lease.holder

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        """Hold it against the other runs of this machine, and wait for those of others that say to be at work."""
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
                        hint="Wait for that run, or use --lock-timeout SECONDS. If it has died, say so with"
                        f" `provisioner unlock {lease.id}`; otherwise its hold ends by itself at {lease.expires_at}.",
                    )
                wait(min(_POLL, timeout - waited))
            self._holder, self._lease = holder, None
            try:
                yield
            finally:
                self._holder = None

    def _in_force(self) -> Lease | None:
        """Return the lease of a run that may be at work: one of this machine is dead, as it is we who hold the lock."""
        lease = self.backend.lease()
        if lease is None or lease.is_over(self._now()) or lease.id == self._last_id():
            return None
        return lease

    def _keep_id(self, lease: str) -> None:
        """Have this machine know the lease for its own, should the run die."""
        try:
            write_atomically(self._beside(_LEASE), lease.encode(), Disk())
        except OSError:
            # It spares a wait of minutes. A disk that takes nothing is found out by those who need it.
            return

    def _last_id(self) -> str:
        try:
            return (read_file(self._beside(_LEASE)) or b"").decode(errors="replace")
        except OSError:
            # It may be somebody else's file: then it says nothing.
            return ""

    def let_go(self) -> None:
        """See :class:`Store`; wait for what the history is being told."""
        lease, self._lease = self._lease, None
        try:
            self._end_records()
        finally:
            if lease is not None:
                self.backend.end(lease.id)

    def holder(self) -> str | None:
        """See :class:`Store`: a run of this machine, or one of another that says so."""
        if (here := super().holder()) is not None:
            return here
        lease = self.backend.lease()
        return None if lease is None or lease.is_over(self._now()) else str(lease.holder)

    def record(self, note: Note) -> None:
        """See :class:`Store`: in a thread of its own, as a save may be followed by a request that must not wait."""
        if self._recorder is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # most commands save nothing

            self._recorder = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._recorded.append(self._recorder.submit(self.backend.record, note))

    def _end_records(self) -> None:
        """Wait a while until the history has this run; raises StateError if it has not taken everything."""
        recorder, self._recorder = self._recorder, None
        recorded, self._recorded = self._recorded, []
        if recorder is None:
            return
        from concurrent.futures import wait  # noqa: PLC0415  # as above

        done, late = wait(recorded, self._patience)
        # What is under way ends by itself; each of the others could take as long again.
        recorder.shutdown(wait=not late, cancel_futures=True)
        failure = next(filter(None, (each.exception() for each in done)), None)
        if failure is None and not late:
            return
        if isinstance(failure, ProvisionerError):
            said = failure.message
        else:
            said = f"It failed ({type(failure).__name__})." if failure else f"It takes more than {self._patience:g} s."
        raise StateError(f"The history lacks what this run did. {said}") from failure

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        return self.backend.recorded()

    def older_copies(self) -> tuple[str, ...]:
        """See :class:`Store`."""
        history = (f"the history of {self.address}",) if self.backend.keeps_history else ()
        return (*super().older_copies(), *history)

    def files(self) -> Mapping[Path, str]:
        """See :class:`Store`."""
        lease = {self._beside(_LEASE): "next to the state"}
        elsewhere = {self.path, self._beside(HISTORY)}
        return {path: what for path, what in super().files().items() if path not in elsewhere} | lease
