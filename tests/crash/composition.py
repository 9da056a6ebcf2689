"""The apply of the command line, put together from the same parts, with a disk and a connection that can be swapped.

It runs in a child process, forked from a server that has imported everything, so
that dying is cheap. What the child prints goes to the project's ``run.log``.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from provisioner import executor, manifest
from provisioner.cli.applying import new_password
from provisioner.errors import StateError
from provisioner.executor import Work
from provisioner.manifest.expansion import requests
from provisioner.model.account import Secret
from provisioner.model.plan import raise_if_over
from provisioner.model.report import Outcome, exit_code
from provisioner.model.state import State
from provisioner.octopush.client import Client
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Failure, Reply, Request, Transport
from provisioner.planner import plan
from provisioner.state.disk import Disk
from provisioner.state.lock import Holder
from provisioner.state.rescue import Rescue, found_in
from provisioner.state.sealing import AgeSealer
from provisioner.state.seen import Seen
from provisioner.state.session import Session, check_parent, opened
from provisioner.state.store import LocalStore
from tests.conftest import PARENT, PATIENCE, Project

PASSWORD_MARK: Final = "Known-to-the-test-1"
"""What every password begins with, so that a test also finds one that was never sent, of which no ledger tells."""


class Exchange(Protocol):
    """What a client asks of its transport."""

    def exchange(self, request: Request) -> Reply | Failure: ...


class _Silent:
    """Nobody watches."""

    def started(self, name: str) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


def log_of(project: Project) -> Path:
    """Return the file that holds what the project's runs printed."""
    return project.root / "run.log"


def run(project: Project, disk: Disk | None = None, transport: Exchange | None = None) -> int:
    """Apply the project's manifest in a child process and return its exit code, -9 where it was killed."""
    return _in_child(partial(_apply, project, disk or Disk(), transport or Transport(timeout=PATIENCE)), project)


def recover(project: Project, log: Path) -> int:
    """Put back what ``log`` holds, in a child process, and return its exit code."""
    return _in_child(partial(_recover, project, log), project)


_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


def _in_child(what: Callable[[], int], project: Project) -> int:
    child = _context.Process(target=_child, args=(what, project))
    child.start()
    child.join(PATIENCE)
    code = child.exitcode
    child.kill()
    child.close()
    assert code is not None, "the child is stuck"
    return code


def _child(what: Callable[[], int], project: Project) -> None:
    log = os.open(log_of(project), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(project.environ)
    os.chdir(project.folder)
    try:
        code = what()
    except StateError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        code = error.exit_code
    sys.exit(code)


def _opened(project: Project, disk: Disk) -> object:
    store = LocalStore(project.state_path, disk)
    return opened(
        store,
        parent="default",
        holder=Holder(os.getpid(), "here", "tester", _now()),
        lock_timeout=0,
        sleep=time.sleep,
        rescue=Rescue(store.path.with_name(f"{store.path.name}.rescue"), sys.stderr, disk),
        seen=Seen(project.root / "home" / "state" / "seen"),
        warn=_warn,
    )


def _apply(project: Project, disk: Disk, transport: Exchange) -> int:
    (wanted,) = manifest.load([Path("manifests")], parent="default").require()
    url, recipient = project.environ["OCTOPUSH_API_URL"], project.environ["PROVISIONER_RECIPIENTS"]
    with _opened(project, disk) as session:
        state = session.state or State(lineage=_new_id(), parent="default", recipients=(recipient,))
        state = check_parent(state, endpoint=url, api_login=PARENT.api_login)
        state = executor.settle(state, session)
        todo = plan(wanted, state, limit=20, reserved=0)
        raise_if_over(todo)
        to_send = requests(todo.creates, os.environ, _new_password)
        if todo.creates:
            session.reserve()
        ports = executor.Ports(
            api=_client(url, transport),
            journal=session,
            sealer=AgeSealer([recipient]),
            progress=_Silent(),
            now=_now,
            new_id=_new_id,
            by="tester@here",
            interrupted=lambda: None,
        )
        return exit_code([executor.apply(todo, state, Work(to_send), ports)])


def _recover(project: Project, log: Path) -> int:
    session: Session
    with _opened(project, Disk()) as session:
        session.put_back(found_in(log.read_text(), str(log)))
    return 0


def _client(url: str, transport: Exchange) -> Client:
    retry = RetryPolicy(attempts=1, budget=0, retry_after_cap=0, sleep=time.sleep, interrupted=lambda: False)
    return Client(url, PARENT, transport, retry, now=lambda: datetime.now(UTC))


def _warn(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _new_password() -> Secret:
    return Secret(PASSWORD_MARK + new_password().reveal())


def _new_id() -> str:
    return str(uuid.uuid4())
