"""SIGKILL at every save and every request: nothing that exists is lost, and nothing is created twice.

An apply of twenty accounts makes 109 steps on the disk and sends 40 requests: the outcome of
each create is saved with the intent of the next one, and the accounts are read back after
the last. Each kill below has a project of its own, in which the run begins anew and is killed
at that one step, or at that moment of that request. One more run must then settle it.

Of the five steps of a save one is taken, another for each, so that every save of the run is
met and every step four times; with CRASH_EVERY_STEP set, all are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from provisioner import executor
from provisioner.model.account import Secret
from provisioner.model.state import State
from provisioner.model.verdict import SealedContent
from provisioner.state import history
from provisioner.state.sealing import AgeOpener, parse_identities
from provisioner.state.stores.local import LocalStore
from tests.conftest import (
    NewProject,
    Project,
    SandboxProcess,
    StartSandbox,
    assert_no_secret,
    server_accounts,
)
from tests.crash import runs
from tests.crash.deaths import SAVE_STEPS, Moment, MortalDisk, MortalTransport

KILLED = -9
UNKNOWN = 8
FOUR = ("athens", "berlin", "madrid", "paris")
TWENTY = tuple(f"account-{number:02}" for number in range(20))

RESERVE_STEPS = 4
"""The start of a write, half a write, a sync of the file, a sync of the folder."""
SAVES = len(TWENTY) + 1
LAST_STEP = SAVE_STEPS
"""Before the replace, the step before this one, the save does not exist."""
DOUBT_AT_MOMENT = {Moment.BEFORE: 0, Moment.ANSWERED: 1, Moment.AFTER: 1}
"""A kill at each moment of an account's create leaves an unknown; how many accounts it has on the server."""

every_account = pytest.mark.parametrize("number", range(len(TWENTY)))


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    """A sandbox with room for the accounts of all projects of a test."""
    return sandbox("--limit", "1000")


# ── Twenty accounts ──────────────────────────────────────────────────────────


def test_killed_at_every_step_of_the_reservation(server: SandboxProcess, project: NewProject) -> None:
    for step in range(1, RESERVE_STEPS + 1):
        mine = project(server, TWENTY)
        assert KILLED == runs.run(mine, disk=MortalDisk(step))
        assert_settles(server, mine, {}, tried=TWENTY)


@pytest.mark.parametrize("number", range(SAVES))
def test_killed_at_steps_of_every_save(server: SandboxProcess, project: NewProject, number: int) -> None:
    """Before the save exists, the create before it is unknown; then it is recorded, and the next is unknown."""
    for step in range(1, SAVE_STEPS + 1):
        if (step + number) % SAVE_STEPS and "CRASH_EVERY_STEP" not in os.environ:
            continue
        mine = project(server, TWENTY)
        assert KILLED == runs.run(mine, disk=MortalDisk(RESERVE_STEPS + SAVE_STEPS * number + step))
        if step < LAST_STEP:
            doubt = {TWENTY[number - 1]: 1} if number else {}
        else:
            doubt = {TWENTY[number]: 0} if number < len(TWENTY) else {}
        assert_settles(server, mine, doubt, tried=around(number))


@every_account
def test_killed_at_every_moment_of_the_create_of_an_account(
    server: SandboxProcess, project: NewProject, number: int
) -> None:
    for moment, doubt in DOUBT_AT_MOMENT.items():
        mine = project(server, TWENTY)
        assert KILLED == runs.run(mine, transport=MortalTransport(create(number), moment))
        assert_settles(server, mine, {TWENTY[number]: doubt}, tried=around(number))


@every_account
def test_killed_at_a_moment_of_the_read_back_of_an_account(
    server: SandboxProcess, project: NewProject, number: int
) -> None:
    """One of the three for each account: its credentials are already saved, and nothing is unknown."""
    moment = list(Moment)[number % len(Moment)]
    mine = project(server, TWENTY)
    assert KILLED == runs.run(mine, transport=MortalTransport(len(TWENTY) + create(number), moment))
    assert dict.fromkeys(TWENTY, "active") == mine.statuses()
    assert_settles(server, mine, {}, tried=around(number))


