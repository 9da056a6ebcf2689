"""A run's session with a state, from the lock to the last mark."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Callable, Iterator
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
from provisioner.model.state import Edit, Record, State
from provisioner.state import codec
from provisioner.state.holder import Holder
from provisioner.state.reading import Snapshot, load, read
from provisioner.state.rescue import RescueEntry, decode, encode, found_in, put_back
from provisioner.state.seen import Seen
from provisioner.state.session import Session, changes, check_parent, opened
from provisioner.state.stores import Store
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.memory import MemoryStore
from tests.forks import exit_code_of
from tests.state import (
    ABANDONED,
    ACTIVE,
    ADA,
    BOB,
    LATER,
    LEONARDO,
    OPERATION,
    PENDING,
    STATE,
    UNKNOWN,
    ScriptedDisk,
    die,
    full,
    needs_mounts,
    never,
    of_operation,
    with_read_only,
)

LIMA = RescueEntry("lineage-1", "default", "lima", "op-1", ACTIVE)
ROME = RescueEntry("lineage-1", "default", "rome", "op-2", of_operation(UNKNOWN, "op-2"))
RESERVE, SAVE = 4, 10
"""Disk calls of a reservation, and of a save that keeps a backup too."""
LONG = replace(LIMA, record=replace(ACTIVE, sealed=ACTIVE.sealed + "x" * 200_000))


@dataclass(frozen=True, slots=True)
class Project:
    """A state's place, a home to remember it in, and what was said."""

    path: Path
    seen: Seen
    warnings: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """The lines that went to the last resort."""

    @property
    def rescue_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.rescue")

    @property
    def forgotten_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.forgotten")

    def rescued(self) -> tuple[RescueEntry, ...]:
        """Return the rescue on the disk."""
        return decode(LocalStore(self.path).rescued(), str(self.rescue_path))

    def logged(self, line: str) -> bool:
        """Keep a line that nothing else took."""
        self.log.append(line)
        return True

    @contextmanager
    def opened(
        self,
        store: Store | None = None,
        *,
        parent: str = "default",
        last_resort: Callable[[str], bool] | None = None,
        accept: bool = False,
        account: tuple[str, str] | None = None,
    ) -> Iterator[Session]:
        with opened(
            store or LocalStore(self.path),
            parent=parent,
            holder=ADA,
            lock_timeout=0,
            sleep=never,
            last_resort=last_resort or self.logged,
            seen=self.seen,
            warn=self.warnings.append,
            accept=accept,
            account=lambda: account,
        ) as session:
            yield session

    def saved(self, state: State) -> None:
        """Save ``state`` as a run would."""
        with self.opened() as session:
            session.save(state)

    def found(self) -> State | None:
        """Return the state as it is on the disk."""
        return load(LocalStore(self.path)).state

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
    """A store that knows whether its state was held when it was loaded."""

    held: bool | None = None

    def load(self) -> tuple[bytes | None, str]:
        try:
            with LocalStore(self.path).hold(BOB, timeout=0, sleep=never):
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
        session.reserve(SPACE)
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
            session.reserve(SPACE)
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
    assert f"The folder {project.path.parent} cannot be created: " in caught.value.message
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
        session.reserve(SPACE)
        session.save(LATER)


@pytest.mark.parametrize("at", range(1, RESERVE + SAVE + 1))
def test_after_a_run_that_was_killed_the_next_one_goes_on(project: Project, tmp_path: Path, at: int) -> None:
    project.saved(STATE)
    assert -signal.SIGKILL == exit_code_of(save_and_die, project.path, tmp_path / "home" / "seen", at)
    with project.opened() as session:
        assert (LATER if at > RESERVE + SAVE - 2 else STATE) == session.state
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
        # What a run that is killed here leaves: the state, its backup, and this machine's record.
        with pytest.raises(StateRolledBack, match="has already seen"):
            project.seen.check(str(project.path), STATE, pytest.fail)
    project.path.write_bytes(found)
    with pytest.raises(StateRolledBack, match="has already seen"):
        read(LocalStore(project.path), parent="default", seen=project.seen, warn=pytest.fail)


