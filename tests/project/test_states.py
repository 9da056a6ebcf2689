"""One state that several machines share: moves, races, recovery after a killed run, and restores."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import provisioner
from provisioner.errors import (
    CommandInvalid,
    ExitCode,
    ProvisionerError,
    StateConflict,
    StateForeign,
    StateInvalid,
    StateLocked,
    StateRolledBack,
)
from provisioner.model.state import Pending
from provisioner.state import codec
from provisioner.state.holder import Holder
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox
from tests.project.opened import Heard, having, opened
from tests.state.stores.remotes import GIT, git, new_remote

if TYPE_CHECKING:
    from tests.state.stores.cluster import Cluster
    from tests.state.stores.storage import Storage

TWO: Final = ("paris", "rome")
OTHER: Final = Holder(1, "another", "ada", "2026-01-02T03:04:05Z")


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox()


@dataclass(frozen=True, slots=True)
class Shared:
    """A store that several machines share."""

    address: str
    environ: Mapping[str, str]
    enter: Callable[[Path], None]
    """Gives a project's folder access to it."""
    put_back: Callable[[Path, bytes], None]
    """Writes a document there by hand, from a separate folder."""


@pytest.fixture
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Shared:
    """The store of a test's state, by default in git."""
    if getattr(request, "param", "git") == "git":
        return in_git(new_remote(tmp_path / "remote.git"))
    if request.param == "s3":
        return in_objects(request.getfixturevalue("seaweed"))
    return in_postgres(request.getfixturevalue("cluster"))


EVERYWHERE: Final = pytest.mark.parametrize("shared", ["git", "postgres", "s3"], indirect=True)


def in_git(remote: Path) -> Shared:
    def enter(folder: Path) -> None:
        git(folder, "init", "--quiet")
        git(folder, "remote", "add", "origin", str(remote))

    def put_back(folder: Path, raw: bytes) -> None:
        git(remote, "clone", "--quiet", "--branch", "provisioner-state", str(remote), str(folder))
        (folder / "default.json").write_bytes(raw)
        git(folder, "commit", "--quiet", "--all", "--message", "By hand")
        git(folder, "push", "--quiet", "origin", "HEAD:provisioner-state")

    return Shared("git:origin/provisioner-state/{parent}.json", GIT, enter, put_back)


def in_postgres(cluster: Cluster) -> Shared:
    address = f"{cluster.address()}-{{parent}}"

    def put_back(_: Path, raw: bytes) -> None:
        row = address.partition("#")[2].replace("{parent}", "default")
        cluster.sql("UPDATE provisioner_state SET document = %s WHERE parent = %s", raw, row)

    return Shared(address, {"PGPASSWORD": cluster.password}, lambda _: None, put_back)


def in_objects(storage: Storage) -> Shared:
    folder = storage.address().removesuffix("/acme")

    def put_back(_: Path, raw: bytes) -> None:
        bucket, place = storage.bucket(), f"{folder.split('/', 3)[3]}/default"
        newest = max(each for each in bucket.names(place) if each[0].isdigit())
        bucket.put(f"{place}/{int(newest[:8]) + 1:08d}.json", raw)

    return Shared(f"{folder}/{{parent}}", storage.environ, lambda _: None, put_back)


def reaching(mine: Project, shared: Shared) -> Project:
    """Return the project with its state in a shared store."""
    shared.enter(mine.folder)
    return replace(mine, environ={**mine.environ, **shared.environ, "PROVISIONER_STATE": shared.address})


@pytest.fixture
def here(project: NewProject, server: SandboxProcess, shared: Shared) -> Project:
    """A machine whose project keeps its state in a shared store."""
    return reaching(project(server, TWO), shared)


def another(mine: Project, root: Path) -> Project:
    """Return another machine: its own clone, and a home with only the identity."""
    shutil.copytree(mine.folder, root / "project")
    theirs = replace(
        mine,
        root=root,
        environ={
            **mine.environ,
            "HOME": str(root / "home"),
            "XDG_CONFIG_HOME": str(root / "home" / "config"),
            "XDG_STATE_HOME": str(root / "home" / "state"),
        },
    )
    theirs.identity_path.parent.mkdir(parents=True)
    shutil.copy(mine.identity_path, theirs.identity_path)
    return theirs


@pytest.fixture
def there(here: Project, tmp_path: Path) -> Project:
    return another(here, tmp_path / "there")


def in_a_file(mine: Project) -> str:
    """Return the default address of a state, independent of the current folder."""
    return str(mine.folder / "state" / "{parent}.json")


