"""The folder for the projects of these tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of its own is made in it


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory, where the machine has such a place.

    A kill leaves what was written, synced or not, so that a disk proves nothing more; and
    to wait for it takes most of a run's time. What only a loss of power would show, the
    order of writes and syncs, is the matter of ``tests/state/test_disk.py``.
    """
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        yield Path(folder)
