"""A state in a file, and the files next to it."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ExitCode, StateError, StateInvalid, StateLocked, StateMoved, StateNotSaved
from provisioner.state import codec
from provisioner.state.disk import remove_leftovers
from provisioner.state.holder import Holder
from provisioner.state.lock import OURS
from provisioner.state.stores import ABSENT
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.local_files import NO_LINK
from tests.forks import exit_code_of, processes
from tests.state import (
    ADA,
    BOB,
    LATER,
    STATE,
    UMASKS,
    ScriptedDisk,
    die,
    file_size_limit,
    fill,
    full,
    mode,
    needs_mounts,
    never,
    with_disk_of,
    with_read_only,
    with_umask,
)

OLD, NEW = codec.encode(STATE), codec.encode(LATER)
CALLS = 10
"""Disk calls of a save that keeps a backup too."""

# ── A file ───────────────────────────────────────────────────────────────────


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a state that holds OLD."""
    path = tmp_path / "state.json"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def beside(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}.{kind}")


def backup_of(path: Path) -> Path:
    return beside(path, "backup")


def saved(store: LocalStore, *documents: bytes) -> None:
    _, version = store.load()
    for raw in documents:
        version = store.save(raw, version)


def test_the_file_is_the_document_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    saved(LocalStore(path), OLD)
    assert OLD == path.read_bytes()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_first_state_has_no_backup(tmp_path: Path) -> None:
    saved(LocalStore(tmp_path / "state.json"), OLD, NEW)
    assert ["state.json"] == names(tmp_path)


def test_the_backup_is_the_state_as_this_run_found_it(path: Path) -> None:
    raw = path.read_bytes() + b"\n"
    path.write_bytes(raw)
    store = LocalStore(path)
    _, version = store.load()
    assert not backup_of(path).exists()
    version = store.save(NEW, version)
    store.save(b"a third", version)
    assert raw == backup_of(path).read_bytes()
    assert 0o600 == stat.S_IMODE(backup_of(path).stat().st_mode)


def test_the_next_run_makes_a_backup_of_its_own(path: Path) -> None:
    saved(LocalStore(path), NEW)
    saved(LocalStore(path), OLD)
    assert NEW == backup_of(path).read_bytes()


def test_a_state_that_somebody_edited_meanwhile_is_left_to_them(path: Path) -> None:
    store = LocalStore(path)
    _, version = store.load()
    edited = path.read_bytes().replace(b"Italy", b"France")
    path.write_bytes(edited)
    for old in (version, ABSENT, "", "~"):  # whichever sorts before or after that of the file
        with pytest.raises(StateMoved):
            store.save(NEW, old)
    assert edited == path.read_bytes()
    assert ["state.json"] == names(path.parent)


def test_a_file_is_on_this_machine_and_has_no_history_of_its_own(path: Path) -> None:
    store = LocalStore(path)
    assert (True, 0, None) == (store.is_here, store.newest("lineage-1"), store.backup)


@pytest.mark.parametrize("name", ["a [b]*?.json", "état.json", "two\nlines", "-rf", ".hidden"])
def test_an_odd_name_is_a_name(tmp_path: Path, name: str) -> None:
    saved(LocalStore(tmp_path / name), OLD)
    store = LocalStore(tmp_path / name)
    saved(store, NEW)
    assert NEW == store.load()[0]
    assert sorted([name, f"{name}.backup"]) == names(tmp_path)


def test_the_key_is_the_same_from_every_folder(path: Path) -> None:
    store = LocalStore(Path(os.path.relpath(path)))
    assert str(path) == store.key
    assert os.path.relpath(path) == store.address


