"""Finds the tools that check the ready-made files; a test whose tool is missing is skipped, and says so."""

from __future__ import annotations

import shutil
from typing import Final

import pytest

from tests.ready.conftest import ROOT

TOOLS: Final = ROOT / ".tools"
NODE_MODULES: Final = TOOLS / "node_modules"
_HINT: Final = "`make tools` fetches it"


def system(name: str) -> str:
    """Return the path of a command of this machine, or of one that was only unpacked."""
    found = shutil.which(name) or shutil.which(name, path=TOOLS / "usr" / "bin")
    if found is None:
        pytest.skip(f"{name} is not installed here; {_HINT}")
    return found


def gitlab_ci_local() -> tuple[str, str]:
    """Return the words that start it; it copies with rsync."""
    system("rsync")
    return npm("gitlab-ci-local")


def python(name: str) -> str:
    """Return the path of a command that has an environment of its own."""
    path = TOOLS / name.partition("_")[0] / "bin" / name
    if not path.exists():
        pytest.skip(f"{name} is not installed here; {_HINT}")
    return str(path)


def npm(name: str) -> tuple[str, str]:
    """Return the words that start a command of an npm package."""
    node = system("node")
    path = NODE_MODULES / ".bin" / name
    if not path.exists():
        pytest.skip(f"{name} is not installed here; {_HINT}")
    return node, str(path)
