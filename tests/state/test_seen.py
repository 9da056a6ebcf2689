"""The record of states that this machine has seen."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import ExitCode, StateForeign, StateInvalid, StateLocked, StateMoved, StateRolledBack
from provisioner.model.state import State
from provisioner.state.seen import Seen
from tests.state import ADA, BOB, LATER, STATE, UMASKS, mode, never, with_umask

HERE = "/project/state/default.json"
THERE = "/clone/state/default.json"
OTHER = replace(STATE, lineage="../lineage/2", serial=0)


def check(seen: Seen, address: str, state: State | None, backup: str | None = None) -> None:
    """Compare a state with the record, which must not be damaged."""
    seen.check(address, state, pytest.fail, backup)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "seen"


@pytest.fixture
def seen(folder: Path) -> Seen:
    return Seen(folder)


@pytest.mark.parametrize("state", [STATE, None])
def test_what_was_never_seen_is_believed(seen: Seen, folder: Path, state: State | None) -> None:
    check(seen, HERE, state)
    assert not folder.exists()


def test_what_was_seen_may_stay_and_may_grow(seen: Seen) -> None:
    seen.note(HERE, STATE)
    check(seen, HERE, STATE)
    check(seen, HERE, LATER)


@pytest.mark.parametrize("address", [HERE, THERE])
def test_an_older_state_is_refused_wherever_it_turns_up(seen: Seen, address: str) -> None:
    seen.note(HERE, LATER)
    with pytest.raises(StateRolledBack) as caught:
        check(seen, address, STATE)
    place = "" if address == HERE else f", at {HERE}"
    assert f"{address} has serial 3; this machine has already seen 4{place}." == caught.value.message
    assert "--accept-state" in caught.value.hint
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


def test_another_lineage_in_the_same_place_is_refused(seen: Seen) -> None:
    seen.note(HERE, STATE)
    with pytest.raises(StateForeign) as caught:
        check(seen, HERE, OTHER)
    assert f"{HERE} has lineage ../lineage/2; this machine has seen lineage-1 there." == caught.value.message
    assert "--accept-state" in caught.value.hint


def test_another_lineage_in_another_place_is_another_state(seen: Seen) -> None:
    seen.note(HERE, LATER)
    seen.note(THERE, OTHER)
    check(seen, HERE, LATER)
    check(seen, THERE, OTHER)


def test_a_state_that_is_gone_is_noticed_where_it_was(seen: Seen) -> None:
    seen.note(HERE, STATE)
    check(seen, THERE, None)
    with pytest.raises(StateRolledBack) as caught:
        check(seen, HERE, None)
    assert f"There is no state at {HERE}; this machine has seen one there." == caught.value.message
    with pytest.raises(StateRolledBack, match="no state") as caught:
        check(seen, HERE, None, f"{HERE}.backup")
    assert f"{HERE}.backup is the state from before an earlier run. " in caught.value.hint
    assert "`provisioner adopt NAME LOGIN`" in caught.value.hint
    # The error says where it was moved, if a run has seen it there.
    seen.note(THERE, STATE)
    with pytest.raises(StateRolledBack, match=f"seen one there; it was last at {THERE}") as caught:
        check(seen, HERE, None)
    assert "or set `state` to its place" in caught.value.hint


def test_what_a_person_accepts_is_believed_from_then_on(seen: Seen) -> None:
    seen.note(HERE, LATER)
    seen.note(HERE, STATE)
    check(seen, HERE, STATE)
    seen.forget(HERE)
    check(seen, HERE, None)
    check(seen, HERE, OTHER)
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
    check(Seen(folder), HERE, STATE)


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name[:7]: each.read_bytes() for each in folder.iterdir()}


def test_only_what_changed_is_written_and_a_run_adds_a_line(seen: Seen, folder: Path) -> None:
    seen.note(HERE, STATE)
    line = b'{"serial": %d, "address": "/project/state/default.json"}\n'
    first = {"address": b'{"lineage": "lineage-1"}\n', "lineage": line % 3}
    assert first == contents(folder)
    times = {each: each.stat().st_mtime_ns for each in folder.iterdir()}
    for same in (seen, Seen(folder)):
        same.note(HERE, STATE)
    assert times == {each: each.stat().st_mtime_ns for each in folder.iterdir()}
    seen.note(HERE, LATER)
    assert first | {"lineage": line % 3 + line % 4} == contents(folder)
    Seen(folder).note(HERE, LATER)
    assert first | {"lineage": line % 4} == contents(folder)


def test_half_a_line_counts_for_nothing_and_is_not_added_to(seen: Seen, folder: Path) -> None:
    seen.note(HERE, STATE)
    (mark,) = folder.glob("lineage-*")
    mark.write_bytes(b'{"serial": 3}\n{"serial"')
    check(seen, HERE, STATE)
    Seen(folder).note(HERE, LATER)
    assert b'{"serial": 4, "address": "/project/state/default.json"}\n' == mark.read_bytes()


def test_a_mark_that_could_not_be_appended_to_is_rewritten(seen: Seen, folder: Path) -> None:
    seen.note(HERE, STATE)
    (mark,) = folder.glob("lineage-*")
    mark.unlink()
    with pytest.raises(FileNotFoundError):
        seen.note(HERE, LATER)
    seen.note(HERE, LATER)
    assert b'{"serial": 4, "address": "/project/state/default.json"}\n' == mark.read_bytes()


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff", b"{", b"[]", b"1", b"{}", b'{"serial": "9"}', b'{"serial": null}', b"[" * 100_000]
)
def test_a_damaged_mark_stops_nobody_and_gets_one_warning(folder: Path, garbage: bytes) -> None:
    for state, line in ((STATE, b""), (None, b"\n")):
        Seen(folder).note(HERE, LATER)
        for mark in folder.iterdir():
            mark.write_bytes(garbage + line)
        seen, warnings = Seen(folder), list[str]()
        for _ in range(2):
            seen.check(HERE, state, warnings.append)
        assert [": is damaged. "] * len(warnings) == [re.search(": is damaged. ", each).group() for each in warnings]
        assert (2 if state else 1) == len(warnings)
        # The next save makes it whole.
        seen.note(HERE, STATE)
        check(Seen(folder), HERE, STATE)


def test_an_unusable_home_is_only_reported_when_noting(seen: Seen, folder: Path) -> None:
    folder.parent.write_text("HOME=/dev/null is a habit of containers")
    check(seen, HERE, STATE)
    check(seen, HERE, None)
    with pytest.raises(OSError, match="is not a folder"):
        seen.note(HERE, STATE)


def test_anything_but_a_file_in_place_of_a_mark_is_an_error(seen: Seen, folder: Path) -> None:
    Seen(folder).note(HERE, STATE)
    claim(Seen(folder), HERE, STATE.lineage)
    for mark in [*folder.glob("address-*"), folder / "key"]:
        mark.unlink()
        mark.mkdir()
    with pytest.raises(StateInvalid, match="it is a folder, and not a file"):
        check(seen, HERE, STATE)
    with pytest.raises(StateInvalid, match="it is a folder, and not a file"):
        own(seen, HERE, STATE.lineage)


# ── Copies of one state ──────────────────────────────────────────────────────


def test_a_copy_that_was_saved_meanwhile_is_noticed_by_the_next_save(seen: Seen, folder: Path) -> None:
    seen.note(HERE, STATE)
    seen.require_newest(HERE, STATE, pytest.fail)
    Seen(folder).note(THERE, LATER)
    with pytest.raises(StateMoved) as caught:
        seen.require_newest(HERE, STATE, pytest.fail)
    assert (
        f"{HERE} has serial 3, and a copy of it has been saved since: this machine has seen 4, at {THERE}."
        == caught.value.message
    )
    seen.require_newest(HERE, LATER, pytest.fail)


def test_one_run_holds_every_copy_of_a_state(seen: Seen, folder: Path) -> None:
    with seen.hold("lineage-1", ADA, timeout=0, sleep=never):
        with (
            pytest.raises(StateLocked, match=r"^Another copy of this state is held by process .* of ada"),
            Seen(folder).hold("lineage-1", BOB, timeout=0, sleep=never),
        ):
            pass
        with Seen(folder).hold("lineage-2", BOB, timeout=0, sleep=never):
            pass


# ── Two states of one account ────────────────────────────────────────────────

LOGIN = "parent@example.com"
API = "https://api.octopush.com/v1/public"


def own(seen: Seen, address: str, lineage: str | None, *, login: str = LOGIN, api: str = API) -> None:
    """Check that a state may be the account's; the record must not be damaged."""
    seen.require_own(api, login, address, lineage, pytest.fail)


