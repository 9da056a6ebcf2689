"""A developer's project at GitHub and at GitLab, with the same words for what both do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from tests.conftest import SandboxProcess
from tests.ready import pipeline, workflow
from tests.ready.conftest import SECRETS, begun
from tests.ready.forge import READS, WRITES, Forge
from tests.ready.shell import Happens

PUSHED: Final = {
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "ref_name": "main",
    "event": {"repository": {"default_branch": "main"}},
}
# All that the event of a schedule is documented to bring.
NIGHT: Final = {"ref": "refs/heads/main", "ref_name": "main", "event": {"schedule": "17 3 * * *"}}


class Done(Protocol):
    """What became of a job."""

    @property
    def outcome(self) -> str:
        """One of success, failure, cancelled and skipped."""

    def said(self) -> str:
        """Return all that it shows to a person."""


class CI(ABC):
    """A developer's project, and what a forge runs for it."""

    place: ClassVar[str]
    """Where the command runs that applies; what happens there can be given."""
    idle: ClassVar[str]
    """The outcome of the job that applies where there is nothing to do."""
    noteless: ClassVar[str]
    """What a job says that may not write a comment."""

    def __init__(self, kind: str, folder: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> None:
        self.developer = begun(folder / "developer", machine, forge, server, kind)
        self.forge = forge
        self.server = server
        self.folder = folder / "runner"
        self.folder.mkdir()

    @abstractmethod
    def proposed(self, branch: str, *accounts: str, fork: bool = False) -> Done:
        """Propose a manifest, and run the job that plans it."""

    @abstractmethod
    def applied(self, happens: Happens | None = None, *, begins: bool | None = None) -> Done:
        """Run what a merge runs, up to the job that applies; a person begins the state where there is none."""

    @abstractmethod
    def applied_again(self) -> Done:
        """Run the first job that applied once more, as its button does."""

    @abstractmethod
    def reconcile(self) -> Done:
        """Run the job of the night."""

    @abstractmethod
    def overview(self, night: Done) -> str:
        """Return what the night shows about all parents."""

    @abstractmethod
    def public(self) -> list[str]:
        """Return everything that was printed or kept."""

    def merge(self, branch: str, *accounts: str) -> None:
        """Merge a manifest into main without a look at its plan."""
        self.developer.propose(branch, *accounts)
        self.developer.merge(branch)


class GitHub(CI):
    """The runs that GitHub makes of a project."""

    place = "Apply"
    idle = "skipped"
    noteless = "::notice title=No comment::"

    def __init__(self, folder: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> None:
        super().__init__("github", folder, machine, forge, server)
        self.workflows = self.developer.folder / ".github" / "workflows"
        for path in self.workflows.glob("provisioner-*.yml"):
            # As its comments ask for: the variables that placeholders of the manifests name, and may read.
            text = path.read_text().replace('PLACEHOLDERS: ""', "PLACEHOLDERS: HOOK_*").replace('"900"', '"0"')
            path.write_text(
                text.replace(
                    "          # And each", "          HOOK_TOKEN: ${{ secrets.HOOK_TOKEN }}\n          # And each"
                )
            )
        self.developer.commit("Name the variables")
        secrets = {**SECRETS, "PROVISIONER_IDENTITY": self.developer.identity}
        self.runner = workflow.Runner(self.folder, forge.remote, machine, secrets, WRITES, forge.url)
        self.printed: list[str] = []

    def proposed(self, branch: str, *accounts: str, fork: bool = False) -> workflow.Job:
        commit = self.developer.propose(branch, *accounts)
        if not fork:
            return self.plan(commit)
        secrets, self.runner.secrets = self.runner.secrets, {}
        done = self.plan(commit, token=READS)
        self.runner.secrets = secrets
        return done

    def applied(self, happens: Happens | None = None, *, begins: bool | None = None) -> workflow.Job:
        return self.apply("push" if begins is False else "", happens)["apply"]

    def applied_again(self) -> workflow.Job:
        first = next(run for run in self.runner.runs if "apply" in run.jobs)
        return self.runner.run_job(first, "apply", Happens())

    def reconcile(self) -> workflow.Job:
        return self._run("reconcile", "schedule", NIGHT)["reconcile"]

    def overview(self, night: Done) -> str:
        return night.said()

    def public(self) -> list[str]:
        kept = [path for path in self.folder.glob("artifact-*/*") if path.is_file()]
        return [*self.printed, *(path.read_text() for path in kept)]

    def plan(self, commit: str, token: str = WRITES) -> workflow.Job:
        """Run what a pull request runs."""
        self.runner.token = token
        event = {"pull_request": {"number": 7, "head": {"sha": commit}}}
        done = self._run("plan", "pull_request", {"ref": "refs/pull/merge", "event": event})["plan"]
        self.runner.token = WRITES
        return done

    def apply(self, trigger: str = "", happens: Happens | None = None) -> dict[str, workflow.Job]:
        """Run what a push to main runs, or what begins the state by hand; ``happens`` to the job that applies."""
        begins = not trigger and self.developer.state() is None
        event = PUSHED | {"inputs": {"new_state": begins}}
        trigger = trigger or ("workflow_dispatch" if begins else "push")
        return self._run("apply", trigger, event, {"apply": happens or Happens()})

    def by_hand(self, name: str, ref: str) -> dict[str, workflow.Job]:
        """Run what a person starts on a branch or a tag."""
        kind = "tag" if ref.startswith("refs/tags/") else "branch"
        event = {**PUSHED, "ref": ref, "ref_type": kind, "ref_name": ref.split("/", 2)[2]}
        return self._run(name, "workflow_dispatch", event)

    def _run(self, name: str, *arguments: Any) -> dict[str, workflow.Job]:  # noqa: ANN401  # those of the runner
        jobs = self.runner.run(self.workflows / f"provisioner-{name}.yml", *arguments)
        self.printed += [each.said() for each in jobs.values()]
        return jobs


class GitLab(CI):
    """The pipelines that GitLab makes of a project."""

    place = "provisioner-apply"
    idle = "success"
    noteless = "PROVISIONER_NOTE_TOKEN is not set"

    def __init__(self, folder: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess) -> None:
        super().__init__("gitlab", folder, machine, forge, server)
        jobs = self.developer.folder / ".gitlab" / "provisioner.gitlab-ci.yml"
        jobs.write_text(jobs.read_text().replace('PLACEHOLDERS: ""', "PLACEHOLDERS: HOOK_*").replace('"900"', '"0"'))
        self.developer.commit("Say what placeholders may read")
        secrets = {**SECRETS, "PROVISIONER_IDENTITY": self.developer.identity, "PROVISIONER_PUSH_TOKEN": WRITES}
        self.runner = pipeline.Runner(self.folder, forge, machine, secrets)

    def proposed(self, branch: str, *accounts: str, fork: bool = False) -> pipeline.Job:
        self.developer.propose(branch, *accounts)
        variables = {
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": "1",
            "CI_MERGE_REQUEST_PROJECT_URL": self.forge.remote.replace("://", f"://x:{READS}@").removesuffix(".git"),
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        }
        variables |= {"CI_PROJECT_ID": "2"} if fork else {"PROVISIONER_NOTE_TOKEN": WRITES}
        return self.runner.run(branch, "merge_request_event", "provisioner-plan", variables)

    def applied(self, happens: Happens | None = None, *, begins: bool | None = None) -> pipeline.Job:
        if self.developer.state() is None if begins is None else begins:
            return self.runner.run("main", "web", self.place, {"PROVISIONER_NEW_STATE": "yes"}, happens)
        return self.runner.run("main", "push", self.place, {}, happens)

    def applied_again(self) -> pipeline.Job:
        first = next(each for each in self.runner.pipelines if self.place in each.jobs)
        return self.runner.run_job(first, self.place, Happens())

    def reconcile(self) -> pipeline.Job:
        return self.runner.run("main", "schedule", "provisioner-reconcile", {})

    def overview(self, night: Done) -> str:
        (made,) = (each for run in self.runner.pipelines for each in run.jobs.values() if each is night)
        return (made.artifacts / "provisioner-status.html").read_text()

    def public(self) -> list[str]:
        printed = [each.said() for run in self.runner.pipelines for each in run.jobs.values()]
        kept = [path for path in self.folder.glob("artifacts-*/*") if path.is_file()]
        return [*printed, *(path.read_text() for path in kept)]
