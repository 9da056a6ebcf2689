"""The forgetful disk forgets as a disk may, the saves of the product survive that, and wrong ones are caught."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioner.state.disk import Disk, write_atomically
from provisioner.state.stores.local import LocalStore
from tests.proof.chaos.__main__ import tally
from tests.proof.chaos.subject import Provisioner
from tests.proof.disk import log, mount, states
from tests.proof.disk.layer import FIRST, ForgetfulDisk
from tests.proof.disk.log import Settle
from tests.state import ADA, never

pytestmark = pytest.mark.skipif(mount.missing() is not None, reason=str(mount.missing()))

OLD = b"old" * 400
NEW = b"new" * 400
RUNS = 8

Cuts = Callable[[Callable[[Path], object]], Iterator[list[states.Tree]]]
Contents = list[bytes | None]
"""What a file may hold after a power cut: each content once, None where there is no file."""


@pytest.fixture
def cuts(tmp_path: Path) -> Cuts:
    """Return a function that runs a program in a folder of a forgetful disk, and the states at each point of it."""

    def found(program: Callable[[Path], object]) -> Iterator[list[states.Tree]]:
        top, recording = tmp_path / "disk", tmp_path / "log"
        top.mkdir()
        with mount.mounted(top, recording):
            (top / "file").write_bytes(OLD)
            mount.order(top, "settle")
            program(top)
        disk, settled = states.Disk(), False
        for operation in log.read(recording):
            disk.follow(operation)
            if settled := settled or isinstance(operation, Settle):
                trees, is_all = disk.states(10_000, random.Random(0))  # noqa: S311
                assert is_all
                yield trees

    return found


def contents(trees: list[states.Tree], path: str = "file") -> Contents:
    found = [next((content for name, _, content in tree if name == path), None) for tree in trees]
    return list(dict.fromkeys(found))


def write(path: Path, mode: str) -> None:
    with path.open(mode) as file:
        file.write(NEW)


def sync(path: Path) -> None:
    Disk().sync_folder(path)


# ── A disk that forgets ──────────────────────────────────────────────────────


def test_what_is_written_and_not_synced_may_be_lost_whole_or_in_part(cuts: Cuts) -> None:
    *_, last = cuts(lambda top: write(top / "file", "r+b"))
    assert {OLD, NEW, NEW[:512] + OLD[512:], OLD[:1024] + NEW[1024:]} <= {*contents(last)}


def test_a_file_that_grew_may_have_zeros_for_data(cuts: Cuts) -> None:
    *_, last = cuts(lambda top: write(top / "file", "ab"))
    assert {OLD, OLD + NEW, OLD + bytes(len(NEW))} <= {*contents(last)}


def test_a_new_file_that_is_synced_may_have_no_name_until_its_folder_is(cuts: Cuts) -> None:
    def program(top: Path) -> None:
        with (top / "new").open("wb") as file:
            file.write(NEW)
            file.flush()
            os.fsync(file.fileno())
        sync(top)

    *_, before, last = cuts(program)
    assert [None, NEW] == contents(before, "new")
    assert [NEW] == contents(last, "new")


def test_a_rename_and_a_removal_may_be_undone_until_the_folder_is_synced(cuts: Cuts) -> None:
    def program(top: Path) -> None:
        (top / "file").rename(top / "elsewhere")
        (top / "elsewhere").unlink()
        sync(top)

    _, renamed, removed, last = cuts(program)
    assert [(OLD, None), (None, OLD)] == [(*contents([tree]), *contents([tree], "elsewhere")) for tree in renamed]
    assert {(OLD, None), (None, OLD), (None, None)} == {
        (*contents([tree]), *contents([tree], "elsewhere")) for tree in removed
    }
    assert [None] == contents(last)
    assert [None] == contents(last, "elsewhere")


def test_a_folder_that_is_not_synced_takes_all_that_is_in_it_along(cuts: Cuts) -> None:
    def program(top: Path) -> None:
        (top / "folder").mkdir()
        write_atomically(top / "folder" / "new", NEW, Disk())

    *_, last = cuts(program)
    assert [None, NEW] == contents(last, "folder/new")


def test_what_other_machines_saw_is_not_forgotten() -> None:
    disk = states.Disk(remembered=("there",))
    for operation in (
        log.Make(2, 0o40755), log.Name(1, (("there", 2),)), log.Sync(1),
        log.Make(3, 0o100644), log.Name(2, (("file", 3),)), log.Write(3, 0, NEW),
    ):  # fmt: skip
        disk.follow(operation)
    trees, is_all = disk.states(10, random.Random(0))  # noqa: S311
    assert is_all
    assert [NEW] == contents(trees, "there/file")


# ── Saves ────────────────────────────────────────────────────────────────────


class NoSyncOfTheFile(Disk):
    """A wrong disk."""

    def sync(self, descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            super().sync(descriptor)


class NoSyncOfTheFolder(Disk):
    """A wrong disk."""

    def sync_folder(self, folder: Path) -> None:
        pass


def test_a_save_is_whole_at_any_moment_and_lasts_when_it_returns(cuts: Cuts) -> None:
    found = [contents(each) for each in cuts(lambda top: write_atomically(top / "file", NEW, Disk()))]
    assert {OLD, NEW} == {content for each in found for content in each}
    assert [NEW] == found[-1]


def test_a_save_that_does_not_sync_the_file_is_caught(cuts: Cuts) -> None:
    *_, last = cuts(lambda top: write_atomically(top / "file", NEW, NoSyncOfTheFile()))
    assert {b"", NEW[:512], bytes(len(NEW))} <= {*contents(last)}


def test_a_save_that_does_not_sync_the_folder_is_caught(cuts: Cuts) -> None:
    *_, last = cuts(lambda top: write_atomically(top / "file", NEW, NoSyncOfTheFolder()))
    assert [OLD, NEW] == contents(last)


def held(path: Path) -> LocalStore:
    """Hold the state at ``path``, and let go."""
    store = LocalStore(path)
    with store.hold(ADA, timeout=0, sleep=never):
        return store


def test_a_state_that_a_killed_run_replaced_lasts_before_a_run_builds_on_it(cuts: Cuts) -> None:
    def program(top: Path) -> None:
        write_atomically(top / "file", NEW, NoSyncOfTheFolder())
        held(top / "file")

    *_, last = cuts(program)
    assert [NEW] == contents(last)


def test_a_folder_that_a_killed_run_made_lasts_before_a_run_builds_on_it(cuts: Cuts) -> None:
    def program(top: Path) -> None:
        (top / "state").mkdir()
        store = held(top / "state" / "file")
        store.save(NEW, "")

    *_, last = cuts(program)
    assert [NEW] == contents(last, "state/file")


# ── The layer ────────────────────────────────────────────────────────────────


def test_nothing_is_created_twice_or_lost_or_shown_by_a_power_cut() -> None:
    layer = ForgetfulDisk(scenes=(FIRST,), kills=False, bound=20)
    done = tally(layer, Provisioner(), runs=RUNS)
    assert (RUNS, RUNS) == (done.runs, done.total.faults)
    assert [] == [(seed, outcome.notes) for seed, outcome in done.failed]
