"""Keeps what a request brought when the state could not be saved.

Owns ``<state>.rescue``, whose space is reserved before the run begins, and the
line on standard error that is the last resort. Both hold the same line of JSON,
in which everything secret is sealed: it is safe in a log.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TextIO

from provisioner.errors import StateConflict, StateForeign, StateNotSaved
from provisioner.model import Pending, Record, State, Unknown
from provisioner.state import codec
from provisioner.state.disk import PRIVATE, Disk, read_file

MARK: Final = "provisioner-rescue"
SPACE: Final = 256 * 1024
"""Bytes reserved: more than a sealed answer of the largest size that is read."""

_LINE: Final = re.compile(rf"{MARK} (\{{.*\}})")


@dataclass(frozen=True, slots=True)
class Entry:
    """The outcome of one operation that the state does not hold yet."""

    lineage: str
    parent: str
    name: str
    operation: str
    record: Record | None
    """None: it is proven that nothing was created."""


class Rescue:
    """The place beside one local state; ``path`` is None where there is no local folder."""

    def __init__(self, path: Path | None, stderr: TextIO, disk: Disk | None = None) -> None:
        self.path = path
        self._stderr = stderr
        self._disk = disk or Disk()

    def reserve(self) -> None:
        """Take the space on the disk now.

        Raises:
            StateNotSaved: there is no room; nothing has been sent yet.

        """
        if self.path is None:
            return
        try:
            self._put(b"\0" * SPACE)
        except OSError as error:
            raise StateNotSaved(
                f"No room could be reserved at {self.path}: {error.strerror or error}.",
                hint="Make room, or make the folder writable, then run again. Nothing was sent.",
            ) from error

    def keep(self, entry: Entry) -> str:
        """Keep ``entry`` and say where: the file, or else standard error."""
        line = encode(entry)
        if self.path is not None:
            try:
                self._put(line.encode())
            except OSError as error:
                self._stderr.write(f"{self.path} did not take it either: {error.strerror or error}\n")
            else:
                return str(self.path)
        self._stderr.write(f"{line}\n")
        self._stderr.flush()
        return "standard error, in the line that begins with " + MARK

    def entries(self) -> tuple[Entry, ...]:
        """Return what an earlier run had to leave here."""
        raw = None if self.path is None else read_file(self.path)
        return () if raw is None else found_in(raw.decode(), str(self.path))

    def clear(self) -> None:
        """Remove the file: its entries are in the state, or it held none."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        """Write over the reserved space; without truncation, so that no new space is needed."""
        if self.path is None:
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, PRIVATE)
        try:
            self._disk.write(descriptor, data)
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.sync_folder(self.path.parent)


def encode(entry: Entry) -> str:
    """Return the line that keeps ``entry``."""
    document = {
        "lineage": entry.lineage,
        "parent": entry.parent,
        "name": entry.name,
        "operation": entry.operation,
        "record": None if entry.record is None else codec.encode_record(entry.record),
    }
    return f"{MARK} {json.dumps(document)}"


def found_in(text: str, source: str) -> tuple[Entry, ...]:
    """Return every entry in ``text``, which may be a log with a prefix to each line.

    Raises:
        StateInvalid: a line bears the mark and is damaged.

    """
    return tuple(_decode(match.group(1), source) for match in _LINE.finditer(text))


def _decode(line: str, source: str) -> Entry:
    document = codec.parse(line.encode(), source)
    codec.require(document, "rescue.v1", source)
    record = document.pop("record")
    return Entry(**document, record=None if record is None else codec.decode_record(record))


def put_back(state: State | None, entries: Iterable[Entry]) -> State | None:
    """Return ``state`` with every entry where it belongs; the serial is that of ``state``.

    Putting an entry back twice changes nothing.

    Raises:
        StateForeign: an entry belongs to another state.
        StateConflict: the account has gone through another operation since.

    """
    for entry in entries:
        if state is None or (entry.lineage, entry.parent) != (state.lineage, state.parent):
            raise StateForeign(
                f"The rescued outcome of {entry.name} belongs to lineage {entry.lineage} of parent {entry.parent}.",
                hint="Give the state that it came from. Nothing was changed.",
            )
        state = replace(state, accounts=_with(state.accounts, entry))
    return state


def _with(accounts: Mapping[str, Record], entry: Entry) -> dict[str, Record]:
    current = accounts.get(entry.name)
    after = dict(accounts)
    if current is None:
        if entry.record is not None:
            after[entry.name] = entry.record
    elif current.operation.id != entry.operation:
        raise StateConflict(
            f"The rescued outcome of {entry.name} is of operation {entry.operation};"
            f" the state knows a later one, {current.operation.id}.",
            hint="Both may be accounts that exist. Compare with Octopush's dashboard before you remove either.",
        )
    elif isinstance(current, Pending | Unknown):
        if entry.record is None:
            del after[entry.name]
        else:
            after[entry.name] = entry.record
    return after
