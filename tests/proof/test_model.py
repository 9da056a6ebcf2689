"""The short form of ``make model``, and a race over a store that breaks its promise, which the model must notice."""

from __future__ import annotations

import pytest

from tests.proof.model.__main__ import search
from tests.proof.model.baton import Fate, Turn
from tests.proof.model.life import Life

SHORT = 40
"""Lives."""


def test_no_rule_is_broken_in_lives_full_of_deaths_races_and_lost_answers() -> None:
    search(None, SHORT)


@pytest.mark.parametrize("enforces", [True, False])
def test_a_race_over_a_store_that_replaces_what_another_run_has_saved_is_noticed(*, enforces: bool) -> None:
    life = Life()
    life.begin(remote=True, patient=False, accounts=1)
    life.here.objects.enforces = enforces
    tasks = [("apply", 0, 0, Fate()), ("apply", 1, 0, Fate())]
    turns = [Turn(1, "create"), Turn(1, "create")]
    if enforces:
        life.run_at_once(tasks, turns)
        life.teardown()
    else:
        with pytest.raises(AssertionError, match="P1 has 2 accounts"):
            life.run_at_once(tasks, turns)
        life.here.close()


def test_the_password_of_a_run_that_was_overtaken_is_kept() -> None:
    life = Life()
    life.begin(remote=True, patient=False, accounts=1)
    life.run_one(("apply", 0, 0, Fate()))
    # The rotation has saved its intent, but not yet its lease.
    life.run_at_once([("rotate", 0, 0, Fate()), ("apply", 1, 0, Fate())], [Turn(2, "create")])
    life.teardown()
