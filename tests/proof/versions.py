"""``make versions``: every test on each Python from 3.11 on, and with the oldest libraries that are allowed.

The oldest are what ``pyproject.toml`` names as lower bounds, found by uv's resolution.
``PYTHONS`` names interpreters, separated by spaces; without it, those on the path and
those that pyenv installed are used, one of each version. ``TESTS`` names tests, for a part of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.proof.copies import copy_files
from tests.proof.page import ROOT, Table, publish

OLDEST: Final = (3, 11)
UV: Final = Path(sys.executable).with_name("uv")
SUMMARY: Final = re.compile(r"(?:(\d+) failed, )?(\d+) passed(?:, (\d+) skipped)?")
EXTRAS: Final = ("dask", "excel", "postgres", "remote")


def main() -> int:
    """Run the tests with each, print a line for each, and return 1 if a test failed."""
    started = time.monotonic()
    rows: list[tuple[object, ...]] = []
    pythons = interpreters()
    with tempfile.TemporaryDirectory(prefix="provisioner-versions-") as scratch:
        for python, version in pythons.items():
            rows.append((f"Python {version}", "locked", *tested(python, Path(scratch) / version, None)))
            print(*rows[-1], flush=True)
        python, version = min(pythons.items(), key=lambda each: numbers(each[1]))
        folder = Path(scratch) / "oldest"
        rows.append((f"Python {version}", "oldest allowed", *tested(python, folder, oldest(Path(scratch)))))
        print(*rows[-1], flush=True)
    part = os.environ.get("TESTS")
    table = Table(("interpreter", "libraries", "passed", "failed", "skipped"), rows)
    publish("versions", [table, f"Run were: `{part}`." if part else "All tests were run."], started=started)
    return int(any(failed for *_, failed, _ in rows))


def interpreters() -> dict[str, str]:
    """Return the interpreters to test with and their versions: one of each minor version, the newest patch."""
    named = os.environ.get("PYTHONS", "").split()
    found: dict[str, tuple[str, str]] = {}
    for candidate in named or _candidates():
        version = _version(candidate)
        if version and numbers(version) >= OLDEST:
            minor = version.rpartition(".")[0]
            if minor not in found or numbers(version) > numbers(found[minor][1]):
                found[minor] = (candidate, version)
    return dict(sorted(found.values(), key=lambda each: numbers(each[1])))


def numbers(version: str) -> tuple[int, ...]:
    """Return a version for comparing."""
    return tuple(map(int, version.split(".")))


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield from (f"python3.{minor}" for minor in range(OLDEST[1], 30))
    yield from map(str, Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin/python"))


def _version(python: str) -> str | None:
    """Return the version of an interpreter that runs and is a release."""
    try:
        done = subprocess.run([python, "-VV"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    said = re.match(r"Python (\d+\.\d+\.\d+) ", done.stdout)
    return said[1] if said and done.returncode == 0 else None


def oldest(folder: Path) -> Path:
    """Write the oldest versions that ``pyproject.toml`` allows, for the program and its extras; return the file."""
    path = folder / "oldest.txt"
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    subprocess.run(
        [UV, "pip", "compile", "-q", "--resolution", "lowest-direct", *extras, "pyproject.toml", "-o", path],
        cwd=ROOT,
        check=True,
    )
    return path


def tested(python: str, folder: Path, versions: Path | None) -> tuple[int, int, int]:
    """Run the tests in a copy of the tree, with an environment of its own; return passed, failed, skipped.

    The environment holds what is locked, except for the packages that ``versions`` names.
    """
    tree = copy_files(folder)
    if (ROOT / ".tools").is_dir():
        (tree / ".tools").symlink_to(ROOT / ".tools")
    ours = tree / ".venv" / "bin" / "python"
    subprocess.run([UV, "venv", "-q", "--python", python, tree / ".venv"], check=True)
    _install(ours, "-r", tree / "locks" / "dev.txt", "--require-hashes")
    if versions:
        _install(ours, "-r", versions)
    _install(ours, "--no-deps", "hatchling", "-c", tree / "constraints.txt")
    _install(ours, "--no-deps", "--no-build-isolation", "-e", tree)
    done = subprocess.run(
        [
            *(ours, "-m", "pytest", "-q", "-n", str((os.cpu_count() or 1) + 2), "--dist", "worksteal"),
            *os.environ.get("TESTS", "").split(),
        ],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    said = SUMMARY.search(done.stdout.strip().rpartition("\n")[2])
    if said is None or done.returncode:
        print(done.stdout[-20_000:], done.stderr[-5_000:])
    failed, passed, skipped = (int(each or 0) for each in said.groups()) if said else (1, 0, 0)
    return passed, failed, skipped


def _install(python: Path, *arguments: object) -> None:
    subprocess.run([UV, "pip", "install", "-q", "--python", python, *map(str, arguments)], check=True)


if __name__ == "__main__":
    raise SystemExit(main())
