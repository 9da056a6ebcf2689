"""The history of a state: what each save did to which account, worked out from the state before and after it.

Each entry is a line of JSON, which a store keeps with the save or next to the state. Nothing
depends on it: an entry that is lost or damaged is missing, and no more. It holds no secret:
names, times and who it was, and the digest of a plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from provisioner.model.history import Author, Entry
from provisioner.model.state import NO_DRIFT, Abandoned, Active, Edit, Pending, Record, State, Unknown

_AUTHOR: Final = ("at", "by", "actor", "approver", "run", "plan")
_REQUIRED: Final = ("at", "by", "operation", "outcome")
_OPTIONAL: Final = ("name", "previous", "actor", "approver", "run", "plan")
_WHOLE_STATE: Final = {"rekey": "rekeyed"}
_NOT_CREATED: Final = "not created"
_SAYS_NOT_CREATED: Final = frozenset({"resolve", "recover"})


def entries(
    before: State | None, after: State, author: Author, operation: str | None = None, found: State | None = None
) -> Iterator[Entry]:
    """Yield what the save of ``after`` over ``before`` means; nothing for an intent, whose outcome is to come.

    ``operation`` is what the caller does, where the two states do not tell. ``found`` is the
    state from before this run: an intent in it is that of a run that died.
    """
    if operation in _WHOLE_STATE:
        yield Entry(author, after.serial, None, operation, _WHOLE_STATE[operation])
        return
    old = {} if before is None else before.accounts
    dead = {} if found is None else found.accounts
    moved = _moved(old, after.accounts)
    for name in sorted({*old, *after.accounts} - {*moved.values()}):
        was, now = old.get(name), after.accounts.get(name)
        if (previous := moved.get(name)) is not None:
            yield Entry(author, after.serial, name, "rename", "renamed", previous)
            was = old[previous]
        if was != now and (what := _what(was, now)) is not None:
            derived, outcome = what
            if operation in _SAYS_NOT_CREATED and now is None:
                outcome = _NOT_CREATED
            whose = author if operation else _sent_by(was, now, author, died=was is not None and was == dead.get(name))
            yield Entry(whose, after.serial, name, operation or derived, outcome)


def _moved(old: Mapping[str, Record], new: Mapping[str, Record]) -> dict[str, str]:
    """Return, by its new name, the previous name of each record that was renamed."""
    gone = {each.operation.id: name for name, each in old.items() if isinstance(each, Active) and name not in new}
    return {
        name: gone[each.operation.id] for name, each in new.items() if name not in old and each.operation.id in gone
    }


def _what(was: Record | None, now: Record | None) -> tuple[str, str] | None:
    """Return the operation that ends with ``now``, and its outcome."""
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
        only_password = (was.edit.attributes, was.edit.password_version) == (was.attributes, was.password_version)
        return "rotate-password" if only_password else "update", "updated"
    if was.edit != now.edit:
        return None
    if was.operation.id != now.operation.id:
        # Its key was taken over.
        return "adopt", "adopted"
    if was.drift == now.drift or was.sealed != now.sealed:
        # A create that was read back keeps what Octopush made of it: that it was created is said already.
        return None
    return "refresh", "gone" if now.drift.gone else "as sent" if now.drift == NO_DRIFT else "drifted"


def _sent_by(was: Record | None, now: Record | None, author: Author, *, died: bool) -> Author:
    """Return who sent what ``now`` is the outcome of: a run that ``died`` may have, and another one saves that."""
    match was, now:
        case Pending(), Unknown() if died:
            # Its plan is not known here, and this run's is another.
            return Author(author.at, was.operation.by)
        case Active(edit=Edit() as edit), Active(edit=None) if edit.operation.by != author.by:
            return Author(author.at, edit.operation.by)
        case _:
            return author


# ── A line ───────────────────────────────────────────────────────────────────


def encode(this: Entry) -> str:
    """Return the line of an entry, without its end; ASCII."""
    own = {"name": this.name, "operation": this.operation, "outcome": this.outcome, "previous": this.previous}
    found = {**asdict(this.author), **own, "serial": this.serial}
    return json.dumps({key: each for key, each in found.items() if each is not None})


def decode(line: str) -> Entry | None:
    """Return the entry of a line; None for one that was cut, or is none: anybody may have written to the file."""
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
    return Entry(author, serial, texts["name"], texts["operation"], texts["outcome"], texts["previous"])


def of(this: tuple[Entry, ...], name: str) -> tuple[Entry, ...]:
    """Return those of the account ``name``, under its earlier names too, and of the whole state; newest first."""
    names, found = {name}, []
    for each in this:
        if each.name in names or each.previous in names or each.name is None:
            found.append(each)
            names |= {each.previous} if each.name in names and each.previous is not None else set()
    return tuple(found)
