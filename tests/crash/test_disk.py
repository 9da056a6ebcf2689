"""A disk that fails: before a request nothing is sent, and after it nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.conftest import (
    NewProject,
    Project,
    SandboxProcess,
    assert_kept,
    assert_no_secret,
    running_sandboxes,
    server_accounts,
)
from tests.crash import runs
from tests.crash.deaths import SAVE_STEPS, FailingDisk
from tests.crash.living import (
    EDITED,
    PARIS,
    ROME,
    ROTATED,
    ask_for,
    assert_nothing_lost,
    assert_settles,
    created,
    ledger,
)

TWO = ("paris", "rome")
UNUSABLE = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One sandbox with room for the accounts of all projects."""
    with running_sandboxes(tmp_path_factory.mktemp("sandbox")) as start:
        yield start("--limit", "100000")


def assert_all_kept(server: SandboxProcess, mine: Project) -> None:
    assert dict.fromkeys(mine.names, "active") == mine.statuses()
    for name in mine.names:
        assert_kept(server, mine, name)
    assert_no_secret(server, mine)


# ── Every step of every save of a create ─────────────────────────────────────────────────


@pytest.mark.parametrize("broken", [False, True], ids=["once", "from then on"])
def test_a_failed_call_loses_nothing_and_leaves_no_unknown(
    server: SandboxProcess, project: NewProject, *, broken: bool
) -> None:
    rescued_to = set()
    for step in count(1):
        mine = project(server, TWO)
        if (code := runs.run(mine, disk=FailingDisk(step, broken=broken))) == 0:
            break
        assert UNUSABLE == code
        assert_no_secret(server, mine)
        log = runs.log_of(mine)
        if "provisioner-rescue {" in log.read_text():
            rescued_to.add("log")
            assert 0 == runs.recover(mine, log)
            # No log frees a slot: a person must say that nothing was created.
            for name, made in server_accounts(server, mine).items():
                if not made and mine.statuses().get(name) == "pending":
                    assert 0 == runs.resolve(mine, name)
        elif mine.state_path.with_name("default.json.rescue").exists():
            rescued_to.add("file")
        assert 0 == runs.run(mine)
        assert_all_kept(server, mine)
    assert step > SAVE_STEPS * (len(TWO) + 1)
    assert {"log" if broken else "file"} <= rescued_to


# ── Every step of every save of an edit ──────────────────────────────────────


def test_a_failed_call_during_an_edit_loses_nothing_and_the_next_run_finishes_it(
    server: SandboxProcess, project: NewProject
) -> None:
    """An edit and a rotation at once; the backup and the intent come before its request, one more save after it."""
    for step in range(1, 3 * SAVE_STEPS + 1):
        mine = created(server, project, PARIS, ROME)
        ask_for(mine, PARIS | EDITED | ROTATED, ROME)
        assert UNUSABLE == runs.run(mine, disk=FailingDisk(step, broken=True))
        assert (step > 2 * SAVE_STEPS) == edited(server, mine)
        assert_nothing_lost(server, mine)
        assert_settles(server, mine)


def edited(server: SandboxProcess, mine: Project) -> bool:
    return any(each["path"].endswith(f"{login}/edit") for login in ledger(server, mine) for each in server.requests())