def outcomes(reports: object) -> dict[str, str]:
    return {each.name: each.result.value for report in reports.reports for each in report.outcomes}  # type: ignore[attr-defined]


def refused(project: provisioner.Project) -> str:
    """Return the error on ending a missing lease, which names the run that holds one."""
    with pytest.raises(CommandInvalid) as caught:
        project.unlock("another")
    return caught.value.message


# ── Two machines ─────────────────────────────────────────────────────────────


def test_another_machine_sees_the_accounts_of_the_first(here: Project, there: Project, server: SandboxProcess) -> None:
    mine, theirs = opened(here), opened(there)
    assert {"paris": "created", "rome": "created"} == outcomes(mine.apply(mine.plan()))
    assert {"paris": "unchanged", "rome": "unchanged"} == outcomes(theirs.apply(theirs.plan()))
    assert 2 == len(server.accounts())
    assert not here.state_path.exists()
    exported = theirs.open_credentials(TWO)
    assert all(server.accepts(each.content.credentials) for each in exported if each.content.credentials)


def test_a_plan_reads_the_branch_without_a_secret(here: Project, there: Project) -> None:
    mine = opened(here)
    mine.apply(mine.plan())
    theirs = opened(there, environ={name: text for name, text in there.environ.items() if "OCTOPUSH_API_K" not in name})
    assert (0, 0) == (theirs.plan().creates, theirs.plan().updates)


@EVERYWHERE
def test_two_machines_that_apply_at_once_create_nothing_twice(
    here: Project, there: Project, server: SandboxProcess
) -> None:
    start, reports = threading.Barrier(2), list[object]()

    def race(project: provisioner.Project) -> None:
        plans = project.plan()
        start.wait()
        try:
            reports.append(project.apply(plans))
        except ProvisionerError as error:
            reports.append(error)

    racers = [threading.Thread(target=race, args=(opened(each),)) for each in (here, there)]
    for each in racers:
        each.start()
    for each in racers:
        each.join()
    assert {*TWO} == {each["first_name"] for each in server.accounts()}
    assert 2 == len(server.accounts())
    status = opened(here).status()[0].state
    assert status is not None
    assert {"paris": "active", "rome": "active"} == {name: each.status for name, each in status.accounts.items()}


@EVERYWHERE
def test_another_machine_continues_a_killed_run(
    project: NewProject, sandbox: StartSandbox, shared: Shared, tmp_path: Path
) -> None:
    server = sandbox("--latency", "60")
    mine = having(reaching(project(server, TWO), shared), PROVISIONER_TIMEOUT="1", PROVISIONER_ATTEMPTS="1")
    theirs = opened(another(mine, tmp_path / "there"))
    with mine.start("apply", "--yes", "--new-state") as process:
        # The run takes its lease around the first save, then sends a request.
        while "It is held by" not in refused(theirs):
            assert process.poll() is None
        process.kill()
    state = theirs.status()[0].state
    assert state is not None
    assert isinstance(state.accounts["paris"], Pending)
    with pytest.raises(StateLocked, match="The state is held by process") as caught:
        theirs.recover(accept_state=False)
    lease = caught.value.hint.split("unlock ")[1].split("`")[0]
    with pytest.raises(CommandInvalid, match=f"with the lease {lease}"):
        theirs.unlock("another")
    theirs.unlock(lease)
    plans = theirs.plan()
    reports = theirs.apply(plans)
    assert ExitCode.OUTCOME_UNKNOWN is reports.exit_code
    assert "unknown" == outcomes(reports)["paris"]


# ── A state that moves ───────────────────────────────────────────────────────


@EVERYWHERE
def test_a_state_in_a_file_moves_and_leaves_a_note(
    here: Project, there: Project, shared: Shared, server: SandboxProcess
) -> None:
    before = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    before.apply(before.plan())
    mine = opened(here)
    for _ in range(2):
        (moved,) = mine.migrate_states(in_a_file(here))
        assert (shared.address.replace("{parent}", "default"), 3) == (moved.address, moved.state and moved.state.serial)
    assert {"moved_to": moved.address, "version": 1} == json.loads(here.state_path.read_text())
    # A run with the old setting learns the new address, and creates nothing.
    plans = before.plan()
    assert isinstance(plans.failures["default"], StateForeign)
    assert f"has moved to {moved.address}" in plans.failures["default"].message
    theirs = opened(there)
    assert {"paris": "unchanged", "rome": "unchanged"} == outcomes(theirs.apply(theirs.plan()))
    assert 2 == len(server.accounts())
    # The history moves too, and continues at the new address.
    theirs.forget("paris", force=True)
    (found,) = theirs.history()
    assert [("paris", "forget"), ("rome", "create"), ("paris", "create")] == [
        (each.name, each.operation) for each in found.entries
    ]