def test_a_link_is_neither_read_nor_written_through(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    store = LocalStore(link)
    for attempt in (store.load, lambda: store.save(NEW, ABSENT)):
        with pytest.raises(StateInvalid) as caught:
            attempt()
        assert f"{link} cannot be read: it is a symbolic link, and not a file." == caught.value.message
    assert link.is_symlink()
    assert OLD == path.read_bytes()


def test_a_link_that_is_planted_during_the_run_is_not_written_through(path: Path) -> None:
    store = LocalStore(path)
    _, version = store.load()
    precious = path.rename(path.with_name("precious"))
    path.symlink_to(precious)
    with pytest.raises(StateInvalid):
        store.save(NEW, version)
    assert OLD == precious.read_bytes()


def a_folder(path: Path) -> str:
    path.mkdir()
    return "it is a folder, and not a file"


def below_a_file(path: Path) -> str:
    path.parent.rmdir()
    path.parent.touch()
    return f"{path.parent} is not a folder"


def behind_a_link_to_nowhere(path: Path) -> str:
    path.parent.rmdir()
    path.parent.symlink_to("not-mounted")
    return f"{path.parent} is not a folder"


def unreadable(path: Path) -> str:
    if os.getuid() == 0:
        pytest.skip("the superuser reads everything")
    path.touch(mode=0)
    return "Permission denied"


@pytest.mark.parametrize("make", [a_folder, below_a_file, behind_a_link_to_nowhere, unreadable])
def test_what_cannot_be_read_is_refused(tmp_path: Path, make: Callable[[Path], str]) -> None:
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "default.json"
    reason = make(path)
    with pytest.raises(StateInvalid) as caught:
        LocalStore(path).load()
    assert f"{path} cannot be read: {reason}." == caught.value.message


# ── The disk fails ───────────────────────────────────────────────────────────


def assert_whole(path: Path, *, new: bool) -> None:
    """Check that the old or the new document is there, whole, and nothing but it and its backup."""
    assert (NEW if new else OLD) == path.read_bytes()
    backups = {each.name: each.read_bytes() for each in path.parent.iterdir() if each != path}
    assert backups in ({}, {backup_of(path).name: OLD})


def test_the_backup_is_durable_before_the_state_is_replaced(path: Path) -> None:
    disk = ScriptedDisk()
    saved(LocalStore(path, disk), NEW)
    assert CALLS == len(disk.calls)
    assert ["replace state.json.backup", "replace state.json"] == [c for c in disk.calls if c.startswith("replace")]


@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_a_call_that_fails_leaves_the_old_or_the_new_state(path: Path, at: int) -> None:
    store = LocalStore(path, ScriptedDisk(at, full))
    _, version = store.load()
    with pytest.raises(StateNotSaved) as caught:
        store.save(NEW, version)
    assert f"The state could not be saved to {path}: No space left on device." == caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert_whole(path, new=at > CALLS - 2)
    # What is there now is found out by loading, and then a save succeeds.
    _, version = store.load()
    store.save(NEW, version)
    assert_whole_after_retry(path)


def assert_whole_after_retry(path: Path) -> None:
    assert NEW == path.read_bytes()
    assert ["state.json", "state.json.backup"] == names(path.parent)


def save_and_die(path: Path, at: int) -> None:
    saved(LocalStore(path, ScriptedDisk(at, die)), NEW)


@pytest.mark.parametrize("at", range(1, CALLS + 1))
def test_a_process_that_dies_leaves_the_old_or_the_new_state(path: Path, at: int) -> None:
    assert -signal.SIGKILL == exit_code_of(save_and_die, path, at)
    remove_leftovers(path)
    assert_whole(path, new=at > CALLS - 2)


def test_no_room_for_more_than_the_backup_keeps_the_old_state(path: Path) -> None:
    with file_size_limit(path.stat().st_size), pytest.raises(StateNotSaved, match="File too large"):
        saved(LocalStore(path), NEW)
    assert_whole(path, new=False)


def save_on_a_full_disk(folder: Path) -> None:
    path = folder / "state.json"
    store = LocalStore(path)
    saved(store, OLD)
    _, version = store.load()
    ballast = fill(folder)
    with pytest.raises(StateNotSaved, match="No space left on device"):
        store.save(NEW, version)
    ballast.unlink()
    assert_whole(path, new=False)
    store.save(NEW, version)
    assert_whole(path, new=True)


@needs_mounts
def test_a_full_disk_keeps_the_old_state(tmp_path: Path) -> None:
    with_disk_of("64k", tmp_path, save_on_a_full_disk)


def save_read_only(folder: Path) -> None:
    store = LocalStore(folder / "state.json")
    raw, version = store.load()
    assert OLD == raw
    with pytest.raises(StateNotSaved, match="Read-only file system"):
        store.save(NEW, version)


@needs_mounts
def test_a_read_only_folder_is_read_and_not_written(path: Path) -> None:
    with_read_only(path.parent, save_read_only)
    assert_whole(path, new=False)


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_without_the_right_to_write_is_read_and_not_written(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StateError, match="Permission denied"):
            saved(LocalStore(path), NEW)
    finally:
        path.parent.chmod(0o700)
    assert_whole(path, new=False)


# ── The lock ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mask", UMASKS)
def test_a_lock_is_its_owners_alone_whatever_the_umask(path: Path, mask: int) -> None:
    with with_umask(mask), LocalStore(path).hold(ADA, timeout=0, sleep=never):
        assert 0o600 == mode(beside(path, "lock"))


def hold_until_told(path: Path, holder: Holder, pipe: Connection) -> None:
    with LocalStore(path).hold(holder, timeout=0, sleep=never):
        pipe.send("held")
        pipe.recv()


@contextmanager
def another_process(path: Path, holder: Holder = ADA) -> Iterator[tuple[Any, Connection]]:
    """Let another process hold the state for the length of a ``with``, or until it is stopped or killed."""
    mine, theirs = processes.Pipe()
    process = processes.Process(target=hold_until_told, args=(path, holder, theirs))
    process.start()
    theirs.close()
    assert "held" == mine.recv()
    try:
        yield process, mine
    finally:
        process.kill()
        process.join(30)
        mine.close()


@contextmanager
def held_by_bob(path: Path, timeout: float = 0, sleep: Callable[[float], None] = never) -> Iterator[None]:
    with LocalStore(path).hold(BOB, timeout=timeout, sleep=sleep):
        yield


def test_another_process_sees_who_holds_the_state_and_where_the_lock_is(path: Path) -> None:
    with another_process(path), pytest.raises(StateLocked) as caught, held_by_bob(path):
        pass
    assert f"The state is held by {ADA}." == caught.value.message
    assert "--lock-timeout" in caught.value.hint
    assert str(beside(path, "lock")) in caught.value.hint
    assert "never delete it" in caught.value.hint
    assert ExitCode.STATE_LOCKED == caught.value.exit_code


def test_a_process_that_is_refused_leaves_the_holders_name(path: Path) -> None:
    with another_process(path):
        for _ in range(2):
            with pytest.raises(StateLocked, match="ada on laptop"), held_by_bob(path):
                pass
        assert str(ADA) == LocalStore(path).holder()


def test_a_process_that_waits_gets_it_when_it_is_free(path: Path) -> None:
    slept: list[float] = []
    with another_process(path) as (process, pipe):

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                pipe.send("let go")
                process.join(30)

        with held_by_bob(path, 60, sleep):
            assert 0 == process.exitcode
    assert [0.1, 0.1, 0.1] == slept


def test_a_process_waits_no_longer_than_its_timeout(path: Path) -> None:
    slept: list[float] = []
    with another_process(path), pytest.raises(StateLocked), held_by_bob(path, 0.25, slept.append):
        pass
    assert pytest.approx([0.1, 0.1, 0.05]) == slept


def test_a_killed_run_holds_nothing(path: Path) -> None:
    with another_process(path) as (process, _):
        process.kill()
        process.join(30)
        assert -signal.SIGKILL == process.exitcode
        assert LocalStore(path).holder() is None
        with held_by_bob(path):
            assert b"bob" in beside(path, "lock").read_bytes()


def test_the_lock_is_never_deleted(path: Path) -> None:
    lock = beside(path, "lock")
    with LocalStore(path).hold(ADA, timeout=0, sleep=never):
        inode = lock.stat().st_ino
    assert b"" == lock.read_bytes()
    with another_process(path) as (process, _):
        process.kill()
        process.join(30)
    with held_by_bob(path):
        assert inode == lock.stat().st_ino
    assert inode == lock.stat().st_ino
    assert 0o600 == mode(lock)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"pid": 4711, "host": "lap',
        b"\xff\x00",
        b"[]",
        b"1",
        b'"ada"',
        b'{"pid": 4711}',
        b'{"pid": 1, "host": "h", "user": "u", "started_at": "s", "other": 1}',
        b"[" * 5000,
    ],
)
def test_a_name_that_cannot_be_read_is_not_needed(path: Path, text: bytes) -> None:
    with another_process(path):
        beside(path, "lock").write_bytes(text)
        with pytest.raises(StateLocked) as caught, held_by_bob(path):
            pass
        assert "another run" == LocalStore(path).holder()
    assert "The state is held by another run." == caught.value.message


