"""``make sabotage``: applies each patch to a copy of the tree, and tries what should notice it.

``VARIANT`` names patches, ``JOBS`` how many are tried at a time. First of all, everything that is
tried on a variant is tried on the product as it is, and must notice nothing: otherwise the table would
prove nothing. Exits with 1 if it does, if a variant goes unnoticed, if a patch does not
apply, or if something could not be tried.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.proof import copies
from tests.proof.page import ROOT, Table, publish
from tests.proof.sabotage import Variant, variants
from tests.proof.sabotage.attempt import Attempt

HEADER: Final = ("what is wrong", "what it would cost", "noticed by", "not noticed by", "s")
_PATIENCE: Final = 900
"""Seconds after which an attempt counts as failed."""
_LINE: Final = 200
"""Characters that are shown of what was noticed."""
_SHOWN: Final = {"tests": "tests", "model": "model", "disk": "chaos disk"}


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt to notice a variant."""

    by: str
    attempt: Attempt | None
    """None: it could not be carried out."""
    seconds: float
    log: str

    @property
    def noticed(self) -> bool:
        """Whether the variant was noticed."""
        return self.attempt is not None and bool(self.attempt.why)

    @property
    def quiet(self) -> bool:
        """Whether it was tried, and nothing was noticed."""
        return self.attempt is not None and not (self.attempt.why or self.attempt.missing)

    def text(self) -> str:
        """Return the way and the number of tests, lives or runs."""
        way, *rest = self.by.split()
        shown = f"chaos {rest[0]}" if way == "chaos" else _SHOWN[way]
        return f"{shown} ({self.attempt.tried if self.attempt else '?'})"


def main() -> int:
    """Try what the environment asks for, print the table, and return the exit code."""
    started = time.monotonic()
    os.nice(10)
    wanted = os.environ.get("VARIANT", "").split()
    chosen = [each for each in variants() if not wanted or {each.name, each.path.name} & {*wanted}]
    if not chosen:
        print(f"There is no such variant; there are {', '.join(each.name for each in variants())}.")
        return 64
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(int(os.environ.get("JOBS") or 2)) as pool:
        original = copies.copy(Path(scratch) / "original")
        _lend_tools(original)
        control = [pool.submit(_tried, original, each) for each in everything(chosen)]
        all_tried = [[pool.submit(_tried, copy, by) for by in each.by] for each, copy in _copies(chosen, scratch)]
        rows, failures = [], []
        for variant, futures in zip(chosen, all_tried, strict=True):
            tried = _results(variant.name, futures)
            rows.append(row(variant, tried))
            failures += unnoticed(variant, tried)
        for each in _results("the product as it is", control):
            if not each.quiet:
                failures.append(f"The product as it is does not pass: {each.by}\n{each.log}")
    table = Table(HEADER, rows)
    print(f"\n{table.text()}\n")
    print(*failures, sep="\n")
    if failures:
        return 1
    summary = (
        f"Each of {len(rows)} variants was noticed. The same tests, lives and runs"
        " found nothing in the program as it is."
    )
    print(summary)
    publish(
        "sabotage", [table, summary], seeds="seed 1 for the model, and seeds from 0 on for the layers", started=started
    )
    return 0


def everything(chosen: Iterable[Variant]) -> list[str]:
    """Return all that is tried on the variants, each way once, with the most runs."""
    files: dict[str, None] = {}
    runs: dict[str, int] = {}
    for by in (by for each in chosen for by in each.by):
        way, *rest = by.split()
        if way == "tests":
            files |= dict.fromkeys(rest)
        else:
            key = " ".join([way, *rest[:-1]])
            runs[key] = max(runs.get(key, 0), int(rest[-1]))
    return [*(f"{key} {number}" for key, number in runs.items()), *(f"tests {each}" for each in files)]


def _copies(chosen: Iterable[Variant], scratch: str) -> Iterable[tuple[Variant, Path]]:
    for each in chosen:
        copy = copies.copy(Path(scratch) / each.name)
        _lend_tools(copy)
        subprocess.run(["git", "apply", each.path], cwd=copy, check=True)
        yield each, copy


def _lend_tools(copy: Path) -> None:
    """Let the tests in a copy use the servers that `make tools` has installed here."""
    if (ROOT / ".tools").is_dir():
        (copy / ".tools").symlink_to(ROOT / ".tools")


def _tried(copy: Path, by: str) -> Tried:
    began = time.monotonic()
    environ = {name: text for name, text in os.environ.items() if name not in {"PUBLISH", "VARIANT", "JOBS", "LAYER"}}
    try:
        done = subprocess.run(
            [copies.python(copy), "-m", "tests.proof.sabotage.attempt", *shlex.split(by)],
            cwd=copy, env=environ, capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Tried(by, None, _PATIENCE, "It took too long.")
    attempt = None if done.returncode else Attempt(**json.loads(done.stdout))
    return Tried(by, attempt, time.monotonic() - began, done.stderr[-3000:])


def _results(name: str, futures: Sequence[Future[Tried]]) -> list[Tried]:
    tried = [each.result() for each in futures]
    for each in tried:
        what = "could not be tried" if each.attempt is None else each.attempt.why or each.attempt.missing or "nothing"
        print(f"{name}: {each.text()}, {each.seconds:.0f} s: {what.splitlines()[0][:_LINE]}", flush=True)
    return tried


def row(variant: Variant, tried: Sequence[Tried]) -> tuple[object, ...]:
    """Return the line of a variant."""
    noticed, quiet = (", ".join(each.text() for each in tried if each.noticed), [each for each in tried if each.quiet])
    seconds = sum(each.seconds for each in tried)
    return variant.wrong, variant.cost, noticed, ", ".join(each.text() for each in quiet) or "-", f"{seconds:.0f}"


def unnoticed(variant: Variant, tried: Sequence[Tried]) -> list[str]:
    """Return what is not as it should be: nothing noticed the variant, or something was not tried."""
    failures = [f"{variant.name}: {each.by} failed\n{each.log}" for each in tried if each.attempt is None]
    failures += [
        f"{variant.name}: {each.by} could not be tried: {each.attempt.missing}"
        for each in tried
        if each.attempt is not None and each.attempt.missing
    ]
    if not any(each.noticed for each in tried):
        failures.append(f"{variant.name} ({variant.path.relative_to(ROOT)}) goes unnoticed: {variant.wrong}")
    return failures


if __name__ == "__main__":
    sys.exit(main())
