"""Forked commands are as good as started ones, and as cheap as they are meant to be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import forks
from tests.conftest import environment


def count_what_is_missing() -> None:
    sys.exit(len(set(forks.PRELOADED) - sys.modules.keys()))


def test_everything_is_imported_before_a_process_is_forked() -> None:
    """Whichever tests run with these: the list is one for all, and a name that is mistyped there is not told."""
    assert 0 == forks.exit_code_of(count_what_is_missing)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_death_is_told() -> None:
    assert -signal.SIGKILL == forks.exit_code_of(kill_itself)


def test_threads_that_start_processes_all_hear_how_their_own_ended() -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: forks.exit_code_of(kill_itself), range(40)))
    assert {-signal.SIGKILL} == set(codes)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["plan", "m.yaml"], ["plan", "m.yaml", "--format", "json"], ["validate", "n.yaml"], ["nonsense"]],
    ids=" ".join,
)
def test_a_forked_command_says_what_a_started_one_says(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "m.yaml").write_text("version: 1\naccounts:\n  - {name: a, first_name: é, last_name: c}\n")
    environ = environment(tmp_path)
    started = subprocess.run(
        [*forks.COMMAND, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    forked = forks.command(arguments, tmp_path, environ)
    assert (started.returncode, started.stdout, started.stderr) == (forked.returncode, forked.stdout, forked.stderr)


def test_where_the_environment_says_how_an_interpreter_starts_one_is_started(tmp_path: Path) -> None:
    done = forks.command(["explain", "3"], tmp_path, {**environment(tmp_path), "PYTHONVERBOSE": "1"})
    assert (0, True) == (done.returncode, "import 'site'" in done.stderr)
