"""When a request is retried: limits, waits, and an interruption."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from typing import Final

import pytest

from provisioner.model.account import Credentials, Secret
from provisioner.model.exchange import Balance, Edited, Failed, Missing, Observed
from provisioner.model.verdict import Created, NotCreated, OutcomeUnknown, Then
from provisioner.octopush.retry import RetryPolicy
from tests.conftest import PATIENCE

AGAIN: Final = NotCreated("the connection was refused", Then.RETRY)
CREATED: Final = Created(Credentials("abc", Secret("key")))
UNSENT: Final = NotCreated("the run was interrupted", Then.STOP)


@dataclass(slots=True)
class Run:
    """Attempts with given outcomes, and waits that are recorded instead of waited."""

    verdicts: Iterator[object]
    attempts: int = 0
    waits: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    interrupted: bool = False
    interrupt_while_waiting: bool = False
    on_attempt: Callable[[], None] = lambda: None

    def attempt(self) -> object:
        self.attempts += 1
        self.on_attempt()
        return next(self.verdicts)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.interrupted |= self.interrupt_while_waiting

    def settle(self, *, attempts: int = 5, budget: float = 60, cap: float = 120) -> object:
        policy = RetryPolicy(attempts, budget, cap, self.sleep, lambda: self.interrupted, self.told.append)
        return policy.until_settled(self.attempt, unsent=UNSENT)


@pytest.mark.parametrize(
    "verdict",
    [
        *(CREATED, OutcomeUnknown("?"), NotCreated("refused", Then.GO_ON), NotCreated("stopped", Then.STOP)),
        *(Edited(), Missing("?"), Observed({}), Balance(1, "euros")),
        *(Failed("refused", Then.GO_ON), Failed("stopped", Then.STOP, possible=True)),
    ],
)
@pytest.mark.parametrize("before", [AGAIN, Failed("HTTP 500", Then.RETRY), Failed("lost", Then.RETRY, possible=True)])
def test_only_what_is_proven_or_idempotent_and_transient_is_tried_again(before: object, verdict: object) -> None:
    run = Run(iter([before, verdict]))
    assert verdict is run.settle()
    assert (2, 1) == (run.attempts, len(run.waits))


def test_the_first_attempt_waits_for_nothing() -> None:
    run = Run(iter([CREATED]))
    assert CREATED is run.settle()
    assert (1, []) == (run.attempts, run.waits)


@pytest.mark.parametrize("attempts", [1, 2, 7])
def test_the_last_verdict_is_returned_when_attempts_run_out(attempts: int) -> None:
    verdicts = [NotCreated(f"attempt {number}", Then.RETRY) for number in range(1, 9)]
    run = Run(iter(verdicts))
    assert verdicts[attempts - 1] is run.settle(attempts=attempts)
    assert (attempts, attempts - 1) == (run.attempts, len(run.waits))


def test_no_wait_begins_once_the_budget_is_spent() -> None:
    run = Run(repeat(AGAIN), on_attempt=lambda: time.sleep(0.02))
    assert AGAIN is run.settle(attempts=1000, budget=0.1)
    assert 2 <= run.attempts <= 6
    assert run.attempts - 1 == len(run.waits)


def test_waits_double_with_jitter_up_to_a_bound() -> None:
    run = Run(repeat(AGAIN))
    run.settle(attempts=10)
    for number, wait in enumerate(run.waits):
        least = min(20.0, 0.5 * 2**number)
        assert least <= wait <= least + 0.5
    assert all(before < after for before, after in pairwise(run.waits[1:6]))


def test_no_two_runs_wait_alike() -> None:
    runs = [Run(repeat(AGAIN)) for _ in range(8)]
    for each in runs:
        each.settle(attempts=2)
    assert 1 < len({each.waits[0] for each in runs})


@pytest.mark.parametrize("kind", [NotCreated, Failed])
def test_the_server_says_how_long_to_wait_up_to_a_cap(kind: type[NotCreated | Failed]) -> None:
    asked = [kind("later", Then.RETRY, seconds) for seconds in (0.0, 3.0, 120.0, 121.0, 1e9)]
    run = Run(iter([*asked, CREATED]))
    assert CREATED is run.settle(attempts=6, cap=120)
    assert [0.0, 3.0, 120.0, 120.0, 120.0] == run.waits


def test_whoever_watches_hears_why_and_how_long_and_before_which_attempt() -> None:
    run = Run(iter([NotCreated("later", Then.RETRY, 3.0), Failed("lost", Then.RETRY, 200.0), CREATED]))
    run.settle(attempts=3)
    assert ["later; attempt 2 of 3 in 3.0 s", "lost; attempt 3 of 3 in 120.0 s"] == run.told


def test_nobody_need_watch() -> None:
    run = Run(iter([AGAIN, CREATED]))
    policy = RetryPolicy(2, 60, 120, run.sleep, lambda: False)
    assert CREATED is policy.until_settled(run.attempt, unsent=UNSENT)


def test_nothing_is_sent_after_an_interruption() -> None:
    run = Run(iter([CREATED]), interrupted=True)
    assert UNSENT is run.settle()
    assert 0 == run.attempts


def test_nothing_is_sent_after_an_interruption_while_waiting() -> None:
    run = Run(iter([AGAIN, CREATED]), interrupt_while_waiting=True)
    assert UNSENT is run.settle()
    assert (1, 1) == (run.attempts, len(run.waits))


def test_no_wait_begins_after_an_interruption_while_sending() -> None:
    run = Run(iter([AGAIN, CREATED]))

    def interrupt() -> None:
        run.interrupted = True

    run.on_attempt = interrupt
    assert AGAIN is run.settle()
    assert (1, []) == (run.attempts, run.waits)


def test_an_answer_that_arrives_after_an_interruption_counts() -> None:
    run = Run(iter([CREATED]))

    def interrupt() -> None:
        run.interrupted = True

    run.on_attempt = interrupt
    assert CREATED is run.settle()


def test_threads_share_a_policy_and_none_counts_the_attempts_of_another() -> None:
    threads, attempts = 8, 3
    together = threading.Barrier(threads)
    waits: list[float] = []
    told: list[str] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        together.wait(PATIENCE)

    policy = RetryPolicy(attempts, 60, 120, sleep, lambda: False, told.append)

    def settle(number: int) -> object:
        verdicts = iter([Failed(f"{number}", Then.RETRY, float(attempt)) for attempt in range(1, attempts + 1)])
        return policy.until_settled(lambda: next(verdicts), unsent=UNSENT)

    with ThreadPoolExecutor(threads) as pool:
        settled = list(pool.map(settle, range(threads)))
    assert [Failed(f"{number}", Then.RETRY, float(attempts)) for number in range(threads)] == settled
    assert {1.0: threads, 2.0: threads} == Counter(waits)
    assert {
        f"{number}; attempt {attempt} of {attempts} in {attempt - 1}.0 s"
        for number in range(threads)
        for attempt in range(2, attempts + 1)
    } == set(told)