def claim(seen: Seen, address: str, lineage: str) -> None:
    """Record a state as the account's."""
    seen.claim(API, LOGIN, address, lineage, pytest.fail)


def test_a_second_state_of_one_account_is_refused_and_the_first_may_move(seen: Seen, folder: Path) -> None:
    own(seen, HERE, None)
    assert not folder.exists()
    claim(seen, HERE, "lineage-1")
    for lineage, said in ((None, f"there is none at {THERE} yet"), ("lineage-2", f"the one at {THERE} is another")):
        with pytest.raises(StateForeign) as caught:
            own(seen, THERE, lineage, login=f" {LOGIN.upper()}")
        assert f"This machine knows a state of the same Octopush account at {HERE}; {said}." == caught.value.message
    with pytest.raises(StateForeign):
        claim(Seen(folder), THERE, "lineage-2")
    own(seen, THERE, None, login="other@example.com")
    own(seen, THERE, None, api="http://127.0.0.1:8080/v1/public")
    own(seen, THERE, "lineage-1")
    claim(seen, THERE, "lineage-1")
    with pytest.raises(StateForeign, match=THERE):
        own(seen, HERE, None)


def test_an_address_is_the_same_however_it_is_written(seen: Seen) -> None:
    claim(seen, HERE, "lineage-1")
    for api in ("https://API.octopush.com:443/v1/public", "https://api.octopush.com./v1/public/"):
        with pytest.raises(StateForeign):
            own(seen, THERE, None, api=api)
    seen.claim("http://localhost:8080/v1", LOGIN, HERE, "lineage-2", pytest.fail)
    for host in ("127.0.0.1", "[::1]", "[::ffff:7f00:1]"):
        with pytest.raises(StateForeign):
            own(seen, THERE, None, api=f"http://{host}:8080/%76%31")


