"""What a request brought, kept where the state could not be saved, and put back later."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import ExitCode, StateConflict, StateError, StateForeign, StateInvalid, StateNotSaved
from provisioner.model.state import Record, Unknown
from provisioner.state.rescue import MARK, SPACE, Entry, Rescue, encode, found_in, put_back
from tests.state import (
    ABANDONED,
    ACTIVE,
    LEONARDO,
    OPERATION,
    PENDING,
    STATE,
    UMASKS,
    UNKNOWN,
    ScriptedDisk,
    file_size_limit,
    fill,
    full,
    mode,
    needs_mounts,
    of_operation,
    with_disk_of,
    with_read_only,
    with_umask,
)

ENTRY = Entry("lineage-1", "default", "lima", "op-1", ACTIVE)
OSLO = replace(ABANDONED, operation=replace(OPERATION, id="op-0"))
NOTHING_CREATED = replace(ENTRY, record=None)
LONG = replace(ENTRY, record=replace(ACTIVE, sealed=ACTIVE.sealed + "x" * 200_000))
SECOND = replace(ENTRY, name="oslo", operation="op-2", record=of_operation(UNKNOWN, "op-2"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json.rescue"


@pytest.fixture
def stderr() -> io.StringIO:
    return io.StringIO()


# ── The file ─────────────────────────────────────────────────────────────────


def test_the_space_that_is_reserved_is_really_taken(path: Path, stderr: io.StringIO) -> None:
    Rescue(path, stderr).reserve()
    found = path.stat()
    assert SPACE == found.st_size
    assert found.st_blocks * 512 >= SPACE
    assert 0o600 == stat.S_IMODE(found.st_mode)


@pytest.mark.parametrize("mask", UMASKS)
def test_what_is_rescued_is_its_owners_alone_whatever_the_umask(path: Path, stderr: io.StringIO, mask: int) -> None:
    with with_umask(mask):
        Rescue(path, stderr).reserve()
    assert 0o600 == mode(path)


def test_reserved_space_holds_no_entry(path: Path, stderr: io.StringIO) -> None:
    rescue = Rescue(path, stderr)
    assert () == rescue.entries()
    rescue.reserve()
    assert () == rescue.entries()


@pytest.mark.parametrize("entry", [ENTRY, NOTHING_CREATED, LONG, SECOND])
def test_what_is_kept_is_found_by_the_next_run(path: Path, stderr: io.StringIO, entry: Entry) -> None:
    rescue = Rescue(path, stderr)
    rescue.reserve()
    assert str(path) == rescue.keep(entry)
    assert (entry,) == Rescue(path, stderr).entries()
    assert SPACE == path.stat().st_size
    assert "" == stderr.getvalue()


def test_it_is_kept_where_nothing_was_reserved(path: Path, stderr: io.StringIO) -> None:
    assert str(path) == Rescue(path, stderr).keep(ENTRY)
    assert (ENTRY,) == Rescue(path, stderr).entries()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_second_stands_behind_the_first(path: Path, stderr: io.StringIO) -> None:
    rescue = Rescue(path, stderr)
    rescue.reserve()
    for entry in (LONG, ENTRY, NOTHING_CREATED):
        rescue.keep(entry)
    assert (LONG, ENTRY, NOTHING_CREATED) == Rescue(path, stderr).entries()


def test_what_is_kept_is_durable(path: Path, stderr: io.StringIO) -> None:
    disk = ScriptedDisk()
    Rescue(path, stderr, disk).keep(ENTRY)
    assert ["write", "sync", f"folder {path.parent.name}", "sync"] == disk.calls


def test_clearing_removes_the_file_and_asks_for_none(path: Path, stderr: io.StringIO) -> None:
    rescue = Rescue(path, stderr)
    rescue.keep(ENTRY)
    rescue.clear()
    assert not path.exists()
    rescue.clear()
    assert () == rescue.entries()


# ── The file does not take it ────────────────────────────────────────────────


@pytest.mark.parametrize("at", range(1, 5))
def test_no_room_to_reserve_is_said_before_anything_is_sent(path: Path, stderr: io.StringIO, at: int) -> None:
    with pytest.raises(StateNotSaved) as caught:
        Rescue(path, stderr, ScriptedDisk(at, full)).reserve()
    assert f"No room could be reserved at {path}: No space left on device." == caught.value.message
    assert "Nothing was sent." in caught.value.hint
    assert () == Rescue(path, stderr).entries()


@pytest.mark.parametrize("at", range(1, 5))
def test_what_the_file_does_not_take_goes_to_standard_error(path: Path, stderr: io.StringIO, at: int) -> None:
    place = Rescue(path, stderr, ScriptedDisk(at, full)).keep(ENTRY)
    assert f"standard error, in the line that begins with {MARK} (`provisioner recover LOG` puts it back)" == place
    said = stderr.getvalue()
    assert said.startswith(f"{path} did not take it either: No space left on device\n")
    assert said.endswith(f"\n{encode(ENTRY)}\n")
    assert (ENTRY,) == found_in(said, "the log")
    # Half a line would stand in the next run's way; a whole one may be there too.
    assert Rescue(path, stderr).entries() in {(), (ENTRY,)}


def test_half_a_line_takes_nothing_that_was_kept_before_with_it(path: Path, stderr: io.StringIO) -> None:
    rescue = Rescue(path, stderr, ScriptedDisk(5, full))
    rescue.keep(ENTRY)
    rescue.keep(SECOND)
    assert (ENTRY,) == Rescue(path, stderr).entries()
    assert (SECOND,) == found_in(stderr.getvalue(), "the log")


def test_where_there_is_no_folder_standard_error_is_the_place(stderr: io.StringIO) -> None:
    rescue = Rescue(None, stderr)
    rescue.reserve()
    assert () == rescue.entries()
    rescue.keep(ENTRY)
    rescue.clear()
    assert f"{encode(ENTRY)}\n" == stderr.getvalue()


def test_standard_error_has_it_before_anything_else_happens() -> None:
    raw = io.BytesIO()
    stderr = io.TextIOWrapper(raw)
    Rescue(None, stderr).keep(ENTRY)
    assert f"{encode(ENTRY)}\n" == raw.getvalue().decode()
    stderr.close()


def test_a_link_is_not_written_through(path: Path, stderr: io.StringIO) -> None:
    precious = path.with_name("precious")
    precious.write_text("mine")
    path.symlink_to(precious)
    rescue = Rescue(path, stderr)
    with pytest.raises(StateNotSaved, match="symbolic links"):
        rescue.reserve()
    rescue.keep(ENTRY)
    assert "mine" == precious.read_text()
    assert (ENTRY,) == found_in(stderr.getvalue(), "the log")


def test_a_limit_on_the_size_of_files_is_found_when_reserving(path: Path, stderr: io.StringIO) -> None:
    with file_size_limit(SPACE - 1), pytest.raises(StateNotSaved, match="File too large"):
        Rescue(path, stderr).reserve()
    assert 0 == path.stat().st_size


def rescue_on_a_full_disk(folder: Path) -> None:
    stderr = io.StringIO()
    rescue = Rescue(folder / "rescue", stderr)
    rescue.reserve()
    fill(folder)
    assert str(folder / "rescue") == rescue.keep(LONG)
    assert (LONG,) == Rescue(folder / "rescue", stderr).entries()
    rescue.keep(LONG)
    assert (LONG,) == found_in(stderr.getvalue(), "the log")
    assert (LONG,) == Rescue(folder / "rescue", stderr).entries()
    with pytest.raises(StateNotSaved, match="No space left"):
        Rescue(folder / "another", stderr).reserve()


@needs_mounts
def test_a_full_disk_takes_what_fits_into_the_reserved_space(tmp_path: Path) -> None:
    with_disk_of("512k", tmp_path, rescue_on_a_full_disk)


def rescue_read_only(folder: Path) -> None:
    stderr = io.StringIO()
    rescue = Rescue(folder / "rescue", stderr)
    with pytest.raises(StateNotSaved, match="Read-only file system"):
        rescue.reserve()
    rescue.keep(ENTRY)
    assert (ENTRY,) == found_in(stderr.getvalue(), "the log")
    with pytest.raises(StateError, match="cannot be removed: Read-only file system"):
        rescue.clear()


@needs_mounts
def test_a_read_only_folder_sends_it_to_standard_error(tmp_path: Path) -> None:
    (tmp_path / "rescue").touch()
    with_read_only(tmp_path, rescue_read_only)


def test_a_file_that_cannot_be_removed_is_an_error_of_the_state(path: Path, stderr: io.StringIO) -> None:
    path.mkdir()
    with pytest.raises(StateError) as caught:
        Rescue(path, stderr).clear()
    assert f"{path} cannot be removed: " in caught.value.message
    assert "missing from the state" in caught.value.hint


# ── Damage ───────────────────────────────────────────────────────────────────


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.symlink_to("state.json")


@pytest.mark.parametrize("make", [a_folder, a_link])
def test_a_file_that_cannot_be_read_may_hold_an_outcome(
    path: Path, stderr: io.StringIO, make: Callable[[Path], None]
) -> None:
    make(path)
    with pytest.raises(StateInvalid) as caught:
        Rescue(path, stderr).entries()
    assert f"{path} cannot be read: " in caught.value.message


@pytest.mark.parametrize("raw", [b"\xff\xfe garbage", b"hello\n", encode(ENTRY)[8:].encode(), b"\0\0x"])
def test_a_file_that_holds_something_else_is_not_taken_for_an_empty_one(
    path: Path, stderr: io.StringIO, raw: bytes
) -> None:
    path.write_bytes(raw)
    with pytest.raises(StateInvalid) as caught:
        Rescue(path, stderr).entries()
    assert f"{path} holds something else than rescued outcomes." == caught.value.message
    assert "move the damaged one away" in caught.value.hint
    assert raw == path.read_bytes()


def test_a_line_that_was_cut_anywhere_is_found_to_be_damaged(path: Path, stderr: io.StringIO) -> None:
    whole = encode(ENTRY).encode()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length].ljust(SPACE // 64, b"\0"))
        with pytest.raises(StateInvalid) as caught:
            Rescue(path, stderr).entries()
        assert str(path) in caught.value.message
        assert "c2VhbGVk" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        f"{MARK} {{}}",
        f"{MARK} {{",
        encode(ENTRY).replace('"lima"', '"Lima"'),
        encode(ENTRY).replace('"lima"', '"lima\\n"'),
        encode(ENTRY).replace('"active"', '"deleted"'),
        encode(ENTRY).replace('"name"', '"lineage"'),
        encode(ENTRY).replace('"record"', '"other"'),
        encode(ENTRY).replace("op-1", "\udcff\\"),
        encode(ENTRY)[:-2] + "\x1b[0m",
    ],
)
def test_a_damaged_line_of_a_log_is_refused(line: str) -> None:
    with pytest.raises(StateInvalid) as caught:
        found_in(f"{encode(ENTRY)}\n{line}\n", "run.log")
    assert caught.value.message.startswith("A rescued outcome in run.log ")
    assert "Keep it" in caught.value.hint
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


# ── A log ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["\n", "\r\n", "\x1b[0m\n"])
@pytest.mark.parametrize(
    "prefix", ["", "2026-01-02T03:04:05.1234567Z ", "[apply] ", "\x1b[31m", 'stderr | "', "runner  | 03:04 {x} "]
)
def test_entries_are_found_in_a_log_whatever_it_puts_around_them(prefix: str, end: str) -> None:
    lines = ["Creating lima", encode(ENTRY), f"kept in the line that begins with {MARK}", encode(NOTHING_CREATED), "{}"]
    log = "".join(f"{prefix}{line}{end}" for line in lines)
    assert (ENTRY, NOTHING_CREATED) == found_in(log, "run.log")


def test_a_log_without_an_entry_has_none() -> None:
    assert () == found_in(f"It is in the line that begins with {MARK}.\n", "run.log")


def test_a_line_is_one_line_of_ascii_and_shows_what_the_state_shows() -> None:
    line = encode(replace(ENTRY, record=Unknown(LEONARDO, OPERATION, "cut:\nhalf \udcff", ACTIVE.sealed)))
    assert line.isascii()
    assert line.isprintable()
    assert {"lineage", "parent", "name", "operation", "record"} == json.loads(line.removeprefix(MARK)).keys()


@given(st.text(), st.text())
def test_any_reason_comes_back(reason: str, around: str) -> None:
    entry = replace(ENTRY, record=Unknown(LEONARDO, OPERATION, reason))
    log = f"{around.replace(MARK, '')}\n{encode(entry)}\n{around.replace(MARK, '')}"
    assert (entry,) == found_in(log, "run.log")


# ── Putting back ─────────────────────────────────────────────────────────────

RESEALED = replace(ACTIVE, sealed=ACTIVE.sealed + "sealed again")


@pytest.mark.parametrize(
    ("current", "rescued", "expected"),
    [
        (None, ACTIVE, ACTIVE),
        (None, UNKNOWN, UNKNOWN),
        (None, None, None),
        (PENDING, ACTIVE, ACTIVE),
        (PENDING, UNKNOWN, UNKNOWN),
        (PENDING, None, None),
        (UNKNOWN, ACTIVE, ACTIVE),
        (UNKNOWN, None, None),
        (RESEALED, ACTIVE, RESEALED),
        (RESEALED, UNKNOWN, RESEALED),
        (RESEALED, None, RESEALED),
        (ABANDONED, ACTIVE, ACTIVE),
        (ABANDONED, UNKNOWN, ABANDONED),
        (ABANDONED, None, ABANDONED),
        (of_operation(PENDING, "op-2"), None, of_operation(PENDING, "op-2")),
        (of_operation(ACTIVE, "op-2"), None, of_operation(ACTIVE, "op-2")),
    ],
)
def test_an_outcome_goes_where_it_belongs_and_twice_is_once(
    current: Record | None, rescued: Record | None, expected: Record | None
) -> None:
    before = replace(STATE, accounts={"oslo": OSLO} | ({} if current is None else {"lima": current}))
    after = replace(STATE, accounts={"oslo": OSLO} | ({} if expected is None else {"lima": expected}))
    entry = replace(ENTRY, record=rescued)
    assert after == put_back(before, [entry])
    assert after == put_back(after, [entry])
    assert after == put_back(before, [entry, entry])


@pytest.mark.parametrize("current", [PENDING, UNKNOWN, ACTIVE])
@pytest.mark.parametrize("rescued", [ACTIVE, UNKNOWN])
def test_an_account_that_went_through_another_operation_is_left_to_a_person(current: Record, rescued: Record) -> None:
    state = replace(STATE, accounts={"lima": of_operation(current, "op-2")})  # type: ignore[arg-type]
    with pytest.raises(StateConflict) as caught:
        put_back(state, [replace(ENTRY, record=rescued)])
    assert (
        "The rescued outcome of lima is of operation op-1; the state knows another one, op-2." == caught.value.message
    )
    assert "dashboard" in caught.value.hint


@pytest.mark.parametrize("rescued", [ACTIVE, UNKNOWN, None])
def test_what_was_put_back_and_has_another_name_by_now_is_not_put_back_again(rescued: Record | None) -> None:
    moved = replace(STATE, accounts={"oslo": OSLO, "cusco": RESEALED})
    assert moved == put_back(moved, [replace(ENTRY, record=rescued)])


CHANGED = replace(ACTIVE, operation=replace(OPERATION, id="op-2"), first_operation="op-1")
"""What the account has become by a later change."""


@pytest.mark.parametrize("name", ["lima", "cusco"])
@pytest.mark.parametrize("rescued", [ACTIVE, UNKNOWN, None])
def test_what_was_put_back_and_was_changed_since_is_not_put_back_again(name: str, rescued: Record | None) -> None:
    changed = replace(STATE, accounts={"oslo": OSLO, name: CHANGED})
    assert changed == put_back(changed, [replace(ENTRY, record=rescued)])


def test_a_later_time_of_an_account_that_the_state_has_under_another_name_is_left_to_a_person() -> None:
    older = replace(STATE, accounts={"oslo": OSLO, "cusco": ACTIVE})
    later = Entry("lineage-1", "default", "lima", "op-2", CHANGED)
    with pytest.raises(StateConflict) as caught:
        put_back(older, [later])
    assert "The rescued outcome of lima is of the account that the state knows as cusco." == caught.value.message
    with pytest.raises(StateConflict, match="knows another one, op-1"):
        put_back(replace(STATE, accounts={"lima": ACTIVE}), [later])
    assert CHANGED == getattr(put_back(replace(STATE, accounts={}), [later]), "accounts", {})["lima"]


@pytest.mark.parametrize("foreign", [{"lineage": "lineage-2"}, {"parent": "acme"}])
@pytest.mark.parametrize("record", [ACTIVE, None])
def test_an_outcome_of_another_state_is_refused(foreign: dict[str, str], record: Record | None) -> None:
    entry = replace(ENTRY, record=record, **foreign)
    with pytest.raises(StateForeign) as caught:
        put_back(STATE, [ENTRY, entry])
    assert f"belongs to lineage {entry.lineage} of parent {entry.parent}." in caught.value.message


def test_an_outcome_without_a_state_is_refused() -> None:
    with pytest.raises(StateForeign):
        put_back(None, [ENTRY])


def test_an_intent_that_never_reached_a_state_has_nothing_to_be_taken_from() -> None:
    assert put_back(None, [NOTHING_CREATED]) is None


def test_nothing_to_put_back_changes_nothing() -> None:
    assert put_back(None, []) is None
    assert STATE == put_back(STATE, [])
