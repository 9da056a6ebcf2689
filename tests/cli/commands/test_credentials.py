"""``credentials``: exports, their formats and files, and the warnings about them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import stat
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner.model.account import Secret
from tests.cli.steps import TWO, delete, having, keep, login_of, made, made_by, run, sent, stranger, tamper
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_no_secret

FORMATS = ("env", "json", "csv", "kubernetes")
EMPTY = {"env": "", "json": "{}\n", "csv": "name,api_login,api_key,password\n", "kubernetes": ""}


# ── Exports ──────────────────────────────────────────────────────────────────


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
    assert (64, "", "kept") == (done.returncode, done.stdout, target.read_text())
    assert "out.env cannot be replaced: it is a symbolic link, and not a file." in done.stderr
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
    assert (10, True) == (done.returncode, "does not open the sealed record of paris" in done.stderr)
    assert "It came from " in done.stderr
    assert 0 == applied.run("status").returncode


def test_an_account_or_state_that_does_not_exist(applied: Project, tmp_path: Path) -> None:
    done = applied.run("credentials", "show", "oslo")
    assert (64, True) == (done.returncode, "no account oslo" in done.stderr)
    done = run(tmp_path, "credentials", "export")
    assert (5, True) == (done.returncode, "no state of the parent default at state/default.json" in done.stderr)


# ── What is gone ─────────────────────────────────────────────────────────────


def test_exporting_credentials_of_a_gone_account_gets_a_warning(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, "rome"))
    assert 0 == applied.run("refresh").returncode
    assert "Octopush no longer knows its login" in applied.run("status").stdout
    told = "When last asked, Octopush no longer knew the login of rome"
    commands = (["show", "rome"], ["list"], ["export", "rome"], ["export"])
    for command in (*(["credentials", *each] for each in commands), ["exec", "rome", "--", "true"]):
        done = applied.run(*command)
        assert (0, 1) == (done.returncode, done.stderr.count(told))
    assert told not in applied.run("credentials", "export", "paris").stderr


# ── Verified ─────────────────────────────────────────────────────────────────


def test_a_verified_export_is_the_plain_one(applied: Project, server: SandboxProcess) -> None:
    asked = sent(server)
    plain = applied.run("credentials", "export")
    assert asked == sent(server)
    verified = applied.run("credentials", "export", "--verified")
    assert (0, plain.stdout, asked + 2) == (verified.returncode, verified.stdout, sent(server))
    assert 0 == applied.run("credentials", "export", "--verified", "--since", "2099-01-01").returncode
    assert asked + 2 == sent(server)


def test_an_export_that_cannot_be_verified_delivers_nothing(sandbox: StartSandbox, project: NewProject) -> None:
    mine = made(sandbox("--fault", "401@3:read"), project)
    done = mine.run("credentials", "export", "--verified")
    assert (7, "") == (done.returncode, done.stdout)
    assert "paris: the API did not accept the credentials" in done.stderr
    assert "Check OCTOPUSH_API_LOGIN" in done.stderr
    assert 10 == stranger(mine).run("credentials", "export", "--verified").returncode
    assert 5 == having(mine, OCTOPUSH_API_LOGIN="a@example.com").run("credentials", "export", "--verified").returncode


# ── Kubernetes ───────────────────────────────────────────────────────────────


def test_secrets_of_kubernetes_hold_what_the_api_returned(applied: Project, server: SandboxProcess) -> None:
    done = applied.run("credentials", "export", "--format", "kubernetes")
    assert (0, "") == (done.returncode, done.stderr)
    assert [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": f"octopush-{name}",
                "labels": {
                    "app.kubernetes.io/managed-by": "octopush-provisioner",
                    "octopush-provisioner/parent": "default",
                },
            },
            "type": "Opaque",
            "stringData": made_by(server)[name],
        }
        for name in TWO
    ] == [*yaml.safe_load_all(done.stdout)]
    one = applied.run("credentials", "export", "rome", "--format", "kubernetes").stdout
    assert ["octopush-rome"] == [each["metadata"]["name"] for each in yaml.safe_load_all(one)]


def test_accounts_of_one_name_have_secrets_of_their_own_under_each_parent(
    server: SandboxProcess, project: NewProject
) -> None:
    mine = project(server, ("paris", "acme-paris"))
    (mine.folder / "provisioner.yaml").write_text(
        'parents:\n  default: {}\n  acme: {api_login: acme@example.com, api_key: "${env:OCTOPUSH_API_KEY}"}\n'
    )
    account = "{name: paris, first_name: other, last_name: Crash}"
    (mine.folder / "manifests" / "acme.yaml").write_text(f"version: 1\nparent: acme\naccounts: [{account}]\n")
    assert 0 == mine.run("apply", "--yes").returncode
    found = [
        each
        for parent in ("default", "acme")
        for each in yaml.safe_load_all(
            mine.run("credentials", "export", "--parent", parent, "--format", "kubernetes").stdout
        )
    ]
    assert ["octopush-acme-paris", "octopush-paris", "octopush-acme.paris"] == [
        each["metadata"]["name"] for each in found
    ]
    assert ["default", "default", "acme"] == [
        each["metadata"]["labels"]["octopush-provisioner/parent"] for each in found
    ]
    made = made_by(server)
    assert [made["acme-paris"], made["paris"], made["other"]] == [each["stringData"] for each in found]


# ── A password that may be the one before ────────────────────────────────────


@pytest.fixture
def half_rotated(sandbox: StartSandbox, project: NewProject) -> tuple[Project, str, str]:
    """A project in which paris has the old password or the new one; with both of them."""
    server = sandbox("--fault", "lost@1:edit")
    mine = project(server, TWO)
    assert 0 == mine.run("apply", "--yes").returncode
    old = made_by(server)["paris"]["password"]
    assert 7 == mine.run("rotate-password", "paris", "--yes", "--attempts", "1").returncode
    return mine, old, made_by(server)["paris"]["password"]


def warning_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that warns; it names what finishes the rotation."""
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("warning: ")]
    assert "`provisioner rotate-password paris` or `provisioner apply` finishes it." in line
    assert "warning: A password change of paris began at 20" in line
    return line


