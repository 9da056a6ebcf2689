"""Runs the jobs of GitLab's pipelines: their shell as its runner does, with what they need of each other.

Known are those parts of the language that the ready-made file uses; anything else fails,
so that a test never passes over it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.ready import shell
from tests.ready.forge import PROJECT, READS, Forge
from tests.ready.shell import Ending, Happens

STAGES: Final = (".pre", "build", "test", "deploy", ".post")
_KNOWN: Final = {
    "image", "variables", "before_script", "script", "stage", "rules", "artifacts", "environment", "needs",
    "resource_group", "interruptible", "timeout",
}  # fmt: skip


@dataclass(slots=True)
class Job:
    """What became of a job, and what it leaves for others."""

    outcome: str
    text: str
    artifacts: Path
    variables: dict[str, str] = field(default_factory=dict)

    def said(self) -> str:
        """Return all that was printed."""
        return self.text


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline, with what GitLab keeps of it for a job that runs again."""

    commit: str
    described: Mapping[str, Any]
    variables: Mapping[str, str]
    jobs: dict[str, Job] = field(default_factory=dict)


def described(files: Mapping[str, str]) -> dict[str, Any]:
    """Return the jobs of a project's files, in order of their stages, without what they only extend."""
    (included,) = yaml.safe_load(files[".gitlab-ci.yml"])["include"]
    parsed = yaml.safe_load(files[included["local"]])
    jobs = {name: _extended(parsed, name) for name in parsed if not name.startswith(".")}
    assert [] == [each for each in jobs.values() if not _KNOWN.issuperset(each)]
    return dict(sorted(jobs.items(), key=lambda each: STAGES.index(each[1]["stage"])))


def _extended(parsed: Mapping[str, Any], name: str) -> dict[str, Any]:
    own = dict(parsed[name])
    base = _extended(parsed, own.pop("extends")) if "extends" in own else {}
    assert not {"variables", "artifacts", "environment"} & own.keys() & base.keys()
    return base | own


