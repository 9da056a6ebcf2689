"""``make fuzz``: searches each kind of input for one that breaks a promise, and measures what long inputs cost.

``SECONDS`` is the time for each target (60), ``TARGET`` names one of them, and ``GROW=1`` keeps
the inputs that reach new code in the committed corpus. Findings are written to
``findings/``, where ``make test`` tries them again. The exit code is 1 if there is one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.proof.fuzz import corpus, growth, seeds
from tests.proof.fuzz.targets import TARGETS, dictionary
from tests.proof.page import ROOT, Table, publish

_SLOWEST: Final = 10
"""Seconds that one input may take."""
_MEMORY: Final = 1500
"""Megabytes that a search may take."""
_PATIENCE: Final = 600
"""Seconds that a search may take to begin and to end, on a machine that is busy."""
_PIECE: Final = 20
"""A search that is shorter than this many seconds is not begun again after it ended early."""


@dataclass(slots=True)
class Search:
    """What the search of one target came to."""

    target: str
    inputs: int = 0
    seconds: float = 0
    edges: int = 0
    slowest: int = 0
    memory: int = 0
    found: list[bytes] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def take(self, printed: str) -> None:
        """Add what libFuzzer has printed."""
        self.inputs += max((int(each) for each in re.findall(r"^#(\d+)\t", printed, re.MULTILINE)), default=0)
        self.edges = max([self.edges, *(int(each) for each in re.findall(r" cov: (\d+) ", printed))])
        for name in ("slowest_unit_time_sec", "peak_rss_mb"):
            for each in re.findall(rf"stat::{name}:\s+(\d+)", printed):
                if name == "peak_rss_mb":
                    self.memory = max(self.memory, int(each))
                else:
                    self.slowest = max(self.slowest, int(each))


def search(target: str, seconds: float, *, grow: bool) -> Search:
    """Search one target, beginning again after an input that ended the search."""
    found, ends = Search(target), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as name:
        inputs, findings, words = Path(name, "inputs"), Path(name, "findings"), Path(name, "words")
        inputs.mkdir()
        findings.mkdir()
        for number, each in enumerate((*seeds.of(target), *corpus.read(corpus.CORPUS, target))):
            (inputs / str(number)).write_bytes(each)
        words.write_text("".join(f'"{_escaped(each)}"\n' for each in dictionary(TARGETS[target])), encoding="ascii")
        left = seconds
        while left > 0 and (not found.inputs or left > _PIECE):
            began = time.monotonic()
            _run(target, left, (inputs, findings, words), found)
            found.seconds += time.monotonic() - began
            left = ends - time.monotonic()
        for path in sorted(findings.glob("*-*")):
            found.found.append(path.read_bytes())
            trace = findings / f"{path.name.partition('-')[2]}.txt"
            found.reasons.append(trace.read_text() if trace.exists() else f"{path.name.partition('-')[0]}\n")
        if grow:
            reached = corpus.reduced(target, (each.read_bytes() for each in inputs.iterdir()))
            corpus.write(corpus.CORPUS, target, reached)
    return found


def _run(target: str, seconds: float, places: tuple[Path, Path, Path], found: Search) -> None:
    """Let one process search, and add what it came to."""
    inputs, findings, words = places
    options = {
        "max_total_time": max(1, round(seconds)),
        "max_len": TARGETS[target].size,
        "timeout": _SLOWEST,
        "rss_limit_mb": _MEMORY,
        "dict": words,
        "artifact_prefix": f"{findings}/",
        "print_final_stats": 1,
        "verbosity": 1,
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "tests.proof.fuzz.worker", target, str(findings), *arguments, str(inputs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=seconds + _PATIENCE)
    printed = done.stderr.decode(errors="replace")
    if "Done " not in printed and not any(findings.glob("*-*")):
        raise RuntimeError(f"the search of {target} ended early:\n{printed[-2000:]}")
    found.take(printed)


def _escaped(text: str) -> str:
    return "".join(chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\x{each:02x}" for each in text.encode())


def _keep(this: Search) -> None:
    """Write the findings of a search down, as inputs that are tried again."""
    path = corpus.FINDINGS / f"{this.target}.txt"
    corpus.FINDINGS.mkdir(exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        for data, reason in zip(this.found, this.reasons, strict=True):
            last = reason.strip().splitlines()[-1].encode("ascii", "backslashreplace").decode()
            file.write(f"# {last}\n{data!r}\n")


def main() -> None:
    """Search, measure, print the tables, and publish them."""
    started = time.monotonic()
    seconds = float(os.environ.get("SECONDS") or 60)
    only = os.environ.get("TARGET")
    if only and only not in TARGETS:
        sys.exit(f"There is no target {only}. Targets: {', '.join(TARGETS)}.")
    rows, findings = [], 0
    for name in [only] if only else TARGETS:
        this = search(name, seconds, grow=bool(os.environ.get("GROW")))
        findings += len(this.found)
        if this.found:
            _keep(this)
            print(*this.reasons, sep="\n", file=sys.stderr)
        kept = len(corpus.read(corpus.CORPUS, name))
        rows.append(
            (name, f"{this.inputs:,}", f"{this.seconds:.0f}", f"{this.edges:,}", kept, this.memory, len(this.found))
        )
        print(f"{name}: {this.inputs:,} inputs, {this.edges:,} edges, {len(this.found)} findings", flush=True)
    table = Table(("input", "tried", "seconds", "edges", "kept", "MB", "findings"), rows)
    print(table.text())
    costs, over = ([], []) if only else growth.measured()
    if costs:
        print(growth.table(costs).text())
        publish("fuzz", [table, growth.TEXT, growth.table(costs)], started=started)
    sys.exit(bool(findings or over))


if __name__ == "__main__":
    main()