def copied(project: Project) -> Project:
    """Return a copy of the project on the same machine, as ``cp -r`` or a git worktree makes one."""
    copy = replace(project, path=project.path.parents[2] / "copy" / project.path.name, warnings=[], log=[])
    copy.path.parent.mkdir()
    copy.path.write_bytes(project.path.read_bytes())
    return copy


class Busy(LocalStore):
    """A store that is free after two seconds."""

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        sleep(2.0)
        with super().hold(holder, timeout=timeout, sleep=sleep):
            yield


@pytest.mark.parametrize(("lock_timeout", "waits"), [(5.0, 5.0), (1.0, 2.0)])
def test_the_waits_for_the_state_and_for_its_copies_share_the_time_that_is_allowed(
    project: Project, lock_timeout: float, waits: float
) -> None:
    project.saved(STATE)
    copy = copied(project)
    slept: list[float] = []
    second = opened(
        Busy(copy.path),
        parent="default",
        holder=BOB,
        lock_timeout=lock_timeout,
        sleep=slept.append,
        last_resort=copy.logged,
        seen=copy.seen,
        warn=copy.warnings.append,
    )
    with project.opened(), pytest.raises(StateLocked, match="Another copy of this state is held by"), second:
        pass
    assert waits == pytest.approx(sum(slept))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, "Save the state"),
        ({"c": ACTIVE}, {"a": PENDING, "b": UNKNOWN, "c": ACTIVE}, "a: pending, b: unknown"),
        ({"a": ACTIVE, "b": ABANDONED}, {"b": ACTIVE}, "a: removed, b: active"),
        ({}, dict.fromkeys("cab", PENDING), "a: pending, b: pending, c: pending"),
        ({}, dict.fromkeys("ihgfedcba", PENDING), "a: pending, b: pending, c: pending, and 6 more"),
        ({"a": ACTIVE}, {"a": replace(ACTIVE, edit=Edit(LEONARDO, OPERATION, 2))}, "a: edit started"),
    ],
)
def test_a_save_says_which_accounts_it_changes(before: dict[str, Record], after: dict[str, Record], said: str) -> None:
    assert said == changes(replace(STATE, accounts=before), replace(STATE, accounts=after))


def test_a_save_says_how_many_accounts_it_places() -> None:
    one = replace(STATE, placements={"paris": "acme"})
    assert "1 placed" == changes(one, replace(one, placements={"paris": "acme", "rome": "default"}))
    assert "2 placed" == changes(None, replace(STATE, placements={"paris": "acme", "rome": "default"}))


def test_two_copies_of_one_project_are_not_held_at_once(project: Project) -> None:
    project.saved(STATE)
    copy = copied(project)
    with project.opened(), pytest.raises(StateLocked, match="Another copy of this state is held by"), copy.opened():
        pass
    with copy.opened() as session:
        session.save(LATER)
    with pytest.raises(StateRolledBack) as caught, project.opened():
        pass
    assert f"already seen {LATER.serial}, at {copy.path}." in caught.value.message


def test_a_copy_of_a_new_state_is_not_locked_either(project: Project) -> None:
    with project.opened() as session:
        session.save(STATE)
        with pytest.raises(StateLocked), copied(project).opened():
            pass


def test_the_second_of_two_copies_saves_nothing_whatever_was_locked(project: Project, tmp_path: Path) -> None:
    project.saved(STATE)
    with project.opened() as session:
        # A home on a file system without locks: another copy was saved meanwhile.
        Seen(tmp_path / "home" / "seen").note("/copy/default.json", LATER)
        with pytest.raises(StateMoved, match=r"a copy of it has been saved since: .* 4, at /copy/default.json"):
            session.save(LATER)
        assert STATE == session.state
    assert STATE == project.found()


ACCOUNT = ("https://api.example/v1", "parent@example.com")


def test_only_one_of_two_projects_can_start_a_state_of_one_account(project: Project) -> None:
    other = replace(project, path=project.path.with_name("acme.json"))
    with project.opened(account=ACCOUNT) as first, other.opened(account=ACCOUNT) as second:
        first.save(STATE)
        with pytest.raises(StateForeign, match=f"knows a state of the same Octopush account at {project.path}"):
            second.save(replace(STATE, lineage="lineage-2"))
        assert second.state is None
    assert other.found() is None


