"""The file of GitLab as gitlab-ci-local reads it: as our own runner does, with these jobs, and one pipeline runs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.conftest import SandboxProcess
from tests.ready import pipeline
from tests.ready.conftest import BRANCH
from tests.ready.forge import READS, Forge
from tests.ready.forges import GitLab
from tests.ready.tools import gitlab_ci_local

PATIENCE: Final = 240
PIPELINES: Final[dict[tuple[str, str], set[str]]] = {
    ("main", "push"): {"install", "validate", "plan-merged", "apply"},
    ("main", "schedule"): {"install", "reconcile"},
    ("first", "push"): set(),
    ("first", "merge_request_event"): {"validate", "plan"},
}
"""The jobs that a branch's pipeline has, by its source."""


@pytest.fixture
def gitlab(tmp_path: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> GitLab:
    return GitLab(tmp_path, machine, forge, server)


def after_warnings(text: str, start: str) -> str:
    """Return what follows the warnings of gitlab-ci-local, which share its standard output."""
    return text[text.index(start) :]


def local(
    gitlab: GitLab, branch: str, source: str, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run gitlab-ci-local in a new clone."""
    workspace = gitlab.folder / "-".join(("local", branch, source, *options))
    remote = gitlab.forge.remote.replace("://", f"://gitlab-ci-token:{READS}@")
    environ = gitlab.runner.environ
    subprocess.run(["git", "clone", "--quiet", "--branch", branch, remote, workspace], env=environ, check=True)
    subprocess.run(["git", "remote", "set-head", "origin", "main"], cwd=workspace, env=environ, check=True)
    given = {**gitlab.runner.predefined(branch, source), **variables}
    # It sets what a branch is by itself.
    given = {name: value for name, value in given.items() if name not in {"CI_COMMIT_BRANCH", "CI_DEFAULT_BRANCH"}}
    command = [*gitlab_ci_local(), "--force-shell-executor", "--shell-isolation", "--color=false", *options]
    command += ["--json-schema-validation=false"]
    command += [word for name, value in given.items() for word in ("--variable", f"{name}={value}")]
    return subprocess.run(
        command, cwd=workspace, env=environ, check=False, capture_output=True, text=True, timeout=PATIENCE
    )


def test_our_runner_reads_the_file_as_gitlab_does(gitlab: GitLab) -> None:
    folder = gitlab.developer.folder
    paths = (".gitlab-ci.yml", ".gitlab/provisioner.gitlab-ci.yml")
    ours = pipeline.described({path: (folder / path).read_text() for path in paths})
    theirs = yaml.safe_load(after_warnings(local(gitlab, "main", "push", "--preview").stdout, "---\n"))
    assert pipeline.STAGES == tuple(theirs.pop("stages"))
    assert {*ours} == {*theirs}
    for name, job in ours.items():
        assert {"name": job["image"]} == theirs[name]["image"]
        assert job.get("needs", []) == [each["job"] for each in theirs[name].get("needs", [])]
        for word in {*job} - {"image", "needs"}:
            assert (name, word, job[word]) == (name, word, theirs[name][word])


def test_each_pipeline_has_its_jobs(gitlab: GitLab) -> None:
    gitlab.developer.git("push", "--quiet", "origin", "main:first")
    for (branch, source), jobs in PIPELINES.items():
        listed = json.loads(after_warnings(local(gitlab, branch, source, "--list-json").stdout, "[\n"))
        picked = {each["name"].removeprefix("provisioner-") for each in listed if each["when"] != "never"}
        assert (branch, source, jobs) == (branch, source, picked)


def test_a_pipeline_of_main_runs(gitlab: GitLab) -> None:
    done = local(gitlab, "main", "web", PROVISIONER_NEW_STATE="yes", **gitlab.runner.secrets)
    printed = done.stdout + done.stderr
    assert 0 == done.returncode, printed
    assert PIPELINES["main", "push"] == set(re.findall(r"^provisioner-([\w-]+) +starting", printed, re.MULTILINE))
    gitlab.developer.assert_kept("paris", "Leonardo")
    assert ["main", BRANCH] == gitlab.developer.branches()
    gitlab.developer.assert_no_secret(printed)
