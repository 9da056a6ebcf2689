"""Runs in a copy of the tree: tries to notice what is wrong with it, in one way, and prints what came of it as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.proof.chaos import Layer

# Each way loads only what it needs, and pytest rewrites only what is not loaded yet.
# ruff: noqa: PLC0415


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it: after ``tried`` tests, lives or runs, ``why`` says what was noticed; empty: nothing."""

    tried: int
    why: str = ""
    missing: str = ""
    """Why it could not be tried here."""


def by_tests(*files: str) -> Attempt:
    """Run tests, up to the first that fails."""
    count = _Count()
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *files], plugins=[count])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise RuntimeError(f"pytest ended with {code!r}")
    return Attempt(count.run, count.failed, "" if count.run else "all tests were skipped")


class _Count:
    """Counts the tests that were run."""

    def __init__(self) -> None:
        self.run = 0
        self.failed = ""

    @staticmethod
    def pytest_collection_modifyitems() -> None:
        """Do not look for the simplest example that fails."""
        import hypothesis

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("sabotage", derandomize=True, database=None, deadline=None, phases=phases)
        hypothesis.settings.load_profile("sabotage")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.run += report.when == "call" or (report.failed and report.when == "setup")
        if report.failed:
            self.failed = self.failed or report.nodeid


def by_model(lives: str) -> Attempt:
    """Search for a life that breaks a rule."""
    from tests.proof.model.__main__ import search
    from tests.proof.model.life import STATS

    try:
        search(1, int(lives), shortest=False)
    except Exception as error:  # noqa: BLE001  # whatever comes out is a broken rule
        # Hypothesis lives the last one twice.
        return Attempt(STATS["examples"] - 1, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
    return Attempt(STATS["examples"])


def by_chaos(name: str, runs: str) -> Attempt:
    """Run a layer of ``make chaos``."""
    from tests.proof.chaos.layers import every_layer

    return _by_layer(next(each for each in every_layer() if each.name == name), int(runs))


def by_disk(runs: str) -> Attempt:
    """Cut the power in a first apply."""
    from tests.proof.disk.layer import FIRST, ForgetfulDisk

    return _by_layer(ForgetfulDisk(scenes=(FIRST,), kills=False, bound=20), int(runs))


def _by_layer(layer: Layer, runs: int) -> Attempt:
    from tests.proof.chaos.__main__ import scratch
    from tests.proof.chaos.subject import Provisioner
    from tests.proof.chaos.tracing import NotSupported, StuckError

    subject = Provisioner()
    try:
        with scratch() as folder, layer.opened(subject, folder / "shared"):
            for seed in range(runs):
                try:
                    outcome = layer.run(seed, subject, folder / str(seed))
                except StuckError as error:
                    return Attempt(seed + 1, str(error))
                if not outcome.clean:
                    return Attempt(seed + 1, "; ".join(outcome.notes))
    except NotSupported as error:
        return Attempt(0, missing=str(error))
    return Attempt(runs)


WAYS: Final[Mapping[str, Callable[..., Attempt]]] = {
    "tests": by_tests,
    "model": by_model,
    "chaos": by_chaos,
    "disk": by_disk,
}


def main(words: Sequence[str]) -> None:
    """Try what ``words`` name; everything but the result goes to standard error."""
    output = os.dup(1)
    os.dup2(2, 1)
    way, *rest = words
    os.write(output, json.dumps(asdict(WAYS[way](*rest))).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
