"""On what terms a plan is carried out: where its requests go, and which settings differ from the usual ones.

What is reviewed is what happens: each of these is shown with the plan, saved with it, and
compared before it is applied.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that is not as it usually is."""

    name: str
    value: str
    """As it may be shown: what could hold a secret is masked, and a placeholder stays one."""
    usual: str | None = None
    """What it is where nobody sets it; None: nothing."""
    sha256: str | None = None
    """Of the content, where the setting names a file whose content counts; or of a value of the file that is masked."""

    def is_same_as(self, other: Setting | None) -> bool:
        """Tell whether both come to the same: a file may move, and may not change."""
        if other is None:
            return False
        return self.sha256 == other.sha256 if self.sha256 is not None else self == other


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing is created or changed for a parent."""

    until: str
    """The last day of it, in UTC, as in ``2026-12-31``."""
    reason: str

    def holds_at(self, now: str) -> bool:
        """Tell whether it holds at a time in UTC, as in ``2026-12-31T12:00:00Z``."""
        return now[: len(self.until)] <= self.until


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one parent's plan."""

    endpoint: str
    """The address of the API."""
    login: str
    """What the parent's login comes from, as the settings have it; usually a placeholder."""
    key: str
    """The same of its key; always a placeholder."""
    state: str
    """Where the state is kept."""
    begins: bool = False
    """There is no state yet: an apply begins one."""
    recipients: tuple[str, ...] = ()
    """To whom credentials are sealed, sorted; empty: the settings name nobody."""
    added: tuple[str, ...] = ()
    """Those of them to whom the state, which has accounts, is not sealed."""
    removed: tuple[str, ...] = ()
    """Those to whom the state is sealed, and an apply no longer seals."""
    settings: tuple[Setting, ...] = ()
    """Those that are not as they usually are; the same for all parents."""
    frozen: Freeze | None = None
    """The freeze that the settings give this parent; it may be over."""
    is_frozen: bool = False
    """Whether that held when the plan was made. It changes with the time alone, so it is not part of the plan."""

    @property
    def shuts_out(self) -> bool:
        """Whether none of those who can open the state could open what an apply seals."""
        return bool(self.added) and self.added == self.recipients
