"""What only GitHub's workflows do: their shell is run in clones of a real repository, against the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SandboxProcess
from tests.ready.conftest import BRANCH, LYON, PARIS, ROME
from tests.ready.forge import Forge
from tests.ready.forges import GitHub
from tests.ready.shell import Happens
from tests.state.stores.remotes import git


@pytest.fixture
def github(tmp_path: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> GitHub:
    return GitHub(tmp_path, machine, forge, server)


def test_a_problem_is_shown_at_its_line_and_no_old_plan_is_left(github: GitHub) -> None:
    github.plan(github.developer.propose("typo", PARIS, ROME))
    job = github.plan(github.developer.propose("typo", PARIS, "  - {name: rome, frist_name: Arte, last_name: X}\n"))
    assert "failure" == job.outcome
    assert "::error file=manifests/accounts.yaml,line=4," in job.steps["Validate the manifests"].said
    (comment,) = github.forge.texts()
    assert "There is no plan (exit code 3)" in comment
    assert "    manifests/accounts.yaml:4" in comment
    assert "Artemisia" not in comment
    assert comment in job.summary


def test_the_comment_is_found_among_many_and_nobody_elses_is_taken(github: GitHub) -> None:
    mark = "<!-- provisioner-plan -->"
    github.forge.add(f"{mark} not ours", mine=False)
    for number in range(120):
        github.forge.add(f"Comment {number}", mine=number % 2 == 0)
    commit = github.developer.propose("many", PARIS, ROME)
    github.plan(commit)
    github.plan(commit)
    assert f"{mark} not ours" == github.forge.texts()[0]
    assert 122 == len(github.forge.comments)
    assert github.forge.texts()[-1].startswith(mark)


def test_a_comment_that_was_not_taken_is_tried_again(github: GitHub) -> None:
    github.forge.failures = [502]
    assert "success" == github.plan(github.developer.propose("again", PARIS, ROME)).outcome
    assert 1 == len(github.forge.comments)


def test_what_others_merge_meanwhile_does_not_block_a_save(github: GitHub) -> None:
    def somebody_pushes() -> None:
        (github.developer.folder / "NOTES").write_text("of somebody else\n")
        github.developer.pull()
        github.developer.commit("Note")

    done = github.apply(happens=Happens(before={"Download the plan": somebody_pushes}))
    assert "success" == done["apply"].outcome, done["apply"].said()
    assert {"paris": "active"} == github.developer.statuses()


def test_a_main_branch_that_is_protected_is_an_ordinary_case(github: GitHub) -> None:
    hook = github.forge.repository / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ] || { echo "main is protected" >&2; exit 1; }\n')
    hook.chmod(0o755)
    assert "success" == github.apply()["apply"].outcome
    github.developer.assert_kept("paris", "Leonardo")
    assert '"approver": "grace"' in git(github.forge.repository, "log", "-1", "--grep=paris: active", BRANCH)


def test_nothing_is_sent_if_nobody_may_push_to_the_branch(github: GitHub, server: SandboxProcess) -> None:
    hook = github.forge.repository / "hooks" / "update"
    hook.write_text(f'#!/bin/sh\n[ "$1" != refs/heads/{BRANCH} ] || {{ echo "a rule forbids it" >&2; exit 1; }}\n')
    hook.chmod(0o755)
    job = github.apply()["apply"]
    assert ("failure", None, []) == (job.outcome, github.developer.state(), server.accounts())
    assert "a rule forbids it" in job.summary, job.summary
    hook.unlink()
    assert "success" == github.apply()["apply"].outcome
    assert 1 == len(server.accounts())


def test_a_state_that_a_merge_put_back_is_refused(github: GitHub, server: SandboxProcess) -> None:
    developer = github.developer
    assert "success" == github.apply()["apply"].outcome
    before = developer.git("rev-parse", "FETCH_HEAD") if developer.state() else ""
    github.merge("more", PARIS, LYON)
    assert "success" == github.apply()["apply"].outcome
    assert developer.state()
    developer.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    developer.git("checkout", "--quiet", before, "default.json")
    developer.git("commit", "--quiet", "--message", "Put it back")
    developer.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
    github.merge("third", PARIS, LYON, ROME)
    done = github.apply()
    assert ("failure", "skipped") == (done["plan"].outcome, done["apply"].outcome)
    assert "its history has serial 4" in done["plan"].said()
    assert 2 == len(server.accounts())


def test_a_plan_is_stale_when_the_branch_has_moved(github: GitHub, server: SandboxProcess) -> None:
    def somebody_merges() -> None:
        github.merge("late", PARIS, ROME)

    done = github.apply(happens=Happens(before={"actions/checkout": somebody_merges}))
    assert ("failure", []) == (done["apply"].outcome, server.accounts())
    summary = done["apply"].summary
    assert ("    PlanStale, exit code 9: " in summary, "no report" in summary) == (True, False), summary
    # What the summary has, the log of the step has too.
    assert "accounts.yaml has changed" in summary
    assert "accounts.yaml has changed" in done["apply"].steps["Apply"].said
    assert ["late", "main"] == github.developer.branches()
    assert "success" == github.apply()["apply"].outcome


def test_a_branch_that_is_not_the_default_and_a_tag_of_its_name_have_no_state(
    github: GitHub, server: SandboxProcess
) -> None:
    assert "success" == github.apply()["apply"].outcome
    github.developer.propose("mine", PARIS, ROME)
    github.developer.git("push", "--quiet", "origin", "mine:refs/tags/main")
    for ref in ("refs/heads/mine", "refs/tags/main"):
        done = {**github.by_hand("apply", ref), **github.by_hand("reconcile", ref)}
        assert {"skipped"} == {each.outcome for each in done.values()}
    assert "success" == github.by_hand("reconcile", "refs/heads/main")["reconcile"].outcome
    assert 1 == len(server.accounts())


def test_a_refusal_is_reported_with_its_reason(github: GitHub, server: SandboxProcess) -> None:
    accounts = [f"  - {{name: a{number}, first_name: A{number}, last_name: B}}\n" for number in range(9)]
    assert "success" == github.apply()["apply"].outcome
    github.merge("many", PARIS, *accounts)
    job = github.reconcile()
    assert ("failure", 1) == (job.outcome, len(server.accounts()))
    assert "    OverThreshold, exit code 4: " in job.summary, job.summary
