"""Real processes: killed at random moments, asked to end, and four at once."""

from __future__ import annotations

import random
import re
import signal
import time
from contextlib import ExitStack
from functools import partial

import pytest

from provisioner.model.state import Active
from tests.conftest import (
    NewProject,
    Project,
    SandboxProcess,
    StartSandbox,
    assert_kept,
    assert_no_secret,
    eventually,
    finished,
    server_accounts,
)
from tests.crash.deaths import drawing
from tests.crash.living import EDITED, PARIS, ROTATED, ask_for, assert_nothing_lost, assert_settled, created

FOUR = ("athens", "berlin", "madrid", "paris")
SIX = ("athens", "berlin", "lisbon", "madrid", "paris", "rome")
TWENTY = tuple(f"account-{number:02}" for number in range(20))
PROMPTLY = 5


def received(server: SandboxProcess, creates: int) -> bool:
    return len(server.statuses()) >= creates


def edits(server: SandboxProcess) -> int:
    return sum(each["method"] == "PATCH" for each in server.requests())


def answered(server: SandboxProcess, status: int) -> bool:
    return status in server.statuses()


# ── Killed at random moments ─────────────────────────────────────────────────


@pytest.mark.parametrize("_half", range(2))
def test_killed_at_random_moments_and_run_again_until_it_settles(
    sandbox: StartSandbox, project: NewProject, _half: int
) -> None:
    server = sandbox("--limit", "1000", "--latency", "0.01")
    drawn = drawing()
    for _ in range(4):
        mine = project(server, TWENTY)
        said = [_killed(server, mine, drawn) for _ in range(2)]
        done = mine.run("apply", "--yes")
        said += [done.stdout, done.stderr]
        _assert_settled(server, mine, done.returncode, deaths=2)
        assert_no_secret(server, mine, *said)


def test_killed_at_random_moments_while_it_edits_and_run_again_until_it_settles(
    sandbox: StartSandbox, project: NewProject
) -> None:
    """Six accounts, each of them edited and its password rotated at once."""
    server = sandbox("--limit", "1000", "--latency", "0.01")
    drawn = drawing()
    before = [PARIS | {"name": name, "first_name": name} for name in SIX]
    for _ in range(2):
        mine = created(server, project, *before)
        ask_for(mine, *(each | EDITED | ROTATED for each in before))
        for _ in range(2):
            said = _killed(server, mine, drawn)
            assert_nothing_lost(server, mine)
            assert_no_secret(server, mine, said)
        done = mine.run("apply", "--yes")
        assert 0 == done.returncode
        assert_no_secret(server, mine, done.stdout, done.stderr)
        assert_settled(server, mine)


def _killed(server: SandboxProcess, mine: Project, drawn: random.Random) -> str:
    """Run an apply, kill it some time after its first request, or at any time, and return what it printed."""
    before = len(server.requests())
    with mine.start("apply", "--yes") as process:
        if drawn.random() < 0.75:
            eventually(lambda: len(server.requests()) > before or process.poll() is not None)
        time.sleep(drawn.uniform(0, 0.4))
        process.kill()
        done = finished(process)
    mine.state()
    return done.stdout + done.stderr


def _assert_settled(server: SandboxProcess, mine: Project, code: int, *, deaths: int) -> None:
    settled, created = mine.statuses(), server_accounts(server, mine)
    unknown = {name for name, status in settled.items() if status == "unknown"}
    assert set(TWENTY) == settled.keys()
    assert code == (8 if unknown else 0)
    assert len(unknown) <= deaths
    for name in TWENTY:
        if name in unknown:
            assert len(created[name]) <= 1
        else:
            assert_kept(server, mine, name)


