"""``rotate-password``: a new password, and never a doubt about which one is right."""

from __future__ import annotations

import pytest
import requests

from provisioner.errors import ExitCode
from provisioner.state.sealing import new_identity
from tests.cli.steps import (
    assert_kept_now,
    begun_password,
    dashboard,
    delete,
    edit_manifest,
    having,
    login_of,
    made,
    manifest_of,
    outcomes,
    password_at,
    password_of,
    record_of,
    without,
)
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_no_secret
from tests.forks import PATIENCE


def test_a_new_password_is_set_and_nothing_else(applied: Project, server: SandboxProcess) -> None:
    login, before = login_of(applied, "paris"), applied.opened("paris")
    # What was sent is sealed: the placeholders are not needed again.
    done = without(applied, "HOOK_TOKEN").run("rotate-password", "paris", "--yes", "--format", "json")
    assert (0, [("paris", "update", "updated", None)]) == (done.returncode, outcomes(done.stdout))
    after = applied.opened("paris")
    assert password_of(before) != password_of(after) == password_at(server, login)
    assert (before.credentials, before.sent) == (after.credentials, after.sent)
    assert 1 == record_of(applied, "paris").password_version
    listed = {each["api_login"]: each for each in requests.get(dashboard(server), timeout=PATIENCE).json()}
    assert {"callback_url_for_deliveries": "https://hooks.example.com/?t=hook-token-8a2d4c6e"} == listed[login][
        "callbacks"
    ]
    assert ("paris", "Crash") == (listed[login]["first_name"], listed[login]["last_name"])
    assert 0 == applied.run("plan", "--detailed-exitcode").returncode
    assert_no_secret(server, applied, done.stdout, done.stderr)
    assert password_of(after) not in done.stdout + done.stderr


def test_the_password_of_the_manifest_is_set(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("paris",))
    edit_manifest(mine, "first_name: paris", "first_name: paris, password: '${env:PARIS_PASSWORD}'")
    first, second = having(mine, PARIS_PASSWORD="First-1-secret"), having(mine, PARIS_PASSWORD="Second-2-secret")
    assert 0 == first.run("apply", "--yes").returncode
    before = mine.state_path.read_bytes()
    asked = len(server.requests())
    missing, same = mine.run("rotate-password", "paris", "--yes"), first.run("rotate-password", "paris", "--yes")
    assert (10, True) == (missing.returncode, "PARIS_PASSWORD" in missing.stderr)
    assert (10, True) == (same.returncode, "already has the password in the manifest" in same.stderr)
    assert (before, asked) == (mine.state_path.read_bytes(), len(server.requests()))
    done = second.run("rotate-password", "paris", "--yes")
    assert (0, "Second-2-secret") == (done.returncode, password_at(server, login_of(mine, "paris")))
    assert "Second-2-secret" == password_of(mine.opened("paris"))
    assert "secret" not in missing.stderr + same.stderr + done.stdout + done.stderr


def test_an_account_that_no_manifest_names_gets_one_too(applied: Project, server: SandboxProcess) -> None:
    before = password_of(applied.opened("rome"))
    manifest_of(applied).unlink()
    assert 0 == applied.run("rotate-password", "rome", "--yes").returncode
    assert before != password_of(applied.opened("rome")) == password_at(server, login_of(applied, "rome"))


@pytest.mark.parametrize(
    ("fault", "processed"), [("lost@1:edit", True), ("500-after@1:edit", True), ("500@1:edit", False)]
)
def test_both_passwords_are_kept_until_the_answer_is_certain(
    sandbox: StartSandbox, project: NewProject, fault: str, *, processed: bool
) -> None:
    server = sandbox("--fault", fault)
    mine = made(server, project, ("paris",))
    login, old = login_of(mine, "paris"), password_of(mine.opened("paris"))
    done = mine.run("rotate-password", "paris", "--yes", "--attempts", "1")
    new = begun_password(mine, "paris")
    assert ExitCode.SOME_FAILED == done.returncode
    assert "it is unknown whether the password was set; `provisioner credentials show" in done.stdout
    assert old != new
    assert (old, new if processed else old) == (password_of(mine.opened("paris")), password_at(server, login))
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    # The unfinished change was in the state: anybody who can write the state may know its password.
    assert password_at(server, login) not in {old, new}
    assert password_of(mine.opened("paris")) == password_at(server, login)
    assert record_of(mine, "paris").edit is None


