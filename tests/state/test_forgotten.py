"""What a person has a state forget, kept beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import StateNotSaved
from provisioner.state.disk import Disk
from provisioner.state.forgotten import keep
from provisioner.state.rescue import Entry, found_in, put_back
from tests.state import ACTIVE, STATE, UMASKS, UNKNOWN, ScriptedDisk, full, mode, of_operation, with_umask

PARIS = Entry("lineage-1", "default", "paris", "op-1", ACTIVE)
ROME = Entry("lineage-1", "default", "rome", "op-2", of_operation(UNKNOWN, "op-2"))
MOMENT = "2026-01-31T12:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json.forgotten"


def test_each_is_one_line_the_latest_last_and_can_be_put_back(path: Path) -> None:
    for each in (PARIS, ROME):
        keep(path, each, MOMENT, Disk())
    lines = path.read_text().splitlines()
    assert [f"{MOMENT} provisioner-rescue {{"] * 2 == [each[: len(MOMENT) + 21] for each in lines]
    assert (PARIS, ROME) == found_in(path.read_text(), str(path))
    empty = replace(STATE, accounts={})
    assert {"paris": PARIS.record, "rome": ROME.record} == getattr(put_back(empty, (PARIS, ROME)), "accounts", {})


def test_what_an_editor_left_without_an_end_of_line_stays_a_line_of_its_own(path: Path) -> None:
    keep(path, PARIS, MOMENT, Disk())
    path.write_text(path.read_text().rstrip("\n"))
    keep(path, ROME, MOMENT, Disk())
    assert (PARIS, ROME) == found_in(path.read_text(), str(path))
    assert 2 == path.read_text().count("\n")


@pytest.mark.parametrize("mask", UMASKS)
def test_it_is_its_owners_alone_whatever_the_umask_and_whatever_it_was(path: Path, mask: int) -> None:
    path.write_text("")
    path.chmod(0o666)
    with with_umask(mask):
        keep(path, PARIS, MOMENT, Disk())
    assert 0o600 == mode(path)


@pytest.mark.parametrize("at", range(1, 4))
def test_where_the_disk_does_not_take_it_what_was_kept_before_is_there(path: Path, at: int) -> None:
    keep(path, PARIS, MOMENT, Disk())
    before = path.read_bytes()
    with pytest.raises(StateNotSaved, match=f"could not be kept in {path}: No space left on device") as caught:
        keep(path, ROME, MOMENT, ScriptedDisk(at, full))
    assert "Nothing was forgotten." in caught.value.hint
    assert [(path.name, before)] == [(each.name, each.read_bytes()) for each in path.parent.iterdir()]


def a_link(path: Path) -> None:
    path.with_name("mine").write_text("precious")
    path.symlink_to("mine")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [a_link, a_folder])
def test_what_is_no_file_is_neither_followed_nor_replaced(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    before = {each.name: each.lstat() for each in path.parent.iterdir()}
    with pytest.raises(StateNotSaved, match="could not be kept"):
        keep(path, PARIS, MOMENT, Disk())
    assert before.keys() == {each.name for each in path.parent.iterdir()}
    assert before[path.name].st_ino == path.lstat().st_ino
