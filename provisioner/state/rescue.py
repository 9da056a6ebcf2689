"""What a request brought, as it is kept when the state could not be saved.

Owns the line that keeps one outcome, wherever it stands: next to the state, in a log as
the last resort, or with what a person had the state forget. It is known by where it
stands: it begins its line. Everything secret in it is sealed: it is safe in a log.
Refuses to know where lines are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from provisioner.errors import StateConflict, StateForeign, StateInvalid
from provisioner.model.rescue import MARK, defused
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown
from provisioner.state import codec

_KEYS: Final = frozenset({"lineage", "parent", "name", "operation", "record"})
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[mK]")
_LINE: Final = re.compile(rf"""(?:[^"'{{}}]*(?:[\w\])|]|\]:)\s+)?{MARK} (?=\{{)""")
"""The line itself, or one that a log put a time or a name before: not a field whose value has the mark."""
_EVENT: Final = re.compile(rf'"{MARK}": ?(?=\{{)')
"""In a log of JSON objects, one of them has it under that name."""
_KEEP: Final = (
    "Keep it: it may be all that is left of an account that exists. Look for the account in Octopush's dashboard and"
    " for the whole line in the run's log; then move the damaged one away and run again."
)


@dataclass(frozen=True, slots=True)
class RescueEntry:
    """The outcome of one operation that the state does not hold yet."""

    lineage: str
    parent: str
    name: str
    operation: str
    record: Record | None
    """None: it is proven that nothing was created."""


def encode(entry: RescueEntry) -> str:
    """Return the line that keeps ``entry``."""
    document = {
        "lineage": entry.lineage,
        "parent": entry.parent,
        "name": entry.name,
        "operation": entry.operation,
        "record": None if entry.record is None else codec.encode_record(entry.record),
    }
    return f"{MARK} {defused(json.dumps(document))}"


def space(largest: RescueEntry) -> int:
    """Return the bytes that the line of ``largest`` takes, the end of the line before it and its own included."""
    return len(encode(largest)) + 2


def decode(kept: bytes, source: str) -> tuple[RescueEntry, ...]:
    """Return the entries that a store has kept, each a line of its own; ``source`` names the place.

    Raises:
        StateInvalid: one is damaged, or what is there is something else.

    """
    entries: list[RescueEntry] = []
    for line in kept.decode(errors="replace").split("\n"):
        if not line.strip("\0\r "):
            continue
        if not line.startswith(f"{MARK} "):
            raise StateInvalid(f"{source} holds something else than rescued outcomes.", hint=_KEEP)
        entries.append(_decode(line.removeprefix(f"{MARK} "), source))
    return tuple(entries)


def found_in(text: str, source: str) -> tuple[RescueEntry, ...]:
    """Return every entry in ``text``: a log, with whatever it puts before each line, or the one that a report had.

    Raises:
        StateInvalid: a line bears the mark and is damaged.

    """
    if (alone := _object(text.strip(), 0)) is not None and alone.keys() == _KEYS:
        return (_decode(json.dumps(alone), source),)
    documents = (_document(line) for line in text.split("\n") if MARK in line)
    return tuple(_decode(each, source) for each in documents if each is not None)


def _document(line: str) -> str | None:
    """Return the entry of a line of a log as JSON, whole or damaged; None: the line has none."""
    # An entry has no colour inside, where JSON writes it out; a log may have put some around it.
    line = _COLOUR.sub("", line)
    if match := _LINE.match(line):
        found = _object(line, match.end())
        return line[match.end() :] if found is None else json.dumps(found)
    event = _object(line, line.find("{"))
    if event is None:
        # What a log cut off is damaged, and not nothing.
        return line[match.end() :] if (match := _EVENT.search(line)) else None
    return json.dumps(event[MARK]) if event.get("event") == "rescue" and MARK in event else None


def _object(text: str, start: int) -> codec.Document | None:
    """Return the JSON object that begins at ``start``; None where there is none, it is cut, or repeats a key."""
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
    """Return ``state`` with every entry where it belongs; the serial is that of ``state``.

    Putting an entry back twice changes nothing.

    Raises:
        StateForeign: an entry belongs to another state.
        StateConflict: the account has gone through another operation since.

    """
    for entry in entries:
        if entry.record is None and (state is None or entry.lineage != state.lineage):
            # The first save of all failed, and somebody else's may have come since: no intent is there to take away.
            continue
        if state is None or (entry.lineage, entry.parent) != (state.lineage, state.parent):
            raise StateForeign(
                f"The rescued outcome of {entry.name} belongs to lineage {entry.lineage} of parent {entry.parent}.",
                hint="Give the state that it came from. Nothing was changed.",
            )
        state = replace(state, accounts=_with(state.accounts, entry))
    return state


def _with(accounts: Mapping[str, Record], entry: RescueEntry) -> dict[str, Record]:
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
