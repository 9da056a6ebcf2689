"""Turns a state into its JSON document and back.

Owns the format, version 1. Refuses to guess: a document that breaks its schema,
repeats a key or is of a newer version is not a state.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Final, assert_never, cast

from provisioner import schemas
from provisioner.document import merge_mark
from provisioner.errors import StateForeign, StateInvalid
from provisioner.model.account import Attributes
from provisioner.model.state import (
    NO_DRIFT,
    Abandoned,
    Active,
    Drift,
    Edit,
    Operation,
    Pending,
    Record,
    State,
    Unknown,
)
from provisioner.native import undisturbed

with undisturbed():
    from jsonschema_rs import Draft202012Validator, Registry, ValidationError

VERSION: Final = 1
_RESTORE: Final = (
    "Nothing was sent. Restore the file from version control or from its .backup. A .backup lacks what the last run"
    " made: adopt the accounts made since first (`provisioner adopt NAME LOGIN`), or an apply would create them again."
)

_DEPTH: Final = 32
"""Far more levels than a state has."""
_HALVES: Final = re.compile("[\ud800-\udfff]")
_PLAIN_STEP: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")

Document = dict[str, Any]


def encode(state: State, save_id: str | None = None) -> bytes:
    """Return the document of ``state``: UTF-8, indented, keys sorted, one line feed at its end.

    ``save_id`` is new with each save, so that no two saves are the same bytes: where a store's
    version is a hash of the content, a state that was put back could not be told from it.
    Half of a character, which no encoding takes, is escaped as JSON does it: a save never fails for a text.
    """
    document = {
        "version": VERSION,
        "lineage": state.lineage,
        "serial": state.serial,
        "parent": state.parent,
        "endpoint": state.endpoint,
        "parent_check": state.parent_check,
        "recipients": list(state.recipients),
        "accounts": {},
    }
    if save_id is not None:
        document["save_id"] = save_id
    if state.placements:
        document["placements"] = dict(state.placements)
    text = _dumped(document)
    if state.accounts:
        # A run saves twice for each account, and all records but one are those of the save before.
        records = ",\n".join(_member_text(name, record) for name, record in sorted(state.accounts.items()))
        text = text.replace('"accounts": {}', f'"accounts": {{\n{records}\n  }}', 1)
    return f"{text}\n".encode(errors="backslashreplace")


@lru_cache(maxsize=4096)
def _member_text(name: str, record: Record) -> str:
    """Return an account's name and its record's document as they stand in the state's, two levels deep."""
    return f"    {_dumped(name)}: {_dumped(encode_record(record))}".replace("\n", "\n    ")


def _dumped(document: object) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)


def tombstone(address: str) -> bytes:
    """Return what is left where a state was, once it has moved to ``address``."""
    return f"{_dumped({'version': VERSION, 'moved_to': address})}\n".encode()


def encode_record(record: Record) -> Document:
    """Return the document of one account's record."""
    document: Document = {
        "status": record.status,
        "attributes": record.attributes.document(),
        "operation": _operation_document(record.operation),
    }
    if record.sealed is not None:
        document["sealed"] = record.sealed
    match record:
        case Active():
            document["created_at"] = record.created_at
            document |= _life_document(record)
        case Unknown() | Abandoned():
            document["reason"] = record.reason
        case Pending():
            pass
        case _:
            assert_never(record)
    return document


def _life_document(record: Active) -> Document:
    """Return what an account's later life has added to its record; what is usual is left out."""
    document: Document = {}
    if record.password_version != 1:
        document["password_version"] = record.password_version
    if record.drift != NO_DRIFT:
        drift = record.drift
        told = {"altered": list(drift.altered), "changed": list(drift.changed), "gone": drift.gone}
        document["drift"] = {key: value for key, value in told.items() if value}
    if record.first_operation is not None:
        document["first_operation"] = record.first_operation
    if (edit := record.edit) is not None:
        document["edit"] = {
            "attributes": edit.attributes.document(),
            "operation": _operation_document(edit.operation),
            "password_version": edit.password_version,
        }
        if edit.sealed is not None:
            document["edit"]["sealed"] = edit.sealed
    return document


