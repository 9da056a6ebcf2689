"""The short form of ``make chaos``, and the judge: what it counts, it must find."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyrage
import pytest

from tests.proof import checker
from tests.proof.chaos import Layer, concluded
from tests.proof.chaos.__main__ import tally
from tests.proof.chaos.grounds import Ground, new_ground
from tests.proof.chaos.layers import WORKER, every_layer
from tests.proof.chaos.subject import Provisioner
from tests.proof.chaos.tracing import Injection, NotSupported, Run, require_strace, run
from tests.proof.checker import Account, Holding, Verdict

IDENTITY = pyrage.x25519.Identity.generate()
PARIS = Account(("default", "paris"), "paris@sub", "key-1", "word-1")
AGAIN = Account(("default", "paris"), "again@sub", "key-2", "word-2")
MAYBE = Holding(doubtful=frozenset({PARIS.name}))
SHORT = 8
"""Runs of each layer."""


@pytest.mark.parametrize("layer", [each for each in every_layer() if each.short], ids=lambda each: each.name)
def test_nothing_is_created_twice_or_lost_or_shown_under_faults(layer: Layer) -> None:
    try:
        done = tally(layer, Provisioner(), runs=SHORT)
    except NotSupported as missing:
        pytest.skip(str(missing))
    assert done.runs == SHORT
    assert done.total.faults > 0
    assert [] == [(seed, outcome.notes) for seed, outcome in done.failed]


class Careless(Provisioner):
    """Somebody who deletes the state, and what the machine remembers, after a bad run."""

    def settle(self, ground: Ground, runs: Sequence[Run]) -> list[Run]:
        shutil.rmtree(ground.folder / "state")
        shutil.rmtree(ground.home / "state")
        return super().settle(ground, runs)


def test_what_goes_wrong_is_counted(tmp_path: Path) -> None:
    subject = Careless()
    with new_ground(tmp_path / "ground", subject) as ground:
        outcome = concluded(ground, subject, [run(subject.command(ground))], faults=0)
    assert (outcome.duplicates, outcome.lost, outcome.secrets) == (2, 2, 0)
    assert "default/paris was created 2 times" in " ".join(outcome.notes)


# ── The judge ────────────────────────────────────────────────────────────────


def judged(*created: Account, holding: Holding, arrived: Collection[str] = (), text: str = "") -> Verdict:
    texts = [("a file", text.encode())]
    return checker.judge(created, holding, arrived=arrived, texts=texts, secrets={"parent-key"})


def counts(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.duplicates, verdict.lost, verdict.secrets


def test_the_judge_accepts_what_is_held_or_said_to_be_unknown() -> None:
    assert (0, 0, 0) == counts(judged(PARIS, holding=Holding((PARIS,)), arrived={PARIS.login}))
    assert (0, 0, 0) == counts(judged(PARIS, holding=MAYBE))
    assert (0, 0, 0) == counts(judged(holding=MAYBE))


def test_the_judge_counts_a_second_create_even_of_what_is_unknown() -> None:
    assert (1, 0, 0) == counts(judged(PARIS, AGAIN, holding=MAYBE))
    assert (1, 0, 0) == counts(judged(PARIS, AGAIN, holding=Holding((PARIS, AGAIN))))


def test_the_judge_counts_credentials_that_are_neither_held_nor_in_doubt() -> None:
    assert (0, 1, 0) == counts(judged(PARIS, holding=Holding()))
    other = Account(("default", "rome"), "rome@sub", "key-3", None)
    assert (0, 1, 0) == counts(judged(PARIS, other, holding=Holding((PARIS,))))


def test_the_judge_accepts_no_doubt_where_the_answer_arrived_in_a_run_that_lived() -> None:
    assert (0, 1, 0) == counts(judged(PARIS, holding=MAYBE, arrived={PARIS.login}))
    kept = MAYBE + Holding(sealed="… paris@sub … key-1 …")
    assert (0, 0, 0) == counts(judged(PARIS, holding=kept, arrived={PARIS.login}))


def test_the_judge_counts_credentials_of_another_account_and_a_wrong_password() -> None:
    swapped = Account(PARIS.name, "rome@sub", "key-3", None)
    assert (0, 1, 0) == counts(judged(PARIS, holding=Holding((PARIS, swapped))))
    wrong = Account(PARIS.name, PARIS.login, PARIS.key, "word-of-another")
    assert (0, 1, 0) == counts(judged(PARIS, holding=Holding((wrong,))))


@pytest.mark.parametrize("text", ["paris@sub", "key-1", "word-1", "parent-key", "paris%40sub"])
def test_the_judge_finds_a_secret_in_clear(text: str) -> None:
    assert (0, 0, 1) == counts(judged(PARIS, holding=Holding((PARIS,)), text=f"… {text} …"))


# ── What the judge reads ─────────────────────────────────────────────────────


def record(status: str = "active", **content: str) -> dict[str, Any]:
    return {"status": status, "sealed": sealed(**content)}


def sealed(**content: str) -> str:
    inner = {"lineage": "l", "parent": "default", "name": "paris", "api_login": "paris@sub", "api_key": "key-1"}
    return pyrage.encrypt(json.dumps(inner | content).encode(), [IDENTITY.to_public()], armored=True).decode()


def state(**accounts: dict[str, Any]) -> Holding:
    document = {"version": 1, "lineage": "l", "parent": "default", "accounts": accounts}
    return checker.state(json.dumps(document).encode(), str(IDENTITY))


def test_a_state_is_read() -> None:
    assert Holding((PARIS,)) == state(paris=record(password="word-1"))
    assert MAYBE == state(paris={"status": "pending"})
    unknown = state(paris=record("unknown"))
    assert (unknown.held, unknown.doubtful) == ((), {PARIS.name})
    assert "key-1" in unknown.sealed


def test_the_password_of_an_unfinished_edit_may_be_the_valid_one() -> None:
    edited = state(paris=record(password="word-0") | {"edit": {"sealed": sealed(password="word-1")}})
    assert (0, 0, 0) == counts(judged(PARIS, holding=edited))
    assert (0, 1, 0) == counts(judged(PARIS, holding=state(paris=record(password="word-0"))))


def test_a_state_with_something_wrong_in_it_is_a_loss() -> None:
    for wrong in (state(rome=record()), state(paris=record(lineage="another")), state(paris={"status": "active"})):
        assert wrong.held == ()
        assert judged(holding=wrong).lost == 1
    damaged = checker.state(b'{"version": 1, ', str(IDENTITY))
    assert judged(holding=damaged).lost == 1


@pytest.mark.parametrize(
    "form", ["provisioner-rescue {}", "2026-01-01 err: provisioner-rescue {}", '{{"provisioner-rescue": {}}}']
)
def test_a_rescue_line_is_read(form: str) -> None:
    entry = {"lineage": "l", "parent": "default", "name": "paris", "record": record(password="word-1")}
    line = form.replace("{{", "{").replace("}}", "}").replace("{}", json.dumps(entry))
    assert Holding((PARIS,)) == checker.rescued(f"before\n{line}\nafter\n", str(IDENTITY))
    assert Holding() == checker.rescued(line[:-20], str(IDENTITY))


# ── What it has found ────────────────────────────────────────────────────────


def test_an_answer_survives_a_connection_that_cannot_be_closed(tmp_path: Path) -> None:
    try:
        require_strace()
    except NotSupported as missing:
        pytest.skip(str(missing))
    subject = Provisioner()
    with new_ground(tmp_path / "record", subject) as ground:
        before, _, _ = run(subject.command(ground), WORKER).log.partition("HTTP/1.1 201")
    closes = before.count("close(")
    with new_ground(tmp_path / "again", subject) as ground:
        faulted = run(subject.command(ground), WORKER, [Injection("close", closes + 1, "EIO", lasting=True)])
        outcome = concluded(ground, subject, [faulted], faults=faulted.injected)
    assert outcome.faults > 0
    assert outcome.clean, outcome.notes
