"""The history of a state: who did what to which account, with which outcome."""

from __future__ import annotations

from provisioner.immutable import immutable


@immutable
class Author:
    """Who saves a state, and when."""

    at: str
    """UTC, in the format of the state."""
    by: str
    """``user@host``."""
    actor: str | None = None
    """Who started the CI job, as the CI names them."""
    approver: str | None = None
    """Who approved it, if the CI says so."""
    run: str | None = None
    """The address of the CI run."""
    plan: str | None = None
    """The digest of the plan being applied."""


@immutable
class HistoryEntry:
    """One operation whose outcome is in the state."""

    author: Author
    serial: int
    """The serial of the save with the outcome."""
    name: str | None
    """The account; None: the whole state."""
    operation: str
    """As in ``create``, ``update``, ``rename`` or ``rekey``."""
    outcome: str
    previous: str | None = None
    """For a rename: the previous name."""
