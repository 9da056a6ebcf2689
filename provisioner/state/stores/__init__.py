"""Where a state is kept: the interface of every store.

A store moves bytes; what they mean is the codec's affair. It owns the rule that a save
against a version that has moved on fails, so that two runs can never hold the same intent,
and whatever it keeps next to the state: a lock, a backup, what was rescued or forgotten.
The contract is the same for every store, and one test suite runs over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from provisioner.errors import StateMoved

if TYPE_CHECKING:
    from provisioner.state.holder import Holder

ABSENT: Final = ""
"""The version of a state that does not exist."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a store that keeps a history is told about a save."""

    lineage: str = ""
    serial: int = 0
    """That of the document; 0: it is not told."""
    what: str = "Save the state"
    """What has changed, as the subject of a commit."""
    lines: tuple[str, ...] = ()
    """What the save adds to the history, in ASCII."""


NOTE: Final = Note()


class Store(Protocol):
    """One parent's state in one place."""

    address: str
    """Where it is kept, as people write it."""
    key: str
    """The same place, whatever folder the command is run from."""
    is_here: bool
    """Whether it is on this machine: what is rescued beside it then stays with it."""

    # ── The state ────────────────────────────────────────────────────────────

    def load(self) -> tuple[bytes | None, str]:
        """Return the document, or None where there is none, and its version.

        Raises:
            StateInvalid: what is there cannot be read.

        """

    def newest(self, lineage: str | None) -> int:
        """Return the highest serial that a ``lineage``, or any, had in the history that was there at the last load.

        0 where the store keeps no history. A state that is older than its own history was put back.
        """

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        """Make ``raw`` durable and return its version.

        Raises:
            StateMoved: the version in the store is not ``expected_version``.
            StateNotSaved: the store did not take it; whether the old or the new
                document is there now must be found out by loading.

        """

    # ── Its history ──────────────────────────────────────────────────────────

    def record(self, note: Note) -> None:
        """Keep the lines of ``note``, unless the save that it was for has, by the time that the run lets go.

        Only for the holder.

        Raises:
            StateError: they are not kept, which nothing depends on.

        """

    def recorded(self) -> tuple[str, ...]:
        """Return the lines of the history, oldest first; some may be damaged. Raises StateError."""

    # ── Who is at work ───────────────────────────────────────────────────────

    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> AbstractContextManager[None]:
        """Hold the state for the length of a ``with``; wait up to ``timeout`` seconds for it.

        Raises:
            StateLocked: somebody else holds it; the message says who.
            StateError: it cannot be held here at all.

        """

    def holder(self) -> str | None:
        """Return who holds the state just now, or None; nothing is made or waited for."""

    def let_go(self) -> None:
        """Take away what tells others that this run is at work, where that outlives a hold. Raises StateError."""

    # ── What lies next to the state ──────────────────────────────────────────

    @property
    def backup(self) -> str | None:
        """Where the state is as an earlier run found it, or None where nowhere."""

    @property
    def rescue_address(self) -> str:
        """Where rescued lines are kept, in words for a message."""

    def reserve(self, size: int) -> None:
        """Take room for ``size`` bytes of rescued lines now; only for the holder.

        Raises:
            StateNotSaved: there is no room; nothing has been sent yet.

        """

    def rescue(self, line: bytes) -> None:
        """Keep a line that the state did not take, behind those kept before; only for the holder.

        Raises:
            StateNotSaved: it was not kept.

        """

    def rescued(self) -> bytes:
        """Return the rescued lines, without reserved space.

        Raises:
            StateInvalid: they cannot be read.

        """

    def clear_rescued(self) -> None:
        """Remove the rescued lines and the reserved space: the state has them. Raises StateError."""

    def keep_forgotten(self, line: bytes) -> str:
        """Add a line to what a person had the state forget, and return where it is; only for the holder.

        Raises:
            StateNotSaved: it was not kept; what was kept before is still there.

        """

    def older_copies(self) -> tuple[str, ...]:
        """Return where older copies of what is sealed are kept next to the state."""

    def files(self) -> Mapping[Path, str]:
        """Return the user's files that no other may replace, and what each is; none where it keeps no files."""


def moved(address: str, by: object = None) -> StateMoved:
    """Return the error of a save that came too late; ``by`` is who was faster, where that is known."""
    return StateMoved(
        f"{address} was changed by {by or 'somebody else'} while this run held it.",
        hint="Nothing of theirs was overwritten. Look at what changed, then run again.",
    )


def version(raw: bytes | None) -> str:
    """Return the version of a document in a store that gives it none of its own: a hash of it."""
    if raw is None:
        return ABSENT
    import hashlib  # noqa: PLC0415  # it takes its time to load, and a plan without a state has no use for it

    return hashlib.sha256(raw).hexdigest()
