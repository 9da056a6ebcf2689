"""Eight parents side by side, killed at saves and requests: one parent's death is nobody's loss.

Each kill has a project of its own, in which ``Project.apply`` works on eight parents at once
and dies at one step on the disk, or at one moment of one request, counted over all of them.
One more run must then settle it. Of all these deaths a part is taken, others in each of the
tests, so that every kind of step is met; with CRASH_EVERY_STEP set, all are.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from provisioner.model.account import Credentials, Secret
from provisioner.model.state import Active, State, Unknown
from provisioner.state import codec
from provisioner.state.sealing import AgeOpener, new_identity, parse_identities
from tests.conftest import Project, SandboxProcess, StartSandbox, environment
from tests.crash import runs
from tests.crash.deaths import SAVE_STEPS, Moment, MortalDisk, MortalTransport

KILLED: Final = -9
PARENTS: Final = tuple(f"parent-{number}" for number in range(8))
NAMES: Final = ("paris", "rome")
RESERVE_STEPS: Final = 4
STEPS: Final = len(PARENTS) * (RESERVE_STEPS + 2 * SAVE_STEPS * len(NAMES))
REQUESTS: Final = len(PARENTS) * 2 * len(NAMES)
PARTS: Final = 6
"""Of so many deaths one is taken by each test."""


def key_of(parent: str) -> str:
    return f"key-of-{parent}-7d3f"


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    given = (f"--parent-account={parent}@example.com:{key_of(parent)}:1000" for parent in PARENTS)
    return sandbox(*given)


def made(server: SandboxProcess, folder: Path) -> Project:
    """Return a project with eight parents; the company of each account is the project."""
    root = folder / f"project-{len(list(folder.iterdir()))}"
    identity, recipient = new_identity()
    environ = environment(root / "home") | {"OCTOPUSH_API_URL": server.url, "PROVISIONER_RECIPIENTS": recipient}
    parents, rows = {}, ["name,first_name,last_name,company_name,parent"]
    for parent in PARENTS:
        variable = parent.upper().replace("-", "_")
        environ |= {f"{variable}_LOGIN": f"{parent}@example.com", f"{variable}_KEY": key_of(parent)}
        parents[parent] = {"api_login": f"${{env:{variable}_LOGIN}}", "api_key": f"${{env:{variable}_KEY}}"}
        rows += [f"{name},{name},{parent},{root.name},{parent}" for name in NAMES]
    mine = Project(root, NAMES, environ)
    mine.identity_path.parent.mkdir(parents=True)
    mine.identity_path.write_text(f"{identity.reveal()}\n")
    (mine.folder / "manifests").mkdir(parents=True)
    (mine.folder / "manifests" / "accounts.csv").write_text("\n".join(rows) + "\n")
    (mine.folder / "provisioner.yaml").write_text(json.dumps({"parents": parents}))
    return mine


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
            assert record.sealed is not None
            content = opener.open(record.sealed, lineage=state.lineage, parent=state.parent, name=name)
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
    # One request at a time within a parent: a death leaves one doubt in each at most.
    assert unknown <= len(PARENTS)
    marks = (runs.PASSWORD_MARK.encode(), b"AGE-SECRET-KEY-", b"key-of-parent")
    secrets = [*marks, *(each["api_key"].encode() for each in there)]
    assert [] == [each for each in mine.files() if any(secret in each.read_bytes() for secret in secrets)]
    return unknown


def taken(part: int, deaths: int) -> range:
    """Return which of so many deaths a test takes."""
    return range(1, deaths + 1) if "CRASH_EVERY_STEP" in os.environ else range(1 + part, deaths + 1, deaths // PARTS)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_steps_of_the_saves(server: SandboxProcess, tmp_path: Path, part: int) -> None:
    for step in taken(7 * part, STEPS):
        mine = made(server, tmp_path)
        assert KILLED == runs.run(mine, disk=MortalDisk(step), jobs=8)
        assert_settles(server, mine)


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_moments_of_the_requests(server: SandboxProcess, tmp_path: Path, part: int) -> None:
    moment = list(Moment)[part % len(Moment)]
    for number in taken(part, REQUESTS):
        mine = made(server, tmp_path)
        assert KILLED == runs.run(mine, transport=MortalTransport(number, moment), jobs=8)
        assert_settles(server, mine)


def test_there_is_no_other_step_or_request(server: SandboxProcess, tmp_path: Path) -> None:
    mine = made(server, tmp_path)
    spared = MortalTransport(REQUESTS + 1, Moment.BEFORE)
    assert 0 == runs.run(mine, MortalDisk(STEPS + 1), spared, jobs=8)
    assert 0 == assert_settles(server, mine)
    credentials = Credentials(server.accounts()[0]["api_login"], Secret(server.accounts()[0]["api_key"]))
    assert server.accepts(credentials)
