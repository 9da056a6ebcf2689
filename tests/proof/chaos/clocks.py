"""Clocks that jump: two runs at once, on machines that disagree about the time, by libfaketime."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.proof.chaos import Outcome, Subject, concluded
from tests.proof.chaos.grounds import Ground, Local, new_ground
from tests.proof.chaos.stores import Git
from tests.proof.chaos.tracing import Command, NotSupported, started

_JUMPS: Final = (0, 1, -1, 601, -601, 3600, -3600, 86_400, -86_400, 3_000_000, -3_000_000, 300_000_000, -300_000_000)
"""Seconds by which a clock may be wrong: a lease ends after 600, and certificates and logs after months."""
_KILLED_WITHIN: Final = 1.5
_EVERY: Final = 0.01
"""Seconds between two jumps are drawn around this, and some last ten times as long."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two runs of one project, each with a clock that jumps by itself; one is killed now and then."""

    name: str
    about: str
    usual: int
    short: bool = False
    cases: None = None

    @contextmanager
    def opened(self, subject: Subject, folder: Path) -> Iterator[None]:
        """Look for libfaketime."""
        del subject, folder
        _library()
        yield

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Draw the store, the jumps, and whether one is killed."""
        drawn = random.Random(f"{self.name} {seed}")  # noqa: S311  # it hides nothing
        store = drawn.choice((Local(), Git()))
        killed = drawn.choice((None, drawn.uniform(0, _KILLED_WITHIN)))
        with (
            new_ground(folder, subject, store=lambda: store, options=("--latency", "0.05")) as ground,
            ExitStack() as open_,
        ):
            clocks = [Clock(folder / f"clock-{number}", random.Random(drawn.random())) for number in range(2)]  # noqa: S311
            for clock in clocks:
                open_.enter_context(clock.jumping())
            going = [open_.enter_context(started(_at(subject, ground, clock.path))) for clock in clocks]
            if killed is not None:
                threading.Event().wait(killed)
                going[0].kill()
            runs = [each.end() for each in going]
            alive = {each.login for each in ground.created()} if not any(each.killed for each in runs) else set[str]()
            return concluded(
                ground, subject, runs, faults=sum(clock.jumps for clock in clocks) + (killed is not None), arrived=alive
            ).of(f"{store.name}, killed after {killed}: exit {[each.code for each in runs]}")


@dataclass(slots=True)
class Clock:
    """A clock that jumps, as a file that libfaketime reads at every look at the time."""

    path: Path
    drawn: random.Random
    jumps: int = 0

    @contextmanager
    def jumping(self) -> Iterator[None]:
        """Jump for the length of a ``with``."""
        self._set()
        over = threading.Event()

        def jump() -> None:
            while not over.wait(self.drawn.uniform(0, 2 * _EVERY) * self.drawn.choice((1, 1, 10))):
                self._set()

        thread = threading.Thread(target=jump)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _set(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(f"{self.drawn.choice(_JUMPS):+}\n")
        new.replace(self.path)
        self.jumps += 1


def _at(subject: Subject, ground: Ground, clock: Path) -> Command:
    """Return the subject's command, started afresh with this clock; no other clock than that of the day is changed."""
    command = subject.command(ground)
    start: Sequence[str] = (sys.executable, "-m", "provisioner") if command.warm else ()
    fake = {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    return replace(command, arguments=(*start, *command.arguments), environ={**command.environ, **fake}, warm=False)


def _library() -> Path:
    found = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")] if os.name == "posix" else []
    if not found:
        raise NotSupported("faketime is not installed here; `make tools` fetches it")
    return found[0]
