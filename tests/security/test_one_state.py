"""One Octopush account has one state: a second one would have everything created again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import ExitCode, ProvisionerError, StateForeign, StateLocked, StateRolledBack
from provisioner.project.bounds import Bounds
from tests.conftest import Project, SandboxProcess, StartSandbox, running_sandboxes
from tests.project.opened import Heard, accounts_of, folders, having, key_of, many, opened, results, state_of


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSandbox]:
    with running_sandboxes(tmp_path_factory.mktemp("sandbox")) as start:
        yield start


@pytest.fixture
def server(start: StartSandbox) -> SandboxProcess:
    return start(*accounts_of("acme", "globex"))


@pytest.fixture
def mine(server: SandboxProcess, tmp_path: Path) -> Project:
    """Return a project whose two accounts exist."""
    made = many(server, tmp_path / "mine", {"acme": ("paris", "rome")})
    assert 0 == apply(made)
    return made


def apply(mine: Project, *, new_state: bool = True) -> int:
    """Apply the project's manifests, and return the exit code."""
    this = opened(mine)
    return int(this.apply(this.plan(), bounds=Bounds(new_state=new_state)).exit_code)


def refused(mine: Project, server: SandboxProcess, kind: type[ProvisionerError] = StateForeign) -> ProvisionerError:
    """Return the error with which an apply ends that sends nothing and makes no state."""
    before = server.requests(), set(mine.root.rglob("*.json"))
    with pytest.raises(kind) as caught:
        apply(mine)
    assert before == (server.requests(), set(mine.root.rglob("*.json")))
    return caught.value


def test_a_second_state_of_one_account_is_refused_wherever_it_would_be(mine: Project, server: SandboxProcess) -> None:
    elsewhere = having(mine, PROVISIONER_STATE=str(mine.folder / "var/{parent}.json"))
    error = refused(elsewhere, server)
    assert str(mine.folder / "state" / "acme.json") in error.message
    assert "Nothing was sent." in error.hint
    # That a state may be begun does not say that a second one may.
    assert 0 == apply(mine, new_state=False)
    # A person says that the other is lost.
    opened(elsewhere).recover(accept_state=True)
    assert 0 == apply(elsewhere)
    assert 4 == len(server.accounts())
    assert (0, 0) == (apply(mine), apply(elsewhere))


def test_a_renamed_parent_does_not_begin_again(mine: Project, server: SandboxProcess) -> None:
    settings, table = mine.folder / "provisioner.yaml", mine.folder / "manifests" / "accounts.csv"
    settings.write_text(settings.read_text().replace('"acme"', '"acme-eu"'))
    table.write_text(table.read_text().replace(",acme\n", ",acme-eu\n"))
    assert "give the parent its old name" in refused(mine, server).hint


def test_what_came_to_nothing_stands_in_nobodys_way(server: SandboxProcess, tmp_path: Path) -> None:
    tried = many(server, tmp_path / "tried", {"acme": ("paris",)})
    # With another's login by mistake, and no key for it: a state is there, and none of its accounts.
    wrong = having(tried, ACME_LOGIN="globex@example.com")
    assert ExitCode.SETTING_INVALID == apply(wrong)
    assert state_of(tried, "acme").exists()
    theirs = many(server, tmp_path / "theirs", {"globex": ("rome",)})
    this = opened(theirs, folders=folders(tried))
    assert 0 == this.apply(this.plan()).exit_code
    # Nor does its loss: nothing would be created again.
    state_of(tried, "acme").unlink()
    assert 0 == apply(tried)


