"""SIGKILL at every save and every request: nothing that exists is lost, and nothing is created twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
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
from tests.crash import composition
from tests.crash.deaths import Moment, MortalDisk, MortalTransport, drawing

KILLED = -9
RESERVE_STEPS = 4
"""A write begins, is half done, a sync of the file, a sync of the folder."""
SAVE_STEPS = 5
"""The same, and a replace."""
FOUR = ("athens", "berlin", "madrid", "paris")
TWENTY = tuple(f"account-{number:02}" for number in range(20))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One sandbox with room for the accounts of all projects."""
    with running_sandboxes(tmp_path_factory.mktemp("sandbox")) as start:
        yield start("--limit", "100000")


def assert_settles(server: SandboxProcess, mine: Project, *, deaths: int = 1) -> None:
    """Check what the death left, run again until nothing is left to do, and check all that must then hold."""
    mine.state()
    assert_no_secret(server, mine)
    code = composition.run(mine)
    settled, created = mine.statuses(), server_accounts(server, mine)

    assert code == composition.run(mine)
    assert (settled, created) == (mine.statuses(), server_accounts(server, mine))
    assert_no_secret(server, mine)
    assert set(mine.names) == settled.keys()
    unknown = {name for name, status in settled.items() if status == "unknown"}
    assert code == (8 if unknown else 0)
    assert len(unknown) <= deaths
    for name in mine.names:
        if name in unknown:
            assert len(created[name]) <= 1
        else:
            assert "active" == settled[name]
            assert_kept(server, mine, name)


def test_killed_at_every_step_of_every_save(server: SandboxProcess, project: NewProject) -> None:
    for step in count(1):
        mine = project(server, FOUR)
        if composition.run(mine, disk=MortalDisk(step)) != KILLED:
            break
        assert_settles(server, mine)
    assert step == 1 + RESERVE_STEPS + 2 * SAVE_STEPS * len(FOUR)


def test_killed_again_at_every_step_of_the_run_after(server: SandboxProcess, project: NewProject) -> None:
    for step in count(1):
        mine = project(server, FOUR)
        assert KILLED == composition.run(mine, transport=MortalTransport(3, Moment.ANSWERED))
        if composition.run(mine, disk=MortalDisk(step)) != KILLED:
            break
        assert_settles(server, mine, deaths=2)
    backup_settle_and_one_create = 4 * SAVE_STEPS
    assert step == 1 + RESERVE_STEPS + backup_settle_and_one_create


@pytest.mark.parametrize("moment", Moment)
def test_killed_at_every_request(server: SandboxProcess, project: NewProject, moment: Moment) -> None:
    for request, name in enumerate(FOUR, start=1):
        mine = project(server, FOUR)
        assert KILLED == composition.run(mine, transport=MortalTransport(request, moment))
        assert_settles(server, mine)
        assert "unknown" == mine.statuses()[name]
        assert len(server_accounts(server, mine)[name]) == (0 if moment is Moment.BEFORE else 1)


def test_killed_at_a_sample_of_the_steps_of_twenty_accounts(server: SandboxProcess, project: NewProject) -> None:
    drawn = drawing()
    last = RESERVE_STEPS + 2 * SAVE_STEPS * len(TWENTY)
    disks = [partial(composition.run, disk=MortalDisk(step)) for step in drawn.sample(range(1, last + 1), 8)]
    requests = [
        partial(composition.run, transport=MortalTransport(request, drawn.choice(list(Moment))))
        for request in drawn.sample(range(1, len(TWENTY) + 1), 4)
    ]
    for run in (*disks, *requests):
        mine = project(server, TWENTY)
        assert KILLED == run(mine)
        assert_settles(server, mine)
