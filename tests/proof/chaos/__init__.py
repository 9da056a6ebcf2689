"""``make chaos``: real runs against a sandbox, each with faults that a seed chooses, and a judge who shares no code.

A *layer* is one kind of trouble: SIGKILL at a system call, a full disk, a clock that jumps. A *subject*
is the program in trouble: this tool, or a script that people use instead. To add a layer, write a class
that has what :class:`Layer` asks for and list it in ``chaos.layers``; a run of it looks like this::

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        with new_ground(folder, subject) as ground:
            faulted = tracing.run(subject.command(ground), Gate(1), [the fault that the seed chooses])
            return concluded(ground, subject, [faulted], faults=faulted.injected)

``new_ground`` makes a fresh folder with what a user of the subject would have in it, and a fresh
sandbox. ``concluded`` compares, by ``tests.proof.checker``, the sandbox's ledger with what the subject
holds; then it has the subject do what its manual says after such a run, with no fault in the way,
and compares again.

To add a subject, write a class that has what :class:`Subject` asks for. What it holds is a
:class:`~tests.proof.checker.Holding`, so that the same judge judges all of them.

The same seed, layer and subject are the same run, as far as processes can be the same twice. Seeds
that follow each other try different faults, and all of them if there are ``Layer.cases`` of them. Where
a seed chooses among what was recorded just before, such as the calls of a run, another recording may
differ a little: so a failed run also says what it was hit by, and ``HIT=`` asks for just that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from tests.proof import checker
from tests.proof.chaos.grounds import Ground
from tests.proof.chaos.tracing import Command, Run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run and of the recovery after it. All counts but ``faults`` should be 0."""

    faults: int = 0
    """How many faults struck."""
    duplicates: int = 0
    lost: int = 0
    secrets: int = 0
    unsettled: int = 0
    """Wanted accounts that the recovery did not bring about, or whose credentials are not held after it."""
    notes: tuple[str, ...] = ()
    """What the fault was, and a sentence for each thing that was counted."""
    hit: str = ""
    """What ``HIT=`` must be to meet the same fault, if the seed alone may not suffice."""

    @property
    def clean(self) -> bool:
        """Whether all is as it should be."""
        return not (self.duplicates or self.lost or self.secrets or self.unsettled)

    def of(self, note: str, hit: str = "") -> Outcome:
        """Return it with a first sentence about what the fault was."""
        return replace(self, notes=(note, *self.notes), hit=hit)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.faults + other.faults,
            self.duplicates + other.duplicates,
            self.lost + other.lost,
            self.secrets + other.secrets,
            self.unsettled + other.unsettled,
            (*self.notes, *other.notes),
        )


class Subject(Protocol):
    """A program that creates accounts, as its users have it."""

    @property
    def name(self) -> str:
        """What it is called in the table."""

    def prepare(self, ground: Ground) -> None:
        """Write into ``ground.folder`` what its user would have there before the first run."""

    def command(self, ground: Ground) -> Command:
        """Return the command that creates the accounts of ``ground``."""

    def settle(self, ground: Ground, runs: Sequence[Run]) -> list[Run]:
        """Do what its manual says after such ``runs`` until the accounts exist, and return what was run."""

    def holding(self, ground: Ground, runs: Sequence[Run]) -> checker.Holding:
        """Return what it holds, from its files and from what ``runs`` printed, read by other code than its own."""


class Layer(Protocol):
    """One kind of trouble."""

    @property
    def name(self) -> str:
        """What it is called on the command line and in the table."""

    @property
    def about(self) -> str:
        """What it does, in a few words."""

    @property
    def usual(self) -> int:
        """How many runs there are of it if nobody says; 0: one for each of ``cases``."""

    @property
    def short(self) -> bool:
        """Whether a few runs of it are cheap enough for ``make test``."""

    @property
    def cases(self) -> int | None:
        """How many different faults there are, known inside ``opened``; None: as many as there are seeds."""

    def opened(self, subject: Subject, folder: Path) -> AbstractContextManager[None]:
        """Start what all runs share, and record what there is to hit; raises NotSupported."""

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Make one run in ``folder``, which is empty, and judge it. Runs may be made in threads, side by side."""


def concluded(  # noqa: PLR0913  # each says something about the runs
    ground: Ground,
    subject: Subject,
    runs: Sequence[Run],
    *,
    faults: int,
    could_write: bool = True,
    arrived: Collection[str] | None = None,
) -> Outcome:
    """Judge what ``runs`` left, have the subject recover, and judge again.

    ``could_write`` says whether a process that went on living could still write somewhere. ``arrived``
    are the logins whose answers reached such a process; None: those that strace saw it read.
    """
    created = ground.created()
    if arrived is None:
        arrived = {
            each.login
            for each in created
            for run in runs
            if could_write and not run.killed and run.received(each.login) and run.received(each.key)
        }
    first = _judged(ground, subject, runs, created, arrived)
    after = [*runs, *subject.settle(ground, runs)]
    before = {each.login for each in created}.difference(arrived)
    created = ground.created()
    second = _judged(ground, subject, after, created, {each.login for each in created} - before)
    holding = subject.holding(ground, after)
    settled = {each.name for each in holding.held}
    missing = [name for name in ground.wanted if name not in settled]
    said = [runs[0].printed, after[-1].printed] if missing or not (first.clean and second.clean) else []
    return Outcome(
        faults,
        max(first.duplicates, second.duplicates),
        max(first.lost, second.lost),
        max(first.secrets, second.secrets),
        len(missing),
        (
            *first.notes,
            *(f"after the recovery: {note}" for note in second.notes if note not in first.notes),
            *(f"{'/'.join(name)} is not there after the recovery" for name in missing),
            *(f"printed: … {each[-800:]}" for each in said),
        ),
    )


def _judged(
    ground: Ground,
    subject: Subject,
    runs: Sequence[Run],
    created: Sequence[checker.Account],
    arrived: Collection[str],
) -> checker.Verdict:
    texts = ground.texts()
    for number, run in enumerate(runs, 1):
        texts.append((f"what run {number} printed", run.printed.encode()))
        texts.append((f"the arguments of what run {number} started", run.arguments().encode()))
    return checker.judge(created, subject.holding(ground, runs), arrived=arrived, texts=texts, secrets=ground.secrets)
