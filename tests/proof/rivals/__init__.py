"""What people use instead of this program, under the same faults and the same judge.

Three programs as a good engineer writes them in an afternoon: ``loop.sh`` (curl and jq), ``loop.py``
(requests and tenacity) and ``terraform.py`` (state, plan, create). None of them writes down that it
is about to send a create, which is what this program is built around.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.proof import checker
from tests.proof.chaos import Subject
from tests.proof.chaos.grounds import Ground
from tests.proof.chaos.subject import Provisioner
from tests.proof.chaos.tracing import Command, Run, run

HERE: Final = Path(__file__).parent
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Rival:
    """A program that creates an account for each name in ``names.txt`` of which its file has none."""

    name: str
    program: tuple[str, ...]
    file: str
    """What it keeps."""
    read: Callable[[str], list[checker.Account]]
    """Returns what that file holds."""

    def prepare(self, ground: Ground) -> None:
        """Write the names."""
        (ground.folder / "names.txt").write_text("".join(f"{name}\n" for name in ground.names))

    def command(self, ground: Ground) -> Command:
        """Return the only command that there is."""
        return Command(self.program, ground.folder, ground.environ, warm=False)

    def settle(self, ground: Ground, runs: Sequence[Run]) -> list[Run]:
        """Run it again until it succeeds, as its own first lines say."""
        del runs
        done: list[Run] = []
        while len(done) < _TRIES and not (done and done[-1].code == 0):
            done.append(run(self.command(ground)))
        return done

    def holding(self, ground: Ground, runs: Sequence[Run]) -> checker.Holding:
        """Return what its file holds."""
        del runs
        path = ground.folder / self.file
        return checker.Holding(tuple(self.read(path.read_text("utf-8")))) if path.exists() else checker.Holding()


def _table(text: str) -> list[checker.Account]:
    """Read name, login, key and password; a line that is cut off holds nothing."""
    rows = [row for row in csv.reader(io.StringIO(text)) if len(row) == len(("name", "login", "key", "password"))]
    return [checker.Account(("default", name), login, key, password) for name, login, key, password in rows]


def _resources(text: str) -> list[checker.Account]:
    return [
        checker.Account(("default", name), each["api_login"], each["api_key"], each["password"])
        for name, each in json.loads(text)["resources"].items()
    ]


SHELL: Final = Rival("loop.sh", ("bash", str(HERE / "loop.sh")), "accounts.csv", _table)
PYTHON: Final = Rival("loop.py", (sys.executable, str(HERE / "loop.py")), "accounts.csv", _table)
TERRAFORM: Final = Rival("terraform.py", (sys.executable, str(HERE / "terraform.py")), "terraform.json", _resources)
SUBJECTS: Final[tuple[Subject, ...]] = (Provisioner(), SHELL, PYTHON, TERRAFORM)
