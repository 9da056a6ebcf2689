"""The workflows of GitHub: their shell is run in clones of a real repository, against the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.model.account import Secret
from tests.conftest import SandboxProcess, StartSandbox
from tests.ready.conftest import BRANCH, PARIS, ROME, SECRETS, begun
from tests.ready.forge import READS, WRITES, Forge
from tests.ready.workflow import Happens, Job, Runner
from tests.state.stores.remotes import git

LYON = "  - {name: lyon, first_name: Louise, last_name: Labé}\n"
PUSHED = {
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "ref_name": "main",
    "event": {"repository": {"default_branch": "main"}},
}
# All that the event of a schedule is documented to bring.
NIGHT = {"ref": "refs/heads/main", "ref_name": "main", "event": {"schedule": "17 3 * * *"}}


class GitHub:
    """A developer's project, and the runs that GitHub makes of it."""

    def __init__(self, folder: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> None:
        self.developer = begun(folder / "developer", machine, forge, server, "github")
        self.forge = forge
        self.server = server
        workflows = self.developer.folder / ".github" / "workflows"
        for path in workflows.glob("provisioner-*.yml"):
            # As its comments ask for: the variables that placeholders of the manifests name, and may read.
            text = path.read_text().replace('PLACEHOLDERS: ""', "PLACEHOLDERS: HOOK_*").replace('"900"', '"0"')
            path.write_text(
                text.replace(
                    "          # And each", "          HOOK_TOKEN: ${{ secrets.HOOK_TOKEN }}\n          # And each"
                )
            )
        self.developer.commit("Name the variables")
        self.workflows = workflows
        self.runner = Runner(
            folder / "runner",
            forge.remote,
            machine,
            {**SECRETS, "PROVISIONER_IDENTITY": self.developer.identity},
            WRITES,
            forge.url,
        )
        self.runner.folder.mkdir()
        self.said: list[str] = []

    def plan(self, commit: str, token: str = WRITES) -> Job:
        """Run what a pull request runs."""
        self.runner.token = token
        event = {"pull_request": {"number": 7, "head": {"sha": commit}}}
        done = self._run("plan", "pull_request", {"ref": "refs/pull/merge", "event": event})["plan"]
        self.runner.token = WRITES
        return done

    def apply(self, trigger: str = "", happens: Happens | None = None) -> dict[str, Job]:
        """Run what a push to main runs, or what begins the state by hand; ``happens`` befalls the job that applies."""
        begins = not trigger and self.developer.state() is None
        event = PUSHED | {"inputs": {"new_state": begins}}
        trigger = trigger or ("workflow_dispatch" if begins else "push")
        return self._run("apply", trigger, event, {"apply": happens or Happens()})

    def reconcile(self) -> Job:
        return self._run("reconcile", "schedule", NIGHT)["reconcile"]

    def by_hand(self, workflow: str, ref: str) -> dict[str, Job]:
        """Run what a person starts on a branch or a tag."""
        kind = "tag" if ref.startswith("refs/tags/") else "branch"
        event = {**PUSHED, "ref": ref, "ref_type": kind, "ref_name": ref.split("/", 2)[2]}
        return self._run(workflow, "workflow_dispatch", event)

    def _run(self, workflow: str, *arguments: Any) -> dict[str, Job]:  # noqa: ANN401  # those of the runner
        jobs = self.runner.run(self.workflows / f"provisioner-{workflow}.yml", *arguments)
        self.said += [each.said() for each in jobs.values()]
        return jobs


@pytest.fixture
def github(tmp_path: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> GitHub:
    return GitHub(tmp_path, machine, forge, server)


def test_two_pull_requests_and_a_night(github: GitHub, server: SandboxProcess) -> None:
    developer = github.developer
    first = github.plan(developer.propose("first", PARIS, ROME))
    assert ("success", 1) == (first.outcome, len(github.forge.comments)), first.said()
    assert "rome" in github.forge.texts()[0]
    assert github.forge.texts()[0] in first.summary
    assert [] == server.requests()
    # A second commit to the same pull request: the comment is kept up to date.
    commit = developer.propose("first", PARIS, ROME.replace("Artemisia", "Arte"))
    github.plan(commit)
    (comment,) = github.forge.texts()
    assert ("Arte " in comment, commit in comment) == (True, True)

    developer.merge("first")
    pushed = github.apply("push")["apply"]
    assert ("failure", []) == (pushed.outcome, server.requests())
    assert "once with --new-state" in pushed.summary
    done = github.apply()
    assert ("success", "success") == (done["plan"].outcome, done["apply"].outcome), done["apply"].said()
    assert "2 created" in done["apply"].summary
    assert {"paris": "active", "rome": "active"} == developer.statuses()
    developer.assert_kept("paris", "Leonardo")
    developer.assert_kept("rome", "Arte")
    assert ["first", "main", BRANCH] == developer.branches()

    # The second pull request is planned against what the first has made.
    second = github.plan(
        developer.propose("second", PARIS.replace("Da Vinci", "da Vinci"), ROME.replace("Artemisia", "Arte"), LYON)
    )
    (comment,) = github.forge.texts()
    assert ("1 to create, 1 to update" in second.said() + comment, "rome" in comment) == (True, False), comment
    developer.merge("second")
    done = github.apply("push")
    assert "success" == done["apply"].outcome, done["apply"].said()
    assert '"approver": "grace"' in git(github.forge.repository, "log", "-1", "--grep=lyon: active", BRANCH)
    assert {"lyon": "active", "paris": "active", "rome": "active"} == developer.statuses()
    assert "da Vinci" == server.accounts()[-1]["last_name"] or "da Vinci" in {
        each["last_name"] for each in server.accounts()
    }

    # Once more: nothing is sent, nobody is asked, and nothing is committed.
    sent, head = len(server.requests()), developer.git("ls-remote", "origin")
    again = github.apply("workflow_dispatch")
    assert ("success", "skipped") == (again["plan"].outcome, again["apply"].outcome)
    assert (sent, head) == (len(server.requests()), developer.git("ls-remote", "origin"))

    # At night, what somebody changed by hand is found and changed back, and then nothing is left to do.
    developer.change_by_hand("lyon", company_name="By hand")
    night = github.reconcile()
    assert ("success", True) == (night.outcome, "1 updated" in night.summary), night.said()
    assert "slots left. Nothing needs attention.**" in night.summary
    head = developer.git("ls-remote", "origin")
    quiet = github.reconcile()
    assert "success" == quiet.outcome
    assert head == developer.git("ls-remote", "origin")
    assert ["first", "main", BRANCH, "second"] == developer.branches()
    assert 3 == len(server.statuses())

    developer.pull()
    shown = developer.provisioner("credentials", "show", "lyon")
    credentials = developer.opened("lyon").credentials
    assert credentials is not None
    assert credentials.api_key.reveal() in shown.stdout
    developer.assert_no_secret(
        *github.said, *(path.read_text() for path in github.runner.artifacts["provisioner-plan"].iterdir())
    )


def test_a_fork_gets_the_plan_and_no_comment(github: GitHub) -> None:
    github.runner.secrets = {}
    job = github.plan(github.developer.propose("fork", PARIS, ROME), token=READS)
    assert ("success", []) == (job.outcome, github.forge.comments), job.said()
    assert "rome" in job.summary
    assert "::notice title=No comment::" in job.steps["Comment"].said


def test_what_is_wrong_stands_beside_its_line_and_no_old_plan_is_left(github: GitHub) -> None:
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


def test_an_unknown_outcome_fails_the_run_and_is_kept(
    tmp_path: Path, machine: dict[str, str], forge: Forge, sandbox: StartSandbox
) -> None:
    github = GitHub(tmp_path, machine, forge, sandbox("--fault", "lost@2"))
    github.developer.propose("lost", PARIS, ROME)
    github.developer.merge("lost")
    done = github.apply()
    assert "failure" == done["apply"].outcome
    assert "failure" == done["apply"].steps["Apply"].outcome
    assert {"paris": "active", "rome": "unknown"} == github.developer.statuses()
    assert "rome" in done["apply"].summary
    # The account that is known is not made again, and the other waits for a person.
    github.apply()
    assert 2 == len(github.server.accounts())
    assert "failure" == github.reconcile().outcome
    assert 2 == len(github.server.accounts())
    github.developer.assert_no_secret(*github.said)


def test_what_others_merge_meanwhile_hinders_no_save(github: GitHub) -> None:
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


def test_a_branch_that_nobody_may_push_to_has_nothing_sent(github: GitHub, server: SandboxProcess) -> None:
    hook = github.forge.repository / "hooks" / "update"
    hook.write_text(f'#!/bin/sh\n[ "$1" != refs/heads/{BRANCH} ] || {{ echo "a rule forbids it" >&2; exit 1; }}\n')
    hook.chmod(0o755)
    job = github.apply()["apply"]
    assert ("failure", None, []) == (job.outcome, github.developer.state(), server.accounts())
    assert "a rule forbids it" in job.summary, job.summary
    hook.unlink()
    assert "success" == github.apply()["apply"].outcome
    assert 1 == len(server.accounts())


def test_a_runner_that_dies_leaves_an_unknown_and_no_account_twice(
    tmp_path: Path, machine: dict[str, str], forge: Forge, sandbox: StartSandbox
) -> None:
    github = GitHub(tmp_path, machine, forge, sandbox("--latency", "3"))
    github.developer.propose("more", PARIS, LYON)
    github.developer.merge("more")
    github.apply(happens=Happens(kills="Apply", at=lambda: "pending" in github.developer.statuses().values()))
    made = {each["first_name"] for each in github.server.accounts()}
    assert "pending" in github.developer.statuses().values()
    # The next run is told who was at work, until that hold ends or a person ends it.
    job = github.apply()["apply"]
    assert ("failure", True) == (job.outcome, "`provisioner unlock" in job.summary), job.said()
    lease = job.summary.split("provisioner unlock ")[1].split("`")[0]
    assert 0 == github.developer.provisioner("unlock", lease).returncode
    assert "failure" == github.apply()["apply"].outcome
    statuses = github.developer.statuses()
    assert ["unknown"] == [each for each in statuses.values() if each != "active"]
    names = [each["first_name"] for each in github.server.accounts()]
    assert made <= {*names}
    assert len(names) == len({*names})


def test_yesterdays_job_that_is_run_again_creates_nothing_again(github: GitHub, server: SandboxProcess) -> None:
    assert "success" == github.apply()["apply"].outcome
    plan = github.runner.artifacts["provisioner-plan"]
    github.developer.propose("more", PARIS, LYON)
    github.developer.merge("more")
    assert "success" == github.apply()["apply"].outcome
    sent = len(server.requests())
    # The whole run plans again, and has nothing to do; the job alone takes the plan of yesterday.
    assert "skipped" == github.apply()["apply"].outcome
    github.developer.pull()
    github.developer.environ |= SECRETS
    stale = github.developer.provisioner("apply", "--plan", str(plan / "plan.json"), "--yes")
    assert (9, sent, 2) == (stale.returncode, len(server.requests()), len(server.accounts())), stale.stderr


def test_two_merges_at_once_create_nothing_twice(github: GitHub, server: SandboxProcess) -> None:
    assert "success" == github.apply()["apply"].outcome
    github.developer.propose("one", PARIS, LYON)
    github.developer.merge("one")

    def the_other() -> None:
        other = github.apply()["apply"]
        assert "success" == other.outcome, other.said()

    late = github.apply(happens=Happens(before={"Apply": the_other}))["apply"]
    assert ("failure", True) == (late.outcome, "PlanStale" in late.summary), late.said()
    assert 2 == len(server.accounts())


def test_a_state_that_a_merge_put_back_is_refused(github: GitHub, server: SandboxProcess) -> None:
    developer = github.developer
    assert "success" == github.apply()["apply"].outcome
    before = developer.git("rev-parse", "FETCH_HEAD") if developer.state() else ""
    developer.propose("more", PARIS, LYON)
    developer.merge("more")
    assert "success" == github.apply()["apply"].outcome
    assert developer.state()
    developer.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    developer.git("checkout", "--quiet", before, "default.json")
    developer.git("commit", "--quiet", "--message", "Put it back")
    developer.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
    developer.propose("third", PARIS, LYON, ROME)
    developer.merge("third")
    done = github.apply()
    assert ("failure", "skipped") == (done["plan"].outcome, done["apply"].outcome)
    assert "its history has serial 4" in done["plan"].said()
    assert 2 == len(server.accounts())


def test_a_plan_is_stale_when_the_branch_has_moved(github: GitHub, server: SandboxProcess) -> None:
    def somebody_merges() -> None:
        github.developer.propose("late", PARIS, ROME)
        github.developer.merge("late")

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


def test_what_is_refused_is_told_with_its_reason(github: GitHub, server: SandboxProcess) -> None:
    accounts = [f"  - {{name: a{number}, first_name: A{number}, last_name: B}}\n" for number in range(9)]
    assert "success" == github.apply()["apply"].outcome
    github.developer.propose("many", PARIS, *accounts)
    github.developer.merge("many")
    job = github.reconcile()
    assert ("failure", 1) == (job.outcome, len(server.accounts()))
    assert "    OverThreshold, exit code 4: " in job.summary, job.summary


def test_a_run_that_is_cancelled_finishes_its_request_and_keeps_the_state(
    tmp_path: Path, machine: dict[str, str], forge: Forge, sandbox: StartSandbox
) -> None:
    github = GitHub(tmp_path, machine, forge, sandbox("--latency", "1"))
    accounts = [f"  - {{name: a{number}, first_name: A{number}, last_name: B}}\n" for number in range(9)]
    github.developer.propose("slow", *accounts)
    github.developer.merge("slow")
    done = github.apply(happens=Happens(interrupts="Apply", once="[1/9]"))
    assert "cancelled" == done["apply"].outcome
    made = github.server.accounts()
    assert 0 < len(made) < 9
    statuses = github.developer.statuses()
    assert ({"active"}, len(made)) == (set(statuses.values()), len(statuses))
    credentials = github.developer.opened("a0").credentials
    assert credentials is not None
    assert made[0]["api_key"] == credentials.api_key.reveal()
    assert isinstance(credentials.api_key, Secret)
