"""What a request brought, as it is kept when the state could not be saved.

Owns the line that keeps one outcome, wherever it stands: next to the state, in a log as
the last resort, or with what a person had the state forget. Everything secret in it is
sealed: it is safe in a log. Refuses to know where lines are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from provisioner.errors import StateConflict, StateForeign, StateInvalid
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown
from provisioner.state import codec

MARK: Final = "provisioner-rescue"
SPACE: Final = 256 * 1024
"""Bytes to reserve: more than a sealed answer of the largest size that is read."""

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


def decode(kept: bytes, source: str) -> tuple[Entry, ...]:
    """Return the entries that a store has kept; ``source`` names the place.

    Raises:
        StateInvalid: one is damaged, or what is there is something else.

    """
    entries = found_in(kept.decode(errors="replace"), source)
    if kept and not entries:
        raise StateInvalid(f"{source} holds something else than rescued outcomes.", hint=_KEEP)
    return entries


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
