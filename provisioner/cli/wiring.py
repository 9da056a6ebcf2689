"""Joins settings, manifests and states for the commands.

Owns where the user's own files are. Refuses to print, but for warnings.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from provisioner import config
from provisioner.cli import terminal
from provisioner.config import Settings
from provisioner.errors import CommandInvalid
from provisioner.model import State
from provisioner.state.lock import Holder
from provisioner.state.rescue import Rescue
from provisioner.state.seen import Seen
from provisioner.state.session import Session, opened, read
from provisioner.state.store import LocalStore

PROGRAM: Final = "octopush-provisioner"
MANIFESTS: Final = Path("manifests")

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
    store = LocalStore(from_settings.state_path(parent))
    return read(store, parent=parent, seen=_seen())


@contextmanager
def held(
    from_settings: Settings,
    parent: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    accept: bool = False,
) -> Iterator[Session]:
    """Hold a parent's state for the length of a ``with``."""
    store = LocalStore(from_settings.state_path(parent))
    with opened(
        store,
        parent=parent,
        holder=_holder(),
        lock_timeout=from_settings.lock_timeout,
        sleep=sleep,
        rescue=Rescue(store.path.with_name(f"{store.path.name}.rescue"), terminal.stderr()),
        seen=_seen(),
        warn=terminal.warn,
        accept=accept,
    ) as session:
        yield session


def default_identity() -> Path:
    """Return where the user's own identity is kept: never inside a repository."""
    return _user_folder("XDG_CONFIG_HOME", ".config") / "identity.txt"


def now() -> str:
    """Return the time, UTC, as the state holds it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def by() -> str:
    """Return who runs this, as ``user@host``."""
    return f"{_user()}@{socket.gethostname()}"


def _seen() -> Seen:
    return Seen(_user_folder("XDG_STATE_HOME", ".local/state") / "seen")


def _user_folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / default) / PROGRAM


def _holder() -> Holder:
    return Holder(os.getpid(), socket.gethostname(), _user(), now(), _ci_run(os.environ))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return str(os.getuid())


def _ci_run(environ: Mapping[str, str]) -> str | None:
    """Return the address of the CI run, from what GitHub, GitLab and Jenkins set."""
    if "GITHUB_RUN_ID" in environ:
        parts = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        return "{}/{}/actions/runs/{}".format(*parts)
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL")
