"""What long inputs cost: processor time and memory, for inputs of one shape that double and double again.

Each shape runs in a process of its own. If the cost grew with the square of the length, four
times the length would take sixteen times as long; :data:`MOST` is far below that.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.proof.page import ROOT, Table

MOST: Final = 8.0
"""How many times as long an input of four times the length may take: twice the increase."""
MEMORY: Final = 400
"""Megabytes that the longest may take, everything included."""
TEXT: Final = (
    "Inputs of one shape that are as long as the table says. The time is processor time, the factor is that of four"
    f" times the length: in proportion it is about 4, and for a square 16. More than {MOST:.0f} counts as a finding."
)
_NOISE: Final = 0.05
"""Seconds below which a factor says nothing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to make an input long."""

    target: str
    make: Callable[[int], bytes]
    """Returns an input of about so many bytes."""
    longest: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What one shape costs."""

    name: str
    longest: int
    seconds: tuple[float, float, float]
    """For a quarter of the longest, for half of it, and for the longest."""
    megabytes: int

    @property
    def factor(self) -> float:
        """How many times as long four times the length takes."""
        return self.seconds[2] / max(self.seconds[0], _NOISE)

    @property
    def is_over(self) -> bool:
        """Whether it grows faster than it may."""
        return self.factor > MOST or self.megabytes > MEMORY


def _state(extra: bytes) -> bytes:
    return b'{"version": 1, "lineage": "l", "serial": 1, "parent": ' + extra + b"}"


def _account(field: bytes) -> bytes:
    return b"version: 1\naccounts:\n- name: a\n  first_name: A\n  last_name: " + field + b"\n"


