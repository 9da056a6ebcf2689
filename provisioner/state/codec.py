"""Converts a state to its JSON document and back.

Owns the format, version 1. Never guesses: a document that breaks its schema, repeats
a key or has a newer version is not a state.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NoReturn, assert_never, cast

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
    from jsonschema_rs import Draft202012Validator, Registry

VERSION: Final = 1
_RESTORE: Final = (
    "Nothing was sent. Restore the file from version control or from its .backup. The .backup lacks what the last run"
    " created: adopt those accounts first (`provisioner adopt NAME LOGIN`), or an apply creates them again."
)

_DEPTH: Final = 32
"""Far more levels of nesting than a state has."""
_HALVES: Final = "[\ud800-\udfff]"
_PLAIN_STEP: Final = r"[a-zA-Z][a-zA-Z0-9_]*"

Document = dict[str, Any]


def encode(state: State, save_id: str | None = None) -> bytes:
    """Return the document of ``state``: UTF-8, indented, keys sorted, with a final line feed.

    ``save_id`` is new for each save, so that no two saves are the same bytes. Otherwise a store
    whose version is a hash of the content could not notice that an older state was put back.
    A lone surrogate, which cannot be encoded, is escaped as in JSON: no text makes a save fail.
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
        # A run saves at least once for each account, and most records are those of the previous save.
        records = ",\n".join(_member_text(name, record) for name, record in sorted(state.accounts.items()))
        text = text.replace('"accounts": {}', f'"accounts": {{\n{records}\n  }}')
    return f"{text}\n".encode(errors="backslashreplace")


@lru_cache(maxsize=4096)
def _member_text(name: str, record: Record) -> str:
    """Return an account's name and record as text, indented for their place in the state's document."""
    return f"    {_dumped(name)}: {_dumped(encode_record(record))}".replace("\n", "\n    ")


def _dumped(document: object) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)


def tombstone(address: str) -> bytes:
    """Return the document that replaces a state which has moved to ``address``."""
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
    """Return what was added to an account's record after it was created; defaults are left out."""
    document: Document = {}
    if record.password_version != 1:
        document["password_version"] = record.password_version
    if record.drift != NO_DRIFT:
        drift = record.drift
        members = {"altered": list(drift.altered), "changed": list(drift.changed), "gone": drift.gone}
        members["emptied"] = list(drift.emptied)
        document["drift"] = {key: value for key, value in members.items() if value}
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
    """Return the state in ``raw``; ``source`` is its name in messages.

    Raises:
        StateInvalid: it is not JSON, repeats a key, has another version or
            breaks the schema. The message quotes no sealed value.
        StateForeign: it has moved to another store.

    """
    document = parse(raw, source)
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise StateInvalid(
            f"{source} is a state of version {version}; this provisioner supports version {VERSION}.",
            hint="Use the release of provisioner that wrote it, or a newer one. Nothing was changed.",
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
    """Return the new address of a state that has moved, if ``raw`` is such a note; otherwise None."""
    try:
        return _moved_to(json.loads(raw))
    except (ValueError, RecursionError):
        return None


def _moved_to(document: object) -> str | None:
    place = document.get("moved_to") if isinstance(document, dict) else None
    return place if isinstance(place, str) else None


def decode_record(document: Document) -> Record:
    """Return the record in a document that has passed the schema."""
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
    """Return the JSON document in ``raw``.

    Raises:
        StateInvalid: it is not JSON, or repeats a key in an object.

    """
    try:
        return cast("Document", json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=no_number))
    except _DuplicateKeyError as error:
        raise StateInvalid(f"{source} contains the key {json.dumps(str(error))} twice.", hint=_RESTORE) from None
    except (ValueError, RecursionError) as error:
        raise _not_json(raw, source, error) from None


def _not_json(raw: bytes, source: str, error: ValueError | RecursionError) -> StateInvalid:
    """Return an error that says, as exactly as possible, why ``raw`` is not JSON."""
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
            f"{source} contains the conflict marks of an unfinished merge (line {mark[0] + 1}).",
            hint="Both sides may contain accounts that exist: keep the records of both, and the higher serial.",
        )
    if isinstance(error, UnicodeDecodeError):
        return StateInvalid(f"{source} is not UTF-8 (byte {error.start}).", hint=_RESTORE)
    if (nul := raw.find(b"\0")) >= 0:
        return StateInvalid(f"{source} contains NUL bytes from byte {nul} on, as after a power failure.", hint=_RESTORE)
    # All other errors are about a nesting or a number that no real document has.
    where = "too deep, a number too long, or no number at all"
    if isinstance(error, json.JSONDecodeError):
        where = f"line {error.lineno}, column {error.colno}"
    return StateInvalid(f"{source} is not a JSON document ({where}).", hint=_RESTORE)


