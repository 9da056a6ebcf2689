"""One run's hold on a state, from the lock to the last mark."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from provisioner.errors import (
    ExitCode,
    ProvisionerError,
    StateConflict,
    StateError,
    StateForeign,
    StateInvalid,
    StateLocked,
    StateMoved,
    StateNotSaved,
    StateRolledBack,
)
from provisioner.model.state import State
from provisioner.state import codec
from provisioner.state.disk import Disk
from provisioner.state.lock import Holder, held
from provisioner.state.reading import read
from provisioner.state.rescue import Entry, Rescue, found_in
from provisioner.state.seen import Seen
from provisioner.state.session import Session, check_parent, opened
from provisioner.state.store import LocalStore, MemoryStore
from tests.forks import exit_code_of
from tests.state import (
    ACTIVE,
    LATER,
    PENDING,
    STATE,
    ScriptedDisk,
    die,
    full,
    needs_mounts,
    of_operation,
    with_read_only,
)

HOLDER = Holder(4711, "laptop", "ada", "2026-01-02T03:04:05Z")
PARIS = Entry("lineage-1", "default", "lima", "op-1", ACTIVE)


def never(seconds: float) -> None:
    raise AssertionError(f"It slept for {seconds} seconds.")


@dataclass(frozen=True, slots=True)
class Project:
    """A state's place, a home to remember it in, and what was said."""

    path: Path
    seen: Seen
    stderr: io.StringIO = field(default_factory=io.StringIO)
    warnings: list[str] = field(default_factory=list)

    @property
    def rescue_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.rescue")

    @property
    def lock_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    def rescue(self, disk: Disk | None = None) -> Rescue:
        return Rescue(self.rescue_path, self.stderr, disk)

    @contextmanager
    def opened(
        self,
        store: LocalStore | None = None,
        *,
        parent: str = "default",
        rescue: Rescue | None = None,
        accept: bool = False,
    ) -> Iterator[Session]:
        with opened(
            store or LocalStore(self.path),
            parent=parent,
            holder=HOLDER,
            lock_timeout=0,
            sleep=never,
            rescue=rescue or self.rescue(),
            seen=self.seen,
            warn=self.warnings.append,
            accept=accept,
        ) as session:
            yield session

    def saved(self, state: State) -> None:
        """Save ``state`` as a run would."""
        with self.opened() as session:
            session.save(state)

    def found(self) -> State | None:
        """Return the state as it is on the disk."""
        return LocalStore(self.path).load()[0]

    def names(self) -> list[str]:
        return sorted(each.name for each in self.path.parent.iterdir())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project" / "state" / "default.json", Seen(tmp_path / "home" / "seen"))


# ── Holding ──────────────────────────────────────────────────────────────────


def test_a_first_run_finds_no_state_and_makes_its_folder(project: Project) -> None:
    with project.opened() as session:
        assert session.state is None
        assert ["default.json.lock"] == project.names()
    assert [] == project.warnings


def test_what_a_run_saves_the_next_one_finds(project: Project) -> None:
    with project.opened() as session:
        session.save(STATE)
        assert STATE == session.state
        session.save(LATER)
        assert LATER == session.state
    with project.opened() as session:
        assert LATER == session.state
    assert [] == project.warnings
    assert ["default.json", "default.json.lock"] == project.names()


class Watched(LocalStore):
    """A store that tells whether its state was held when it was loaded."""

    held: bool | None = None

    def load(self) -> tuple[State | None, str]:
        try:
            with held(self.path.with_name(f"{self.path.name}.lock"), HOLDER, timeout=0, sleep=never):
                self.held = False
        except StateLocked:
            self.held = True
        return super().load()


def test_the_state_is_held_before_it_is_loaded(project: Project) -> None:
    store = Watched(project.path)
    with project.opened(store):
        assert store.held is True
    store.load()
    assert store.held is False


def test_a_second_run_is_refused_and_disturbs_nothing(project: Project) -> None:
    with project.opened() as session:
        session.save(STATE)
        session.reserve()
        leftover = project.path.with_name(".default.json.0123.tmp")
        leftover.touch()
        before = project.names()
        with pytest.raises(StateLocked), project.opened():
            pass
        assert before == project.names()
        leftover.unlink()
        session.save(LATER)
    assert LATER == project.found()


