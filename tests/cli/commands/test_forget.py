"""``forget``: an account leaves the state, and what was known of it is kept."""

from __future__ import annotations

import json

import pytest

from provisioner.state.sealing import new_identity
from tests.cli.steps import answering, conforming, delete, error_of, having, login_of, outcomes, without
from tests.conftest import PARENT, NewProject, Project, SandboxProcess, StartSandbox, assert_no_secret


def test_what_was_deleted_is_forgotten_and_the_state_before_is_kept(applied: Project, server: SandboxProcess) -> None:
    before = applied.state_path.read_bytes()
    delete(server, login_of(applied, "rome"))
    done = applied.run("forget", "rome", "--yes", "--format", "json")
    assert (0, [("rome", "forget", "forgotten", None)]) == (done.returncode, outcomes(done.stdout))
    assert {"paris": "active"} == applied.statuses()
    assert before == applied.state_path.with_name("default.json.backup").read_bytes()
    plan = conforming(applied.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert (1, 1) == (plan["slots"]["used"], plan["summary"]["create"])
    assert_no_secret(server, applied, done.stdout, done.stderr)


def test_what_was_forgotten_is_kept_for_as_long_as_anybody_wants_it(applied: Project, server: SandboxProcess) -> None:
    kept = applied.state_path.with_name("default.json.forgotten")
    rome, paris = applied.opened("rome"), applied.opened("paris")
    done = applied.run("forget", "rome", "--yes", "--force")
    assert f"`provisioner recover {kept.relative_to(applied.folder)} --only rome` restores it" in done.stderr
    # Two runs that save: the backup knows nothing of it any more.
    assert 0 == applied.run("rotate-password", "paris", "--yes").returncode
    assert 0 == applied.run("rotate-password", "paris", "--yes").returncode
    assert "rome" not in json.loads(applied.state_path.with_name("default.json.backup").read_text())["accounts"]
    assert 0 == applied.run("forget", "paris", "--yes", "--force").returncode
    assert (2, 0o600) == (kept.read_text().count("\n"), kept.stat().st_mode & 0o777)
    assert_no_secret(server, applied, done.stdout, done.stderr, kept.read_text())

    assert 64 == applied.run("recover", "state/default.json.forgotten", "--only", "oslo").returncode
    assert 64 == applied.run("recover", "--only", "rome").returncode
    assert {} == applied.statuses()
    done = applied.run("recover", "state/default.json.forgotten", "--only", "rome")
    assert (0, {"rome": "active"}, rome) == (done.returncode, applied.statuses(), applied.opened("rome"))
    assert 0 == applied.run("recover", "state/default.json.forgotten").returncode
    assert {"paris": "active", "rome": "active"} == applied.statuses()
    assert paris.credentials == applied.opened("paris").credentials
    assert "Verified (keys, not passwords): 2 good." in applied.run("verify").stdout


def test_if_a_name_was_forgotten_twice_the_latest_record_is_put_back(applied: Project) -> None:
    assert 0 == applied.run("forget", "rome", "--yes", "--force").returncode
    assert 0 == applied.run("apply", "--yes").returncode
    second = applied.opened("rome")
    assert 0 == applied.run("forget", "rome", "--yes", "--force").returncode
    assert 0 == applied.run("recover", "state/default.json.forgotten", "--only", "rome").returncode
    assert second == applied.opened("rome")


def test_nothing_is_forgotten_if_its_record_cannot_be_kept(applied: Project) -> None:
    before = applied.state_path.read_bytes()
    applied.state_path.with_name("default.json.forgotten").mkdir()
    done = applied.run("forget", "rome", "--yes", "--force", "--format", "json")
    assert (5, "StateInvalid") == (done.returncode, error_of(done)["name"])
    assert before == applied.state_path.read_bytes()


def test_what_octopush_still_knows_is_not_forgotten(applied: Project) -> None:
    before = applied.state_path.read_bytes()
    done = applied.run("forget", "rome", "--yes", "--format", "json")
    error = error_of(done)
    assert (5, 5, "StateConflict") == (done.returncode, error["code"], error["name"])
    assert "Octopush still knows it" in error["message"]
    assert "--force" in error["hint"]
    assert before == applied.state_path.read_bytes()


@pytest.mark.parametrize("fault", ["500@*:read", "lost@*:read", "not-json@*:read", "403@*:read", "429@*:read"])
def test_an_account_that_cannot_be_looked_up_is_not_forgotten(
    sandbox: StartSandbox, project: NewProject, fault: str
) -> None:
    server = sandbox("--fault", fault)
    mine = project(server, ("paris",))
    mine.run("apply", "--yes", "--attempts", "1")
    before = mine.state_path.read_bytes()
    done = mine.run("forget", "paris", "--yes", "--attempts", "1")
    assert (5, True) == (done.returncode, "Octopush could not say whether it exists" in done.stderr)
    assert before == mine.state_path.read_bytes()


def test_an_account_that_another_octopush_does_not_know_is_not_forgotten(
    applied: Project, server: SandboxProcess, sandbox: StartSandbox
) -> None:
    other = sandbox()
    for elsewhere in (
        having(applied, OCTOPUSH_API_URL=other.url),
        having(applied, OCTOPUSH_API_LOGIN="somebody@example.com"),
    ):
        assert 5 == elsewhere.run("forget", "rome", "--yes").returncode
    assert [] == other.requests()
    assert {"paris": "active", "rome": "active"} == applied.statuses()
    assert 4 == len(server.requests())


def test_with_force_neither_octopush_nor_an_identity_is_needed(applied: Project, server: SandboxProcess) -> None:
    before = applied.state_path.read_bytes()
    asked = len(server.requests())
    poor = without(applied, "OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY", "OCTOPUSH_API_URL", "PROVISIONER_RECIPIENTS")
    identity = applied.identity_path.read_text()
    applied.identity_path.unlink()
    assert 10 == poor.run("forget", "rome", "--yes").returncode
    assert before == applied.state_path.read_bytes()
    done = poor.run("forget", "rome", "--yes", "--force")
    applied.identity_path.touch(mode=0o600)
    applied.identity_path.write_text(identity)
    assert (0, True) == (done.returncode, "forgotten      rome  forced: Octopush was not asked" in done.stdout)
    assert {"paris": "active"} == applied.statuses()
    assert asked == len(server.requests())


def test_an_identity_and_credentials_are_needed_to_ask(applied: Project) -> None:
    before = applied.state_path.read_bytes()
    stranger, _ = new_identity()
    for project in (
        without(applied, "OCTOPUSH_API_KEY"),
        having(applied, PROVISIONER_IDENTITY=stranger.reveal()),
        having(applied, PROVISIONER_IDENTITY_FILE=str(applied.root / "nowhere")),
    ):
        assert 10 == project.run("forget", "rome", "--yes").returncode
    assert before == applied.state_path.read_bytes()


def test_an_unknown_is_resolved_and_not_forgotten_without_force(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1")
    mine = project(server, ("paris",))
    assert 8 == mine.run("apply", "--yes").returncode
    done = mine.run("forget", "paris", "--yes")
    assert (5, True, True) == (
        done.returncode,
        "provisioner resolve" in done.stderr,
        "provisioner adopt" in done.stderr,
    )
    assert {"paris": "unknown"} == mine.statuses()
    assert 0 == mine.run("forget", "paris", "--yes", "--force").returncode
    assert {} == mine.statuses()


def test_forget_asks_first(applied: Project, server: SandboxProcess) -> None:
    asked = len(server.requests())
    done = applied.run("forget", "rome")
    assert (64, True, asked) == (done.returncode, "--yes" in done.stderr, len(server.requests()))
    delete(server, login_of(applied, "rome"))
    code, said = answering(applied, "n\n", "forget", "rome")
    assert (130, True) == (code, "Forget rome, with its login, key and password?" in said)
    assert "default:\n  address  http://127.0.0.1:" in said
    assert f"  login    {PARENT.api_login} (from OCTOPUSH_API_LOGIN)\n  state    state/default.json\n" in said
    assert "error: Not confirmed; nothing was changed." in said
    assert {"paris": "active", "rome": "active"} == applied.statuses()
    code, said = answering(applied, "y\n", "forget", "rome")
    assert (0, {"paris": "active"}) == (code, applied.statuses())
    for arguments in (["forget", "rome", "--yes"], ["forget", "rome", "--yes", "--force"], ["forget", "--yes"]):
        assert 64 == applied.run(*arguments).returncode
