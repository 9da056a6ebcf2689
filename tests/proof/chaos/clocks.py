"""Clocks that jump: two runs at once, on machines that disagree about the time.

``clock.c``, beside this module, moves the clock of a process. libfaketime would, but it also breaks
the sleep of a Python from 3.11 on.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.proof.chaos import Outcome, Subject, concluded
from tests.proof.chaos.grounds import Ground, Local, new_ground
from tests.proof.chaos.stores import Git
from tests.proof.chaos.tracing import Command, NotSupported, started

_SOURCE: Final = Path(__file__).with_name("clock.c")
_JUMPS: Final = (0, 1, -1, 601, -601, 3600, -3600, 86_400, -86_400, 3_000_000, -3_000_000, 300_000_000, -300_000_000)
"""Seconds by which a clock may be wrong: a lease ends after 600; the others are an hour, a day, a month, ten years."""
_EVERY: Final = 0.01
"""Seconds between two jumps are drawn around this, and some last ten times as long."""


@dataclass(slots=True)
class Clocks:
    """Two runs of one project, each with a clock that jumps by itself; one is killed now and then."""

    name: str
    about: str
    usual: int
    short: bool = False
    cases: None = None
    _library: Path = field(default=Path())

    @contextmanager
    def opened(self, subject: Subject, folder: Path) -> Iterator[None]:
        """Compile what moves a clock."""
        del subject
        if shutil.which("cc") is None:
            raise NotSupported("there is no C compiler here; `make tools` fetches one")
        folder.mkdir(parents=True)
        self._library = folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self._library, _SOURCE], check=True)
        yield

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Draw the store, the jumps, and whether one is killed while the answer to a create is on its way."""
        drawn = random.Random(f"{self.name} {seed}")  # noqa: S311  # it hides nothing
        store = drawn.choice((Local(), Git()))
        killed = drawn.choice((None, 1, 2))
        latency = ("--latency", "0.05")
        with new_ground(folder, subject, store=lambda: store, options=latency) as ground, ExitStack() as open_:
            clocks = [Clock(folder / f"clock-{number}", random.Random(drawn.random())) for number in range(2)]  # noqa: S311
            for clock in clocks:
                open_.enter_context(clock.jumping())
            going = [open_.enter_context(started(self._at(subject, ground, clock.path))) for clock in clocks]
            if killed is not None:
                while len(ground.created()) < killed and going[0].child.is_alive():
                    time.sleep(0.005)
                going[0].kill()
            runs = [each.end() for each in going]
            alive = {each.login for each in ground.created()} if not any(each.killed for each in runs) else set[str]()
            return concluded(
                ground, subject, runs, faults=sum(clock.jumps for clock in clocks) + (killed is not None), arrived=alive
            ).of(f"{store.name}, killed after create {killed}: exit {[each.code for each in runs]}")

    def _at(self, subject: Subject, ground: Ground, clock: Path) -> Command:
        """Return the subject's command, started afresh with this clock."""
        command = subject.command(ground)
        start: Sequence[str] = (sys.executable, "-m", "provisioner") if command.warm else ()
        fake = {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(clock)}
        return replace(command, arguments=(*start, *command.arguments), environ={**command.environ, **fake}, warm=False)


@dataclass(slots=True)
class Clock:
    """A clock that jumps, as the file that ``clock.c`` reads."""

    path: Path
    drawn: random.Random
    jumps: int = 0

    @contextmanager
    def jumping(self) -> Iterator[None]:
        """Jump for the length of a ``with``."""
        over = threading.Event()
        with self.path.open("w+b", buffering=0) as file:

            def jump() -> None:
                while True:
                    file.seek(0)
                    file.write(self.drawn.choice(_JUMPS).to_bytes(8, sys.byteorder, signed=True))
                    self.jumps += 1
                    if over.wait(self.drawn.uniform(0, 2 * _EVERY) * self.drawn.choice((1, 1, 10))):
                        return

            file.write(bytes(8))
            thread = threading.Thread(target=jump)
            thread.start()
            try:
                yield
            finally:
                over.set()
                thread.join()
