"""Forgetting, new passwords, other recipients and other names, on the real command line against a real sandbox."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import requests

from provisioner.errors import ExitCode
from provisioner.model.verdict import SealedContent
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities
from tests.cli.steps import (
    TWO,
    answering,
    begun_password,
    by_name,
    conforming,
    dashboard,
    delete,
    edit_manifest,
    error_of,
    having,
    login_of,
    made,
    manifest_of,
    outcomes,
    password_at,
    password_of,
    put,
    record_of,
    without,
)
from tests.conftest import (
    PATIENCE,
    NewProject,
    Project,
    SandboxProcess,
    StartSandbox,
    assert_kept,
    assert_no_secret,
)


def methods(server: SandboxProcess) -> list[str]:
    return [each["method"] for each in server.requests()]


# ── Forget ───────────────────────────────────────────────────────────────────


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
    assert f"`provisioner recover {kept.relative_to(applied.folder)} --only rome` puts it back" in done.stderr
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
    assert "Verified: 2 good." in applied.run("verify").stdout


def test_of_a_name_that_was_forgotten_twice_the_latest_is_put_back(applied: Project) -> None:
    assert 0 == applied.run("forget", "rome", "--yes", "--force").returncode
    assert 0 == applied.run("apply", "--yes").returncode
    second = applied.opened("rome")
    assert 0 == applied.run("forget", "rome", "--yes", "--force").returncode
    assert 0 == applied.run("recover", "state/default.json.forgotten", "--only", "rome").returncode
    assert second == applied.opened("rome")


def test_where_what_is_to_be_forgotten_cannot_be_kept_nothing_is_forgotten(applied: Project) -> None:
    before = applied.state_path.read_bytes()
    applied.state_path.with_name("default.json.forgotten").mkdir()
    done = applied.run("forget", "rome", "--yes", "--force", "--format", "json")
    assert (5, "StateNotSaved") == (done.returncode, error_of(done)["name"])
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
def test_what_cannot_be_asked_for_is_not_forgotten(sandbox: StartSandbox, project: NewProject, fault: str) -> None:
    server = sandbox("--fault", fault)
    mine = project(server, ("paris",))
    mine.run("apply", "--yes", "--attempts", "1")
    before = mine.state_path.read_bytes()
    done = mine.run("forget", "paris", "--yes", "--attempts", "1")
    assert (5, True) == (done.returncode, "it could not be asked for" in done.stderr)
    assert before == mine.state_path.read_bytes()


def test_that_another_octopush_does_not_know_it_means_nothing(
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


def test_forgetting_is_asked_for(applied: Project, server: SandboxProcess) -> None:
    asked = len(server.requests())
    done = applied.run("forget", "rome")
    assert (64, True, asked) == (done.returncode, "--yes" in done.stderr, len(server.requests()))
    delete(server, login_of(applied, "rome"))
    code, said = answering(applied, "n\n", "forget", "rome")
    assert (130, True) == (code, "Forget rome, its login, key and password?" in said)
    assert "error: Not confirmed; nothing was changed." in said
    assert {"paris": "active", "rome": "active"} == applied.statuses()
    code, said = answering(applied, "y\n", "forget", "rome")
    assert (0, {"paris": "active"}) == (code, applied.statuses())
    for arguments in (["forget", "rome", "--yes"], ["forget", "rome", "--yes", "--force"], ["forget", "--yes"]):
        assert 64 == applied.run(*arguments).returncode


def test_a_mistyped_name_is_met_with_the_nearest(applied: Project) -> None:
    for command in (
        ["credentials", "show", "pariss"],
        ["credentials", "export", "pariss"],
        ["exec", "pariss", "--", "true"],
        ["verify", "pariss"],
        ["resolve", "pariss", "--abandon", "--yes"],
        ["forget", "pariss", "--yes"],
        ["rotate-password", "pariss", "--yes"],
    ):
        done = applied.run(*command)
        assert (64, True) == (done.returncode, "The state has no account pariss." in done.stderr)
        assert "Did you mean paris?" in done.stderr


def test_a_plan_names_the_recipients_that_differ(applied: Project) -> None:
    mine, other = applied.environ["PROVISIONER_RECIPIENTS"], new_identity()[1]
    told = having(applied, PROVISIONER_RECIPIENTS=other).run("plan").stderr
    assert f"only the settings name {other}; only the state names {mine}." in told
    told = having(applied, PROVISIONER_RECIPIENTS=f"{mine} {other}").run("plan").stderr
    assert (True, False) == (f"only the settings name {other}." in told, "only the state" in told)
    assert "warning" not in applied.run("plan").stderr


def test_what_is_accepted_as_the_state_is_said(applied: Project) -> None:
    code, said = answering(applied, "n\n", "recover", "--accept-state")
    state = applied.state()
    assert state is not None
    assert (130, True) == (code, f"Accept state/default.json with serial {state.serial} and 2 accounts," in said)
    applied.state_path.rename(f"{applied.state_path}.backup")
    done = applied.run("plan")
    assert (5, True) == (done.returncode, "state/default.json.backup is the state as an earlier run" in done.stderr)
    code, said = answering(applied, "n\n", "recover", "--accept-state")
    assert (130, True) == (code, "Accept that there is no state at state/default.json," in said)


def test_there_must_be_a_state(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    for command in (["forget", "rome"], ["forget", "rome", "--force"], ["rotate-password", "rome"], ["rekey"]):
        done = mine.run(*command, "--yes")
        assert (5, True) == (done.returncode, "There is no state" in done.stderr)
    assert not mine.state_path.exists()


# ── Rotate a password ────────────────────────────────────────────────────────


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
    assert (10, True) == (same.returncode, "is the one that it has" in same.stderr)
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
    assert "the next apply finishes it" in done.stdout
    assert old != new
    assert (old, new if processed else old) == (password_of(mine.opened("paris")), password_at(server, login))
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    assert (new, new) == (password_of(mine.opened("paris")), password_at(server, login))
    assert record_of(mine, "paris").edit is None


def test_a_timeout_leaves_both_passwords_and_apply_finishes_too(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=5@1:edit")
    mine = made(server, project, ("paris",))
    assert 7 == mine.run("rotate-password", "paris", "--yes", "--attempts", "1", "--timeout", "1").returncode
    new = begun_password(mine, "paris")
    assert 0 == mine.run("apply", "--yes").returncode
    assert (new, new) == (password_of(mine.opened("paris")), password_at(server, login_of(mine, "paris")))
    assert 1 == record_of(mine, "paris").password_version


def test_a_lost_answer_is_tried_again_with_the_same_password(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@1:edit")
    mine = made(server, project, ("paris",))
    assert 0 == mine.run("rotate-password", "paris", "--yes").returncode
    assert_kept_now(server, mine, "paris")
    edits = [each["password"] for each in server.accounts()[1:]]
    assert (2, 1) == (len(edits), len(set(edits)))


def assert_kept_now(server: SandboxProcess, project: Project, name: str) -> None:
    content = project.opened(name)
    assert content.credentials is not None
    assert password_of(content) == password_at(server, content.credentials.api_login)
    assert server.accepts(content.credentials)


def test_a_version_that_was_begun_is_finished_as_that_version(sandbox: StartSandbox, project: NewProject) -> None:
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


def test_what_is_gone_gets_no_password(applied: Project, server: SandboxProcess) -> None:
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
    assert (7, True) == (done.returncode, "what it sent is kept" in done.stdout)
    new = begun_password(mine, "paris")
    assert (old, new) == (password_of(mine.opened("paris")), password_at(server, login))
    assert "- gone       paris" in mine.run("plan").stdout
    assert "`provisioner refresh` looks for it again" in mine.run("credentials", "list").stderr
    assert "`provisioner refresh` notes that it is there" in mine.run("forget", "paris", "--yes").stderr
    # It was the gateway's word, and not Octopush's: the login is known again.
    done = mine.run("refresh")
    assert (7, True) == (done.returncode, "an edit of it is not finished" in done.stdout)
    assert 0 == mine.run("apply", "--yes").returncode
    assert new == password_of(mine.opened("paris")) == password_at(server, login)
    assert record_of(mine, "paris").edit is None


def test_a_new_password_needs_what_it_needs(applied: Project, server: SandboxProcess) -> None:
    before, asked = applied.state_path.read_bytes(), len(server.requests())
    stranger, _ = new_identity()
    refused = {
        64: [applied.run("rotate-password", "paris"), applied.run("rotate-password", "oslo", "--yes")],
        10: [
            having(applied, PROVISIONER_IDENTITY=stranger.reveal()).run("rotate-password", "paris", "--yes"),
            without(applied, "OCTOPUSH_API_KEY").run("rotate-password", "paris", "--yes"),
            without(applied, "PROVISIONER_RECIPIENTS").run("rotate-password", "paris", "--yes"),
        ],
        3: [applied.run("rotate-password", "paris", "nowhere.yaml", "--yes")],
    }
    for code, runs in refused.items():
        assert [code] * len(runs) == [each.returncode for each in runs]
    assert (before, asked) == (applied.state_path.read_bytes(), len(server.requests()))


def test_an_unknown_gets_no_password(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "lost@1"), ("paris",))
    assert 8 == mine.run("apply", "--yes").returncode
    done = mine.run("rotate-password", "paris", "--yes")
    assert (5, True) == (done.returncode, "The login of paris is not known" in done.stderr)


def test_a_seal_without_credentials_is_told_and_is_no_crash(applied: Project, server: SandboxProcess) -> None:
    state = applied.state()
    assert state is not None
    sealer = AgeSealer(state.recipients)
    put(applied, "paris", sealer.seal(SealedContent(state.lineage, state.parent, "paris", "other")))
    asked = len(server.requests())
    edit_manifest(applied, "last_name: Crash", "last_name: Changed")
    for command in (["rotate-password", "paris"], ["forget", "paris"], ["apply"], ["adopt", "oslo", "abc@example.com"]):
        done = applied.run(*command, *(["--yes"] if command[0] != "adopt" else []))
        assert (command, 5, True) == (command, done.returncode, "holds no credentials" in done.stderr)
    assert asked == len(server.requests())


# ── Rekey ────────────────────────────────────────────────────────────────────


def opens(project: Project, name: str = "paris") -> bool:
    return 0 == project.run("credentials", "show", name).returncode


def only(project: Project, **environ: str) -> Project:
    """Return the project of another person: without the identity file of the first."""
    return having(project, XDG_CONFIG_HOME=str(project.root / "somebody-else"), **environ)


def test_a_colleague_is_let_in_and_leaves_again(applied: Project, server: SandboxProcess) -> None:
    (mine,) = applied.environ["PROVISIONER_RECIPIENTS"].split()
    identity, recipient = new_identity()
    colleague = only(applied, PROVISIONER_IDENTITY=identity.reveal())
    by_command = only(applied, PROVISIONER_IDENTITY_COMMAND=f"echo {identity.reveal()}")
    assert not opens(colleague)
    serial = json.loads(applied.state_path.read_text())["serial"]
    done = applied.run("rekey", "--add", recipient, "--yes", "--format", "json")
    assert [("paris", "rekey", "updated", None), ("rome", "rekey", "updated", None)] == outcomes(done.stdout)
    state = applied.state()
    assert state is not None
    assert (tuple(sorted((mine, recipient))), serial + 1) == (state.recipients, state.serial)
    assert [True, True, True, True] == [
        opens(applied), opens(applied, "rome"), opens(colleague), opens(by_command, "rome"),
    ]  # fmt: skip
    assert "recipients: [" in done.stderr
    assert recipient in done.stderr
    assert "can still open every older copy" not in done.stderr
    assert "`provisioner rekey`" in applied.run("plan").stderr

    done = having(applied, PROVISIONER_RECIPIENTS=f"{mine},{recipient}").run("rekey", "--remove", recipient, "--yes")
    assert (0, True) == (done.returncode, "can still open every older copy" in done.stderr)
    assert "default.json.backup" in done.stderr
    assert "default.json.forgotten" not in done.stderr
    assert [True, False] == [opens(applied), opens(colleague)]
    # What was read cannot be unread: the copy beside the state still opens.
    backup = json.loads(applied.state_path.with_name("default.json.backup").read_text())
    opener = AgeOpener(parse_identities(identity, "the test"))
    sealed = backup["accounts"]["paris"]["sealed"]
    opener.open(sealed, lineage=backup["lineage"], parent=backup["parent"], name="paris")
    assert "rekey" not in applied.run("plan").stderr
    assert [] == [each for each in methods(server) if each not in {"GET", "POST"}]
    assert_kept(server, applied, "paris")
    assert_no_secret(server, applied, done.stdout, done.stderr)


def test_without_options_to_the_recipients_of_the_settings(applied: Project) -> None:
    identity, recipient = new_identity()
    both = having(applied, PROVISIONER_RECIPIENTS=f"{applied.environ['PROVISIONER_RECIPIENTS']} {recipient}")
    warned = both.run("plan").stderr
    assert "`provisioner rekey`" in warned
    done = both.run("rekey", "--yes")
    assert (0, False) == (done.returncode, "warning" in done.stderr)
    assert "" == both.run("plan").stderr
    assert opens(only(applied, PROVISIONER_IDENTITY=identity.reveal()))


def test_ssh_keys_are_recipients_and_identities(applied: Project, tmp_path: Path) -> None:
    key = tmp_path / "id"
    generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", str(key)]
    try:
        subprocess.run(generate, check=True)
    except FileNotFoundError:
        pytest.skip("there is no ssh-keygen here")
    public = key.with_suffix(".pub").read_text().strip()
    assert 0 == applied.run("rekey", "--add", public, "--yes").returncode
    state = applied.state()
    assert state is not None
    assert public in state.recipients
    # The comment is no part of the key.
    bare = " ".join(public.split()[:2])
    assert 0 == applied.run("rekey", "--add", bare, "--yes").returncode
    assert state.recipients == getattr(applied.state(), "recipients", ())
    ssh = only(applied, PROVISIONER_IDENTITY_FILE=str(key))
    assert opens(ssh)
    assert 0 == ssh.run("rekey", "--remove", applied.environ["PROVISIONER_RECIPIENTS"], "--yes").returncode
    assert [True, False] == [opens(ssh), opens(applied)]
    done = ssh.run("rekey", "--remove", bare, "--add", new_identity()[1], "--yes")
    assert (4, True) == (done.returncode, opens(ssh))


def test_recipients_that_will_not_do_change_nothing(applied: Project) -> None:
    identity, recipient = new_identity()
    secret = identity.reveal()
    (mine,) = applied.environ["PROVISIONER_RECIPIENTS"].split()
    before = applied.state_path.read_bytes()
    cases = (
        (("--add", f"{recipient}q"), 10, "is malformed"),
        (("--add", "my colleague"), 10, "is malformed"),
        (("--add", ""), 10, "is malformed"),
        (("--add", secret), 10, "private key"),
        (("--remove", secret), 10, "private key"),
        (("--remove", recipient), 64, "is not sealed to"),
        (("--remove", mine), 64, "Nobody would be left"),
        (("--remove", mine, "--add", recipient), 4, "lock yourself out"),
    )
    for options, code, words in cases:
        done = applied.run("rekey", *options, "--yes", "--format", "json")
        error = error_of(done)
        assert (options, code, True) == (options, done.returncode, words in error["message"] + error["hint"])
        assert secret not in done.stdout + done.stderr
    assert 4 == having(applied, PROVISIONER_RECIPIENTS=recipient).run("rekey", "--yes").returncode
    assert 10 == without(applied, "PROVISIONER_RECIPIENTS").run("rekey", "--yes").returncode
    assert 10 == only(applied, PROVISIONER_IDENTITY=secret).run("rekey", "--add", recipient, "--yes").returncode
    assert 10 == only(applied).run("rekey", "--add", recipient, "--yes").returncode
    assert 64 == applied.run("rekey", "--add", recipient).returncode
    assert before == applied.state_path.read_bytes()


def test_adding_one_that_is_there_is_no_harm(applied: Project) -> None:
    assert 0 == applied.run("rekey", "--add", applied.environ["PROVISIONER_RECIPIENTS"], "--yes").returncode
    state = applied.state()
    assert state is not None
    assert (applied.environ["PROVISIONER_RECIPIENTS"],) == state.recipients
    assert opens(applied)


def test_all_or_nothing(applied: Project) -> None:
    state = applied.state()
    assert state is not None
    _, stranger = new_identity()
    foreign = AgeSealer([stranger]).seal(SealedContent(state.lineage, state.parent, "rome", "other"))
    moved = state.accounts["paris"].sealed
    assert moved is not None
    for sealed, code in ((foreign, 10), (moved, 5)):
        put(applied, "rome", sealed)
        before = applied.state_path.read_bytes()
        done = applied.run("rekey", "--add", new_identity()[1], "--yes")
        assert (code, True) == (done.returncode, "rome" in done.stderr)
        assert before == applied.state_path.read_bytes()


def test_everything_is_sealed_anew_whatever_its_status(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@2", "--fault", "lost@1:edit")
    mine = project(server, TWO)
    assert 8 == mine.run("apply", "--yes").returncode
    assert 7 == mine.run("rotate-password", "paris", "--yes", "--attempts", "1").returncode
    begun = begun_password(mine, "paris")
    identity, recipient = new_identity()
    both = having(mine, PROVISIONER_RECIPIENTS=f"{mine.environ['PROVISIONER_RECIPIENTS']} {recipient}")
    assert 0 == both.run("rekey", "--yes").returncode
    colleague = only(both, PROVISIONER_IDENTITY=identity.reveal())
    assert [True, True] == [opens(colleague), opens(colleague, "rome")]
    assert begun == begun_password(mine, "paris")
    assert 0 == colleague.run("rotate-password", "paris", "--yes").returncode
    assert begun == password_of(mine.opened("paris"))


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


def test_what_looks_like_a_new_name_is_told(applied: Project) -> None:
    edit_manifest(applied, "name: rome,", "name: roma,")
    done = applied.run("plan")
    assert "rome is in no manifest and has the same attributes" in done.stdout
    assert "write `previously: rome` under roma" in done.stdout
    plan = conforming(applied.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert ["rome"] == [each["resembles"] for each in plan["changes"] if each["action"] == "create"]


def test_a_mistyped_earlier_name_is_told_before_a_second_account_is_made(applied: Project) -> None:
    edit_manifest(applied, "name: rome, first_name: rome", "name: roma, previously: rone, first_name: Roma")
    done = applied.run("plan")
    assert "Nothing moves: the state knows no rone, its name before. This is a new account." in done.stdout
    plan = conforming(applied.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert ["rone"] == [each["previously"] for each in plan["changes"] if each["action"] == "create"]


def test_forget_speaks_for_those_who_read(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, "rome"))
    done = applied.run("forget", "rome", "--yes")
    assert "forgotten      rome" in done.stdout
    assert "the next apply creates it again" in done.stderr


# ── What nobody here could open again ────────────────────────────────────────


def test_nothing_is_sealed_where_the_identity_in_use_could_not_open_it(
    applied: Project, server: SandboxProcess
) -> None:
    _, stranger = new_identity()
    before, sent = applied.state_path.read_bytes(), len(methods(server))
    edit_manifest(applied, "last_name: Crash", "last_name: Crush")
    foreign = having(applied, PROVISIONER_RECIPIENTS=stranger)
    for arguments in (["apply", "--yes"], ["rotate-password", applied.names[0], "--yes"]):
        done = foreign.run(*arguments)
        assert (4, True) == (done.returncode, "lock yourself out" in done.stderr)
    assert (before, sent) == (applied.state_path.read_bytes(), len(methods(server)))


def test_sealing_to_more_is_warned_of_until_a_rekey(applied: Project) -> None:
    _, colleague = new_identity()
    more = having(applied, PROVISIONER_RECIPIENTS=f"{applied.environ['PROVISIONER_RECIPIENTS']} {colleague}")
    path = manifest_of(applied)
    path.write_text(path.read_text() + "  - {name: zagreb, first_name: zagreb}\n")
    assert 0 == more.run("apply", "--yes").returncode
    assert "provisioner rekey" in more.run("plan").stderr
    assert 0 == more.run("rekey", "--yes").returncode
    assert "provisioner rekey" not in more.run("plan").stderr
