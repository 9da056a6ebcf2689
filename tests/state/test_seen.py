"""What this machine remembers of the states that it has seen."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import ExitCode, StateForeign, StateRolledBack
from provisioner.state.seen import Seen
from tests.state import LATER, STATE, UMASKS, mode, with_umask

HERE = "/project/state/default.json"
THERE = "/clone/state/default.json"
OTHER = replace(STATE, lineage="../lineage/2", serial=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "seen"


@pytest.fixture
def seen(folder: Path) -> Seen:
    return Seen(folder)


@pytest.mark.parametrize("state", [STATE, None])
def test_what_was_never_seen_is_believed(seen: Seen, folder: Path, state: object) -> None:
    seen.check(HERE, STATE if state else None)
    assert not folder.exists()


def test_what_was_seen_may_stay_and_may_grow(seen: Seen) -> None:
    seen.note(HERE, STATE)
    seen.check(HERE, STATE)
    seen.check(HERE, LATER)


@pytest.mark.parametrize("address", [HERE, THERE])
def test_an_older_state_is_refused_wherever_it_turns_up(seen: Seen, address: str) -> None:
    seen.note(HERE, LATER)
    with pytest.raises(StateRolledBack) as caught:
        seen.check(address, STATE)
    assert f"{address} has serial 3; this machine has already seen 4." == caught.value.message
    assert "--accept-state" in caught.value.hint
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


def test_another_lineage_in_the_same_place_is_refused(seen: Seen) -> None:
    seen.note(HERE, STATE)
    with pytest.raises(StateForeign) as caught:
        seen.check(HERE, OTHER)
    assert f"{HERE} has lineage ../lineage/2; this machine has seen lineage-1 there." == caught.value.message
    assert "--accept-state" in caught.value.hint


def test_another_lineage_in_another_place_is_another_state(seen: Seen) -> None:
    seen.note(HERE, LATER)
    seen.note(THERE, OTHER)
    seen.check(HERE, LATER)
    seen.check(THERE, OTHER)


def test_a_state_that_is_gone_is_noticed_where_it_was(seen: Seen) -> None:
    seen.note(HERE, STATE)
    seen.check(THERE, None)
    with pytest.raises(StateRolledBack) as caught:
        seen.check(HERE, None)
    assert f"There is no state at {HERE}; this machine has seen one there." == caught.value.message
    with pytest.raises(StateRolledBack, match="no state") as caught:
        seen.check(HERE, None, f"{HERE}.backup")
    assert f"{HERE}.backup is the state as an earlier run found it. " in caught.value.hint
    assert "`provisioner adopt NAME LOGIN`" in caught.value.hint


def test_what_a_person_accepts_is_believed_from_then_on(seen: Seen) -> None:
    seen.note(HERE, LATER)
    seen.note(HERE, STATE)
    seen.check(HERE, STATE)
    seen.forget(HERE)
    seen.check(HERE, None)
    seen.check(HERE, OTHER)
    seen.forget(HERE)


def test_a_mark_names_nothing_and_is_its_owners_alone(seen: Seen, folder: Path) -> None:
    seen.note(HERE, OTHER)
    marks = list(folder.iterdir())
    assert ["address-", "lineage-"] == sorted(each.name[:8] for each in marks)
    assert [0o600, 0o600] == [stat.S_IMODE(each.stat().st_mode) for each in marks]
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


@pytest.mark.parametrize("mask", UMASKS)
def test_the_folder_of_the_marks_is_its_owners_alone_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    folder = tmp_path / "a" / "seen"
    with with_umask(mask):
        Seen(folder).note(HERE, STATE)
    assert [0o700, 0o700] == [mode(folder.parent), mode(folder)]
    Seen(folder).check(HERE, STATE)


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name[:7]: each.read_bytes() for each in folder.iterdir()}


def test_only_what_changed_is_written_and_a_run_adds_a_line(seen: Seen, folder: Path) -> None:
    seen.note(HERE, STATE)
    first = {"address": b'{"lineage": "lineage-1"}\n', "lineage": b'{"serial": 3}\n'}
    assert first == contents(folder)
    times = {each: each.stat().st_mtime_ns for each in folder.iterdir()}
    for same in (seen, Seen(folder)):
        same.note(HERE, STATE)
    assert times == {each: each.stat().st_mtime_ns for each in folder.iterdir()}
    seen.note(HERE, LATER)
    assert first | {"lineage": b'{"serial": 3}\n{"serial": 4}\n'} == contents(folder)
    Seen(folder).note(HERE, LATER)
    assert first | {"lineage": b'{"serial": 4}\n'} == contents(folder)


def test_half_a_line_counts_for_nothing_and_is_not_added_to(seen: Seen, folder: Path) -> None:
    seen.note(HERE, STATE)
    (mark,) = folder.glob("lineage-*")
    mark.write_bytes(b'{"serial": 3}\n{"serial"')
    seen.check(HERE, STATE)
    Seen(folder).note(HERE, LATER)
    assert b'{"serial": 4}\n' == mark.read_bytes()


def test_a_mark_that_could_not_be_added_to_is_written_anew(seen: Seen, folder: Path) -> None:
    seen.note(HERE, STATE)
    (mark,) = folder.glob("lineage-*")
    mark.unlink()
    with pytest.raises(FileNotFoundError):
        seen.note(HERE, LATER)
    seen.note(HERE, LATER)
    assert b'{"serial": 4}\n' == mark.read_bytes()


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff", b"{", b"[]", b"1", b"{}", b'{"serial": "9"}', b'{"serial": null}', b"[" * 100_000]
)
def test_a_damaged_mark_is_no_reason_to_trust_a_state(folder: Path, garbage: bytes) -> None:
    for state, line in ((STATE, b""), (None, b"\n")):
        Seen(folder).note(HERE, LATER)
        for mark in folder.iterdir():
            mark.write_bytes(garbage + line)
        with pytest.raises(StateRolledBack, match="damaged"):
            Seen(folder).check(HERE, state)
    # A person who accepts what is there has it written anew.
    seen = Seen(folder)
    seen.forget(HERE)
    seen.note(HERE, STATE)
    seen.check(HERE, STATE)


def below_a_file(folder: Path) -> None:
    folder.parent.write_text("HOME=/dev/null is a habit of containers")


def test_a_home_that_is_not_there_is_told_by_noting_alone(seen: Seen, folder: Path) -> None:
    below_a_file(folder)
    seen.check(HERE, STATE)
    seen.check(HERE, None)
    with pytest.raises(OSError, match=r"Not a directory|Is a directory|File exists"):
        seen.note(HERE, STATE)
