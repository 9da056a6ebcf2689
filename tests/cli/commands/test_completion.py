"""``completion``: scripts for shells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.steps import run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_names_the_command(tmp_path: Path, shell: str) -> None:
    done = run(tmp_path, "completion", shell)
    assert 0 == done.returncode
    assert "_PROVISIONER_COMPLETE" in done.stdout


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    asked = {"COMP_WORDS": "provisioner re", "COMP_CWORD": "1", "_PROVISIONER_COMPLETE": "bash_complete"}
    done = run(tmp_path, **asked)
    assert (0, "") == (done.returncode, done.stderr)
    assert {"plain,reconcile", "plain,recover", "plain,refresh", "plain,rekey", "plain,resolve"} == set(
        done.stdout.split()
    )
