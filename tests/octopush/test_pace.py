"""How requests are spaced: with a clock that only waiting and sending move, between threads, and in real time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import pytest

from provisioner.model.account import Credentials, Secret
from provisioner.model.exchange import Failed
from provisioner.model.verdict import Then
from provisioner.octopush.client import Client
from provisioner.octopush.pace import Paced
from provisioner.octopush.refusals import INTERRUPTED
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Failure, Reply, Request
from tests.conftest import PATIENCE

REQUEST = Request("GET", "https://api.example.com", {})


@dataclass
class Carrier:
    """Takes some time for each request, and records when each began."""

    takes: float = 0.0
    now: float = 1000.0
    begun: list[float] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def exchange(self, request: Request) -> Reply | Failure:
        assert REQUEST is request
        self.begun.append(self.now)
        self.now += self.takes
        return Failure(sent=False, reason=f"answer {len(self.begun)}")

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def paced(carrier: Carrier, rate: float) -> Paced:
    return Paced(carrier, rate, clock=carrier.clock, sleep=carrier.sleep)


@pytest.mark.parametrize(("rate", "takes"), [(1, 0.0), (4, 0.0), (4, 0.0625), (20, 0.01), (1000, 0.0)])
def test_no_more_begin_in_any_second_than_the_rate(rate: int, takes: float) -> None:
    carrier = Carrier(takes)
    through = paced(carrier, rate)
    for _ in range(3 * rate):
        through.exchange(REQUEST)
    slack = 1e-6
    for first in carrier.begun:
        assert rate >= sum(first <= each < first + 1 - slack for each in carrier.begun)
    # And it is no slower than that.
    assert (3 * rate - 1) / rate == pytest.approx(carrier.begun[-1] - carrier.begun[0])


def test_the_first_never_waits_and_slow_ones_never_do() -> None:
    carrier = Carrier(takes=0.1)
    through = paced(carrier, 10)
    for _ in range(5):
        through.exchange(REQUEST)
    assert [] == carrier.slept or max(carrier.slept) < 1e-6


def test_a_pause_earns_no_burst() -> None:
    carrier = Carrier()
    through = paced(carrier, 2)
    through.exchange(REQUEST)
    carrier.now += 60
    for _ in range(3):
        through.exchange(REQUEST)
    assert [0.5, 0.5] == carrier.slept


def test_what_came_of_a_request_is_returned_as_it_is() -> None:
    through = paced(Carrier(), 1)
    assert [Failure(sent=False, reason="answer 1"), Failure(sent=False, reason="answer 2")] == [
        through.exchange(REQUEST),
        through.exchange(REQUEST),
    ]


def test_an_interrupted_wait_sends_nothing() -> None:
    carrier = Carrier()

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    through = Paced(carrier, 1, clock=carrier.clock, sleep=interrupted)
    through.exchange(REQUEST)
    with pytest.raises(KeyboardInterrupt):
        through.exchange(REQUEST)
    assert 1 == len(carrier.begun)


def test_real_time() -> None:
    carrier = Carrier()
    through = Paced(carrier, 50, clock=time.monotonic, sleep=time.sleep)
    start = time.monotonic()
    for _ in range(6):
        through.exchange(REQUEST)
    assert 0.1 <= time.monotonic() - start


# ── Between threads ──────────────────────────────────────────────────────────

THREADS: Final = 8
UNSENT: Final = Failure(sent=False, reason=INTERRUPTED, interrupted=True)


class Time:
    """A clock that only the test moves; a sleep lasts until it has come, or the run is interrupted."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._asleep = 0
        self._interrupted = False
        self._changed = threading.Condition()

    def clock(self) -> float:
        with self._changed:
            return self.now

    def sleep(self, seconds: float) -> None:
        with self._changed:
            until = self.now + seconds
            self._asleep += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._interrupted or self.now >= until, PATIENCE)
            self._asleep -= 1

    def interrupted(self) -> bool:
        with self._changed:
            return self._interrupted

    def await_sleepers(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._asleep == number, PATIENCE)

    def advance(self, seconds: float) -> None:
        with self._changed:
            self.now += seconds
            self._changed.notify_all()

    def interrupt(self) -> None:
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()