def test_both_passwords_are_shown_with_the_reason(half_rotated: tuple[Project, str, str]) -> None:
    mine, old, new = half_rotated
    done = mine.run("credentials", "show", "paris")
    assert f"password: {old}\npassword (new, not confirmed): {new}\n" in done.stdout
    assert "one of these passwords is correct" in warning_of(done)
    done = mine.run("credentials", "show", "paris", "--format", "json")
    shown = json.loads(done.stdout)["paris"]
    assert (old, [new]) == (shown["password"], shown["passwords_begun"])
    assert {old, new} & set(warning_of(done).split()) == set()
    other = mine.run("credentials", "show", "rome", "--format", "json")
    assert ({"api_login", "api_key", "password"}, "") == (json.loads(other.stdout)["rome"].keys(), other.stderr)


def test_an_export_keeps_its_format_and_warns_about_unfinished_changes(
    half_rotated: tuple[Project, str, str],
) -> None:
    mine, old, new = half_rotated
    for output in FORMATS:
        done = mine.run("credentials", "export", "--format", output)
        assert (0, True, False) == (done.returncode, old in done.stdout, new in done.stdout)
        assert "this is the previous password" in warning_of(done)
    done = mine.run("credentials", "export", "--verified", "--format", "json")
    assert (0, old) == (done.returncode, json.loads(done.stdout)["paris"]["password"])
    assert {"api_login", "api_key", "password"} == json.loads(done.stdout)["paris"].keys()
    warning_of(done)
    done = mine.run("exec", "paris", "--", "printenv", "OCTOPUSH_PASSWORD")
    assert (0, f"{old}\n") == (done.returncode, done.stdout)
    assert "this is the previous password" in warning_of(done)
    done = mine.run("credentials", "list")
    assert (0, False) == (done.returncode, old in done.stdout)
    assert "the stored password may be the previous one" in warning_of(done)
    assert "" == mine.run("credentials", "export", "rome", "--format", "docker").stderr
    assert mine.run("credentials", "export", "rome").stderr.startswith("It is for a POSIX shell.")
    # An apply finishes it, and nothing is in doubt any more.
    assert 0 == mine.run("apply", "--yes").returncode
    done = mine.run("credentials", "export", "--format", "json")
    assert "" == done.stderr
    assert json.loads(done.stdout)["paris"]["password"] not in {old, new}


