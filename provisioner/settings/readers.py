"""The readers of a project's placeholders: what each kind of text may read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import placeholders
from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable
from provisioner.placeholders.reading import LIST, MACHINES, OWN, STORES, Reader, holds_identity, is_own
from provisioner.settings.paths import from_home

if TYPE_CHECKING:
    from provisioner.settings import ParentSettings, Settings

IDENTITY_FILE: Final = "PROVISIONER_IDENTITY_FILE"
_PUSH_TOKEN: Final = "PROVISIONER_PUSH_TOKEN"  # noqa: S105  # the name of a variable
"""The ready-made CI files let git push with it."""
_OURS: Final = ("OCTOPUSH_API_LOGIN*", "OCTOPUSH_API_KEY*", "PROVISIONER_*")


@immutable
class Readers:
    """The readers of one project's placeholders."""

    manifests: Reader
    """Does not read secrets that the settings name, either."""
    heartbeat: Reader
    parents: Reader
    """Reads a parent's login and key, from any variable or file except this program's own and the CI's."""
    named: frozenset[str] = field(default=frozenset())
    """The variables that the settings name."""

    def outside(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the part of ``environ`` that a program which works for the project, such as git, may see.

        This leaves out every secret of ours that is known before a manifest is read: this program's
        own variables, those that the settings name, those that placeholders may read, and an identity
        under any name. git's own tokens stay, under the names that its configuration has for them.
        """
        return {
            name: value
            for name, value in environ.items()
            if name == _PUSH_TOKEN
            or not (
                is_own(name, _OURS)
                or name.upper() in self.named
                or self.manifests.is_named(name)
                or holds_identity(value)
            )
        }


def listed(environ: Mapping[str, str], *, interactive: bool) -> tuple[str, ...] | None:
    """Return what may be read, according to the environment alone; None: anything, as a person is there to see it."""
    text = environ.get(LIST)
    if text is None:
        return None if interactive else ()
    return tuple(text.split())


def identity_file(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """Return the identity's file from the variable, or else from the setting; an empty variable means none."""
    named = environ.get(IDENTITY_FILE)
    if named is None:
        return None if settings.identity_file is None else Path(settings.identity_file)
    return Path(from_home(named, environ, IDENTITY_FILE)) if named else None


def alone(environ: Mapping[str, str], folder: Path, *, interactive: bool) -> Reader:
    """Return the reader for what the environment names, as long as the settings in ``folder`` are unknown."""
    return Reader(environ, (folder,), listed=listed(environ, interactive=interactive))


def readers(
    settings: Settings, environ: Mapping[str, str], folder: Path, identity: Path, *, interactive: bool
) -> Readers:
    """Return the readers of the placeholders of the project in ``folder``.

    ``identity`` is the default path of the user's identity; ``interactive``: a person is at a terminal.

    Raises:
        SettingInvalid: the heartbeat would receive one of our own secrets.

    """
    allowed = listed(environ, interactive=interactive)
    named = (settings.identity_file, identity_file(settings, environ))
    identities = (identity, *(Path(each) for each in named if each is not None))
    keys, key_files = _named(_credentials(settings.parents.values()), settings.base)
    pings, ping_files = _named([settings.heartbeat_url or ""], settings.base)
    own = (*OWN, *STORES, *sorted(keys))
    heartbeat = Reader(environ, (folder, settings.base), own, (*identities, *key_files), allowed)
    # A reviewer of the settings must see this, although nothing is called yet.
    if wrong := replace(heartbeat, folders=None, listed=None).refused(settings.heartbeat_url or "", settings.base):
        raise SettingInvalid(f"The setting heartbeat_url {wrong[0]}.", hint=wrong[1])
    return Readers(
        replace(heartbeat, own=(*own, *sorted(pings)), own_files=(*heartbeat.own_files, *ping_files)),
        heartbeat,
        Reader(environ, None, MACHINES, identities),
        keys | pings,
    )


def _credentials(parents: Iterable[ParentSettings]) -> list[str]:
    return [text for parent in parents for text in (parent.api_login, parent.api_key)]


def _named(texts: Iterable[str], base: Path) -> tuple[frozenset[str], tuple[Path, ...]]:
    """Return the variables, in capitals, and the files that ``texts`` name."""
    found = [name.partition(":") for text in texts for name in placeholders.names(text)]
    variables = frozenset(name.upper() for kind, _, name in found if kind == "env")
    return variables, tuple(base / name for kind, _, name in found if kind == "file")
