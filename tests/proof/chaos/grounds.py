"""Where one run takes place: a fresh folder, a fresh sandbox, and a store for what the program knows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tests import forks
from tests.proof import checker

if TYPE_CHECKING:
    from tests.proof.chaos import Subject

NAMES: Final = ("paris", "rome")
"""The accounts that are wanted of each parent: with two, there is a create after a create."""
HOOK_TOKEN: Final = "hook-token-c4a05-8a2d4c6e"
PASSWORD: Final = "Pass-c4a05-word-5e1b"
"""The password of the first account, which its user chose; that of any other is made up."""


class Store(Protocol):
    """A place for states."""

    @property
    def name(self) -> str:
        """What it is called in the table."""

    def prepare(self, ground: Ground) -> None:
        """Make a new place for the states of ``ground``."""

    def settings(self, ground: Ground) -> Mapping[str, str]:
        """Return the environment of a program that uses it."""

    def documents(self, ground: Ground) -> Mapping[str, bytes]:
        """Return the newest state of each parent, read by other code than the program's."""

    def texts(self, ground: Ground) -> list[tuple[str, bytes]]:
        """Return all that is in the store for ``ground``, and in no file below its root."""


class Local:
    """A file beside the manifest."""

    name = "file"

    def prepare(self, ground: Ground) -> None:
        """Nothing has to be made."""

    def settings(self, ground: Ground) -> Mapping[str, str]:
        """Nothing has to be set."""
        del ground
        return {}

    def documents(self, ground: Ground) -> Mapping[str, bytes]:
        """Return the files."""
        found = {parent: ground.folder / "state" / f"{parent}.json" for parent in ground.parents}
        return {parent: path.read_bytes() for parent, path in found.items() if path.exists()}

    def texts(self, ground: Ground) -> list[tuple[str, bytes]]:
        """Everything is below the root of ``ground``."""
        del ground
        return []


@dataclass(slots=True)
class Ground:
    """One run's own world. Everything below ``root`` belongs to the subject, but ``root/harness``."""

    root: Path
    url: str
    """The address of the sandbox."""
    ledger: Path
    """Its ledger, which holds every key in clear."""
    parents: Mapping[str, str]
    """The login of each parent by its name."""
    names: Sequence[str] = NAMES
    store: Store = field(default_factory=Local)
    kept: list[Path] = field(default_factory=list)
    """Files that may hold secrets in clear: an identity."""

    @property
    def folder(self) -> Path:
        """Where the command runs."""
        return self.root / "project"

    @property
    def home(self) -> Path:
        """The home of its user."""
        return self.root / "home"

    @property
    def environ(self) -> dict[str, str]:
        """What every program finds in its environment."""
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "OCTOPUSH_API_URL": self.url,
            "HOOK_TOKEN": HOOK_TOKEN,
            "CHOSEN_PASSWORD": PASSWORD,
        }
        for parent, login in self.parents.items():
            prefix = "OCTOPUSH_API" if parent == "default" else parent.upper().replace("-", "_")
            variables |= {f"{prefix}_LOGIN": login, f"{prefix}_KEY": key_of(parent)}
        return variables

    @property
    def wanted(self) -> list[checker.Name]:
        """The accounts that should exist."""
        return [(parent, name) for parent in self.parents for name in self.names]

    @property
    def secrets(self) -> set[str]:
        """What must be nowhere in clear, beyond what the sandbox made up."""
        keys = {key_of(parent) for parent in self.parents}
        return {HOOK_TOKEN, PASSWORD, *keys, *(path.read_text().strip() for path in self.kept)}

    @property
    def parent_of(self) -> dict[str, str]:
        """The name of each parent by its login."""
        return {login: parent for parent, login in self.parents.items()}

    def created(self) -> list[checker.Account]:
        """Return every account that the sandbox created."""
        return checker.ledger(self.ledger, self.parent_of)

    def files(self) -> Iterator[Path]:
        """Yield every file of the subject but those that are ``kept``."""
        for path in self.root.rglob("*"):
            if path.is_file() and path not in self.kept and self.root / "harness" not in path.parents:
                yield path

    def texts(self) -> list[tuple[str, bytes]]:
        """Return what is in every file of the subject, and in its store."""
        files = [(str(path.relative_to(self.root)), path.read_bytes()) for path in self.files()]
        return [*files, *self.store.texts(self)]


def key_of(parent: str) -> str:
    """Return the key of a parent."""
    return f"key-of-{parent}-c4a05-7d3f"


@contextmanager
def new_ground(
    folder: Path,
    subject: Subject,
    *,
    parents: Sequence[str] = ("default",),
    store: Callable[[], Store] = Local,
    options: Sequence[str] = (),
) -> Iterator[Ground]:
    """Make a ground below ``folder`` for the length of a ``with``; ``options`` are those of the sandbox."""
    root, outside = folder / "run", folder / "sandbox"
    for each in (root / "project", root / "home", root / "tmp", outside):
        each.mkdir(parents=True)
    logins = {parent: f"{parent}@example.com" for parent in parents}
    with serving_sandbox(outside / "ledger.jsonl", logins, options) as url:
        ground = Ground(root, url, outside / "ledger.jsonl", logins, store=store())
        ground.store.prepare(ground)
        subject.prepare(ground)
        yield ground
    shutil.rmtree(folder)


@contextmanager
def serving_sandbox(ledger: Path, parents: Mapping[str, str], options: Sequence[str] = ()) -> Iterator[str]:
    """Run a sandbox for the length of a ``with``; yields its address. ``parents`` are names and logins."""
    accounts = [f"--parent-account={login}:{key_of(parent)}" for parent, login in parents.items()]
    environ = {"PATH": os.environ["PATH"], "HOME": str(ledger.parent), "LANG": "C.UTF-8"}
    with forks.serving(("sandbox", "--ledger", str(ledger), *accounts, *options), ledger.parent, environ) as url:
        yield url
