"""No account is adopted, created or left out only because it looks like another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from provisioner.errors import ExitCode, Refused
from provisioner.project.bounds import Bounds
from tests.cli.steps import delete
from tests.conftest import SandboxProcess, StartSandbox, running_sandboxes
from tests.project.opened import Heard, accounts_of, key_of, many, opened, results


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSandbox]:
    with running_sandboxes(tmp_path_factory.mktemp("sandbox")) as start:
        yield start


def stranger(server: SandboxProcess) -> str:
    """Make an account by hand, and return its login."""
    body = {"first_name": "Ada", "last_name": "Lovelace", "password": "By-hand-1-secret"}
    mine = {"api-login": "acme@example.com", "api-key": key_of("acme")}
    done = requests.post(f"{server.url}/subaccount/create", json=body, headers=mine, timeout=10)
    return str(done.json()["api_login"])


def test_a_login_of_somebody_else_is_not_adopted_and_gets_no_password(start: StartSandbox, tmp_path: Path) -> None:
    server = start(*accounts_of("acme"), "--fault", "lost@1:create")
    mine = opened(many(server, tmp_path, {"acme": ("paris",)}))
    assert ExitCode.OUTCOME_UNKNOWN == mine.apply(mine.plan()).exit_code
    login = stranger(server)
    with pytest.raises(Refused) as caught:
        mine.adopt([("paris", login)], alone=True)
    assert 'first_name: "paris" sent for paris, "Ada" at Octopush' in caught.value.message
    assert {"acme": {"paris": "failed"}} == results(mine.adopt([("paris", login)]).reports)
    assert ExitCode.OUTCOME_UNKNOWN == mine.apply(mine.plan()).exit_code
    # A person may insist, but the account does not get a password that was sent for somebody else.
    assert ("paris",) == mine.adopt([("paris", login)], alone=True, different=True).without_password
    (opened_now,) = mine.open_credentials(["paris"])
    assert opened_now.content.password is None


def test_an_unknown_that_the_stored_answer_proves_cannot_be_resolved(start: StartSandbox, tmp_path: Path) -> None:
    faults = [f"--fault={each}" for each in ("429-body@1", "missing-credential@2", "500@3", "lost@4")]
    project = many(start(*accounts_of("acme"), *faults), tmp_path, {"acme": ("bonn", "lyon", "oslo", "paris")})
    mine = opened(project)
    assert ExitCode.OUTCOME_UNKNOWN == mine.apply(mine.plan(), bounds=Bounds(keep_going=True, new_state=True)).exit_code
    for name in ("bonn", "lyon"):
        for abandon in (False, True):
            with pytest.raises(Refused, match=f"{name} was created: the stored answer") as caught:
                mine.resolve(name, abandon=abandon)
            assert f"`provisioner adopt {name} LOGIN`" in caught.value.hint
            # Only other commands may show a login.
            assert "@" not in caught.value.message + caught.value.hint
    # Without an identity, nobody may say that the account does not exist; an abandoned account keeps the answer.
    project.identity_path.rename(tmp_path / "hidden")
    blind, heard = opened(project), Heard()
    for name in ("bonn", "oslo"):
        with pytest.raises(Refused, match=f"for {name} may prove that it was created.*no identity that opens it"):
            blind.resolve(name, abandon=False)
    blind.resolve("bonn", abandon=True, reporter=heard)
    assert "may prove that it was created" in heard.warnings[0]
    # If no answer came, or if an answer that can be opened proves nothing, a person decides.
    blind.resolve("paris", abandon=False)
    (tmp_path / "hidden").rename(project.identity_path)
    assert {"bonn", "lyon"} == opened(project).resolve("oslo", abandon=False).accounts.keys()


def test_an_undeclared_rename_is_not_created_unattended(start: StartSandbox, tmp_path: Path) -> None:
    server = start(*accounts_of("acme"))
    project = many(server, tmp_path, {"acme": ("paris", "rome")})
    this = opened(project)
    assert 0 == this.apply(this.plan()).exit_code
    table = project.folder / "manifests" / "accounts.csv"
    table.write_text(table.read_text().replace("\nrome,", "\nroma,"))
    with pytest.raises(Refused, match="created a second time: roma like rome") as caught:
        this.apply(this.plan(), bounds=Bounds())
    assert (ExitCode.REFUSED, 2) == (caught.value.exit_code, len(server.accounts()))
    table.write_text("previously," + table.read_text().replace("\nroma", "\nrome,roma").replace("\nparis", "\n,paris"))
    assert 0 == this.apply(this.plan(), bounds=Bounds()).exit_code
    assert 2 == len(server.accounts())


def test_a_gone_account_is_reported_until_a_person_forgets_it(start: StartSandbox, tmp_path: Path) -> None:
    server = start(*accounts_of("acme"))
    project = many(server, tmp_path, {"acme": ("paris", "rome")})
    this = opened(project)
    assert 0 == this.apply(this.plan()).exit_code
    for made in server.accounts():
        delete(server, made["api_login"])
    this.refresh()
    table = project.folder / "manifests" / "accounts.csv"
    table.write_text("\n".join(line for line in table.read_text().splitlines() if not line.startswith("rome")))
    # One is in a manifest and one is not; Octopush is not asked.
    assert ["gone", "gone"] == [each.action for each in this.plan().plans[0].changes]
    assert ExitCode.CHANGES_PENDING == this.plan().exit_code(detailed=True)
    assert ExitCode.SOME_FAILED == this.apply(this.plan()).exit_code
    for name in ("paris", "rome"):
        this.forget(name)
    table.write_text(table.read_text().splitlines()[0] + "\nlyon,A,B,C,acme\n")
    assert 0 == this.apply(this.plan()).exit_code