# ── Asked to end ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_end_it_finishes_and_saves_the_request_in_flight(
    sandbox: StartSandbox, project: NewProject, number: signal.Signals, code: int
) -> None:
    server = sandbox("--fault", "delay=1@2")
    mine = project(server, FOUR)
    with mine.start("apply", "--yes") as process:
        eventually(partial(received, server, 2))
        process.send_signal(number)
        done = finished(process)
    assert code == done.returncode
    assert "Finishing the request in flight" in done.stderr
    assert [201, 201] == server.statuses()
    assert {"athens": "active", "berlin": "active"} == mine.statuses()
    assert "2 created, 2 not attempted" in done.stdout

    assert 0 == mine.run("apply", "--yes").returncode
    for name in FOUR:
        assert_kept(server, mine, name)


def test_asked_to_end_during_an_edit_it_finishes_and_saves_it(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=1@1:edit")
    before = [PARIS | {"name": name, "first_name": name} for name in FOUR]
    mine = created(server, project, *before)
    ask_for(mine, *(each | EDITED | ROTATED for each in before))
    with mine.start("apply", "--yes") as process:
        eventually(lambda: edits(server) == 1)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
    assert 143 == done.returncode
    assert "Finishing the request in flight" in done.stderr
    assert "1 updated, 3 not attempted" in done.stdout
    assert 1 == edits(server)
    assert_nothing_lost(server, mine)
    state = mine.state()
    assert state is not None
    assert {name: 2 if name == "athens" else 1 for name in FOUR} == {
        name: record.password_version for name, record in state.accounts.items() if isinstance(record, Active)
    }
    assert_no_secret(server, mine, done.stdout, done.stderr)

    assert 0 == mine.run("apply", "--yes").returncode
    assert 4 == edits(server)
    assert_settled(server, mine)


def test_asked_to_end_twice_it_still_finishes_the_request_in_flight(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "delay=1@1")
    mine = project(server, FOUR)
    with mine.start("apply", "--yes") as process:
        eventually(partial(received, server, 1))
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
    assert 130 == done.returncode
    assert_kept(server, mine, "athens")


def test_asked_to_end_while_nobody_reads_what_it_says(sandbox: StartSandbox, project: NewProject) -> None:
    """As in ``apply 2>&1 | tee log``: Ctrl-C ends tee first, and the answer in flight must not be lost to that."""
    server = sandbox("--fault", "delay=1@1")
    mine = project(server, FOUR)
    with mine.start("apply", "--yes") as process:
        eventually(partial(received, server, 1))
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=PROMPTLY)
    assert {"athens": "active"} == mine.statuses()
    assert_kept(server, mine, "athens")
    assert [201] == server.statuses()


def test_asked_to_end_during_a_wait_it_ends_promptly_and_sends_nothing_more(
    sandbox: StartSandbox, project: NewProject
) -> None:
    server = sandbox("--fault", "429=30@2")
    mine = project(server, FOUR)
    with mine.start("apply", "--yes") as process:
        eventually(partial(answered, server, 429))
        time.sleep(0.2)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        done = finished(process)
        assert time.monotonic() - started < PROMPTLY
    assert 130 == done.returncode
    assert [201, 429] == server.statuses()
    assert {"athens": "active"} == mine.statuses()
    assert "1 created, 1 failed, 2 not attempted" in done.stdout


# ── Four at once ─────────────────────────────────────────────────────────────


def test_only_one_of_four_simultaneous_runs_works_and_the_others_name_it(
    sandbox: StartSandbox, project: NewProject
) -> None:
    server = sandbox("--fault", "delay=0.7@*")
    mine = project(server, FOUR)
    with ExitStack() as running:
        processes = [running.enter_context(mine.start("apply", "--yes")) for _ in range(4)]
        done = [finished(each) for each in processes]
    assert [0, 6, 6, 6] == sorted(each.returncode for each in done)
    holder = next(process.pid for process in processes if process.returncode == 0)
    for each in done:
        # A run that looks just after the lock was taken finds no name in it yet.
        assert each.returncode == 0 or re.search(f"held by (process {holder} of|another run)", each.stderr)
    assert dict.fromkeys(FOUR, 1) == {name: len(made) for name, made in server_accounts(server, mine).items()}
    for name in FOUR:
        assert_kept(server, mine, name)
