"""What one apply may do at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one apply may do at most; beyond it, nothing is done. What a person alone can know must be allowed."""

    max_creates: int | None = None
    """Over all parents; None: as many as there are slots."""
    max_updates: int | None = None
    new_state: bool = False
    """Whether a parent that has no state may get one. A wrong checkout or an empty volume has none either."""
    new_recipients: bool = False
    """Whether it may seal though none of those who can open the state could open that."""
    lookalikes: bool = False
    """Whether an account may be created that looks like one which no manifest names any more."""
    keep_going: bool | None = None
    """Whether a parent goes on after an outcome that nobody can know; None: as the settings say."""
