"""Joins settings, manifests and states for the commands that only read.

Owns where the user's own files are. Refuses to change anything, and to print, but for warnings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from provisioner import config
from provisioner.cli import terminal
from provisioner.config import Settings
from provisioner.errors import CommandInvalid, SettingInvalid, StateConflict
from provisioner.model.state import Active, Pending, Record, State
from provisioner.state.reading import read
from provisioner.state.seen import Seen
from provisioner.state.store import LocalStore

PROGRAM: Final = "octopush-provisioner"
MANIFESTS: Final = Path("manifests")
_KINDS: Final = (".lock", ".backup", ".rescue", ".forgotten")

Options = Mapping[str, Any]


def settings(options: Options) -> Settings:
    """Return the settings of this run."""
    names = ("state", *config.TUNING)
    return config.load(options.get("config"), os.environ, {name: options.get(name) for name in names})


def manifest_paths(options: Options) -> tuple[Path, ...]:
    """Return the manifests that were named, or else the project's folder of them."""
    named: tuple[Path, ...] = options["manifests"]
    if not named and not MANIFESTS.is_dir():
        raise CommandInvalid("No manifest was named, and there is no folder manifests/.", hint="Name a file or folder.")
    return named or (MANIFESTS,)


def stored(from_settings: Settings, parent: str) -> State | None:
    """Return a parent's state without holding it."""
    from_settings.parent(parent)
    store = LocalStore(from_settings.state_path(parent))
    state = read(store, parent=parent, seen=seen())
    if state is not None and any(map(_is_begun, state.accounts.values())):
        _warn_of_begun(store)
    return state


def existing(state: State | None, parent: str) -> State:
    """Return the state of ``parent``, for a command that is about accounts which exist."""
    if state is None:
        raise StateConflict(
            f"There is no state of the parent {parent} yet.", hint="Check --state, or run `provisioner apply` first."
        )
    return state


def require_known(state: State, names: Iterable[str]) -> None:
    """Refuse a name that ``state`` does not have; raises CommandInvalid, which tells the nearest that it has."""
    missing = [name for name in names if name not in state.accounts]
    if missing:
        from provisioner.document import nearest  # noqa: PLC0415  # only a mistake needs it

        near = dict.fromkeys(filter(None, (nearest(name, sorted(state.accounts)) for name in missing)))
        meant = f"Did you mean {', '.join(near)}? " if near else ""
        raise CommandInvalid(
            f"The state has no account {', '.join(missing)}.",
            hint=f"{meant}`provisioner status` lists those that it has.",
        )


def _is_begun(record: Record) -> bool:
    return isinstance(record, Pending) or (isinstance(record, Active) and record.edit is not None)


def _warn_of_begun(store: LocalStore) -> None:
    """Say why something is begun and not finished: a run is still at it, or has left the outcome beside the state."""
    from provisioner.state.lock import holder  # noqa: PLC0415  # only a plan of what was begun needs them
    from provisioner.state.rescue import Rescue  # noqa: PLC0415

    rescue = Rescue(beside(store, "rescue"), sys.stderr)
    if running := holder(beside(store, "lock")):
        terminal.warn(f"the state is held by {running}: what it is at shows as unknown or unfinished until it ends.")
    elif rescue.entries():
        terminal.warn(f"an outcome is kept in {rescue.path}: the next apply, or `provisioner recover`, puts it back.")


def own_files(from_settings: Settings, options: Options) -> dict[Path, str]:
    """Return the files that no other file may take the place of, and what each is."""
    from provisioner.manifest.sources import MANIFEST  # noqa: PLC0415  # only who writes a file needs it

    files: dict[Path, str] = {}
    for parent in from_settings.parents:
        state = from_settings.state_path(parent)
        files |= {state.with_name(f"{state.name}{kind}"): f"beside the state of {parent}" for kind in _KINDS}
        files[state] = f"the state of {parent}"
    files[options.get("config") or Path(os.environ.get("PROVISIONER_CONFIG") or config.FILE)] = "the settings"
    for named in options.get("manifests") or (MANIFESTS,):
        with suppress(OSError):  # what cannot be looked into, its reader tells
            inside = list(named.iterdir()) if named.is_dir() else [named]
            files |= {each: "a manifest" for each in inside if MANIFEST.is_name_of(each)}
    return files


def beside(store: LocalStore, kind: str) -> Path:
    """Return the file of that kind beside a state, as in ``state/default.json.lock``."""
    return store.path.with_name(f"{store.path.name}.{kind}")


def default_identity() -> Path:
    """Return where the user's own identity is kept: never inside a repository."""
    return _user_folder("XDG_CONFIG_HOME", ".config") / "identity.txt"


def seen() -> Seen:
    """Return what this machine remembers of the states that it has met."""
    return Seen(_user_folder("XDG_STATE_HOME", ".local/state") / "seen")


def _user_folder(variable: str, default: str) -> Path:
    # A relative one is to be ignored, says the XDG specification; it would be a folder of the project.
    if (base := Path(os.environ.get(variable, ""))).is_absolute():
        return base / PROGRAM
    with suppress(RuntimeError):
        if (home := Path.home()).is_absolute():
            return home / default / PROGRAM
    raise SettingInvalid(
        "There is no home folder, in which this machine remembers the states that it has seen.",
        hint=f"Set HOME or {variable} to an absolute path.",
    )