def test_what_a_longer_name_left_is_overwritten(path: Path) -> None:
    beside(path, "lock").write_bytes(b'{"pid": 1, "host": "' + b"x" * 5000)
    with another_process(path), pytest.raises(StateLocked, match="ada"), held_by_bob(path):
        pass


def test_a_lock_that_is_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    precious, lock = tmp_path / "precious", beside(path, "lock")
    precious.write_text("mine")
    lock.symlink_to(precious)
    with pytest.raises(StateError) as caught, held_by_bob(path):
        pass
    assert f"The lock {lock} cannot be opened: it is a symbolic link, and not a file." == caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert "mine" == precious.read_text()
    assert LocalStore(path).holder() is None


def test_a_lock_that_cannot_be_made_is_an_error_of_the_state(path: Path) -> None:
    beside(path, "lock").mkdir()
    with pytest.raises(StateError) as caught, held_by_bob(path):
        pass
    assert f"The lock {beside(path, 'lock')} cannot be opened: it is a folder, and not a file." == caught.value.message
    assert not isinstance(caught.value, StateLocked)


def test_a_folder_that_cannot_be_made_is_an_error_of_the_state(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError) as caught, held_by_bob(tmp_path / "file" / "state" / "acme.json"):
        pass
    assert f"The folder {tmp_path / 'file' / 'state'} cannot be created: " in caught.value.message
    assert not isinstance(caught.value, StateLocked)