def test_a_state_that_was_there_before_is_remembered_as_its_accounts_without_a_save(project: Project) -> None:
    project.saved(STATE)
    with project.opened(account=ACCOUNT):
        pass
    other = replace(project, path=project.path.with_name("acme.json"))
    with other.opened(account=ACCOUNT) as session, pytest.raises(StateForeign):
        session.save(replace(STATE, lineage="lineage-2"))
    # A person says that both are right.
    with other.opened(account=ACCOUNT, accept=True) as session:
        session.save(replace(STATE, lineage="lineage-2"))
    with project.opened(account=ACCOUNT) as session:
        session.save(LATER)
    assert [] == project.warnings


def test_a_run_remembers_how_far_the_state_had_come(project: Project) -> None:
    project.saved(LATER)
    project.path.write_bytes(codec.encode(STATE))
    with pytest.raises(StateRolledBack), project.opened():
        pass
    with pytest.raises(StateRolledBack):
        read(LocalStore(project.path), parent="default", seen=project.seen, warn=pytest.fail)


def test_a_state_is_remembered_from_when_it_was_opened(project: Project) -> None:
    project.path.parent.mkdir(parents=True)
    project.path.write_bytes(codec.encode(LATER))
    with project.opened(), pytest.raises(StateRolledBack):
        project.seen.check(str(project.path), STATE, pytest.fail)


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


def test_a_read_only_home_only_gets_a_warning(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    project = Project(tmp_path / "default.json", Seen(tmp_path / "home" / "seen"))
    project.saved(STATE)
    assert STATE == project.found()
    (warning,) = project.warnings
    assert "This machine cannot remember the state: " in warning
    project.path.unlink()
    with project.opened(accept=True) as session:
        assert session.state is None
    assert "This machine cannot forget the old state: Not a directory." == project.warnings[-1]


# ── What was rescued ─────────────────────────────────────────────────────────


def rescued(project: Project, *entries: RescueEntry) -> None:
    """Leave ``entries`` as a run whose save failed does."""
    project.path.parent.mkdir(parents=True, exist_ok=True)
    store = LocalStore(project.path)
    store.reserve(SPACE)
    for entry in entries:
        store.rescue(f"{encode(entry)}\n".encode())


def test_no_two_saves_are_the_same_bytes(project: Project) -> None:
    store = LocalStore(project.path)
    with project.opened(store) as session:
        session.save(STATE)
        first = store.load()
        session.save(STATE)
        assert first != store.load()
    assert codec.decode(store.load()[0] or b"", "it") == STATE


def test_what_was_rescued_is_put_back_by_the_next_run(project: Project) -> None:
    project.saved(LATER)
    rescued(project, LIMA)
    expected = replace(LATER.with_record("lima", ACTIVE), serial=LATER.serial + 1)
    with project.opened() as session:
        assert expected == session.state
        assert expected == project.found()
        assert not project.rescue_path.exists()
        with pytest.raises(StateRolledBack):
            project.seen.check(str(project.path), LATER, pytest.fail)
    assert [f"Put back from {project.rescue_path}: lima."] == project.warnings


def test_putting_back_what_is_there_already_saves_nothing(project: Project) -> None:
    project.saved(LATER.with_record("lima", ACTIVE))
    before = project.path.stat().st_ino
    rescued(project, LIMA)
    with project.opened() as session:
        assert LATER.serial + 1 == (session.state or STATE).serial
    assert before == project.path.stat().st_ino
    assert not project.rescue_path.exists()


def test_an_entry_of_a_log_is_put_back_into_a_session(project: Project) -> None:
    project.saved(LATER)
    with project.opened() as session:
        session.put_back((LIMA,))
        session.put_back((LIMA,))
    assert replace(LATER.with_record("lima", ACTIVE), serial=LATER.serial + 1) == project.found()


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (replace(LIMA, lineage="lineage-2"), StateForeign),
        (replace(LIMA, name="paris", operation="op-2", record=of_operation(ACTIVE, "op-2")), StateConflict),
    ],
)
def test_what_cannot_be_put_back_is_kept(project: Project, entry: RescueEntry, error: type[ProvisionerError]) -> None:
    project.saved(LATER)
    rescued(project, LIMA, entry)
    with pytest.raises(error), project.opened():
        pass
    assert LATER == project.found()
    assert (LIMA, entry) == project.rescued()
    assert [] == project.warnings


