"""Steps that tests of the command line share: what a person does in the project and at Octopush, and the result.

A step asserts that it could be done. Whether what came of it is right is for the test to say.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import requests
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from provisioner import executor, schemas
from provisioner.model.account import Secret
from provisioner.model.rescue import MARK
from provisioner.model.state import Active, State
from provisioner.model.verdict import SealedContent
from provisioner.render.events import COMMON, Event
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities
from tests import forks
from tests.conftest import NewProject, Project, SandboxProcess, environment
from tests.forks import PATIENCE

TWO: Final = ("paris", "rome")
"""The accounts of most projects."""
COMPANY: Final = "By Hand"
"""A company that no manifest asks for."""

RECONCILE: Final = ("reconcile", "--new-state")
"""A first unattended run."""

# ── Commands ─────────────────────────────────────────────────────────────────


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in ``folder``, with only ``environ`` set."""
    plain = {name: value for name, value in environment(folder).items() if not name.startswith("OCTOPUSH_")}
    return forks.command(arguments, folder, {**plain, **environ})


def made(server: SandboxProcess, project: NewProject, names: tuple[str, ...] = TWO) -> Project:
    """Return a project whose accounts exist; the server has answered two requests for each of them."""
    mine = project(server, names)
    done = mine.run("apply", "--yes")
    assert (0, "") == (done.returncode, done.stderr if done.returncode else "")
    return mine


def answering(project: Project, answer: str, *arguments: str) -> tuple[int, str]:
    """Run the command at a terminal, and give its question this answer."""
    return forks.at_terminal(arguments, project.folder, project.environ, answer)


# ── What a command printed ───────────────────────────────────────────────────


def conforming(text: str, schema: str) -> Any:  # noqa: ANN401  # JSON has no closer type
    """Return the one JSON document in ``text``, checked against its schema."""
    document = json.loads(text)
    Draft202012Validator(schemas.load(schema)).validate(document)
    return document


def outcomes(text: str) -> list[tuple[str, str, str, str | None]]:
    """Return the name, action, status and reason of every account of the one report in ``text``."""
    (report,) = conforming(text, "report.v1")["reports"]
    return [(each["name"], each["action"], each["status"], each["reason"]) for each in report["outcomes"]]


def statuses(text: str) -> list[str]:
    """Return the status of every account of the one report in ``text``."""
    return [status for _, _, status, _ in outcomes(text)]


def by_name(text: str) -> dict[str, str]:
    """Return the same by the accounts' names."""
    return {name: status for name, _, status, _ in outcomes(text)}


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the error that a command printed as JSON."""
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return error


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the events of a log for programs; every line must be an event with only its own fields."""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    known = {each.label: {*COMMON, *each.fields, MARK} for each in Event}
    assert [] == [each for each in found if not each.keys() <= known[each["event"]]]
    return found


