"""Failed requests, end to end: the real command against a sandbox with faults on demand."""

from __future__ import annotations

import json

import pytest

from tests.conftest import NewProject, StartSandbox, assert_kept, assert_no_secret, server_accounts

THREE = ("athens", "berlin", "paris")
LOST = {"lost@2": None, "reset-after@2": None, "cut@2": 201, "500-after@2": 500, "redirect@2": 307}
"""Faults after which the outcome is unknown, and the status of the stored answer, if any."""
UNMADE = {"redirect@2"}
"""Those that happen before the account is created; the client cannot know that."""


@pytest.mark.parametrize("fault", LOST)
def test_an_answer_that_is_lost_leaves_one_unknown_that_a_person_resolves(
    sandbox: StartSandbox, project: NewProject, fault: str
) -> None:
    server = sandbox("--fault", fault)
    mine = project(server, THREE)
    done = mine.run("apply", "--yes", "--format", "json")
    assert 8 == done.returncode
    assert {
        "athens": "created",
        "berlin": "unknown",
        "paris": "not_attempted",
    } == {each["name"]: each["status"] for each in json.loads(done.stdout)["reports"][0]["outcomes"]}
    assert 2 == len(server.statuses())
    assert {"athens": "active", "berlin": "unknown"} == mine.statuses()
    made = server_accounts(server, mine)["berlin"]
    assert len(made) == (0 if fault in UNMADE else 1)

    content = mine.opened("berlin")
    assert content.credentials is None
    assert content.password is not None
    assert LOST[fault] == (content.answer and content.answer.status)
    if made:
        assert made[0]["password"] == content.password.reveal()
    assert_no_secret(server, mine, done.stdout, done.stderr)

    again = mine.run("apply", "--yes")
    assert 8 == again.returncode
    assert {"athens": "active", "berlin": "unknown", "paris": "active"} == mine.statuses()

    # An unknown that the answer proves cannot be resolved: only a person who has deleted the account may forget it.
    proven = content.answer is not None and b"api_key" in content.answer.body
    assert (4 if proven else 0) == mine.run("resolve", "berlin", "--not-created", "--yes").returncode
    assert not proven or 0 == mine.run("forget", "berlin", "--force", "--yes").returncode
    assert 0 == mine.run("apply", "--yes").returncode
    assert dict.fromkeys(THREE, "active") == mine.statuses()
    assert len(server_accounts(server, mine)["berlin"]) == len(made) + 1
    assert_kept(server, mine, "paris")
    assert_no_secret(server, mine)


def test_half_an_answer_is_kept_for_the_person_who_reads_it(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "missing-credential@1")
    mine = project(server, ("paris",))
    assert 8 == mine.run("apply", "--yes").returncode
    (made,) = server_accounts(server, mine)["paris"]
    answer = mine.opened("paris").answer
    assert answer is not None
    assert {"api_login": made["api_login"]} == json.loads(answer.body)
    assert "kept of it" in mine.run("credentials", "show", "paris").stderr


def test_keep_going_goes_on_after_an_unknown(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox("--fault", "lost@2")
    mine = project(server, THREE)
    assert 8 == mine.run("apply", "--yes", "--keep-going").returncode
    assert {"athens": "active", "berlin": "unknown", "paris": "active"} == mine.statuses()
    assert_kept(server, mine, "paris")


def test_an_abandoned_unknown_keeps_its_slot_and_is_not_created_again(
    sandbox: StartSandbox, project: NewProject
) -> None:
    server = sandbox("--fault", "lost@2")
    mine = project(server, THREE)
    assert 8 == mine.run("apply", "--yes", "--keep-going").returncode
    assert 0 == mine.run("resolve", "berlin", "--abandon", "--yes").returncode
    assert 0 == mine.run("apply", "--yes").returncode
    assert {"athens": "active", "berlin": "abandoned", "paris": "active"} == mine.statuses()
    assert 3 == len(server.statuses())
    slots = json.loads(mine.run("plan", "--format", "json").stdout)["plans"][0]["slots"]
    assert (3, 17) == (slots["used"], slots["left"])


@pytest.mark.parametrize("status", [429, 408])
def test_a_create_that_provably_failed_is_retried_if_that_can_help(
    sandbox: StartSandbox, project: NewProject, status: int
) -> None:
    server = sandbox("--fault", f"{status}=0@2")
    mine = project(server, THREE)
    assert 0 == mine.run("apply", "--yes").returncode
    assert [201, status, 201, 201] == server.statuses()
    for name in THREE:
        assert_kept(server, mine, name)


REFUSALS = {
    "401@2": (10, [201, 401], "OCTOPUSH_API_KEY"),
    "403@2": (10, [201, 403], "OCTOPUSH_API_KEY"),
    "402@2": (7, [201, 402], "balance"),
    "limit@3": (4, [201, 201, 400], "reserved"),
    "400@2": (7, [201, 400, 201], "1 failed"),
    "429=0@2-": (7, [201, 429, 429], "try later"),
}
"""The exit code of the run, the answer to each create, and what the run prints."""


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_create_that_provably_failed_leaves_no_unknown(
    sandbox: StartSandbox, project: NewProject, fault: str
) -> None:
    code, statuses, said = REFUSALS[fault]
    server = sandbox("--fault", fault)
    mine = project(server, THREE)
    done = mine.run("apply", "--yes", "--attempts", "2")
    assert code == done.returncode
    assert statuses == server.statuses()
    assert said in done.stdout
    created = {name: "active" for name, made in server_accounts(server, mine).items() if made}
    assert len(created) == statuses.count(201)
    assert created == mine.statuses()
    assert_no_secret(server, mine, done.stdout, done.stderr)


def test_over_the_limit_nothing_is_sent(sandbox: StartSandbox, project: NewProject) -> None:
    server = sandbox()
    mine = project(server, THREE)
    done = mine.run("apply", "--yes", "--limit", "2")
    assert 4 == done.returncode
    assert "do not fit: paris" in done.stderr
    assert [] == server.requests()
    assert {} == mine.statuses()


def test_variables_of_the_manifest_are_checked_before_the_first_request(
    sandbox: StartSandbox, project: NewProject
) -> None:
    server = sandbox()
    mine = project(server, THREE)
    environ = {name: value for name, value in mine.environ.items() if name != "HOOK_TOKEN"}
    with mine.start("apply", "--yes", env=environ) as process:
        assert 10 == process.wait(timeout=30)
    assert [] == server.requests()
