"""Reading a state that a run may be changing, with the rescue next to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import StateConflict, StateForeign, StateInvalid, StateRolledBack
from provisioner.model.state import State
from provisioner.state import codec
from provisioner.state.reading import Snapshot, load, read
from provisioner.state.rescue import RescueEntry, encode
from provisioner.state.seen import Seen
from provisioner.state.stores import ABSENT, Store
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.memory import MemoryStore
from tests.state import ACTIVE, LATER, PENDING, of_operation

STATE = State("lineage-1", "default", serial=1)
LIMA = RescueEntry("lineage-1", "default", "lima", "op-1", ACTIVE)


def saved(store: Store, state: State) -> str:
    """Save ``state`` over whatever is there and return its version."""
    return store.save(codec.encode(state), store.load()[1])


def rescued(store: Store, *entries: RescueEntry) -> None:
    for each in entries:
        store.rescue(f"{encode(each)}\n".encode())


# ── A run that saves meanwhile ───────────────────────────────────────────────


class Overtaken(LocalStore):
    """A store to which a run saves as soon as it was loaded."""

    def __init__(self, path: Path, seen: Seen) -> None:
        super().__init__(path)
        self._runs = 2
        self._seen = seen

    def load(self) -> tuple[bytes | None, str]:
        raw, version = super().load()
        if raw is not None and self._runs:
            self._runs -= 1
            state = codec.decode(raw, "it")
            after = replace(state, serial=state.serial + 1)
            self.save(codec.encode(after), version)
            self._seen.note(self.key, after)
        return raw, version


def test_what_a_run_saves_meanwhile_is_read_again(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen")
    store = Overtaken(tmp_path / "default.json", seen)
    saved(store, STATE)
    seen.note(store.key, STATE)
    found = read(store, parent="default", seen=seen, warn=pytest.fail)
    assert found.state is not None
    assert 3 == found.state.serial
    assert store.load()[1] == found.version


def test_one_that_stays_older_is_refused(tmp_path: Path) -> None:
    seen, store = Seen(tmp_path / "seen"), LocalStore(tmp_path / "default.json")
    saved(store, STATE)
    seen.note(store.key, replace(STATE, serial=2))
    with pytest.raises(StateRolledBack):
        read(store, parent="default", seen=seen, warn=pytest.fail)


# ── A snapshot ───────────────────────────────────────────────────────────────


@pytest.fixture(params=[LocalStore, MemoryStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param is MemoryStore else LocalStore(tmp_path / "default.json")


def test_without_a_state_the_snapshot_is_empty(store: Store) -> None:
    assert Snapshot(None, ABSENT) == load(store)
    assert load(store).settled is None


def test_a_snapshot_has_the_state_its_version_and_what_was_rescued(store: Store) -> None:
    version = saved(store, LATER)
    assert Snapshot(LATER, version) == load(store)
    rescued(store, LIMA)
    assert Snapshot(LATER, version, (LIMA,)) == load(store)


def test_reserved_room_is_not_taken_for_what_was_rescued(store: Store) -> None:
    store.reserve(1000)
    assert () == load(store).rescued


def test_garbage_is_refused_by_its_address_and_kept(store: Store) -> None:
    store.save(b"\xff garbage", ABSENT)
    with pytest.raises(StateInvalid) as caught:
        load(store)
    assert f"{store.address} is not UTF-8 (byte 0)." == caught.value.message
    assert b"\xff garbage" == store.load()[0]


def test_a_damaged_rescue_is_refused_by_its_address_and_kept(store: Store) -> None:
    saved(store, LATER)
    store.rescue(b"garbage\n")
    with pytest.raises(StateInvalid) as caught:
        load(store)
    assert f"{store.rescue_address} contains something other than rescued outcomes." == caught.value.message
    assert b"garbage\n" == store.rescued()


def test_without_anything_rescued_a_state_is_settled(store: Store) -> None:
    saved(store, LATER)
    snapshot = load(store)
    assert snapshot.settled is snapshot.state


def test_settled_is_the_state_with_what_was_rescued_and_nothing_is_saved(store: Store, tmp_path: Path) -> None:
    saved(store, LATER)
    rescued(store, LIMA)
    before = {each: (each.stat().st_ino, each.read_bytes()) for each in tmp_path.iterdir()}
    kept = store.load(), store.rescued()
    snapshot = read(store, parent="default", seen=Seen(tmp_path / "seen"), warn=pytest.fail)
    assert replace(LATER.with_record("lima", ACTIVE), serial=LATER.serial) == snapshot.settled
    assert snapshot.settled == snapshot.settled
    assert LATER == snapshot.state
    assert kept == (store.load(), store.rescued())
    assert before == {each: (each.stat().st_ino, each.read_bytes()) for each in tmp_path.iterdir()}


def test_what_is_settled_already_stays_as_it_is(store: Store) -> None:
    state = LATER.with_record("lima", ACTIVE)
    saved(store, state)
    rescued(store, LIMA, LIMA)
    assert state == load(store).settled


def test_an_intent_that_never_reached_a_state_settles_to_none(store: Store) -> None:
    rescued(store, replace(LIMA, record=None))
    snapshot = load(store)
    assert 1 == len(snapshot.rescued)
    assert snapshot.settled is None


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (replace(LIMA, lineage="lineage-2"), StateForeign),
        (replace(LIMA, parent="acme"), StateForeign),
        (replace(LIMA, operation="op-2", record=of_operation(ACTIVE, "op-2")), StateConflict),
    ],
)
def test_what_does_not_belong_there_is_refused_when_it_is_put_back(
    store: Store, entry: RescueEntry, error: type[Exception]
) -> None:
    saved(store, LATER)
    rescued(store, entry)
    snapshot = load(store)
    assert (entry,) == snapshot.rescued
    assert PENDING == (snapshot.state or STATE).accounts["lima"]
    with pytest.raises(error):
        _ = snapshot.settled
    assert LATER == load(store).state


def test_a_version_is_not_repeated_in_a_message(store: Store) -> None:
    version = saved(store, STATE)
    assert version not in repr(load(store))
