"""The history of a state: what each save did to which account, derived from the states before and after it.

Each entry is a line of JSON, which a store keeps with the save or next to the state. Nothing
depends on it: a lost or damaged entry is simply missing. It contains no secret, only names,
times, people and the digest of a plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from provisioner.model.history import Author, HistoryEntry
from provisioner.model.state import NO_DRIFT, Abandoned, Active, Edit, Pending, Record, State, Unknown

_AUTHOR: Final = ("at", "by", "actor", "approver", "run", "plan")
_REQUIRED: Final = ("at", "by", "operation", "outcome")
_OPTIONAL: Final = ("name", "previous", "actor", "approver", "run", "plan")
_WHOLE_STATE: Final = {"rekey": "rekeyed"}
_NOT_CREATED: Final = "not created"
_SAYS_NOT_CREATED: Final = frozenset({"resolve", "recover"})


def entries(
    before: State | None, after: State, author: Author, operation: str | None = None, found: State | None = None
) -> Iterator[HistoryEntry]:
    """Yield the entries for the save of ``after`` over ``before``; none for an intent, which has no outcome yet.

    ``operation`` is what the caller does, if the two states do not show it. ``found`` is the
    state as this run found it: an intent in it belongs to a dead run.
    """
    if operation in _WHOLE_STATE:
        yield HistoryEntry(author, after.serial, None, operation, _WHOLE_STATE[operation])
        return
    old = {} if before is None else before.accounts
    dead = {} if found is None else found.accounts
    moved = _moved(old, after.accounts)
    for name in sorted({*old, *after.accounts} - {*moved.values()}):
        was, now = old.get(name), after.accounts.get(name)
        if (previous := moved.get(name)) is not None:
            yield HistoryEntry(author, after.serial, name, "rename", "renamed", previous)
            was = old[previous]
        if was != now and (what := _what(was, now)) is not None:
            derived, outcome = what
            if operation in _SAYS_NOT_CREATED and now is None:
                outcome = _NOT_CREATED
            died = was is not None and was == dead.get(name)
            sender = author if operation else _sent_by(was, now, author, died=died)
            yield HistoryEntry(sender, after.serial, name, operation or derived, outcome)


def _moved(old: Mapping[str, Record], new: Mapping[str, Record]) -> dict[str, str]:
    """Return the previous name of each renamed record, by its new name."""
    gone = {each.operation.id: name for name, each in old.items() if isinstance(each, Active) and name not in new}
    return {
        name: gone[each.operation.id] for name, each in new.items() if name not in old and each.operation.id in gone
    }


def _what(was: Record | None, now: Record | None) -> tuple[str, str] | None:
    """Return the operation that resulted in ``now``, and its outcome."""
    match was, now:
        case _, Pending():
            return None
        case Pending(), None:
            # It was refused, or it was not sent after all.
            return "create", _NOT_CREATED
        case _, None:
            return "forget", "forgotten"
        case _, Unknown():
            return "create", "unknown"
        case _, Abandoned():
            return "resolve", "abandoned"
        case Active(), Active():
            return _changed(was, now)
        case Pending() | Unknown(), Active() if was.operation.id == now.operation.id:
            return "create", "created"
        case _:
            return "adopt", "adopted"


def _changed(was: Active, now: Active) -> tuple[str, str] | None:
    if was.edit is not None and now.edit is None:
        if now.operation.id != was.edit.operation.id:
            return "update", "gone" if now.drift.gone else "failed"
        unchanged = (was.edit.attributes, was.edit.password_version) == (was.attributes, was.password_version)
        # An edit that sends what is recorded, and no password, restores what somebody changed at Octopush.
        return "rotate-password" if unchanged and was.edit.sealed is not None else "update", "updated"
    if was.edit != now.edit:
        return None
    if was.operation.id != now.operation.id:
        # Only its key was adopted.
        return "adopt", "adopted"
    if was.drift == now.drift or was.sealed != now.sealed:
        # A create that was read back keeps what Octopush made of it: that it was created is said already.
        return None
    return "refresh", "gone" if now.drift.gone else "as sent" if now.drift == NO_DRIFT else "drifted"


def _sent_by(was: Record | None, now: Record | None, author: Author, *, died: bool) -> Author:
    """Return who sent the request whose outcome is ``now``: the ``author``, or an earlier run (one that ``died``)."""
    match was, now:
        case Pending(), Unknown() if died:
            # The plan of that run is unknown here.
            return Author(author.at, was.operation.by)
        case Active(edit=Edit() as edit), Active(edit=None) if edit.operation.by != author.by:
            return Author(author.at, edit.operation.by)
        case _:
            return author


# ── A line ───────────────────────────────────────────────────────────────────


def encode(this: HistoryEntry) -> str:
    """Return an entry as a line of ASCII, without the line end."""
    own = {"name": this.name, "operation": this.operation, "outcome": this.outcome, "previous": this.previous}
    found = {**asdict(this.author), **own, "serial": this.serial}
    return json.dumps({key: each for key, each in found.items() if each is not None})


def decode(line: str) -> HistoryEntry | None:
    """Return the entry in a line, or None if it is cut off or not an entry: anybody may write to the file."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or type(serial := found.get("serial")) is not int:
        return None
    texts: dict[str, Any] = {key: found.get(key) for key in (*_REQUIRED, *_OPTIONAL)}
    if not all(isinstance(texts[key], str) for key in _REQUIRED):
        return None
    if not all(isinstance(texts[key], str | None) for key in _OPTIONAL):
        return None
    author = Author(**{key: texts[key] for key in _AUTHOR})
    return HistoryEntry(author, serial, texts["name"], texts["operation"], texts["outcome"], texts["previous"])


def of(this: tuple[HistoryEntry, ...], name: str) -> tuple[HistoryEntry, ...]:
    """Return the entries of the account ``name``, also under earlier names, and of the whole state; newest first."""
    names, found = {name}, []
    for each in this:
        if each.name in names or each.previous in names or each.name is None:
            found.append(each)
            names |= {each.previous} if each.name in names and each.previous is not None else set()
    return tuple(found)
