"""How plan, status and apply grow: seconds and peak memory for ten times as many accounts or parents, and a chart.

Two lines: one parent with ever more accounts, and ever more parents with twenty accounts each, which is
what Octopush allows. ``SIZE`` is the largest number of accounts, 20,000 without it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests import bench
from tests.bench import ACCOUNTS, COMMAND
from tests.proof.chart import Line, Panel, drawn
from tests.proof.page import PAGE, Table

SIZE: Final = int(os.environ.get("SIZE") or 20_000)
STEPS: Final = (20, 200, 2_000, 20_000)
APPLIED: Final = 2_000
"""An apply saves the state after every account: the time for more than these would exceed that of all the rest."""
ROUNDS: Final = 3
CHART: Final = PAGE.with_name("proof-growth.svg")
PARENT: Final = "parent-0000"
COMMANDS: Final = ("plan", "status", "apply")
LIMIT: Final = ("--limit", "100000")

# A process starts with the peak of the one that forked it, so a small one is put between. It prints
# seconds, and the peak in KiB.
LAUNCHER: Final = """
import os, sys, time
begin = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, used = os.wait4(child, 0)
print(time.perf_counter() - begin, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, slots=True)
class Point:
    """What one command needed for ``parents`` with ``accounts`` in total: seconds, and its peak memory in MB."""

    command: str
    parents: int
    accounts: int
    seconds: float
    megabytes: float


def measured(folder: Path, environment: dict[str, str]) -> list[Table | str]:
    """Measure in ``folder``; return the table, and where to find the chart. With ``PUBLISH``, write the chart."""
    steps = [accounts for accounts in STEPS if accounts <= SIZE]
    points = [
        point
        for accounts in steps
        for parents in sorted({1, accounts // ACCOUNTS})
        for point in _points(folder / f"{accounts}-{parents}", parents, accounts, environment)
    ]
    if os.environ.get("PUBLISH"):
        CHART.write_text(chart(points), encoding="utf-8")
    said = (
        f"What each command needs for more accounts: the median of {ROUNDS} runs, and the factor to a tenth of them, at"
        " the usual 8 jobs. Several parents have 20 accounts each. `plan` and `status` read states that exist. `apply`"
        f" creates all accounts in a sandbox on the same machine; more than {APPLIED:,} are not measured, and"
        f" {APPLIED:,} only once."
    )
    return [
        said,
        Table(("command", "parents", "accounts", "s", "factor", "MB", "factor"), rows(points)),
        f"![Seconds and peak memory over the number of accounts]({CHART.name})",
    ]


def _points(folder: Path, parents: int, accounts: int, environment: dict[str, str]) -> list[Point]:
    """Measure the three commands for one size, each in the same project."""
    recipient = environment["PROVISIONER_RECIPIENTS"]
    if parents == 1:
        names = {PARENT: [f"account-{number}" for number in range(accounts)]}
        bench.write_project(folder, [PARENT], recipient, "yaml")
        (manifest,) = (folder / "manifests").iterdir()
        bench.written(manifest, accounts)
    else:
        names = {f"parent-{number:04}": bench.account_names(f"parent-{number:04}") for number in range(parents)}
        bench.write_project(folder, list(names), recipient, "yaml")
    bench.known_states(folder, names, recipient)
    there = {**environment, "HOME": str(folder / "home")}
    points = []
    for command, options in (("plan", LIMIT), ("status", ())):
        runs = [needed([*COMMAND, command, *options], there, folder) for _ in range(ROUNDS)]
        points.append(_median(command, parents, accounts, runs))
    if accounts <= APPLIED:
        # Each run has states of its own, on a machine that has seen no other.
        runs = [
            _applied(folder, parents, f"new-{number}", there) for number in range(ROUNDS if accounts < APPLIED else 1)
        ]
        states = [json.loads(path.read_bytes()) for path in (folder / "new-0").glob("*.json")]
        assert sum(len(state["accounts"]) for state in states) == accounts
        points.append(_median("apply", parents, accounts, runs))
    return points


def _applied(folder: Path, parents: int, name: str, environment: dict[str, str]) -> tuple[float, float]:
    own = {"HOME": str(folder / f"home-{name}"), "PROVISIONER_STATE": f"{name}/{{parent}}.json"}
    with bench.fleet_sandbox({**environment, **own}, parents, *LIMIT) as there:
        return needed([*COMMAND, "apply", "--yes", "--new-state", *LIMIT], there, folder)


def needed(command: Sequence[str], environment: dict[str, str], folder: Path) -> tuple[float, float]:
    """Return the seconds that a command takes, and its peak memory in MB; raise if it fails."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    seconds, kilobytes = done.stdout.split()
    return float(seconds), int(kilobytes) * 1024 / 1e6


def _median(command: str, parents: int, accounts: int, runs: list[tuple[float, float]]) -> Point:
    seconds, megabytes = (statistics.median(column) for column in zip(*runs, strict=True))
    return Point(command, parents, accounts, seconds, megabytes)


def rows(points: Sequence[Point]) -> list[tuple[str, ...]]:
    """Return the rows of the table: for each command, first one parent with more accounts, then more parents."""
    return [
        (
            command,
            f"{point.parents:,}",
            f"{point.accounts:,}",
            f"{point.seconds:.2f}",
            f"{point.seconds / before.seconds:.1f}" if before else "",
            f"{point.megabytes:.0f}",
            f"{point.megabytes / before.megabytes:.1f}" if before else "",
        )
        for command in COMMANDS
        for several in (False, True)
        for before, point in pairwise([None, *_line(points, command, several=several)])
        if point and (before or not several)
    ]


def _line(points: Sequence[Point], command: str, *, several: bool) -> list[Point]:
    """Return a command's points for one parent, or for several; both begin with the same."""
    return [
        point
        for point in points
        if point.command == command and (point.accounts == ACCOUNTS or (point.parents > 1) == several)
    ]


def chart(points: Sequence[Point]) -> str:
    """Return the chart: seconds and memory over the accounts, on logarithmic axes."""
    lines = [
        (command, several, _line(points, command, several=several)) for command in COMMANDS for several in (False, True)
    ]
    return drawn(
        [
            Panel(
                title,
                [
                    Line(command, several, [(point.accounts, value(point)) for point in line])
                    for command, several, line in lines
                ],
            )
            for title, value in (
                ("seconds", lambda point: point.seconds),
                ("peak memory, MB", lambda point: point.megabytes),
            )
        ],
        axis="accounts",
        plain="one parent",
        dashed="parents with 20 accounts each",
    )