def test_what_was_rescued_is_kept_where_the_state_still_cannot_be_saved(project: Project) -> None:
    project.saved(LATER)
    rescued(project, LIMA)
    with pytest.raises(StateNotSaved), project.opened(LocalStore(project.path, ScriptedDisk(1, full))):
        pass
    assert (LIMA,) == project.rescued()
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
    """The very first run, on a full disk: its intent is in no state, and must not block the next run."""
    with project.opened(LocalStore(project.path, ScriptedDisk(RESERVE + 1, full))) as session:
        session.reserve(SPACE)
        with pytest.raises(StateNotSaved):
            session.save(STATE.with_record("lima", PENDING))
        assert session.state is None
        assert str(project.rescue_path) == session.rescue(STATE, "lima", "op-1", None)
    assert (replace(LIMA, record=None),) == project.rescued()
    with project.opened() as session:
        assert session.state is None
        session.save(STATE)
    assert [] == project.warnings
    assert not project.rescue_path.exists()


def test_what_a_run_rescued_is_there_after_its_end(project: Project) -> None:
    project.saved(LATER)
    with project.opened() as session:
        session.reserve(SPACE)
        session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert (LIMA,) == project.rescued()
    assert [] == project.warnings


def test_reserved_space_is_given_back(project: Project) -> None:
    with project.opened() as session:
        session.reserve(SPACE)
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
    assert [f"{project.rescue_path} cannot be read: it is a folder, and not a file."] == project.warnings


def clear_read_only(folder: Path) -> None:
    """Open a session in the read-only ``folder``: it ends before anything else happens."""
    project = Project(folder / "default.json", Seen(folder / "seen"))
    with pytest.raises(StateError, match=r"The lock .* cannot be opened: Read-only file system"), project.opened():
        pass
    assert STATE == read(LocalStore(project.path), parent="default", seen=project.seen, warn=pytest.fail).state


@needs_mounts
def test_a_read_only_folder_can_be_read_and_not_held(tmp_path: Path) -> None:
    (tmp_path / "default.json").write_bytes(codec.encode(STATE))
    with_read_only(tmp_path, clear_read_only)


# ── Where a session rescues to ───────────────────────────────────────────────

IN_A_LOG = "standard error, in a line of its own (`provisioner recover LOG` puts it back)"
SPACE = 512 * 1024


@pytest.mark.parametrize("record", [ACTIVE, UNKNOWN, None, LONG.record])
def test_what_is_rescued_is_in_the_store_and_nowhere_else(project: Project, record: Record | None) -> None:
    with project.opened() as session:
        session.reserve(SPACE)
        assert str(project.rescue_path) == session.rescue(LATER, "lima", "op-1", record)
        assert SPACE == project.rescue_path.stat().st_size
    assert (replace(LIMA, record=record),) == project.rescued()
    assert ([], []) == (project.log, project.warnings)


def test_it_is_rescued_where_nothing_was_reserved(project: Project) -> None:
    with project.opened() as session:
        assert str(project.rescue_path) == session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert (LIMA,) == project.rescued()


def test_what_is_rescued_second_stands_behind_the_first(project: Project) -> None:
    with project.opened() as session:
        session.reserve(SPACE)
        for entry in (LONG, LIMA, ROME):
            session.rescue(LATER, entry.name, entry.operation, entry.record)
    assert (LONG, LIMA, ROME) == project.rescued()


@pytest.mark.parametrize("at", range(1, 5))
def test_what_the_store_does_not_take_goes_to_the_last_resort(project: Project, at: int) -> None:
    with project.opened(LocalStore(project.path, ScriptedDisk(at, full))) as session:
        assert IN_A_LOG == session.rescue(LATER, "lima", "op-1", ACTIVE)
        assert [encode(LIMA)] == project.log
        assert [f"{project.rescue_path} could not be written either: No space left on device."] == project.warnings
    # Half a line would block the next run; a whole one may be there too.
    assert project.rescued() in {(), (LIMA,)}


