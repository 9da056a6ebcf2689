"""Limits on what one apply may do."""

from __future__ import annotations

from provisioner.immutable import immutable


@immutable
class Bounds:
    """What one apply may do at most; it refuses larger plans. The flags allow what only a person can judge."""

    max_creates: int | None = None
    """Over all parents; None: as many as there are slots."""
    max_updates: int | None = None
    """Over all parents; None: any number."""
    new_state: bool = False
    """Whether a parent without a state may get one. A wrong checkout or an empty volume has none either."""
    new_recipients: bool = False
    """Whether to seal new content even if nobody who can open the state could open it."""
    lookalikes: bool = False
    """Whether to create an account that looks like one which no manifest names any more."""
    keep_going: bool | None = None
    """Whether a parent continues after an unknown outcome; None: as the settings say."""
