"""Broken surroundings: closed streams, full disks, terminals that obey what they show, core dumps."""

from __future__ import annotations

import json
import subprocess

import pytest

from provisioner.render import documents
from tests.cli.steps import TWO, made
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_kept


def closed(project: Project, stream: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with one of its streams closed."""
    return project.run(*arguments, prefix=("sh", "-c", f'"$@" {stream}', "sh"))


def test_a_closed_output_is_reported_and_loses_nothing(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    done = closed(mine, ">&-", "apply", "--yes")
    assert (1, True) == (done.returncode, "error: Standard output cannot be written: it is closed." in done.stderr)
    assert "Traceback" not in done.stderr
    for name in TWO:
        assert_kept(server, mine, name)
    for arguments in (("plan",), ("plan", "--format", "json"), ("--help",), ("status",)):
        done = closed(mine, ">&-", *arguments)
        assert (1, 1) == (done.returncode, done.stderr.count("Standard output cannot be written: it is closed."))
        assert "Traceback" not in done.stderr
    gone = mine.run("status", prefix=("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && "$@"', "sh"))
    assert (64, "error: The current folder no longer exists.") == (gone.returncode, gone.stderr.splitlines()[0])
    # A reader that goes away is not an error.
    assert "" == closed(mine, "| true", "--help").stderr


@pytest.mark.parametrize("log", ["text", "json"])
@pytest.mark.parametrize("stream", [">&-", ">/dev/full", "2>&-", "<&-"])
def test_a_run_keeps_its_own_exit_code_whatever_stream_is_broken(
    sandbox: StartSandbox, project: NewProject, stream: str, log: str
) -> None:
    mine = project(sandbox("--fault", "lost@1"), TWO)
    done = closed(mine, stream, "reconcile", "--new-state", "--log-format", log)
    assert (8, {"paris": "unknown"}) == (done.returncode, mine.statuses())
    assert "Traceback" not in done.stdout + done.stderr
    if log == "json":
        assert all(json.loads(line) for line in done.stderr.splitlines())


def test_no_file_is_opened_in_place_of_a_closed_stream(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    mine.environ["PROVISIONER_IDENTITY_COMMAND"] = f"echo said >&2; cat {mine.identity_path}"
    done = mine.run("verify", prefix=("sh", "-c", '"$@" <&- >&- 2>&-', "sh"))
    assert 1 == done.returncode
    assert {"paris": "active", "rome": "active"} == mine.statuses()


def test_json_contains_no_terminal_control_characters() -> None:
    evil = "x\x9b2J\u202egnp\x7f\u2066é\U000e0001"
    text = documents.text({"a": evil, "b": "caf\udce9"})
    assert all(character.isprintable() or character == "\n" for character in text)
    assert {"a": evil, "b": "caf\\xe9"} == json.loads(text)
    assert "é" in text


def test_no_core_dump_contains_a_secret(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    done = mine.run(
        "exec", "paris", "--", "sh", "-c", "ulimit -Sc", prefix=("sh", "-c", 'ulimit -c unlimited; "$@"', "sh")
    )
    assert (0, "0\n") == (done.returncode, done.stdout)