def _operation_document(operation: Operation) -> Document:
    return {"id": operation.id, "started_at": operation.started_at, "by": operation.by}


def decode(raw: bytes, source: str) -> State:
    """Return the state that ``raw`` holds; ``source`` names it in messages.

    Raises:
        StateInvalid: it is not JSON, repeats a key, is of another version or
            breaks the schema. Nothing of a sealed value is repeated.
        StateForeign: it has moved to another store.

    """
    document = parse(raw, source)
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise StateInvalid(
            f"{source} is a state of version {version}; this provisioner knows version {VERSION}.",
            hint="Use the provisioner that wrote it, or a newer one. Nothing was changed.",
        )
    if (place := _moved_to(document)) is not None:
        raise StateForeign(
            f"The state that was at {source} has moved to {place}.",
            hint="Set `state` to its new place. Nothing was sent.",
        )
    require(document, "state.v1", source)
    return State(
        lineage=document["lineage"],
        parent=document["parent"],
        serial=int(document["serial"]),  # for the schema, 3.0 is an integer too
        endpoint=document["endpoint"],
        parent_check=document["parent_check"],
        recipients=tuple(document["recipients"]),
        accounts={name: decode_record(record) for name, record in document["accounts"].items()},
        placements=document.get("placements", {}),
    )


def moved_to(raw: bytes) -> str | None:
    """Return the address to which the state has moved whose tombstone ``raw`` is; None: it is not one."""
    try:
        return _moved_to(json.loads(raw))
    except (ValueError, RecursionError):
        return None


def _moved_to(document: object) -> str | None:
    place = document.get("moved_to") if isinstance(document, dict) else None
    return place if isinstance(place, str) else None


def decode_record(document: Document) -> Record:
    """Return the record of a document that the schema has accepted."""
    attributes = Attributes.of(document["attributes"])
    operation = Operation(**document["operation"])
    sealed = document.get("sealed")
    match document["status"]:
        case Pending.status:
            return Pending(attributes, operation, sealed)
        case Active.status:
            return Active(
                attributes,
                operation,
                document["created_at"],
                document["sealed"],
                password_version=int(document.get("password_version", 1)),
                drift=_drift(document.get("drift", {})),
                edit=_edit(document["edit"]) if "edit" in document else None,
                first_operation=document.get("first_operation"),
            )
        case Unknown.status:
            return Unknown(attributes, operation, document["reason"], sealed)
        case _:
            return Abandoned(attributes, operation, document["reason"], sealed)


def parse(raw: bytes, source: str) -> Document:
    """Return the JSON that ``raw`` holds.

    Raises:
        StateInvalid: it is not JSON, or a key stands twice in one object.

    """
    try:
        return cast("Document", json.loads(raw.decode(), object_pairs_hook=unique))
    except _DuplicateKeyError as error:
        raise StateInvalid(f"{source} holds the key {json.dumps(str(error))} twice.", hint=_RESTORE) from None
    except (ValueError, RecursionError) as error:
        raise _no_json(raw, source, error) from None


def _no_json(raw: bytes, source: str, error: ValueError | RecursionError) -> StateInvalid:
    """Return what ``raw`` is, which ``error`` says is no JSON: as exactly as can be told."""
    if not raw.removeprefix(codecs.BOM_UTF8).strip():
        return StateInvalid(f"{source} is empty.", hint=_RESTORE)
    encoding = json.detect_encoding(raw)
    if "8" not in encoding and raw.decode(encoding, errors="replace").lstrip("\ufeff").startswith("{"):
        return StateInvalid(
            f"{source} is {encoding[:6].upper()} text: an editor or a shell saved it so.", hint=_RESTORE
        )
    if raw.startswith(codecs.BOM_UTF8):
        return StateInvalid(
            f"{source} begins with a byte-order mark: an editor or a shell saved it so.",
            hint=f"Save it as UTF-8 without a byte-order mark, if nothing else was changed. {_RESTORE}",
        )
    if mark := merge_mark(raw.decode(errors="replace")):
        return StateInvalid(
            f"{source} holds the marks of an unfinished merge (line {mark[0] + 1}).",
            hint="Both sides may hold accounts that exist: keep the records of both, and the higher serial.",
        )
    if isinstance(error, UnicodeDecodeError):
        return StateInvalid(f"{source} is not UTF-8 (byte {error.start}).", hint=_RESTORE)
    if (nul := raw.find(b"\0")) >= 0:
        return StateInvalid(
            f"{source} holds NUL bytes from byte {nul} on, as a power failure may leave them.", hint=_RESTORE
        )
    # What is not JSON's own complaint is about a depth, or a number's length, that nobody wrote in earnest.
    where = "too deep, or a number too long"
    if isinstance(error, json.JSONDecodeError):
        where = f"line {error.lineno}, column {error.colno}"
    return StateInvalid(f"{source} is not a JSON document ({where}).", hint=_RESTORE)


