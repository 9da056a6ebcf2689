"""``make model [SECONDS=n] [EXAMPLES=n] [SEED=n]``: searches for a life in which a rule is broken.

Works in batches; each has its own seed, which replays it. A violation is printed as the shortest life that
Hypothesis finds for it, in calls that can be run as they stand.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.model.life import STATS, Life
from tests.proof.page import Table, bound, publish

BATCH: Final = 50
"""Examples for each seed."""
STEPS: Final = 14
"""The most steps of one life."""
COUNTED: Final = ("examples", "commands", "points", "races", "deaths", "creates sent", "answers lost", "store faults")


def search(seed: int | None, examples: int, *, shortest: bool = True) -> None:
    """Run ``examples`` lives; without a seed, the same ones each time. Raises what a broken rule raises.

    ``shortest`` looks for the shortest life that breaks it.
    """
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        derandomize=seed is None,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink) if shortest else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    class Seeded(Life):
        pass

    Seeded.__name__ = Life.__name__
    run_state_machine_as_test(Seeded if seed is None else hypothesis.seed(seed)(Seeded), settings=chosen)


def main() -> int:
    """Return the exit code."""
    started = time.monotonic()
    seconds, wanted = float(os.environ.get("SECONDS") or 60), int(os.environ.get("EXAMPLES") or sys.maxsize)
    first = seed = int(os.environ.get("SEED") or 1)
    while time.monotonic() - started < seconds and STATS["examples"] < wanted:
        try:
            search(seed, min(BATCH, wanted))
        except Exception:
            print(f"A rule was broken. To replay: make model SEED={seed} EXAMPLES={BATCH}\n", flush=True)
            raise
        seed += 1
    table = Table(("what", "count"), [(each, f"{STATS[each]:,}") for each in COUNTED] + [("violations", 0)])
    print(table.text())
    print(bound(STATS["examples"]))
    publish("model", [table, bound(STATS["examples"]) + "."], started=started, seeds=f"seeds {first} to {seed - 1}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
