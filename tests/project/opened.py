"""Opens projects like a program that uses the library, with one parent or many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import provisioner
from provisioner import Bounds, Folders, Reporter
from provisioner.model.account import Problem
from provisioner.model.report import Outcome
from provisioner.project.plans import Plans
from provisioner.project.reporter import Requested
from provisioner.project.reports import Reports
from provisioner.state.sealing import new_identity
from tests.conftest import Project, environment


class Heard(Reporter):
    """A reporter that records everything."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.problems: list[Problem] = []
        self.outcomes: list[tuple[str, str, str]] = []
        self.requests: list[Requested] = []

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    def problem(self, problem: Problem) -> None:
        self.problems.append(problem)

    def finished(self, parent: str, outcome: Outcome) -> None:
        self.outcomes.append((parent, outcome.name, outcome.result.value))

    def requested(self, request: Requested) -> None:
        self.requests.append(request)


def folders(mine: Project) -> Folders:
    """Return the user folders of the test project."""
    return Folders(mine.identity_path.parent, mine.root / "home" / "state" / "octopush-provisioner")


class _Beginning(provisioner.Project):
    """A project that allows new states by default."""

    def apply(self, plans: Plans, *, bounds: Bounds | None = None, **options: Any) -> Reports:  # noqa: ANN401  # its own
        return super().apply(plans, bounds=bounds or Bounds(new_state=True), **options)


def opened(mine: Project, **options: Any) -> provisioner.Project:  # noqa: ANN401  # those of Project.open
    """Open the project with its own environment and home."""
    usual = {"environ": mine.environ, "folders": folders(mine)}
    return _Beginning.open(mine.folder, **{**usual, **options})


def key_of(parent: str) -> str:
    """Return a parent's API key in the sandbox."""
    return f"key-of-{parent}-7d3f"


def accounts_of(*parents: str, limit: int = 1000) -> list[str]:
    """Return the options of a sandbox that serves ``parents``."""
    return [f"--parent-account={parent}@example.com:{key_of(parent)}:{limit}" for parent in parents]


class Served(Protocol):
    """A server that takes the place of Octopush."""

    @property
    def url(self) -> str:
        """Its address."""


def many(server: Served, root: Path, wanted: Mapping[str, Sequence[str]]) -> Project:
    """Return a project with a parent for each key of ``wanted``, and one table with all accounts."""
    identity, recipient = new_identity()
    environ = environment(root / "home") | {"OCTOPUSH_API_URL": server.url, "PROVISIONER_RECIPIENTS": recipient}
    parents, rows = {}, ["name,first_name,last_name,company_name,parent"]
    for parent, names in wanted.items():
        variable = parent.upper().replace("-", "_")
        environ |= {f"{variable}_LOGIN": f"{parent}@example.com", f"{variable}_KEY": key_of(parent)}
        parents[parent] = {"api_login": f"${{env:{variable}_LOGIN}}", "api_key": f"${{env:{variable}_KEY}}"}
        rows += [f"{name},{name},{parent},{root.name},{parent}" for name in names]
    for name in ("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY"):
        del environ[name]
    mine = Project(root, tuple(wanted), environ)
    mine.identity_path.parent.mkdir(parents=True)
    mine.identity_path.touch(mode=0o600)
    mine.identity_path.write_text(f"{identity.reveal()}\n")
    (mine.folder / "manifests").mkdir(parents=True)
    (mine.folder / "manifests" / "accounts.csv").write_text("\n".join(rows) + "\n")
    (mine.folder / "provisioner.yaml").write_text(json.dumps({"parents": parents}))
    return mine


def having(mine: Project, **environ: str) -> Project:
    """Return the project with other environment variables."""
    return replace(mine, environ={**mine.environ, **environ})


def state_of(mine: Project, parent: str) -> Path:
    """Return the path of a parent's state."""
    return mine.folder / "state" / f"{parent}.json"


def results(reports: Reports) -> dict[str, dict[str, str]]:
    """Return the result of each account, by parent and name."""
    return {
        report.parent: {outcome.name: outcome.result.value for outcome in report.outcomes} for report in reports.reports
    }
