"""A state kept in this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from provisioner.errors import StateLocked, StateMoved
from provisioner.state.stores import ABSENT
from provisioner.state.stores.memory import MemoryStore
from tests.state import ADA, BOB, never

RUNS = 8


def test_it_has_a_name_and_keeps_no_files() -> None:
    store = MemoryStore("acme")
    assert ("acme", "acme", "acme") == (store.address, store.key, store.rescue_address)
    assert "memory" == MemoryStore().address
    assert {} == store.files()
    assert () == store.older_copies()
    assert (None, 0) == (store.backup, store.newest("lineage-1"))


def test_each_is_a_state_of_its_own() -> None:
    one, other = MemoryStore(), MemoryStore()
    one.save(b"one", ABSENT)
    assert (None, ABSENT) == other.load()
    with one.hold(ADA, timeout=0, sleep=never), other.hold(BOB, timeout=0, sleep=never):
        pass


def test_what_a_person_had_it_forget_can_be_looked_at() -> None:
    store = MemoryStore("acme")
    for line in (b"first\n", b"second\n"):
        assert "acme" == store.keep_forgotten(line)
    assert b"first\nsecond\n" == store.forgotten


def test_only_one_of_many_simultaneous_threads_saves() -> None:
    store, start = MemoryStore(), Barrier(RUNS)

    def save(number: int) -> int | None:
        start.wait(30)
        try:
            store.save(str(number).encode(), ABSENT)
        except StateMoved:
            return None
        return number

    with ThreadPoolExecutor(RUNS) as threads:
        (saved,) = (each for each in threads.map(save, range(RUNS)) if each is not None)
    assert str(saved).encode() == store.load()[0]


def test_only_one_of_many_threads_holds_it() -> None:
    store, start, end = MemoryStore(), Barrier(RUNS), Barrier(RUNS)

    def held(_: int) -> bool:
        start.wait(30)
        try:
            with store.hold(ADA, timeout=0, sleep=never):
                end.wait(30)
        except StateLocked:
            end.wait(30)
            return False
        return True

    with ThreadPoolExecutor(RUNS) as threads:
        assert 1 == sum(threads.map(held, range(RUNS)))


def test_a_time_that_has_passed_already_is_no_wait() -> None:
    store = MemoryStore()
    with (
        store.hold(ADA, timeout=0, sleep=never),
        pytest.raises(StateLocked),
        store.hold(BOB, timeout=-1.0, sleep=never),
    ):
        pass