def test_a_state_never_replaces_another_when_it_moves(here: Project, there: Project) -> None:
    mine = opened(here)
    mine.apply(mine.plan())
    local = opened(there, environ={**there.environ, "PROVISIONER_STATE": in_a_file(there)})
    local.apply(local.plan())
    with pytest.raises(StateForeign, match="they are different states"):
        opened(there).migrate_states(in_a_file(there))
    assert (
        there.state_path.read_bytes()
        == opened(there, environ={**there.environ, "PROVISIONER_STATE": in_a_file(there)}).pull_state()
    )


def test_a_state_with_a_rescued_outcome_does_not_move(here: Project) -> None:
    local = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    local.apply(local.plan())
    here.state_path.with_name("default.json.rescue").write_bytes(b"provisioner-rescue {}\n")
    with pytest.raises(StateConflict, match="There is a rescued outcome in"):
        opened(here).migrate_states(in_a_file(here))
    with pytest.raises(StateConflict, match="There is no state of the parent default at git:"):
        opened(here).pull_state()


def test_a_state_can_move_back_and_replace_its_note(here: Project, shared: Shared) -> None:
    local = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    local.apply(local.plan())
    opened(here).migrate_states(in_a_file(here))
    (moved,) = local.migrate_states(shared.address)
    assert ({"paris": "unchanged", "rome": "unchanged"}, str(here.state_path)) == (
        outcomes(local.apply(local.plan())),
        moved.address,
    )
    assert isinstance(opened(here).plan().failures["default"], StateForeign)
    # The old store shows no run at work.
    assert "It is held by" not in refused(opened(here))


@pytest.mark.parametrize("is_older", [False, True])
def test_undo_move_replaces_the_note_if_the_new_place_is_lost(
    here: Project, tmp_path: Path, server: SandboxProcess, *, is_older: bool
) -> None:
    local = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    local.apply(local.plan())
    older = local.pull_state()
    opened(here).migrate_states(in_a_file(here))
    (here.folder / "manifests" / "more.yaml").write_text(
        "version: 1\naccounts: [{name: lima, first_name: Rosa, last_name: Y}]\n"
    )
    elsewhere = opened(here)
    elsewhere.apply(elsewhere.plan())
    copy = elsewhere.pull_state()
    shutil.rmtree(tmp_path / "remote.git")
    with pytest.raises(StateForeign, match="has moved to git:") as caught:
        local.push_state(copy, "copy.json")
    assert "--undo-move" in caught.value.hint
    local.push_state(older if is_older else copy, "copy.json", undo_move=True)
    if is_older:
        # This machine remembers a newer state, and continues only after a person accepts this one.
        assert isinstance(local.plan().failures["default"], StateRolledBack)
        local.recover(accept_state=True)
        assert ["lima"] == [each.name for each in local.plan().plans[0].creates]
    else:
        assert {"lima", "paris", "rome"} == {*outcomes(local.apply(local.plan()))}
        assert 3 == len(server.accounts())


def test_an_interrupted_move_completes_unless_both_copies_were_used(
    here: Project,
) -> None:
    file = in_a_file(here)
    local = opened(here, environ={**here.environ, "PROVISIONER_STATE": file})
    local.apply(local.plan())
    mine, before = opened(here), local.pull_state()
    mine.migrate_states(file)
    # A kill before the note leaves the old copy unchanged.
    here.state_path.write_bytes(before)
    (moved,) = mine.migrate_states(file)
    assert {"moved_to": moved.address, "version": 1} == json.loads(here.state_path.read_text())
    state = codec.decode(before, "")
    paris = state.accounts["paris"]
    lima = replace(paris, operation=replace(paris.operation, id="of-another"), first_operation=None)
    used = replace(state, serial=9, accounts={"paris": paris, "lima": lima})
    for now, lost in (used, "only git:.* has rome"), (replace(used, serial=2), "only /.* has lima"):
        here.state_path.write_bytes(codec.encode(now))
        with pytest.raises(StateConflict, match=lost):
            mine.migrate_states(file)
        assert state == codec.decode(mine.pull_state(), "")
        assert now == codec.decode(here.state_path.read_bytes(), "")


