"""``make chaos``: runs the layers, and prints what came of them.

``RUNS=`` is how many of each layer, ``SEED=`` the first seed, ``LAYER=`` the only layer, and ``HIT=`` what hits
a run, as a failed one printed it. The exit code is 1 if anything was counted that should not be.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.proof.chaos import Layer, Outcome, Subject
from tests.proof.chaos.layers import every_layer
from tests.proof.chaos.subject import Provisioner
from tests.proof.chaos.tracing import NotSupported, StuckError
from tests.proof.page import Table, bound, publish

HEADER: Final = (
    "layer", "what", "different faults", "runs", "runs hit", "faults",
    "duplicates", "lost credentials", "secrets in clear", "not settled",
)  # fmt: skip
_ENOUGH: Final = 100
"""Runs from which on their number says something."""
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of its own is made in it


@dataclass(slots=True)
class Tally:
    """What came of the runs of one layer."""

    layer: Layer
    cases: int | None = None
    runs: int = 0
    hit: int = 0
    """Runs in which a fault struck."""
    total: Outcome = field(default_factory=Outcome)
    failed: list[tuple[int, Outcome]] = field(default_factory=list)

    def add(self, seed: int, outcome: Outcome) -> None:
        """Count one run."""
        self.runs += 1
        self.hit += outcome.faults > 0
        self.total += Outcome(outcome.faults, outcome.duplicates, outcome.lost, outcome.secrets, outcome.unsettled)
        if not outcome.clean:
            self.failed.append((seed, outcome))

    def row(self) -> tuple[object, ...]:
        """Return the row of the table."""
        it = self.total
        cases = "any" if self.cases is None else self.cases
        head = (self.layer.name, self.layer.about, cases, self.runs, self.hit, it.faults)
        return *head, it.duplicates, it.lost, it.secrets, it.unsettled


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder, in memory where there is such a place: a kill leaves what was written, synced or not."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tally(layer: Layer, subject: Subject, *, first: int = 0, runs: int = 0, jobs: int = 2) -> Tally:
    """Make ``runs`` of a layer, or as many as are usual, with the seeds from ``first`` on; raises NotSupported."""
    found = Tally(layer)
    with scratch() as folder, layer.opened(subject, folder / "shared"):
        found.cases = layer.cases
        seeds = range(first, first + (runs or layer.usual or layer.cases or 1))

        def one(seed: int) -> tuple[int, Outcome]:
            try:
                return seed, layer.run(seed, subject, folder / str(seed))
            except StuckError as error:
                return seed, Outcome(unsettled=1, notes=(str(error),))

        with ThreadPoolExecutor(jobs) as pool:
            for seed, outcome in pool.map(one, seeds):
                found.add(seed, outcome)
    return found


def main() -> int:
    """Run what the environment asks for."""
    begun = time.monotonic()
    runs, first = int(os.environ.get("RUNS") or 0), int(os.environ.get("SEED") or 0)
    only = os.environ.get("LAYER") or ""
    layers = [each for each in every_layer(os.environ.get("HIT") or "") if only in {"", each.name}]
    if not layers:
        print(f"There is no layer {only}; there are {', '.join(each.name for each in every_layer())}.")
        return 64
    done, missing = [], []
    for layer in layers:
        try:
            done.append(tally(layer, Provisioner(), first=first, runs=runs, jobs=os.cpu_count() or 1))
        except (NotSupported, pytest.skip.Exception) as error:
            missing.append(f"{layer.name} was not run: {error}")
            print(missing[-1], flush=True)
            continue
        print(f"{layer.name}: {done[-1].runs} runs, {len(done[-1].failed)} failed", flush=True)
        for seed, outcome in done[-1].failed[:20]:
            hit = f" HIT={outcome.hit}" if outcome.hit else ""
            print(f"\nSEED {seed} failed; this replays it: make chaos LAYER={layer.name} SEED={seed} RUNS=1{hit}")
            print(*(f"  {note}" for note in outcome.notes), sep="\n", flush=True)
    table = Table(HEADER, [each.row() for each in done])
    print(f"\n{table.text()}\n")
    total = sum(each.runs for each in done)
    clean = not any(each.failed for each in done)
    parts: list[Table | str] = [table]
    if clean and total >= _ENOUGH:
        parts.append(f"{bound(total)}.")
        print(f"{bound(total)}.")
    parts += missing
    publish("chaos", parts, seeds=f"seeds from {first} on", started=begun)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