def metrics(path: Path) -> dict[str, float]:
    """Return every sample, as the official client reads it, by its name and the values of its labels."""
    return {
        " ".join((sample.name.removeprefix("octopush_provisioner_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


# ── The project ──────────────────────────────────────────────────────────────


def manifest_of(project: Project) -> Path:
    """Return the project's manifest."""
    return project.folder / "manifests" / "accounts.yaml"


def edit_manifest(project: Project, old: str, new: str) -> None:
    """Replace ``old`` with ``new`` in the manifest."""
    text = manifest_of(project).read_text()
    assert old in text
    manifest_of(project).write_text(text.replace(old, new))


def without(project: Project, *variables: str) -> Project:
    """Return the project of somebody whose environment lacks ``variables``."""
    return replace(project, environ={name: value for name, value in project.environ.items() if name not in variables})


def having(project: Project, **environ: str) -> Project:
    """Return the project of somebody whose environment has ``environ`` too."""
    return replace(project, environ={**project.environ, **environ})


def without_identity(project: Project) -> Project:
    """Hide the person's identity."""
    project.identity_path.rename(project.root / "hidden")
    return project


def stranger(project: Project) -> Project:
    """Return the project of somebody with an identity that nothing was sealed to."""
    return having(project, PROVISIONER_IDENTITY=new_identity()[0].reveal())


def only(project: Project, **environ: str) -> Project:
    """Return the project of another person: without the identity file of the first."""
    return having(project, XDG_CONFIG_HOME=str(project.root / "somebody-else"), **environ)


# ── Its state ────────────────────────────────────────────────────────────────


def state_of(project: Project) -> State:
    """Return the state, which must exist."""
    state = project.state()
    assert state is not None
    return state


def record_of(project: Project, name: str) -> Active:
    """Return the record of an account that is active."""
    record = state_of(project).accounts[name]
    assert isinstance(record, Active)
    return record


def login_of(project: Project, name: str) -> str:
    """Return the login that is sealed in an account's record."""
    credentials = project.opened(name).credentials
    assert credentials is not None
    return credentials.api_login


def password_of(content: SealedContent) -> str:
    """Return the password in ``content``."""
    assert content.password is not None
    return content.password.reveal()


def begun_password(project: Project, name: str) -> str:
    """Return the new password of an unfinished edit."""
    opener = AgeOpener(parse_identities(Secret(project.identity_path.read_text()), "the test"))
    content = executor.open_edit(state_of(project), name, opener)
    assert content is not None
    return password_of(content)


def tamper(project: Project, alter: Callable[[dict[str, Any]], None]) -> None:
    """Alter the accounts of the state, as anybody who can write the file can."""
    document = json.loads(project.state_path.read_text())
    alter(document["accounts"])
    document["serial"] += 1
    project.state_path.write_text(json.dumps(document))


def put(project: Project, name: str, sealed: str) -> None:
    """Replace the sealed content of an account."""
    tamper(project, lambda accounts: accounts[name].update(sealed=sealed))


def keep(project: Project, name: str, content: SealedContent) -> None:
    """Seal ``content`` into the record of an account, as anybody who knows a recipient can."""
    put(project, name, AgeSealer([project.environ["PROVISIONER_RECIPIENTS"]]).seal(content))


def replay(project: Project) -> None:
    """Change an account, and put back its earlier seal."""
    old = json.loads(project.state_path.read_text())["accounts"]["paris"]["sealed"]
    edit_manifest(project, "first_name: paris", "first_name: Paris")
    assert 0 == project.run("apply", "--yes").returncode
    put(project, "paris", old)


# ── Octopush ─────────────────────────────────────────────────────────────────


def dashboard(server: SandboxProcess, login: str = "") -> str:
    """Return the address of an account in the dashboard, or that of all."""
    return server.url.replace("/v1/public", f"/sandbox/accounts/{login}").removesuffix("/")


def change(server: SandboxProcess, login: str, **fields: object) -> None:
    """Change an account in the dashboard."""
    requests.patch(dashboard(server, login), json=fields, timeout=PATIENCE).raise_for_status()


def delete(server: SandboxProcess, login: str) -> None:
    """Delete an account in the dashboard."""
    requests.delete(dashboard(server, login), timeout=PATIENCE).raise_for_status()


def sent(server: SandboxProcess) -> int:
    """Return how many requests the server has received."""
    return len(server.requests())


def password_at(server: SandboxProcess, login: str) -> str:
    """Return the password that the server has, from the last line of its ledger that is about the account."""
    *_, last = (each["password"] for each in server.accounts() if each["api_login"] == login)
    return str(last)


def methods(server: SandboxProcess) -> list[str]:
    """Return the method of each request that the server has received."""
    return [each["method"] for each in server.requests()]


def made_by(server: SandboxProcess) -> dict[str, dict[str, str]]:
    """Return the credentials that the server gave to each account, by its first name."""
    fields = ("api_login", "api_key", "password")
    return {each["first_name"]: {field: each[field] for field in fields} for each in server.accounts()}


def assert_kept_now(server: SandboxProcess, project: Project, name: str) -> None:
    """Check that the state holds the password that the server has now, and a key that works."""
    content = project.opened(name)
    assert content.credentials is not None
    assert password_of(content) == password_at(server, content.credentials.api_login)
    assert server.accepts(content.credentials)
