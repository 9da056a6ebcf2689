"""SIGKILL at every step and every moment of what changes an account that exists: nothing is lost, and a run settles it.

Each kill has a project of its own: paris, which is changed, and rome, which is not. Tests that die
at the same steps share these, so that each step is met twice; with CRASH_EVERY_STEP set, each test
dies at all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from provisioner import executor
from provisioner.errors import IdentityRejected, StateInvalid
from provisioner.model.account import Secret
from provisioner.state.disk import Disk
from provisioner.state.sealing import AgeOpener, new_identity, parse_identities
from tests.conftest import PARENT, PATIENCE, NewProject, Project, SandboxProcess, StartSandbox, headers
from tests.crash import runs
from tests.crash.deaths import Moment, MortalTransport, every_death, half_of_deaths, no_death
from tests.crash.living import (
    EDITED,
    PARIS,
    RENAMED,
    ROME,
    ROTATED,
    Entry,
    ask_for,
    assert_nothing_lost,
    assert_settled,
    assert_settles,
    created,
    ledger,
    seals,
)
from tests.crash.runs import PASSWORD_MARK

KILLED = -9
SOME_FAILED = 7
UNKNOWN = 8

CHANGES = {
    "edit": (EDITED, 0),
    "rename and edit": (RENAMED | EDITED, 1),
    "rotation": (ROTATED, 0),
    "edit and rotation": (EDITED | ROTATED, 1),
}
"""Each change, and the half of the deaths that it takes."""


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    """A sandbox with room for the accounts of all projects of a test."""
    return sandbox("--limit", "1000")


# ── Edit, rename, rotate ─────────────────────────────────────────────────────


@pytest.mark.parametrize(("change", "half"), CHANGES.values(), ids=CHANGES)
def test_killed_at_steps_and_moments_of_a_change(
    server: SandboxProcess, project: NewProject, change: Entry, half: int
) -> None:
    # It is saved, sent, read back and saved as finished.
    for disk, transport in half_of_deaths(half, saves=2, requests=2):
        assert_survived(server, project, change, disk, transport)
    mine = changed(server, project, change)
    assert 0 == runs.run(mine, *no_death(saves=2, requests=2))
    assert_settled(server, mine)


def test_killed_at_every_step_of_a_rename(server: SandboxProcess, project: NewProject) -> None:
    # Nothing is sent for it.
    for disk, transport in every_death(saves=1, requests=0):
        assert_survived(server, project, RENAMED, disk, transport)
    mine = changed(server, project, RENAMED)
    assert 0 == runs.run(mine, *no_death(saves=1, requests=0))
    assert_settled(server, mine)


def assert_survived(
    server: SandboxProcess, project: NewProject, change: Entry, disk: Disk, transport: MortalTransport
) -> None:
    mine = changed(server, project, change)
    assert KILLED == runs.run(mine, disk, transport)
    assert_nothing_lost(server, mine)
    assert_settles(server, mine)


@pytest.mark.parametrize(("fault", "then", "half"), [("500-after", {}, 0), ("500", RENAMED | EDITED, 1)])
def test_killed_at_steps_and_moments_of_what_follows_a_rotation_that_was_answered_with_500(
    sandbox: StartSandbox, project: NewProject, fault: str, then: Entry, half: int
) -> None:
    """The server has the new password or, if it processed nothing, the old one; nobody can know which.

    What follows finishes the rotation or, in the same request, does something else too.
    """
    deaths = list(half_of_deaths(half, saves=2, requests=2))
    server = sandbox("--limit", "1000", "--fault", f"{fault}@1-{len(deaths)}:edit")
    begun = [changed(server, project, ROTATED) for _ in deaths]
    for mine in begun:
        assert SOME_FAILED == runs.run(mine)
        assert {"paris", "paris+", "rome"} == seals_of(mine).keys()
        assert_nothing_lost(server, mine)
    for mine, (disk, transport) in zip(begun, deaths, strict=True):
        ask_for(mine, PARIS | ROTATED | then, ROME)
        assert KILLED == runs.run(mine, disk, transport)
        assert_nothing_lost(server, mine)
        assert_settles(server, mine)


def test_a_refusal_of_what_follows_loses_no_rotation_that_was_answered_with_500(
    sandbox: StartSandbox, project: NewProject
) -> None:
    """The account already has its new name, and the rotation's sealed content is for that name."""
    server = sandbox("--fault", "500-after@1:edit", "--fault", "400@2:edit")
    mine = changed(server, project, ROTATED)
    for change in (ROTATED, ROTATED | RENAMED | EDITED):
        ask_for(mine, PARIS | change, ROME)
        assert SOME_FAILED == runs.run(mine)
        assert_nothing_lost(server, mine)
    assert {"lutetia", "lutetia+", "rome"} == seals_of(mine).keys()
    assert_settles(server, mine)


