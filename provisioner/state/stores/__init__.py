"""Where states are kept: the interface of all stores.

A store moves bytes; the codec knows what they mean. A store enforces that a save fails if the
version has changed since the load, so that two runs never save the same intent. It also keeps the
files next to the state: a lock, a backup, rescued and forgotten lines. The contract is the same
for all stores, and one test suite runs over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from provisioner.errors import StateMoved
from provisioner.immutable import immutable

if TYPE_CHECKING:
    from provisioner.state.holder import Holder

ABSENT: Final = ""
"""The version of a state that does not exist."""


@immutable
class Note:
    """What a store with a history records about a save."""

    lineage: str = ""
    serial: int = 0
    """The serial of the document; 0: unknown."""
    what: str = "Save the state"
    """What has changed, as the subject line of a commit."""
    lines: tuple[str, ...] = ()
    """The lines that the save adds to the history, in ASCII."""


NOTE: Final = Note()


class Store(Protocol):
    """One parent's state in one place."""

    address: str
    """Where it is kept, as people write it."""
    key: str
    """The same for every folder that the command is run from."""
    is_here: bool
    """Whether it is on this machine: then rescued lines are next to it."""

    # ── The state ────────────────────────────────────────────────────────────

    def load(self) -> tuple[bytes | None, str]:
        """Return the document, or None if there is none, and its version.

        Raises:
            StateInvalid: the state cannot be read.

        """

    def newest(self, lineage: str | None) -> int:
        """Return the highest serial of ``lineage``, or of any, in the history as of the last load.

        0 if the store keeps no history. A state that is older than its own history was put back.
        """

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        """Make ``raw`` durable and return its version.

        Raises:
            StateMoved: the version in the store is not ``expected_version``.
            StateNotSaved: the save failed; only a load shows whether the store now has the
                old or the new document.

        """

    # ── Its history ──────────────────────────────────────────────────────────

    def record(self, note: Note) -> None:
        """Save the lines of ``note``, unless its save did so; at the latest when the run releases the state.

        Only for the holder.

        Raises:
            StateError: they are not saved; nothing depends on them.

        """

    def recorded(self) -> tuple[str, ...]:
        """Return the lines of the history, oldest first; some may be damaged. Raises StateError."""

    # ── Who is at work ───────────────────────────────────────────────────────

    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> AbstractContextManager[None]:
        """Hold the state inside a ``with`` block; wait up to ``timeout`` seconds for it.

        Raises:
            StateLocked: somebody else holds it; the message says who.
            StateError: it cannot be held here at all.

        """

    def holder(self) -> str | None:
        """Return who holds the state now, or None; creates nothing, and does not wait."""

    def release(self) -> None:
        """Remove the lease of this run, in a store that has leases. Raises StateError."""

    # ── What lies next to the state ──────────────────────────────────────────

    @property
    def backup(self) -> str | None:
        """The address of the backup, the state as an earlier run found it; None if there is none."""

    @property
    def rescue_address(self) -> str:
        """Where rescued lines are, in words for a message."""

    def reserve(self, size: int) -> None:
        """Reserve space for ``size`` bytes of rescued lines; only for the holder.

        Raises:
            StateNotSaved: there is no space; nothing has been sent yet.

        """

    def rescue(self, line: bytes) -> None:
        """Append a line that could not be saved in the state to the rescued lines; only for the holder.

        Raises:
            StateNotSaved: it could not be written.

        """

    def rescued(self) -> bytes:
        """Return the rescued lines, without reserved space.

        Raises:
            StateInvalid: they cannot be read.

        """

    def clear_rescued(self) -> None:
        """Remove the rescued lines, now that the state has them, and the reserved space. Raises StateError."""

    def keep_forgotten(self, line: bytes) -> str:
        """Append a line to the accounts that a person had the state forget, and return where it is.

        Only for the holder.

        Raises:
            StateNotSaved: it could not be written; the earlier lines are still there.

        """

    def older_copies(self) -> tuple[str, ...]:
        """Return where next to the state older copies of sealed content are kept."""

    def files(self) -> Mapping[Path, str]:
        """Return the user's files that no other file may replace, and what each is; none if the store has no files."""


def moved(address: str, by: object = None) -> StateMoved:
    """Return the error of a save that came too late; ``by`` is who was faster, if known."""
    return StateMoved(
        f"{address} was changed by {by or 'somebody else'} while this run held it.",
        hint="None of their changes was overwritten. Look at what changed, then run again.",
    )


def version(raw: bytes | None) -> str:
    """Return the version of a document in a store without versions of its own: a hash."""
    if raw is None:
        return ABSENT
    import hashlib  # noqa: PLC0415  # slow to load, and a plan without a state does not need it

    return hashlib.sha256(raw).hexdigest()
