"""The user's own folders on this machine: for the identity, and for what this machine remembers about states."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable

PROGRAM: Final = "octopush-provisioner"


@immutable
class Folders:
    """A user's folders outside any project."""

    config: Path
    """Contains the identity."""
    state: Path
    """Contains what this machine remembers about the states that it has seen."""

    @classmethod
    def of_user(cls) -> Folders:
        """Return the folders of the user who runs this process, as usual on the operating system.

        Raises:
            SettingInvalid: there is no home folder.

        """
        from platformdirs import user_config_path, user_state_path  # a caller may name its own

        try:
            folders = cls(user_config_path(PROGRAM), user_state_path(PROGRAM))
        except RuntimeError:
            folders = cls(Path(), Path())
        if not (folders.config.is_absolute() and folders.state.is_absolute()):
            raise SettingInvalid(
                "There is no home folder, where this machine remembers the states that it has seen.",
                hint="Set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME, to an absolute path.",
            )
        return folders

    @property
    def identity(self) -> Path:
        """The default path of the user's identity, never inside a repository."""
        return self.config / "identity.txt"
