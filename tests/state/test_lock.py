"""The lock, between real processes."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ExitCode, StateError, StateLocked
from provisioner.state.lock import Holder, held, holder
from tests.forks import processes
from tests.state import UMASKS, file_size_limit, fill, mode, needs_mounts, with_disk_of, with_umask

ADA = Holder(4711, "laptop", "ada", "2026-01-02T03:04:05Z", "https://ci.example/run/7")
BOB = Holder(12, "server", "bob", "2026-01-02T03:04:06Z")
SAID = "process 4711 of ada on laptop, since 2026-01-02T03:04:05Z, https://ci.example/run/7"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json.lock"


def never(seconds: float) -> None:
    raise AssertionError(f"It slept for {seconds} seconds.")


@pytest.mark.parametrize("mask", UMASKS)
def test_a_lock_is_its_owners_alone_whatever_the_umask(path: Path, mask: int) -> None:
    with with_umask(mask), held(path, ADA, timeout=0, sleep=never):
        assert 0o600 == mode(path)


def hold_until_told(path: Path, holder: Holder, pipe: Connection) -> None:
    with held(path, holder, timeout=0, sleep=never):
        pipe.send("held")
        pipe.recv()


@contextmanager
def another_process(path: Path, holder: Holder = ADA) -> Iterator[tuple[Any, Connection]]:
    """Let another process hold the lock for the length of a ``with``, or until it is told or killed."""
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


def test_a_second_run_hears_who_holds_the_state(path: Path) -> None:
    with another_process(path), pytest.raises(StateLocked) as caught, held(path, BOB, timeout=0, sleep=never):
        pass
    assert f"The state is held by {SAID}." == caught.value.message
    assert "--lock-timeout" in caught.value.hint
    assert str(path) in caught.value.hint
    assert ExitCode.STATE_LOCKED == caught.value.exit_code


def test_a_holder_outside_ci_has_no_run() -> None:
    assert "process 12 of bob on server, since 2026-01-02T03:04:06Z" == str(BOB)


def test_a_refused_run_leaves_the_holders_name(path: Path) -> None:
    with another_process(path):
        for _ in range(2):
            with pytest.raises(StateLocked, match="ada on laptop"), held(path, BOB, timeout=0, sleep=never):
                pass


def test_a_run_that_waits_gets_it_when_it_is_free(path: Path) -> None:
    slept: list[float] = []
    with another_process(path) as (process, pipe):

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                pipe.send("let go")
                process.join(30)

        with held(path, BOB, timeout=60, sleep=sleep):
            assert 0 == process.exitcode
    assert [0.1, 0.1, 0.1] == slept


def test_a_run_waits_no_longer_than_it_was_told(path: Path) -> None:
    slept: list[float] = []
    with another_process(path), pytest.raises(StateLocked), held(path, BOB, timeout=0.25, sleep=slept.append):
        pass
    assert pytest.approx([0.1, 0.1, 0.05]) == slept


def test_a_killed_run_holds_nothing(path: Path) -> None:
    with another_process(path) as (process, _):
        process.kill()
        process.join(30)
        assert -signal.SIGKILL == process.exitcode
        with held(path, BOB, timeout=0, sleep=never):
            assert b"bob" in path.read_bytes()


def test_the_file_is_never_deleted(path: Path) -> None:
    with held(path, ADA, timeout=0, sleep=never):
        inode = path.stat().st_ino
    assert b"" == path.read_bytes()
    with another_process(path) as (process, _):
        process.kill()
        process.join(30)
    with held(path, BOB, timeout=0, sleep=never):
        assert inode == path.stat().st_ino
    assert inode == path.stat().st_ino
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


class Stopped(Exception):  # noqa: N818  # it is no error of anybody's
    """Ends a block."""


def test_it_is_free_again_after_an_error(path: Path) -> None:
    with pytest.raises(Stopped), held(path, ADA, timeout=0, sleep=never):
        raise Stopped
    with held(path, BOB, timeout=0, sleep=never):
        pass


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
        path.write_bytes(text)
        with pytest.raises(StateLocked) as caught, held(path, BOB, timeout=0, sleep=never):
            pass
    assert "The state is held by another run." == caught.value.message


def test_what_a_longer_name_left_is_overwritten(path: Path) -> None:
    path.write_bytes(b"x" * 5000)
    with another_process(path), pytest.raises(StateLocked, match="ada"), held(path, BOB, timeout=0, sleep=never):
        pass


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    path.symlink_to(precious)
    with pytest.raises(StateError) as caught, held(path, ADA, timeout=0, sleep=never):
        pass
    assert f"The lock {path} cannot be opened: Too many levels of symbolic links." == caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert "mine" == precious.read_text()


def test_a_lock_that_cannot_be_made_is_an_error_of_the_state(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught, held(tmp_path / "none" / "lock", ADA, timeout=0, sleep=never):
        pass
    assert "No such file or directory" in caught.value.message
    assert not isinstance(caught.value, StateLocked)


@pytest.mark.skipif(sys.platform != "linux", reason="finds its own descriptors as Linux shows them")
def test_a_file_system_without_locks_is_an_error_of_the_state(path: Path) -> None:
    def lose_the_lock(_: float) -> None:
        """Put a descriptor that cannot be locked in the place of the one that waits."""
        unfit = os.open(path, os.O_PATH)
        links = {int(each.name): each for each in Path("/proc/self/fd").iterdir()}
        mine = [fd for fd, link in links.items() if fd != unfit and link.is_symlink() and link.samefile(path)]
        os.dup2(unfit, mine[0])
        os.close(unfit)

    with another_process(path), pytest.raises(StateError) as caught, held(path, BOB, timeout=1, sleep=lose_the_lock):
        pass
    assert f"The lock {path} cannot be taken: Bad file descriptor." == caught.value.message
    assert "flock" in caught.value.hint


def test_no_room_for_the_holders_name_does_not_end_the_run(path: Path) -> None:
    with file_size_limit(0), held(path, ADA, timeout=0, sleep=never):
        assert b"" == path.read_bytes()
        with pytest.raises(StateLocked, match="another run"), held(path, BOB, timeout=0, sleep=never):
            pass


def hold_on_a_full_disk(folder: Path) -> None:
    path = folder / "state.json.lock"
    path.touch()
    fill(folder)
    with held(path, ADA, timeout=0, sleep=never), pytest.raises(StateLocked), held(path, BOB, timeout=0, sleep=never):
        pass


@needs_mounts
def test_a_full_disk_can_be_held(tmp_path: Path) -> None:
    with_disk_of("64k", tmp_path, hold_on_a_full_disk)


def race(path: Path, start: Barrier, end: Barrier, pipe: Connection) -> None:
    start.wait(30)
    try:
        with held(path, Holder(os.getpid(), "h", "u", "s"), timeout=0, sleep=never):
            end.wait(30)
            pipe.send("won")
    except StateLocked:
        end.wait(30)
        pipe.send("lost")


def test_of_four_at_once_exactly_one_wins(path: Path) -> None:
    start, end = processes.Barrier(4), processes.Barrier(4)
    pipes, runs = [], []
    for _ in range(4):
        mine, theirs = processes.Pipe(duplex=False)
        runs.append(processes.Process(target=race, args=(path, start, end, theirs)))
        runs[-1].start()
        theirs.close()
        pipes.append(mine)
    results = [pipe.recv() for pipe in pipes]
    for run, pipe in zip(runs, pipes, strict=True):
        run.join(30)
        pipe.close()
    assert ["lost", "lost", "lost", "won"] == sorted(results)


def test_who_holds_it_can_be_asked_without_holding_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) is None
    assert not path.exists()
    with held(path, ADA, timeout=0, sleep=never):
        assert str(ADA) == holder(path)
    assert holder(path) is None
    with held(path, BOB, timeout=0, sleep=never):
        assert str(BOB) == holder(path)