@pytest.mark.skipif(sys.platform != "linux", reason="finds its own descriptors as Linux shows them")
def test_a_file_system_without_locks_is_an_error_of_the_state(path: Path) -> None:
    lock = beside(path, "lock")

    def lose_the_lock(_: float) -> None:
        """Put a descriptor that cannot be locked in the place of the one that waits."""
        unfit = os.open(lock, os.O_PATH)
        links = {int(each.name): each for each in Path("/proc/self/fd").iterdir()}
        mine = [fd for fd, link in links.items() if fd != unfit and link.is_symlink() and link.samefile(lock)]
        os.dup2(unfit, mine[0])
        os.close(unfit)

    with another_process(path), pytest.raises(StateError) as caught, held_by_bob(path, 1, lose_the_lock):
        pass
    assert f"The lock {lock} cannot be taken: Bad file descriptor." == caught.value.message
    assert "flock" in caught.value.hint


def test_no_room_for_the_holders_name_does_not_end_the_run(path: Path) -> None:
    with file_size_limit(0), LocalStore(path).hold(ADA, timeout=0, sleep=never):
        assert b"" == beside(path, "lock").read_bytes()
        with pytest.raises(StateLocked, match="another run"), held_by_bob(path):
            pass


def hold_on_a_full_disk(folder: Path) -> None:
    path = folder / "state.json"
    beside(path, "lock").touch()
    fill(folder)
    with LocalStore(path).hold(ADA, timeout=0, sleep=never), pytest.raises(StateLocked), held_by_bob(path):
        pass


@needs_mounts
def test_a_full_disk_can_be_held(tmp_path: Path) -> None:
    with_disk_of("64k", tmp_path, hold_on_a_full_disk)


def race(path: Path, start: Barrier, end: Barrier, pipe: Connection) -> None:
    start.wait(30)
    try:
        with LocalStore(path).hold(Holder(os.getpid(), "h", "u", "s"), timeout=0, sleep=never):
            end.wait(30)
            pipe.send("won")
    except StateLocked:
        end.wait(30)
        pipe.send("lost")


def test_of_four_at_once_exactly_one_wins(tmp_path: Path) -> None:
    start, end = processes.Barrier(4), processes.Barrier(4)
    pipes, runs = [], []
    for _ in range(4):
        mine, theirs = processes.Pipe(duplex=False)
        runs.append(processes.Process(target=race, args=(tmp_path / "new" / "acme.json", start, end, theirs)))
        runs[-1].start()
        theirs.close()
        pipes.append(mine)
    results = [pipe.recv() for pipe in pipes]
    for run, pipe in zip(runs, pipes, strict=True):
        run.join(30)
        pipe.close()
    assert ["lost", "lost", "lost", "won"] == sorted(results)


