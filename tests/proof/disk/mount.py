"""Mounts a forgetful disk, which is a process of its own."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SERVER: Final = "tests.proof.disk.forgetful"
_PATIENCE: Final = 10.0
_TOP: Final = Path(__file__).parents[3]


def missing() -> str | None:
    """Return why no forgetful disk can be mounted here, or None."""
    try:
        importlib.import_module(_SERVER)
    except (ImportError, OSError) as error:
        return f"mfusepy or libfuse3 is missing ({error}); `make test` and `make tools` install them"
    if shutil.which("fusermount3") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "nobody may mount a FUSE file system here"
    return None


@contextmanager
def mounted(folder: Path, recording: Path) -> Iterator[None]:
    """Have a forgetful disk at the empty ``folder`` inside a ``with``; it writes its log to the file ``recording``."""
    with subprocess.Popen([sys.executable, "-m", _SERVER, str(folder), str(recording)], cwd=_TOP) as server:
        try:
            deadline = time.monotonic() + _PATIENCE
            while not folder.is_mount():
                assert server.poll() is None, "the file system could not be mounted"
                assert time.monotonic() < deadline, "the file system did not come"
                time.sleep(0.005)
            yield
        finally:
            # Lazily: what is still open there must not hide why it is.
            subprocess.run(["fusermount3", "-u", "-z", str(folder)], check=False)
            try:
                server.wait(_PATIENCE)
            finally:
                server.kill()
    assert 0 == server.returncode


def order(folder: Path, name: str, value: str = "") -> None:
    """Give the disk at ``folder`` one of the orders of ``forgetful``."""
    os.setxattr(folder, f"user.{name}", value.encode())
