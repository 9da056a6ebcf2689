"""The layers of ``make chaos``: each is one kind of trouble."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.proof.chaos import Layer, Outcome, Subject, concluded
from tests.proof.chaos.clocks import Clocks
from tests.proof.chaos.grounds import Ground, Local, new_ground
from tests.proof.chaos.network import Network
from tests.proof.chaos.stores import NewStore, in_azure, in_files, in_git, in_postgresql, in_s3
from tests.proof.chaos.subject import CREATES, Provisioner
from tests.proof.chaos.tracing import WRITES, Command, Gate, Hit, Injection, Run, StuckError, require_strace, run
from tests.proof.disk.layer import ForgetfulDisk

MAIN: Final = Gate(0, follow=False)
WORKER: Final = Gate(1, follow=False)
EVERYTHING: Final = Gate(0, follow=True)
PARENTS: Final = tuple(f"parent-{number}" for number in range(8))

_ERRORS_OF_A_DISK: Final = ("EIO", "ENOSPC", "EINTR")
_ERRORS_OF_A_CONNECTION: Final = ("ECONNRESET", "ETIMEDOUT", "EINTR")
_LASTING: Final = ("EIO", "ENOSPC")


def drawing(layer: str, seed: int) -> random.Random:
    """Return the random generator of one run."""
    return random.Random(f"{layer} {seed}")  # noqa: S311  # it hides nothing


def deaths(gate: Gate, calls: Mapping[str, int]) -> Iterator[Hit]:
    """Yield SIGKILL at each call."""
    for call, number in sorted(calls.items()):
        for each in range(1, number + 1):
            yield Hit(gate, Injection(call, each))


def errors(gate: Gate, calls: Mapping[str, int]) -> Iterator[Hit]:
    """Yield each error at each call: once, and, for a disk that stays full or broken, from there on.

    A call that strace lets fail does nothing. Linux closes a file even if it reports an error, so a lock
    that cannot be closed would keep other threads from it for ever, and no machine does that.
    """
    for death in (
        each.injection for each in deaths(gate, calls) if not (gate.follow and each.injection.call == "close")
    ):
        for error in _ERRORS_OF_A_DISK if death.call in WRITES else _ERRORS_OF_A_CONNECTION:
            yield Hit(gate, Injection(death.call, death.number, error))
        for error in _LASTING if death.call in WRITES else ():
            yield Hit(gate, Injection(death.call, death.number, error, lasting=True))


def both(gate: Gate, calls: Mapping[str, int]) -> Iterator[Hit]:
    """Yield all of them."""
    yield from deaths(gate, calls)
    yield from errors(gate, calls)


@dataclass(slots=True)
class EveryCall:
    """A command is hit at one system call: every thread that does anything, every call, one run for each."""

    name: str
    about: str
    hits: Callable[[Gate, Mapping[str, int]], Iterator[Hit]]
    gates: Sequence[Gate] = (MAIN, WORKER)
    usual: int = 0
    short: bool = False
    ours: Provisioner | None = None
    """What this layer is for, whatever else may be in trouble."""
    server: Callable[[Path], AbstractContextManager[NewStore]] = in_files
    parents: Sequence[str] = ("default",)
    hit: str = ""
    """What to be hit by, whatever the seed would choose: hits with commas between them, ``-`` for none."""
    _store: NewStore = Local
    _cases: list[Hit] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many different faults there are."""
        return len(self._cases)

    @contextmanager
    def opened(self, subject: Subject, folder: Path) -> Iterator[None]:
        """Record a run for each gate, to know what there is to hit."""
        require_strace()
        folder.mkdir(parents=True, exist_ok=True)
        with self.server(folder) as self._store:
            self._cases = []
            for number, gate in enumerate(self.gates):
                with self._ground(folder / f"record-{number}", subject) as ground:
                    calls = run((self.ours or subject).command(ground), gate).calls()
                    del calls["execve"]
                    self._cases += self.hits(gate, calls)
            # Seeds that follow each other should not all hit one call.
            random.Random(0).shuffle(self._cases)  # noqa: S311
            yield

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Hit one call."""
        hit = self.asked() or self._cases[seed % len(self._cases)]
        subject = self.ours or subject
        with self._ground(folder, subject) as ground:
            faulted = hit_by(subject.command(ground), hit)
            # What hits the main thread leaves the answers alone, and the thread that reads them is not watched.
            untouched = hit.gate == MAIN and not faulted.killed
            return concluded(
                ground,
                subject,
                [faulted],
                faults=faulted.injected,
                could_write=could_write(hit),
                arrived={each.login for each in ground.created()} if untouched else None,
            ).of(f"{hit}: exit {faulted.code}", str(hit))

    def asked(self, number: int = 0) -> Hit | None:
        """Return the hit with this number that somebody asked for."""
        asked = self.hit.split(",")[number] if self.hit else "-"
        return None if asked == "-" else Hit.parse(asked)

    def _ground(self, folder: Path, subject: Subject) -> AbstractContextManager[Ground]:
        return new_ground(folder, self.ours or subject, parents=self.parents, store=self._store)


def hit_by(command: Command, hit: Hit | None) -> Run:
    """Run a command, with its worker watched if nothing hits it."""
    try:
        return run(command, hit.gate, [hit.injection]) if hit else run(command, WORKER)
    except StuckError as error:
        raise StuckError(f"{hit}: {error}") from None


def could_write(hit: Hit | None) -> bool:
    """Return whether a process with this fault could still write somewhere: to standard error, if nowhere else."""
    return hit is None or not (hit.injection.lasting and hit.injection.call == "write")


@dataclass(slots=True)
class Again(EveryCall):
    """Killed, run again and killed again, and a third time."""

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Draw three calls."""
        drawn = drawing(self.name, seed)
        hits = [self.asked(number) or drawn.choice(self._cases) for number in range(3)]
        with self._ground(folder, subject) as ground:
            runs = [hit_by(subject.command(ground), hit) for hit in hits]
            text = ",".join(map(str, hits))
            return concluded(ground, subject, runs, faults=sum(each.injected for each in runs)).of(text, text)


