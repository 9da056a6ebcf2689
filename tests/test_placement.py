"""Where accounts of ``parent: auto`` go: deterministically, and never away from where they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import OverLimit, StateConflict
from provisioner.model.account import Attributes, DesiredAccount, Origin
from provisioner.model.state import Abandoned, Active, Operation, Pending, Record, State, Unknown
from provisioner.placement import Placed, Room, place

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
OPERATION = Operation("1f0c", "2026-01-01T00:00:00Z", "me@here")


def whose(name: str) -> Attributes:
    return Attributes(name.title(), "Da Vinci")


def account(name: str, **more: Any) -> DesiredAccount:  # noqa: ANN401  # each has its own type
    return DesiredAccount(name, whose(name), None, Origin("accounts.yaml"), **more)


def active(name: str) -> Active:
    return Active(whose(name), OPERATION, "2026-01-01T00:00:00Z", "sealed")


def room(*names: str, limit: int = 3, reserved: int = 0, wants: Sequence[str] = (), **records: Record) -> Room:
    """Return a parent with active accounts of these ``names``, whose manifest ``wants`` others."""
    known = {name: active(name) for name in names} | records
    state = State("lineage", "acme", accounts=known) if known else None
    return Room(state, [account(name) for name in wants], limit, reserved)


def placed(*names: str, remembered: Mapping[str, str] = NOTHING, **rooms: Room) -> Mapping[str, str]:
    found = place([account(name) for name in names], rooms, remembered)
    assert found.refusal is None
    return found.parents


def test_each_goes_where_most_slots_are_free_and_of_several_to_the_first_by_name() -> None:
    assert {"a": "acme", "b": "globex", "c": "acme"} == placed("c", "a", "b", acme=room(), globex=room())
    assert {"a": "globex", "b": "globex", "c": "acme"} == placed("a", "b", "c", acme=room("x", "y"), globex=room())


def test_limit_reserve_and_what_manifests_ask_of_a_parent_by_its_name_count() -> None:
    assert {"a": "globex"} == placed("a", acme=room(limit=9, reserved=7), globex=room())
    assert {"a": "globex"} == placed("a", acme=room(wants=["x"]), globex=room())
    # An existing account takes its slot once.
    assert {"a": "acme"} == placed("a", acme=room("x", wants=["x"], limit=4), globex=room())


@pytest.mark.parametrize(
    "record",
    [
        active("paris"),
        Pending(whose("paris"), OPERATION),
        Unknown(whose("paris"), OPERATION, "the answer was lost"),
        Abandoned(whose("paris"), OPERATION, "the answer was lost"),
    ],
)
def test_whoever_exists_stays(record: Record) -> None:
    full = room(paris=record, limit=1)
    assert {"paris": "globex"} == placed("paris", acme=room(limit=50), globex=full, remembered={"paris": "acme"})
    moved = place([account("rome", previously="paris")], {"acme": room(limit=50), "globex": full}, {})
    assert Placed({"rome": "globex"}) == moved


def test_what_was_placed_before_and_is_not_created_yet_stays_too() -> None:
    assert {"a": "globex"} == placed("a", acme=room(limit=50), globex=room(), remembered={"a": "globex"})
    renamed = place([account("b", previously="a")], {"acme": room(limit=50), "globex": room()}, {"a": "globex"})
    assert Placed({"b": "globex"}) == renamed


def test_what_looks_like_a_new_name_goes_where_the_old_one_is() -> None:
    wanted = DesiredAccount("rome", whose("paris"), None, Origin("accounts.yaml"))
    assert Placed({"rome": "globex"}) == place([wanted], {"acme": room(limit=50), "globex": room("paris")}, {})


def test_what_cannot_be_placed_as_a_whole_is_not_placed_at_all() -> None:
    rooms = {"acme": room("paris", limit=2), "globex": room(limit=1)}
    found = place([account(name) for name in ("a", "b", "c", "d", "paris")], rooms, {})
    assert {"paris": "acme"} == found.parents
    assert isinstance(found.refusal, OverLimit)
    assert "asks for 4 slots, and all parents together have 2 free: 2 too few." in found.refusal.message


def test_nothing_is_placed_while_it_could_exist_where_nobody_can_look() -> None:
    accounts = [account("paris"), account("rome")]
    why = {"the state of globex": "It is not JSON."}
    found = place(accounts, {"acme": room("paris")}, {"rome": "acme"}, unreadable=why)
    assert {"paris": "acme"} == found.parents
    assert isinstance(found.refusal, StateConflict)
    assert "The state of globex cannot be read, and may have rome.\nIt is not JSON." in found.refusal.message
    # If all are known, they need no room.
    assert Placed({"paris": "acme"}) == place(accounts[:1], {"acme": room("paris")}, {}, unreadable=why)


def test_a_parent_that_left_the_settings_takes_its_accounts_with_it() -> None:
    found = place([account("paris")], {"acme": room(), "globex": room()}, {"paris": "initech"})
    assert {} == found.parents
    assert "paris on initech" in str(found.refusal)


def test_one_name_at_two_parents_is_asked_about() -> None:
    found = place([account("paris"), account("rome")], {"acme": room("paris"), "globex": room("paris")}, {})
    assert {} == found.parents
    assert "paris (acme, globex)" in str(found.refusal)


@given(st.data())
def test_the_order_of_rows_means_nothing_and_no_slot_is_overdrawn(data: st.DataObject) -> None:
    names = data.draw(st.permutations([f"a{number}" for number in range(8)]))
    limits = data.draw(st.lists(st.integers(0, 6), min_size=2, max_size=4))
    rooms = {f"p{number}": room(limit=limit) for number, limit in enumerate(limits)}
    found = place([account(name) for name in names], rooms, {})
    assert found.parents == place([account(name) for name in sorted(names)], dict(reversed(rooms.items())), {}).parents
    if sum(limits) < len(names):
        assert isinstance(found.refusal, OverLimit)
        assert {} == found.parents
        return
    used = Counter(found.parents.values())
    assert len(names) == used.total()
    assert all(used[f"p{number}"] <= limit for number, limit in enumerate(limits))
    # Twice is once: an account that exists by then stays where it is.
    assert found.parents == place([account(name) for name in names], rooms, found.parents).parents


def test_a_parent_that_is_frozen_takes_no_new_account_and_keeps_those_that_it_has() -> None:
    frozen = replace(room("x"), is_frozen=True)
    assert {"a": "globex", "x": "acme", "y": "acme"} == placed(
        "a", "x", "y", acme=frozen, globex=room("z"), remembered={"y": "acme"}
    )
    refusal = place([account("a")], {"acme": frozen}, NOTHING).refusal
    assert isinstance(refusal, OverLimit)
    assert refusal.message.endswith("0 free: 1 too few. Those that are frozen take no new account: acme.")
