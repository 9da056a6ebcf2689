"""Copies of this tree in which something is changed and then run, so that the tree itself stays as it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.proof.page import ROOT


def copy_files(folder: Path, *untracked: str) -> Path:
    """Copy the files that git tracks; with ``-o`` and ``--exclude-standard``, also those that it would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-c", *untracked, "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def copy(folder: Path) -> Path:
    """Return a copy of the tree whose interpreter finds the packages of this one, and the copy before them."""
    copy_files(folder, "-o", "--exclude-standard")
    venv.create(python(folder).parents[1], symlinks=True)
    (packages,) = (folder / ".venv/lib").glob("python*/site-packages")
    here = [each for each in sys.path if each.endswith("site-packages")]
    (packages / "copy.pth").write_text("\n".join([str(folder), *here]), encoding="utf-8")
    return folder


def python(folder: Path) -> Path:
    """Return the interpreter of the copy in ``folder``."""
    return folder / ".venv/bin/python"
