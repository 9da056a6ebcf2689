"""Reading a state that a run is at: what it saves between two looks is not taken for a state that is older."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import StateRolledBack
from provisioner.model.state import State
from provisioner.state.reading import read
from provisioner.state.seen import Seen
from provisioner.state.store import LocalStore

STATE = State("lineage-1", "default", serial=1)


class Overtaken(LocalStore):
    """A store to which a run saves as soon as it was loaded."""

    def __init__(self, path: Path, seen: Seen) -> None:
        super().__init__(path)
        self._runs = 2
        self._seen = seen

    def load(self) -> tuple[State | None, str]:
        state, version = super().load()
        if state is not None and self._runs:
            self._runs -= 1
            after = replace(state, serial=state.serial + 1)
            self.save(after, version)
            self._seen.note(self.key, after)
        return state, version


def test_what_a_run_saves_meanwhile_is_read_again(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen")
    store = Overtaken(tmp_path / "default.json", seen)
    store.save(STATE, store.load()[1])
    seen.note(store.key, STATE)
    found = read(store, parent="default", seen=seen)
    assert found is not None
    assert 3 == found.serial


def test_one_that_stays_older_is_refused(tmp_path: Path) -> None:
    seen, store = Seen(tmp_path / "seen"), LocalStore(tmp_path / "default.json")
    store.save(STATE, store.load()[1])
    seen.note(store.key, replace(STATE, serial=2))
    with pytest.raises(StateRolledBack):
        read(store, parent="default", seen=seen)