def changed(server: SandboxProcess, project: NewProject, change: Entry) -> Project:
    """Return a project whose accounts exist, and whose manifest then changes paris."""
    mine = created(server, project, PARIS, ROME)
    ask_for(mine, PARIS | change, ROME)
    return mine


# ── Rekey ────────────────────────────────────────────────────────────────────


def test_killed_at_every_step_of_a_rekey(server: SandboxProcess, project: NewProject) -> None:
    """Either the old or the new identity opens all seals, including that of an unfinished rotation."""
    for disk, _ in every_death(saves=1, requests=0):
        mine = changed(server, project, ROTATED)
        assert KILLED == runs.run(mine, transport=MortalTransport(1, Moment.ANSWERED))
        mine, old, new = rekeyed(mine)
        everything = {"paris", "paris+", "rome"}
        assert KILLED == runs.rekey(mine, disk)
        assert [set(), everything] == sorted([openable(mine, old), openable(mine, new)], key=len)
        assert_nothing_lost(server, mine)
        assert 0 == runs.rekey(mine)
        assert [set(), everything] == [openable(mine, old), openable(mine, new)]
        assert_settles(server, mine)
        assert [set(), {"paris", "rome"}] == [openable(mine, old), openable(mine, new)]


def rekeyed(mine: Project) -> tuple[Project, Secret, Secret]:
    """Return the project with another recipient, the old identity and the new one; the user has both."""
    old = Secret(mine.identity_path.read_text())
    new, recipient = new_identity()
    mine.identity_path.write_text(f"{old.reveal()}{new.reveal()}\n")
    return replace(mine, environ={**mine.environ, "PROVISIONER_RECIPIENTS": recipient}), old, new


def openable(mine: Project, identity: Secret) -> set[str]:
    """Return which seals of the state one identity opens by itself."""
    return set(_opened_by(mine, AgeOpener(parse_identities(identity, "the test"))))


def _opened_by(mine: Project, opener: AgeOpener) -> Iterator[str]:
    state = mine.state()
    assert state is not None
    for place in seals(state):
        opening = executor.open_edit if place.endswith("+") else executor.open_record
        try:
            opening(state, place.rstrip("+"), opener)
        except (IdentityRejected, StateInvalid):
            continue
        yield place


def seals_of(mine: Project) -> dict[str, str]:
    state = mine.state()
    assert state is not None
    return seals(state)


# ── Adopt ────────────────────────────────────────────────────────────────────


def test_killed_at_every_step_and_moment_of_the_adoption_of_a_stranger(
    server: SandboxProcess, project: NewProject
) -> None:
    """The apply then changes what differs from the manifest; the account stays without a stored password."""
    for disk, transport in every_death(saves=1, requests=1):
        mine = created(server, project, ROME)
        login = created_by_hand(server, mine)
        ask_for(mine, PARIS, ROME)
        assert KILLED == runs.adopt(mine, "paris", login, disk, transport)
        assert_nothing_lost(server, mine, adopting=[login])
        assert 0 == runs.adopt(mine, "paris", login)
        assert_nothing_lost(server, mine, adopting=[login])
        assert ["active", "active"] == [mine.statuses()[name] for name in ("paris", "rome")]
        assert_settles(server, mine, adopting=[login])
        assert mine.opened("paris").password is None


def test_killed_at_every_step_and_moment_of_the_adoption_of_an_unknown(
    server: SandboxProcess, project: NewProject
) -> None:
    """The password that was sent is kept, and is the account's."""
    for disk, transport in every_death(saves=1, requests=1):
        mine = project(server, ())
        ask_for(mine, PARIS, ROME)
        assert KILLED == runs.run(mine, transport=MortalTransport(1, Moment.ANSWERED))
        assert UNKNOWN == runs.run(mine)
        (login,) = (login for login, account in ledger(server, mine).items() if account["first_name"] == "paris")
        assert KILLED == runs.adopt(mine, "paris", login, disk, transport)
        assert_nothing_lost(server, mine, adopting=[login])
        assert 0 == runs.adopt(mine, "paris", login)
        assert_settled(server, mine)


def created_by_hand(server: SandboxProcess, mine: Project) -> str:
    """Create an account that is in no state, and return its login."""
    body = {"first_name": "paris", "last_name": "Stranger", "company_name": mine.root.name}
    address, password = f"{server.url}/subaccount/create", f"{PASSWORD_MARK}-by-hand"
    answer = requests.post(address, json={**body, "password": password}, headers=headers(PARENT), timeout=PATIENCE)
    return str(answer.json()["api_login"])