def test_two_parents_of_one_file_do_not_have_one_account(server: SandboxProcess, tmp_path: Path) -> None:
    both = many(server, tmp_path / "both", {"acme": ("paris",), "globex": ("rome",)})
    same = having(both, GLOBEX_LOGIN="Acme@Example.com", GLOBEX_KEY=key_of("acme"))
    this = opened(same)
    reports = this.apply(this.plan())
    assert {"acme": {"paris": "not_attempted"}, "globex": {"rome": "not_attempted"}} == results(reports)
    assert {"The parents acme, globex have the same login at Octopush."} == {
        each.failure.message for each in reports.reports if each.failure is not None
    }
    assert (5, []) == (reports.exit_code, server.requests())
    # Of two accounts each has its own.
    assert 0 == apply(both)


def test_one_parent_alone_is_refused_for_the_other_that_has_its_account(server: SandboxProcess, tmp_path: Path) -> None:
    both = many(server, tmp_path / "both", {"acme": ("paris",), "globex": ("rome",)})
    same = having(both, GLOBEX_LOGIN="acme@example.com")
    this = opened(same)
    with pytest.raises(StateForeign, match="have the same login"):
        this.apply(this.plan(parents=["acme"]))
    # What cannot be read here is nobody's: a run for one parent needs no other's variables.
    unread = replace(both, environ={name: each for name, each in both.environ.items() if "GLOBEX" not in name})
    this = opened(unread)
    assert 0 == this.apply(this.plan(parents=["acme"])).exit_code


def copy_of(mine: Project, root: Path) -> Project:
    """Return a copy of the project, as ``cp -r`` or a git worktree makes one, of the same person."""
    shutil.copytree(mine.folder, root / "project")
    return replace(mine, root=root)


def test_of_two_copies_at_work_one_waits(mine: Project, server: SandboxProcess, tmp_path: Path) -> None:
    copy = opened(copy_of(mine, tmp_path / "copy"), folders=folders(mine))
    for folder in (mine.folder, tmp_path / "copy" / "project"):
        (folder / "manifests" / "more.csv").write_text("name,first_name,last_name,parent\noslo,A,B,acme\n")
    plans, before = copy.plan(), len(server.accounts())
    failures: list[ProvisionerError | None] = []

    class AtWork(Heard):
        def started(self, *_: object) -> None:
            """Let the copy begin while this one is at work."""
            failures.append(copy.apply(plans).reports[0].failure)

    this = opened(mine)
    assert 0 == this.apply(this.plan(), reporter=AtWork()).exit_code
    # Afterwards it is behind, and is refused for that.
    failures.append(copy.apply(plans).reports[0].failure)
    assert {StateLocked} == {type(each) for each in failures[:-1]}
    assert isinstance(failures[-1], StateRolledBack)
    assert f"at {mine.folder}/state/acme.json" in str(failures[-1])
    assert before + 1 == len(server.accounts())


def test_a_damaged_memory_stops_nobody_and_is_said(mine: Project) -> None:
    seen = mine.root / "home" / "state" / "octopush-provisioner" / "seen"
    assert 3 <= len([path.write_bytes(b"\0" * 10) for path in seen.iterdir() if path.suffix != ".lock"])
    heard = Heard()
    this = opened(mine)
    assert 0 == this.apply(this.plan(reporter=heard), reporter=heard).exit_code
    assert {True} == {"this machine's record of its states is incomplete" in each for each in heard.warnings}
    heard.warnings.clear()
    this = opened(mine)
    assert 0 == this.apply(this.plan(reporter=heard), reporter=heard).exit_code
    assert [] == heard.warnings


def test_what_is_remembered_confirms_no_login(mine: Project) -> None:
    seen = mine.root / "home" / "state" / "octopush-provisioner" / "seen"
    for path in seen.iterdir():
        assert 0o600 == path.stat().st_mode & 0o777
        assert b"acme@example.com" not in path.read_bytes()
    accounts = [path.name for path in seen.glob("account-*")]
    (seen / "key").write_bytes(bytes(32))
    assert 0 == apply(mine)
    # Another key, another name: nobody finds the mark by the login alone.
    assert 2 == len({*accounts, *(path.name for path in seen.glob("account-*"))})