def test_a_run_that_fails_lets_go_and_leaves_what_it_saved(project: Project) -> None:
    def run() -> None:
        with project.opened() as session:
            session.save(STATE)
            session.reserve()
            project.path.write_bytes(codec.encode(LATER))
            session.save(STATE)

    with pytest.raises(StateMoved):
        run()
    assert ["default.json", "default.json.lock"] == project.names()
    with project.opened() as session:
        assert LATER == session.state


def test_a_folder_that_cannot_be_made_is_an_error_of_the_state(project: Project) -> None:
    project.path.parent.parent.touch()
    with pytest.raises(StateError) as caught, project.opened():
        pass
    assert f"The folder {project.path.parent} cannot be made: " in caught.value.message
    assert "Nothing was sent." in caught.value.hint
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


@pytest.mark.parametrize("accept", [False, True])
def test_the_state_of_another_parent_is_refused(project: Project, *, accept: bool) -> None:
    project.saved(STATE)
    with pytest.raises(StateForeign) as caught, project.opened(parent="acme", accept=accept):
        pass
    assert f"{project.path} is the state of the parent default, not of acme." == caught.value.message


def save_and_die(path: Path, home: Path, at: int) -> None:
    project = Project(path, Seen(home))
    with project.opened(LocalStore(path, ScriptedDisk(at, die))) as session:
        session.reserve()
        session.save(LATER)


@pytest.mark.parametrize("at", range(1, 11))
def test_after_a_run_that_was_killed_the_next_one_goes_on(project: Project, tmp_path: Path, at: int) -> None:
    project.saved(STATE)
    assert -signal.SIGKILL == exit_code_of(save_and_die, project.path, tmp_path / "home" / "seen", at)
    with project.opened() as session:
        assert (STATE if at <= 8 else LATER) == session.state
        session.save(LATER.with_record("lima", None))
    expected = ["default.json", "default.json.backup", "default.json.lock"]
    assert expected == project.names()
    assert [] == project.warnings


# ── What this machine has seen ───────────────────────────────────────────────


def test_a_save_is_remembered_at_once_so_that_a_run_that_dies_leaves_no_older_state_to_be_taken(tmp_path: Path) -> None:
    project = Project(tmp_path / "project" / "state" / "default.json", Seen(tmp_path / "home" / "seen"))
    with project.opened() as session:
        session.save(STATE)
    found = project.path.read_bytes()
    with project.opened() as session:
        session.save(LATER)
        # What a run that is killed here leaves: the state, its backup, and what this machine remembers.
        with pytest.raises(StateRolledBack, match="has already seen"):
            project.seen.check(str(project.path), STATE)
    project.path.write_bytes(found)
    with pytest.raises(StateRolledBack, match="has already seen"):
        read(LocalStore(project.path), parent="default", seen=project.seen)


def test_a_run_remembers_how_far_the_state_had_come(project: Project) -> None:
    project.saved(LATER)
    project.path.write_bytes(codec.encode(STATE))
    with pytest.raises(StateRolledBack), project.opened():
        pass
    with pytest.raises(StateRolledBack):
        read(LocalStore(project.path), parent="default", seen=project.seen)


def test_a_state_is_remembered_from_when_it_was_opened(project: Project) -> None:
    project.path.parent.mkdir(parents=True)
    project.path.write_bytes(codec.encode(LATER))
    with project.opened(), pytest.raises(StateRolledBack):
        project.seen.check(str(project.path), STATE)


def test_a_state_that_a_person_accepts_is_remembered_as_it_is(project: Project) -> None:
    project.saved(LATER)
    project.path.write_bytes(codec.encode(STATE))
    with project.opened(accept=True) as session:
        assert STATE == session.state
    with project.opened() as session:
        assert STATE == session.state


def test_a_state_that_is_gone_is_accepted_by_a_person_alone(project: Project) -> None:
    project.saved(STATE)
    project.path.unlink()
    with pytest.raises(StateRolledBack), project.opened():
        pass
    with project.opened(accept=True) as session:
        assert session.state is None
    with project.opened() as session:
        session.save(replace(STATE, lineage="lineage-2", serial=0))
    assert [] == project.warnings