def test_a_line_that_nothing_takes_is_in_the_words_themselves(project: Project) -> None:
    asked: list[str] = []

    def refuse(line: str) -> bool:
        asked.append(line)
        return False

    with project.opened(LocalStore(project.path, ScriptedDisk(1, full)), last_resort=refuse) as session:
        where = session.rescue(LATER, "lima", "op-1", ACTIVE)
    begins = (
        "only the following text (`provisioner recover LOG` puts it back, from a file that contains nothing else): "
    )
    assert where.startswith(begins)
    assert (LIMA,) == found_in(where.removeprefix(begins), "a file")
    assert [encode(LIMA)] == asked
    assert [f"{project.rescue_path} could not be written either: No space left on device."] == project.warnings


@pytest.mark.parametrize("hears", [True, False])
def test_nobody_who_fails_to_hear_of_it_loses_a_line(project: Project, *, hears: bool) -> None:
    def fail(_: str) -> bool:
        raise ValueError

    def take(line: str) -> bool:
        project.log.append(line)
        return True

    store = LocalStore(project.path, ScriptedDisk(1, full))
    with opened(
        store,
        parent="default",
        holder=ADA,
        lock_timeout=0,
        sleep=never,
        last_resort=take if hears else fail,
        seen=project.seen,
        warn=fail,  # type: ignore[arg-type]  # what it returns is not looked at
    ) as session:
        where = session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert (where, project.log) == ((IN_A_LOG, [encode(LIMA)]) if hears else (where, []))
    assert hears or encode(LIMA).partition(" ")[2] in where


def test_a_store_that_fails_as_nobody_expected_loses_no_line(project: Project) -> None:
    def fail() -> None:
        raise ValueError

    store = LocalStore(project.path, ScriptedDisk(1, fail))
    with project.opened(store) as session:
        assert IN_A_LOG == session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert [encode(LIMA)] == project.log
    assert [f"{project.rescue_path} could not be written either (ValueError)."] == project.warnings


def test_what_the_store_takes_asks_for_no_last_resort(project: Project) -> None:
    def refuse(line: str) -> bool:
        raise AssertionError(line)

    with project.opened(last_resort=refuse) as session:
        session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert (LIMA,) == project.rescued()


def test_one_outcome_in_the_log_leaves_those_in_the_store(project: Project) -> None:
    with project.opened(LocalStore(project.path, ScriptedDisk(5, full))) as session:
        session.rescue(LATER, "lima", "op-1", ACTIVE)
        session.rescue(LATER, ROME.name, ROME.operation, ROME.record)
    assert (LIMA,) == project.rescued()
    assert (ROME,) == found_in("\n".join(project.log), "the log")


def test_a_rescue_that_is_a_link_is_left_for_the_log(project: Project) -> None:
    precious = project.path.with_name("precious")
    with project.opened() as session:
        precious.write_text("mine")
        project.rescue_path.symlink_to(precious)
        with pytest.raises(StateNotSaved, match="a symbolic link, and not a file"):
            session.reserve(SPACE)
        session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert "mine" == precious.read_text()
    assert (LIMA,) == found_in("\n".join(project.log), "the log")


class Refusing(MemoryStore):
    """A store that refuses rescued lines."""

    def rescue(self, line: bytes) -> None:
        raise StateNotSaved(f"{len(line)} bytes found no place.")


def test_a_rescue_that_the_store_refuses_goes_to_the_log(project: Project) -> None:
    with project.opened(Refusing()) as session:
        session.reserve(SPACE)
        assert IN_A_LOG == session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert [encode(LIMA)] == project.log
    assert [f"{len(encode(LIMA)) + 1} bytes found no place."] == project.warnings


class Spoiled(MemoryStore):
    """A store whose rescued outcomes cannot be read once there are some; it notes that it was released."""

    released = spoiled = False

    def rescue(self, line: bytes) -> None:
        self.spoiled = bool(line)

    def rescued(self) -> bytes:
        if self.spoiled:
            raise StateInvalid("They cannot be read.")
        return b""

    def release(self) -> None:
        self.released = True


def test_whatever_fails_at_the_end_the_store_is_released(project: Project) -> None:
    store = Spoiled()
    with project.opened(store) as session:
        session.rescue(LATER, "lima", "op-1", ACTIVE)
    assert store.released
    assert ["They cannot be read."] == project.warnings


# ── What the session found ───────────────────────────────────────────────────


