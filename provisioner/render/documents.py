"""The JSON documents of version 1: plain dictionaries, ready for ``json.dumps``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, assert_never

from provisioner.errors import ProvisionerError
from provisioner.model.account import Problem, Severity, shown_value
from provisioner.model.plan import (
    Change,
    Closed,
    Create,
    FieldChange,
    Gone,
    Plan,
    Unchanged,
    Undecided,
    Unmanaged,
    Update,
)
from provisioner.model.state import NO_DRIFT
from provisioner.render import advice

VERSION: Final = 1
Document = dict[str, Any]


def plans(these: Iterable[Plan]) -> Document:
    """Return the document of ``plan --format json``; ``schemas/plan.v1.schema.json`` describes it."""
    return {"version": VERSION, "plans": [_plan(plan) for plan in these]}


def digest(document: Document) -> str:
    """Return what tells one document of plans from any other, whatever face it is shown with."""
    import hashlib  # noqa: PLC0415  # it takes its time to load, and most commands have no use for it

    told = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def problems(these: Iterable[Problem]) -> Document:
    """Return the document of ``validate --format json``; what does not make a manifest invalid is in ``warnings``."""
    errors: list[Document] = []
    warnings: list[Document] = []
    for each in these:
        (errors if each.severity is Severity.ERROR else warnings).append(problem(each))
    return {"version": VERSION, "valid": not errors, "problems": errors, "warnings": warnings}


def error(this: ProvisionerError) -> Document:
    """Return the document of a failure under ``--format json``."""
    return {
        "version": VERSION,
        "error": {
            "code": int(this.exit_code),
            "name": type(this).__name__,
            "message": this.message,
            "hint": advice.hint(this),
        },
    }


def action(change: Change) -> str:
    """Return the word for what is to be done about an account."""
    match change:
        case Create():
            return "create"
        case Update():
            return "update"
        case Unchanged():
            return "unchanged"
        case Unmanaged():
            return "unmanaged"
        case Gone():
            return "gone"
        case Undecided():
            return "unknown"
        case Closed():
            return "abandoned"
        case _:
            assert_never(change)


def _plan(plan: Plan) -> Document:
    slots = plan.slots
    actions = [action(change) for change in plan.changes]
    return {
        "parent": plan.parent,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "slots": {
            "limit": slots.limit,
            "reserved": slots.reserved,
            "used": slots.used,
            "unknown": slots.unknown,
            "planned": slots.planned,
            "left": slots.left,
        },
        "summary": {word: actions.count(word) for word in ("create", "update", "unchanged", "unmanaged", "unknown")},
        "changes": [_change(change) for change in plan.changes],
        "over": list(plan.over),
    }


def _change(change: Change) -> Document:
    attributes = change.account.attributes if isinstance(change, Create | Update) else change.attributes
    document: Document = {"action": action(change), "name": change.name, "attributes": attributes.shown()}
    match change:
        case Create():
            if change.account.previously is not None:
                document["previously"] = change.account.previously
            if change.resembles is not None:
                document["resembles"] = change.resembles
        case Update():
            document["fields"] = [field(each) for each in change.fields]
        case Undecided() | Closed() | Gone():
            document["reason"] = change.reason
        case _:  # unchanged or unmanaged; `action` knows no other
            if change.drift != NO_DRIFT:
                drift = change.drift
                document["drift"] = {
                    "altered": list(drift.altered),
                    "changed": list(drift.changed),
                    "gone": drift.gone,
                }
    if isinstance(change, Update | Unmanaged) and change.unfinished:
        document["unfinished"] = True
    if isinstance(change, Unchanged) and change.unchecked is not None:
        document["unchecked"] = change.unchecked
    return document


def field(change: FieldChange) -> Document:
    """Return one field of a change, what its values may hide masked."""
    document: Document = {
        "path": change.path,
        "before": None if change.before is None else shown_value(change.path, change.before),
        "after": None if change.after is None else shown_value(change.path, change.after),
    }
    if change.drifted:
        document["drifted"] = True
    return document


def problem(this: Problem) -> Document:
    """Return one problem of a manifest, and where it is."""
    origin = this.origin
    return {
        "file": origin.file,
        "line": origin.line,
        "column": origin.column,
        "row": origin.row,
        "path": this.path,
        "message": this.message,
        "hint": this.hint,
    }
