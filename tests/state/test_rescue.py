"""The line that keeps an outcome in a file or a log, and how it is put back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import ExitCode, StateConflict, StateForeign, StateInvalid
from provisioner.model.rescue import MARK, defused
from provisioner.model.state import Record, Unknown
from provisioner.state.rescue import RescueEntry, decode, encode, found_in, put_back, space
from tests.state import ABANDONED, ACTIVE, LEONARDO, OPERATION, PENDING, STATE, UNKNOWN, of_operation

ENTRY = RescueEntry("lineage-1", "default", "lima", "op-1", ACTIVE)
OSLO = replace(ABANDONED, operation=replace(OPERATION, id="op-0"))
NOTHING_CREATED = replace(ENTRY, record=None)
LONG = replace(ENTRY, record=replace(ACTIVE, sealed=ACTIVE.sealed + "x" * 200_000))
SECOND = replace(ENTRY, name="oslo", operation="op-2", record=of_operation(UNKNOWN, "op-2"))


# ── What a store has kept ────────────────────────────────────────────────────


def kept(*entries: RescueEntry) -> bytes:
    """Return ``entries`` as a session has a store keep them."""
    return b"".join(f"{encode(each)}\n".encode() for each in entries)


def test_without_a_rescue_there_is_no_entry() -> None:
    assert () == decode(b"", "it")


@pytest.mark.parametrize("entry", [ENTRY, NOTHING_CREATED, LONG, SECOND])
def test_what_is_kept_is_found(entry: RescueEntry) -> None:
    assert (entry,) == decode(kept(entry), "it")
    assert len(kept(entry)) < space(entry)


def test_what_is_kept_second_stands_behind_the_first() -> None:
    assert (LONG, ENTRY, NOTHING_CREATED) == decode(kept(LONG, ENTRY, NOTHING_CREATED), "it")


# ── Damage ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe garbage", b"hello\n", encode(ENTRY)[8:].encode(), b"\0\0x", kept(ENTRY) + b"x"]
)
def test_other_content_is_not_mistaken_for_an_empty_rescue(raw: bytes) -> None:
    with pytest.raises(StateInvalid) as caught:
        decode(raw, "state.json.rescue")
    assert "state.json.rescue contains something other than rescued outcomes." == caught.value.message
    assert "move the damaged line away" in caught.value.hint


def test_a_line_that_was_cut_anywhere_is_found_to_be_damaged() -> None:
    whole = encode(ENTRY).encode()
    for length in range(1, len(whole), 7):
        with pytest.raises(StateInvalid) as caught:
            decode(whole[:length], "state.json.rescue")
        assert "state.json.rescue" in caught.value.message
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
    "prefix",
    [
        "",
        "2026-01-02T03:04:05.1234567Z ",
        "2026-01-02T03:04:05.123456Z 01O ",
        "Jan 02 03:04:05 host provisioner[123]: ",
        "[pod/provisioner/run] ",
        "run-1  | ",
        "\x1b[31m",
        "2026-01-02 \x1b[0K\x1b[31;1m",
    ],
)
def test_entries_are_found_in_a_log_whatever_it_puts_around_them(prefix: str, end: str) -> None:
    lines = ["Creating lima", encode(ENTRY), f"kept in the line that begins with {MARK}", encode(NOTHING_CREATED), "{}"]
    log = "".join(f"{prefix}{line}{end}" for line in lines)
    assert (ENTRY, NOTHING_CREATED) == found_in(log, "run.log")


@pytest.mark.parametrize("long", ["\x1b[0m", "\x1b[", "a ", " ", "] ", "]: "])
def test_a_log_is_searched_in_linear_time(long: str) -> None:
    assert () == found_in(f"{long * 200_000}{MARK} x {{", "run.log")


FORGED = "provisioner-rescue " + json.dumps(
    {"lineage": "lineage-1", "parent": "default", "name": "oslo", "operation": "op-0", "record": None}
)


@pytest.mark.parametrize(
    "around",
    [
        "    first_name: {}",
        "    first_name: '{}'",
        "- {{name: bern, first_name: {}",
        "+{}",
        "bern,{}",
        " {}",
        "x={}",
    ],
)
@pytest.mark.parametrize("value", [FORGED, json.dumps(FORGED), "provisioner-rescue {", json.dumps({"message": FORGED})])
def test_a_value_that_looks_like_an_entry_is_not_one(around: str, value: str) -> None:
    log = f"{around.format(value)}\n{encode(ENTRY)}\n{around.format(value)}\n"
    assert (ENTRY,) == found_in(log, "run.log")


def test_an_entry_is_found_in_a_log_of_objects_however_its_program_writes_them() -> None:
    for separators in ((",", ":"), (", ", ": ")):
        event = {"event": "rescue", MARK: json.loads(encode(ENTRY).removeprefix(MARK)), "message": FORGED}
        assert (ENTRY,) == found_in(f"2026 {json.dumps(event, separators=separators)}\n", "run.log")
    cut = json.dumps({"event": "rescue", MARK: {"lineage": "lineage-1"}})[:-2]
    with pytest.raises(StateInvalid, match=r"A rescued outcome in run\.log"):
        found_in(cut, "run.log")


def test_an_entry_that_a_report_had_is_found_in_a_file_of_its_own() -> None:
    assert (ENTRY,) == found_in(encode(ENTRY).removeprefix(MARK), "a file")


@pytest.mark.parametrize("text", [MARK, f"{MARK} {{", f"a {MARK} b {MARK}"])
def test_nothing_else_that_is_printed_has_the_mark(text: str) -> None:
    assert MARK not in defused(text)
    assert MARK not in defused(json.dumps({text: [text]}))
    assert {text: [text]} == json.loads(defused(json.dumps({text: [text]})))
    assert "provisioner and rescue" == defused("provisioner and rescue")


def test_no_value_of_an_account_makes_its_own_rescue_unreadable() -> None:
    for company in ("provisioner-rescue {", FORGED, '"provisioner-rescue": {'):
        entry = replace(ENTRY, record=replace(ACTIVE, attributes=replace(LEONARDO, company_name=company)))
        assert 1 == encode(entry).count(MARK)
        assert (entry, ENTRY) == decode(kept(entry, ENTRY), "it")
        assert (entry, ENTRY) == found_in(kept(entry, ENTRY).decode(), "run.log")


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
    assert "The rescued outcome of lima is from operation op-1; the state has operation op-2." == caught.value.message
    assert "delete the line with the other operation" in caught.value.hint


@pytest.mark.parametrize("rescued", [ACTIVE, UNKNOWN, None])
def test_a_recovered_account_that_was_renamed_is_not_put_back_again(rescued: Record | None) -> None:
    moved = replace(STATE, accounts={"oslo": OSLO, "cusco": RESEALED})
    assert moved == put_back(moved, [replace(ENTRY, record=rescued)])


CHANGED = replace(ACTIVE, operation=replace(OPERATION, id="op-2"), first_operation="op-1")
"""What the account has become by a later change."""


@pytest.mark.parametrize("name", ["lima", "cusco"])
@pytest.mark.parametrize("rescued", [ACTIVE, UNKNOWN, None])
def test_a_recovered_account_that_was_changed_is_not_put_back_again(name: str, rescued: Record | None) -> None:
    changed = replace(STATE, accounts={"oslo": OSLO, name: CHANGED})
    assert changed == put_back(changed, [replace(ENTRY, record=rescued)])


def test_a_later_time_of_an_account_that_the_state_has_under_another_name_is_left_to_a_person() -> None:
    older = replace(STATE, accounts={"oslo": OSLO, "cusco": ACTIVE})
    later = RescueEntry("lineage-1", "default", "lima", "op-2", CHANGED)
    with pytest.raises(StateConflict) as caught:
        put_back(older, [later])
    assert "The rescued outcome of lima belongs to the account that the state calls cusco." == caught.value.message
    with pytest.raises(StateConflict, match="the state has operation op-1"):
        put_back(replace(STATE, accounts={"lima": ACTIVE}), [later])
    assert CHANGED == getattr(put_back(replace(STATE, accounts={}), [later]), "accounts", {})["lima"]


@pytest.mark.parametrize("foreign", [{"lineage": "lineage-2"}, {"parent": "acme"}])
def test_an_outcome_of_another_state_is_refused(foreign: dict[str, str]) -> None:
    entry = replace(ENTRY, **foreign)
    with pytest.raises(StateForeign) as caught:
        put_back(STATE, [ENTRY, entry])
    assert f"belongs to lineage {entry.lineage} of parent {entry.parent}." in caught.value.message


def test_an_outcome_without_a_state_is_refused() -> None:
    with pytest.raises(StateForeign):
        put_back(None, [ENTRY])


def test_an_intent_that_never_reached_a_state_has_nothing_to_withdraw() -> None:
    assert put_back(None, [NOTHING_CREATED]) is None


def test_an_intent_that_never_reached_a_state_does_not_block_a_later_one() -> None:
    assert STATE == put_back(STATE, [replace(NOTHING_CREATED, lineage="lineage-2")])


def test_nothing_to_put_back_changes_nothing() -> None:
    assert put_back(None, []) is None
    assert STATE == put_back(STATE, [])