def test_a_home_that_cannot_be_written_is_only_warned_of(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    project = Project(tmp_path / "default.json", Seen(tmp_path / "home" / "seen"))
    project.saved(STATE)
    assert STATE == project.found()
    (warning,) = project.warnings
    assert "This machine cannot remember the state's serial: " in warning
    project.path.unlink()
    with project.opened(accept=True) as session:
        assert session.state is None
    assert "This machine cannot forget the state that it has seen: Not a directory." == project.warnings[-1]


# ── What was rescued ─────────────────────────────────────────────────────────


def rescued(project: Project, *entries: Entry) -> None:
    """Leave ``entries`` as a run does whose save failed."""
    project.path.parent.mkdir(parents=True, exist_ok=True)
    rescue = project.rescue()
    rescue.reserve()
    for entry in entries:
        rescue.keep(entry)


def test_what_was_rescued_is_put_back_by_the_next_run(project: Project) -> None:
    project.saved(LATER)
    rescued(project, PARIS)
    expected = replace(LATER.with_record("lima", ACTIVE), serial=LATER.serial + 1)
    with project.opened() as session:
        assert expected == session.state
        assert expected == project.found()
        assert not project.rescue_path.exists()
        with pytest.raises(StateRolledBack):
            project.seen.check(str(project.path), LATER)
    assert [f"Put back from {project.rescue_path}: lima."] == project.warnings


def test_putting_back_what_is_there_already_saves_nothing(project: Project) -> None:
    project.saved(LATER.with_record("lima", ACTIVE))
    before = project.path.stat().st_ino
    rescued(project, PARIS)
    with project.opened() as session:
        assert LATER.serial + 1 == (session.state or STATE).serial
    assert before == project.path.stat().st_ino
    assert not project.rescue_path.exists()


def test_an_entry_of_a_log_is_put_back_into_a_session(project: Project) -> None:
    project.saved(LATER)
    with project.opened() as session:
        session.put_back((PARIS,))
        session.put_back((PARIS,))
    assert replace(LATER.with_record("lima", ACTIVE), serial=LATER.serial + 1) == project.found()


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (replace(PARIS, lineage="lineage-2"), StateForeign),
        (replace(PARIS, name="paris", operation="op-2", record=of_operation(ACTIVE, "op-2")), StateConflict),
    ],
)
def test_what_cannot_be_put_back_is_kept(project: Project, entry: Entry, error: type[ProvisionerError]) -> None:
    project.saved(LATER)
    rescued(project, PARIS, entry)
    with pytest.raises(error), project.opened():
        pass
    assert LATER == project.found()
    assert (PARIS, entry) == project.rescue().entries()
    assert [] == project.warnings


def test_what_was_rescued_is_kept_where_the_state_still_cannot_be_saved(project: Project) -> None:
    project.saved(LATER)
    rescued(project, PARIS)
    with pytest.raises(StateNotSaved), project.opened(LocalStore(project.path, ScriptedDisk(1, full))):
        pass
    assert (PARIS,) == project.rescue().entries()
    with project.opened():
        pass
    assert ACTIVE == (project.found() or STATE).accounts["lima"]


def test_a_damaged_rescue_is_kept_and_stops_the_run(project: Project) -> None:
    project.saved(LATER)
    project.rescue_path.write_bytes(b"garbage")
    with pytest.raises(StateInvalid), project.opened():
        pass
    assert b"garbage" == project.rescue_path.read_bytes()


def test_a_save_that_fails_is_rescued_and_the_next_run_goes_on(project: Project) -> None:
    """The first run of all, on a full disk: its intent is in no state, and nothing may stand in the next one's way."""
    with project.opened(LocalStore(project.path, ScriptedDisk(1, full))) as session:
        session.reserve()
        with pytest.raises(StateNotSaved):
            session.save(STATE.with_record("lima", PENDING))
        assert session.state is None
        assert str(project.rescue_path) == session.rescue(STATE, "lima", "op-1", None)
    assert (replace(PARIS, record=None),) == project.rescue().entries()
    with project.opened() as session:
        assert session.state is None
        session.save(STATE)
    assert [f"Put back from {project.rescue_path}: lima."] == project.warnings
    assert not project.rescue_path.exists()


def test_what_a_run_rescued_is_there_after_its_end(project: Project) -> None:
    project.saved(LATER)
    with project.opened() as session:
        session.reserve()
        session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert (PARIS,) == project.rescue().entries()
    assert [] == project.warnings


def test_reserved_space_is_given_back(project: Project) -> None:
    with project.opened() as session:
        session.reserve()
        assert project.rescue_path.exists()
    assert not project.rescue_path.exists()


def test_reserved_space_that_a_killed_run_left_is_given_back(project: Project) -> None:
    rescued(project)
    with project.opened():
        assert not project.rescue_path.exists()
    assert [] == project.warnings


def test_nothing_that_fails_at_the_end_hides_what_the_run_did(project: Project) -> None:
    with project.opened() as session:
        session.save(STATE)
        project.rescue_path.mkdir()
    assert [f"{project.rescue_path} cannot be read: Is a directory."] == project.warnings


