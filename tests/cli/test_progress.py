"""Progress on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess

from tests.cli.steps import delete, login_of
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox
from tests.forks import PATIENCE


def test_on_a_terminal_there_is_a_bar(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, "rome"))
    ours, theirs = pty.openpty()
    with applied.start("refresh", stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:
            os.close(ours)
        assert 0 == process.wait(PATIENCE)
    assert b"2/2" in said
    assert b"gone           rome" in said
    assert b"as sent" not in said


def test_accounts_are_reported_once_safe_and_their_read_back_after_the_last(
    sandbox: StartSandbox, project: NewProject
) -> None:
    mine = project(sandbox("--fault", "drop=company_name@1:create"), ("paris", "rome"))
    done = mine.run("apply", "--yes")
    assert 0 == done.returncode
    altered = "Octopush stored different values than were sent: company_name"
    assert ["[1/2] created        paris", "[2/2] created        rome", f"read back      paris  {altered}"] == [
        line for line in done.stderr.splitlines() if "created  " in line or "read back" in line
    ]
    assert f"created        paris  {altered}" in done.stdout


def test_the_result_of_a_read_back_is_an_event_of_its_own(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "drop=company_name@1:create"), ("paris", "rome"))
    events = [json.loads(line) for line in mine.run("apply", "--yes", "--log-format", "json").stderr.splitlines()]
    (found,) = (each for each in events if each["event"] == "read_back")
    assert ("warning", "paris", ["company_name"]) == (found["level"], found["account"], found["fields"])
    state = mine.state()
    assert state is not None
    assert state.accounts["paris"].operation.id == found["operation"]
