"""The workspace of an open project: its settings, environment, parents and transport.

All operations use it. Each part is created once, by the first thread that needs it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import CommandInvalid
from provisioner.model.account import AUTO_PARENT
from provisioner.project.parent import Keys, LoginOwners, Parent, Shared
from provisioner.settings import Settings
from provisioner.settings.readers import readers
from provisioner.settings.steering import steering
from provisioner.state.seen import Seen

if TYPE_CHECKING:
    from provisioner.model.shard import Shard
    from provisioner.octopush.client import Exchange
    from provisioner.project.cancel import Cancel
    from provisioner.project.folders import Folders
    from provisioner.project.parts import Parts


class Workspace:
    """An open project; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        environ: Mapping[str, str],
        folders: Folders,
        parts: Parts,
        *,
        interactive: bool,
    ) -> None:
        self.settings = settings
        self.folder = folder
        """The folder that contains ``manifests/``."""
        self.environ = environ
        self.keys = Keys(settings, environ, folders.identity)
        self.readers = readers(settings, environ, folder, folders.identity, interactive=interactive)
        """The readers of placeholders."""
        self.steering = cache(partial(steering, settings))
        """Returns the settings that differ from their defaults; raises SettingInvalid."""
        logins, seen = LoginOwners(settings, self.readers), Seen(folders.state / "seen")
        shared = (settings, environ, self.keys, self.readers, logins, seen, parts, folder, folders.state / "elsewhere")
        self._shared = Shared(*shared, interactive, self.steering)
        self._parents: dict[str, Parent] = {}
        self._transport: Exchange | None = None
        self._lock = threading.Lock()

    def parent(self, name: str) -> Parent:
        """Return one parent; raises SettingInvalid if it is not in the settings."""
        with self._lock:
            if name not in self._parents:
                self.settings.parent(name)
                self._parents[name] = Parent(name, self._shared)
            return self._parents[name]

    @cached_property
    def placements(self) -> Parent:
        """The record of placements, which is stored like the state of a parent."""
        return Parent(AUTO_PARENT, self._shared)

    def records(self) -> tuple[Parent, ...]:
        """Return the record of placements if there are several parents, otherwise nothing."""
        return (self.placements,) if len(self.settings.parents) > 1 else ()

    def parents(self, names: Sequence[str] = (), shard: Shard | None = None) -> tuple[Parent, ...]:
        """Return the parents with these names, or all in the settings, sorted; with ``shard``, only those in it.

        Raises:
            SettingInvalid: a name is not in the settings.

        """
        found = (self.parent(name) for name in sorted(set(names) or self.settings.parents))
        return tuple(parent for parent in found if shard is None or parent.name in shard)

    def carrier(self, rate: float | None, cancel: Cancel) -> Exchange:
        """Return the transport for all parents, limited to ``rate`` requests per second; None: no limit.

        Raises:
            SettingInvalid: the proxy or the certificate authorities in the settings cannot be used.
            CommandInvalid: the rate is not above 0.

        """
        if rate is not None and not rate > 0:
            raise CommandInvalid(
                f"A rate of {rate} requests per second is not possible.", hint="Use a number above 0, or None."
            )
        from provisioner.settings.connection import require_connection  # a plan does not need it

        with self._lock:
            if self._transport is None:
                require_connection(self.settings)
                self._transport = self._shared.parts.transport(self.settings)
            transport = self._transport
        if rate is None:
            return transport
        import time

        from provisioner.octopush.pace import Paced

        return Paced(transport, rate, clock=time.monotonic, sleep=cancel.sleep)
