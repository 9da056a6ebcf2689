"""Two machines apply one manifest to one remote state at once, repeatedly: no account twice, none lost.

``RACES=1000`` runs as many; a usual run has a few.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pytest

import provisioner
from provisioner import Bounds, Folders
from provisioner.errors import ProvisionerError
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox
from tests.project.opened import opened
from tests.state.stores.remotes import GIT, git, new_remote

ROUNDS: Final = int(os.environ.get("RACES", "2"))
NAMES: Final = ("paris", "rome")
Place = Callable[[pytest.FixtureRequest, Sequence[Project]], tuple[str, Mapping[str, str]]]


def in_git(_: pytest.FixtureRequest, projects: Sequence[Project]) -> tuple[str, Mapping[str, str]]:
    """Make the projects clones of one remote."""
    remote = new_remote(projects[0].root / "remote.git")
    for each in projects:
        git(each.folder, "init", "--quiet")
        git(each.folder, "remote", "add", "origin", str(remote))
    return "git:origin/provisioner-state/{round}/{{parent}}.json", GIT


def in_postgres(request: pytest.FixtureRequest, _: Sequence[Project]) -> tuple[str, Mapping[str, str]]:
    cluster = request.getfixturevalue("cluster")
    return f"{cluster.address()}/{{round}}/{{{{parent}}}}", {"PGPASSWORD": cluster.password}


def in_objects(fixture: str) -> Place:
    def made(request: pytest.FixtureRequest, _: Sequence[Project]) -> tuple[str, Mapping[str, str]]:
        storage = request.getfixturevalue(fixture)
        return f"{storage.address().removesuffix('/acme')}/{{round}}/{{{{parent}}}}", storage.environ

    return made


PLACES: Final[Mapping[str, Place]] = {
    "git": in_git,
    "postgres": in_postgres,
    "s3": in_objects("seaweed"),
    "azure": in_objects("azurite"),
}
"""Each function returns the address of a state for each round, and the variables that it needs."""


def raced(mine: provisioner.Project, theirs: provisioner.Project) -> list[str]:
    """Apply both at once, and return the errors of the loser."""
    start, codes = threading.Barrier(2), list[str]()

    def apply(project: provisioner.Project) -> None:
        plans = project.plan()
        start.wait()
        try:
            reports = project.apply(plans, bounds=Bounds(new_state=True))
        except ProvisionerError as error:
            codes.append(type(error).__name__)
        else:
            failures = [each.failure or each.stop for each in reports.reports]
            codes.extend(each.exit_code.name for each in failures if each is not None)

    racers = [threading.Thread(target=apply, args=(project,)) for project in (mine, theirs)]
    for each in racers:
        each.start()
    for each in racers:
        each.join()
    return codes


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.timeout(120 + ROUNDS * 10)
def test_two_racing_machines_create_nothing_twice_and_lose_nothing(
    sandbox: StartSandbox, project: NewProject, request: pytest.FixtureRequest, place: str
) -> None:
    server = sandbox("--limit", str(10 * ROUNDS + 20))
    mine, theirs = project(server, NAMES), project(server, NAMES)
    (theirs.folder / "manifests" / "accounts.yaml").write_text(
        (mine.folder / "manifests" / "accounts.yaml").read_text()
    )
    theirs.identity_path.write_text(mine.identity_path.read_text())
    address, variables = PLACES[place](request, (mine, theirs))
    reasons: Counter[str] = Counter()
    for number in range(ROUNDS):
        environ = {**mine.environ, **variables, "PROVISIONER_STATE": address.format(round=number)}
        machines = [
            # Otherwise the machine would remember the last round's state and refuse the next.
            opened(each, environ=environ, folders=Folders(each.identity_path.parent, each.root / f"home-{number}"))
            for each in (mine, theirs)
        ]
        reasons.update(each.split(":")[0][:60] for each in raced(*machines))
        require_one_of_each(server, machines[0], number)
    print(f"{ROUNDS} races in {place}; what ended the other: {dict(reasons)}")  # noqa: T201  # the figure is asked for


def require_one_of_each(server: SandboxProcess, project: provisioner.Project, number: int) -> None:
    """Check that each account of the round exists once, and that its credentials work."""
    state = project.status()[0].state
    assert state is not None
    assert dict.fromkeys(NAMES, "active") == {name: each.status for name, each in state.accounts.items()}, number
    assert len(NAMES) * (number + 1) == len(server.accounts())
    for each in project.open_credentials(NAMES):
        assert each.content.credentials is not None
        assert server.accepts(each.content.credentials)
