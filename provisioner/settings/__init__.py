"""The types of a project's settings.

``loading`` finds their values, and ``secrets`` reads what only a run needs. Settings hold
no secret: placeholders stay as written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from provisioner import placeholders
from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable
from provisioner.model import address
from provisioner.model.account import DEFAULT_PARENT
from provisioner.model.terms import Freeze
from provisioner.settings.paths import is_address

FILE: Final = "provisioner.yaml"
USUAL_STATE: Final = "state/{parent}.json"
"""Where a state is, relative to the project folder, unless the setting ``state`` names another place."""
TUNING: Final = (
    "limit",
    "reserved",
    "timeout",
    "attempts",
    "retry_budget",
    "retry_after_cap",
    "retry_on_429",
    "retry_on_503",
    "lock_timeout",
    "keep_going",
    "proxy",
    "ca_file",
    "max_creates",
    "max_updates",
    "metrics_file",
    "heartbeat_url",
    "encoding",
)
"""The settings that are also flags and variables."""
OUTLETS: Final = frozenset({"heartbeat_url", "metrics_file"})
"""Where a run reports to. Whoever runs an apply may name their own, in a variable or a flag."""


@immutable
class ParentSettings:
    """One Octopush account that owns sub-accounts; login and key are placeholders."""

    name: str
    api_login: str
    api_key: str
    limit: int
    reserved: int
    frozen: Freeze | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Where its login and key come from: names of variables, and paths of files."""
        named = (each.partition(":")[2] for text in (self.api_login, self.api_key) for each in placeholders.names(text))
        return tuple(dict.fromkeys(named))


@immutable
class Settings:
    """All settings of a project; seconds are floats."""

    state: str
    recipients: tuple[str, ...]
    api_url: str
    """Without a trailing slash."""
    timeout: float
    attempts: int
    retry_budget: float
    retry_after_cap: float
    retry_on_429: bool
    retry_on_503: bool
    lock_timeout: float
    keep_going: bool
    parents: Mapping[str, ParentSettings]
    file: Path
    """Where ``provisioner.yaml`` is, or would be."""
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    identity_file: str | None = None
    max_creates: int | None = None
    max_updates: int | None = None
    metrics_file: str | None = None
    heartbeat_url: str | None = field(default=None, repr=False)
    """Placeholders unexpanded."""
    encoding: str | None = None
    """The encoding of tables that are not UTF-8; None: Windows-1252, if nothing else is plausible."""
    stronger: frozenset[str] = frozenset()
    """The settings that a variable or a flag sets."""

    @property
    def base(self) -> Path:
        """The folder that the paths of ``provisioner.yaml`` are relative to."""
        return self.file.parent

    @property
    def owner(self) -> str:
        """The parent of accounts that name none: the only parent, or else ``default``."""
        return next(iter(self.parents)) if len(self.parents) == 1 else DEFAULT_PARENT

    def parent(self, name: str) -> ParentSettings:
        """Return the settings of one parent; raises SettingInvalid if none has that name."""
        try:
            return self.parents[name]
        except KeyError:
            *others, last = sorted(self.parents)
            known = f"{', '.join(others)} and {last}" if others else last
            raise SettingInvalid(
                f"The settings have no parent {name}; they have {known}.",
                hint=f"Name it under `parents` in {FILE}, or correct --parent or the manifest.",
            ) from None

    def state_address(self, parent: str) -> str:
        """Return where one parent's state is: a path, or an address of a store.

        Raises:
            SettingInvalid: several parents would share it, or it contains a password.

        """
        if "{parent}" not in self.state and len(self.parents) > 1:
            raise SettingInvalid(
                "Several parents would share one state.", hint="Put {parent} into `state`: each parent has its own."
            )
        place = self.state.replace("{parent}", parent)
        if not is_address(place):
            return str(Path(place))
        if address.holds_password(place):
            raise SettingInvalid(
                "The setting state contains a password.",
                hint="Every plan shows where the state is. Pass the password in the way of the store's own client:"
                " see the manual's chapter about stores.",
            )
        return place