def require(document: object, schema: str, source: str) -> None:
    """Check ``document`` against the schema of that name.

    Raises:
        StateInvalid: names the first place that breaks it, never its value.

    """
    validator = _validator(schema)
    try:
        place = _first_place(validator, document)
    except ValueError:
        # The validator follows neither half of a character nor more than some 250 levels.
        place = _first_place(validator, _followed(document, _DEPTH))
    if place is not None:
        raise StateInvalid(f"{source} is damaged: {place} does not fit its schema, {schema}.", hint=_RESTORE)


@cache
def _validator(schema: str) -> Draft202012Validator:
    # A rescued record is one of the state's: its schema refers to that one by its name.
    registry = Registry([("urn:octopush-provisioner:state.v1", schemas.load("state.v1"))])
    return Draft202012Validator(schemas.load(schema), registry=registry)


def _first_place(validator: Draft202012Validator, document: object) -> str | None:
    """Return the first place at which ``document`` breaks the schema, as a JSON path, or None where it fits."""
    if validator.is_valid(document):
        return None
    return _json_path(document, min(validator.iter_errors(document), key=_rank).instance_path)


def _rank(error: ValidationError) -> tuple[int, bool]:
    """Put the outermost place first and, of those as deep, one that breaks more than the rule of a status."""
    return len(error.instance_path), error.kind.name == "oneOf"


def _json_path(value: Any, steps: Sequence[str | int]) -> str:  # noqa: ANN401  # JSON has no closer type
    """Return ``steps`` into ``value`` as in ``$.accounts['lyon-2'].recipients[0]``."""
    path = "$"
    for each in steps:
        step = each
        if isinstance(value, dict) and isinstance(each, int):
            # The validator takes an account's name of digits alone for an index.
            step = next(key for key in value if key.isdecimal() and int(key) == each)
        path += f".{step}" if _PLAIN_STEP.fullmatch(str(step)) else f"[{step!r}]"
        value = value[step]
    return path


def _followed(value: Any, levels: int) -> Any:  # noqa: ANN401  # JSON has no closer type
    """Return ``value`` as a validator can follow it; what it would refuse stays refused.

    A stand-in takes the place of each half of a character, and nothing that of whatever is
    more than ``levels`` deep: there a schema that names its every field has refused it before.
    """
    if isinstance(value, str):
        return _HALVES.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict | list) and not levels:
        return None
    if isinstance(value, list):
        return [_followed(each, levels - 1) for each in value]
    if isinstance(value, dict):
        return {_followed(key, levels): _followed(each, levels - 1) for key, each in value.items()}
    return value


class _DuplicateKeyError(ValueError):
    """A key stands twice in one object."""


def unique(pairs: list[tuple[str, Any]]) -> Document:
    """Return the object of ``pairs``; raises ValueError where a key stands twice."""
    document = dict(pairs)
    if len(document) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(next(key for key in keys if keys.count(key) > 1))
    return document


def _drift(document: Document) -> Drift:
    return Drift(tuple(document.get("altered", ())), tuple(document.get("changed", ())), document.get("gone", False))


def _edit(document: Document) -> Edit:
    return Edit(
        Attributes.of(document["attributes"]),
        Operation(**document["operation"]),
        int(document["password_version"]),
        document.get("sealed"),
    )