def test_a_first_run_found_nothing(project: Project) -> None:
    with project.opened() as session:
        session.save(STATE)
        assert Snapshot(None, "") == session.found


def test_what_was_found_is_the_state_before_this_run_did_anything(project: Project) -> None:
    project.saved(STATE)
    before = read(LocalStore(project.path), parent="default", seen=project.seen, warn=pytest.fail)
    with project.opened() as session:
        assert before == session.found
        session.save(LATER)
        session.rescue(LATER, "lima", "op-1", ACTIVE)
        assert before == session.found
    assert STATE == before.state


def test_what_was_found_is_as_it_was_before_anything_was_put_back(project: Project) -> None:
    project.saved(LATER)
    rescued(project, LIMA)
    before = read(LocalStore(project.path), parent="default", seen=project.seen, warn=pytest.fail)
    with project.opened() as session:
        assert before == session.found
        assert (LATER, (LIMA,)) == (session.found.state, session.found.rescued)
        assert replace(session.found.settled or STATE, serial=LATER.serial + 1) == session.state
        assert load(LocalStore(project.path)).version != session.found.version


# ── What was forgotten ───────────────────────────────────────────────────────

MOMENT = "2026-01-31T12:00:00Z"


def test_what_is_forgotten_is_one_line_each_the_latest_last_and_can_be_put_back(project: Project) -> None:
    entries = (LIMA, ROME)
    with project.opened() as session:
        for each in entries:
            assert str(project.forgotten_path) == session.keep_forgotten(each, MOMENT)
    text = project.forgotten_path.read_text()
    assert [f"{MOMENT} provisioner-rescue {{"] * 2 == [line[: len(MOMENT) + 21] for line in text.splitlines()]
    assert entries == found_in(text, "it")
    empty = replace(STATE, accounts={})
    assert {"lima": LIMA.record, "rome": ROME.record} == getattr(put_back(empty, entries), "accounts", {})


def test_what_is_forgotten_is_found_though_an_editor_took_the_end_of_the_line(project: Project) -> None:
    with project.opened() as session:
        session.keep_forgotten(LIMA, MOMENT)
        project.forgotten_path.write_text(project.forgotten_path.read_text().rstrip("\n"))
        session.keep_forgotten(ROME, MOMENT)
    assert (LIMA, ROME) == found_in(project.forgotten_path.read_text(), "it")
    assert 2 == project.forgotten_path.read_text().count("\n")


def test_what_is_not_kept_is_not_forgotten(project: Project) -> None:
    with project.opened(LocalStore(project.path, ScriptedDisk(1, full))) as session:
        reason = f"could not be saved to {re.escape(str(project.forgotten_path))}"
        with pytest.raises(StateNotSaved, match=reason):
            session.keep_forgotten(LIMA, MOMENT)
    assert not project.forgotten_path.exists()


# ── A session in memory ──────────────────────────────────────────────────────


def test_a_session_needs_no_file(project: Project, tmp_path: Path) -> None:
    store = MemoryStore()
    with project.opened(store) as session:
        session.reserve(SPACE)
        session.save(LATER)
        assert "memory" == session.rescue(LATER, "lima", "op-1", ACTIVE)
    with project.opened(store) as session:
        assert replace(LATER.with_record("lima", ACTIVE), serial=LATER.serial + 1) == session.state
        assert b"" == store.rescued()
        with pytest.raises(StateLocked), project.opened(store):
            pass
    assert ["Put back from memory: lima."] == project.warnings
    assert ["home"] == [each.name for each in tmp_path.iterdir()]


# ── Reading ──────────────────────────────────────────────────────────────────


def test_reading_holds_nothing_and_writes_nothing(project: Project) -> None:
    project.saved(STATE)
    before = project.names()
    with project.opened():
        assert STATE == read(LocalStore(project.path), parent="default", seen=project.seen, warn=pytest.fail).state
    assert before == project.names()


def test_reading_makes_no_folder(project: Project) -> None:
    assert Snapshot(None, "") == read(LocalStore(project.path), parent="default", seen=project.seen, warn=pytest.fail)
    assert not project.path.parent.exists()