def test_asking_who_holds_it_creates_nothing(tmp_path: Path) -> None:
    assert LocalStore(tmp_path / "new" / "acme.json").holder() is None
    assert LocalStore(tmp_path / "acme.json").holder() is None
    assert [] == names(tmp_path)


def test_the_holder_removes_what_a_killed_run_left_and_nobody_else_does(path: Path) -> None:
    leftover = path.with_name(".state.json.0123.tmp")
    with another_process(path):
        leftover.touch()
        with pytest.raises(StateLocked), held_by_bob(path):
            pass
        assert leftover.exists()
    with held_by_bob(path):
        assert ["state.json", "state.json.lock"] == names(path.parent)


# ── What was rescued ─────────────────────────────────────────────────────────

SPACE = 64 * 1024
LINE, SECOND = b"first " * 20 + b"\n", b"second\n"


@pytest.fixture
def kept(path: Path) -> Path:
    """Return where rescued lines are kept."""
    return beside(path, "rescue")


def test_the_address_of_what_is_rescued_is_its_file(path: Path, kept: Path) -> None:
    assert str(kept) == LocalStore(path).rescue_address


def test_the_room_that_is_reserved_is_really_taken(path: Path, kept: Path) -> None:
    LocalStore(path).reserve(SPACE)
    found = kept.stat()
    assert SPACE == found.st_size
    assert found.st_blocks * 512 >= SPACE
    assert 0o600 == mode(kept)


@pytest.mark.parametrize("mask", UMASKS)
def test_what_is_rescued_is_its_owners_alone_whatever_the_umask(path: Path, kept: Path, mask: int) -> None:
    with with_umask(mask):
        LocalStore(path).reserve(SPACE)
    assert 0o600 == mode(kept)


def test_a_line_goes_into_the_room_that_is_reserved(path: Path, kept: Path) -> None:
    store = LocalStore(path)
    store.reserve(SPACE)
    store.rescue(LINE)
    store.rescue(SECOND)
    assert SPACE == kept.stat().st_size
    assert LINE + SECOND == LocalStore(path).rescued()


def test_it_is_its_owners_alone_where_nothing_was_reserved(path: Path, kept: Path) -> None:
    LocalStore(path).rescue(LINE)
    assert LINE == LocalStore(path).rescued()
    assert 0o600 == mode(kept)


def test_what_is_rescued_is_durable(path: Path) -> None:
    disk = ScriptedDisk()
    LocalStore(path, disk).rescue(LINE)
    assert ["write", "sync", f"folder {path.parent.name}", "sync"] == disk.calls


def test_clearing_removes_the_file_and_needs_none(path: Path, kept: Path) -> None:
    store = LocalStore(path)
    store.rescue(LINE)
    store.clear_rescued()
    assert not kept.exists()
    store.clear_rescued()
    assert b"" == store.rescued()


@pytest.mark.parametrize("at", range(1, 5))
def test_no_room_to_reserve_is_said_before_anything_is_sent(path: Path, kept: Path, at: int) -> None:
    with pytest.raises(StateNotSaved) as caught:
        LocalStore(path, ScriptedDisk(at, full)).reserve(SPACE)
    assert f"No space could be reserved at {kept}: No space left on device." == caught.value.message
    assert "Nothing was sent." in caught.value.hint
    assert b"" == LocalStore(path).rescued()


@pytest.mark.parametrize("at", range(1, 5))
def test_a_line_that_the_disk_does_not_take_leaves_no_half(path: Path, kept: Path, at: int) -> None:
    with pytest.raises(StateNotSaved) as caught:
        LocalStore(path, ScriptedDisk(at, full)).rescue(LINE)
    assert f"{kept} could not be written either: No space left on device." == caught.value.message
    # Half a line would block the next run; a whole one may be there too.
    assert LocalStore(path).rescued() == (b"" if at == 1 else LINE)


def test_half_a_line_takes_nothing_that_was_kept_before_with_it(path: Path) -> None:
    store = LocalStore(path, ScriptedDisk(5, full))
    store.reserve(SPACE)
    LocalStore(path).rescue(LINE)
    with pytest.raises(StateNotSaved):
        store.rescue(SECOND)
    assert LINE == LocalStore(path).rescued()
    store.rescue(SECOND)
    assert LINE + SECOND == LocalStore(path).rescued()


