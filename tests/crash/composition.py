"""The commands that change a state, put together from the same parts, with a disk and a connection that can be swapped.

They run in a child process that is forked, so that dying is cheap. What the child
prints goes to the project's ``run.log``.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from provisioner import executor, manifest
from provisioner.cli.applying import new_password, work
from provisioner.errors import StateError
from provisioner.executor import Ports, Work
from provisioner.manifest.expansion import requests
from provisioner.model.account import Credentials, Manifest, Secret
from provisioner.model.exchange import Observed, differing
from provisioner.model.plan import Create, raise_if_over
from provisioner.model.report import Outcome, exit_code
from provisioner.model.state import State
from provisioner.octopush.client import Client
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Failure, Reply, Request, Transport
from provisioner.planner import plan
from provisioner.state.disk import Disk
from provisioner.state.lock import Holder
from provisioner.state.rescue import Rescue, found_in
from provisioner.state.sealing import AgeOpener, AgeSealer, parse_identities
from provisioner.state.seen import Seen
from provisioner.state.session import Session, check_parent, opened
from provisioner.state.store import LocalStore
from tests.conftest import PARENT, PATIENCE, Project
from tests.forks import exit_code_of

PASSWORD_MARK: Final = "Known-to-the-test-1"
"""What every password begins with, so that a test also finds one that was never sent, of which no ledger tells."""


class Exchange(Protocol):
    """What a client asks of its transport."""

    def exchange(self, request: Request) -> Reply | Failure: ...


class _Silent:
    """Nobody watches."""

    def started(self, name: str, operation: str | None = None) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


# ── The commands, each with its exit code, -9 where it was killed ────────────


def log_of(project: Project) -> Path:
    """Return the file that holds what the project's runs printed."""
    return project.root / "run.log"


def run(project: Project, disk: Disk | None = None, transport: Exchange | None = None) -> int:
    """Apply the project's manifest."""
    return _in_child(partial(_apply, project, disk or Disk(), transport or _transport()), project)


def adopt(project: Project, name: str, login: str, disk: Disk | None = None, transport: Exchange | None = None) -> int:
    """Take over the account that has ``login``, unless ``name`` has it already."""
    return _in_child(partial(_adopt, project, name, login, disk or Disk(), transport or _transport()), project)


def rekey(project: Project, disk: Disk | None = None) -> int:
    """Seal everything anew to the project's recipient."""
    return _in_child(partial(_rekey, project, disk or Disk()), project)


def recover(project: Project, log: Path) -> int:
    """Put back what ``log`` holds."""
    return _in_child(partial(_recover, project, log), project)


# ── The child ────────────────────────────────────────────────────────────────


def _in_child(what: Callable[[], int], project: Project) -> int:
    return exit_code_of(_child, what, project)


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


# ── What each does there ─────────────────────────────────────────────────────


def _apply(project: Project, disk: Disk, transport: Exchange) -> int:
    wanted = _wanted()
    with _held(project, disk) as session:
        state = _state(project, session)
        todo = plan(wanted, state, limit=20, reserved=0)
        raise_if_over(todo)
        ready = _marked(work(todo, state, _opener(project) if todo.updates else None))
        if todo.creates:
            session.reserve()
        return exit_code([executor.apply(todo, state, ready, _ports(project, session, transport))])


def _marked(ready: Work) -> Work:
    """Return what is to be sent with the mark before each new password; one that was begun bears it already."""

    def mark(password: Secret) -> Secret:
        text = password.reveal()
        return password if text.startswith(PASSWORD_MARK) else Secret(PASSWORD_MARK + text)

    creates = {name: replace(each, password=mark(each.password)) for name, each in ready.creates.items()}
    edits = {name: replace(each, password=each.password and mark(each.password)) for name, each in ready.edits.items()}
    return replace(ready, creates=creates, edits=edits)


def _adopt(project: Project, name: str, login: str, disk: Disk, transport: Exchange) -> int:
    (account,) = (each for each in _wanted().accounts if each.name == name)
    sent = requests([Create(account)], os.environ, new_password)[name].attributes
    with _held(project, disk) as session:
        state, opener = _state(project, session), _opener(project)
        contents = {
            each: opener.open(record.sealed, lineage=state.lineage, parent=state.parent, name=each)
            for each, record in state.accounts.items()
            if record.sealed is not None
        }
        logins = {each: content.credentials.api_login for each, content in contents.items() if content.credentials}
        if executor.may_adopt(state, name, login, logins):
            ports = _ports(project, session, transport)
            observed = ports.api.read(login)
            assert isinstance(observed, Observed)
            assert observed.api_key is not None
            state, _ = executor.adopted(
                state,
                name,
                Credentials(login, observed.api_key),
                observed=observed,
                wanted=account.attributes,
                differ=differing(sent.flat(), observed.fields),
                password_version=account.password_version,
                kept=contents.get(name),
                ports=ports,
            )
            session.save(state)
    return 0


def _rekey(project: Project, disk: Disk) -> int:
    recipient = project.environ["PROVISIONER_RECIPIENTS"]
    with _held(project, disk) as session:
        assert session.state is not None
        session.save(executor.rekey(session.state, _opener(project), AgeSealer([recipient]), (recipient,)))
    return 0


def _recover(project: Project, log: Path) -> int:
    with _held(project, Disk()) as session:
        session.put_back(found_in(log.read_text(), str(log)))
    return 0


# ── The parts ────────────────────────────────────────────────────────────────


def _wanted() -> Manifest:
    (wanted,) = manifest.load([Path("manifests")], owner="default").require()
    return wanted


def _held(project: Project, disk: Disk) -> AbstractContextManager[Session]:
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


def _state(project: Project, session: Session) -> State:
    url, recipient = project.environ["OCTOPUSH_API_URL"], project.environ["PROVISIONER_RECIPIENTS"]
    state = session.state or State(lineage=_new_id(), parent="default", recipients=(recipient,))
    return executor.settle(check_parent(state, endpoint=url, api_login=PARENT.api_login), session)


def _opener(project: Project) -> AgeOpener:
    return AgeOpener(parse_identities(Secret(project.identity_path.read_text()), "the test"))


def _ports(project: Project, session: Session, transport: Exchange) -> Ports:
    retry = RetryPolicy(attempts=1, budget=0, retry_after_cap=0, sleep=time.sleep, interrupted=lambda: False)
    url = project.environ["OCTOPUSH_API_URL"]
    return Ports(
        api=Client(url, PARENT, transport, retry, now=lambda: datetime.now(UTC)),
        journal=session,
        sealer=AgeSealer([project.environ["PROVISIONER_RECIPIENTS"]]),
        progress=_Silent(),
        now=_now,
        new_id=_new_id,
        by="tester@here",
        interrupted=lambda: None,
    )


def _transport() -> Transport:
    return Transport(timeout=PATIENCE)


def _warn(message: str) -> None:
    sys.stderr.write(f"{message}\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _new_id() -> str:
    return str(uuid.uuid4())