def test_reading_the_state_of_another_parent_is_refused(project: Project) -> None:
    store = MemoryStore()
    store.save(codec.encode(STATE), "")
    with pytest.raises(StateForeign, match="memory is the state of the parent default, not of acme"):
        read(store, parent="acme", seen=project.seen, warn=pytest.fail)


# ── The parent's account ─────────────────────────────────────────────────────

NEW = replace(STATE, endpoint=None, parent_check=None)
ENDPOINT = "https://api.example/v1"
LOGIN = "parent@example.com"


def test_a_first_apply_binds_the_state_to_its_account() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    assert replace(NEW, endpoint=ENDPOINT, parent_check=bound.parent_check) == bound
    assert LOGIN not in (bound.parent_check or "")
    assert bound == check_parent(bound, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    assert bound == codec.decode(codec.encode(bound), "it")


def test_a_check_has_sixteen_bits_and_confirms_no_guess() -> None:
    """Somebody who guesses logins finds several that fit: such a short tag proves none of them."""
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    salt, tag = str(bound.parent_check).split("$")
    assert (32, 4) == (len(salt), len(tag))
    guesses = (f"{number}@example.com" for number in range(1_000_000))
    found = (hashlib.sha256(f"{salt}${guess}".encode()).hexdigest().startswith(tag) for guess in guesses)
    assert any(found)


def test_a_check_of_the_earlier_form_is_compared_and_replaced() -> None:
    digest = hashlib.scrypt(LOGIN.encode(), salt=b"0a", n=2**11, r=8, p=1, dklen=32)
    earlier = replace(NEW, endpoint=ENDPOINT, parent_check=f"0a${digest.hex()}")
    with pytest.raises(StateForeign):
        check_parent(earlier, endpoint=ENDPOINT, api_login="other@example.com", login_from="ACME_LOGIN")
    bound = check_parent(earlier, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    assert 4 == len(str(bound.parent_check).partition("$")[2])
    assert bound == check_parent(bound, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")


def test_no_second_tag_of_one_login_is_made() -> None:
    """Two different tags, as a history would keep them, would give away twice as many bits."""
    empty = check_parent(replace(NEW, accounts={}), endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    assert empty == check_parent(empty, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")


def test_no_two_states_have_the_same_check() -> None:
    first, second = (
        check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN").parent_check for _ in range(2)
    )
    assert first != second


def test_another_account_is_refused() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    with pytest.raises(StateForeign) as caught:
        check_parent(bound, endpoint=ENDPOINT, api_login="other@example.com", login_from="ACME_LOGIN")
    assert "another Octopush account" in caught.value.message
    assert "other@example.com" not in caught.value.message + caught.value.hint
    assert "Nothing was sent." in caught.value.hint


def test_another_endpoint_is_refused() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    with pytest.raises(StateForeign) as caught:
        check_parent(bound, endpoint="http://127.0.0.1:1", api_login=LOGIN, login_from="ACME_LOGIN")
    assert (
        f"The accounts of this state live at {ENDPOINT}; the settings say http://127.0.0.1:1." == caught.value.message
    )


@pytest.mark.parametrize("check", ["$", "00", "00$00"])
def test_a_check_that_somebody_edited_fits_no_account(check: str) -> None:
    with pytest.raises(StateForeign):
        check_parent(replace(NEW, parent_check=check), endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")


def test_half_a_binding_is_completed() -> None:
    bound = check_parent(NEW, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    for half in (replace(bound, endpoint=None), replace(NEW, endpoint=ENDPOINT)):
        whole = check_parent(half, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
        assert ENDPOINT == whole.endpoint
        assert whole == check_parent(whole, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    with pytest.raises(StateForeign):
        check_parent(
            replace(bound, endpoint=None), endpoint=ENDPOINT, api_login="other@example.com", login_from="ACME_LOGIN"
        )


def test_a_state_without_a_record_is_bound_again() -> None:
    empty = replace(NEW, accounts={})
    mistaken = check_parent(
        empty, endpoint="http://127.0.0.1:1", api_login="mistyped@example.com", login_from="ACME_LOGIN"
    )
    bound = check_parent(mistaken, endpoint=ENDPOINT, api_login=LOGIN, login_from="ACME_LOGIN")
    assert ENDPOINT == bound.endpoint
    assert mistaken.parent_check != bound.parent_check
