"""What a team meets at its forge, at GitHub and at GitLab: the shell of the ready-made files against the sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SandboxProcess, StartSandbox
from tests.ready.conftest import BRANCH, LYON, PARIS, ROME
from tests.ready.forge import Forge
from tests.ready.forges import CI, GitHub, GitLab
from tests.ready.shell import Happens

Begin = Callable[[SandboxProcess], CI]


@pytest.fixture(params=[GitHub, GitLab], ids=["github", "gitlab"])
def begin(request: pytest.FixtureRequest, tmp_path: Path, machine: dict[str, str], forge: Forge) -> Begin:
    """Return what begins a project against a sandbox, at each forge."""
    kind: type[GitHub | GitLab] = request.param
    return lambda server: kind(tmp_path, machine, forge, server)


@pytest.fixture
def ci(begin: Begin, server: SandboxProcess) -> CI:
    return begin(server)


def test_two_proposals_and_a_night(ci: CI, server: SandboxProcess) -> None:
    developer = ci.developer
    first = ci.proposed("first", PARIS, ROME)
    assert ("success", 1) == (first.outcome, len(ci.forge.comments)), first.said()
    assert "rome" in ci.forge.texts()[0]
    assert [] == server.requests()
    # A second commit to the same branch: the comment is kept up to date.
    ci.proposed("first", PARIS, ROME.replace("Artemisia", "Arte"))
    (comment,) = ci.forge.texts()
    assert ("Arte " in comment, developer.git("rev-parse", "first") in comment) == (True, True)

    developer.merge("first")
    pushed = ci.applied(begins=False)
    assert ("failure", []) == (pushed.outcome, server.requests())
    assert "--new-state" in pushed.said()
    done = ci.applied()
    assert ("success", True) == (done.outcome, "2 created" in done.said()), done.said()
    assert {"paris": "active", "rome": "active"} == developer.statuses()
    developer.assert_kept("paris", "Leonardo")
    developer.assert_kept("rome", "Arte")
    assert ["first", "main", BRANCH] == developer.branches()

    # The second proposal is planned against what the first has made.
    second = ci.proposed("second", PARIS.replace("Da Vinci", "da Vinci"), ROME.replace("Artemisia", "Arte"), LYON)
    (comment,) = ci.forge.texts()
    assert ("1 to create, 1 to update" in second.said() + comment, "rome" in comment) == (True, False), comment
    developer.merge("second")
    done = ci.applied()
    assert "success" == done.outcome, done.said()
    assert {"lyon": "active", "paris": "active", "rome": "active"} == developer.statuses()
    assert "da Vinci" in {each["last_name"] for each in server.accounts()}

    # Once more: nothing is sent, and nothing is committed.
    sent, head = len(server.requests()), developer.git("ls-remote", "origin")
    assert ci.idle == ci.applied().outcome
    assert (sent, head) == (len(server.requests()), developer.git("ls-remote", "origin"))

    # At night, what somebody changed by hand is found and changed back, and then nothing is left to do.
    developer.change_by_hand("lyon", company_name="By hand")
    night = ci.reconcile()
    assert ("success", True) == (night.outcome, "1 updated" in night.said()), night.said()
    assert "slots left. Nothing needs attention." in ci.overview(night)
    head = developer.git("ls-remote", "origin")
    assert "success" == ci.reconcile().outcome
    assert head == developer.git("ls-remote", "origin")
    assert ["first", "main", BRANCH, "second"] == developer.branches()
    assert 3 == len({each["api_login"] for each in server.accounts()})

    shown = developer.provisioner("credentials", "show", "lyon")
    credentials = developer.opened("lyon").credentials
    assert credentials is not None
    assert credentials.api_key.reveal() in shown.stdout
    developer.assert_no_secret(*ci.public())


def test_a_fork_gets_the_plan_and_no_comment(ci: CI) -> None:
    done = ci.proposed("fork", PARIS, ROME, fork=True)
    assert ("success", []) == (done.outcome, ci.forge.comments), done.said()
    assert ci.noteless in done.said()
    assert "rome" in "".join(ci.public())


def test_an_unknown_outcome_fails_the_run_and_is_kept(begin: Begin, sandbox: StartSandbox) -> None:
    ci = begin(sandbox("--fault", "lost@2"))
    ci.merge("lost", PARIS, ROME)
    done = ci.applied()
    assert ("failure", True) == (done.outcome, "rome" in done.said()), done.said()
    assert {"paris": "active", "rome": "unknown"} == ci.developer.statuses()
    # The account that is known is not made again, and the other waits for a person.
    ci.applied()
    assert "failure" == ci.reconcile().outcome
    assert 2 == len(ci.server.accounts())
    ci.developer.assert_no_secret(*ci.public())


def test_a_run_that_is_cancelled_finishes_its_request_and_keeps_the_state(begin: Begin, sandbox: StartSandbox) -> None:
    ci = begin(sandbox("--latency", "1"))
    ci.merge("slow", *(f"  - {{name: a{number}, first_name: A{number}, last_name: B}}\n" for number in range(9)))
    done = ci.applied(Happens(cancels=ci.place, once="[1/9]"))
    assert "cancelled" == done.outcome
    made = ci.server.accounts()
    assert 0 < len(made) < 9
    statuses = ci.developer.statuses()
    assert ({"active"}, len(made)) == (set(statuses.values()), len(statuses)), done.said()
    credentials = ci.developer.opened("a0").credentials
    assert credentials is not None
    assert made[0]["api_key"] == credentials.api_key.reveal()


def test_a_runner_that_dies_leaves_an_unknown_and_no_account_twice(begin: Begin, sandbox: StartSandbox) -> None:
    ci = begin(sandbox("--fault", "delay=20@1"))
    developer = ci.developer
    ci.merge("more", PARIS, LYON)
    ci.applied(Happens(kills=ci.place, at=lambda: bool(ci.server.accounts())))
    assert ["Louise"] == [each["first_name"] for each in ci.server.accounts()]
    assert {"lyon": "pending"} == developer.statuses()
    # The next run says who was at work, until that hold ends or a person ends it.
    late = ci.applied()
    lease = re.search(r"`?provisioner unlock ([\w-]+)", late.said())
    assert ("failure", True) == (late.outcome, lease is not None), late.said()
    assert lease is not None
    assert 0 == developer.provisioner("unlock", lease[1]).returncode
    assert "failure" == ci.applied().outcome
    assert {"lyon": "unknown", "paris": "active"} == developer.statuses()
    assert ["Leonardo", "Louise"] == sorted(each["first_name"] for each in ci.server.accounts())


def test_yesterdays_job_that_is_run_again_creates_nothing_again(ci: CI, server: SandboxProcess) -> None:
    assert "success" == ci.applied().outcome
    ci.merge("more", PARIS, LYON)
    assert "success" == ci.applied().outcome
    sent, head = len(server.requests()), ci.developer.git("ls-remote", "origin")
    # The job alone takes the plan of yesterday.
    stale = ci.applied_again()
    assert ("failure", True) == (stale.outcome, "is stale" in stale.said()), stale.said()
    assert (sent, 2) == (len(server.requests()), len(server.accounts()))
    assert head == ci.developer.git("ls-remote", "origin")


def test_two_merges_at_once_create_nothing_twice(ci: CI, server: SandboxProcess) -> None:
    assert "success" == ci.applied().outcome
    ci.merge("one", PARIS, LYON)

    def the_other() -> None:
        other = ci.applied()
        assert "success" == other.outcome, other.said()

    late = ci.applied(Happens(before={ci.place: the_other}))
    assert ("failure", True) == (late.outcome, "is stale" in late.said()), late.said()
    assert 2 == len(server.accounts())
