"""Progress on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess

from tests.cli.steps import delete, login_of
from tests.conftest import Project, SandboxProcess
from tests.forks import PATIENCE


def test_on_a_terminal_there_is_a_bar(applied: Project, server: SandboxProcess) -> None:
    delete(server, login_of(applied, "rome"))
    ours, theirs = pty.openpty()
    with applied.start("refresh", stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:
            os.close(ours)
        assert 0 == process.wait(PATIENCE)
    assert b"2/2" in said
    assert b"gone           rome" in said
    assert b"as sent" not in said