def test_a_rescue_that_is_a_link_is_not_written_through(path: Path, kept: Path) -> None:
    precious = path.with_name("precious")
    precious.write_text("mine")
    kept.symlink_to(precious)
    store = LocalStore(path)
    with pytest.raises(StateNotSaved, match="a symbolic link, and not a file"):
        store.reserve(SPACE)
    with pytest.raises(StateNotSaved, match="a symbolic link, and not a file"):
        store.rescue(LINE)
    assert "mine" == precious.read_text()


def test_a_limit_on_the_size_of_files_is_found_when_reserving(path: Path, kept: Path) -> None:
    with file_size_limit(SPACE - 1), pytest.raises(StateNotSaved, match="File too large"):
        LocalStore(path).reserve(SPACE)
    assert 0 == kept.stat().st_size


def rescue_on_a_full_disk(folder: Path) -> None:
    path, line = folder / "state.json", b"x" * (SPACE - 10) + b"\n"
    store = LocalStore(path)
    store.reserve(SPACE)
    fill(folder)
    store.rescue(line)
    assert line == LocalStore(path).rescued()
    with pytest.raises(StateNotSaved, match="No space left"):
        store.rescue(line)
    assert line == LocalStore(path).rescued()
    with pytest.raises(StateNotSaved, match="No space left"):
        LocalStore(folder / "another.json").reserve(SPACE)


@needs_mounts
def test_a_full_disk_takes_what_fits_into_the_reserved_room(tmp_path: Path) -> None:
    with_disk_of("512k", tmp_path, rescue_on_a_full_disk)


def rescue_read_only(folder: Path) -> None:
    store = LocalStore(folder / "state.json")
    with pytest.raises(StateNotSaved, match="Read-only file system"):
        store.reserve(SPACE)
    with pytest.raises(StateNotSaved, match="could not be written either: Read-only file system"):
        store.rescue(LINE)
    with pytest.raises(StateError, match="cannot be removed: Read-only file system"):
        store.clear_rescued()


@needs_mounts
def test_a_read_only_folder_takes_no_line(path: Path, kept: Path) -> None:
    kept.touch()
    with_read_only(path.parent, rescue_read_only)


def test_a_rescue_that_cannot_be_removed_is_an_error_of_the_state(path: Path, kept: Path) -> None:
    kept.mkdir()
    with pytest.raises(StateError) as caught:
        LocalStore(path).clear_rescued()
    assert f"{kept} cannot be removed: " in caught.value.message
    assert "The state has everything that is in the file" in caught.value.hint


def to_a_folder(path: Path) -> None:
    path.mkdir()


def to_a_link(path: Path) -> None:
    path.with_name("mine").write_text("precious")
    path.symlink_to("mine")


@pytest.mark.parametrize("make", [to_a_folder, to_a_link])
def test_a_rescue_that_cannot_be_read_may_hold_an_outcome(path: Path, kept: Path, make: Callable[[Path], None]) -> None:
    make(kept)
    with pytest.raises(StateInvalid) as caught:
        LocalStore(path).rescued()
    assert f"{kept} cannot be read: " in caught.value.message
    assert "it may contain an outcome" in caught.value.hint


@pytest.mark.parametrize("raw", [b"\xff\xfe garbage", b"hello\n", b"\0\0x"])
def test_other_content_is_returned_unchanged_and_kept(path: Path, kept: Path, raw: bytes) -> None:
    kept.write_bytes(raw + b"\0\0")
    assert raw == LocalStore(path).rescued()
    LocalStore(path).rescue(SECOND)
    # A line is recognised by its position.
    assert raw.rstrip(b"\n") + b"\n" + SECOND == kept.read_bytes()


# ── What was forgotten ───────────────────────────────────────────────────────


@pytest.fixture
def forgotten(path: Path) -> Path:
    """Return where forgotten lines are kept."""
    return beside(path, "forgotten")


def test_each_is_one_line_the_latest_last(path: Path, forgotten: Path) -> None:
    for line in (LINE, SECOND):
        assert str(forgotten) == LocalStore(path).keep_forgotten(line)
    assert LINE + SECOND == forgotten.read_bytes()


