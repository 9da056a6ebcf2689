"""Holds a parent's state for the commands that change it, and says who holds it since when."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from provisioner.cli import terminal, wiring
from provisioner.config import Settings
from provisioner.state.lock import Holder
from provisioner.state.rescue import Rescue
from provisioner.state.session import Session, opened
from provisioner.state.store import LocalStore


@contextmanager
def held(
    from_settings: Settings,
    parent: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    accept: bool = False,
) -> Iterator[Session]:
    """Hold a parent's state for the length of a ``with``."""
    from_settings.parent(parent)
    store = LocalStore(from_settings.state_path(parent))
    with opened(
        store,
        parent=parent,
        holder=_holder(),
        lock_timeout=from_settings.lock_timeout,
        sleep=sleep,
        rescue=Rescue(wiring.beside(store, "rescue"), terminal.stderr()),
        seen=wiring.seen(),
        warn=terminal.warn,
        accept=accept,
    ) as session:
        yield session


def now() -> str:
    """Return the time, UTC, as the state holds it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def by() -> str:
    """Return who runs this, as ``user@host``."""
    return f"{_user()}@{socket.gethostname()}"


def _holder() -> Holder:
    return Holder(os.getpid(), socket.gethostname(), _user(), now(), _ci_run(os.environ))


def _user() -> str:
    try:
        # The environment may say anything; the state holds text.
        return getpass.getuser().encode(errors="replace").decode()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        return str(os.getuid())


def _ci_run(environ: Mapping[str, str]) -> str | None:
    """Return the address of the CI run, from what GitHub, GitLab and Jenkins set."""
    if "GITHUB_RUN_ID" in environ:
        parts = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
        return "{}/{}/actions/runs/{}".format(*parts)
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL")
