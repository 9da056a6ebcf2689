"""``reconcile`` and what a run leaves behind: real processes on a schedule, real servers that hear or do not."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.steps import (
    TWO,
    change,
    conforming,
    delete,
    edit_manifest,
    having,
    login_of,
    made,
    sent,
    statuses,
    without_identity,
)
from tests.conftest import (
    PARENT,
    NewProject,
    SandboxProcess,
    StartSandbox,
    assert_kept,
    assert_no_secret,
    eventually,
    finished,
)
from tests.octopush.servers import Wire, answer, scripted

RECONCILE = ("reconcile", "--new-state")
RUNNER_PATIENCE = 7.5
"""Seconds after which a CI runner kills what it asked to end."""


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return what a log for programs holds; every line must be an object."""
    return [json.loads(line) for line in done.stderr.splitlines()]


def metrics(path: Path) -> dict[str, float]:
    """Return every sample, as the official client reads it, by its name and the values of its labels."""
    return {
        " ".join((sample.name.removeprefix("octopush_provisioner_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


# ── What it does ─────────────────────────────────────────────────────────────


def test_it_creates_without_asking_and_then_only_reads(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    first = mine.run(*RECONCILE, "--format", "json")
    assert (0, ["created", "created"]) == (first.returncode, statuses(first.stdout))
    for name in TWO:
        assert_kept(server, mine, name)
    before = sent(server), mine.state_path.read_bytes(), mine.state_path.stat().st_mtime_ns
    listed = sorted(mine.state_path.parent.iterdir())
    for _ in range(5):
        again = mine.run(*RECONCILE, "--format", "json")
        assert (0, ["unchanged", "unchanged"]) == (again.returncode, statuses(again.stdout))
    assert before[1:] == (mine.state_path.read_bytes(), mine.state_path.stat().st_mtime_ns)
    assert listed == sorted(mine.state_path.parent.iterdir())
    assert {"GET"} == {each["method"] for each in server.requests()[before[0] :]}
    assert before[0] + 10 == sent(server)


def test_it_changes_back_what_somebody_changed(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    change(server, login_of(mine, "paris"), last_name="By Hand")
    done = mine.run(*RECONCILE, "--format", "json")
    assert (0, ["updated", "unchanged"]) == (done.returncode, statuses(done.stdout))
    assert "Crash" == {each["api_login"]: each for each in server.accounts()}[login_of(mine, "paris")]["last_name"]


def test_what_is_gone_waits_for_a_person(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    delete(server, login_of(mine, "paris"))
    done = mine.run(*RECONCILE, "--format", "json")
    assert (7, ["not_attempted", "unchanged"]) == (done.returncode, statuses(done.stdout))
    assert "provisioner forget paris" in done.stdout


def test_without_an_identity_it_says_what_it_cannot_see(server: SandboxProcess, project: NewProject) -> None:
    mine = without_identity(made(server, project))
    reads = sent(server)
    done = mine.run(*RECONCILE)
    assert (0, reads) == (done.returncode, sent(server))
    assert "there is no identity" in done.stderr
    edit_manifest(mine, "last_name: Crash", "last_name: Crush")
    changed = mine.run(*RECONCILE, "--format", "json")
    assert (10, ["not_attempted", "not_attempted"]) == (changed.returncode, statuses(changed.stdout))


def test_an_identity_that_was_given_must_be_right(server: SandboxProcess, project: NewProject) -> None:
    mine = having(made(server, project), PROVISIONER_IDENTITY="AGE-SECRET-KEY-NONSENSE")
    before = sent(server)
    assert (10, before) == (mine.run(*RECONCILE).returncode, sent(server))


def test_without_a_state_it_refuses_to_begin_one(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    mine.state_path.unlink()
    # A machine that has never seen the state: a scheduler's, with the wrong checkout or an empty volume.
    elsewhere = having(mine, XDG_STATE_HOME=str(mine.root / "elsewhere"))
    before = sent(server)
    done = elsewhere.run("reconcile", "--format", "json")
    assert (5, "StateConflict") == (done.returncode, json.loads(done.stdout)["error"]["name"])
    assert "There is no state of the parent default at state/default.json." in done.stderr
    assert (before, False) == (sent(server), mine.state_path.exists())


# ── Thresholds ───────────────────────────────────────────────────────────────


def test_over_a_threshold_nothing_is_done(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    done = mine.run(*RECONCILE, "--max-creates", "1", "--format", "json")
    assert (4, "OverThreshold") == (done.returncode, json.loads(done.stdout)["error"]["name"])
    assert "would create 2, and this run may create 1" in done.stderr
    assert ([], False) == (server.requests(), mine.state_path.exists())
    assert 0 == mine.run(*RECONCILE, "--max-creates", "2").returncode


def test_a_threshold_of_changes(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    edit_manifest(mine, "last_name: Crash", "last_name: Crush")
    change(server, login_of(mine, "paris"), company_name="By Hand")
    before = mine.state_path.read_bytes()
    done = mine.run(*RECONCILE, "--max-updates", "1")
    assert (4, before) == (done.returncode, mine.state_path.read_bytes())
    assert [] == [each for each in server.requests() if each["method"] == "PATCH" and "sandbox" not in each["path"]]
    assert 0 == mine.run(*RECONCILE, "--max-updates", "2", "--max-creates", "0").returncode


def test_a_threshold_of_the_settings_and_of_the_environment(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    (mine.folder / "provisioner.yaml").write_text("max_creates: 0\n")
    assert 4 == mine.run(*RECONCILE).returncode
    assert 4 == having(mine, PROVISIONER_MAX_CREATES="1").run(*RECONCILE).returncode
    assert 10 == having(mine, PROVISIONER_MAX_CREATES="many").run(*RECONCILE).returncode
    assert 10 == mine.run(*RECONCILE, "--max-creates", "-1").returncode
    assert 0 == having(mine, PROVISIONER_MAX_CREATES="1").run(*RECONCILE, "--max-creates", "2").returncode


def test_thresholds_count_the_whole_run(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    keys = "{api_login: '${env:OCTOPUSH_API_LOGIN}', api_key: '${env:OCTOPUSH_API_KEY}'}"
    (mine.folder / "provisioner.yaml").write_text(f"parents: {{default: {keys}, acme: {keys}}}\n")
    (mine.folder / "manifests" / "acme.yaml").write_text(
        "version: 1\nparent: acme\naccounts: [{name: lyon, first_name: Louise, last_name: Labé}]\n"
    )
    assert (4, []) == (mine.run(*RECONCILE, "--max-creates", "2").returncode, server.requests())


# ── Report, metrics, heartbeat ───────────────────────────────────────────────


def test_the_report_is_kept(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    done = mine.run(*RECONCILE, "--format", "json", "--report", "report.json")
    report = mine.folder / "report.json"
    assert (0, json.loads(done.stdout)) == (done.returncode, conforming(report.read_text(), "report.v1"))
    assert 0o600 == report.stat().st_mode & 0o777
    edit_manifest(mine, "name: rome", "name: lyon")
    assert 4 == mine.run(*RECONCILE, "--limit", "2", "--report", "report.json").returncode
    assert 4 == json.loads(report.read_text())["error"]["code"]
    assert_no_secret(server, mine)


def test_metrics_tell_of_slots_accounts_and_success(server: SandboxProcess, project: NewProject) -> None:
    mine = made(server, project)
    began = time.time()
    assert 0 == mine.run(*RECONCILE, "--metrics-file", "octopush.prom").returncode
    found = metrics(mine.folder / "octopush.prom")
    told = {
        name: value for name, value in found.items() if name.split()[0] in {"slots", "accounts", "drifted_accounts"}
    }
    assert {
        "slots limit default": 20, "slots reserved default": 0, "slots used default": 2, "slots unknown default": 0,
        "slots left default": 18, "accounts default active": 2, "accounts default pending": 0,
        "accounts default unknown": 0, "accounts default abandoned": 0, "drifted_accounts default": 0,
    } == told  # fmt: skip
    assert began <= found["last_success_timestamp_seconds"] == found["last_run_timestamp_seconds"] <= time.time()
    assert 0 == found["last_run_exit_code"]
    assert 0 < found["last_run_phase_duration_seconds refresh"] < found["last_run_duration_seconds"] < 30


def test_metrics_of_a_run_that_fails_keep_the_last_success(server: SandboxProcess, project: NewProject) -> None:
    mine = having(made(server, project), PROVISIONER_METRICS_FILE="octopush.prom")
    assert 0 == mine.run(*RECONCILE).returncode
    good = metrics(mine.folder / "octopush.prom")
    delete(server, login_of(mine, "paris"))
    assert 7 == mine.run(*RECONCILE).returncode
    gone = metrics(mine.folder / "octopush.prom")
    edit_manifest(mine, "version: 1", "version: one")
    assert 3 == mine.run(*RECONCILE).returncode
    invalid = metrics(mine.folder / "octopush.prom")
    assert (7, 3) == (gone["last_run_exit_code"], invalid["last_run_exit_code"])
    for each in (gone, invalid):
        assert good["last_success_timestamp_seconds"] == each["last_success_timestamp_seconds"]
        assert good["last_run_timestamp_seconds"] < each["last_run_timestamp_seconds"]
        # What the second of them could not see is as it was.
        assert (1, 2) == (each["drifted_accounts default"], each["accounts default active"])


def test_metrics_that_are_none_are_replaced(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    path = mine.folder / "octopush.prom"
    path.write_text('octopush_provisioner_slots{parent="default" 1\n')
    done = mine.run(*RECONCILE, "--metrics-file", "octopush.prom")
    assert (0, 18) == (done.returncode, metrics(path)["slots left default"])
    assert "held no metrics that can be read" in done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_takes_the_metrics(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    assert 0 == mine.run(*RECONCILE, "--metrics-file", "octopush.prom").returncode
    text = (mine.folder / "octopush.prom").read_text()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (0, "") == (checked.returncode, checked.stdout + checked.stderr)


@pytest.mark.parametrize(
    ("code", "arguments"), [(0, ()), (4, ("--max-creates", "1")), (10, ("--ca-file", "missing"))], ids=str
)
def test_the_heartbeat_is_called_well_or_not(
    server: SandboxProcess, project: NewProject, code: int, arguments: tuple[str, ...]
) -> None:
    def script(wire: Wire) -> None:
        wire.request()
        wire.send(answer("200 OK", b"ok"))

    with scripted(script) as monitor:
        mine = having(project(server, TWO), PING="secret-path", PROVISIONER_HEARTBEAT_URL="")
        (mine.folder / "provisioner.yaml").write_text(
            f"heartbeat_url: {monitor.url}/ping/${{env:PING}}/{{status}}/{{exit_code}}\n"
        )
        done = mine.run(*RECONCILE, *arguments)
    assert code == done.returncode
    (heard,) = monitor.requests
    head, _, body = heard.partition(b"\r\n\r\n")
    status = "failure" if code else "success"
    assert head.startswith(f"POST /ping/secret-path/{status}/{code} HTTP/1.1".encode())
    assert {"version": 1, "status": status, "exit_code": code} == json.loads(body)
    assert PARENT.api_key.reveal().encode() not in heard
    assert "secret-path" not in done.stdout + done.stderr
    assert "warning" not in done.stderr


@pytest.mark.parametrize("failure", ["hangs", "500", "nobody"])
def test_a_heartbeat_that_is_not_heard_makes_no_run_fail(
    server: SandboxProcess, project: NewProject, failure: str
) -> None:
    def script(wire: Wire) -> None:
        wire.request()
        if failure == "hangs":
            wire.hold()
        else:
            wire.send(answer("500 Oh", b"no"))

    mine = project(server, TWO)
    with scripted(script) as monitor:
        url = "http://127.0.0.1:1" if failure == "nobody" else monitor.url
        began = time.monotonic()
        done = mine.run(*RECONCILE, "--heartbeat-url", f"{url}/secret-path")
        assert time.monotonic() - began < 20
    assert 0 == done.returncode
    words = {
        "hangs": "no answer within 5 s",
        "500": "it answered with HTTP 500",
        "nobody": "the connection was refused",
    }
    assert f"warning: the heartbeat was not received: {words[failure]}." in done.stderr
    assert "secret-path" not in done.stderr
    for name in TWO:
        assert_kept(server, mine, name)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (10, ("--metrics-file", "missing/octopush.prom")),
        (10, ("--metrics-file", "manifests")),
        (64, ("--report", "missing/report.json")),
        (64, ("--report", "manifests")),
        (10, ("--heartbeat-url", "ftp://monitor.example.com")),
        (10, ("--heartbeat-url", "https://")),
        (10, ("--heartbeat-url", "https://monitor.example.com/${env:NOT_SET}")),
        (64, ("--log-format", "xml")),
    ],
    ids=str,
)
def test_what_cannot_be_left_is_said_before_anything_is_done(
    server: SandboxProcess, project: NewProject, code: int, arguments: tuple[str, ...]
) -> None:
    mine = project(server, TWO)
    done = mine.run(*RECONCILE, *arguments)
    assert (code, "", []) == (done.returncode, done.stdout, server.requests())
    assert len(done.stderr.splitlines()) >= 2
    assert not mine.state_path.exists()


@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "link to a folder"])
def test_metrics_where_no_file_can_be(server: SandboxProcess, project: NewProject, kind: str) -> None:
    mine = project(server, TWO)
    path = mine.folder / "octopush.prom"
    os.mkfifo(mine.folder / "fifo")
    if kind == "fifo":
        (mine.folder / "fifo").rename(path)
    else:
        path.symlink_to(mine.folder / ("fifo" if kind == "link to a fifo" else "manifests"))
    done = mine.run(*RECONCILE, "--metrics-file", "octopush.prom")
    if kind == "fifo":
        assert (10, []) == (done.returncode, server.requests())
    else:
        # As everywhere, a link is replaced and not followed.
        assert (0, 18, False) == (done.returncode, metrics(path)["slots left default"], path.is_symlink())


@pytest.mark.parametrize(
    ("kept", "settings", "variable"),
    [
        (False, "bogus: 1\n", None),
        (False, "", "PROVISIONER_MAX_CREATES"),
        (True, "metrics_file: missing/x.prom\n", None),
        (True, "ca_file: missing\n", None),
    ],
)
def test_a_failure_before_the_run_is_told_too(
    server: SandboxProcess,
    project: NewProject,
    kept: bool,  # noqa: FBT001  # a parameter of the test
    settings: str,
    variable: str | None,
) -> None:
    def script(wire: Wire) -> None:
        wire.request()
        wire.send(answer("200 OK", b"ok"))

    mine = project(server, TWO)
    (mine.folder / "provisioner.yaml").write_text(settings)
    with scripted(script) as monitor:
        environ = {"PROVISIONER_HEARTBEAT_URL": monitor.url} | ({variable: "zz"} if variable else {})
        done = having(mine, **environ).run(*RECONCILE, "--report", "report.json", "--log-format", "json")
    assert (10, 1) == (done.returncode, len(monitor.requests))
    # Without settings nobody knows whose place the report would take.
    report = mine.folder / "report.json"
    assert kept == report.exists()
    assert not kept or json.loads(report.read_text())["error"]["code"] == 10
    assert ["finished", "error"] == [each["event"] for each in events(done)][-2:]


def test_a_folder_that_goes_away_during_the_run_hides_nothing(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--latency", "0.5")
    mine = project(server, TWO)
    (mine.folder / "left").mkdir()
    options = ("--metrics-file", "left/octopush.prom", "--report", "left/report.json")
    with mine.start(*RECONCILE, *options) as process:
        eventually(lambda: bool(mine.statuses()))
        (mine.folder / "left").rmdir()
        done = finished(process)
    assert 1 == done.returncode
    assert "Done: 2 created." in done.stdout
    assert "warning: the report is lost" in done.stderr
    assert "warning: the metrics are as they were" in done.stderr
    for name in TWO:
        assert_kept(server, mine, name)


def test_a_run_that_waits_for_another(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--latency", "0.5")
    mine = project(server, TWO)
    with mine.start(*RECONCILE) as first:
        eventually(lambda: bool(mine.statuses()))
        assert 6 == mine.run(*RECONCILE, "--report", "report.json").returncode
        assert "StateLocked" == json.loads((mine.folder / "report.json").read_text())["error"]["name"]
        assert 0 == mine.run(*RECONCILE, "--lock-timeout", "30").returncode
        assert 0 == finished(first).returncode
    assert len(TWO) == len(server.accounts())


# ── The log for programs ─────────────────────────────────────────────────────


def test_every_line_is_an_event(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "429=0@1", "--fault", "lost@3")
    mine = project(server, ("paris", "rome", "turin"))
    done = mine.run(*RECONCILE, "--log-format", "json")
    assert 8 == done.returncode
    log = events(done)
    assert all(each["time"].endswith("Z") and each["level"] in {"info", "warning", "error"} for each in log)
    kinds = [each["event"] for each in log]
    assert ["plan", "request", "waiting", "request", "request", "account", "request", "account", "account"] == kinds[
        :-1
    ]
    assert "finished" == kinds[-1]
    assert (8, "failure") == (log[-1]["exit_code"], log[-1]["status"])
    requested = [each for each in log if each["event"] == "request"]
    assert [("create", 1, 429), ("create", 2, 201), ("read", 1, 200), ("create", 1, None)] == [
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
    first, plan, finish, error = events(mine.run(*RECONCILE, "--limit", "1"))
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
def test_what_a_password_manager_says_is_an_event_too(server: SandboxProcess, project: NewProject, code: int) -> None:
    mine = made(server, project)
    command = f"echo unlocking >&2; cat {mine.identity_path}; exit {code}"
    done = having(mine, PROVISIONER_IDENTITY_COMMAND=command).run("refresh", "--log-format", "json")
    assert 10 * code == done.returncode
    assert ("message", "unlocking") == (events(done)[0]["event"], events(done)[0]["message"])
    assert "AGE-SECRET-KEY" not in done.stderr


@pytest.mark.parametrize("command", ["refresh", "verify"])
def test_other_commands_that_nobody_watches(server: SandboxProcess, project: NewProject, command: str) -> None:
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


# ── Asked to end ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["text", "json"])
def test_asked_to_end_it_ends_before_a_runner_kills_it(sandbox: StartSandbox, project: NewProject, form: str) -> None:
    server = sandbox("--fault", "delay=2@2:create")

    def deaf(wire: Wire) -> None:
        wire.request()
        wire.hold()

    mine = project(server, ("paris", "rome", "turin"))
    left = ("--metrics-file", "octopush.prom", "--report", "report.json")
    with (
        scripted(deaf) as monitor,
        mine.start(*RECONCILE, "--log-format", form, *left, "--heartbeat-url", monitor.url) as process,
    ):
        eventually(lambda: len(server.statuses()) == 2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        done = finished(process)
        assert time.monotonic() - began < RUNNER_PATIENCE
    assert 143 == done.returncode
    assert {"paris": "active", "rome": "active"} == mine.statuses()
    assert 143 == metrics(mine.folder / "octopush.prom")["last_run_exit_code"]
    assert ["created", "created", "not_attempted"] == statuses((mine.folder / "report.json").read_text())
    said = [each["message"] for each in events(done) if each["event"] == "signal"] if form == "json" else [done.stderr]
    assert "Finishing the request in flight" in said[0]


def test_asked_to_end_it_says_when_no_answer_comes(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=60@1:create")
    mine = project(server, TWO)
    with mine.start(*RECONCILE, "--log-format", "json", "--timeout", "7") as process:
        eventually(lambda: len(server.statuses()) == 1)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
    said = [each["message"] for each in events(done) if each["event"] == "signal"]
    assert 2 == len(said)
    assert "Octopush has not answered yet" in said[1]
    assert "is kept as pending" in said[1]
    assert (8, {"paris": "unknown"}) == (done.returncode, mine.statuses())


def test_asked_to_end_while_it_looks_it_ends_at_once(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=20@*:read")
    mine = project(server, TWO)
    assert 0 == mine.run("apply", "--yes", "--timeout", "1", "--attempts", "1").returncode
    with mine.start(*RECONCILE, "--report", "report.json") as process:
        reads = sent(server)
        eventually(lambda: sent(server) > reads)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        done = finished(process)
        assert time.monotonic() - began < RUNNER_PATIENCE
    assert 143 == done.returncode
    assert 143 == json.loads((mine.folder / "report.json").read_text())["error"]["code"]


def test_asked_to_end_while_it_loads_it_says_so_in_its_own_form(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    codes: list[int] = []
    mine.state_path.parent.mkdir()
    with mine.state_path.with_name("default.json.lock").open("w") as lock:
        # It waits for the lock once it has loaded, so that a signal which comes late enough is heard for certain.
        fcntl.flock(lock, fcntl.LOCK_EX)
        while codes[-2:] != [143, 143]:
            with mine.start(*RECONCILE, "--log-format", "json", "--lock-timeout", "30") as process:
                time.sleep(0.04 * len(codes))
                process.send_signal(signal.SIGTERM)
                done = finished(process)
            codes.append(done.returncode)
            events(done)
    # Before this program has begun, the system ends it.
    assert {-signal.SIGTERM, 143} == set(codes)


def test_asked_to_end_while_the_heartbeat_hangs_it_tells_what_was_done(
    server: SandboxProcess, project: NewProject
) -> None:
    def deaf(wire: Wire) -> None:
        wire.request()
        wire.hold()

    mine = project(server, TWO)
    with (
        scripted(deaf) as monitor,
        mine.start(*RECONCILE, "--format", "json", "--log-format", "json", "--heartbeat-url", monitor.url) as process,
    ):
        eventually(lambda: bool(monitor.requests))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        done = finished(process)
    assert (0, ["created", "created"]) == (done.returncode, statuses(done.stdout))
    assert "finished" == events(done)[-1]["event"]
