"""Stores: one contract for all of them, and what is true of a file alone."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.errors import ExitCode, StateError, StateInvalid, StateMoved, StateNotSaved
from provisioner.model.state import State
from provisioner.state import codec
from provisioner.state.disk import remove_leftovers
from provisioner.state.store import ABSENT, LocalStore, MemoryStore, Store
from tests.forks import exit_code_of
from tests.state import (
    LATER,
    STATE,
    ScriptedDisk,
    die,
    file_size_limit,
    fill,
    full,
    needs_mounts,
    with_disk_of,
    with_read_only,
)

CALLS = 10
"""Disk calls of a save that keeps a backup too."""

# ── The contract ─────────────────────────────────────────────────────────────


@pytest.fixture(params=[LocalStore, MemoryStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param is MemoryStore else LocalStore(tmp_path / "state.json")


def test_where_nothing_was_saved_there_is_no_state(store: Store) -> None:
    assert (None, ABSENT) == store.load()


def test_what_was_saved_is_loaded_with_its_version(store: Store) -> None:
    version = store.save(STATE, ABSENT)
    assert (STATE, version) == store.load()


def test_every_save_follows_from_the_one_before(store: Store) -> None:
    first = store.save(STATE, ABSENT)
    second = store.save(LATER, first)
    assert (LATER, second) == store.load()
    assert 3 == len({ABSENT, first, second})


def test_the_same_state_has_the_same_version(store: Store) -> None:
    first = store.save(STATE, ABSENT)
    assert first == store.save(STATE, first)


@pytest.mark.parametrize("stale", [ABSENT, "no version at all"])
def test_a_save_that_comes_too_late_overwrites_nothing(store: Store, stale: str) -> None:
    version = store.save(STATE, ABSENT)
    with pytest.raises(StateMoved) as caught:
        store.save(LATER, stale)
    assert (STATE, version) == store.load()
    assert f"{store.address} was changed by somebody else while this run held it." == caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


def test_of_two_runs_that_loaded_the_same_state_one_saves(store: Store) -> None:
    _, mine = store.load()
    _, theirs = store.load()
    store.save(LATER, theirs)
    with pytest.raises(StateMoved):
        store.save(STATE, mine)
    assert LATER == store.load()[0]


def test_a_save_upon_a_state_that_is_gone_fails(store: Store) -> None:
    version = LocalStore(Path("/nowhere/state.json")).load()[1]
    assert ABSENT == version
    with pytest.raises(StateMoved):
        store.save(STATE, "the version of a state that was here")
    assert (None, ABSENT) == store.load()


def test_a_store_has_an_address_and_a_key(store: Store) -> None:
    assert store.address
    assert store.key


# ── A file ───────────────────────────────────────────────────────────────────


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a file that holds STATE."""
    path = tmp_path / "state.json"
    path.write_bytes(codec.encode(STATE))
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def backup_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.backup")


def saved(store: LocalStore, *states: State) -> None:
    _, version = store.load()
    for state in states:
        version = store.save(state, version)


def test_the_file_is_the_document_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    saved(LocalStore(path), STATE)
    assert codec.encode(STATE) == path.read_bytes()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_first_state_has_no_backup(tmp_path: Path) -> None:
    saved(LocalStore(tmp_path / "state.json"), STATE, LATER)
    assert ["state.json"] == names(tmp_path)


def test_the_backup_is_the_state_as_this_run_found_it(path: Path) -> None:
    raw = path.read_bytes() + b"\n"
    path.write_bytes(raw)
    store = LocalStore(path)
    _, version = store.load()
    assert not backup_of(path).exists()
    version = store.save(LATER, version)
    store.save(LATER.with_record("lima", None), version)
    assert raw == backup_of(path).read_bytes()
    assert 0o600 == stat.S_IMODE(backup_of(path).stat().st_mode)


def test_the_next_run_makes_a_backup_of_its_own(path: Path) -> None:
    saved(LocalStore(path), LATER)
    saved(LocalStore(path), STATE)
    assert codec.encode(LATER) == backup_of(path).read_bytes()


