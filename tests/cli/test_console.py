"""What is printed and in which form: terminals, readers that go away, and the log for programs."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from provisioner.state.sealing import new_identity
from tests.cli.steps import RECONCILE, TWO, edit_manifest, events, having, made, without_identity
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_kept, assert_no_secret, environment
from tests.forks import COMMAND


def sealing(home: Path) -> dict[str, str]:
    """Return the environment of somebody whose plans warn of nothing."""
    return {**environment(home), "PROVISIONER_RECIPIENTS": new_identity()[1]}


def test_a_reader_that_goes_away_does_not_crash_it(tmp_path: Path) -> None:
    rows = "".join(f"  - {{name: a{number}, first_name: b{number}, last_name: c}}\n" for number in range(3000))
    (tmp_path / "m.yaml").write_text(f"version: 1\naccounts:\n{rows}")
    with subprocess.Popen(
        [*COMMAND, "plan", "m.yaml", "--limit", "5000"],
        cwd=tmp_path, env=sealing(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert "" == process.stderr.read()


def test_no_colour_if_the_user_does_not_want_it(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("version: 1\naccounts:\n  - {name: a, first_name: b, last_name: c}\n")
    said = {}
    for wanted in ("", "1"):
        ours, theirs = pty.openpty()
        environ = {**sealing(tmp_path), "TERM": "xterm", "NO_COLOR": wanted}
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
    assert "+ create     a  b  c" in said["1"]


def test_a_full_standard_output_does_not_crash_it(applied: Project) -> None:
    with Path("/dev/full").open("w") as full, applied.start("plan", stdout=full) as process:
        _, said = process.communicate()
    assert (1, True) == (process.returncode, "Standard output cannot be written: No space left on device." in said)


def test_every_line_is_an_event(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "429=0@1", "--fault", "lost@3")
    mine = project(server, ("paris", "rome", "turin"))
    done = mine.run(*RECONCILE, "--log-format", "json")
    assert 8 == done.returncode
    log = events(done)
    assert all(each["time"].endswith("Z") and each["level"] in {"info", "warning", "error"} for each in log)
    kinds = [each["event"] for each in log]
    requests = ["request", "waiting", "request", "account", "request", "account", "account", "request"]
    assert ["plan", "digest", *requests, "stopped", "finished"] == kinds
    assert ("default", "the outcome of rome is unknown") == (log[-2]["parent"], log[-2]["reason"])
    assert (8, "failure") == (log[-1]["exit_code"], log[-1]["status"])
    requested = [each for each in log if each["event"] == "request"]
    assert [("create", 1, 429), ("create", 2, 201), ("create", 1, None), ("read", 1, 200)] == [
        (each["call"], each["attempt"], each.get("status")) for each in requested
    ]
    assert all({"parent", "account", "operation", "duration"} <= each.keys() for each in requested)
    accounts = {each["account"]: each for each in log if each["event"] == "account"}
    assert ["created", "unknown", "not_attempted"] == [each["status"] for each in accounts.values()]
    state = mine.state()
    assert state is not None
    assert state.accounts["paris"].operation.id == accounts["paris"]["operation"] == requested[0]["operation"]
    assert_no_secret(server, mine, done.stdout, done.stderr)
    logins = {each["api_login"] for each in server.accounts()}
    assert not [each for each in logins if each in done.stderr]


def test_warnings_and_errors_are_events_too(server: SandboxProcess, project: NewProject) -> None:
    mine = having(without_identity(project(server, TWO)), PROVISIONER_LOG_FORMAT="json")
    first, plan, _, finish, error = events(mine.run(*RECONCILE, "--limit", "1"))
    assert ("warning", "warning") == (first["level"], first["event"])
    assert ("plan", 2, -1) == (plan["event"], plan["create"], plan["slots"]["left"])
    assert ("finished", 4) == (finish["event"], finish["exit_code"])
    assert ("error", 4, "OverLimit") == (error["event"], error["code"], error["name"])
    assert error["hint"]
    (wrong,) = events(mine.run(*RECONCILE, "--bogus"))
    assert (64, "CommandInvalid") == (wrong["code"], wrong["name"])
    plain = mine.run(*RECONCILE, "--limit", "1", "--log-format", "text")
    assert "error: Parent default" in plain.stderr
    edit_manifest(mine, "version: 1", "version: one")
    assert 3 == events(mine.run("apply", "--yes"))[-1]["code"]


@pytest.mark.parametrize("code", [0, 1])
def test_the_output_of_a_password_manager_is_an_event_too(
    server: SandboxProcess, project: NewProject, code: int
) -> None:
    mine = made(server, project)
    command = f"echo unlocking >&2; cat {mine.identity_path}; exit {code}"
    done = having(mine, PROVISIONER_IDENTITY_COMMAND=command).run("refresh", "--log-format", "json")
    assert 10 * code == done.returncode
    assert ("message", "unlocking") == (events(done)[0]["event"], events(done)[0]["message"])
    assert "AGE-SECRET-KEY" not in done.stderr


@pytest.mark.parametrize("command", ["refresh", "verify"])
def test_other_commands_without_a_terminal(server: SandboxProcess, project: NewProject, command: str) -> None:
    mine = made(server, project)
    log = events(mine.run(command, "--log-format", "json"))
    assert ["request", "account", "request", "account"] == [each["event"] for each in log]
    assert ["paris", "rome"] == [each["account"] for each in log if each["event"] == "account"]


@pytest.mark.parametrize("lines", range(8))
def test_a_reader_of_the_log_that_goes_away_loses_nothing(
    server: SandboxProcess, project: NewProject, lines: int
) -> None:
    mine = project(server, TWO)
    with mine.start(*RECONCILE, "--log-format", "json") as process:
        assert process.stderr is not None
        for _ in range(lines):
            process.stderr.readline()
        process.stderr.close()
        assert process.stdout is not None
        process.stdout.read()
        assert 0 == process.wait()
    for name in TWO:
        assert_kept(server, mine, name)


def test_standard_error_that_was_closed(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    shell = ("sh", "-c", '"$@" 2>&-', "sh")
    assert 0 == mine.run(*RECONCILE, "--log-format", "json", prefix=shell).returncode
    assert 0 == mine.run(*RECONCILE, prefix=shell).returncode


def test_problems_of_manifests_are_events_with_their_place(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    edit_manifest(mine, "last_name: Crash", "lastname: Crash")
    log = events(mine.run(*RECONCILE, "--log-format", "text", "--log-format=json"))
    found = [each for each in log if each["event"] == "problem"]
    assert found
    assert {"error"} == {each["level"] for each in found}
    assert all(each["file"] and each["line"] and each["message"] and each["hint"] for each in found)