class Arrivals:
    """Records what arrives, from any thread, and when."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._changed = threading.Condition()
        self.seen: list[tuple[float, str]] = []

    def exchange(self, request: Request) -> Reply | Failure:
        with self._changed:
            self.seen.append((self._time.clock(), request.url))
            self._changed.notify_all()
        return Reply(200, {}, request.url.encode())

    def await_number(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= number, PATIENCE)


@contextmanager
def waiting_row(time: Time, arrivals: Arrivals, rate: float) -> Iterator[list[Future[Reply | Failure]]]:
    """Send from many threads through one carrier, in order: the first at once, the others wait for their turns."""
    through = Paced(arrivals, rate, clock=time.clock, sleep=time.sleep)
    outcomes: list[Future[Reply | Failure]] = []
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for number in range(THREADS):
                outcomes.append(pool.submit(through.exchange, Request("GET", str(number), {})))
                arrivals.await_number(1)
                time.await_sleepers(number)
            yield outcomes
        finally:
            time.interrupt()


def test_threads_have_one_rate_between_them_and_are_served_as_they_came() -> None:
    time = Time()
    arrivals = Arrivals(time)
    with waiting_row(time, arrivals, 4) as outcomes:
        for number in range(1, THREADS):
            time.advance(0.25)
            arrivals.await_number(number + 1)
            time.await_sleepers(THREADS - number - 1)
        assert [(1000 + number / 4, str(number)) for number in range(THREADS)] == arrivals.seen
        assert [Reply(200, {}, str(number).encode()) for number in range(THREADS)] == [
            each.result(PATIENCE) for each in outcomes
        ]


def test_an_interruption_wakes_every_thread_and_sends_nothing_more() -> None:
    time = Time()
    arrivals = Arrivals(time)
    with waiting_row(time, arrivals, 4) as outcomes:
        time.advance(0.25)
        arrivals.await_number(2)
        time.interrupt()
        assert [UNSENT] * (THREADS - 2) == [each.result(PATIENCE) for each in outcomes[2:]]
    assert ["0", "1"] == [url for _, url in arrivals.seen]


def test_threads_that_come_at_once_take_a_turn_each() -> None:
    time = Time()
    arrivals = Arrivals(time)
    through = Paced(arrivals, 4, clock=time.clock, sleep=time.sleep)
    barrier = threading.Barrier(THREADS)

    def send(number: int) -> None:
        barrier.wait(PATIENCE)
        through.exchange(Request("GET", str(number), {}))

    with ThreadPoolExecutor(THREADS) as pool:
        try:
            ended = [pool.submit(send, number) for number in range(THREADS)]
            for left in reversed(range(THREADS)):
                arrivals.await_number(THREADS - left)
                time.await_sleepers(left)
                time.advance(0.25)
            for each in ended:
                each.result(PATIENCE)
        finally:
            time.interrupt()
    assert [1000 + number / 4 for number in range(THREADS)] == [when for when, _ in arrivals.seen]
    assert {str(number) for number in range(THREADS)} == {url for _, url in arrivals.seen}


def test_a_client_whose_turn_was_cut_short_says_that_the_run_was_interrupted() -> None:
    time = Time()
    arrivals = Arrivals(time)
    through = Paced(arrivals, 4, clock=time.clock, sleep=time.sleep)
    told: list[str] = []
    client = Client(
        "https://api.example.com",
        Credentials("parent@example.com", Secret("key")),
        through,
        RetryPolicy(5, 60, 120, time.sleep, time.interrupted, told.append),
        lambda: datetime(2025, 6, 1, tzinfo=UTC),
    )
    through.exchange(REQUEST)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(client.read, "abc")
        time.await_sleepers(1)
        time.interrupt()
        assert Failed("the run was interrupted before it was sent", Then.STOP) == reading.result(PATIENCE)
    assert ([], 1) == (told, len(arrivals.seen))
