"""One save of a state, as the history of its store has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """What was saved, when and by whom; ``revision`` of a store has the document itself."""

    serial: int
    lineage: str
    saved_at: str
    """UTC, as the state writes a time."""
    what: str
    """Each account that has changed, with what it is by then."""
    by: str
    """Who saved it; empty where it is not known."""