@dataclass(slots=True)
class AtOnce(EveryCall):
    """Four runs of one project at the same time, most of which are hit somewhere."""

    apart: bool = False
    """Whether each runs on a machine of its own, which remembers nothing of the others."""

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Draw what hits each, and whether they wait for each other."""
        drawn = drawing(self.name, seed)
        waits = [drawn.choice([(), ("--lock-timeout", "2")]) for _ in range(4)]
        hits = [drawn.choice([None, *drawn.choices(self._cases, k=2)]) for _ in range(4)]
        if self.hit:
            hits = [self.asked(number) for number in range(4)]
        with new_ground(folder, subject, store=self._store, options=("--latency", "0.02")) as ground:
            command = subject.command(ground)
            commands = [replace(command, arguments=(*command.arguments, *wait)) for wait in waits]
            if self.apart:
                commands = [
                    replace(each, environ={**each.environ, "XDG_STATE_HOME": str(ground.home / f"machine-{number}")})
                    for number, each in enumerate(commands)
                ]
            with ThreadPoolExecutor(4) as pool:
                runs = list(pool.map(hit_by, commands, hits))
            text = ",".join(str(hit or "-") for hit in hits)
            faults = sum(each.injected for each in runs)
            writing = all(map(could_write, hits))
            return concluded(ground, subject, runs, faults=faults, could_write=writing).of(text, text)


def every_layer(hit: str = "") -> list[Layer]:
    """Return the layers, cheapest first; ``hit`` is what those that hit calls are asked for."""
    eight = Provisioner(apply=(*CREATES, "--jobs", "8"))
    calls: list[EveryCall] = [
        EveryCall("kill", "SIGKILL at every system call that writes or talks", deaths, short=True),
        EveryCall("error", "an error of every such call, once or from there on", errors, short=True),
        Again("again", "killed in three runs, one after the other", deaths, usual=150),
        EveryCall("change", "kills and errors while accounts are edited", both, usual=250, ours=Provisioner.editing()),
        EveryCall("rotate", "the same while passwords are rotated", both, usual=120, ours=Provisioner.rotating()),
        EveryCall("rekey", "the same while all is sealed again", both, usual=120, ours=Provisioner.rekeying()),
        AtOnce("four", "four runs at once, a state in a file", both, usual=100),
        EveryCall("parents", "eight parents at once", both, (EVERYTHING,), usual=80, ours=eight, parents=PARENTS),
        EveryCall("git", "a state in git", both, (EVERYTHING,), usual=100, server=in_git),
        EveryCall("postgresql", "a state in PostgreSQL", both, (EVERYTHING,), usual=100, server=in_postgresql),
        EveryCall("s3", "a state in S3 (SeaweedFS)", both, (EVERYTHING,), usual=100, server=in_s3),
        EveryCall("azure", "a state in Azure (Azurite)", both, (EVERYTHING,), usual=100, server=in_azure),
        *(
            AtOnce(
                f"four-{name}",
                f"four machines at once, a state in {place}",
                both,
                (EVERYTHING,),
                30,
                server=server,
                apart=True,
            )
            for name, place, server in (
                ("git", "git", in_git),
                ("postgresql", "PostgreSQL", in_postgresql),
                ("s3", "S3", in_s3),
                ("azure", "Azure", in_azure),
            )
        ),
    ]
    for layer in calls:
        layer.hit = hit
    return [*calls, Network(), Clocks("clock", "clocks that jump, in two runs at once", usual=40), ForgetfulDisk()]