def clear_read_only(folder: Path) -> None:
    """Open a session in the read-only ``folder``: it ends before anything else happens."""
    project = Project(folder / "default.json", Seen(folder / "seen"))
    with pytest.raises(StateError, match=r"The lock .* cannot be opened: Read-only file system"), project.opened():
        pass
    assert STATE == read(LocalStore(project.path), parent="default", seen=project.seen)


@needs_mounts
def test_a_read_only_folder_can_be_read_and_not_held(tmp_path: Path) -> None:
    (tmp_path / "default.json").write_bytes(codec.encode(STATE))
    with_read_only(tmp_path, clear_read_only)


def test_a_rescue_without_a_folder_goes_to_standard_error(project: Project) -> None:
    project.saved(LATER)
    with project.opened(rescue=Rescue(None, project.stderr)) as session:
        session.reserve()
        session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert (PARIS,) == found_in(project.stderr.getvalue(), "the log")


# ── Reading ──────────────────────────────────────────────────────────────────


def test_reading_holds_nothing_and_writes_nothing(project: Project) -> None:
    project.saved(STATE)
    before = project.names()
    with project.opened():
        assert STATE == read(LocalStore(project.path), parent="default", seen=project.seen)
    assert before == project.names()


def test_reading_makes_no_folder(project: Project) -> None:
    assert read(LocalStore(project.path), parent="default", seen=project.seen) is None
    assert not project.path.parent.exists()


def test_reading_the_state_of_another_parent_is_refused(project: Project) -> None:
    store = MemoryStore()
    store.save(STATE, "")
    with pytest.raises(StateForeign, match="memory is the state of the parent default, not of acme"):
        read(store, parent="acme", seen=project.seen)


# ── The parent's account ─────────────────────────────────────────────────────

NEW = replace(STATE, endpoint=None, parent_check=None)
ENDPOINT = "https://api.example/v1"
LOGIN = "parent@example.com"


def test_a_first_apply_binds_the_state_to_its_account() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN)
    assert replace(NEW, endpoint=ENDPOINT, parent_check=bound.parent_check) == bound
    assert LOGIN not in (bound.parent_check or "")
    assert bound == check_parent(bound, endpoint=ENDPOINT, api_login=LOGIN)
    assert bound == codec.decode(codec.encode(bound), "it")


def test_no_two_states_have_the_same_check() -> None:
    first, second = (check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN).parent_check for _ in range(2))
    assert first != second


def test_another_account_is_refused() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN)
    with pytest.raises(StateForeign) as caught:
        check_parent(bound, endpoint=ENDPOINT, api_login="other@example.com")
    assert "another Octopush account" in caught.value.message
    assert "other@example.com" not in caught.value.message + caught.value.hint
    assert "Nothing was sent." in caught.value.hint


def test_another_endpoint_is_refused() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN)
    with pytest.raises(StateForeign) as caught:
        check_parent(bound, endpoint="http://127.0.0.1:1", api_login=LOGIN)
    assert (
        f"The accounts of this state live at {ENDPOINT}; the settings say http://127.0.0.1:1." == caught.value.message
    )


@pytest.mark.parametrize("check", ["$", "00", "00$00"])
def test_a_check_that_somebody_edited_fits_no_account(check: str) -> None:
    with pytest.raises(StateForeign):
        check_parent(replace(NEW, parent_check=check), endpoint=ENDPOINT, api_login=LOGIN)


def test_half_a_binding_is_completed() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN)
    for half in (replace(bound, endpoint=None), replace(NEW, endpoint=ENDPOINT)):
        whole = check_parent(half, endpoint=ENDPOINT, api_login=LOGIN)
        assert ENDPOINT == whole.endpoint
        assert whole == check_parent(whole, endpoint=ENDPOINT, api_login=LOGIN)
    with pytest.raises(StateForeign):
        check_parent(replace(bound, endpoint=None), endpoint=ENDPOINT, api_login="other@example.com")


def test_a_state_without_a_record_is_bound_anew() -> None:
    empty = replace(NEW, accounts={})
    mistaken = check_parent(empty, endpoint="http://127.0.0.1:1", api_login="mistyped@example.com")
    bound = check_parent(mistaken, endpoint=ENDPOINT, api_login=LOGIN)
    assert ENDPOINT == bound.endpoint
    assert mistaken.parent_check != bound.parent_check
