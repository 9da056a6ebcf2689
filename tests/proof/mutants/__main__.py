"""``make mutants``: small faults are put into the core, one at a time; the tests of each module must catch them.

``MODULE`` names modules of ``modules.toml``, ``SAMPLE`` says how many mutants of each are
tried, drawn by ``SEED``; ``JOBS`` how many modules at a time. What survives must be in
``survivors.toml``, with the reason. Exits with 1 if something else survives, if fewer
than 95 in 100 are caught, or if an explanation explains nothing any more. What was
measured of each module is kept in ``results.json``, so that one can be run alone.
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.proof import copies
from tests.proof.mutants.mutations import FILTERS
from tests.proof.page import Table, commit, publish

HERE: Final = Path(__file__).parent
NEEDED: Final = 95
"""How many of 100 mutants must be caught."""
RESULTS: Final = HERE / "results.json"

_SURE: Final = 1.96
"""Standard deviations that 95 % of a normal distribution are within."""


@dataclass(frozen=True, slots=True)
class Change:
    """What identifies a mutant, however far its line moves; see :class:`~tests.proof.mutants.mutations.Mutant`."""

    module: str
    scope: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the mutants of a module: ``tried`` of ``mutants`` were tried, and these survived."""

    module: str
    mutants: int
    tried: int
    explained: tuple[Change, ...] = field(default=())
    unexplained: tuple[Change, ...] = field(default=())

    @property
    def killed(self) -> int:
        """How many were caught: a test failed, did not end, or the process died."""
        return self.tried - len(self.explained) - len(self.unexplained)


def explanations() -> dict[Change, str]:
    """Return why each known survivor survives."""
    listed = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))["survivor"]
    return {
        Change(each["module"], each["scope"], each["before"], after): each["why"]
        for each in listed
        for after in each["after"]
    }


def main() -> int:
    """Run what the environment asks for, print the table, and return the exit code."""
    started = time.monotonic()
    listed = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
    tests: dict[str, list[str]] = listed["core"] | listed["others"]
    modules = os.environ.get("MODULE", "").split() or list(listed["core"])
    sample, seed = int(os.environ.get("SAMPLE") or 0) or None, int(os.environ.get("SEED") or 1)
    known = explanations()
    results = _run({each: tests[each] for each in modules}, sample, seed, known, int(os.environ.get("JOBS") or 1))
    rows = {each.module: _row(each) for each in results}
    print(f"{table(rows).text()}\n\n{summary(rows)}")
    survivors = [change for each in results for change in each.unexplained]
    found = {change for each in results for change in each.explained}
    stale = [each for each in known if each.module in rows and each not in found] if sample is None else []
    for title, changes in (("survives, unexplained", survivors), ("explained, but killed or gone", stale)):
        for change in changes:
            print(f"\n{title}: {change.module}, {change.scope}\n  - {change.before}\n  + {change.after}")
    _publish(rows, list(tests), seed, started)
    tried, killed = (sum(row[each] for row in rows.values()) for each in ("tried", "killed"))
    return int(bool(survivors or stale) or 100 * killed < NEEDED * tried)


def _run(
    tests: dict[str, list[str]], sample: int | None, seed: int, known: dict[Change, str], jobs: int
) -> list[Result]:
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(jobs) as pool:
        free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(jobs):
            free.put(copies.copy(Path(scratch) / str(number)))

        def run(request: dict[str, Any]) -> list[Result]:
            copy = free.get()
            try:
                results = _results(_answers(copy, request), known)
            finally:
                free.put(copy)
            for each in results:
                print(f"{each.module}: {each.killed} of {each.tried} killed", file=sys.stderr, flush=True)
            return results

        groups: dict[tuple[str, ...], list[str]] = {}
        for module, files in tests.items():
            groups.setdefault(tuple(files), []).append(module)
        requests = [
            {"modules": modules, "tests": files, "sample": sample, "seed": seed} for files, modules in groups.items()
        ]
        return [result for results in pool.map(run, requests) for result in results]