def require(document: object, schema: str, source: str) -> None:
    """Check ``document`` against the schema of that name.

    Raises:
        StateInvalid: names the first place that breaks it, but not the value.

    """
    validator = _validator(schema)
    try:
        place = _first_place(validator, document)
    except ValueError:
        # The validator fails on lone surrogates, and on more than about 250 levels.
        place = _first_place(validator, _followed(document, _DEPTH))
    if place is not None:
        raise StateInvalid(f"{source} is damaged: {place} does not fit its schema, {schema}.", hint=_RESTORE)


@cache
def _validator(schema: str) -> Draft202012Validator:
    # The schema of a rescued record refers to that of the state by name.
    registry = Registry([("urn:octopush-provisioner:state.v1", schemas.load("state.v1"))])
    return Draft202012Validator(schemas.load(schema), registry=registry)


def _first_place(validator: Draft202012Validator, document: object) -> str | None:
    """Return the first place where ``document`` breaks the schema, as a JSON path, or None if it is valid."""
    if validator.is_valid(document):
        return None
    # The validator creates all errors at once, each with copies: of many accounts, only one wrong one is shown to it.
    accounts = document.get("accounts") if isinstance(document, dict) else None
    for each in _pieces(document, accounts) if isinstance(accounts, dict) else ():
        if not validator.is_valid(each):
            document = each
            break
    return _json_path(document, min((each.instance_path for each in validator.iter_errors(document)), key=len))


def _pieces(document: Any, accounts: Document) -> Iterator[Document]:  # noqa: ANN401  # JSON has no closer type
    """Yield ``document`` without accounts, and then with one at a time."""
    yield {**document, "accounts": {}}
    for name, record in accounts.items():
        yield {**document, "accounts": {name: record}}


def _json_path(value: Any, steps: Sequence[str | int]) -> str:  # noqa: ANN401  # JSON has no closer type
    """Return ``steps`` into ``value`` as in ``$.accounts['lyon-2'].recipients[0]``."""
    path = "$"
    for each in steps:
        step = each
        if isinstance(value, dict) and isinstance(each, int):
            # The validator takes an account name that consists of digits for an index.
            step = next(key for key in value if key.isdecimal() and int(key) == each)
        path += f".{step}" if re.fullmatch(_PLAIN_STEP, str(step)) else f"[{step!r}]"
        value = value[step]
    return path


def _followed(value: Any, levels: int) -> Any:  # noqa: ANN401  # JSON has no closer type
    """Return a copy of ``value`` that the validator can handle; an invalid document stays invalid.

    Each lone surrogate is replaced, and everything below ``levels`` is cut off: the schema
    names every field, so it has already refused a document that deep.
    """
    if isinstance(value, str):
        return re.sub(_HALVES, "\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict | list) and not levels:
        return None
    if isinstance(value, list):
        return [_followed(each, levels - 1) for each in value]
    if isinstance(value, dict):
        return {_followed(key, levels): _followed(each, levels - 1) for key, each in value.items()}
    return value


class _DuplicateKeyError(ValueError):
    """An object contains a key twice."""


def unique(pairs: list[tuple[str, Any]]) -> Document:
    """Return ``pairs`` as a dict; raises ValueError if a key is repeated."""
    document = dict(pairs)
    if len(document) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(next(key for key in keys if keys.count(key) > 1))
    return document


def no_number(_: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads although they are not JSON; raises ValueError."""
    raise ValueError


def _drift(document: Document) -> Drift:
    altered, changed, emptied = (tuple(document.get(key, ())) for key in ("altered", "changed", "emptied"))
    return Drift(altered, changed, document.get("gone", False), emptied)


def _edit(document: Document) -> Edit:
    return Edit(
        Attributes.of(document["attributes"]),
        Operation(**document["operation"]),
        int(document["password_version"]),
        document.get("sealed"),
    )
