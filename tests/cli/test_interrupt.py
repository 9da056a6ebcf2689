"""Signals: what a run does that is asked to end, and which signals it does not hear."""

from __future__ import annotations

import signal

import pytest

from tests.cli.steps import TWO
from tests.conftest import NewProject, StartSandbox, eventually, finished


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "INT"), (signal.SIGHUP, "HUP")])
def test_a_signal_that_was_ignored_from_the_start_stays_ignored(
    sandbox: StartSandbox, project: NewProject, number: signal.Signals, name: str
) -> None:
    """As under ``nohup``, and in the background of a script."""
    server = sandbox("--fault", "delay=1@1:create")
    mine = project(server, TWO)
    with mine.start("apply", "--yes", prefix=("sh", "-c", f"trap '' {name}; exec \"$@\"", "sh")) as process:
        eventually(lambda: len(server.statuses()) == 1)
        process.send_signal(number)
        done = finished(process)
    assert (0, dict.fromkeys(TWO, "active")) == (done.returncode, mine.statuses())
    assert "Finishing" not in done.stderr
