"""Histories: every operation of a parent, from any command; nothing depends on them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provisioner import Bounds, schemas
from provisioner.errors import CommandInvalid
from provisioner.model.history import Author, HistoryEntry
from provisioner.project import provenance
from provisioner.project.parts import Parts
from provisioner.project.project import Project as Opened
from provisioner.render import history as rendered
from tests.cli.steps import TWO, conforming, delete, login_of
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, assert_no_secret
from tests.project.opened import Heard, having, opened

GITHUB = {
    "GITHUB_RUN_ID": "8712", "GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "team/accounts",
    "GITHUB_ACTOR": "ada", "GITHUB_TRIGGERING_ACTOR": "grace", "PROVISIONER_APPROVER": "linus",
}  # fmt: skip
GITLAB = {"CI_JOB_URL": "https://gitlab.example/jobs/1", "GITLAB_USER_LOGIN": "ada"}


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox("--fault", "lost@2")


@pytest.fixture
def mine(server: SandboxProcess, project: NewProject) -> Project:
    return project(server, TWO)


def at(mine: Project, now: str = "2026-01-02T03:04:05Z") -> Opened:
    return opened(mine, parts=Parts(now=lambda: now))


def listed(this: Opened, name: str | None = None, **options: Any) -> list[tuple[str | None, str, str]]:  # noqa: ANN401  # those of Project.history
    """Return the history of the only parent, oldest first."""
    (found,) = this.history(name, **options)
    return [(each.name, each.operation, each.outcome) for each in reversed(found.entries)]


def edit(mine: Project, before: str, after: str) -> None:
    path = mine.folder / "manifests" / "accounts.yaml"
    path.write_text(path.read_text().replace(before, after))


def test_the_history_has_every_operation_with_its_outcome(mine: Project, server: SandboxProcess) -> None:
    this = at(mine)
    assert [] == listed(this)
    assert 8 == this.apply(this.plan(), bounds=Bounds(new_state=True)).exit_code
    this.resolve("rome", abandon=False)
    this.apply(this.plan(), bounds=Bounds())
    edit(mine, "first_name: paris", "first_name: Paris")
    edit(mine, "{name: rome", "{name: roma, previously: rome")
    this.apply(this.plan())
    this.rekey()
    expected = [
        ("paris", "create", "created"),
        ("rome", "create", "unknown"),
        ("rome", "resolve", "not created"),
        ("rome", "create", "created"),
        ("paris", "update", "updated"),
        ("roma", "rename", "renamed"),
        (None, "rekey", "rekeyed"),
    ]
    assert expected == listed(this)
    assert [each for each in expected if each[0] in {"rome", "roma", None}] == listed(this, "roma")
    delete(server, login_of(mine, "roma"))
    this.refresh()
    this.forget("roma")
    later = [("roma", "refresh", "gone"), ("roma", "forget", "forgotten")]
    assert later == listed(this, "roma")[-2:]
    # Commands without changes add nothing.
    before = len(listed(this))
    this.refresh()
    this.verify(["paris"])
    assert before == len(listed(this))
    recorded = mine.state_path.with_name("default.json.history.jsonl")
    assert before == recorded.read_text().count("\n")
    assert_no_secret(server, mine, recorded.read_text())


def test_the_history_names_user_actor_ci_run_and_plan(mine: Project) -> None:
    this = at(having(mine, **GITHUB))
    reports = this.apply(this.plan())
    (found,) = this.history("paris")
    (entry,) = found.entries
    author = entry.author
    assert ("2026-01-02T03:04:05Z", "grace", "linus", reports.digest) == (
        author.at, author.actor, author.approver, author.plan,
    )  # fmt: skip
    assert "https://github.example/team/accounts/actions/runs/8712" == author.run
    document = rendered.document([("default", entry)], {})
    Draft202012Validator(schemas.load("operations.v1")).validate(document)
    shown = [line.text.split() for line in rendered.text([("default", entry)], several=False)]
    assert ["TIME", "ACCOUNT", "OPERATION", "OUTCOME", "BY", "APPROVED", "BY", "PLAN", "RUN"] == shown[0]
    assert reports.digest is not None
    assert [author.at, "paris", "create", "created", "grace", f"({author.by})", "linus"] == shown[1][:7]
    assert reports.digest[:12] == shown[1][7]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (None, None)),
        ({"GITHUB_ACTOR": "ada"}, ("ada", None)),
        (GITLAB, ("ada", None)),
        # Whoever starts a manual job approves it.
        (GITLAB | {"CI_JOB_MANUAL": "true"}, ("ada", "ada")),
        (GITLAB | {"CI_JOB_MANUAL": "true", "PROVISIONER_APPROVER": "grace"}, ("ada", "grace")),
        ({"GITHUB_ACTOR": "x" * 900, "PROVISIONER_APPROVER": "\udcff"}, ("x" * 200, "?")),
    ],
)
def test_actor_and_approver_come_from_the_ci(environ: dict[str, str], expected: tuple[str | None, str | None]) -> None:
    author = provenance.author(environ, None, "2026-01-02T03:04:05Z")
    assert expected == (author.actor, author.approver)


def test_since_and_a_name_filter_and_an_unknown_name_is_refused(mine: Project) -> None:
    this = at(mine)
    this.apply(this.plan())
    at(mine, "2026-02-01T00:00:00Z").resolve("rome", abandon=True)
    since = datetime(2026, 2, 1, tzinfo=UTC)
    assert [("rome", "resolve", "abandoned")] == listed(this, since=since)
    assert [] == listed(this, "paris", since=since)
    with pytest.raises(CommandInvalid) as caught:
        this.history("pariss")
    assert "Did you mean paris? `provisioner history` lists all operations." == caught.value.hint
    # An account from an earlier version is only in the state.
    mine.state_path.with_name("default.json.history.jsonl").unlink()
    assert [] == listed(this, "paris")


def test_a_damaged_history_shows_its_other_lines_and_the_next_run_appends(mine: Project) -> None:
    this, heard = at(mine), Heard()
    this.apply(this.plan())
    recorded = mine.state_path.with_name("default.json.history.jsonl")
    first, second = recorded.read_text().splitlines()
    recorded.write_text(f"{first}\n\x00garbage\n{second[:20]}")
    this.resolve("rome", abandon=True)
    assert [("paris", "create", "created"), ("rome", "resolve", "abandoned")] == listed(this, reporter=heard)
    assert ["The history has 2 damaged lines, not shown."] == heard.warnings


def test_a_history_that_cannot_be_written_warns_and_changes_nothing_else(mine: Project) -> None:
    this, heard = at(mine), Heard()
    mine.state_path.parent.mkdir(parents=True)
    recorded = mine.state_path.with_name("default.json.history.jsonl")
    recorded.symlink_to(Path("elsewhere"))
    this.apply(this.plan(), reporter=heard)
    assert {"paris": "active", "rome": "unknown"} == mine.statuses()
    (warning,) = heard.warnings
    assert "The history lacks what this run does." in warning
    assert "it is a symbolic link, and not a file" in warning
    assert not (mine.state_path.parent / "elsewhere").exists()


def test_the_histories_of_several_parents_become_one_newest_first() -> None:
    def entry(at: str, serial: int) -> HistoryEntry:
        return HistoryEntry(Author(at, "ada@laptop"), serial, "paris", "update", "updated")

    acme, beta = (entry("T4", 3), entry("T1", 2), entry("T2", 1)), (entry("T5", 9), entry("T3", 8))
    both = rendered.merged({"acme": acme, "beta": beta})
    assert [("beta", 9), ("acme", 3), ("beta", 8), ("acme", 2), ("acme", 1)] == [
        (name, each.serial) for name, each in both
    ]


def test_the_command_lists_it_newest_first(mine: Project) -> None:
    assert 8 == mine.run("apply", "--yes", "--new-state").returncode
    done = mine.run("history")
    assert (0, ["ACCOUNT", "rome", "paris"]) == (
        done.returncode,
        [line.split()[1] for line in done.stdout.splitlines()],
    )
    assert (0, "paris") == ((done := mine.run("history", "paris", "--since", "1h")).returncode, done.stdout.split()[7])
    done = mine.run("history", "--format", "json")
    assert [("rome", "unknown"), ("paris", "created")] == [
        (each["name"], each["outcome"]) for each in conforming(done.stdout, "operations.v1")["entries"]
    ]
    assert 64 == mine.run("history", "oslo").returncode
