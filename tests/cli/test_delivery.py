"""How credentials leave the state: exports, their files, and commands that run with them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.cli.test_commands import run
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox

TWO = ("paris", "rome")
FORMATS = ("env", "json", "csv", "kubernetes")
EMPTY = {"env": "", "json": "{}\n", "csv": "name,api_login,api_key,password\n", "kubernetes": ""}


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox()


@pytest.fixture
def applied(server: SandboxProcess, project: NewProject) -> Project:
    """A project whose accounts exist."""
    made = project(server, TWO)
    assert 0 == made.run("apply", "--yes").returncode
    return made


def made_by(server: SandboxProcess) -> dict[str, dict[str, str]]:
    """Return the credentials that the server gave to each account."""
    fields = ("api_login", "api_key", "password")
    return {each["first_name"]: {field: each[field] for field in fields} for each in server.accounts()}


def date(project: Project, **created_at: str) -> None:
    """Let accounts have been created at other times."""
    document = json.loads(project.state_path.read_text())
    document["serial"] += 1
    for name, moment in created_at.items():
        document["accounts"][name]["created_at"] = moment
    project.state_path.write_text(json.dumps(document))


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
                "labels": {"app.kubernetes.io/managed-by": "octopush-provisioner"},
            },
            "type": "Opaque",
            "stringData": made_by(server)[name],
        }
        for name in TWO
    ] == [*yaml.safe_load_all(done.stdout)]
    one = applied.run("credentials", "export", "rome", "--format", "kubernetes").stdout
    assert ["octopush-rome"] == [each["metadata"]["name"] for each in yaml.safe_load_all(one)]


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
    assert_not_written(applied, "pipe", "pipe is no file", "Name a file")


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