def test_a_timeout_leaves_both_passwords_and_apply_finishes_too(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=5@1:edit")
    mine = made(server, project, ("paris",))
    assert 7 == mine.run("rotate-password", "paris", "--yes", "--attempts", "1", "--timeout", "1").returncode
    new = begun_password(mine, "paris")
    assert 0 == mine.run("apply", "--yes").returncode
    assert new != password_of(mine.opened("paris")) == password_at(server, login_of(mine, "paris"))
    assert 1 == record_of(mine, "paris").password_version


def test_a_lost_answer_is_tried_again_with_the_same_password(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1:edit")
    mine = made(server, project, ("paris",))
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    assert_kept_now(server, mine, "paris")
    edits = [each["password"] for each in server.accounts()[1:]]
    assert (2, 1) == (len(edits), len(set(edits)))


def test_an_unfinished_password_version_is_finished_as_that_version(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1:edit")
    mine = made(server, project, ("paris",))
    edit_manifest(mine, "first_name: paris", "first_name: paris, password_version: 2")
    assert 7 == mine.run("apply", "--yes", "--attempts", "1").returncode
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    assert 2 == record_of(mine, "paris").password_version
    assert 0 == mine.run("plan", "--detailed-exitcode").returncode
    assert_kept_now(server, mine, "paris")


def test_an_unfinished_change_is_applied_first(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1:edit")
    mine = made(server, project, ("paris",))
    edit_manifest(mine, "last_name: Crash", "last_name: Changed")
    assert 7 == mine.run("apply", "--yes", "--attempts", "1").returncode
    before, asked = mine.state_path.read_bytes(), len(server.requests())
    done = mine.run("rotate-password", "paris", "--yes")
    assert (5, True) == (done.returncode, "`provisioner apply` first" in done.stderr)
    assert (before, asked) == (mine.state_path.read_bytes(), len(server.requests()))
    assert 0 == mine.run("apply", "--yes").returncode
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    assert "Changed" == server.accounts()[-1]["last_name"]


def test_a_gone_account_gets_no_password(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, "rome"))
    done = applied.run("rotate-password", "rome", "--yes", "--format", "json")
    assert (7, "failed") == (done.returncode, outcomes(done.stdout)[0][2])
    assert record_of(applied, "rome").drift.gone
    asked = len(server.requests())
    done = applied.run("rotate-password", "rome", "--yes")
    assert (5, True) == (done.returncode, "provisioner forget rome" in done.stderr)
    assert asked == len(server.requests())
    assert 0 == applied.run("forget", "rome", "--yes").returncode


@pytest.mark.parametrize("fault", ["lost@1:edit", "500-after@1:edit"])
def test_a_404_after_a_lost_answer_drops_no_password(sandbox: StartSandbox, project: NewProject, fault: str) -> None:
    server = sandbox("--fault", fault, "--fault", "404@2:edit")
    mine = made(server, project, ("paris",))
    login, old = login_of(mine, "paris"), password_of(mine.opened("paris"))
    done = mine.run("rotate-password", "paris", "--yes")
    assert (7, True) == (done.returncode, "its values are saved" in done.stdout)
    new = begun_password(mine, "paris")
    assert (old, new) == (password_of(mine.opened("paris")), password_at(server, login))
    assert "- gone       paris" in mine.run("plan").stdout
    assert "`provisioner refresh` looks for it again" in mine.run("credentials", "list").stderr
    assert "`provisioner refresh`, which records that it exists" in mine.run("forget", "paris", "--yes").stderr
    # It was the gateway's word, and not Octopush's: the login is known again.
    done = mine.run("refresh")
    assert (7, True) == (done.returncode, "an earlier edit is unfinished" in done.stdout)
    assert 0 == mine.run("apply", "--yes").returncode
    assert new != password_of(mine.opened("paris")) == password_at(server, login)
    assert record_of(mine, "paris").edit is None


def test_a_new_password_needs_what_it_needs(applied: Project, server: SandboxProcess) -> None:
    before, asked = applied.state_path.read_bytes(), len(server.requests())
    stranger, _ = new_identity()
    refused = {
        64: [
            applied.run("rotate-password", *arguments)
            for arguments in (["paris"], ["oslo", "--yes"], ["--yes"], ["paris", "--all", "--yes"], ["m.yaml", "--yes"])
        ],
        10: [
            having(applied, PROVISIONER_IDENTITY=stranger.reveal()).run("rotate-password", "paris", "--yes"),
            without(applied, "OCTOPUSH_API_KEY").run("rotate-password", "paris", "--yes"),
            without(applied, "PROVISIONER_RECIPIENTS").run("rotate-password", "paris", "--yes"),
        ],
        3: [applied.run("rotate-password", "paris", "--manifest", "nowhere.yaml", "--yes")],
    }
    for code, runs in refused.items():
        assert [code] * len(runs) == [each.returncode for each in runs]
    assert (before, asked) == (applied.state_path.read_bytes(), len(server.requests()))


def test_an_unknown_gets_no_password(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "lost@1"), ("paris",))
    assert 8 == mine.run("apply", "--yes").returncode
    done = mine.run("rotate-password", "paris", "--yes")
    assert (5, True) == (done.returncode, "The login of paris is not known" in done.stderr)
