"""What the history of a state says: who did what to which account, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Author:
    """Who saves a state, and when."""

    at: str
    """UTC, as the state writes a time."""
    by: str
    """``user@host``."""
    actor: str | None = None
    """Who started the CI job, as the CI calls them."""
    approver: str | None = None
    """Who approved it, where the CI says so."""
    run: str | None = None
    """The address of the CI run."""
    plan: str | None = None
    """The digest of the plan that is carried out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation, once its outcome is in the state."""

    author: Author
    serial: int
    """That of the save which brought it."""
    name: str | None
    """The account; None: the whole state."""
    operation: str
    """As in ``create``, ``update``, ``rename`` or ``rekey``."""
    outcome: str
    previous: str | None = None
    """Of a rename, the name before."""
