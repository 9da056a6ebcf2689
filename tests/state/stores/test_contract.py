"""What is true of every store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from provisioner.errors import ExitCode, StateLocked, StateMoved
from provisioner.state import codec
from provisioner.state.stores import ABSENT, Note, Store
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.memory import MemoryStore
from provisioner.state.stores.remote import RemoteStore
from tests.state import ADA, BOB, LATER, STATE, never
from tests.state.stores.remotes import git_machine, http_machine, new_remote

OLD, NEW = codec.encode(STATE), codec.encode(LATER)


def in_git(request: pytest.FixtureRequest) -> Store:
    folder = request.getfixturevalue("tmp_path_factory").mktemp("git")
    return git_machine(folder / "one", f"file://{new_remote(folder / 'remote.git')}").store()


def over_http(request: pytest.FixtureRequest) -> Store:
    folder = request.getfixturevalue("tmp_path_factory").mktemp("http")
    return http_machine(folder / "one", request.getfixturevalue("forge")).store()


def in_postgres(request: pytest.FixtureRequest) -> Store:
    cluster = request.getfixturevalue("cluster")
    return cluster.machine(request.getfixturevalue("tmp_path_factory").mktemp("pg"), cluster.address()).store()


def in_objects(name: str) -> Callable[[pytest.FixtureRequest], Store]:
    def opened(request: pytest.FixtureRequest) -> Store:
        storage = request.getfixturevalue(name)
        return storage.machine(request.getfixturevalue("tmp_path_factory").mktemp(name), storage.address()).store()

    return opened


STORES: dict[str, Callable[[pytest.FixtureRequest], Store]] = {
    "local": lambda request: LocalStore(request.getfixturevalue("tmp_path") / "state.json"),
    "memory": lambda _: MemoryStore(),
    "git": in_git,
    "git over http": over_http,
    "postgres": in_postgres,
    "seaweed": in_objects("seaweed"),
    "moto": in_objects("moto"),
    "azure": in_objects("azurite"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param](request)


# ── The state ────────────────────────────────────────────────────────────────


def test_before_the_first_save_there_is_no_state(store: Store) -> None:
    assert (None, ABSENT) == store.load()
    assert store.backup is None


def test_what_was_saved_is_loaded_with_its_version(store: Store) -> None:
    version = store.save(OLD, ABSENT)
    assert (OLD, version) == store.load()


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff garbage\r\n", bytes(range(256)) * 1000], ids=len)
def test_bytes_are_bytes_whatever_they_mean(store: Store, raw: bytes) -> None:
    version = store.save(raw, ABSENT)
    assert (raw, version) == store.load()
    assert ABSENT != version


def test_every_save_follows_from_the_one_before(store: Store) -> None:
    first = store.save(OLD, ABSENT)
    second = store.save(NEW, first)
    assert (NEW, second) == store.load()
    assert 3 == len({ABSENT, first, second})


def test_the_same_state_has_the_same_version(store: Store) -> None:
    first = store.save(OLD, ABSENT)
    assert first == store.save(OLD, first)


@pytest.mark.parametrize("stale", [ABSENT, "no version at all"])
def test_a_save_that_comes_too_late_overwrites_nothing(store: Store, stale: str) -> None:
    version = store.save(OLD, ABSENT)
    with pytest.raises(StateMoved) as caught:
        store.save(NEW, stale)
    assert (OLD, version) == store.load()
    assert f"{store.address} was changed by somebody else while this run held it." == caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


def test_only_one_of_two_runs_that_loaded_the_same_state_saves(store: Store) -> None:
    _, mine = store.load()
    _, theirs = store.load()
    store.save(NEW, theirs)
    with pytest.raises(StateMoved):
        store.save(OLD, mine)
    assert NEW == store.load()[0]


def test_a_save_upon_a_state_that_is_gone_fails(store: Store) -> None:
    with pytest.raises(StateMoved):
        store.save(OLD, "the version of a state that was here")
    assert (None, ABSENT) == store.load()


@pytest.mark.parametrize("store", [name for name in STORES if name not in {"local", "memory"}], indirect=True)
def test_a_store_elsewhere_can_be_tried_out_and_nothing_changes(store: RemoteStore) -> None:
    assert store.backend.try_out()
    assert (None, ABSENT) == store.load()
    version = store.save(OLD, ABSENT)
    assert store.backend.try_out()
    assert (OLD, version) == store.load()
    store.save(NEW, version)


def test_a_store_has_an_address_and_a_key(store: Store) -> None:
    assert store.address
    assert store.key
    assert store.rescue_address


# ── Who is at work ───────────────────────────────────────────────────────────


def test_a_second_run_sees_who_holds_the_state(store: Store) -> None:
    with (
        store.hold(ADA, timeout=0, sleep=never),
        pytest.raises(StateLocked) as caught,
        store.hold(BOB, timeout=0, sleep=never),
    ):
        pass
    assert f"The state is held by {ADA}." == caught.value.message
    assert "--lock-timeout" in caught.value.hint
    assert ExitCode.STATE_LOCKED == caught.value.exit_code


def test_a_refused_run_leaves_the_holder_and_its_name(store: Store) -> None:
    with store.hold(ADA, timeout=0, sleep=never):
        for _ in range(2):
            with pytest.raises(StateLocked, match="ada on laptop"), store.hold(BOB, timeout=0, sleep=never):
                pass
        assert str(ADA) == store.holder()


def test_who_holds_it_can_be_asked_without_holding_it(store: Store, tmp_path: Path) -> None:
    assert store.holder() is None
    assert [] == list(tmp_path.iterdir())
    with store.hold(ADA, timeout=0, sleep=never):
        assert str(ADA) == store.holder()
    assert store.holder() is None
    with store.hold(BOB, timeout=0, sleep=never):
        assert str(BOB) == store.holder()


def test_a_run_that_waits_gets_it_when_it_is_free(store: Store) -> None:
    slept: list[float] = []
    with ExitStack() as other:
        other.enter_context(store.hold(ADA, timeout=0, sleep=never))

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                other.close()

        with store.hold(BOB, timeout=60, sleep=sleep):
            assert str(BOB) == store.holder()
    assert [0.1, 0.1, 0.1] == slept


def test_a_run_waits_no_longer_than_its_timeout(store: Store) -> None:
    slept: list[float] = []
    with (
        store.hold(ADA, timeout=0, sleep=never),
        pytest.raises(StateLocked),
        store.hold(BOB, timeout=0.25, sleep=slept.append),
    ):
        pass
    assert pytest.approx([0.1, 0.1, 0.05]) == slept


class Stopped(Exception):  # noqa: N818  # it is not an error
    """Ends a block."""


def test_it_is_free_again_after_an_error(store: Store) -> None:
    with pytest.raises(Stopped), store.hold(ADA, timeout=0, sleep=never):
        raise Stopped
    assert store.holder() is None
    with store.hold(BOB, timeout=0, sleep=never):
        pass


def test_a_state_that_is_held_can_be_loaded(store: Store) -> None:
    version = store.save(OLD, ABSENT)
    with store.hold(ADA, timeout=0, sleep=never):
        assert (OLD, version) == store.load()


# ── What was rescued ─────────────────────────────────────────────────────────


def test_where_nothing_was_rescued_there_is_nothing(store: Store) -> None:
    assert b"" == store.rescued()
    with store.hold(ADA, timeout=0, sleep=never):
        store.clear_rescued()
        assert b"" == store.rescued()


def test_reserved_room_holds_no_line(store: Store) -> None:
    with store.hold(ADA, timeout=0, sleep=never):
        store.reserve(1000)
        assert b"" == store.rescued()


@pytest.mark.parametrize("room", [None, 0, 5, 10, 1000])
def test_lines_are_kept_in_their_order_whatever_was_reserved(store: Store, room: int | None) -> None:
    with store.hold(ADA, timeout=0, sleep=never):
        if room is not None:
            store.reserve(room)
        for line in (b"a long first line\n", b"second\n", b"third\n"):
            store.rescue(line)
    assert b"a long first line\nsecond\nthird\n" == store.rescued()


def test_what_a_run_rescued_is_there_for_the_next_which_loses_none_of_it(store: Store) -> None:
    with store.hold(ADA, timeout=0, sleep=never):
        store.reserve(1000)
        store.rescue(b"first\n")
    with store.hold(BOB, timeout=0, sleep=never):
        assert b"first\n" == store.rescued()
        store.reserve(1000)
        assert b"first\n" == store.rescued()
        store.rescue(b"second\n")
    assert b"first\nsecond\n" == store.rescued()


def test_what_was_cleared_is_gone_and_what_comes_after_stands_alone(store: Store) -> None:
    with store.hold(ADA, timeout=0, sleep=never):
        store.rescue(b"a long first line\n")
        store.clear_rescued()
        assert b"" == store.rescued()
        store.clear_rescued()
        store.rescue(b"second\n")
    assert b"second\n" == store.rescued()


def test_rescuing_leaves_the_state_as_it_is(store: Store) -> None:
    version = store.save(OLD, ABSENT)
    with store.hold(ADA, timeout=0, sleep=never):
        store.reserve(1000)
        store.rescue(b"first\n")
        assert (OLD, version) == store.load()
        store.clear_rescued()
        assert (OLD, version) == store.load()


# ── Its history ──────────────────────────────────────────────────────────────


def test_the_lines_of_each_save_are_the_history_in_their_order(store: Store) -> None:
    assert () == store.recorded()
    version = ABSENT
    with store.hold(ADA, timeout=0, sleep=never):
        for serial, lines in enumerate([('{"a": "x: y"}', '{"b": 2}'), (), ('{"c": "' + "x" * 5000 + '"}',)], 1):
            note = Note("lineage-1", serial, "paris: active", lines)
            version = store.save(f"{serial}".encode(), version, note)
            if lines:
                store.record(note)
        store.release()
    recorded = store.recorded()
    assert ['{"a": "x: y"}', '{"b": 2}', '{"c": "xxx'] == [line[:13] for line in recorded[:2]] + [recorded[2][:10]]
    assert (3, 5000) == (len(recorded), recorded[2].count("x"))


# ── What was forgotten, and all that is kept ─────────────────────────────────


def test_what_is_forgotten_is_kept_somewhere_and_is_neither_state_nor_rescued(store: Store) -> None:
    version = store.save(OLD, ABSENT)
    with store.hold(ADA, timeout=0, sleep=never):
        first = store.keep_forgotten(b"first\n")
        assert first
        assert first == store.keep_forgotten(b"second\n")
    assert (OLD, version) == store.load()
    assert b"" == store.rescued()


def test_all_that_it_keeps_in_files_is_known(store: Store, tmp_path: Path) -> None:
    """What no other file may replace, and where a rekey leaves the old recipients something to open."""
    version = store.save(OLD, ABSENT)
    store.load()
    with store.hold(ADA, timeout=0, sleep=never):
        store.reserve(10)
        store.rescue(b"first\n")
        store.save(NEW, version)
        store.keep_forgotten(b"first\n")
        store.record(Note(serial=2, lines=("first",)))
        there = set((store.path.parent if isinstance(store, RemoteStore) else tmp_path).iterdir())
    assert there <= store.files().keys()
    assert all(store.files().values())
    older = {str(path) for path in there if OLD == path.read_bytes() or "forgotten" in path.name}
    elsewhere = set() if store.is_here else {f"the history of {store.address}"}
    assert older | elsewhere == set(store.older_copies())
    assert len(older | elsewhere) == len(store.older_copies())
