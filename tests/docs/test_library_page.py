"""docs/library.md: its lines for a program work as they stand there."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from provisioner import project
from tests.conftest import StartSandbox, environment
from tests.docs.pages import ROOT, blocks


def test_the_lines_for_a_program_work(sandbox: StartSandbox, tmp_path: Path) -> None:
    (lines,) = (block.text for block in blocks(ROOT / "docs" / "library.md") if block.language == "python")
    assert textwrap.indent(lines, "    ", lambda line: line != "\n") in (project.__doc__ or "")
    server = sandbox()
    environ = {**environment(tmp_path), "OCTOPUSH_API_URL": server.url}

    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environ, check=False, capture_output=True, text=True)

    assert 0 == ran("-m", "provisioner", "init", "my-accounts").returncode
    first, again = ran("-c", lines), ran("-c", lines)
    assert (0, "default paris created\ndefault rome created\n", "") == (first.returncode, first.stdout, first.stderr)
    assert (0, "default paris unchanged\ndefault rome unchanged\n") == (again.returncode, again.stdout)
    assert 2 == len(server.accounts())