# ── Only what is new ─────────────────────────────────────────────────────────


def date(project: Project, **created_at: str) -> None:
    """Let accounts have been created at other times."""

    def alter(accounts: dict[str, Any]) -> None:
        for name, moment in created_at.items():
            accounts[name]["created_at"] = moment

    tamper(project, alter)


def ago(**duration: int) -> str:
    return (datetime.now(UTC) - timedelta(**duration)).isoformat(timespec="seconds").replace("+00:00", "Z")


def exported(project: Project, since: str) -> list[str]:
    done = project.run("credentials", "export", "--format", "json", "--since", since)
    assert 0 == done.returncode, done.stderr
    return list(json.loads(done.stdout))


def test_what_was_created_before_is_left_out(applied: Project) -> None:
    assert [*TWO] == exported(applied, "1h")
    date(applied, paris=ago(hours=3), rome=ago(days=3))
    assert ["paris"] == exported(applied, "4h")
    assert ["paris"] == exported(applied, f"{(datetime.now(UTC) - timedelta(days=1)).date()}")
    assert [*TWO] == exported(applied, "4d")
    assert [] == exported(applied, "30m")


def test_a_time_is_in_utc_or_in_its_own_zone(applied: Project) -> None:
    date(applied, paris="2026-03-01T12:00:00Z", rome="2026-03-01T12:01:00Z")
    expected = {
        "2026-03-01": [*TWO],
        "2026-03-01T11:59:59": [*TWO],
        "2026-03-01 12:00": [*TWO],  # at or after
        "2026-03-01T12:00:00.9Z": [*TWO],  # no account's time is known closer than to the second
        "2026-03-01T12:00:01Z": ["rome"],
        "2026-03-01T13:00:00+01:00": [*TWO],
        "2026-03-01T12:00:00-00:01": ["rome"],
        "2026-03-02": [],
    }
    assert expected == {since: exported(applied, since) for since in expected}


def test_if_nothing_is_new_the_output_is_empty_and_valid(applied: Project) -> None:
    date(applied, paris=ago(hours=3), rome=ago(hours=3))
    for output in FORMATS:
        done = applied.run("credentials", "export", "--format", output, "--since", "2h")
        assert (0, EMPTY[output]) == (done.returncode, done.stdout)
        assert done.stderr.startswith("No account was created since 20")
        out = applied.folder / f"out.{output}"
        out.write_text("LYON_API_KEY=of-the-last-time\n")
        assert (
            0 == applied.run("credentials", "export", "--format", output, "--since", "2h", "--out", out.name).returncode
        )
        assert EMPTY[output] == out.read_text()


@pytest.mark.parametrize(
    "since",
    ["", "yesterday", "7", "7w", "-7d", "1.5h", "7d ", "\u0667d", "2026-13-01", "2026-01", "20260101",
     "2026-01-01T25:00", "2026-01-01-05:00", "9999999999d", "999999d", "0001-01-01T00:00+14:00", "1" * 5000 + "d"],
)  # fmt: skip
def test_what_is_not_a_time_is_refused_with_a_hint(tmp_path: Path, since: str) -> None:
    done = run(tmp_path, "credentials", "export", "--since", since)
    assert (64, "") == (done.returncode, done.stdout)
    assert f"--since {since} is neither a date nor a duration." in done.stderr
    assert "30m, 12h or 7d" in done.stderr


def test_names_and_since_contradict_each_other(applied: Project) -> None:
    done = applied.run("credentials", "export", "paris", "--since", "7d", "--format", "json")
    assert (64, "CommandInvalid") == (done.returncode, json.loads(done.stdout)["error"]["name"])
    assert "Give either names or --since." in done.stderr


def test_an_invalid_time_in_the_state_does_not_crash(applied: Project) -> None:
    date(applied, paris="2026-02-30T00:00:00Z")
    done = applied.run("credentials", "export", "--since", "7d")
    assert (5, True) == (done.returncode, "The creation time of paris in the state is not valid" in done.stderr)


# ── Files ────────────────────────────────────────────────────────────────────