def test_the_state_of_another_parent_does_not_move(here: Project) -> None:
    local = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    local.apply(local.plan())
    here.state_path.write_bytes(codec.encode(replace(codec.decode(local.pull_state(), ""), parent="acme")))
    with pytest.raises(StateForeign, match="is the state of the parent acme, not of default"):
        opened(here).migrate_states(in_a_file(here))


def test_a_push_warns_if_this_machine_cannot_remember_the_state(here: Project) -> None:
    local = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    local.apply(local.plan())
    shutil.rmtree(here.root / "home" / "state")
    (here.root / "home" / "state").touch()
    heard = Heard()
    again = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    again.push_state(again.pull_state(), "itself.json", reporter=heard)
    assert any("cannot remember the state" in each for each in heard.warnings)


def test_a_command_creates_the_tables_in_postgresql(
    project: NewProject, server: SandboxProcess, cluster: Cluster
) -> None:
    cluster.sql("CREATE DATABASE unprepared OWNER applies", database="postgres")
    place = cluster.address(database="unprepared", row="{parent}")
    mine = having(project(server, TWO), PROVISIONER_STATE=place, PGPASSWORD=cluster.password)
    done = mine.run("plan")
    assert (5, "") == (done.returncode, done.stdout)
    assert "`provisioner state migrate` creates them" in done.stderr
    address = place.replace("{parent}", "default")
    for expected in "The tables were created", "Everything that it needs exists already":
        done = mine.run("state", "migrate")
        assert (0, f"{expected}: {address}\n") == (done.returncode, done.stderr)
    assert 0 == mine.run("apply", "--yes").returncode
    history = mine.run("state", "history").stdout
    assert "rome: active" in history
    assert cluster.password not in history


# ── Restoring old states ─────────────────────────────────────────────────────


@EVERYWHERE
def test_an_old_state_is_refused_and_the_newest_is_restored_from_the_history(
    here: Project, there: Project, shared: Shared, server: SandboxProcess
) -> None:
    mine, theirs = opened(here), opened(there)
    mine.apply(mine.plan())
    assert [3, 2, 1] == [each.serial for each in mine.state_history()]
    shared.put_back(here.root / "by-hand", mine.state_revision(1))
    for project in (mine, theirs):
        assert isinstance(project.plan().failures["default"], StateRolledBack)
        with pytest.raises(StateRolledBack):
            project.push_state(project.state_revision(2), "older.json")
    newest = theirs.state_revision(3)
    assert 3 == codec.decode(newest, "").serial
    pushed = theirs.push_state(newest, "newest.json")
    assert ("default", "newest.json") == (pushed.parent, pushed.origin)
    for project in (mine, theirs):
        assert {"paris": "unchanged", "rome": "unchanged"} == outcomes(project.apply(project.plan()))
    assert 2 == len(server.accounts())


def test_a_damaged_state_can_be_replaced(here: Project, shared: Shared) -> None:
    mine = opened(here)
    mine.apply(mine.plan())
    whole = mine.pull_state()
    shared.put_back(here.root / "by-hand", whole + b"<<<<<<< HEAD\n")
    assert isinstance(mine.plan().failures["default"], StateInvalid)
    mine.push_state(whole, "whole.json")
    assert {"paris": "unchanged", "rome": "unchanged"} == outcomes(mine.apply(mine.plan()))


@pytest.mark.parametrize(
    ("change", "error"),
    [({"lineage": "of another"}, StateForeign), ({"parent": "acme"}, StateForeign), ({"serial": 2}, StateRolledBack)],
    ids=["lineage", "parent", "serial"],
)
def test_another_or_an_older_state_is_not_pushed(
    here: Project, change: dict[str, object], error: type[ProvisionerError]
) -> None:
    mine = opened(here)
    mine.apply(mine.plan())
    before = mine.pull_state()
    with pytest.raises(error):
        mine.push_state(json.dumps(json.loads(before) | change).encode(), "other.json")
    assert before == mine.pull_state()


def test_a_state_in_a_file_has_no_history_and_nothing_to_unlock(here: Project) -> None:
    local = opened(here, environ={**here.environ, "PROVISIONER_STATE": in_a_file(here)})
    local.apply(local.plan())
    with pytest.raises(CommandInvalid, match="keeps no earlier saves"):
        local.state_history()
    with pytest.raises(CommandInvalid, match="No run holds"):
        local.unlock("abc")
    local.push_state(local.pull_state(), "itself.json")
    assert {"paris": "unchanged", "rome": "unchanged"} == outcomes(local.apply(local.plan()))
