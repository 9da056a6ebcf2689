"""One Octopush account has one state: with a second one, everything would be created again."""

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
    """Return the error of an apply, which must send nothing and create no state."""
    before = server.requests(), set(mine.root.rglob("*.json"))
    with pytest.raises(kind) as caught:
        apply(mine)
    assert before == (server.requests(), set(mine.root.rglob("*.json")))
    return caught.value


def test_a_second_state_of_one_octopush_account_is_refused_wherever_it_is(
    mine: Project, server: SandboxProcess
) -> None:
    elsewhere = having(mine, PROVISIONER_STATE=str(mine.folder / "var/{parent}.json"))
    error = refused(elsewhere, server)
    assert str(mine.folder / "state" / "acme.json") in error.message
    assert "Nothing was sent." in error.hint
    # --new-state does not allow a second state.
    assert 0 == apply(mine, new_state=False)
    # A person says that the other is lost.
    opened(elsewhere).recover(accept_state=True)
    assert 0 == apply(elsewhere)
    assert 4 == len(server.accounts())
    assert (0, 0) == (apply(mine), apply(elsewhere))


def test_a_renamed_parent_does_not_start_a_new_state(mine: Project, server: SandboxProcess) -> None:
    settings, table = mine.folder / "provisioner.yaml", mine.folder / "manifests" / "accounts.csv"
    settings.write_text(settings.read_text().replace('"acme"', '"acme-eu"'))
    table.write_text(table.read_text().replace(",acme\n", ",acme-eu\n"))
    assert "give the parent its old name" in refused(mine, server).hint


def test_a_failed_attempt_blocks_nobody(server: SandboxProcess, tmp_path: Path) -> None:
    tried = many(server, tmp_path / "tried", {"acme": ("paris",)})
    # With another parent's login by mistake, and without its key: this leaves a state without accounts.
    wrong = having(tried, ACME_LOGIN="globex@example.com")
    assert ExitCode.SETTING_INVALID == apply(wrong)
    assert state_of(tried, "acme").exists()
    theirs = many(server, tmp_path / "theirs", {"globex": ("rome",)})
    this = opened(theirs, folders=folders(tried))
    assert 0 == this.apply(this.plan()).exit_code
    # Losing that state is harmless too: nothing would be created again.
    state_of(tried, "acme").unlink()
    assert 0 == apply(tried)


def test_two_parents_cannot_share_one_octopush_account(server: SandboxProcess, tmp_path: Path) -> None:
    both = many(server, tmp_path / "both", {"acme": ("paris",), "globex": ("rome",)})
    same = having(both, GLOBEX_LOGIN="Acme@Example.com", GLOBEX_KEY=key_of("acme"))
    this = opened(same)
    reports = this.apply(this.plan())
    assert {"acme": {"paris": "not_attempted"}, "globex": {"rome": "not_attempted"}} == results(reports)
    assert {"The parents acme, globex have the same login at Octopush."} == {
        each.failure.message for each in reports.reports if each.failure is not None
    }
    assert (5, []) == (reports.exit_code, server.requests())
    # With an account each, both work.
    assert 0 == apply(both)


def test_a_run_for_one_parent_is_refused_if_another_has_its_login(server: SandboxProcess, tmp_path: Path) -> None:
    both = many(server, tmp_path / "both", {"acme": ("paris",), "globex": ("rome",)})
    same = having(both, GLOBEX_LOGIN="acme@example.com")
    this = opened(same)
    with pytest.raises(StateForeign, match="have the same login"):
        this.apply(this.plan(parents=["acme"]))
    # A run for one parent does not need the variables of the others.
    unread = replace(both, environ={name: each for name, each in both.environ.items() if "GLOBEX" not in name})
    this = opened(unread)
    assert 0 == this.apply(this.plan(parents=["acme"])).exit_code


def copy_of(mine: Project, root: Path) -> Project:
    """Return a copy of the project for the same person, as ``cp -r`` or a git worktree makes one."""
    shutil.copytree(mine.folder, root / "project")
    return replace(mine, root=root)


