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

from provisioner.errors import StateConflict, StateError, StateForeign, StateInvalid, StateNotSaved
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown
from provisioner.state import codec
from provisioner.state.disk import Disk, open_private, read_file

MARK: Final = "provisioner-rescue"
SPACE: Final = 256 * 1024
"""Bytes reserved: more than a sealed answer of the largest size that is read."""

_LINE: Final = re.compile(rf'{MARK}(?: |": )(?=\{{)')
"""A log may add to both ends of a line, or have it under that name in an object of its own."""
_KEEP: Final = (
    "Keep it: it may be all that is left of an account that exists. Look for the account in Octopush's dashboard and"
    " for the whole line in the run's log; then move the damaged one away and run again."
)


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
        self._kept = 0
        """Bytes of what this run has kept in the file; what comes next stands behind them."""

    def reserve(self) -> None:
        """Take the space on the disk now.

        Raises:
            StateNotSaved: there is no room; nothing has been sent yet.

        """
        if self.path is None:
            return
        try:
            self._put(self.path, b"\0" * SPACE)
        except OSError as error:
            raise StateNotSaved(
                f"No room could be reserved at {self.path}: {error.strerror or error}.",
                hint="Make room, or make the folder writable, then run again. Nothing was sent.",
            ) from error

    def keep(self, entry: Entry) -> str:
        """Keep ``entry`` and say where: the file, or else standard error."""
        line = f"{encode(entry)}\n"
        if self.path is not None:
            try:
                self._put(self.path, line.encode())
            except OSError as error:
                self._stderr.write(f"{self.path} did not take it either: {error.strerror or error}\n")
            else:
                self._kept += len(line)
                return str(self.path)
        self._stderr.write(line)
        self._stderr.flush()
        return f"standard error, in the line that begins with {MARK} (`provisioner recover LOG` puts it back)"

    def entries(self) -> tuple[Entry, ...]:
        """Return what an earlier run had to leave here.

        Raises:
            StateInvalid: what is there cannot be read, or is no rescued outcome.

        """
        if self.path is None:
            return ()
        try:
            raw = read_file(self.path) or b""
        except OSError as error:
            raise StateInvalid(
                f"{self.path} cannot be read: {error.strerror or error}.",
                hint="It may hold an outcome that the state does not: make it a file that you may read.",
            ) from error
        kept = raw.rstrip(b"\0").decode(errors="replace")
        entries = found_in(kept, str(self.path))
        if kept and not entries:
            raise StateInvalid(f"{self.path} holds something else than rescued outcomes.", hint=_KEEP)
        return entries

    def clear(self) -> None:
        """Remove the file: its entries are in the state, or it held none. Raises StateError."""
        if self.path is None:
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(
                f"{self.path} cannot be removed: {error.strerror or error}.",
                hint="Make the folder of the state writable. Nothing that the file holds is missing from the state.",
            ) from error

    def _put(self, path: Path, data: bytes) -> None:
        """Write over the reserved space; without truncation, so that no new space is needed."""
        descriptor = open_private(path, os.O_WRONLY)
        try:
            os.lseek(descriptor, self._kept, os.SEEK_SET)
            try:
                self._disk.write(descriptor, data)
            except OSError:
                # Half a line would be taken for damage, and stand in the next run's way.
                os.ftruncate(descriptor, self._kept)
                raise
            self._disk.sync(descriptor)
        finally:
            os.close(descriptor)
        self._disk.sync_folder(path.parent)


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
    return tuple(_decode(_object(text, match.end()), source) for match in _LINE.finditer(text))


def _object(text: str, start: int) -> str:
    """Return the JSON object that begins at ``start``; where it was cut or is none, the rest of its line."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        end = text.find("\n", start)
        return text[start:] if end < 0 else text[start:end]
    return text[start:end]


def _decode(line: str, source: str) -> Entry:
    place = f"A rescued outcome in {source}"
    try:
        document = codec.parse(line.encode(errors="replace"), place)
        codec.require(document, "rescue.v1", place)
    except StateInvalid as error:
        raise StateInvalid(error.message, hint=_KEEP) from None
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
        if state is None and entry.record is None:
            # The first save of all failed: there is nothing from which to take the intent away.
            continue
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
    if entry.record is None:
        # Nothing was created: only the intent of that very operation is to be taken away.
        if isinstance(current, Pending | Unknown) and current.operation.id == entry.operation:
            del after[entry.name]
        return after
    known = {id_: name for name, each in accounts.items() for id_ in _operations(each)}
    if entry.operation in known and (current is None or current.operation.id != entry.operation):
        # It was put back before, and has been changed since, or has another name by now.
        return after
    if current is not None and current.operation.id != entry.operation:
        raise StateConflict(
            f"The rescued outcome of {entry.name} is of operation {entry.operation};"
            f" the state knows another one, {current.operation.id}.",
            hint="Both may be accounts that exist. Compare with Octopush's dashboard before you remove either.",
        )
    if current is None and (owner := next((known[each] for each in _operations(entry.record) if each in known), None)):
        raise StateConflict(
            f"The rescued outcome of {entry.name} is of the account that the state knows as {owner}.",
            hint="They are one account at two times. To have this one, forget the other with `provisioner forget NAME"
            " --force`, and run it again. Nothing was changed.",
        )
    # An account that a person gave up exists after all where its credentials have come back.
    found = isinstance(current, Abandoned) and isinstance(entry.record, Active)
    if found or current is None or isinstance(current, Pending | Unknown):
        after[entry.name] = entry.record
    return after


def _operations(record: Record) -> frozenset[str]:
    return record.operations if isinstance(record, Active) else frozenset({record.operation.id})
