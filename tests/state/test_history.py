"""The history of a state: what each save means, the lines that say so, and that nothing depends on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from provisioner.errors import StateError
from provisioner.model.history import Author, HistoryEntry
from provisioner.model.state import Active, Drift, Edit, Operation, Record, State
from provisioner.state import history
from provisioner.state.holder import Holder
from provisioner.state.seen import Seen
from provisioner.state.session import opened
from provisioner.state.stores import Note
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.memory import MemoryStore
from tests.state import ABANDONED, ACTIVE, PENDING, STATE, UNKNOWN, never, of_operation

ADA: Final = Author("2026-01-02T03:04:05Z", "ada@laptop", "ada", "grace", "https://ci.example/run/7", "3c1f")
BOB: Final = Author("2026-01-03T03:04:05Z", "bob@server")
EDIT: Final = Edit(ACTIVE.attributes, Operation("op-2", "2026-01-02T03:05:00Z", "ada@laptop"), 2, "sealed")
ROTATION: Final = replace(EDIT, password_version=1)
RESTORING: Final = replace(ROTATION, sealed=None)
OTHER: Final = of_operation(ACTIVE, "op-3")
ANOTHER_KEY: Final = of_operation(replace(ACTIVE, sealed="another"), "op-3")


def finished(edit: Edit) -> Active:
    return replace(ACTIVE, operation=edit.operation, password_version=edit.password_version)


def said(before: Record | None, after: Record | None, operation: str | None = None) -> tuple[str, str] | None:
    """Return the entries of a save that replaces one record with another."""
    known = {} if before is None else {"paris": before}
    state = State("lineage-1", "default", 3, accounts=known)
    found = [*history.entries(state, state.with_record("paris", after), ADA, operation)]
    assert all((each.name, each.serial, each.author) == ("paris", 4, ADA) for each in found)
    return (found[0].operation, found[0].outcome) if found else None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, PENDING, None),
        (PENDING, ACTIVE, "create: created"),
        (PENDING, None, "create: not created"),
        (PENDING, UNKNOWN, "create: unknown"),
        (UNKNOWN, ABANDONED, "resolve: abandoned"),
        (UNKNOWN, OTHER, "adopt: adopted"),
        (None, ACTIVE, "adopt: adopted"),
        (ACTIVE, ANOTHER_KEY, "adopt: adopted"),
        (ACTIVE, None, "forget: forgotten"),
        (ACTIVE, replace(ACTIVE, edit=EDIT), None),
        (replace(ACTIVE, edit=EDIT), finished(EDIT), "update: updated"),
        (replace(ACTIVE, edit=ROTATION), finished(ROTATION), "rotate-password: updated"),
        (replace(ACTIVE, edit=RESTORING, drift=Drift(changed=("last_name",))), finished(RESTORING), "update: updated"),
        (replace(ACTIVE, edit=EDIT), ACTIVE, "update: failed"),
        (replace(ACTIVE, edit=EDIT), replace(ACTIVE, drift=Drift(gone=True)), "update: gone"),
        (ACTIVE, replace(ACTIVE, drift=Drift(gone=True)), "refresh: gone"),
        (ACTIVE, replace(ACTIVE, drift=Drift(changed=("last_name",))), "refresh: drifted"),
        (replace(ACTIVE, drift=Drift(gone=True)), ACTIVE, "refresh: as sent"),
        (ACTIVE, replace(ACTIVE, sealed="as read back", drift=Drift(altered=("last_name",))), None),
        (ACTIVE, ACTIVE, None),
    ],
)
def test_what_a_save_means_follows_from_the_states_before_and_after_it(
    before: Record | None, after: Record | None, words: str | None
) -> None:
    assert words == (None if (found := said(before, after)) is None else ": ".join(found))


def test_the_caller_says_what_the_states_do_not_show() -> None:
    for operation in ("resolve", "recover"):
        assert (operation, "not created") == said(PENDING, None, operation) == said(UNKNOWN, None, operation)
    assert ("recover", "created") == said(PENDING, ACTIVE, "recover")
    (rekey,) = history.entries(STATE, replace(STATE, serial=4, recipients=("age1def",)), ADA, "rekey")
    assert HistoryEntry(ADA, 4, None, "rekey", "rekeyed") == rekey


def test_a_rename_is_one_entry_and_what_comes_with_it_another() -> None:
    state = State("lineage-1", "default", 3, accounts={"old": ACTIVE})
    (renamed,) = history.entries(state, state.with_record("new", replace(ACTIVE, edit=EDIT), previous="old"), ADA)
    assert HistoryEntry(ADA, 4, "new", "rename", "renamed", "old") == renamed


def test_an_outcome_that_another_run_saves_is_that_of_whoever_sent_it() -> None:
    found = State("lineage-1", "default", 3, accounts={"paris": PENDING})
    died = found.with_record("paris", UNKNOWN)
    # Another run of the same person has another plan, which another person may have approved.
    for author in (BOB, replace(ADA, at=BOB.at)):
        (entry,) = history.entries(found, died, author, found=found)
        assert Author(BOB.at, PENDING.operation.by) == entry.author
    (own,) = history.entries(found, died, ADA)
    assert ADA == own.author
    (adopted,) = history.entries(found, found.with_record("paris", OTHER), BOB, found=found)
    assert BOB == adopted.author


def test_a_line_is_ascii_and_says_all_of_it_again() -> None:
    for entry in (
        HistoryEntry(ADA, 4, "paris", "create", "created"),
        HistoryEntry(Author("", "zoë\n\x1b@h"), 1, None, "rekey", "rekeyed"),
        HistoryEntry(BOB, 9, "new", "rename", "renamed", "old"),
    ):
        line = history.encode(entry)
        assert line.isascii()
        assert line.isprintable()
        assert entry == history.decode(line)


@pytest.mark.parametrize(
    "line",
    ["", "{", "7", "[]", "{}", '{"at": 1, "by": "x", "operation": "x", "outcome": "x", "serial": 1}', "[" * 9999],
)
def test_an_invalid_line_is_not_an_entry(line: str) -> None:
    assert history.decode(line) is None


def test_the_history_of_an_account_includes_its_earlier_names_and_the_whole_state() -> None:
    created = HistoryEntry(ADA, 2, "old", "create", "created")
    moved = HistoryEntry(ADA, 3, "new", "rename", "renamed", "old")
    rekeyed = HistoryEntry(ADA, 4, None, "rekey", "rekeyed")
    again = HistoryEntry(ADA, 5, "old", "create", "created")
    # An account that got the name later is another one.
    whole = (again, rekeyed, moved, created)
    assert (rekeyed, moved, created) == history.of(whole, "new")
    assert (again, rekeyed, moved, created) == history.of(whole, "old")
    assert (rekeyed,) == history.of(whole, "oslo")


# ── Nothing depends on it ────────────────────────────────────────────────────


class Deaf(MemoryStore):
    """A store that takes no history."""

    def record(self, note: Note) -> None:
        if len(note.lines) > 1:
            raise StateError("It is deaf.")
        raise ZeroDivisionError


@pytest.mark.parametrize("names", [("paris",), ("paris", "rome")])
def test_a_history_that_cannot_be_written_gets_one_warning_and_stops_no_save(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    store, warnings = Deaf(), list[str]()
    with opened(
        store, parent="default", holder=Holder(1, "h", "ada", "2026-01-02T03:04:05Z"), lock_timeout=0, sleep=never,
        last_resort=lambda _: True, seen=Seen(tmp_path / "seen"), warn=warnings.append, author=lambda: ADA,
    ) as session:  # fmt: skip
        first = State("lineage-1", "default", 1, accounts=dict.fromkeys(names, ACTIVE))
        session.save(first)
        session.save(replace(first, serial=2, accounts={}))
    reason = "It failed (ZeroDivisionError)." if len(names) == 1 else "It is deaf."
    assert [f"The history lacks what this run does. {reason}"] == warnings
    assert session.state is not None
    assert 2 == session.state.serial


def lines(path: Path) -> Path:
    return path.with_name(f"{path.name}.history.jsonl")


@pytest.mark.parametrize(("before", "after"), [(b"", ""), (b"first\n", "first\n"), (b"fir", "fir\n"), (b"\n", "\n")])
def test_a_line_stands_alone_whatever_a_killed_run_left(tmp_path: Path, before: bytes, after: str) -> None:
    path = tmp_path / "state.json"
    lines(path).write_bytes(before)
    LocalStore(path).record(Note(lines=("second", "third")))
    assert f"{after}second\nthird\n" == lines(path).read_text()
    assert (*after.split(), "second", "third") == LocalStore(path).recorded()


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    LocalStore(tmp_path / "state.json").record(Note(lines=("first",)))
    assert 0o600 == lines(tmp_path / "state.json").stat().st_mode & 0o777


def test_anything_in_its_place_is_neither_followed_nor_replaced_and_blocks_no_run(tmp_path: Path) -> None:
    path, other = tmp_path / "state.json", tmp_path / "other"
    store, holder = LocalStore(path), Holder(1, "h", "ada", "2026-01-02T03:04:05Z")
    other.write_text("theirs")
    with store.hold(holder, timeout=0, sleep=never):
        for kind, made in (("symbolic link", lambda: lines(path).symlink_to(other)), ("folder", lines(path).mkdir)):
            lines(path).unlink(missing_ok=True)
            made()
            why = f"{lines(path)}: it is a {kind}, and not a file."
            with pytest.raises(StateError) as caught:
                store.record(Note(lines=("first",)))
            assert f"The history cannot be written to {why}" == caught.value.message
            with pytest.raises(StateError) as caught:
                store.recorded()
            assert why.replace(":", " cannot be read:", 1) == caught.value.message
    assert "theirs" == other.read_text()