def test_only_one_of_two_copies_can_run_at_a_time(mine: Project, server: SandboxProcess, tmp_path: Path) -> None:
    copy = opened(copy_of(mine, tmp_path / "copy"), folders=folders(mine))
    for folder in (mine.folder, tmp_path / "copy" / "project"):
        (folder / "manifests" / "more.csv").write_text("name,first_name,last_name,parent\noslo,A,B,acme\n")
    plans, before = copy.plan(), len(server.accounts())
    failures: list[ProvisionerError | None] = []

    class AtWork(Heard):
        def started(self, *_: object) -> None:
            """Start the copy while this one runs."""
            failures.append(copy.apply(plans).reports[0].failure)

    this = opened(mine)
    assert 0 == this.apply(this.plan(), reporter=AtWork()).exit_code
    # Afterwards the copy is out of date, and refused for that.
    failures.append(copy.apply(plans).reports[0].failure)
    assert {StateLocked} == {type(each) for each in failures[:-1]}
    assert isinstance(failures[-1], StateRolledBack)
    assert f"at {mine.folder}/state/acme.json" in str(failures[-1])
    assert before + 1 == len(server.accounts())


def test_a_damaged_record_of_seen_states_gets_a_warning_and_stops_nobody(mine: Project) -> None:
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


def test_the_record_of_seen_states_confirms_no_login(mine: Project) -> None:
    seen = mine.root / "home" / "state" / "octopush-provisioner" / "seen"
    for path in seen.iterdir():
        assert 0o600 == path.stat().st_mode & 0o777
        assert b"acme@example.com" not in path.read_bytes()
    accounts = [path.name for path in seen.glob("account-*")]
    (seen / "key").write_bytes(bytes(32))
    assert 0 == apply(mine)
    # The file's name depends on the key, so the login alone does not lead to it.
    assert 2 == len({*accounts, *(path.name for path in seen.glob("account-*"))})


def test_a_new_place_is_refused_while_the_old_state_is_in_the_project(
    mine: Project, server: SandboxProcess, tmp_path: Path
) -> None:
    # A CI runner: a fresh checkout, no memory, and a state that may be begun elsewhere.
    runner = copy_of(having(mine, PROVISIONER_STATE=str(tmp_path / "elsewhere" / "{parent}.json")), tmp_path / "runner")
    usual = state_of(runner, "acme")
    error = refused(runner, server)
    assert f"{usual} is a state of the parent acme with 2 accounts." in error.message
    assert f"migrate --from '{usual.parent}/{{parent}}.json'" in error.hint
    heard = Heard()
    assert 2 == opened(runner).plan(reporter=heard).creates
    assert [True] == [error.message in each for each in heard.warnings]
    # Neither the state of another server nor a note of a move stands in the way.
    for harmless in (
        usual.read_text().replace(server.url, "https://api.example.com/v1"),
        '{"version": 1, "moved_to": "git:origin/b/acme.json"}',
    ):
        kept = usual.read_text()
        usual.write_text(harmless)
        opened(runner).plan(reporter=(quiet := Heard()))
        assert [] == quiet.warnings
        usual.write_text(kept)
    # A person says that there shall be two.
    opened(runner).recover(accept_state=True)
    assert 0 == apply(runner)
    assert 4 == len(server.accounts())
    assert 0 == apply(runner, new_state=False)


def test_a_migrated_state_creates_nothing(mine: Project, server: SandboxProcess, tmp_path: Path) -> None:
    runner = copy_of(having(mine, PROVISIONER_STATE=str(tmp_path / "elsewhere" / "{parent}.json")), tmp_path / "runner")
    opened(runner).migrate_states(str(runner.folder / "state" / "{parent}.json"))
    assert 0 == apply(runner, new_state=False)
    assert 2 == len(server.accounts())


def test_plan_and_doctor_warn_of_a_state_that_apply_refuses(
    mine: Project, server: SandboxProcess, tmp_path: Path
) -> None:
    copy = copy_of(mine, tmp_path / "copy")
    shutil.rmtree(copy.folder / "state")
    second = opened(copy, folders=folders(mine))
    heard = [Heard(), Heard()]
    assert 2 == second.plan(reporter=heard[0]).creates
    second.examine(offline=True, reporter=heard[1])
    said = f"This machine knows a state of the same Octopush account at {state_of(mine, 'acme')}"
    assert [[True], [True]] == [[said in each for each in one.warnings] for one in heard]
    # A plan needs no login: then it cannot compare.
    unknown = replace(copy, environ={name: each for name, each in copy.environ.items() if "ACME" not in name})
    opened(unknown, folders=folders(mine)).plan(reporter=(quiet := Heard()))
    assert [] == quiet.warnings
    moved = Heard()
    opened(having(mine, OCTOPUSH_API_URL="http://127.0.0.1:9/v1")).plan(reporter=moved)
    assert [True] == [f"The accounts of this state live at {server.url}" in each for each in moved.warnings]