def test_there_is_no_other_step_or_request(server: SandboxProcess, project: NewProject) -> None:
    steps, requests = RESERVE_STEPS + SAVE_STEPS * SAVES, 2 * len(TWENTY)
    mine = project(server, TWENTY)
    spared = runs.run(mine, MortalDisk(steps + 1), MortalTransport(requests + 1, Moment.BEFORE))
    assert 0 == spared
    assert_settles(server, mine, {}, tried=TWENTY)


# ── Killed, and killed again ─────────────────────────────────────────────────


def test_killed_again_at_every_step_of_the_run_after(server: SandboxProcess, project: NewProject) -> None:
    backup_settle_and_reserve = 2 * SAVE_STEPS + RESERVE_STEPS
    at_step = [*[None] * (SAVE_STEPS - 1), 0, *[1] * (SAVE_STEPS - 1), None]
    """What a kill at each step of the only create's two saves leaves: see DOUBT_AT_MOMENT; None means no unknown."""
    killed = [(KILLED, doubt) for doubt in [*[None] * backup_settle_and_reserve, *at_step]]
    spared = (UNKNOWN, None)
    for step, (code, doubt) in enumerate([*killed, spared], start=1):
        mine = project(server, FOUR)
        assert KILLED == runs.run(mine, transport=MortalTransport(create(2), Moment.ANSWERED))
        assert code == runs.run(mine, disk=MortalDisk(step))
        for _twice_is_once in range(2):
            assert_settles(server, mine, {"madrid": 1, "paris": doubt}, tried=FOUR)


# ── What must hold ───────────────────────────────────────────────────────────


def create(number: int) -> int:
    """Return which request creates an account."""
    return number + 1


def around(number: int) -> tuple[str, ...]:
    """Return the name of an account and those of its neighbours."""
    return TWENTY[max(number - 1, 0) : number + 2]


def assert_settles(
    server: SandboxProcess, mine: Project, doubts: Mapping[str, int | None], *, tried: tuple[str, ...]
) -> None:
    """Run again and check that the state holds the one account of every name, or an unknown for each of ``doubts``.

    Every account is compared with the server's ledger; the credentials of those that
    are ``tried`` are shown to the server too. Before and after, no secret is in clear.
    The history has something of every account.
    """
    assert_no_secret_at_all(server, mine)
    code = runs.run(mine)
    assert_no_secret_at_all(server, mine)

    doubtful = {name: accounts for name, accounts in doubts.items() if accounts is not None}
    state = mine.state()
    assert state is not None
    assert code == (UNKNOWN if doubtful else 0)
    assert {name: "Unknown" if name in doubtful else "Active" for name in mine.names} == {
        name: type(record).__name__ for name, record in state.accounts.items()
    }
    recorded = map(history.decode, LocalStore(mine.state_path).recorded())
    assert {*mine.names} == {each.name for each in recorded if each is not None}
    created, contents = server_accounts(server, mine), opened(mine, state)
    assert {name: doubtful.get(name, 1) for name in mine.names} == {name: len(made) for name, made in created.items()}
    for name, content in contents.items():
        assert content.password is not None
        assert [content.password.reveal()] * len(created[name]) == [made["password"] for made in created[name]]
        if name in doubtful:
            assert content.credentials is None
            continue
        assert content.credentials is not None
        (made,) = created[name]
        assert made["api_login"] == content.credentials.api_login
        assert made["api_key"] == content.credentials.api_key.reveal()
        assert name not in tried or server.accepts(content.credentials)


def assert_no_secret_at_all(server: SandboxProcess, mine: Project) -> None:
    """Check that no file holds a secret in clear, nor a password that was never sent."""
    assert_no_secret(server, mine)
    mark = runs.PASSWORD_MARK.encode()
    assert [] == [each for each in mine.files() if mark in each.read_bytes()]


def opened(mine: Project, state: State) -> dict[str, SealedContent]:
    """Return what is sealed in every record."""
    opener = AgeOpener(parse_identities(Secret(mine.identity_path.read_text()), "the test"))
    contents = {name: executor.open_record(state, name, opener) for name in state.accounts}
    return {name: content for name, content in contents.items() if content is not None}
