"""``make rivals``: this program and what people use instead of it, under the same faults, judged by the same judge.

``RUNS=`` is how many of each layer and program, ``SEED=`` the first seed, and ``PROGRAM=`` the only program. The
exit code is 1 if anything is counted against this program.
"""

from __future__ import annotations

import os
import sys
import time

from tests.proof.chaos.__main__ import tally
from tests.proof.chaos.tracing import NotSupported
from tests.proof.page import Table, publish
from tests.proof.rivals import SUBJECTS
from tests.proof.rivals.layers import every_layer

HEADER = (
    "program", "layer", "runs", "runs hit", "runs with a duplicate or a loss",
    "duplicates", "lost credentials", "places with secrets in clear", "not settled",
)  # fmt: skip


def main() -> int:
    """Run what the environment asks for."""
    begun = time.monotonic()
    runs, first = int(os.environ.get("RUNS") or 0), int(os.environ.get("SEED") or 0)
    rows: list[tuple[object, ...]] = []
    failed = 0
    missing: list[str] = []
    only = os.environ.get("PROGRAM") or ""
    for subject in [each for each in SUBJECTS if only in {"", each.name}]:
        for layer in every_layer():
            try:
                done = tally(layer, subject, first=first, runs=runs, jobs=os.cpu_count() or 1)
            except NotSupported as error:
                missing.append(f"{layer.name} was not run: {error}")
                print(missing[-1], flush=True)
                continue
            it = done.total
            hurt = [(seed, each) for seed, each in done.failed if each.duplicates or each.lost]
            counted = (it.duplicates, it.lost, it.secrets, it.unsettled)
            rows.append((subject.name, layer.name, done.runs, done.hit, len(hurt), *counted))
            print(*rows[-1], flush=True)
            if subject is SUBJECTS[0]:
                failed += len(done.failed)
                hurt = done.failed
            # One example of each rival shows how it comes about; of this program, every one counts.
            for seed, outcome in hurt if subject is SUBJECTS[0] else hurt[:1]:
                notes = [note for note in outcome.notes if subject is SUBJECTS[0] or not note.startswith("printed")]
                print(f"  SEED={seed}", *notes, sep="\n    ", flush=True)
    table = Table(HEADER, rows)
    print(f"\n{table.text()}")
    publish("rivals", [table, *dict.fromkeys(missing)], seeds=f"seeds from {first} on", started=begun)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
