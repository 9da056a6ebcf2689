"""Operations of a project in a process of its own, on a disk and a connection that can be swapped.

The process is forked, so that dying is cheap. What it prints goes to the project's ``run.log``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import provisioner
from provisioner import Folders, Reporter
from provisioner.errors import ProvisionerError
from provisioner.model.account import Secret
from provisioner.model.report import Outcome
from provisioner.octopush.client import Exchange
from provisioner.octopush.transport import Transport
from provisioner.project.parts import Parts, new_password
from provisioner.project.reports import Reports
from provisioner.settings import Settings
from provisioner.state.disk import Disk
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.opening import Place
from tests.conftest import Project
from tests.forks import exit_code_of

PASSWORD_MARK: Final = "Known-to-the-test-1"
"""The start of every generated password, with which a test also finds those that were never sent."""
FLAGS: Final[Mapping[str, object]] = {"attempts": 1, "retry_budget": 0.0}


class _Log(Reporter):
    """Writes the messages that a person would see."""

    def warning(self, message: str) -> None:
        sys.stderr.write(f"{message}\n")

    def finished(self, parent: str, outcome: Outcome) -> None:
        sys.stderr.write(f"{parent}/{outcome.name}: {outcome.result} {outcome.reason}\n")

    def last_resort(self, line: str) -> bool:
        sys.stderr.write(f"{line}\n")
        return True


@dataclass(frozen=True, slots=True)
class _Swapped:
    """Makes a project from a disk and a connection that may fail."""

    disk: Disk
    exchange: Exchange | None

    def parts(self) -> Parts:
        return Parts(self._store, self._transport, _marked_password)

    def _store(self, place: Place) -> LocalStore:
        return LocalStore(Path(place.address), self.disk)

    def _transport(self, settings: Settings) -> Exchange:
        return self.exchange or Transport(settings.timeout)


def _marked_password() -> Secret:
    return Secret(PASSWORD_MARK + new_password().reveal())


# ── The operations, each with its exit code; -9 means killed ─────────────────


def log_of(project: Project) -> Path:
    """Return the file that holds what the project's runs printed."""
    return project.root / "run.log"


def run(project: Project, disk: Disk | None = None, transport: Exchange | None = None, jobs: int = 1) -> int:
    """Apply the project's manifests."""
    return _in_child(project, disk, transport, partial(_apply, jobs=jobs))


def adopt(project: Project, name: str, login: str, disk: Disk | None = None, transport: Exchange | None = None) -> int:
    """Adopt the account with ``login``, unless ``name`` has it already."""
    return _in_child(project, disk, transport, partial(_adopt, rows=[(name, login)]))


def rekey(project: Project, disk: Disk | None = None) -> int:
    """Seal everything again, to the project's recipient."""
    return _in_child(project, disk, None, _rekey)


def recover(project: Project, log: Path) -> int:
    """Recover what ``log`` contains."""
    return _in_child(project, None, None, partial(_recover, log=log))


def resolve(project: Project, name: str) -> int:
    """Say that ``name`` was not created."""
    return _in_child(project, None, None, partial(_resolve, name=name))


# ── What runs in the child ────────────────────────────────────────────────────


def _apply(mine: provisioner.Project, jobs: int) -> Reports:
    return mine.apply(mine.plan(reporter=_Log()), bounds=provisioner.Bounds(new_state=True), jobs=jobs, reporter=_Log())


def _adopt(mine: provisioner.Project, rows: Sequence[tuple[str, str]]) -> Reports:
    return mine.adopt(rows, different=True, reporter=_Log()).reports


def _rekey(mine: provisioner.Project) -> Reports:
    return mine.rekey(reporter=_Log())[0]


def _resolve(mine: provisioner.Project, name: str) -> None:
    mine.resolve(name, abandon=False, reporter=_Log())


def _recover(mine: provisioner.Project, log: Path) -> None:
    mine.recover(log.read_text(), str(log), reporter=_Log())


def _in_child(
    project: Project,
    disk: Disk | None,
    transport: Exchange | None,
    what: Callable[[provisioner.Project], Reports | None],
) -> int:
    return exit_code_of(_child, project, _Swapped(disk or Disk(), transport), what)


def _child(project: Project, swapped: _Swapped, what: Callable[[provisioner.Project], Reports | None]) -> None:
    log = os.open(log_of(project), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.chdir(project.folder)
    home = project.root / "home"
    folders = Folders(home / "config" / "octopush-provisioner", home / "state" / "octopush-provisioner")
    try:
        mine = provisioner.Project.open(environ=project.environ, flags=FLAGS, folders=folders, parts=swapped.parts())
        done = what(mine)
        code = 0 if done is None else int(done.exit_code)
    except ProvisionerError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        code = error.exit_code
    sys.exit(code)
