"""docs/library.md: each of its programs works as it stands there, one after the other, in one project."""

from __future__ import annotations

import textwrap
from pathlib import Path

from provisioner import project
from tests import forks
from tests.conftest import StartSandbox, environment
from tests.docs.pages import ROOT, blocks


def test_every_program_works(sandbox: StartSandbox, tmp_path: Path) -> None:
    programs = [block.text for block in blocks(ROOT / "docs" / "library.md") if block.language == "python"]
    assert textwrap.indent(programs[0], "    ", lambda line: line != "\n") in (project.__doc__ or "")
    server = sandbox()
    environ = {**environment(tmp_path), "OCTOPUSH_API_URL": server.url}
    assert 0 == forks.command(["init", "my-accounts"], tmp_path, environ).returncode
    for program, expected in zip(
        programs,
        (
            "default paris created\ndefault rome created\n",
            "finished: default paris unchanged\nfinished: default rome unchanged\n",
            "SettingInvalid 10\n",
        ),
        strict=True,
    ):
        done = forks.program(program, tmp_path, environ)
        assert (0, expected, "") == (done.returncode, done.stdout, done.stderr)
    assert 2 == len(server.accounts())
