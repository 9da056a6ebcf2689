"""``apply``: what it creates and changes, reports, refuses and says."""

from __future__ import annotations

import json
import re

import pytest

from provisioner.errors import ExitCode
from provisioner.state.sealing import new_identity
from tests import forks
from tests.cli.steps import (
    COMPANY,
    TWO,
    answering,
    assert_kept_now,
    begun_password,
    by_name,
    change,
    conforming,
    delete,
    edit_manifest,
    having,
    login_of,
    made,
    methods,
    only,
    outcomes,
    password_at,
    password_of,
    record_of,
    sent,
    statuses,
)
from tests.conftest import PARENT, NewProject, Project, SandboxProcess, StartSandbox, assert_no_secret

# ── What it does ─────────────────────────────────────────────────────────────


def test_apply_reports_and_twice_is_once(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    first = mine.run("apply", "--yes", "--format", "json")
    assert [("paris", "create", "created", None), ("rome", "create", "created", None)] == outcomes(first.stdout)
    assert "[1/2] created" in first.stderr
    before = mine.state_path.read_bytes()
    again = mine.run("apply", "--yes", "--format", "json")
    assert ["unchanged", "unchanged"] == statuses(again.stdout)
    assert (0, 0) == (first.returncode, again.returncode)
    assert before == mine.state_path.read_bytes()
    assert 2 == len(server.statuses())
    assert_no_secret(server, mine, first.stdout, first.stderr, again.stdout, again.stderr)


def test_a_change_is_shown_and_carried_out(applied: Project, server: SandboxProcess) -> None:
    manifest = applied.folder / "manifests" / "accounts.yaml"
    manifest.write_text(manifest.read_text().replace("last_name: Crash", "last_name: Changed"))
    plan = conforming(applied.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert [{"path": "last_name", "before": "Crash", "after": "Changed"}] == plan["changes"][0]["fields"]
    done = applied.run("apply", "--yes", "--format", "json")
    assert ("update", "updated") == outcomes(done.stdout)[0][1:3]
    assert ExitCode.DONE == done.returncode
    assert ["Changed", "Changed"] == [each["last_name"] for each in server.accounts()][-2:]
    sent = len(server.requests())
    assert ExitCode.DONE == applied.run("apply", "--yes").returncode
    assert sent == len(server.requests())


def test_without_an_identity_a_change_is_not_attempted(applied: Project, server: SandboxProcess) -> None:
    manifest = applied.folder / "manifests" / "accounts.yaml"
    manifest.write_text(manifest.read_text().replace("last_name: Crash", "last_name: Changed"))
    applied.identity_path.unlink()
    sent = len(server.requests())
    done = applied.run("apply", "--yes", "--format", "json")
    assert ("update", "not_attempted") == outcomes(done.stdout)[0][1:3]
    assert (ExitCode.SETTING_INVALID, sent) == (done.returncode, len(server.requests()))


def test_without_a_terminal_apply_needs_yes(server: SandboxProcess, project: NewProject) -> None:
    done = project(server, TWO).run("apply")
    assert ExitCode.USAGE == done.returncode
    assert "apply with --yes. If there is no account and no state yet, add --new-state." in done.stderr
    assert [] == server.requests()


@pytest.mark.parametrize("variable", ["OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY", "PROVISIONER_RECIPIENTS", "HOOK_TOKEN"])
def test_apply_says_what_is_missing(server: SandboxProcess, project: NewProject, variable: str) -> None:
    mine = project(server, TWO)
    environ = {name: value for name, value in mine.environ.items() if name != variable}
    done = Project(mine.root, mine.names, environ).run("apply", "--yes", "--format", "json")
    error = json.loads(done.stdout)["error"]
    assert (10, 10) == (done.returncode, error["code"])
    assert variable in error["message"] + error["hint"]
    assert [] == server.requests()
    assert not mine.state_path.exists()


def test_a_state_of_another_account_or_address_is_refused(applied: Project, sandbox: StartSandbox) -> None:
    other = Project(applied.root, applied.names, {**applied.environ, "OCTOPUSH_API_URL": sandbox().url})
    assert "live at" in other.run("apply", "--yes").stderr
    other = Project(applied.root, applied.names, {**applied.environ, "OCTOPUSH_API_LOGIN": "somebody@example.com"})
    done = other.run("apply", "--yes")
    assert "another Octopush account" in done.stderr
    assert ExitCode.STATE_UNUSABLE == done.returncode


def test_a_new_state_needs_a_person_or_an_explicit_option(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    for arguments in (("apply", "-y"), ("apply", "-y", "--plan", "plan.json"), ("reconcile",)):
        done = mine.run(*arguments)
        assert (5, []) == (done.returncode, server.requests())
        assert "There is no state of the parent default at state/default.json." in done.stderr
    # Nor is anybody asked who says yes beforehand.
    for arguments in (("apply", "--plan", "plan.json"), ("apply", "-y")):
        code, said = answering(mine, "y\n", *arguments)
        assert (5, True, []) == (code, "once with --new-state" in said, server.requests())
    code, said = answering(mine, "y\n", "apply")
    assert (0, 2) == (code, len(server.accounts()))
    assert 0 == mine.run("apply", "-y").returncode


def test_a_create_that_looks_like_a_renamed_account_is_for_a_person(
    server: SandboxProcess, project: NewProject
) -> None:
    mine = made(server, project)
    edit_manifest(mine, "name: rome,", "name: roma,")
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    for arguments in (("apply", "--yes"), ("apply", "--yes", "--plan", "plan.json"), ("reconcile",)):
        done = mine.run(*arguments)
        assert 4 == done.returncode
        assert (
            "accounts that look like renamed or moved ones would be created a second time: roma like rome."
            in done.stderr
        )
        assert "write `previously: OLD` under the new name" in done.stderr
    code, said = answering(mine, "n\n", "apply", "--yes")
    assert (130, 2) == (code, len(server.accounts()))
    assert (
        "roma has the same names as rome, which no manifest contains any more. Create roma as another account?" in said
    )
    code, said = answering(mine, "y\n", "apply")
    assert (0, 2, 3) == (code, said.count("[y/N]"), len(server.accounts()))


def test_on_a_narrow_terminal_no_word_is_broken(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    code, said = forks.at_terminal(["apply"], mine.folder, mine.environ, "n\n", columns=60)
    assert 130 == code
    asked = f"Create 2 sub-accounts of {PARENT.api_login} at {server.url}, and begin the state state/default.json?"
    assert f"{asked} [y/N]: " in " ".join(said.split()) + " "
    # What is longer is one word: the digest, say.
    assert [] == [line for line in said.splitlines() if len(line) > 60 and " " in line.strip()]


def test_several_parents_each_have_their_state(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox(), TWO)
    (mine.folder / "provisioner.yaml").write_text(
        "parents:\n  default: {}\n  acme: {api_login: acme@example.com, limit: 1}\n"
    )
    manifest = mine.folder / "manifests" / "acme.yaml"
    manifest.write_text("version: 1\nparent: acme\naccounts:\n  - {name: paris, first_name: A, last_name: B}\n")
    done = mine.run("apply", "--yes", "--format", "json")
    assert [("acme", 1), ("default", 2)] == [
        (each["parent"], len(each["outcomes"])) for each in json.loads(done.stdout)["reports"]
    ]
    assert ["acme.json", "default.json"] == sorted(path.name for path in (mine.folder / "state").glob("*.json"))
    assert ["acme", "default"] == [
        each["parent"] for each in json.loads(mine.run("status", "--format", "json").stdout)["states"]
    ]
    shown = json.loads(mine.run("credentials", "show", "paris", "--parent", "acme", "--format", "json").stdout)
    assert shown != json.loads(mine.run("credentials", "show", "paris", "--format", "json").stdout)
    manifest.write_text(manifest.read_text() + "  - {name: rome, first_name: A, last_name: B}\n")
    done = mine.run("plan", "--format", "json")
    assert (4, [["rome"], []]) == (done.returncode, [each["over"] for each in json.loads(done.stdout)["plans"]])


# ── What it says ─────────────────────────────────────────────────────────────


def test_a_mistyped_login_does_not_stick_to_a_state_without_accounts(
    server: SandboxProcess, project: NewProject
) -> None:
    mine = project(server, TWO)
    mistaken = Project(mine.root, mine.names, {**mine.environ, "OCTOPUSH_API_LOGIN": "mistyped@example.com"})
    assert ExitCode.SETTING_INVALID == mistaken.run("apply", "--yes").returncode
    assert 0 == mine.run("apply", "--yes").returncode


def test_a_wait_says_why_and_how_long(sandbox: StartSandbox, project: NewProject) -> None:
    done = project(sandbox("--fault", "429=1@1"), TWO).run("apply", "--yes")
    assert re.search(r"^waiting: the API asked to try later .*; attempt 2 of 5 in 1\.0 s$", done.stderr, re.MULTILINE)
    assert 0 == done.returncode


def test_everything_that_is_missing_is_reported_at_once(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    environ = {name: value for name, value in mine.environ.items() if not name.startswith("OCTOPUSH_API_L")}
    del environ["OCTOPUSH_API_KEY"]
    said = Project(mine.root, mine.names, environ).run("apply", "--yes").stderr
    assert "OCTOPUSH_API_LOGIN is not set" in said
    assert "OCTOPUSH_API_KEY is not set" in said
    environ = {name: value for name, value in mine.environ.items() if name != "HOOK_TOKEN"}
    said = Project(mine.root, mine.names, environ).run("apply", "--yes").stderr
    assert ["paris", "rome"] == re.findall(r": (\w+): The environment variable HOOK_TOKEN is not set", said)
    assert [] == server.requests()


@pytest.mark.parametrize(
    ("variable", "value"), [("PROVISIONER_CA_FILE", "missing.pem"), ("PROVISIONER_PROXY", "not a proxy")]
)
def test_a_connection_that_cannot_work_is_refused_before_anything(
    server: SandboxProcess, project: NewProject, variable: str, value: str
) -> None:
    mine = project(server, TWO)
    done = Project(mine.root, mine.names, {**mine.environ, variable: value}).run("apply", "--yes")
    assert (10, []) == (done.returncode, server.requests())


# ── Another name ─────────────────────────────────────────────────────────────


def rename(project: Project, old: str, new: str, more: str = "") -> None:
    edit_manifest(
        project, f"name: {old}, first_name: {old}", f"name: {new}, previously: {old}, first_name: {old}{more}"
    )


def test_a_new_name_sends_nothing_and_needs_an_identity(applied: Project, server: SandboxProcess) -> None:
    rename(applied, "rome", "roma")
    asked, kept = len(server.requests()), applied.opened("rome")
    plan = conforming(applied.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    (change,) = [each for each in plan["changes"] if each["action"] == "update"]
    assert ("roma", [{"path": "name", "before": "rome", "after": "roma"}]) == (change["name"], change["fields"])
    done = only(applied).run("apply", "--yes", "--format", "json")
    assert (10, "not_attempted") == (done.returncode, by_name(done.stdout)["roma"])
    assert {"paris": "active", "rome": "active"} == applied.statuses()
    done = applied.run("apply", "--yes", "--format", "json")
    assert (0, "updated") == (done.returncode, by_name(done.stdout)["roma"])
    assert {"paris": "active", "roma": "active"} == applied.statuses()
    after = applied.opened("roma")
    assert (kept.credentials, kept.password, "roma") == (after.credentials, after.password, after.name)
    assert asked == len(server.requests())
    assert 0 == applied.run("plan", "--detailed-exitcode").returncode


def test_a_new_name_and_a_change_in_one(applied: Project, server: SandboxProcess) -> None:
    rename(applied, "rome", "roma", ", last_name: Nuova")
    login = login_of(applied, "rome")
    done = applied.run("apply", "--yes", "--format", "json")
    assert (0, "updated") == (done.returncode, by_name(done.stdout)["roma"])
    assert (login, "Nuova") == (login_of(applied, "roma"), server.accounts()[-1]["last_name"])
    assert 1 == methods(server).count("PATCH")


def test_a_new_name_and_a_lost_answer(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1:edit")
    mine = made(server, project)
    rename(mine, "rome", "roma", ", last_name: Nuova, password_version: 2")
    login, old = login_of(mine, "rome"), password_of(mine.opened("rome"))
    assert 7 == mine.run("apply", "--yes", "--attempts", "1").returncode
    assert (old, begun_password(mine, "roma")) == (password_of(mine.opened("roma")), password_at(server, login))
    assert 0 == mine.run("apply", "--yes").returncode
    assert_kept_now(server, mine, "roma")
    assert ["active", "active"] == list(mine.statuses().values())


def test_an_account_cannot_take_a_name_that_has_a_record(applied: Project, server: SandboxProcess) -> None:
    edit_manifest(applied, "  - {name: rome, first_name: rome}\n", "")
    edit_manifest(applied, "name: paris,", "name: paris, previously: rome,")
    before, asked = applied.state_path.read_bytes(), len(server.requests())
    for command in (["plan"], ["apply", "--yes"]):
        done = applied.run(*command)
        assert (5, True) == (done.returncode, "the state has both" in done.stderr)
    assert (before, asked) == (applied.state_path.read_bytes(), len(server.requests()))


def test_forget_warns_that_the_next_apply_creates_the_account_again(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, "rome"))
    done = applied.run("forget", "rome", "--yes")
    assert "forgotten      rome" in done.stdout
    assert "the next apply creates it again" in done.stderr


# ── What nobody here could open again ────────────────────────────────────────


def test_nothing_is_sealed_that_the_identity_in_use_could_not_open(applied: Project, server: SandboxProcess) -> None:
    _, stranger = new_identity()
    before, sent = applied.state_path.read_bytes(), len(methods(server))
    edit_manifest(applied, "last_name: Crash", "last_name: Crush")
    foreign = having(applied, PROVISIONER_RECIPIENTS=stranger)
    for arguments in (["apply", "--yes", "--new-recipients"], ["rotate-password", applied.names[0], "--yes"]):
        done = foreign.run(*arguments)
        assert (4, True) == (done.returncode, "lock yourself out" in done.stderr)
    assert (before, sent) == (applied.state_path.read_bytes(), len(methods(server)))


def test_apply_asks_before_it_excludes_everybody_who_can_open_the_state(applied: Project) -> None:
    _, stranger = new_identity()
    before = applied.state_path.read_bytes()
    edit_manifest(applied, "accounts:\n", "accounts:\n  - {name: oslo, first_name: oslo}\n")
    foreign = having(applied, PROVISIONER_RECIPIENTS=stranger)
    done = foreign.run("apply", "--yes")
    assert (4, True) == (done.returncode, "`provisioner apply --new-recipients`" in done.stderr)
    code, said = answering(foreign, "n\n", "apply")
    assert (130, True) == (code, "Nobody who can open the state now could open what this apply seals." in said)
    assert "sub-account of" not in said
    assert before == applied.state_path.read_bytes()
    code, said = answering(foreign, "y\n", "apply")
    assert (0, True) == (code, f"Create 1 sub-account of {PARENT.api_login} at " in said)
    assert ", state in state/default.json?" in said


# ── With --refresh ───────────────────────────────────────────────────────────


def test_apply_changes_back_what_it_finds(applied: Project, server: SandboxProcess) -> None:
    change(server, login_of(applied, "rome"), company_name=COMPANY)
    assert "2 unchanged" in applied.run("apply", "--yes").stdout
    done = applied.run("apply", "--refresh", "--yes")
    assert (0, True) == (done.returncode, "Done: 1 updated, 1 unchanged." in done.stdout)
    assert f'company name  "{COMPANY}" -> "{applied.root.name}" (somebody changed it at Octopush)' in done.stderr
    assert 0 == applied.run("refresh", "--detailed-exitcode").returncode
    before = applied.state_path.read_bytes()
    assert 0 == applied.run("apply", "--refresh", "--yes").returncode
    assert before == applied.state_path.read_bytes()


def test_apply_keeps_the_drift_of_what_no_manifest_names(applied: Project, server: SandboxProcess) -> None:
    edit_manifest(applied, "  - {name: rome, first_name: rome}\n", "")
    change(server, login_of(applied, "rome"), company_name=COMPANY)
    assert 0 == applied.run("apply", "--refresh", "--yes").returncode
    assert ("company_name",) == record_of(applied, "rome").drift.changed


def test_apply_reports_what_it_could_not_check(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "500@3:read")
    mine = made(server, project)
    edit_manifest(mine, "accounts:\n", "accounts:\n  - {name: oslo, first_name: oslo}\n")
    done = mine.run("apply", "--refresh", "--yes", "--attempts", "1", "--format", "json")
    assert 7 == done.returncode
    assert [
        ("oslo", "create", "created"),
        ("paris", "unchanged", "unchanged"),
        ("rome", "unchanged", "unchanged"),
        ("paris", "refresh", "unchecked"),
    ] == [(name, action, status) for name, action, status, _ in outcomes(done.stdout)]


def test_apply_sends_nothing_if_the_credentials_are_refused(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "401@3:read")
    mine = made(server, project)
    edit_manifest(mine, "accounts:\n", "accounts:\n  - {name: oslo, first_name: oslo}\n")
    asked = sent(server)
    done = mine.run("apply", "--refresh", "--yes")
    assert (10, asked + 1) == (done.returncode, sent(server))
    assert "Done: 2 unchanged, 1 not attempted, 2 unchecked." in done.stdout
