"""The command line as programs and people meet it: real processes, real files, a real sandbox."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner.errors import ExitCode
from provisioner.project.parts import new_password
from tests.cli.steps import TWO, conforming, outcomes, run, statuses
from tests.conftest import (
    COMMAND,
    NewProject,
    Project,
    SandboxProcess,
    StartSandbox,
    assert_no_secret,
    environment,
    eventually,
)

# ── Plan and apply ───────────────────────────────────────────────────────────


def test_a_plan_needs_no_secret_and_no_network(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    done = run(mine.folder, "plan", "--format", "json")
    document = conforming(done.stdout, "plan.v1")
    (plan,) = document["plans"]
    assert {"limit": 20, "reserved": 0, "used": 0, "unknown": 0, "planned": 2, "left": 18} == plan["slots"]
    assert {"create": 2, "update": 0, "unchanged": 0, "unmanaged": 0, "unknown": 0} == plan["summary"]
    assert (0, "default", None, 0) == (done.returncode, plan["parent"], plan["lineage"], plan["serial"])
    assert [("create", "paris"), ("create", "rome")] == [(each["action"], each["name"]) for each in plan["changes"]]
    assert (
        "https://hooks.example.com/?***" == plan["changes"][0]["attributes"]["callbacks"]["callback_url_for_deliveries"]
    )
    assert [] == server.requests()
    assert [] == list(mine.folder.glob("state*"))


def test_detailed_exit_codes(applied: Project) -> None:
    assert 0 == applied.run("plan", "--detailed-exitcode").returncode
    with (applied.folder / "manifests" / "accounts.yaml").open("a") as file:
        file.write("  - {name: oslo, first_name: oslo}\n")
    assert 2 == applied.run("plan", "--detailed-exitcode").returncode
    assert 0 == applied.run("plan").returncode


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


def test_what_does_not_fit_is_named_and_nothing_is_sent(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, ("a", "b", "c"))
    plan = mine.run("plan", "--limit", "3", "--reserved", "1", "--format", "json")
    assert ["c"] == conforming(plan.stdout, "plan.v1")["plans"][0]["over"]
    text = mine.run("plan", "--limit", "3", "--reserved", "1")
    assert "x no slot    c" in text.stdout
    done = mine.run("apply", "--yes", "--limit", "3", "--reserved", "1", "--format", "json")
    assert (4, 4, 4) == (plan.returncode, text.returncode, done.returncode)
    error = json.loads(done.stdout)["error"]
    assert (4, "OverLimit") == (error["code"], error["name"])
    assert "these do not fit: c" in error["message"]
    assert [] == server.requests()


def test_without_a_terminal_apply_needs_yes(server: SandboxProcess, project: NewProject) -> None:
    done = project(server, TWO).run("apply")
    assert ExitCode.USAGE == done.returncode
    assert "--yes" in done.stderr
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


def test_a_state_that_is_older_or_gone_is_noticed(applied: Project) -> None:
    kept = applied.state_path.read_bytes()
    older = json.loads(kept)
    older["serial"] -= 1
    del older["accounts"]["rome"]
    applied.state_path.write_text(json.dumps(older))
    for command in (["plan"], ["apply", "--yes"], ["status"]):
        done = applied.run(*command)
        assert (5, True) == (done.returncode, "has already seen" in done.stderr)
    applied.state_path.unlink()
    assert 5 == applied.run("plan").returncode
    assert 64 == applied.run("recover", "--accept-state").returncode
    assert 0 == applied.run("recover", "--accept-state", "--yes").returncode
    assert 0 == applied.run("plan").returncode
    applied.state_path.write_bytes(kept)
    assert 0 == applied.run("plan").returncode


def test_several_parents_each_have_their_state(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox(), TWO)
    (mine.folder / "provisioner.yaml").write_text(
        'parents:\n  default: {}\n  acme: {api_login: "${env:OCTOPUSH_API_LOGIN}", limit: 1}\n'
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


# ── Validate ─────────────────────────────────────────────────────────────────


def test_validate_tells_everything_and_exits_with_3(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("version: 1\naccounts:\n  - {name: Paris, first_nam: Leo, last_name: V}\n")
    done = run(tmp_path, "validate", "bad.yaml", "--format", "json")
    document = json.loads(done.stdout)
    assert (3, False, 1) == (done.returncode, document["valid"], document["version"])
    assert {"file", "line", "column", "row", "path", "message", "hint"} == set(document["problems"][0])
    assert {"accounts[0].name", "accounts[0].first_nam"} == {each["path"] for each in document["problems"]}
    text = run(tmp_path, "validate", "bad.yaml")
    assert (3, "bad.yaml:3:12: error:") == (text.returncode, text.stdout[:21])
    for command in (["plan"], ["apply", "--yes"]):
        failed = run(tmp_path, *command, "bad.yaml", "--format", "json")
        error = json.loads(failed.stdout)["error"]
        assert (3, "ManifestInvalid") == (error["code"], error["name"])
        assert "bad.yaml:3:12: error:" in failed.stderr


def test_json_is_utf8_whatever_a_file_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.csv")).write_text("name,first_name,last_name\nParis,a,b\n")
    for environ in ({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}):
        command = [*COMMAND, "validate", "--format", "json", "manifests"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path) | environ, capture_output=True, check=False
        )
        (problem,) = json.loads(done.stdout.decode())["problems"]
        assert (3, "manifests/\\xff.csv") == (done.returncode, problem["file"])


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_a_plan_is_shown_where_its_letters_are_not_known(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\naccounts: [{name: berlin, first_name: Käthe, last_name: Kollwitz}]\n")
    done = subprocess.run(
        [*COMMAND, "plan", "a.yaml"],
        cwd=tmp_path,
        env=environment(tmp_path) | environ,
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stderr)
    assert re.search(rb"K(\xc3\xa4|\\xe4)the Kollwitz", done.stdout)
    done = subprocess.run(
        [*COMMAND, "plan", "--format", "json", "a.yaml"],
        cwd=tmp_path,
        env=environment(tmp_path) | environ,
        capture_output=True,
        check=False,
    )
    (change,) = json.loads(done.stdout.decode())["plans"][0]["changes"]
    assert "Käthe" == change["attributes"]["first_name"]


def test_warnings_do_not_make_a_manifest_invalid(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "version: 1\naccounts:\n  - {name: a, first_name: b, last_name: c, password: s3cretpw}\n"
    )
    done = run(tmp_path, "validate", "m.yaml", "--format", "json")
    document = json.loads(done.stdout)
    assert (0, True, [], 1) == (done.returncode, document["valid"], document["problems"], len(document["warnings"]))
    text = run(tmp_path, "validate", "m.yaml").stdout
    assert "Valid: 1 account, 1 warning." in text
    assert "s3cretpw" not in text + done.stdout


# ── Credentials ──────────────────────────────────────────────────────────────


def test_exports_hold_what_the_api_returned(applied: Project, server: SandboxProcess) -> None:
    made = {each["first_name"]: each for each in server.accounts()}
    expected = {name: {key: made[name][key] for key in ("api_login", "api_key", "password")} for name in TWO}
    assert expected == json.loads(applied.run("credentials", "export", "--format", "json").stdout)
    rows = list(csv.reader(applied.run("credentials", "export", "--format", "csv").stdout.splitlines()))
    assert ["name", "api_login", "api_key", "password"] == rows[0]
    assert [[name, *expected[name].values()] for name in TWO] == rows[1:]
    dotenv = applied.run("credentials", "export", "rome").stdout
    sourced = subprocess.run(
        ["sh", "-c", f'{dotenv}\nprintf %s "$ROME_API_KEY $ROME_PASSWORD"'], capture_output=True, text=True, check=True
    ).stdout
    assert f"{expected['rome']['api_key']} {expected['rome']['password']}" == sourced
    assert "PARIS" not in dotenv
    assert f"api_key: {expected['paris']['api_key']}" in applied.run("credentials", "show", "paris").stdout


def test_a_file_of_secrets_is_private_and_never_written_through_a_link(applied: Project) -> None:
    target = applied.folder / "elsewhere"
    target.write_text("kept")
    out = applied.folder / "out.env"
    out.symlink_to(target)
    done = applied.run("credentials", "export", "--out", str(out))
    assert (0, "", "kept") == (done.returncode, done.stdout, target.read_text())
    assert (0o600, False) == (stat.S_IMODE(out.stat().st_mode), out.is_symlink())
    assert "PARIS_API_KEY=" in out.read_text()
    done = applied.run("credentials", "export", "--out", "missing/folder/out.env")
    assert (64, True) == (done.returncode, "cannot be written" in done.stderr)


def test_the_list_is_masked(applied: Project, server: SandboxProcess) -> None:
    done = applied.run("credentials", "list")
    assert server.accounts()[0]["api_login"] in done.stdout
    assert_no_secret(server, applied, done.stdout, done.stderr)


def test_without_the_right_identity_nothing_opens(applied: Project, tmp_path: Path) -> None:
    applied.identity_path.unlink()
    done = applied.run("credentials", "show", "paris", "--format", "json")
    assert (10, "SettingInvalid") == (done.returncode, json.loads(done.stdout)["error"]["name"])
    other = run(tmp_path, "keygen", "-o", "other.txt")
    assert 0 == other.returncode
    environ = {**applied.environ, "PROVISIONER_IDENTITY_FILE": str(tmp_path / "other.txt")}
    done = Project(applied.root, applied.names, environ).run("credentials", "export")
    assert (10, True) == (done.returncode, "does not open what is sealed for paris" in done.stderr)
    assert "It came from " in done.stderr
    assert 0 == applied.run("status").returncode


def test_an_account_or_state_that_is_not_there(applied: Project, tmp_path: Path) -> None:
    done = applied.run("credentials", "show", "oslo")
    assert (64, True) == (done.returncode, "no account oslo" in done.stderr)
    done = run(tmp_path, "credentials", "export")
    assert (5, True) == (done.returncode, "no state of the parent default" in done.stderr)


# ── Unknown outcomes ─────────────────────────────────────────────────────────


@pytest.fixture
def doubtful(sandbox: StartSandbox, project: NewProject) -> Project:
    """A project in which the outcome of ``paris`` is unknown, and ``rome`` was not attempted."""
    made = project(sandbox("--fault", "not-json@1"), TWO)
    assert ExitCode.OUTCOME_UNKNOWN == made.run("apply", "--yes").returncode
    return made


def test_an_unknown_keeps_its_exit_code_until_it_is_resolved(doubtful: Project) -> None:
    assert ExitCode.OUTCOME_UNKNOWN == doubtful.run("apply", "--yes").returncode
    assert {"paris": "unknown", "rome": "active"} == doubtful.statuses()
    (state,) = json.loads(doubtful.run("status", "--format", "json").stdout)["states"]
    assert {"name", "status", "created_at", "reason"} == set(state["accounts"][0])
    assert "not JSON" in state["accounts"][0]["reason"]
    assert 64 == doubtful.run("resolve", "paris").returncode
    assert 64 == doubtful.run("resolve", "paris", "--not-created").returncode
    assert 64 == doubtful.run("resolve", "paris", "--not-created", "--abandon", "--yes").returncode
    assert 64 == doubtful.run("resolve", "rome", "--not-created", "--yes").returncode
    assert 64 == doubtful.run("resolve", "oslo", "--abandon", "--yes").returncode
    assert 0 == doubtful.run("resolve", "paris", "--not-created", "--yes").returncode
    assert 0 == doubtful.run("apply", "--yes").returncode
    assert {"paris": "active", "rome": "active"} == doubtful.statuses()


def test_an_abandoned_account_keeps_its_slot_and_is_not_created_again(doubtful: Project) -> None:
    assert 0 == doubtful.run("resolve", "paris", "--abandon", "--yes").returncode
    done = doubtful.run("apply", "--yes", "--format", "json")
    assert [("abandoned", "not_attempted"), ("create", "created")] == [each[1:3] for each in outcomes(done.stdout)]
    plan = conforming(doubtful.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert (0, 2, 18) == (done.returncode, plan["slots"]["used"], plan["slots"]["left"])
    assert "abandoned" in doubtful.run("plan").stdout


def test_what_was_kept_of_an_unknown_can_be_looked_at_and_not_exported(doubtful: Project) -> None:
    done = doubtful.run("credentials", "show", "paris")
    assert (0, True, True) == (done.returncode, "password: " in done.stdout, "answer: HTTP 201" in done.stdout)
    assert "the outcome of paris is unknown" in done.stderr
    done = doubtful.run("credentials", "export", "paris")
    assert (5, "") == (done.returncode, done.stdout)


# ── Recover ──────────────────────────────────────────────────────────────────


def test_what_a_log_holds_is_put_back(applied: Project) -> None:
    whole = json.loads(applied.state_path.read_text())
    record = whole["accounts"].pop("paris")
    whole["serial"] += 1
    applied.state_path.write_text(json.dumps(whole))
    entry = {"lineage": whole["lineage"], "parent": "default", "name": "paris", "operation": record["operation"]["id"]}
    log = applied.folder / "run.log"
    log.write_text(f"2026-01-01T00:00:00Z noise\nprefix provisioner-rescue {json.dumps({**entry, 'record': record})}\n")
    done = applied.run("recover", "run.log")
    assert (0, {"paris": "active", "rome": "active"}) == (done.returncode, applied.statuses())
    assert "paris is back in the state.\n" == done.stderr
    assert 0 == applied.run("credentials", "show", "paris").returncode
    log.write_text("nothing here\n")
    assert 64 == applied.run("recover", "run.log").returncode
    log.write_text('provisioner-rescue {"lineage": "x"}\n')
    assert 5 == applied.run("recover", "run.log").returncode


def test_what_was_put_back_and_has_another_name_and_operation_by_now_is_not_put_back_again(applied: Project) -> None:
    log = applied.folder / "run.log"
    log.write_text(rescued(applied, "paris"))
    manifest = applied.folder / "manifests" / "accounts.yaml"
    renamed = "name: lutetia, previously: paris, first_name: Lutetia"
    manifest.write_text(manifest.read_text().replace("name: paris, first_name: paris", renamed))
    assert 0 == applied.run("apply", "--yes").returncode
    # An identity is not needed to see it: the record says from which operation it comes.
    identity = applied.identity_path.read_text()
    applied.identity_path.unlink()
    before = applied.state_path.read_bytes()
    done = applied.run("recover", "run.log")
    assert (0, {"lutetia": "active", "rome": "active"}) == (done.returncode, applied.statuses())
    assert "There was nothing to put back of paris" in done.stderr
    assert before == applied.state_path.read_bytes()
    applied.identity_path.write_text(identity)
    assert "Verified: 2 good." in applied.run("verify").stdout
    # The same where it kept its name.
    log.write_text(rescued(applied, "rome"))
    manifest.write_text(manifest.read_text().replace("first_name: rome", "first_name: Roma"))
    assert 0 == applied.run("apply", "--yes").returncode
    before = applied.state_path.read_bytes()
    assert (0, before) == (applied.run("recover", "run.log").returncode, applied.state_path.read_bytes())


def test_an_account_that_was_adopted_under_another_name_is_not_put_back_a_second_time(applied: Project) -> None:
    log = applied.folder / "run.log"
    log.write_text(rescued(applied, "paris"))
    credentials = applied.opened("paris").credentials
    assert credentials is not None
    assert 0 == applied.run("forget", "paris", "--force", "--yes").returncode
    assert 0 == applied.run("adopt", "lutetia", credentials.api_login).returncode
    before = applied.state_path.read_bytes()
    done = applied.run("recover", "run.log")
    assert (5, before) == (done.returncode, applied.state_path.read_bytes())
    assert "paris is not put back: its login is also that of lutetia." in done.stderr
    # Only a seal tells the login: without an identity it is said that nobody looked.
    applied.identity_path.unlink()
    done = applied.run("recover", "run.log")
    assert (0, True) == (done.returncode, "its login was not compared" in done.stderr)


def rescued(project: Project, name: str) -> str:
    """Return the line that a run prints of an account whose record it could not save."""
    state = json.loads(project.state_path.read_text())
    record = state["accounts"][name]
    entry = {"lineage": state["lineage"], "parent": "default", "name": name, "operation": record["operation"]["id"]}
    return f"2026-01-01T00:00:00Z provisioner-rescue {json.dumps({**entry, 'record': record})}\n"


# ── Beginning ────────────────────────────────────────────────────────────────


def test_init_writes_a_project_that_plans_and_never_over_a_file(tmp_path: Path) -> None:
    first = run(tmp_path, "init", "mine")
    assert (0, "") == (first.returncode, first.stdout)
    identity = tmp_path / "config" / "octopush-provisioner" / "identity.txt"
    assert 0o600 == stat.S_IMODE(identity.stat().st_mode)
    assert str(identity.relative_to(tmp_path)) not in {str(path) for path in (tmp_path / "mine").rglob("*")}
    assert 0 == run(tmp_path / "mine", "validate").returncode
    assert "2 planned" in run(tmp_path / "mine", "plan").stdout
    manifest = tmp_path / "mine" / "manifests" / "accounts.yaml"
    assert manifest.read_text().startswith("# yaml-language-server: $schema=../schemas/manifest.v1.schema.json\n")
    manifest.write_text("mine")
    key = identity.read_text()
    again = run(tmp_path, "init", "mine")
    assert (0, "mine", key) == (again.returncode, manifest.read_text(), identity.read_text())
    assert "kept" in again.stderr
    assert "*.lock" in (tmp_path / "mine" / ".gitignore").read_text()


def test_a_second_project_seals_to_the_same_identity(tmp_path: Path) -> None:
    run(tmp_path, "init", "one")
    run(tmp_path, "init", "two")
    assert (tmp_path / "one" / "provisioner.yaml").read_text() == (tmp_path / "two" / "provisioner.yaml").read_text()
    assert "age1" in (tmp_path / "two" / "provisioner.yaml").read_text()


def test_keygen_prints_the_recipient_alone_and_never_writes_over_a_key(tmp_path: Path) -> None:
    done = run(tmp_path, "keygen", "-o", "key.txt")
    text = (tmp_path / "key.txt").read_text()
    assert (0, 0o600) == (done.returncode, stat.S_IMODE((tmp_path / "key.txt").stat().st_mode))
    assert f"# public key: {done.stdout}" in text
    assert "AGE-SECRET-KEY-" not in done.stdout + done.stderr
    again = run(tmp_path, "keygen", "-o", "key.txt")
    assert (64, text) == (again.returncode, (tmp_path / "key.txt").read_text())
    assert f"The recipient of the identity that is there is {done.stdout.strip()}." in again.stderr
    (tmp_path / "notes.txt").write_text("AGE\n")
    other = run(tmp_path, "keygen", "-o", "notes.txt")
    assert (64, True) == (other.returncode, "The identity from notes.txt is malformed." in other.stderr)
    assert 64 == run(tmp_path, "keygen", "-o", "key.txt/below").returncode


@pytest.mark.parametrize("mask", ["0", "0377", "0777"])
def test_an_identity_is_its_owners_alone_whatever_the_umask(tmp_path: Path, mask: str) -> None:
    for arguments in ("", "-o new/folder/key.txt"):
        script = f'umask {mask}; exec "$0" -m provisioner keygen {arguments}'
        done = subprocess.run(
            ["sh", "-c", script, sys.executable],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            check=True,
        )
        assert done.stdout.startswith(b"age1")
    made = ("config", "config/octopush-provisioner", "new", "new/folder")
    assert [0o700] * 4 == [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in made]
    keys = ("config/octopush-provisioner/identity.txt", "new/folder/key.txt")
    assert [0o600] * 2 == [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in keys]


def test_an_identity_cannot_be_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    done = run(tmp_path, "keygen", "-o", "file/key.txt")
    assert (64, "kept") == (done.returncode, (tmp_path / "file").read_text())
    assert "error: The identity cannot be written to file/key.txt: File exists." in done.stderr


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("provisioner.yaml", "link"),
        ("provisioner.yaml", "folder"),
        ("manifests", "file"),
        ("manifests", "link"),
        ("manifests/accounts.yaml", "folder"),
        ("schemas", "file"),
        (".gitignore", "folder"),
        (".", "file"),
        (".", "link"),
    ],
)
def test_init_says_what_is_in_its_way_and_writes_nothing(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to("nowhere")
    else:
        path.write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    done = run(tmp_path, "init", "mine")
    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"error: {path.relative_to(tmp_path)} is not a ")
    assert before == sorted(tmp_path.rglob("*"))


def test_a_link_to_settings_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "shared.yaml").write_text("limit: 3\n")
    (tmp_path / "mine" / "provisioner.yaml").symlink_to("../shared.yaml")
    done = run(tmp_path, "init", "mine")
    assert (0, "limit: 3\n") == (done.returncode, (tmp_path / "shared.yaml").read_text())
    assert "does not name the recipient" in done.stderr


def test_a_folder_of_ones_own_that_is_relative_is_ignored(tmp_path: Path) -> None:
    done = run(tmp_path, "init", "mine", XDG_CONFIG_HOME="config", XDG_STATE_HOME=".", HOME=str(tmp_path / "home"))
    assert 0 == done.returncode
    assert (tmp_path / "home" / ".config" / "octopush-provisioner" / "identity.txt").is_file()
    assert ["home", "mine"] == sorted(each.name for each in tmp_path.iterdir())


# ── The command line itself ──────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["plan", "--nonsense"], ["apply", "--limit", "many"], ["resolve"], ["plan", "--format", "xml"]],
)
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: ")
    assert "--help" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_command_line_in_json(tmp_path: Path) -> None:
    error = json.loads(run(tmp_path, "plan", "--format", "json", "--nonsense").stdout)["error"]
    assert (64, "CommandInvalid") == (error["code"], error["name"])
    error = json.loads(run(tmp_path, "plan", "--format=json").stdout)["error"]
    assert "no folder manifests/" in error["message"]


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_what_is_asked_in_a_hurry_loads_no_library(tmp_path: Path, flag: str) -> None:
    libraries = {name.partition(".")[0] for name in loaded(tmp_path, flag)}
    heavy = {"requests", "jsonschema", "jsonschema_rs", "pandas", "rich", "yaml", "tenacity", "pyrage"}
    assert set() == libraries & heavy


def test_a_plan_of_what_was_never_applied_loads_only_what_it_needs(tmp_path: Path) -> None:
    """What takes long there is the making of types: a module that creeps back in costs every plan."""
    (tmp_path / "m.yaml").write_text("version: 1\naccounts:\n  - {name: a, first_name: b, last_name: c}\n")
    names = loaded(tmp_path, "plan", "m.yaml")
    assert {"jsonschema_rs", "yaml", "provisioner.planner", "provisioner.model.plan"} <= names
    assert set() == names & {
        *("hashlib", "jsonschema", "logging", "markupsafe", "pandas", "pyrage", "requests", "rich", "ssl"),
        *("subprocess", "tenacity", "urllib3"),
        *("provisioner.model.exchange", "provisioner.model.report", "provisioner.model.verdict"),
        *("provisioner.render.html", "provisioner.render.markdown", "provisioner.render.report"),
        *("provisioner.executor", "provisioner.manifest.table", "provisioner.octopush", "provisioner.render.status"),
        *(f"provisioner.state.{each}" for each in ("rescue", "sealing", "session")),
    }


def loaded(folder: Path, *arguments: str) -> set[str]:
    """Return the names of all modules that the command loads."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "provisioner", *arguments],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_every_command_and_option_has_a_word_of_help(tmp_path: Path) -> None:
    top = run(tmp_path, "--help").stdout
    names = [
        "init",
        "keygen",
        "validate",
        "plan",
        "apply",
        "refresh",
        "verify",
        "status",
        "credentials",
        "resolve",
        "recover",
        "sandbox",
    ]
    places = [top.index(f"\n  {name} ") for name in names]
    assert sorted(places) == places
    for name in names:
        assert "Usage: provisioner " + name in run(tmp_path, name, "--help").stdout