def _lines(line: Callable[[int], str], head: str = "") -> Callable[[int], bytes]:
    each = len(line(10_000))
    return lambda size: (head + "".join(map(line, range(size // each)))).encode()


_HEAD: Final = "version: 1\naccounts:\n"
_COLUMNS: Final = "name,first_name,last_name\n"

SHAPES: Final = {
    "YAML, many accounts": Shape(
        "manifest-yaml", _lines(lambda n: f"- {{name: a-{n}, first_name: F{n}, last_name: L}}\n", _HEAD), 800_000
    ),
    "YAML, many wrong accounts": Shape("manifest-yaml", _lines(lambda n: f"- {{nam: a-{n}}}\n", _HEAD), 800_000),
    "YAML, anchors": Shape("manifest-yaml", _lines(lambda n: f"- &a{n} x{n}\n"), 2_000_000),
    "YAML, one long text": Shape("manifest-yaml", lambda size: _account(b"x" * size), 2_000_000),
    "YAML, one text of invisible characters": Shape(
        "manifest-yaml", lambda size: _account(("\u200b" * (size // 3)).encode()), 2_000_000
    ),
    "YAML, one text of joined emoji": Shape(
        "manifest-yaml", lambda size: _account(("\U0001f469\u200d" * (size // 7)).encode()), 2_000_000
    ),
    "YAML, folded lines": Shape("manifest-yaml", lambda size: _account(b">-\n" + b"    x\n" * (size // 6)), 1_000_000),
    "YAML, placeholders": Shape("manifest-yaml", lambda size: _account(b"${env:HOOK_TOKEN}" * (size // 17)), 2_000_000),
    "YAML, half placeholders": Shape("manifest-yaml", lambda size: _account(b"${env:" * (size // 6)), 1_000_000),
    "YAML, digits": Shape("manifest-yaml", lambda size: _account(b"B\n  password_version: " + b"9" * size), 1_000_000),
    "YAML, escapes": Shape("manifest-yaml", lambda size: _account(b'"' + b"\\ud83d" * (size // 6) + b'"'), 1_000_000),
    "YAML, one long key": Shape("manifest-yaml", lambda size: b"? " + b"k" * size + b"\n: v\n", 2_000_000),
    "YAML, comments": Shape("manifest-yaml", lambda size: _account(b"B") + b"# c\n" * (size // 4), 2_000_000),
    "YAML, merge marks": Shape("manifest-yaml", lambda size: b"<" * size, 2_000_000),
    "CSV, many rows": Shape("manifest-csv", _lines(lambda n: f"a-{n},F{n},L\n", _COLUMNS), 800_000),
    "CSV, quotes": Shape("manifest-csv", lambda size: _COLUMNS.encode() + b'a,"' + b'""' * (size // 2), 2_000_000),
    "CSV, one long line": Shape("manifest-csv", lambda size: _COLUMNS.encode() + b"a," * (size // 2), 1_000_000),
    "CSV, blank lines": Shape("manifest-csv", lambda size: _COLUMNS.encode() + b"\n" * size, 200_000),
    "CSV, old encodings": Shape(
        "manifest-csv", lambda size: _COLUMNS.encode() + b"a,\xe9\xe0 \x80,B\n" * (size // 9), 2_000_000
    ),
    "state, nesting": Shape("state", lambda size: b"[" * size, 2_000_000),
    "state, nested objects": Shape("state", lambda size: _state(b'{"a":' * (size // 5)), 2_000_000),
    "state, repeated keys": Shape("state", lambda size: b"{" + b'"a": 1, ' * (size // 8) + b'"b": 2}', 1_000_000),
    "state, many accounts": Shape(
        "state",
        lambda size: _state(
            b'"p", "accounts": {' + b"".join(b'"a%d": {},' % n for n in range(size // 10)) + b'"x": 1}'
        ),
        2_000_000,
    ),
    "state, digits": Shape("state", lambda size: _state(b"1" * size), 1_000_000),
    "rescue, colour codes": Shape("rescue", lambda size: b"provisioner-rescue " + b"\x1b[31m" * (size // 5), 1_000_000),
    "rescue, open objects": Shape("rescue", lambda size: b'{"event": "rescue", ' * (size // 20), 1_000_000),
    "plan, digits": Shape("plan", lambda size: b'{"version": ' + b"1" * size + b"}", 1_000_000),
    "settings, many parents": Shape("settings", _lines(lambda n: f"  p-{n}: {{limit: 5}}\n", "parents:\n"), 1_000_000),
    "placeholder, dollars": Shape("placeholders", lambda size: b"${" * (size // 2), 1_000_000),
    "placeholder, steps": Shape("placeholders", lambda size: b"${file:" + b"a/" * (size // 2) + b"}", 1_000_000),
    "answer, nesting": Shape("answer", lambda size: b"400\n\n" + b"[" * size, 64_000),
    "answer, nested texts": Shape(
        "answer", lambda size: b'400\n\n{"message": "' + b"%25" * (size // 3) + b'"}', 64_000
    ),
    "answer, one long word": Shape(
        "answer", lambda size: b'400\n\n{"message": "' + b"ab" * (size // 2) + b'"}', 64_000
    ),
    "answer, api_login again and again": Shape(
        "answer", lambda size: b"400\n\n" + b"api_login: " * (size // 11), 64_000
    ),
    "answer, quotes": Shape("answer", lambda size: b"400\n\napi_key" + b'"' * size, 64_000),
    "answer, braces": Shape("answer", lambda size: b"400\n\n" + b" " * (size - 1) + b"{", 64_000),
    "wire, interim answers": Shape("wire", lambda size: b"HTTP/1.1 100 C\r\n\r\n" * (size // 18), 200_000),
    "wire, headers": Shape("wire", lambda size: b"HTTP/1.1 201 C\r\n" + b"a: b\r\n" * (size // 6), 120_000),
    "wire, small chunks": Shape(
        "wire",
        lambda size: b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * (size // 6),
        360_000,
    ),
    "history, nesting": Shape("history", lambda size: b'{"at": ' + b"[" * size, 1_000_000),
    "armour, one long line": Shape(
        "armour", lambda size: b"-----BEGIN AGE ENCRYPTED FILE-----\n" + b"A" * size, 1_000_000
    ),
    "armour, recipients": Shape(
        "armour", lambda size: b"age-encryption.org/v1\n" + b"-> X25519 a\nYQ\n" * (size // 15), 1_000_000
    ),
    "identity, lines": Shape("keys", lambda size: b"# x\n" * (size // 4), 60_000),
}
"""By name."""


def measured() -> tuple[list[Cost], list[Cost]]:
    """Return what each shape costs, and the costs that are too high."""
    costs = []
    for name in SHAPES:
        command = [sys.executable, "-m", "tests.proof.fuzz.growth", name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=600)
        costs.append(Cost(name, SHAPES[name].longest, *json.loads(done.stdout)))
    return costs, [each for each in costs if each.is_over]


def table(costs: list[Cost]) -> Table:
    """Return costs as a table."""
    rows = [
        (each.name, f"{each.longest:,}", f"{each.seconds[2]:.2f}", f"{each.factor:.1f}", each.megabytes)
        for each in costs
    ]
    return Table(("shape", "bytes", "seconds", "factor", "MB"), rows)


def _measure(shape: Shape) -> tuple[list[float], int]:
    from tests.proof.fuzz.targets import TARGETS, attempt  # noqa: PLC0415  # only the process that measures needs it

    seconds = []
    with tempfile.TemporaryDirectory() as name:
        target, folder = TARGETS[shape.target], Path(name)
        attempt(target, shape.make(1000), folder)
        for share in (4, 2, 1):
            data = shape.make(shape.longest // share)
            before = time.process_time()
            if error := attempt(target, data, folder):
                raise error
            seconds.append(time.process_time() - before)
    # Not ru_maxrss, in which a process begins with what its parent had.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return seconds, int(status["VmHWM"].split()[0]) // 1024


if __name__ == "__main__":
    print(json.dumps(_measure(SHAPES[sys.argv[1]])))
