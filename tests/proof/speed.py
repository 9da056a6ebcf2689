"""``make bench``: ratios to yardsticks, then this program beside what people use instead, then how it grows.

``PART`` names one of the three, ``ratios``, ``beside`` or ``growth``. The last two are published.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from tests import bench
from tests.proof import beside, growth
from tests.proof.page import Table, publish


def main() -> None:
    """Measure in a temporary folder, print it, and publish it if that is asked for."""
    started = time.monotonic()
    part = os.environ.get("PART")
    parts: list[Table | str] = []
    if part in (None, "", "ratios"):
        bench.main()
    with tempfile.TemporaryDirectory(prefix="provisioner-bench-") as scratch:
        environment = bench.prepared(Path(scratch))
        for name, measured in (("beside", beside.measured), ("growth", growth.measured)):
            if part in (None, "", name):
                parts += printed(measured(Path(scratch) / name, environment))
    if parts:
        publish("bench", parts, started=started)


def printed(parts: list[Table | str]) -> list[Table | str]:
    """Print what was measured, and return it."""
    for each in parts:
        print("\n" + (each.text() if isinstance(each, Table) else each), flush=True)
    return parts


if __name__ == "__main__":
    main()
