"""The layers of ``make chaos``: each is one kind of trouble."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.proof.chaos import Layer, Outcome, Subject, concluded
from tests.proof.chaos.grounds import Local, Store, new_ground
from tests.proof.chaos.tracing import WRITES, Gate, Injection, require_strace, run

MAIN: Final = Gate(0, follow=False)
WORKER: Final = Gate(1, follow=False)
EVERYTHING: Final = Gate(0, follow=True)
PARENTS: Final = tuple(f"parent-{number}" for number in range(8))

_ERRORS_OF_A_DISK: Final = ("EIO", "ENOSPC", "EINTR")
_ERRORS_OF_A_CONNECTION: Final = ("ECONNRESET", "ETIMEDOUT", "EINTR")
_LASTING: Final = ("EIO", "ENOSPC")

Hit = tuple[Gate, Injection]


def drawing(layer: str, seed: int) -> random.Random:
    """Return the random generator of one run."""
    return random.Random(f"{layer} {seed}")  # noqa: S311  # it hides nothing


def deaths(gate: Gate, calls: dict[str, int]) -> Iterator[Hit]:
    """Yield SIGKILL at each call."""
    for call, number in sorted(calls.items()):
        for each in range(1, number + 1):
            yield gate, Injection(call, each)


def errors(gate: Gate, calls: dict[str, int]) -> Iterator[Hit]:
    """Yield each error at each call: once, and, for a disk that stays full or broken, from there on."""
    for death_gate, death in deaths(gate, calls):
        once = _ERRORS_OF_A_DISK if death.call in WRITES else _ERRORS_OF_A_CONNECTION
        for error in once:
            yield death_gate, Injection(death.call, death.number, error)
        for error in _LASTING if death.call in WRITES else ():
            yield death_gate, Injection(death.call, death.number, error, lasting=True)


@dataclass(slots=True)
class EveryCall:
    """One apply, hit at one system call: every thread that does anything, every call, one run for each."""

    name: str
    about: str
    hits: Callable[[Gate, dict[str, int]], Iterator[Hit]]
    gates: Sequence[Gate] = (MAIN, WORKER)
    usual: int = 0
    short: bool = True
    store: Callable[[], Store] = Local
    parents: Sequence[str] = ("default",)
    _cases: list[Hit] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many different faults there are."""
        return len(self._cases)

    @contextmanager
    def opened(self, subject: Subject, folder: Path) -> Iterator[None]:
        """Record a run for each gate, to know what there is to hit."""
        require_strace()
        self._cases = []
        for number, gate in enumerate(self.gates):
            with new_ground(folder / f"record-{number}", subject, parents=self.parents, store=self.store) as ground:
                calls = run(subject.command(ground), gate).calls()
                calls.pop("execve", None)
                self._cases += self.hits(gate, dict(calls))
        # Consecutive seeds should not all hit one call.
        random.Random(0).shuffle(self._cases)  # noqa: S311
        yield

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Hit one call."""
        gate, injection = self._cases[seed % len(self._cases)]
        with new_ground(folder, subject, parents=self.parents, store=self.store) as ground:
            faulted = run(subject.command(ground), gate, [injection])
            done = concluded(
                ground,
                subject,
                [faulted],
                faults=faulted.injected,
                could_write=not (injection.lasting and injection.call == "write"),
            )
        thread = "any thread" if gate.follow else f"thread {gate.thread}"
        return Outcome(notes=(f"{injection} in {thread}: exit {faulted.code}",)) + done


def every_layer() -> list[Layer]:
    """Return the layers, cheapest first."""
    return [
        EveryCall("kill", "SIGKILL at every system call that writes or talks", deaths),
        EveryCall("error", "EIO, ENOSPC, EINTR … at every one of them, once or from there on", errors),
    ]
