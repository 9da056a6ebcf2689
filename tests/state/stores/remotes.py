"""Stores that several machines reach, each with a real server that the tests start."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from provisioner.state.holder import Holder
from provisioner.state.seen import Seen
from provisioner.state.session import Session, opened
from provisioner.state.stores.git import GitBackend
from provisioner.state.stores.remote import Backend, RemoteStore
from provisioner.state.stores.repository import Repository
from tests.ready.forge import WRITES, Forge
from tests.state import ADA, never

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PATIENCE = 20.0
"""Seconds after which a hanging git command is stopped."""
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
PLACE = "git:origin/provisioner-state/acme.json"


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints in ``folder``."""
    who = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com")
    environ = {**os.environ, **GIT}
    done = subprocess.run(
        ["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True, env=environ
    )
    return done.stdout.strip()


def new_remote(folder: Path) -> Path:
    """Make an empty bare repository."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    return folder


def new_clone(folder: Path, remote: str) -> Path:
    """Make a project's repository with one commit, whose remote is origin."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", remote)
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    return folder


@dataclass(slots=True)
class Clock:
    """A clock that stands still until a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Machine:
    """One machine, with a home folder of its own, that reaches a remote store."""

    folder: Path
    open_backend: Callable[[Path], Backend]
    clock: Clock = field(default_factory=Clock)
    leases: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def store(self) -> RemoteStore:
        """Return the store as another run of this machine opens it."""
        home = self.folder / "home"
        return RemoteStore(
            self.open_backend(self.folder), home, lambda: f"{self.folder.name}-{next(self.leases)}", self.clock
        )


def git_machine(
    folder: Path,
    remote: str,
    environ: Mapping[str, str] | None = None,
    place: str = PLACE,
    patience: float = PATIENCE,
) -> Machine:
    """Return a machine with a clone of ``remote``."""
    new_clone(folder / "project", remote)
    known = {**os.environ, **GIT, **(environ or {})}

    def backend(here: Path) -> GitBackend:
        def repository(name: str, branch: str) -> Repository:
            return Repository(place, here / "project", name, branch, known, patience)

        return GitBackend(place, repository, lambda _: None)

    return Machine(folder, backend)


def http_machine(folder: Path, forge: Forge, token: str = WRITES, patience: float = PATIENCE) -> Machine:
    """Return a machine that reaches the forge over HTTP, with a credential helper as its configuration has one."""
    machine = git_machine(folder, forge.remote, {"TOKEN": token}, patience=patience)
    helper = '!echo username=x; echo "password=$TOKEN"; true'
    git(machine.folder / "project", "config", "credential.helper", helper)
    return machine


def running(machine: Machine, holder: Holder = ADA, said: list[str] | None = None) -> AbstractContextManager[Session]:
    """Hold the machine's store as a run does; warnings and lines rescued to the log go to ``said``."""
    heard = [] if said is None else said

    def kept(line: str) -> bool:
        heard.append(line)
        return True

    return opened(
        machine.store(),
        parent="default",
        holder=holder,
        lock_timeout=0,
        sleep=never,
        last_resort=kept,
        seen=Seen(machine.folder / "seen"),
        warn=heard.append,
    )
