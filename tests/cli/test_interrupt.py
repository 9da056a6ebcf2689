"""Signals: what a run does when it is asked to end, and which signals it ignores."""

from __future__ import annotations

import fcntl
import json
import signal
import time

import pytest

from tests.cli.steps import COMPANY, RECONCILE, TWO, change, events, login_of, made, metrics, sent, statuses
from tests.conftest import NewProject, SandboxProcess, StartSandbox, eventually, finished
from tests.octopush.servers import Wire, scripted

RUNNER_PATIENCE = 7.5
"""Seconds after which a CI runner kills what it asked to end."""


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "INT"), (signal.SIGHUP, "HUP")])
def test_a_signal_that_was_ignored_from_the_start_stays_ignored(
    sandbox: StartSandbox, project: NewProject, number: signal.Signals, name: str
) -> None:
    """As under ``nohup``, and in the background of a script."""
    server = sandbox("--fault", "delay=1@1:create")
    mine = project(server, TWO)
    with mine.start("apply", "--yes", prefix=("sh", "-c", f"trap '' {name}; exec \"$@\"", "sh")) as process:
        eventually(lambda: len(server.statuses()) == 1)
        process.send_signal(number)
        done = finished(process)
    assert (0, dict.fromkeys(TWO, "active")) == (done.returncode, mine.statuses())
    assert "Finishing" not in done.stderr


def test_a_ctrl_c_ends_it_and_nothing_is_written(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=60@4:read")
    mine = made(server, project, ("paris", "rome"))
    change(server, login_of(mine, "paris"), company_name=COMPANY)
    before, asked = mine.state_path.read_bytes(), sent(server)
    # The apply has read twice: the first account is seen to have drifted, and the second is waited for.
    with mine.start("refresh") as process:
        eventually(lambda: asked + 2 == sent(server))
        process.send_signal(signal.SIGINT)
        done = finished(process)
    assert (130, before) == (done.returncode, mine.state_path.read_bytes())
    assert "Traceback" not in done.stderr
    assert "nothing was being changed" in done.stderr
    # Nobody holds it any more.
    assert 0 == mine.run("refresh").returncode


def test_asked_to_end_while_it_reads_it_ends_with_its_document(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=5@3-:read")
    mine = made(server, project)
    with mine.start("refresh", "--format", "json") as process:
        eventually(lambda: sent(server) >= 5)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
    assert (143, 143) == (done.returncode, json.loads(done.stdout)["error"]["code"])


@pytest.mark.parametrize("form", ["text", "json"])
def test_asked_to_end_it_ends_before_a_runner_kills_it(sandbox: StartSandbox, project: NewProject, form: str) -> None:
    server = sandbox("--fault", "delay=1@2:create")

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
    with mine.start(*RECONCILE, "--log-format", "json", "--timeout", "6.5") as process:
        eventually(lambda: len(server.statuses()) == 1)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
    said = [each["message"] for each in events(done) if each["event"] == "signal"]
    assert 2 == len(said)
    assert "Octopush has not answered yet" in said[1]
    assert "stays pending" in said[1]
    assert (8, {"paris": "unknown"}) == (done.returncode, mine.statuses())


def test_asked_to_end_while_it_looks_it_ends_at_once(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=20@3-:read")
    mine = made(server, project)
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
        # After loading, it waits for the lock, so a late signal certainly reaches it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        while codes[-2:] != [143, 143]:
            with mine.start(*RECONCILE, "--log-format", "json", "--lock-timeout", "30") as process:
                time.sleep(0.04 * len(codes))
                process.send_signal(signal.SIGTERM)
                done = finished(process)
            codes.append(done.returncode)
            events(done)
    # Before this program runs, the system ends it.
    assert {-signal.SIGTERM, 143} == set(codes)


def test_asked_to_end_while_the_heartbeat_hangs_it_reports_what_was_done(
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
