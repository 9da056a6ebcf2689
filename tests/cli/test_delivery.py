"""How credentials leave the state: exports, their files, and commands that run with them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner.errors import ExitCode
from provisioner.model.account import Credentials, Secret
from tests.cli.steps import TWO, having, keep, run, tamper
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, finished, secrets_of

FORMATS = ("env", "json", "csv", "kubernetes")
EMPTY = {"env": "", "json": "{}\n", "csv": "name,api_login,api_key,password\n", "kubernetes": ""}


def made_by(server: SandboxProcess) -> dict[str, dict[str, str]]:
    """Return the credentials that the server gave to each account."""
    fields = ("api_login", "api_key", "password")
    return {each["first_name"]: {field: each[field] for field in fields} for each in server.accounts()}


def date(project: Project, **created_at: str) -> None:
    """Let accounts have been created at other times."""

    def alter(accounts: dict[str, Any]) -> None:
        for name, moment in created_at.items():
            accounts[name]["created_at"] = moment

    tamper(project, alter)


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
        "parents:\n  default: {}\n"
        '  acme: {api_login: "${env:OCTOPUSH_API_LOGIN}", api_key: "${env:OCTOPUSH_API_KEY}"}\n'
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


# ── A password of which nobody knows whether it is set ───────────────────────


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
    assert "`provisioner apply` finishes it" in line
    assert "warning: paris was to get a new password at 20" in line
    return line


def test_both_passwords_are_shown_and_it_is_said_why(half_rotated: tuple[Project, str, str]) -> None:
    mine, old, new = half_rotated
    done = mine.run("credentials", "show", "paris")
    assert f"password: {old}\npassword, begun: {new}\n" in done.stdout
    assert "one of these passwords is right" in warning_of(done)
    done = mine.run("credentials", "show", "paris", "--format", "json")
    shown = json.loads(done.stdout)["paris"]
    assert (old, [new]) == (shown["password"], shown["passwords_begun"])
    assert {old, new} & set(warning_of(done).split()) == set()
    other = mine.run("credentials", "show", "rome", "--format", "json")
    assert ({"api_login", "api_key", "password"}, "") == (json.loads(other.stdout)["rome"].keys(), other.stderr)


def test_what_is_delivered_keeps_its_shape_and_it_is_said_what_is_in_doubt(
    half_rotated: tuple[Project, str, str],
) -> None:
    mine, old, new = half_rotated
    for output in FORMATS:
        done = mine.run("credentials", "export", "--format", output)
        assert (0, True, False) == (done.returncode, old in done.stdout, new in done.stdout)
        assert "the password that is delivered is the one before" in warning_of(done)
    done = mine.run("credentials", "export", "--verified", "--format", "json")
    assert (0, old) == (done.returncode, json.loads(done.stdout)["paris"]["password"])
    assert {"api_login", "api_key", "password"} == json.loads(done.stdout)["paris"].keys()
    warning_of(done)
    done = mine.run("exec", "paris", "--", "printenv", "OCTOPUSH_PASSWORD")
    assert (0, f"{old}\n") == (done.returncode, done.stdout)
    assert "the password that is delivered is the one before" in warning_of(done)
    done = mine.run("credentials", "list")
    assert (0, False) == (done.returncode, old in done.stdout)
    assert "the password that is kept may be the one before" in warning_of(done)
    assert "" == mine.run("credentials", "export", "rome").stderr
    # An apply finishes it, and nothing is in doubt any more.
    assert 0 == mine.run("apply", "--yes").returncode
    done = mine.run("credentials", "export", "--format", "json")
    assert (new, "") == (json.loads(done.stdout)["paris"]["password"], done.stderr)


# ── Only what is new ─────────────────────────────────────────────────────────


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


def test_a_moment_is_that_of_utc_or_of_its_zone(applied: Project) -> None:
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


def test_where_nothing_is_new_the_output_is_empty_and_valid(applied: Project) -> None:
    date(applied, paris=ago(hours=3), rome=ago(hours=3))
    for output in FORMATS:
        done = applied.run("credentials", "export", "--format", output, "--since", "2h")
        assert (0, EMPTY[output]) == (done.returncode, done.stdout)
        assert done.stderr.startswith("No account was created since 20")
        out = applied.folder / f"out.{output}"
        out.write_text("what was exported the last time")
        assert (
            0 == applied.run("credentials", "export", "--format", output, "--since", "2h", "--out", out.name).returncode
        )
        assert EMPTY[output] == out.read_text()


@pytest.mark.parametrize(
    "since",
    ["", "yesterday", "7", "7w", "-7d", "1.5h", "7d ", "\u0667d", "2026-13-01", "2026-01", "20260101",
     "2026-01-01T25:00", "2026-01-01-05:00", "9999999999d", "999999d", "0001-01-01T00:00+14:00", "1" * 5000 + "d"],
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_a_hint(tmp_path: Path, since: str) -> None:
    done = run(tmp_path, "credentials", "export", "--since", since)
    assert (64, "") == (done.returncode, done.stdout)
    assert f"--since {since} is neither a date nor a duration." in done.stderr
    assert "30m, 12h or 7d" in done.stderr


def test_names_and_since_contradict_each_other(applied: Project) -> None:
    done = applied.run("credentials", "export", "paris", "--since", "7d", "--format", "json")
    assert (64, "CommandInvalid") == (done.returncode, json.loads(done.stdout)["error"]["name"])
    assert "Give names or --since, and not both." in done.stderr


def test_a_time_of_the_state_that_is_none_is_no_crash(applied: Project) -> None:
    for wrong in ("last week", "0001-01-01T00:00+14:00"):
        date(applied, paris=wrong)
        done = applied.run("credentials", "export", "--since", "7d")
        assert (5, True) == (done.returncode, "When paris was created cannot be read" in done.stderr)


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
    new, wide, link, target = (applied.folder / name for name in ("new", "wide", "link", "target"))
    wide.write_text("world-readable")
    wide.chmod(0o666)
    target.write_text("kept")
    target.chmod(0o644)
    link.symlink_to(target)
    with wide.open() as reader:
        for out in (new, wide, link):
            done = applied.run("credentials", "export", "--format", output, "--out", out.name)
            assert (0, "") == (done.returncode, done.stdout)
            assert f"Written to {out.name}, readable by you alone." in done.stderr
            found = out.lstat()
            assert (0o600, True) == (stat.S_IMODE(found.st_mode), stat.S_ISREG(found.st_mode))
            accounts = in_the_file(output, out.read_text())
            assert keys == {name: values["api_key"] for name, values in accounts.items()}
        # Whoever had the old file open sees nothing of the new one.
        assert "world-readable" == reader.read()
    assert ("kept", 0o644) == (target.read_text(), stat.S_IMODE(target.stat().st_mode))
    assert {*before, "new", "wide", "link", "target"} == {each.name for each in applied.folder.iterdir()}


def test_credentials_are_utf8_where_a_terminal_knows_no_such_letter(applied: Project) -> None:
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


def test_where_no_file_can_be_nothing_is_left_behind(applied: Project) -> None:
    (applied.folder / "empty").mkdir()
    (applied.folder / "file").write_text("kept")
    for folder in ("empty", "empty/", "manifests", ".", "..", "/", ""):
        assert_not_written(applied, folder, " is a folder.", "Name a file")
    assert_not_written(applied, "missing/out.env", "cannot be written: No such file or directory", "Name a file")
    assert_not_written(applied, "file/out.env", "cannot be written: Not a directory", "Name a file")
    assert_not_written(applied, "n" * 300, "cannot be written: File name too long", "Name a file")


def test_a_pipe_is_not_replaced(applied: Project) -> None:
    os.mkfifo(applied.folder / "pipe")
    assert_not_written(applied, "pipe", "pipe is a pipe or a device, and not a file", "Name a file")


def test_in_a_read_only_folder_nothing_is_left_behind(applied: Project) -> None:
    # Root writes everywhere, but for the right to do so.
    bound = ("setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override") if os.getuid() == 0 else ()
    if bound and shutil.which("setpriv") is None:
        pytest.skip("the superuser writes everywhere")
    folder = applied.folder / "closed"
    folder.mkdir()
    (folder / "old.env").write_text("kept")
    folder.chmod(0o500)
    try:
        for name in ("new.env", "old.env"):
            assert_not_written(applied, f"closed/{name}", "cannot be written: Permission denied", prefix=bound)
    finally:
        folder.chmod(0o700)


# ── A command of its own ─────────────────────────────────────────────────────

ENVIRON = (sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))")
ARGUMENTS = (sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))")


def test_a_command_finds_the_account_and_none_of_our_own_secrets(applied: Project, server: SandboxProcess) -> None:
    (applied.folder / "provisioner.yaml").write_text(
        'parents:\n  default: {}\n  acme: {api_login: "${env:ACME_LOGIN}", api_key: "${env:ACME_KEY}${file:key}"}\n'
    )
    theirs = {"ACME_LOGIN": "acme@example.com", "OCTOPUSH_OTHER": "stays", "PROVISIONER_STATE": "state/{parent}.json"}
    ours = {
        "ACME_KEY": "acme-key",
        "OCTOPUSH_PASSWORD": "of somebody else",
        "PROVISIONER_IDENTITY": applied.identity_path.read_text(),
        "PROVISIONER_IDENTITY_FILE": "identity.txt",
        "PROVISIONER_IDENTITY_COMMAND": "cat identity.txt",
        "PROVISIONER_PROXY": "http://me:secret@proxy.example.com",
    }
    done = having(applied, **theirs, **ours).run("exec", "paris", "--", *ENVIRON)
    made = made_by(server)["paris"]
    expected = {
        **applied.environ,
        **theirs,
        "OCTOPUSH_API_LOGIN": made["api_login"],
        "OCTOPUSH_API_KEY": made["api_key"],
        "OCTOPUSH_PASSWORD": made["password"],
    }
    assert (0, "", expected) == (done.returncode, done.stderr, json.loads(done.stdout))
    assert server.url == expected["OCTOPUSH_API_URL"]
    assert server.accepts(Credentials(expected["OCTOPUSH_API_LOGIN"], Secret(expected["OCTOPUSH_API_KEY"])))


def test_where_no_password_is_kept_a_command_finds_none(applied: Project, server: SandboxProcess) -> None:
    keep(applied, "paris", replace(applied.opened("paris"), password=None))
    done = having(applied, OCTOPUSH_PASSWORD="of somebody else").run("exec", "paris", *ENVIRON)
    expected = {key: made_by(server)["paris"][key.removeprefix("OCTOPUSH_").lower()] for key in
                ("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY")}  # fmt: skip
    assert {**applied.environ, **expected} == json.loads(done.stdout)


def test_arguments_reach_the_command_as_they_are(applied: Project) -> None:
    words = [
        "-H",
        "x: y",
        "--help",
        "-h",
        "--parent",
        "acme",
        "--format",
        "json",
        "--",
        "",
        "--config=x",
        "é\n*$HOME",
        "--",
    ]
    for separator in ([], ["--"]):
        done = applied.run("exec", "--parent", "default", "paris", *separator, *ARGUMENTS, *words)
        assert (0, words) == (done.returncode, json.loads(done.stdout))
    raw = subprocess.run(
        [sys.executable, "-m", "provisioner", "exec", "--", "paris", "printf", "%s", b"\xff\xfe"],
        cwd=applied.folder, env=applied.environ, capture_output=True, check=True,
    )  # fmt: skip
    assert b"\xff\xfe" == raw.stdout


def test_no_secret_is_among_the_arguments(applied: Project, server: SandboxProcess) -> None:
    done = applied.run("exec", "paris", "--", "cat", "/proc/self/cmdline")
    assert (0, "cat\0/proc/self/cmdline\0") == (done.returncode, done.stdout)
    assert set() == {secret for secret in secrets_of(server, applied) if secret in done.stdout + done.stderr}


def test_the_command_takes_the_place_of_the_process(applied: Project) -> None:
    with applied.start("exec", "paris", "--", "sh", "-c", "cat; echo $$; exit 42", stdin=subprocess.PIPE) as process:
        said, _ = process.communicate("heard\n")
    assert (42, f"heard\n{process.pid}\n") == (process.returncode, said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ])
def test_a_signal_ends_the_command_as_it_would_without_us(applied: Project, number: signal.Signals) -> None:
    with applied.start("exec", "paris", "--", "sh", "-c", "echo ready; exec sleep 60") as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        process.send_signal(number)
        assert -number == finished(process).returncode


def test_what_cannot_be_run(applied: Project, server: SandboxProcess) -> None:
    (applied.folder / "data").write_text("no program")
    for word, problem in {
        "no-such-command": "No such file or directory",
        "./no-such-command": "No such file or directory",
        "./data": "Permission denied",
        "./manifests": "Permission denied",
    }.items():
        done = applied.run("exec", "paris", "--", word, "--format", "json")
        assert (64, "") == (done.returncode, done.stdout)
        assert f"error: {word} cannot be run: {problem}.\n" in done.stderr
        assert set() == {secret for secret in secrets_of(server, applied) if secret in done.stderr}


def test_a_command_must_be_given(tmp_path: Path) -> None:
    for words in ([], ["--"], ["--", ""], [""]):
        done = run(tmp_path, "exec", "paris", *words)
        assert (64, "", True) == (done.returncode, done.stdout, "No command was given." in done.stderr)
    for words in (["--parent", "acme", "--", "env"], ["--help"]):
        done = run(tmp_path, "exec", "paris", *words)
        assert (64, "") == (done.returncode, done.stdout)
        assert "Options of exec stand before the account's name" in done.stderr
    for words in ([], ["--nonsense", "paris", "env"]):
        done = run(tmp_path, "exec", *words)
        assert (64, "", True) == (done.returncode, done.stdout, "provisioner exec --help" in done.stderr)


def test_nothing_is_run_without_credentials(sandbox: StartSandbox, project: NewProject, tmp_path: Path) -> None:
    mine = project(sandbox("--fault", "not-json@1"), TWO)
    assert ExitCode.OUTCOME_UNKNOWN == mine.run("apply", "--yes").returncode
    for name, code, words in (("paris", 5, "no credentials of paris"), ("oslo", 64, "no account oslo")):
        done = mine.run("exec", name, "--", "echo", "ran")
        assert (code, "", True) == (done.returncode, done.stdout, words in done.stderr)
    assert 0 == mine.run("resolve", "paris", "--not-created", "--yes").returncode
    assert 0 == mine.run("apply", "--yes").returncode
    assert "ran\n" == mine.run("exec", "paris", "--", "echo", "ran").stdout
    content = mine.opened("paris")
    keep(mine, "paris", replace(content, password=Secret("a\0b")))
    done = mine.run("exec", "paris", "--", "echo", "ran")
    assert (5, "", True) == (done.returncode, done.stdout, "hold a character that no environment may" in done.stderr)
    mine.identity_path.unlink()
    done = mine.run("exec", "rome", "--", "echo", "ran")
    assert (10, "", True) == (done.returncode, done.stdout, "no identity" in done.stderr)
    done = run(tmp_path, "exec", "paris", "--", "echo", "ran")
    assert (5, "", True) == (done.returncode, done.stdout, "no state of the parent default" in done.stderr)


def test_exec_is_in_the_help(tmp_path: Path) -> None:
    top = run(tmp_path, "--help").stdout
    assert top.index("\n  credentials ") < top.index("\n  exec ") < top.index("\n  resolve ")
    done = run(tmp_path, "exec", "--help")
    assert "Usage: provisioner exec [OPTIONS] NAME -- COMMAND [ARG]...\n" in done.stdout
