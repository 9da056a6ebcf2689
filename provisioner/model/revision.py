"""One save of a state, from the history of its store."""

from __future__ import annotations

from provisioner.immutable import immutable


@immutable
class Revision:
    """What was saved, when and by whom; a store's ``revision`` returns the document itself."""

    serial: int
    lineage: str
    saved_at: str
    """UTC, ISO 8601 with a Z."""
    what: str
    """Each account that changed, with its new status."""
    by: str
    """Who saved it; empty if not known."""
