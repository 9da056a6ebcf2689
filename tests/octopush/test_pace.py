"""How requests are kept apart, with a clock that only waiting and sending move; and over real time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from provisioner.octopush.pace import Paced
from provisioner.octopush.transport import Failure, Reply, Request

REQUEST = Request("GET", "https://api.example.com", {})


@dataclass
class Carrier:
    """Takes its time for each request, and notes when each began."""

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
    # And no slower than that.
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