def test_a_reader_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    rows = "".join(f"  - {{name: a{number}, first_name: b, last_name: c}}\n" for number in range(3000))
    (tmp_path / "m.yaml").write_text(f"version: 1\naccounts:\n{rows}")
    with subprocess.Popen(
        [*COMMAND, "plan", "m.yaml", "--limit", "5000"],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert "" == process.stderr.read()


def test_a_terminal_is_not_coloured_where_nobody_wants_it(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("version: 1\naccounts:\n  - {name: a, first_name: b, last_name: c}\n")
    said = {}
    for wanted in ("", "1"):
        ours, theirs = pty.openpty()
        environ = {**environment(tmp_path), "TERM": "xterm", "NO_COLOR": wanted}
        subprocess.run(
            [*COMMAND, "plan", "m.yaml"],
            cwd=tmp_path,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            check=True,
        )
        said[wanted] = os.read(ours, 65536).decode()
        os.close(ours)
        os.close(theirs)
    assert "\x1b[" in said[""]
    assert "\x1b[" not in said["1"]
    assert "+ create     a  b c" in said["1"]


def test_a_new_password_is_strong_and_needs_no_quotes() -> None:
    passwords = {new_password().reveal() for _ in range(500)}
    assert 500 == len(passwords)
    for password in passwords:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{31}", password)
        assert all(re.search(kind, password) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[-_]"))


def test_a_mistyped_login_does_not_stick_to_a_state_without_accounts(
    server: SandboxProcess, project: NewProject
) -> None:
    mine = project(server, TWO)
    mistaken = Project(mine.root, mine.names, {**mine.environ, "OCTOPUSH_API_LOGIN": "mistyped@example.com"})
    assert ExitCode.SETTING_INVALID == mistaken.run("apply", "--yes").returncode
    assert 0 == mine.run("apply", "--yes").returncode


def test_a_live_run_is_not_called_dead(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "delay=2@1:create", "--fault", "delay=2@1:edit"), TWO)
    with mine.start("apply", "--yes") as running:
        eventually(lambda: "pending" in mine.statuses().values())
        done = mine.run("status")
        assert f"the state is held by process {running.pid} of" in done.stderr
        assert "it is still at it, or it died" in done.stdout
        running.communicate()
    assert "held by" not in mine.run("status").stderr
    # The same of an edit.
    manifest = mine.folder / "manifests" / "accounts.yaml"
    manifest.write_text(manifest.read_text().replace("last_name: Crash", "last_name: Changed"))
    with mine.start("apply", "--yes") as running:
        eventually(lambda: '"edit": {' in mine.state_path.read_text())
        done = mine.run("plan")
        assert f"the state is held by process {running.pid} of" in done.stderr
        running.communicate()
    assert "held by" not in mine.run("plan").stderr


def test_a_full_standard_output_is_no_crash(applied: Project) -> None:
    with Path("/dev/full").open("w") as full, applied.start("plan", stdout=full) as process:
        _, said = process.communicate()
    assert (1, True) == (process.returncode, "Standard output cannot be written: No space left on device." in said)


@pytest.mark.parametrize("arguments", [[], ["credentials"]])
def test_without_a_command_the_help_is_shown_as_it_is(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Usage: provisioner")
    assert "\\n" not in done.stderr


def test_a_wait_says_why_and_how_long(sandbox: StartSandbox, project: NewProject) -> None:
    done = project(sandbox("--fault", "429=1@1"), TWO).run("apply", "--yes")
    assert re.search(r"^waiting: the API asked to try later .*; attempt 2 of 5 in 1\.0 s$", done.stderr, re.MULTILINE)
    assert 0 == done.returncode


def test_everything_that_is_missing_is_said_at_once(server: SandboxProcess, project: NewProject) -> None:
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