@dataclass(slots=True)
class Runner:
    """The machines that run the jobs: ``environ`` is what they have before GitLab says something."""

    folder: Path
    forge: Forge
    environ: Mapping[str, str]
    secrets: Mapping[str, str]
    """The variables whose scope is an environment."""
    pipelines: list[Pipeline] = field(default_factory=list)
    count: int = 0

    def run(
        self, branch: str, source: str, name: str, variables: Mapping[str, str], happens: Happens | None = None
    ) -> Job:
        """Run a job of a branch's pipeline, after the jobs that it needs."""
        commit = self._git("rev-parse", f"refs/heads/{branch}").strip()
        paths = self._git("ls-tree", "-r", "--name-only", commit).splitlines()
        files = {path: self._git("show", f"{commit}:{path}") for path in paths if path.endswith("gitlab-ci.yml")}
        given = {**self.predefined(branch, source), "CI_COMMIT_SHA": commit, **variables}
        pipeline = Pipeline(commit, described(files), given)
        self.pipelines.append(pipeline)
        for each in (*pipeline.described[name].get("needs", []), name):
            pipeline.jobs[each] = self.run_job(pipeline, each, happens or Happens())
        return pipeline.jobs[name]

    def predefined(self, branch: str, source: str) -> dict[str, str]:
        """Return the variables that GitLab sets for a pipeline."""
        return {
            "CI": "true",
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{self.forge.url}/api/v4",
            "CI_DEFAULT_BRANCH": "main",
            "CI_PIPELINE_SOURCE": source,
            "CI_PROJECT_ID": "1",
            "CI_PROJECT_URL": self.forge.remote.removesuffix(".git"),
            "CI_SERVER_URL": self.forge.url,
        } | ({} if source == "merge_request_event" else {"CI_COMMIT_BRANCH": branch})

    def run_job(self, pipeline: Pipeline, name: str, happens: Happens) -> Job:
        """Run a job, for the first time or again, with what the other jobs of its pipeline have made."""
        job = pipeline.described[name]
        if name in happens.before:
            happens.before[name]()
        self.count += 1
        workspace = self.folder / f"work-{self.count}"
        artifacts = self.folder / f"artifacts-{self.count}"
        assert job["variables"]["GIT_STRATEGY"] == "clone"
        self._check_out(pipeline, workspace)
        needed = {each: pipeline.jobs[each] for each in job.get("needs", [])}
        if any(each.outcome != "success" for each in needed.values()):
            return Job("skipped", "", artifacts)
        environ = {
            **self.environ,
            **job["variables"],
            **pipeline.variables,
            # Each job has a machine of its own, that remembers nothing.
            "XDG_STATE_HOME": str(self.folder / f"state-{self.count}"),
            "CI_JOB_URL": f"https://gitlab.example.com/{PROJECT}/-/jobs/{self.count}",
            **(self.secrets if "environment" in job else {}),
        }
        for each in needed.values():
            shutil.copytree(each.artifacts, workspace, dirs_exist_ok=True)
            environ |= each.variables
        # All processes of a job hear that it is cancelled.
        ending = happens.ending(name, lambda group: os.killpg(group, signal.SIGTERM))
        code, said = self._shell([*job["before_script"], *job["script"]], workspace, environ, ending)
        outcome = "cancelled" if name == happens.cancels else "failure" if code else "success"
        done = Job(outcome, said, artifacts)
        kept = job.get("artifacts", {})
        if outcome == "success" or kept.get("when") == "always":
            _keep(kept, done, workspace)
        return done

    def _check_out(self, pipeline: Pipeline, workspace: Path) -> None:
        """Clone as the runner does: some commits deep, with a token that can only read."""
        remote = self.forge.remote.replace("://", f"://gitlab-ci-token:{READS}@")
        for arguments in (
            ["init", "--quiet", str(workspace)],
            ["-C", str(workspace), "remote", "add", "origin", remote],
            ["-C", str(workspace), "fetch", "--quiet", "--depth=50", "origin", pipeline.commit],
            ["-C", str(workspace), "checkout", "--quiet", "--detach", pipeline.commit],
        ):
            subprocess.run(["git", *arguments], env=dict(self.environ), check=True)
        if pipeline.variables["CI_PROJECT_ID"] != "1":
            # Nothing in a fork counts.
            away = f"{self.forge.url}/somebody/fork.git"
            subprocess.run(["git", "-C", workspace, "remote", "set-url", "origin", away], check=True)

    def _shell(
        self, lines: Sequence[str], workspace: Path, environ: Mapping[str, str], ending: Ending | None
    ) -> tuple[int, str]:
        installs = {shell.installation(line, workspace) for line in lines if line.startswith("pip install")}
        fills = any(" --target .provisioner " in line for line, _ in installs)
        installed = Path(self.environ["HOME"]) / ".provisioner"
        if fills and installs <= shell.INSTALLED:
            shutil.copytree(installed, workspace / installed.name)
        script = "\n".join(line for line in lines if shell.installation(line, workspace) not in shell.INSTALLED)
        # The words of GitLab's runner.
        words = f"trap exit 1 TERM\nset -o pipefail\nset -o errexit\nset +o noclobber\n: | eval {shlex.quote(script)}\n"
        code, said = shell.run(["bash", "-c", words], workspace, environ, ending)
        if fills and code == 0 and not installs <= shell.INSTALLED:
            shutil.copytree(workspace / installed.name, installed)
        if code == 0:
            shell.INSTALLED.update(installs)
        return code, said

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", self.forge.repository, *arguments], check=True, capture_output=True, text=True
        ).stdout


def _keep(kept: Mapping[str, Any], job: Job, workspace: Path) -> None:
    """Keep the artifacts of a job, and the variables that it reports."""
    job.artifacts.mkdir()
    for path in kept.get("paths", []):
        if (workspace / path).is_dir():
            shutil.copytree(workspace / path, job.artifacts / path)
        elif (workspace / path).exists():
            shutil.copy(workspace / path, job.artifacts)
    for kind, path in kept.get("reports", {}).items():
        assert kind in {"codequality", "dotenv"}
        if kind == "dotenv":
            job.variables = dict(line.split("=", 1) for line in (workspace / path).read_text().splitlines())
