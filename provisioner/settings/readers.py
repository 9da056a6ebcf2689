"""Who may read what: the readers of a project's placeholders, one for each kind of text that may hold some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import placeholders
from provisioner.errors import SettingInvalid
from provisioner.placeholders.reading import LIST, MACHINES, OWN, STORES, Reader, holds_identity, is_own
from provisioner.settings.paths import from_home

if TYPE_CHECKING:
    from provisioner.settings import ParentSettings, Settings

IDENTITY_FILE: Final = "PROVISIONER_IDENTITY_FILE"
_GITS: Final = "PROVISIONER_PUSH_TOKEN"
"""With it, ready-made files have git push."""
_OURS: Final = ("OCTOPUSH_API_LOGIN*", "OCTOPUSH_API_KEY*", "PROVISIONER_*")


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads the placeholders of one project."""

    manifests: Reader
    """Reads no secret that the settings name either."""
    heartbeat: Reader
    parents: Reader
    """Reads a parent's login and key: any variable and file but this program's own and the machinery's."""
    named: frozenset[str] = field(default=frozenset())
    """The variables that the settings name."""

    def outside(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return what of ``environ`` a program may know that works for the project, such as git.

        That leaves out every secret of ours that is known before a manifest is read: what is this
        program's own, what the settings name, what placeholders may read, and an identity under
        whatever name. git's own tokens stay, under the names that its configuration has for them.
        """
        return {
            name: value
            for name, value in environ.items()
            if name == _GITS
            or not (
                is_own(name, _OURS)
                or name.upper() in self.named
                or self.manifests.is_named(name)
                or holds_identity(value)
            )
        }


def listed(environ: Mapping[str, str], *, interactive: bool) -> tuple[str, ...] | None:
    """Return what may be read, which the environment alone says; None: anything, as a person sees what it is."""
    text = environ.get(LIST)
    if text is None:
        return None if interactive else ()
    return tuple(text.split())


def identity_file(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """Return the file of the identity that variable or setting names, in this order; an empty variable names none."""
    named = environ.get(IDENTITY_FILE)
    if named is None:
        return None if settings.identity_file is None else Path(settings.identity_file)
    return Path(from_home(named, environ, IDENTITY_FILE)) if named else None


def alone(environ: Mapping[str, str], folder: Path, *, interactive: bool) -> Reader:
    """Return who reads what the environment names while the settings in ``folder`` are not known."""
    return Reader(environ, (folder,), listed=listed(environ, interactive=interactive))


def readers(
    settings: Settings, environ: Mapping[str, str], folder: Path, identity: Path, *, interactive: bool
) -> Readers:
    """Return who reads the placeholders of the project in ``folder``.

    ``identity`` is where the user's own is looked for; ``interactive``, whether a person is at a terminal.

    Raises:
        SettingInvalid: the heartbeat would be sent one of our own secrets.

    """
    allowed = listed(environ, interactive=interactive)
    named = (settings.identity_file, identity_file(settings, environ))
    identities = (identity, *(Path(each) for each in named if each is not None))
    keys, key_files = _named(_credentials(settings.parents.values()), settings.base)
    pings, ping_files = _named([settings.heartbeat_url or ""], settings.base)
    own = (*OWN, *STORES, *sorted(keys))
    heartbeat = Reader(environ, (folder, settings.base), own, (*identities, *key_files), allowed)
    # Whoever reviews the settings must hear of it, though nothing is called yet.
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