def in_the_file(output: str, text: str) -> dict[str, dict[str, str]]:
    """Return the accounts of an exported file by their names; of the dotenv lines, only the keys."""
    match output:
        case "env":
            lines = dict(line.split("=", 1) for line in text.splitlines())
            return {name: {"api_key": lines[f"{name.upper()}_API_KEY"]} for name in TWO}
        case "json":
            return dict(json.loads(text))
        case "csv":
            return {row.pop("name"): row for row in csv.DictReader(text.splitlines())}
    return {each["metadata"]["name"].removeprefix("octopush-"): each["stringData"] for each in yaml.safe_load_all(text)}


@pytest.mark.parametrize("output", FORMATS)
def test_a_file_is_private_whatever_was_in_its_place(applied: Project, server: SandboxProcess, output: str) -> None:
    before = {each.name for each in applied.folder.iterdir()}
    keys = {name: values["api_key"] for name, values in made_by(server).items()}
    new, wide = (applied.folder / name for name in ("new", "wide"))
    wide.write_text("PARIS_API_KEY=of-the-export-before\n")
    wide.chmod(0o666)
    with wide.open() as reader:
        for out in (new, wide, wide):
            done = applied.run("credentials", "export", "--format", output, "--out", out.name)
            assert (0, "") == (done.returncode, done.stdout)
            assert f"Written to {out.name}; only you can read it." in done.stderr
            found = out.lstat()
            assert (0o600, True) == (stat.S_IMODE(found.st_mode), stat.S_ISREG(found.st_mode))
            accounts = in_the_file(output, out.read_text())
            assert keys == {name: values["api_key"] for name, values in accounts.items()}
        # Whoever had the old file open sees nothing of the new one.
        assert "PARIS_API_KEY=of-the-export-before\n" == reader.read()
    assert {*before, "new", "wide"} == {each.name for each in applied.folder.iterdir()}


def test_credentials_are_utf8_even_if_the_terminal_lacks_the_letter(applied: Project) -> None:
    keep(applied, "paris", replace(applied.opened("paris"), password=Secret("pässwörd")))
    ascii_only = having(applied, PYTHONIOENCODING="ascii")
    assert (
        "pässwörd"
        == json.loads(ascii_only.run("credentials", "export", "--format", "json").stdout)["paris"]["password"]
    )
    assert "pässwörd" in ascii_only.run("credentials", "show", "paris").stdout


def assert_not_written(project: Project, out: str, *words: str, prefix: tuple[str, ...] = ()) -> None:
    before = {path: path.lstat().st_mtime_ns for path in project.folder.rglob("*")}
    done = project.run("credentials", "export", "--out", out, prefix=prefix)
    assert (64, "") == (done.returncode, done.stdout)
    assert all(word in done.stderr for word in words), done.stderr
    assert before == {path: path.lstat().st_mtime_ns for path in project.folder.rglob("*")}


def test_if_the_file_cannot_be_written_nothing_is_left_behind(applied: Project) -> None:
    (applied.folder / "empty").mkdir()
    (applied.folder / "file").write_text("kept")
    for folder in ("empty", "empty/", "manifests", ".", "..", "/", ""):
        assert_not_written(applied, folder, "it is a folder, and not a file.", "Name a file")
    assert_not_written(applied, "missing/out.env", "cannot be written: No such file or directory", "Name a file")
    assert_not_written(applied, "file/out.env", "cannot be written: Not a directory", "Name a file")
    assert_not_written(applied, "n" * 300, "cannot be written: File name too long", "Name a file")


def test_a_pipe_is_not_replaced(applied: Project) -> None:
    os.mkfifo(applied.folder / "pipe")
    assert_not_written(applied, "pipe", "pipe cannot be replaced: it is a pipe, and not a file", "Name a file")


def test_in_a_read_only_folder_nothing_is_left_behind(applied: Project) -> None:
    # Root writes everywhere, but for the right to do so.
    bound = ("setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override") if os.getuid() == 0 else ()
    if bound and shutil.which("setpriv") is None:
        pytest.skip("the superuser writes everywhere")
    folder = applied.folder / "closed"
    folder.mkdir()
    (folder / "old.env").write_text("PARIS_API_KEY=kept\n")
    folder.chmod(0o500)
    try:
        for name in ("new.env", "old.env"):
            assert_not_written(applied, f"closed/{name}", "cannot be written: Permission denied", prefix=bound)
    finally:
        folder.chmod(0o700)
