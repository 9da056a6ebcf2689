"""The jobs of GitLab: gitlab-ci-local reads them, picks those that a pipeline has, and runs their shell."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import SandboxProcess, StartSandbox
from tests.ready.conftest import BRANCH, PARIS, ROME, SECRETS, begun
from tests.ready.forge import PROJECT, READS, WRITES, Forge
from tests.ready.tools import gitlab_ci_local

LYON: Final = "  - {name: lyon, first_name: Louise, last_name: Labé}\n"
PATIENCE: Final = 240


@dataclass(slots=True)
class Pipeline:
    code: int
    said: str
    workspace: Path

    def ran(self, job: str) -> bool:
        return re.search(rf"^{job} +starting", self.said, re.MULTILINE) is not None


class GitLab:
    """A developer's project, and the pipelines that GitLab makes of it."""

    def __init__(self, folder: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> None:
        self.command = gitlab_ci_local()
        self.developer = begun(folder / "developer", machine, forge, server, "gitlab")
        jobs = self.developer.folder / ".gitlab" / "provisioner.gitlab-ci.yml"
        jobs.write_text(jobs.read_text().replace('PLACEHOLDERS: ""', "PLACEHOLDERS: HOOK_*").replace('"900"', '"0"'))
        self.developer.commit("Say what placeholders may read")
        self.forge = forge
        self.folder = folder
        self.machine = machine
        self.variables = {**SECRETS, "PROVISIONER_IDENTITY": self.developer.identity, "PROVISIONER_PUSH_TOKEN": WRITES}
        self.pipelines: list[Pipeline] = []

    def plan(self, branch: str, *accounts: str, token: str | None = WRITES) -> Pipeline:
        """Run the pipeline of a merge request; without a token to write a note with, in a fork."""
        self.developer.propose(branch, *accounts)
        variables = {
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": "1",
            "CI_PROJECT_ID": "1" if token else "2",
            "CI_MERGE_REQUEST_PROJECT_URL": self.forge.remote.replace("://", f"://x:{READS}@").removesuffix(".git"),
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        }
        return self.run(branch, "merge_request_event", variables | ({"PROVISIONER_NOTE_TOKEN": token} if token else {}))

    def apply(self) -> Pipeline:
        if self.developer.state() is None:
            return self.run("main", "web", self.variables | {"PROVISIONER_NEW_STATE": "yes"})
        return self.run("main", "push", self.variables)

    def reconcile(self) -> Pipeline:
        return self.run("main", "schedule", self.variables)

    def run(self, branch: str, source: str, variables: dict[str, str]) -> Pipeline:
        workspace = self.folder / f"pipeline-{len(self.pipelines)}"
        read_only = self.forge.remote.replace("://", f"://gitlab-ci-token:{READS}@")
        cloning = ["git", "clone", "--quiet", "--branch", branch, read_only, workspace]
        subprocess.run(cloning, env=self.machine, check=True)
        subprocess.run(["git", "remote", "set-head", "origin", "main"], cwd=workspace, env=self.machine, check=True)
        if variables.get("CI_PROJECT_ID") == "2":
            # Nothing in a fork counts.
            away = ["git", "remote", "set-url", "origin", f"{self.forge.url}/somebody/fork.git"]
            subprocess.run(away, cwd=workspace, env=self.machine, check=True)
        given = {
            "CI_PIPELINE_SOURCE": source,
            "CI_SERVER_URL": self.forge.url,
            "CI_PROJECT_URL": self.forge.remote.removesuffix(".git"),
            "CI_API_V4_URL": f"{self.forge.url}/api/v4",
            "CI_JOB_URL": f"https://gitlab.example.com/{PROJECT}/-/jobs/{len(self.pipelines)}",
            "GITLAB_CI": "true",
        } | variables
        options = ["--force-shell-executor", "--shell-isolation", "--color=false", "--json-schema-validation=false"]
        options += [word for name, value in given.items() for word in ("--variable", f"{name}={value}")]
        done = subprocess.run(
            [*self.command, *options],
            cwd=workspace, env=self.machine, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=PATIENCE,
        )  # fmt: skip
        pipeline = Pipeline(done.returncode, done.stdout, workspace)
        self.pipelines.append(pipeline)
        return pipeline


@pytest.fixture
def gitlab(tmp_path: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> GitLab:
    return GitLab(tmp_path, machine, forge, server)


def test_two_merge_requests_and_a_night(gitlab: GitLab, server: SandboxProcess) -> None:
    developer = gitlab.developer
    first = gitlab.plan("first", PARIS, ROME)
    assert (0, 1) == (first.code, len(gitlab.forge.comments)), first.said
    assert "rome" in gitlab.forge.texts()[0]
    assert (True, False) == (first.ran("provisioner-validate"), first.ran("provisioner-apply"))
    gitlab.plan("first", PARIS, ROME.replace("Artemisia", "Arte"))
    (note,) = gitlab.forge.texts()
    assert "Arte " in note
    assert [] == server.requests()

    developer.merge("first")
    done = gitlab.apply()
    assert 0 == done.code, done.said
    assert {"paris": "active", "rome": "active"} == developer.statuses()
    developer.assert_kept("paris", "Leonardo")
    assert ["first", "main", BRANCH] == developer.branches()

    second = gitlab.plan("second", PARIS.replace("Da Vinci", "da Vinci"), ROME.replace("Artemisia", "Arte"), LYON)
    (note,) = gitlab.forge.texts()
    assert (0, True) == (second.code, "1 to create, 1 to update" in second.said + note), second.said
    developer.merge("second")
    done = gitlab.apply()
    assert 0 == done.code, done.said
    assert {"lyon": "active", "paris": "active", "rome": "active"} == developer.statuses()

    sent, head = len(server.requests()), developer.git("ls-remote", "origin")
    again = gitlab.apply()
    assert (0, True) == (again.code, "There is nothing to do." in again.said)
    assert (sent, head) == (len(server.requests()), developer.git("ls-remote", "origin"))

    developer.change_by_hand("lyon", company_name="By hand")
    night = gitlab.reconcile()
    assert (0, True) == (night.code, "1 updated" in night.said), night.said
    assert (True, False) == (night.ran("provisioner-reconcile"), night.ran("provisioner-apply"))
    kept = list(night.workspace.rglob("artifacts/provisioner-reconcile/provisioner-status.html"))
    assert ["slots left. Nothing needs attention." in each.read_text() for each in kept] == [True]
    assert ["first", "main", BRANCH, "second"] == developer.branches()
    developer.assert_no_secret(*(each.said for each in gitlab.pipelines))


def test_a_fork_gets_the_plan_of_the_target_and_its_state_and_no_note(gitlab: GitLab) -> None:
    done = gitlab.plan("fork", PARIS, ROME, token=None)
    assert (0, []) == (done.code, gitlab.forge.comments)
    assert "PROVISIONER_NOTE_TOKEN is not set" in done.said


def test_an_unknown_outcome_fails_the_job_and_is_kept(
    tmp_path: Path, machine: dict[str, str], forge: Forge, sandbox: StartSandbox
) -> None:
    gitlab = GitLab(tmp_path, machine, forge, sandbox("--fault", "lost@2"))
    gitlab.developer.propose("lost", PARIS, ROME)
    gitlab.developer.merge("lost")
    done = gitlab.apply()
    assert 0 != done.code
    assert {"paris": "active", "rome": "unknown"} == gitlab.developer.statuses()
    assert ["lost", "main", BRANCH] == gitlab.developer.branches()
    gitlab.developer.assert_no_secret(done.said)
