"""``rekey``: everything is sealed again, to other recipients."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from provisioner.model.verdict import SealedContent
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities
from tests.cli.steps import (
    TWO,
    begun_password,
    error_of,
    having,
    login_of,
    manifest_of,
    methods,
    only,
    outcomes,
    password_at,
    password_of,
    put,
    without,
)
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_kept, assert_no_secret


def opens(project: Project, name: str = "paris") -> bool:
    return 0 == project.run("credentials", "show", name).returncode


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
    assert f"does not seal to {recipient}," in applied.run("plan").stdout

    done = having(applied, PROVISIONER_RECIPIENTS=f"{mine},{recipient}").run("rekey", "--remove", recipient, "--yes")
    assert (0, True) == (done.returncode, "can still open every older copy" in done.stderr)
    assert "default.json.backup" in done.stderr
    assert "default.json.forgotten" not in done.stderr
    assert [True, False] == [opens(applied), opens(colleague)]
    # A rekey takes nothing back: the copy next to the state still opens.
    backup = json.loads(applied.state_path.with_name("default.json.backup").read_text())
    opener = AgeOpener(parse_identities(identity, "the test"))
    record = backup["accounts"]["paris"]
    place = {"lineage": backup["lineage"], "parent": backup["parent"], "name": "paris"}
    opener.open(record["sealed"], **place, operation=record["operation"]["id"])
    assert "rekey" not in applied.run("plan").stdout
    assert [] == [each for each in methods(server) if each not in {"GET", "POST"}]
    assert_kept(server, applied, "paris")
    assert_no_secret(server, applied, done.stdout, done.stderr)


def test_without_options_to_the_recipients_of_the_settings(applied: Project) -> None:
    identity, recipient = new_identity()
    both = having(applied, PROVISIONER_RECIPIENTS=f"{applied.environ['PROVISIONER_RECIPIENTS']} {recipient}")
    assert f"  seals to {recipient}," in both.run("plan").stdout
    done = both.run("rekey", "--yes")
    assert (0, False) == (done.returncode, "warning" in done.stderr)
    assert "which" not in both.run("plan").stdout
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
    assert bare in getattr(applied.state(), "recipients", ())
    ssh = only(applied, PROVISIONER_IDENTITY_FILE=str(key))
    assert opens(ssh)
    mine = applied.environ["PROVISIONER_RECIPIENTS"]
    assert 0 == ssh.run("rekey", "--add", public, "--remove", mine, "--yes").returncode
    assert [True, False] == [opens(ssh), opens(applied)]
    done = ssh.run("rekey", "--remove", bare, "--add", new_identity()[1], "--yes")
    assert (4, True) == (done.returncode, opens(ssh))


def test_unusable_recipients_change_nothing(applied: Project) -> None:
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
        (("--remove", recipient), 64, "is not a recipient in the settings or the state"),
        (("--remove", mine), 64, "No recipient would be left"),
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


def test_adding_an_existing_recipient_does_no_harm(applied: Project) -> None:
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
    for sealed in (foreign, moved):
        put(applied, "rome", sealed)
        before = applied.state_path.read_bytes()
        done = applied.run("rekey", "--add", new_identity()[1], "--yes")
        assert (5, True) == (done.returncode, "rome" in done.stderr)
        assert before == applied.state_path.read_bytes()


def test_everything_is_sealed_again_whatever_its_status(sandbox: StartSandbox, project: NewProject) -> None:
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
    assert begun != password_of(mine.opened("paris")) == password_at(server, login_of(mine, "paris"))


def test_sealing_to_more_is_warned_of_until_a_rekey(applied: Project) -> None:
    _, colleague = new_identity()
    more = having(applied, PROVISIONER_RECIPIENTS=f"{applied.environ['PROVISIONER_RECIPIENTS']} {colleague}")
    path = manifest_of(applied)
    path.write_text(path.read_text() + "  - {name: zagreb, first_name: zagreb}\n")
    assert 0 == more.run("apply", "--yes").returncode
    assert "provisioner rekey" in more.run("plan").stdout
    assert 0 == more.run("rekey", "--yes").returncode
    assert "provisioner rekey" not in more.run("plan").stdout