def test_a_backup_that_leads_elsewhere_is_replaced(path: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    backup_of(path).symlink_to(precious)
    saved(LocalStore(path), LATER)
    assert "mine" == precious.read_text()
    assert codec.encode(STATE) == backup_of(path).read_bytes()


def test_a_state_that_somebody_edited_meanwhile_is_left_to_them(path: Path) -> None:
    store = LocalStore(path)
    _, version = store.load()
    edited = path.read_bytes().replace(b"Italy", b"France")
    path.write_bytes(edited)
    with pytest.raises(StateMoved):
        store.save(LATER, version)
    assert edited == path.read_bytes()
    assert ["state.json"] == names(path.parent)


@pytest.mark.parametrize("name", ["a [b]*?.json", "état.json", "two\nlines", "-rf", ".hidden"])
def test_an_odd_name_is_a_name(tmp_path: Path, name: str) -> None:
    store = LocalStore(tmp_path / name)
    saved(store, STATE)
    saved(store, LATER)
    assert LATER == store.load()[0]
    assert sorted([name, f"{name}.backup"]) == names(tmp_path)


def test_the_key_is_the_same_from_every_folder(path: Path) -> None:
    store = LocalStore(Path(os.path.relpath(path)))
    assert str(path) == store.key
    assert os.path.relpath(path) == store.address


def test_a_link_is_neither_read_nor_written_through(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    store = LocalStore(link)
    for attempt in (store.load, lambda: store.save(LATER, ABSENT)):
        with pytest.raises(StateInvalid) as caught:
            attempt()
        assert f"{link} is a symbolic link." == caught.value.message
    assert link.is_symlink()
    assert codec.encode(STATE) == path.read_bytes()


def test_a_link_that_is_planted_during_the_run_is_not_written_through(path: Path) -> None:
    store = LocalStore(path)
    _, version = store.load()
    precious = path.rename(path.with_name("precious"))
    path.symlink_to(precious)
    with pytest.raises(StateInvalid):
        store.save(LATER, version)
    assert codec.encode(STATE) == precious.read_bytes()


def a_folder(path: Path) -> str:
    path.mkdir()
    return "Is a directory"


def below_a_file(path: Path) -> str:
    path.parent.rmdir()
    path.parent.touch()
    return "Not a directory"


def unreadable(path: Path) -> str:
    if os.getuid() == 0:
        pytest.skip("the superuser reads everything")
    path.touch(mode=0)
    return "Permission denied"


@pytest.mark.parametrize("make", [a_folder, below_a_file, unreadable])
def test_what_cannot_be_read_is_refused(tmp_path: Path, make: Callable[[Path], str]) -> None:
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "default.json"
    reason = make(path)
    with pytest.raises(StateInvalid) as caught:
        LocalStore(path).load()
    assert f"{path} cannot be read: {reason}." == caught.value.message


def test_garbage_is_refused_and_kept(path: Path) -> None:
    path.write_bytes(b"\xff garbage")
    with pytest.raises(StateInvalid):
        LocalStore(path).load()
    assert b"\xff garbage" == path.read_bytes()


# ── The disk fails ───────────────────────────────────────────────────────────


def assert_whole(path: Path, *, new: bool) -> None:
    """Check that the old or the new document is there, whole, and nothing but it and its backup."""
    assert codec.encode(LATER if new else STATE) == path.read_bytes()
    backups = {each.name: each.read_bytes() for each in path.parent.iterdir() if each != path}
    assert backups in ({}, {backup_of(path).name: codec.encode(STATE)})


def test_the_backup_is_durable_before_the_state_is_replaced(path: Path) -> None:
    disk = ScriptedDisk()
    saved(LocalStore(path, disk), LATER)
    assert CALLS == len(disk.calls)
    assert ["replace state.json.backup", "replace state.json"] == [c for c in disk.calls if c.startswith("replace")]


@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_a_call_that_fails_leaves_the_old_or_the_new_state(path: Path, at: int) -> None:
    store = LocalStore(path, ScriptedDisk(at, full))
    _, version = store.load()
    with pytest.raises(StateNotSaved) as caught:
        store.save(LATER, version)
    assert f"The state could not be saved to {path}: No space left on device." == caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert_whole(path, new=at > CALLS - 2)
    # What is there now is found out by loading, and then a save succeeds.
    _, version = store.load()
    store.save(LATER, version)
    assert_whole_after_retry(path)


def assert_whole_after_retry(path: Path) -> None:
    assert codec.encode(LATER) == path.read_bytes()
    assert ["state.json", "state.json.backup"] == names(path.parent)


def save_and_die(path: Path, at: int) -> None:
    saved(LocalStore(path, ScriptedDisk(at, die)), LATER)


@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_a_process_that_dies_leaves_the_old_or_the_new_state(path: Path, at: int) -> None:
    assert -signal.SIGKILL == exit_code_of(save_and_die, path, at)
    remove_leftovers(path)
    assert_whole(path, new=at > CALLS - 2)


def test_no_room_for_more_than_the_backup_keeps_the_old_state(path: Path) -> None:
    with file_size_limit(path.stat().st_size), pytest.raises(StateNotSaved, match="File too large"):
        saved(LocalStore(path), LATER)
    assert_whole(path, new=False)


def save_on_a_full_disk(folder: Path) -> None:
    path = folder / "state.json"
    store = LocalStore(path)
    saved(store, STATE)
    _, version = store.load()
    ballast = fill(folder)
    with pytest.raises(StateNotSaved, match="No space left on device"):
        store.save(LATER, version)
    ballast.unlink()
    assert_whole(path, new=False)
    store.save(LATER, version)
    assert_whole(path, new=True)


@needs_mounts
def test_a_full_disk_keeps_the_old_state(tmp_path: Path) -> None:
    with_disk_of("64k", tmp_path, save_on_a_full_disk)


def save_read_only(folder: Path) -> None:
    store = LocalStore(folder / "state.json")
    state, version = store.load()
    assert STATE == state
    with pytest.raises(StateNotSaved, match="Read-only file system"):
        store.save(LATER, version)


@needs_mounts
def test_a_read_only_folder_is_read_and_not_written(path: Path) -> None:
    with_read_only(path.parent, save_read_only)
    assert_whole(path, new=False)


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_without_the_right_to_write_is_read_and_not_written(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StateError, match="Permission denied"):
            saved(LocalStore(path), LATER)
    finally:
        path.parent.chmod(0o700)
    assert_whole(path, new=False)
