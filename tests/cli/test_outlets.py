"""What a run leaves: its report, its metrics and its heartbeat, and the places that they may take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time

import pytest

from tests.cli.steps import RECONCILE, TWO, conforming, delete, edit_manifest, events, having, login_of, made, metrics
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


def test_metrics_contain_slots_accounts_and_success(server: SandboxProcess, project: NewProject) -> None:
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
    assert (7, 3) == (gone["parent_last_run_exit_code default"], invalid["parent_last_run_exit_code default"])
    read = "parent_last_read_timestamp_seconds default"
    assert (gone["last_run_timestamp_seconds"],) * 2 == (gone[read], invalid[read])
    for each in (gone, invalid):
        assert good["last_success_timestamp_seconds"] == each["last_success_timestamp_seconds"]
        assert good["last_run_timestamp_seconds"] < each["last_run_timestamp_seconds"]
        # What the second of them could not see is as it was.
        assert (1, 2) == (each["drifted_accounts default"], each["accounts default active"])


def test_the_page_shows_what_is_wrong_and_when_a_run_last_succeeded(
    server: SandboxProcess, project: NewProject
) -> None:
    mine = made(server, project)
    pages = {path: mine.folder / path for path in ("page.html", "page.md")}

    def left(code: int) -> list[str]:
        for path in pages:
            assert code == mine.run(*RECONCILE, "--page", path).returncode
        assert {0o644} == {each.stat().st_mode & 0o777 for each in pages.values()}
        return [each.read_text() for each in pages.values()]

    success = re.compile(r"status; last success (\d{4}-[\d-]+T[\d:]+Z)")
    good = left(0)
    assert all("2 accounts, 18 slots left. Nothing needs attention." in each for each in good)
    delete(server, login_of(mine, "paris"))
    gone = left(7)
    assert all("The run ended with exit code 7" in each and "provisioner forget paris" in each for each in gone)
    assert [success.findall(each) for each in good] == [success.findall(each) for each in gone]
    edit_manifest(mine, "version: 1", "version: one")
    # The states are as they were, and what ended the run is shown too.
    assert all("1 problem in the manifest." in each and "provisioner forget paris" in each for each in left(3))
    pages["page.md"].write_text("# Mine\n")
    done = mine.run(*RECONCILE, "--page", "page.md")
    assert (64, True) == (done.returncode, "page.md already exists" in done.stderr)
    assert_no_secret(server, mine)


def test_a_damaged_metrics_file_is_replaced(server: SandboxProcess, project: NewProject) -> None:
    mine = project(server, TWO)
    path = mine.folder / "octopush.prom"
    path.write_text('octopush_provisioner_slots{parent="default" 1\n')
    done = mine.run(*RECONCILE, "--metrics-file", "octopush.prom")
    assert (0, 18) == (done.returncode, metrics(path)["slots left default"])
    assert "the old metrics in" in done.stderr


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
def test_the_heartbeat_reports_success_or_failure(
    server: SandboxProcess, project: NewProject, code: int, arguments: tuple[str, ...]
) -> None:
    def script(wire: Wire) -> None:
        wire.request()
        wire.send(answer("200 OK", b"ok"))

    with scripted(script) as monitor:
        mine = having(project(server, TWO), PING="secret-path")
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
def test_a_failed_heartbeat_does_not_fail_the_run(server: SandboxProcess, project: NewProject, failure: str) -> None:
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
    assert f"warning: the heartbeat was not received: {words[failure]} ({url.removeprefix('http://')})." in done.stderr
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
        (64, ("--page", "missing/page.html")),
        (64, ("--page", "manifests")),
        (10, ("--heartbeat-url", "ftp://monitor.example.com")),
        (10, ("--heartbeat-url", "https://")),
        (10, ("--heartbeat-url", "https://monitor.example.com/${env:NOT_SET}")),
        (64, ("--log-format", "xml")),
    ],
    ids=str,
)
def test_an_output_that_cannot_be_written_is_reported_before_anything_is_done(
    server: SandboxProcess, project: NewProject, code: int, arguments: tuple[str, ...]
) -> None:
    mine = project(server, TWO)
    done = mine.run(*RECONCILE, *arguments)
    assert (code, "", []) == (done.returncode, done.stdout, server.requests())
    assert len(done.stderr.splitlines()) >= 2
    assert not mine.state_path.exists()


@pytest.mark.parametrize(
    ("kept", "settings", "variable"),
    [
        (False, "bogus: 1\n", None),
        (False, "", "PROVISIONER_MAX_CREATES"),
        (True, "metrics_file: missing/x.prom\n", None),
        (True, "ca_file: missing\n", None),
    ],
)
def test_a_failure_before_the_run_is_reported_too(
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
    server = sandbox("--fault", "delay=1@1:create")
    mine = project(server, TWO)
    (mine.folder / "left").mkdir()
    options = (
        *("--metrics-file", "left/octopush.prom", "--report", "left/report.json"),
        *("--page", "left/page.html"),
    )
    with mine.start(*RECONCILE, *options) as process:
        eventually(lambda: bool(server.requests()))
        (mine.folder / "left").rmdir()
        done = finished(process)
    assert 1 == done.returncode
    assert "Done: 2 created." in done.stdout
    assert "warning: the report is lost" in done.stderr
    assert "warning: the metrics were not updated" in done.stderr
    assert "warning: the page was not updated: left/page.html cannot be written" in done.stderr
    for name in TWO:
        assert_kept(server, mine, name)


def test_a_run_that_waits_for_another(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=1@1:create")
    mine = project(server, TWO)
    with mine.start(*RECONCILE) as first:
        eventually(lambda: bool(server.requests()))
        assert 6 == mine.run(*RECONCILE, "--report", "report.json").returncode
        assert "StateLocked" == json.loads((mine.folder / "report.json").read_text())["error"]["name"]
        assert 0 == mine.run(*RECONCILE, "--lock-timeout", "30").returncode
        assert 0 == finished(first).returncode
    assert len(TWO) == len(server.accounts())


@pytest.mark.parametrize(
    "taken", ["state/default.json", "state/default.json.backup", "manifests/accounts.yaml", "provisioner.yaml"]
)
def test_nothing_takes_the_place_of_what_is_kept(server: SandboxProcess, project: NewProject, taken: str) -> None:
    mine = made(server, project)
    (mine.folder / "provisioner.yaml").write_text("limit: 20\n")
    before = {path: path.read_bytes() for path in mine.files() if path.name != "default.json.lock"}
    for code, *arguments in (
        (64, "plan", "--out", taken),
        (64, "reconcile", "--report", taken),
        (64, "reconcile", "--page", taken),
        (10, "reconcile", "--metrics-file", taken),
        (64, "credentials", "export", "--out", taken),
        (64, "apply", "--yes", "--report", f"manifests/../{taken}"),
    ):
        done = mine.run(*arguments)
        assert (code, True) == (done.returncode, f"{taken} is " in done.stderr), done.stderr
    assert before == {path: path.read_bytes() for path in mine.files() if path.name != "default.json.lock"}