def _answers(copy: Path, request: dict[str, Any]) -> list[dict[str, Any]]:
    command = [copies.python(copy), "-m", "tests.proof.mutants.engine", json.dumps(request)]
    with subprocess.Popen(command, cwd=copy, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        answers = [json.loads(line) for line in process.stdout]
    if process.returncode:
        sys.exit(answers[-1].get("error") if answers else f"{request['modules']}: ended early")
    return answers


def _results(answers: list[dict[str, Any]], known: dict[Change, str]) -> list[Result]:
    results = []
    for last in (each for each in answers if "total" in each):
        name = last["module"]
        mutants = [each for each in answers if each["module"] == name and "by" in each]
        survived = [Change(name, each["scope"], each["before"], each["after"]) for each in mutants if not each["by"]]
        explained = tuple(each for each in survived if each in known)
        unexplained = tuple(each for each in survived if each not in known)
        results.append(Result(name, last["total"], len(mutants), explained, unexplained))
    return results


# ── What is shown ────────────────────────────────────────────────────────────


def _row(result: Result) -> dict[str, Any]:
    return {
        "mutants": result.mutants,
        "tried": result.tried,
        "killed": result.killed,
        "explained": len(result.explained),
        "unexplained": len(result.unexplained),
        "commit": commit(),
    }


def table(rows: dict[str, dict[str, Any]]) -> Table:
    """Return a line for each module, and one for all."""
    counts = ("mutants", "tried", "killed", "explained", "unexplained")
    total = {each: sum(row[each] for row in rows.values()) for each in counts}
    lines = [(name, row, row["commit"]) for name, row in rows.items()] + [("all", total, "")]
    return Table(
        (
            "module",
            "mutants",
            "tried",
            "killed",
            "survived, explained",
            "survived, unexplained",
            "share killed",
            "commit",
        ),
        [(name, *(row[each] for each in counts), f"{percent(row):.1f} %", at) for name, row, at in lines],
    )


def percent(row: dict[str, Any]) -> float:
    """Return how many of 100 mutants that were tried were killed."""
    return 100.0 * float(row["killed"]) / row["tried"] if row["tried"] else 100.0


def summary(rows: dict[str, dict[str, Any]]) -> str:
    """Say what the numbers mean; of a sample, also what they say about the mutants that were not tried."""
    mutants, tried = (sum(row[each] for row in rows.values()) for each in ("mutants", "tried"))
    killed = sum(row["killed"] for row in rows.values())
    if tried == mutants:
        return f"Every one of {mutants:,} mutants was tried."
    low, high = interval(killed, tried)
    return (
        f"A sample of {tried:,} of {mutants:,} mutants was tried. Of all, {low:.1f} % to {high:.1f} % are killed,"
        " at 95 % confidence."
    )


def interval(killed: int, tried: int) -> tuple[float, float]:
    """Return Wilson's interval, in percent, of what a sample says about the whole, at 95 % confidence."""
    share, spread = killed / tried, _SURE**2 / tried
    middle, reach = share + spread / 2, _SURE * math.sqrt(share * (1 - share) / tried + spread / tried / 4)
    return 100 * (middle - reach) / (1 + spread), 100 * (middle + reach) / (1 + spread)


def _publish(rows: dict[str, dict[str, Any]], order: list[str], seed: int, started: float) -> None:
    """Put the rows among those of earlier runs, and all on the page, if that is asked for."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) | rows if RESULTS.exists() else rows
    kept = {each: kept[each] for each in order if each in kept}
    filters = "\n".join(f"- {each}." for each in FILTERS)
    parts = [
        table(kept),
        summary(kept),
        f"Not mutated, because no test could notice, or only by accident:\n\n{filters}",
    ]
    if publish("mutants", parts, seeds=f"seed {seed}", started=started):
        RESULTS.write_text(f"{json.dumps(kept, indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
