"""The corpus: inputs worth trying again, in one text file for each target.

Each line is one input, as a Python literal of bytes, so that a review can read it. A line
that begins with ``#`` is a comment. ``corpus/`` holds inputs that together reach all the code
that a search has reached; ``findings/`` holds inputs that once broke a promise, and why.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import provisioner
from tests.proof.fuzz.targets import TARGETS, attempt

CORPUS: Final = Path(__file__).parent / "corpus"
FINDINGS: Final = Path(__file__).parent / "findings"
MOST: Final = 60
"""How many inputs are kept for each target."""
LONGEST: Final = 3000
"""Bytes of an input that is kept."""

_PROGRAM: Final = str(Path(provisioner.__file__).parent)
Step = tuple[str, int, int]
"""A file, and the numbers of two lines of it that ran one after the other."""


def read(folder: Path, target: str) -> list[bytes]:
    """Return the inputs of a target in ``folder``."""
    path = folder / f"{target}.txt"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [ast.literal_eval(line) for line in lines if line and not line.startswith("#")]


def write(folder: Path, target: str, inputs: Iterable[bytes]) -> None:
    """Replace the inputs of a target in ``folder``."""
    folder.mkdir(exist_ok=True)
    (folder / f"{target}.txt").write_text("".join(f"{each!r}\n" for each in inputs), encoding="ascii")


def reduced(target: str, inputs: Iterable[bytes]) -> list[bytes]:
    """Return the fewest and shortest inputs that together still reach what all of them reach, up to :data:`MOST`."""
    with tempfile.TemporaryDirectory() as folder:
        reached = {each: _steps(target, each, Path(folder)) for each in inputs if len(each) <= LONGEST}
    kept: list[bytes] = []
    missing = set[Step]().union(*reached.values())
    while missing and len(kept) < MOST:
        best = max(reached, key=lambda each: (len(reached[each] & missing), -len(each), each))
        kept.append(best)
        missing -= reached.pop(best)
    return sorted(kept, key=lambda each: (len(each), each))


def _steps(target: str, data: bytes, folder: Path) -> set[Step]:
    """Return each step from one line of the program to another that ``data`` causes."""
    found: set[Step] = set()
    last: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:  # noqa: ANN401  # sys.settrace's own
        if not frame.f_code.co_filename.startswith(_PROGRAM):
            return None
        if event == "line":
            found.add((frame.f_code.co_filename, last.get(frame, 0), frame.f_lineno))
            last[frame] = frame.f_lineno
        elif event == "return":
            last.pop(frame, None)
        return trace

    sys.settrace(trace)
    try:
        attempt(TARGETS[target], data, folder)
    finally:
        sys.settrace(None)
    return found
