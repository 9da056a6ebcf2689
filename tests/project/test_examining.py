"""The checks of ``doctor``: each is independent, and none changes anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioner.errors import ExitCode
from provisioner.project.examining import Check
from provisioner.state.sealing import new_identity
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox
from tests.project.opened import accounts_of, many, opened, state_of
from tests.state.stores.remotes import GIT, git, new_remote


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox()


@pytest.fixture
def mine(project: NewProject, server: SandboxProcess) -> Project:
    return project(server, ("paris",))


def checks(mine: Project, *, offline: bool = False, **environ: str) -> dict[str, Check]:
    """Return the checks of the project, by what they check."""
    this = opened(mine, environ={**mine.environ, **environ})
    return {each.what: each for each in this.examine(offline=offline)}


def codes(found: dict[str, Check]) -> dict[str, ExitCode]:
    return {what: each.failure.exit_code for what, each in found.items() if each.failure is not None}


def test_each_check_says_what_it_found(mine: Project, server: SandboxProcess) -> None:
    found = checks(mine)
    assert {} == codes(found)
    assert ["settings", "manifests", "recipients", "identity", "credentials", "state", "sealed", "Octopush"] == [*found]
    assert ("1 file with 1 account", "nothing yet") == (found["manifests"].found, found["sealed"].found)
    assert found["Octopush"].found.startswith(f"accepts login and key at {server.url}; the parent has ")
    assert "there is none at" in found["state"].found
    this = opened(mine)
    this.apply(this.plan())
    before, sent = mine.state_path.read_bytes(), len(server.requests())
    found = checks(mine)
    assert "with serial 2 and 1 account" in found["state"].found
    assert "the content of paris can be opened" in found["sealed"].found
    assert (before, 0) == (mine.state_path.read_bytes(), len(server.requests()) - sent - 1)


def test_offline_sends_no_request(mine: Project, server: SandboxProcess) -> None:
    assert "Octopush" not in checks(mine, offline=True)
    assert [] == server.requests()


def test_each_failure_belongs_to_its_own_check(mine: Project) -> None:
    this = opened(mine)
    this.apply(this.plan())
    assert {"Octopush": ExitCode.SETTING_INVALID} == codes(checks(mine, OCTOPUSH_API_KEY="wrong"))
    _, stranger = new_identity()
    assert {"identity": ExitCode.REFUSED} == codes(checks(mine, PROVISIONER_RECIPIENTS=stranger))
    unset = {name: text for name, text in mine.environ.items() if name != "OCTOPUSH_API_KEY"}
    found = {each.what: each for each in opened(mine, environ=unset).examine()}
    assert {"credentials": ExitCode.SETTING_INVALID} == codes(found)
    assert "Octopush" not in found
    (mine.folder / "manifests" / "accounts.yaml").write_text("version: 1\naccounts: [{}]\n")
    assert {"manifests": ExitCode.MANIFEST_INVALID} == codes(checks(mine, offline=True))
    mine.state_path.write_text("spoilt")
    assert {"manifests": ExitCode.MANIFEST_INVALID, "state": ExitCode.STATE_UNUSABLE} == codes(
        checks(mine, offline=True)
    )


def test_an_unreachable_server_is_not_blamed_on_the_key(mine: Project) -> None:
    found = checks(mine, OCTOPUSH_API_URL="http://127.0.0.1:9/v1", PROVISIONER_ATTEMPTS="1")
    assert {"Octopush": ExitCode.SOME_FAILED} == codes(found)


def test_a_trial_save_checks_a_remote_state(mine: Project, tmp_path: Path) -> None:
    git(mine.folder, "init", "--quiet")
    git(mine.folder, "remote", "add", "origin", str(new_remote(tmp_path / "remote.git")))
    elsewhere = {**GIT, "PROVISIONER_STATE": "git:origin/provisioner-state/{parent}.json"}
    found = checks(mine, offline=True, **elsewhere)
    assert {} == codes(found)
    assert found["saves"].found.startswith("this machine may push to the remote")
    git(mine.folder, "remote", "set-url", "--push", "origin", str(tmp_path / "nowhere"))
    assert {"saves": ExitCode.STATE_UNUSABLE} == codes(checks(mine, offline=True, **elsewhere))


def test_the_record_of_placements_is_checked_too(sandbox: StartSandbox, tmp_path: Path) -> None:
    mine = many(sandbox(*accounts_of("a", "b")), tmp_path, {"a": (), "b": ()})
    (mine.folder / "manifests" / "accounts.csv").write_text("name,first_name,last_name,parent\nx,Ada,X,auto\n")
    assert "placements" not in checks(mine, offline=True)
    this = opened(mine)
    this.apply(this.plan())
    assert checks(mine, offline=True)["placements"].found.endswith("auto.json with 1 account")
    state_of(mine, "auto").write_text("spoilt")
    assert ExitCode.STATE_UNUSABLE == codes(checks(mine, offline=True))["placements"]


def test_without_an_identity_the_check_says_what_is_impossible(mine: Project) -> None:
    mine.identity_path.unlink()
    found = checks(mine, offline=True)
    assert {} == codes(found)
    assert "accounts can be created, but not changed" in found["identity"].found


def test_the_command_shows_all_checks_and_exits_with_the_gravest_code(mine: Project) -> None:
    done = mine.run("doctor")
    assert (0, "") == (done.returncode, done.stderr)
    assert "ok      default: state        there is none at" in done.stdout
    mine.state_path.parent.mkdir()
    Path(mine.state_path).write_text("spoilt")
    done = mine.run("doctor", "--offline", "--format", "json")
    assert ExitCode.STATE_UNUSABLE == done.returncode
    (state,) = [each for each in json.loads(done.stdout)["checks"] if each["what"] == "state"]
    assert (False, 5, "default") == (state["ok"], state["code"], state["parent"])
    done = mine.run("doctor", "--offline")
    assert "FAILED  default: state" in done.stdout
