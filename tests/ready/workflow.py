"""Runs the jobs of a GitHub workflow: its shell as a runner would, and its actions by their effect.

Known are those parts of the language that the ready-made workflows use; anything else
fails, so that a test never passes over it.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.ready import shell
from tests.ready.shell import Happens

_EXPRESSION: Final = re.compile(r"\$\{\{(.*?)\}\}")
_TOKEN: Final = re.compile(r"\s*('[^']*'|\|\||&&|==|!=|[!()]|[\w.\-]+)")
REPOSITORY: Final = "team/accounts"


@dataclass(slots=True)
class Step:
    """The result of a step."""

    name: str
    outcome: str
    said: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Job:
    """The result of a job; ``steps`` has those that ran, by name."""

    outcome: str
    steps: dict[str, Step]
    outputs: dict[str, str]
    summary: str
    workspace: Path

    def said(self) -> str:
        """Return all that was printed, and the summary."""
        return "\n".join([*(each.said for each in self.steps.values()), self.summary])


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a workflow, with what GitHub keeps of it for a job that runs again."""

    workflow: Mapping[str, Any]
    github: Mapping[str, Any]
    jobs: dict[str, Job] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)


@dataclass(slots=True)
class Runner:
    """A runner: ``environ`` is its environment before a workflow adds to it."""

    folder: Path
    remote: str
    environ: Mapping[str, str]
    secrets: Mapping[str, str]
    token: str
    api: str
    runs: list[Run] = field(default_factory=list)
    jobs: int = 0

    def run(
        self,
        workflow: Path,
        trigger: str,
        github: Mapping[str, Any],
        happens: Mapping[str, Happens] | None = None,
    ) -> dict[str, Job]:
        """Run every job of a workflow; ``github`` is what that context holds, ``happens`` is by job."""
        parsed = yaml.safe_load(workflow.read_text(encoding="utf-8"))
        # YAML 1.1 reads the key `on` as a truth.
        assert trigger in parsed[True]
        run = Run(parsed, {"event_name": trigger, **github})
        self.runs.append(run)
        for name in parsed["jobs"]:
            run.jobs[name] = self.run_job(run, name, (happens or {}).get(name, Happens()))
        return run.jobs

    def run_job(self, run: Run, name: str, happens: Happens) -> Job:
        """Run a job, for the first time or again, with what the other jobs of its run have made."""
        parsed, github, done = run.workflow, run.github, run.jobs
        job = parsed["jobs"][name]
        self.jobs += 1
        temp = self.folder / f"temp-{self.jobs}"
        temp.mkdir()
        workspace = self.folder / f"work-{self.jobs}"
        workspace.mkdir()
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        context: dict[str, Any] = {
            "github": {"repository": REPOSITORY, "token": self.token, "server_url": self.api, **github},
            "inputs": github.get("inputs", {}),
            "secrets": self.secrets,
            "runner": {"temp": str(temp)},
            "needs": {each: {"outputs": done[each].outputs} for each in needs},
            "steps": {},
        }
        files = {each: temp / each for each in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        for path in files.values():
            path.touch()
        environ = {
            **self.environ,
            **{each: str(path) for each, path in files.items()},
            "RUNNER_TEMP": str(temp),
            # Each job has a machine of its own, that remembers nothing.
            "XDG_STATE_HOME": str(temp / "state"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.api,
            "GITHUB_SERVER_URL": self.api,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(self.jobs),
            "GITHUB_REF_NAME": github.get("ref_name", ""),
            "GITHUB_WORKSPACE": str(workspace),
            **{each: expanded(value, context, {}) for each, value in parsed.get("env", {}).items()},
        }
        assert parsed["defaults"] == {"run": {"shell": "bash"}}
        failed = any(done[each].outcome != "success" for each in needs)
        state = {"failed": failed, "cancelled": False}
        if not holds(job.get("if", "success()"), context, state):
            return Job("skipped", {}, {}, "", workspace)
        state["failed"] = False
        steps: dict[str, Step] = {}
        for each in job["steps"]:
            title = each.get("name") or each["uses"].partition("@")[0]
            if title in happens.before:
                happens.before[title]()
            step = Step(title, "skipped")
            if holds(each.get("if", "success()"), context, state):
                if "uses" in each:
                    given = {key: expanded(value, context, state) for key, value in each.get("with", {}).items()}
                    self._act(each["uses"], given, workspace, run)
                    step.outcome = "success"
                else:
                    own = {key: expanded(value, context, state) for key, value in each.get("env", {}).items()}
                    self._shell(step, each["run"], {**environ, **own}, workspace, happens)
                    step.outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
                    state["failed"] |= step.outcome == "failure"
                    state["cancelled"] |= title == happens.cancels
            if "id" in each:
                context["steps"][each["id"]] = {"outcome": step.outcome, "outputs": step.outputs}
            steps[title] = step
            if title == happens.kills:
                break
        outputs = {key: expanded(value, context, state) for key, value in job.get("outputs", {}).items()}
        outcome = "cancelled" if state["cancelled"] else "failure" if state["failed"] else "success"
        return Job(outcome, steps, outputs, files["GITHUB_STEP_SUMMARY"].read_text(), workspace)

    def _shell(self, step: Step, script: str, environ: Mapping[str, str], workspace: Path, happens: Happens) -> None:
        # Text that somebody else wrote may only reach a script through its environment.
        assert "${{" not in script
        installs = "pip install" in script
        if installs and shell.installation(script, workspace) in shell.INSTALLED:
            step.outcome = "success"
            return
        path = Path(environ["RUNNER_TEMP"]) / "step.sh"
        path.write_text(script, encoding="utf-8")
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", path]
        # Only the entry process hears that a run is cancelled.
        ending = happens.ending(step.name, lambda entry: os.kill(entry, signal.SIGINT))
        code, step.said = shell.run(command, workspace, environ, ending)
        step.outcome = "success" if code == 0 else "failure"
        if installs and step.outcome == "success":
            shell.INSTALLED.add(shell.installation(script, workspace))

    def _act(self, action: str, given: Mapping[str, str], workspace: Path, run: Run) -> None:
        match action.partition("@")[0]:
            case "actions/checkout":
                self._checkout(given, workspace)
            case "actions/setup-python":
                assert shutil.which("python", path=self.environ["PATH"])
            case "actions/upload-artifact":
                source = workspace / given["path"]
                assert source.exists() or given["if-no-files-found"] == "ignore"
                if source.exists():
                    kept = self.folder / f"artifact-{self.jobs}-{given['name']}"
                    _copy(source, kept)
                    run.artifacts[given["name"]] = kept
            case "actions/download-artifact":
                shutil.copytree(run.artifacts[given["name"]], workspace / given["path"], dirs_exist_ok=True)
            case _:
                raise AssertionError(action)

    def _checkout(self, given: Mapping[str, str], workspace: Path) -> None:
        """Clone as the action does: one commit deep, with the token in the repository's own settings."""
        token = given.get("token", self.token)
        ref = given.get("ref", "refs/pull/merge")
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        header = f"http.extraheader=Authorization: Basic {basic}"
        for arguments in (
            ["init", "--quiet"],
            ["remote", "add", "origin", self.remote],
            ["-c", header, "fetch", "--quiet", "--depth=1", "origin", ref],
            ["checkout", "--quiet", "--detach", "FETCH_HEAD"],
        ):
            subprocess.run(["git", *arguments], cwd=workspace, env=dict(self.environ), check=True)
        if given.get("persist-credentials", "true") == "true":
            name, value = header.split("=", 1)
            subprocess.run(["git", "config", name, value], cwd=workspace, check=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder as an artifact has it: flat below its own folder, and without hidden files."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))
    else:
        target.mkdir()
        shutil.copy(source, target)


# ── Expressions ──────────────────────────────────────────────────────────────


def expanded(text: object, context: Mapping[str, Any], state: Mapping[str, bool]) -> str:
    """Return ``text`` with its expressions evaluated."""
    if isinstance(text, bool):
        return str(text).lower()
    return _EXPRESSION.sub(lambda found: _text(evaluated(found.group(1), context, state)), str(text))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value or "")


def holds(condition: str, context: Mapping[str, Any], state: Mapping[str, bool]) -> bool:
    """Return whether a condition holds; one that does not check the status holds only after successes."""
    asks = any(f"{each}()" in condition for each in ("always", "cancelled", "success"))
    return bool(evaluated(condition if asks else f"success() && ({condition})", context, state))


def evaluated(text: str, context: Mapping[str, Any], state: Mapping[str, bool]) -> Any:  # noqa: ANN401  # any value
    """Return the value of an expression."""
    text = text.strip().removeprefix("${{").removesuffix("}}").strip()
    tokens = _TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text), text
    return _Expression(tokens, context, state).either()


class _Expression:
    def __init__(self, tokens: list[str], context: Mapping[str, Any], state: Mapping[str, bool]) -> None:
        self._tokens = tokens
        self._context = context
        self._state = state

    def either(self) -> Any:  # noqa: ANN401
        value = self._both()
        while self._next("||"):
            other = self._both()
            value = value or other
        return value

    def _both(self) -> Any:  # noqa: ANN401
        value = self._compared()
        while self._next("&&"):
            other = self._compared()
            value = value and other
        return value

    def _compared(self) -> Any:  # noqa: ANN401
        value = self._single()
        if self._next("=="):
            return value == self._single()
        if self._next("!="):
            return value != self._single()
        return value

    def _single(self) -> Any:  # noqa: ANN401
        if self._next("!"):
            return not self._single()
        if self._next("("):
            value = self.either()
            assert self._next(")")
            return value
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1]
        if self._next("("):
            assert self._next(")")
            return {
                "always": True,
                "cancelled": self._state["cancelled"],
                "success": not (self._state["failed"] or self._state["cancelled"]),
            }[token]
        value: Any = self._context
        for name in token.split("."):
            # A secret, or the outcome of a step that did not run, that is not there is empty.
            value = value.get(name, "") if isinstance(value, Mapping) else ""
        return value

    def _next(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            del self._tokens[0]
            return True
        return False
