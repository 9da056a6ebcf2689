"""``resolve``: a person ends an outcome that nobody knows."""

from __future__ import annotations

import json

import pytest

from provisioner.errors import ExitCode
from tests.cli.steps import TWO, conforming, outcomes
from tests.conftest import NewProject, Project, StartSandbox


@pytest.fixture
def doubtful(sandbox: StartSandbox, project: NewProject) -> Project:
    """A project in which the outcome of ``paris`` is unknown, and ``rome`` was not attempted."""
    made = project(sandbox("--fault", "not-json@1"), TWO)
    assert ExitCode.OUTCOME_UNKNOWN == made.run("apply", "--yes").returncode
    return made


def test_an_unknown_keeps_its_exit_code_until_it_is_resolved(doubtful: Project) -> None:
    assert ExitCode.OUTCOME_UNKNOWN == doubtful.run("apply", "--yes").returncode
    assert {"paris": "unknown", "rome": "active"} == doubtful.statuses()
    (state,) = json.loads(doubtful.run("status", "--format", "json").stdout)["states"]
    assert {"name", "status", "created_at", "reason", "attributes", "since"} == set(state["accounts"][0])
    assert "web page" in state["accounts"][0]["reason"]
    assert 64 == doubtful.run("resolve", "paris").returncode
    assert 64 == doubtful.run("resolve", "paris", "--not-created").returncode
    assert 64 == doubtful.run("resolve", "paris", "--not-created", "--abandon", "--yes").returncode
    assert 64 == doubtful.run("resolve", "rome", "--not-created", "--yes").returncode
    assert 64 == doubtful.run("resolve", "oslo", "--abandon", "--yes").returncode
    assert 0 == doubtful.run("resolve", "paris", "--not-created", "--yes").returncode
    assert 0 == doubtful.run("apply", "--yes").returncode
    assert {"paris": "active", "rome": "active"} == doubtful.statuses()


def test_an_abandoned_account_keeps_its_slot_and_is_not_created_again(doubtful: Project) -> None:
    assert 0 == doubtful.run("resolve", "paris", "--abandon", "--yes").returncode
    done = doubtful.run("apply", "--yes", "--format", "json")
    assert [("abandoned", "not_attempted"), ("create", "created")] == [each[1:3] for each in outcomes(done.stdout)]
    plan = conforming(doubtful.run("plan", "--format", "json").stdout, "plan.v1")["plans"][0]
    assert (0, 2, 18) == (done.returncode, plan["slots"]["used"], plan["slots"]["left"])
    assert "abandoned" in doubtful.run("plan").stdout


def test_the_sealed_content_of_an_unknown_can_be_shown_but_not_exported(doubtful: Project) -> None:
    done = doubtful.run("credentials", "show", "paris")
    assert (0, True, True) == (done.returncode, "password: " in done.stdout, "answer: HTTP 201" in done.stdout)
    assert "the outcome of paris is unknown" in done.stderr
    done = doubtful.run("credentials", "export", "paris")
    assert (5, "") == (done.returncode, done.stdout)