def test_what_an_editor_left_without_an_end_of_line_stays_a_line_of_its_own(path: Path, forgotten: Path) -> None:
    forgotten.write_bytes(LINE.rstrip(b"\n"))
    LocalStore(path).keep_forgotten(SECOND)
    assert LINE + SECOND == forgotten.read_bytes()


@pytest.mark.parametrize("mask", UMASKS)
def test_it_is_its_owners_alone_whatever_the_umask_and_whatever_it_was(path: Path, forgotten: Path, mask: int) -> None:
    forgotten.write_text("")
    forgotten.chmod(0o666)
    with with_umask(mask):
        LocalStore(path).keep_forgotten(LINE)
    assert 0o600 == mode(forgotten)


@pytest.mark.parametrize("at", range(1, 4))
def test_where_the_disk_does_not_take_it_what_was_kept_before_is_there(path: Path, forgotten: Path, at: int) -> None:
    LocalStore(path).keep_forgotten(LINE)
    reason = f"could not be saved to {forgotten}: No space left on device"
    with pytest.raises(StateNotSaved, match=reason) as caught:
        LocalStore(path, ScriptedDisk(at, full)).keep_forgotten(SECOND)
    assert "Nothing was forgotten." in caught.value.hint
    assert {forgotten.name: LINE, path.name: OLD} == {each.name: each.read_bytes() for each in path.parent.iterdir()}


@pytest.mark.parametrize("make", [to_a_folder, to_a_link])
def test_what_is_not_a_file_is_neither_followed_nor_replaced(
    path: Path, forgotten: Path, make: Callable[[Path], None]
) -> None:
    make(forgotten)
    before = {each.name: each.lstat() for each in path.parent.iterdir()}
    with pytest.raises(StateNotSaved, match="could not be saved"):
        LocalStore(path).keep_forgotten(LINE)
    assert before.keys() == {each.name for each in path.parent.iterdir()}
    assert before[forgotten.name].st_ino == forgotten.lstat().st_ino


def test_a_time_that_has_passed_already_is_no_wait(path: Path) -> None:
    second = LocalStore(path).hold(BOB, timeout=-1.0, sleep=never)
    with LocalStore(path).hold(ADA, timeout=0, sleep=never), pytest.raises(StateLocked), second:
        pass


@pytest.mark.parametrize("make", [to_a_folder, to_a_link])
@pytest.mark.parametrize("kind", ["", ".backup", ".rescue", ".forgotten"])
def test_whatever_a_run_would_write_must_be_a_file_of_our_own_before_anything_is_sent(
    tmp_path: Path, kind: str, make: Callable[[Path], None]
) -> None:
    store, taken = LocalStore(tmp_path / "state.json"), tmp_path / f"state.json{kind}"
    make(taken)
    with pytest.raises(StateInvalid) as caught, store.hold(ADA, timeout=0, sleep=never):
        pass
    assert caught.value.message.startswith(f"{taken} cannot be used: ")
    assert (OURS if kind else NO_LINK) == caught.value.hint


# ── Its files ────────────────────────────────────────────────────────────────


def test_it_says_where_a_backup_is_only_where_there_is_one(path: Path) -> None:
    store = LocalStore(path)
    assert store.backup is None
    saved(store, NEW)
    assert str(backup_of(path)) == store.backup


def test_only_existing_older_copies_are_listed(path: Path, forgotten: Path) -> None:
    store = LocalStore(path)
    assert () == store.older_copies()
    store.keep_forgotten(LINE)
    assert (str(forgotten),) == store.older_copies()
    saved(store, NEW)
    assert (str(backup_of(path)), str(forgotten)) == store.older_copies()


def test_no_other_file_may_take_the_place_of_one_of_its_own(path: Path) -> None:
    assert {
        path: "the state",
        beside(path, "lock"): "next to the state",
        beside(path, "backup"): "next to the state",
        beside(path, "rescue"): "next to the state",
        beside(path, "forgotten"): "next to the state",
        beside(path, "history.jsonl"): "next to the state",
    } == dict(LocalStore(path).files())


def test_a_look_during_a_run_does_not_change_what_it_keeps_as_its_backup(path: Path) -> None:
    store = LocalStore(path)
    with store.hold(ADA, timeout=0, sleep=never):
        raw, found = store.load()
        middle = store.save(NEW, found)
        store.load()
        store.save(NEW + b"\n", middle)
    assert raw == backup_of(path).read_bytes()
