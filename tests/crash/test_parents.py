"""Eight parents in parallel, killed at saves and requests: no account is lost.

Each kill has a project of its own, in which ``Project.apply`` works on eight parents at once
and dies at one step on the disk, or at one moment of one request, counted over all of them.
One more run must then settle it. Of all these deaths a part is taken, others in each of the
tests, so that every kind of step is met; with CRASH_EVERY_STEP set, all are.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from provisioner import executor
from provisioner.model.account import Credentials, Secret
from provisioner.model.state import Active, State, Unknown
from provisioner.state import codec
from provisioner.state.sealing import AgeOpener, parse_identities
from tests.conftest import Project, SandboxProcess, StartSandbox
from tests.crash import runs
from tests.crash.deaths import SAVE_STEPS, Moment, MortalDisk, MortalTransport
from tests.project.opened import accounts_of, many

KILLED: Final = -9
PARENTS: Final = tuple(f"parent-{number}" for number in range(8))
NAMES: Final = ("paris", "rome")
RESERVE_STEPS: Final = 4
STEPS: Final = len(PARENTS) * (RESERVE_STEPS + SAVE_STEPS * (len(NAMES) + 1))
REQUESTS: Final = len(PARENTS) * 2 * len(NAMES)
PARTS: Final = 6
"""Each test takes one of this many deaths."""


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox(*accounts_of(*PARENTS))


def made(server: SandboxProcess, folder: Path) -> Project:
    """Return a project with eight parents; the company of each account is the project."""
    return many(server, folder / f"project-{len(list(folder.iterdir()))}", dict.fromkeys(PARENTS, NAMES))


def states(mine: Project) -> Iterator[State]:
    for path in sorted((mine.folder / "state").glob("*.json")):
        yield codec.decode(path.read_bytes(), str(path))


def assert_settles(server: SandboxProcess, mine: Project) -> int:
    """Run again, and return how many outcomes are unknown; every other account is there once, with its credentials."""
    code = runs.run(mine, jobs=8)
    opener = AgeOpener(parse_identities(Secret(mine.identity_path.read_text()), "the test"))
    there = [each for each in server.accounts() if each["company_name"] == mine.root.name]
    count = Counter((each["last_name"], each["first_name"]) for each in there)
    by_login = {each["api_login"]: each for each in there}
    unknown = 0
    for state in states(mine):
        assert set(NAMES) == state.accounts.keys()
        for name, record in state.accounts.items():
            content = executor.open_record(state, name, opener)
            assert content is not None
            if isinstance(record, Unknown):
                unknown += 1
                assert count[state.parent, name] <= 1
                continue
            assert isinstance(record, Active)
            assert 1 == count[state.parent, name]
            assert content.credentials is not None
            account = by_login[content.credentials.api_login]
            assert (name, state.parent) == (account["first_name"], account["last_name"])
            assert account["api_key"] == content.credentials.api_key.reveal()
            assert account["password"] == (content.password and content.password.reveal())
    assert len(PARENTS) == len(list(states(mine)))
    assert code == (8 if unknown else 0)
    # One request at a time within a parent: a death leaves at most one unknown in each.
    assert unknown <= len(PARENTS)
    marks = (runs.PASSWORD_MARK.encode(), b"AGE-SECRET-KEY-", b"key-of-parent")
    secrets = [*marks, *(each["api_key"].encode() for each in there)]
    assert [] == [each for each in mine.files() if any(secret in each.read_bytes() for secret in secrets)]
    return unknown


def taken(part: int, deaths: int) -> range:
    """Return the deaths that a test takes: a few, or its share of all."""
    if "CRASH_EVERY_STEP" in os.environ:
        return range(1 + part, deaths + 1, PARTS)
    return range(1 + 7 * part % (deaths // PARTS), deaths + 1, deaths // PARTS)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_steps_of_the_saves(server: SandboxProcess, tmp_path: Path, part: int) -> None:
    for step in taken(part, STEPS):
        mine = made(server, tmp_path)
        assert KILLED == runs.run(mine, disk=MortalDisk(step), jobs=8)
        assert_settles(server, mine)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_moments_of_the_requests(server: SandboxProcess, tmp_path: Path, part: int) -> None:
    deaths = list(product(range(1, REQUESTS + 1), Moment))
    for death in taken(part, len(deaths)):
        mine = made(server, tmp_path)
        assert KILLED == runs.run(mine, transport=MortalTransport(*deaths[death - 1]), jobs=8)
        assert_settles(server, mine)


def test_there_is_no_other_step_or_request(server: SandboxProcess, tmp_path: Path) -> None:
    mine = made(server, tmp_path)
    spared = MortalTransport(REQUESTS + 1, Moment.BEFORE)
    assert 0 == runs.run(mine, MortalDisk(STEPS + 1), spared, jobs=8)
    assert 0 == assert_settles(server, mine)
    credentials = Credentials(server.accounts()[0]["api_login"], Secret(server.accounts()[0]["api_key"]))
    assert server.accepts(credentials)
