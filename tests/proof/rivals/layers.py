"""The trouble that this program and its rivals meet alike."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.proof.chaos import Layer, Outcome, Subject, concluded
from tests.proof.chaos.grounds import new_ground
from tests.proof.chaos.layers import EVERYTHING, drawing, hit_by
from tests.proof.chaos.network import Network
from tests.proof.chaos.tracing import Hit, Injection, Run, require_strace, run

_CALL: Final = re.compile(r"^(\d+) +(\w+)\(")
_UNENDED: Final = re.compile(r"\) += \?$", re.MULTILINE)
"""How strace shows a call in which a process was killed."""


def chances(log: str) -> list[Hit]:
    """Return SIGKILL at each call after the first connection to the sandbox, that none before it would meet."""
    made: dict[str, Counter[str]] = {}
    before: set[tuple[str, int]] = set()
    after: set[tuple[str, int]] = set()
    connected = False
    for line in log.splitlines():
        if not (match := _CALL.match(line)) or match[2] == "execve":
            continue
        counted = made.setdefault(match[1], Counter())
        counted[match[2]] += 1
        connected = connected or ("connect(" in line and "sin_port=htons(" in line)
        (after if connected else before).add((match[2], counted[match[2]]))
    return [Hit(EVERYTHING, Injection(call, number)) for call, number in sorted(after - before)]


@dataclass(slots=True)
class Killed:
    """SIGKILL at a system call, for one process of a command."""

    name: str = "kill"
    about: str = "SIGKILL at a system call, from the first connection on"
    usual: int = 50
    short: bool = False
    _cases: list[Hit] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many different calls there are."""
        return len(self._cases)

    @contextmanager
    def opened(self, subject: Subject, folder: Path) -> Iterator[None]:
        """Record a run, to know what there is to hit."""
        require_strace()
        with new_ground(folder / "record", subject) as ground:
            recorded = run(subject.command(ground), EVERYTHING)
            assert recorded.code == 0, recorded.printed
            self._cases = chances(recorded.log)
        # Seeds that follow each other should not all hit one call.
        random.Random(0).shuffle(self._cases)  # noqa: S311  # it hides nothing
        yield

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Hit one call."""
        hit = self._cases[seed % len(self._cases)]
        with new_ground(folder, subject) as ground:
            faulted = hit_by(subject.command(ground), hit)
            return concluded(ground, subject, [faulted], faults=deaths_in([faulted])).of(f"{hit}: exit {faulted.code}")


@dataclass(slots=True)
class Four(Killed):
    """Four runs at the same time, two of which are killed."""

    name: str = "four"
    about: str = "four runs at once, two of them killed, and an API that answers after 50 ms"
    usual: int = 12

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Draw what hits two of them."""
        drawn = drawing(self.name, seed)
        hits = [*drawn.choices(self._cases, k=2), None, None]
        with new_ground(folder, subject, options=("--latency", "0.05")) as ground:
            command = subject.command(ground)
            with ThreadPoolExecutor(len(hits)) as pool:
                runs = list(pool.map(lambda hit: run(command, EVERYTHING, [hit.injection] if hit else []), hits))
            outcome = concluded(ground, subject, runs, faults=deaths_in(runs))
            return outcome.of(", ".join(str(hit or "-") for hit in hits))


def deaths_in(runs: list[Run]) -> int:
    """Return in how many of ``runs`` a process was killed."""
    return sum(each.killed or _UNENDED.search(each.log) is not None for each in runs)


def every_layer() -> list[Layer]:
    """Return all of them."""
    return [Killed(), Network(), Four()]
