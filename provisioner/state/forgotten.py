"""Keeps what a person has a state forget.

Owns ``<state>.forgotten``: one line for each record, the latest last, in the form in which
a rescue keeps one, so that ``recover`` puts it back. Everything secret in it is sealed.
"""

from __future__ import annotations

from pathlib import Path

from provisioner.errors import StateNotSaved
from provisioner.state.disk import Disk, read_file, write_atomically
from provisioner.state.rescue import Entry, encode


def keep(path: Path, entry: Entry, moment: str, disk: Disk) -> None:
    """Add ``entry`` to what is kept at ``path``, wholly or not at all; only for the holder of the state's lock.

    Raises:
        StateNotSaved: the disk did not take it; what was kept before is still there.

    """
    try:
        before = read_file(path) or b""
        end = b"" if not before or before.endswith(b"\n") else b"\n"
        write_atomically(path, before + end + f"{moment} {encode(entry)}\n".encode(), disk)
    except OSError as error:
        raise StateNotSaved(
            f"What is to be forgotten could not be kept in {path}: {error.strerror or error}.",
            hint="Make room, and let it be a file of yours in a writable folder. Nothing was forgotten.",
        ) from error
