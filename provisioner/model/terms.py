"""The terms of a plan: where its requests go, and which settings are not the default.

What was reviewed is what happens: the terms are shown with the plan, saved with it, and
compared before it is applied.
"""

from __future__ import annotations

from dataclasses import field

from provisioner.immutable import immutable


@immutable
class Setting:
    """A setting that is not the default."""

    name: str
    value: str
    """Safe to show: whatever could contain a secret is masked, and placeholders are not expanded."""
    usual: str | None = None
    """The default; None: nothing."""
    sha256: str | None = None
    """Of the content of the file that the setting names, or of a value that is masked."""

    def is_same_as(self, other: Setting | None) -> bool:
        """Return whether both mean the same: a file may move, but its content may not change."""
        if other is None:
            return False
        return self.sha256 == other.sha256 if self.sha256 is not None else self == other


@immutable
class Freeze:
    """A time in which nothing is created or changed for a parent."""

    until: str
    """The last day of it, in UTC, as in ``2026-12-31``."""
    reason: str

    def holds_at(self, now: str) -> bool:
        """Tell whether it holds at a time in UTC, as in ``2026-12-31T12:00:00Z``."""
        return now[: len(self.until)] <= self.until


@immutable
class Terms:
    """The terms of one parent's plan."""

    endpoint: str
    """The address of the API."""
    login: str
    """The parent's login as the settings have it; usually a placeholder."""
    key: str
    """The same for its key; always a placeholder."""
    state: str
    """The place of the state."""
    begins: bool = False
    """There is no state yet: an apply starts one."""
    recipients: tuple[str, ...] = ()
    """The recipients of credentials, sorted; empty: the settings name none."""
    added: tuple[str, ...] = ()
    """The new ones among them: a state with accounts is not sealed to these yet."""
    removed: tuple[str, ...] = ()
    """The recipients of the state that an apply will no longer seal to."""
    settings: tuple[Setting, ...] = ()
    """The settings that are not the default; the same for all parents."""
    frozen: Freeze | None = None
    """The freeze that the settings give this parent; it may be over."""
    is_frozen: bool = False
    """Whether the freeze was in force when the plan was made. Only time changes it, so it is not part of the plan."""
    account: str | None = field(default=None, repr=False, compare=False)
    """The login itself, if it is known here. It is shown, and never saved or compared."""

    @property
    def shuts_out(self) -> bool:
        """Whether nobody who can open the state now could open what an apply seals."""
        return bool(self.added) and self.added == self.recipients
