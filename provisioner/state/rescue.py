"""Rescue lines: the outcome of a request when the state could not be saved.

Owns the format of a line, wherever it is kept: next to the state, in a log as the last
resort, or with the accounts that a person had the state forget. The mark counts only at the
start of a line. Every secret in it is sealed, so it is safe in a log. Does not know where
lines are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from provisioner.errors import StateConflict, StateForeign, StateInvalid
from provisioner.immutable import immutable
from provisioner.model.rescue import MARK, defused
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown
from provisioner.state import codec

_KEYS: Final = frozenset({"lineage", "parent", "name", "operation", "record"})
_COLOUR: Final = r"\x1b\[[0-9;]*[mK]"
_LINE: Final = rf"""(?:[^"'{{}}]*(?:[\w\])|]|\]:)\s+)?{MARK} (?=\{{)"""
"""A rescue line, possibly after a log's time stamp or name; not a field whose value contains the mark."""
_EVENT: Final = rf'"{MARK}": ?(?=\{{)'
"""In a log of JSON objects, the member with the entry."""
_KEEP: Final = (
    "Keep it: it may be the only trace of an account that exists. Look for the account in Octopush's dashboard, and"
    " for the whole line in the run's log; then move the damaged line away and run again."
)


@immutable
class RescueEntry:
    """The outcome of one operation that is not in the state yet."""

    lineage: str
    parent: str
    name: str
    operation: str
    record: Record | None
    """None: nothing was created, which is proven."""


def encode(entry: RescueEntry) -> str:
    """Return ``entry`` as a rescue line."""
    document = {
        "lineage": entry.lineage,
        "parent": entry.parent,
        "name": entry.name,
        "operation": entry.operation,
        "record": None if entry.record is None else codec.encode_record(entry.record),
    }
    return f"{MARK} {defused(json.dumps(document))}"


def space(largest: RescueEntry) -> int:
    """Return the size in bytes of the line for ``largest``, including a line feed before and after it."""
    return len(encode(largest)) + 2


def decode(kept: bytes, source: str) -> tuple[RescueEntry, ...]:
    """Return the entries that a store has kept, one per line; ``source`` names the place.

    Raises:
        StateInvalid: a line is damaged, or is not a rescue line.

    """
    entries: list[RescueEntry] = []
    for line in kept.decode(errors="replace").split("\n"):
        if not line.strip("\0\r "):
            continue
        if not line.startswith(f"{MARK} "):
            raise StateInvalid(f"{source} contains something other than rescued outcomes.", hint=_KEEP)
        entries.append(_decode(line.removeprefix(f"{MARK} "), source))
    return tuple(entries)


def found_in(text: str, source: str) -> tuple[RescueEntry, ...]:
    """Return every entry in ``text``: a log, whatever it puts before each line, or a single entry from a report.

    Raises:
        StateInvalid: a line with the mark is damaged.

    """
    if (alone := _object(text.strip(), 0)) is not None and alone.keys() == _KEYS:
        return (_decode(json.dumps(alone), source),)
    documents = (_document(line) for line in text.split("\n") if MARK in line)
    return tuple(_decode(each, source) for each in documents if each is not None)


def _document(line: str) -> str | None:
    """Return the entry in a line of a log as JSON, whole or damaged; None if the line has none."""
    # JSON escapes colour codes, so an entry contains none; a log may have put some around it.
    line = re.sub(_COLOUR, "", line)
    if match := re.match(_LINE, line):
        found = _object(line, match.end())
        return line[match.end() :] if found is None else json.dumps(found)
    event = _object(line, line.find("{"))
    if event is None:
        # An entry that the log cut off is damaged; it must not be ignored.
        return line[match.end() :] if (match := re.search(_EVENT, line)) else None
    return json.dumps(event[MARK]) if event.get("event") == "rescue" and MARK in event else None


def _object(text: str, start: int) -> codec.Document | None:
    """Return the JSON object at ``start``; None if there is none, it is cut off, or it repeats a key."""
    try:
        found, _ = json.JSONDecoder(object_pairs_hook=codec.unique).raw_decode(text, max(start, 0))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _decode(line: str, source: str) -> RescueEntry:
    place = f"A rescued outcome in {source}"
    try:
        document = codec.parse(line.encode(errors="replace"), place)
        codec.require(document, "rescue.v1", place)
    except StateInvalid as error:
        raise StateInvalid(error.message, hint=_KEEP) from None
    record = document.pop("record")
    return RescueEntry(**document, record=None if record is None else codec.decode_record(record))


def put_back(state: State | None, entries: Iterable[RescueEntry]) -> State | None:
    """Return ``state`` with every entry put back; the serial is unchanged.

    Putting an entry back twice changes nothing.

    Raises:
        StateForeign: an entry belongs to another state.
        StateConflict: a later operation has changed the account.

    """
    for entry in entries:
        if entry.record is None and (state is None or entry.lineage != state.lineage):
            # The very first save failed, and somebody else may have saved since: there is no intent to remove.
            continue
        if state is None or (entry.lineage, entry.parent) != (state.lineage, state.parent):
            raise StateForeign(
                f"The rescued outcome of {entry.name} belongs to lineage {entry.lineage} of parent {entry.parent}.",
                hint="Use the state that it came from. Nothing was changed.",
            )
        state = replace(state, accounts=_with(state.accounts, entry))
    return state


def _with(accounts: Mapping[str, Record], entry: RescueEntry) -> dict[str, Record]:
    current = accounts.get(entry.name)
    after = dict(accounts)
    if entry.record is None:
        # Nothing was created: remove the intent of this very operation, and no other.
        if isinstance(current, Pending | Unknown) and current.operation.id == entry.operation:
            del after[entry.name]
        return after
    known = {id_: name for name, each in accounts.items() for id_ in _operations(each)}
    if entry.operation in known and (current is None or current.operation.id != entry.operation):
        # It was put back before, and the account was changed or renamed later.
        return after
    if current is not None and current.operation.id != entry.operation:
        raise StateConflict(
            f"The rescued outcome of {entry.name} is from operation {entry.operation};"
            f" the state has operation {current.operation.id}.",
            hint="Both accounts may exist: look for them in Octopush's dashboard. If only the one in the state does,"
            " delete the line with the other operation from the rescue file or the log, and run again.",
        )
    if current is None and (owner := next((known[each] for each in _operations(entry.record) if each in known), None)):
        raise StateConflict(
            f"The rescued outcome of {entry.name} belongs to the account that the state calls {owner}.",
            hint="They are the same account at two times. To keep this one, run `provisioner forget NAME --force` for"
            " the other, and run this again. Nothing was changed.",
        )
    # An abandoned account exists after all if its credentials have turned up.
    found = isinstance(current, Abandoned) and isinstance(entry.record, Active)
    if found or current is None or isinstance(current, Pending | Unknown):
        after[entry.name] = entry.record
    return after


def _operations(record: Record) -> frozenset[str]:
    return record.operations if isinstance(record, Active) else frozenset({record.operation.id})
