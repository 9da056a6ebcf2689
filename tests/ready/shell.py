"""Runs the shell of a job as the machine of a CI does, and lets things happen to it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests import forks
from tests.conftest import PATIENCE

INSTALLED: Final[set[tuple[str, str]]] = set()
"""Script and lock of what these tests have installed: pip is slow, and does the same again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command is ended from outside: ``end`` gets its process id."""

    end: Callable[[int], object]
    at: Callable[[], bool]
    once: str


@dataclass(frozen=True, slots=True)
class Happens:
    """What happens to a job from outside. A place is the name of a step at GitHub, and of a job at GitLab."""

    before: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """What is done before a place."""
    cancels: str = ""
    """The place that is cancelled."""
    kills: str = ""
    """The place in the middle of which the machine dies."""
    at: Callable[[], bool] = lambda: True
    """What it waits for before that."""
    once: str = ""
    """What the command has to say before that."""

    def ending(self, place: str, cancel: Callable[[int], object]) -> Ending | None:
        """Return how the command of a place ends; ``cancel`` does what a CI does when a person cancels a job."""
        if place == self.cancels:
            return Ending(cancel, self.at, self.once)
        if place == self.kills:
            return Ending(lambda group: os.killpg(group, signal.SIGKILL), self.at, self.once)
        return None


def installation(script: str, workspace: Path) -> tuple[str, str]:
    """Return the key of ``INSTALLED`` for a script that runs in ``workspace``."""
    return script, (workspace / "ci" / "requirements.txt").read_text(encoding="utf-8")


def run(
    command: Sequence[str | Path], workspace: Path, environ: Mapping[str, str], ending: Ending | None
) -> tuple[int, str]:
    """Run a command in a process group of its own; return its exit code and what it said."""
    said = ""
    with (
        forks.interruptible(),
        subprocess.Popen(
            command,
            cwd=workspace,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        if ending:
            while ending.once not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            while not ending.at():
                assert process.poll() is None
            ending.end(process.pid)
        said += process.communicate(timeout=PATIENCE * 4)[0]
    return process.returncode, said