def test_a_claim_without_a_save_is_replaced_in_its_own_place(seen: Seen) -> None:
    claim(seen, HERE, "lineage-1")
    own(seen, HERE, None)
    claim(seen, HERE, "lineage-2")
    with pytest.raises(StateForeign, match=HERE):
        own(seen, THERE, "lineage-1")


def test_a_second_state_that_a_person_accepts_is_one_of_the_accounts(seen: Seen) -> None:
    seen.accept(API, LOGIN, THERE, "lineage-2", pytest.fail)
    claim(seen, HERE, "lineage-1")
    seen.accept(API, LOGIN, THERE, "lineage-2", pytest.fail)
    for address, lineage in ((HERE, "lineage-1"), (THERE, "lineage-2")):
        own(seen, address, lineage)
        claim(seen, address, lineage)
    with pytest.raises(StateForeign, match=f"{THERE}, {HERE}"):
        own(seen, "/third", None)
    seen.accept(API, LOGIN, "/third", None, pytest.fail)
    own(seen, "/third", None)
    claim(seen, "/third", "lineage-3")
    for address, lineage in ((HERE, "lineage-1"), ("/third", "lineage-3")):
        own(seen, address, lineage)
    with pytest.raises(StateForeign):
        own(seen, "/fourth", None)


def test_what_is_remembered_confirms_no_login_and_is_its_owners_alone(seen: Seen, tmp_path: Path) -> None:
    claim(seen, HERE, "lineage-1")
    claim(Seen(tmp_path / "other"), HERE, "lineage-1")
    marks = [
        [each.name for each in sorted(folder.iterdir())] for folder in (tmp_path / "other", tmp_path / "home/seen")
    ]
    assert [["account-", "claims.l", "key"]] * 2 == [[name[:8] for name in names] for names in marks]
    assert marks[0][0] != marks[1][0]
    files = list((tmp_path / "home/seen").iterdir())
    assert {0o600} == {mode(each) for each in files}
    assert not any(LOGIN.encode() in each.read_bytes() for each in files)


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_or_missing_key_stops_nobody_and_gets_a_warning(
    seen: Seen, folder: Path, damage: bytes | None
) -> None:
    claim(seen, HERE, "lineage-1")
    (folder / "key").unlink() if damage is None else (folder / "key").write_bytes(damage)
    warnings: list[str] = []
    Seen(folder).require_own(API, LOGIN, THERE, None, warnings.append)
    assert 1 == len(warnings)
    Seen(folder).claim(API, LOGIN, THERE, "lineage-2", warnings.append)
    own(seen, THERE, "lineage-2")


def test_a_damaged_mark_of_an_account_stops_nobody_and_gets_a_warning(seen: Seen, folder: Path) -> None:
    claim(seen, HERE, "lineage-1")
    (mark,) = folder.glob("account-*")
    mark.write_bytes(b"{}")
    warnings: list[str] = []
    seen.require_own(API, LOGIN, THERE, None, warnings.append)
    assert [True] == [str(mark) in each for each in warnings]
    seen.claim(API, LOGIN, HERE, "lineage-1", warnings.append)
    with pytest.raises(StateForeign):
        own(seen, THERE, None)
