"""The short form of ``make rivals``: one fault of the network, for this program and for what people use instead."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.proof.chaos import Outcome
from tests.proof.chaos.network import Fault, struck
from tests.proof.chaos.subject import Provisioner
from tests.proof.rivals import PYTHON, SHELL, Rival
from tests.proof.rivals.layers import chances


def needed(rival: Rival) -> None:
    if rival is SHELL and not (shutil.which("curl") and shutil.which("jq")):
        pytest.skip("curl or jq is not installed")


def counts(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.faults, outcome.duplicates, outcome.lost


def test_an_answer_that_is_dropped_after_it_was_acted_on_neither_doubles_nor_loses_an_account(tmp_path: Path) -> None:
    outcome = struck(Provisioner(), tmp_path / "run", Fault.RESET, 1)
    assert outcome.clean, outcome.notes
    assert outcome.faults == 1


@pytest.mark.parametrize("rival", [SHELL, PYTHON], ids=lambda each: each.name)
def test_the_same_makes_a_second_account_with_what_people_use_instead(rival: Rival, tmp_path: Path) -> None:
    needed(rival)
    assert (1, 1, 1) == counts(struck(rival, tmp_path / "run", Fault.RESET, 1))


def test_a_fault_before_anything_was_acted_on_does_not_count_against_a_rival(tmp_path: Path) -> None:
    needed(SHELL)
    assert (1, 0, 0) == counts(struck(SHELL, tmp_path / "run", Fault.RESET_BEFORE, 0))


def test_a_kill_strikes_only_after_the_first_connection() -> None:
    log = """\
7 openat(AT_FDCWD, "names.txt") = 3
8 openat(AT_FDCWD, "a") = 3
8 openat(AT_FDCWD, "b") = 4
8 connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1
8 connect(4, {sa_family=AF_INET, sin_port=htons(8080)}, 16) = 0
7 openat(AT_FDCWD, "accounts.csv") = 3
8 openat(AT_FDCWD, "c") = 3
"""
    assert ["all:connect:2:SIGKILL", "all:openat:3:SIGKILL"] == list(map(str, chances(log)))
