"""The YAML manifest: a document becomes entries, with its defaults merged under each.

The schema checks the file as written, so that a mistake in the defaults is reported once,
where it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from provisioner.document import Part, Violation, inlined, parse_yaml
from provisioner.manifest.advice import advice
from provisioner.manifest.entries import SCHEMA, Entry, FileContent
from provisioner.manifest.formats import CHECKS
from provisioner.model.account import Origin, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.document import Check, Document, Step, Value


def read(raw: bytes, file: str, refused: Check | None = None) -> FileContent:
    """Return the content of the YAML manifest ``raw``; ``refused`` says which placeholders may not be read."""
    document = parse_yaml(raw, file, SCHEMA)
    problems = document.checked(SCHEMA, CHECKS)
    if not isinstance(document.value, dict):
        if isinstance(document.value, list):
            # Most likely, the entries alone.
            hint = "Put `version: 1` and `accounts:` above the entries."
            problems = tuple(replace(each, hint=hint) for each in problems)
        return FileContent((), problems)
    warnings: dict[tuple[Origin, str], Problem] = {}
    # The schema already refuses these in the defaults; merging them would report them again.
    own = _own()
    shared = {key: value for key, value in _fields(document.value.get("defaults")).items() if key not in own}
    _warn(warnings, document, ("defaults",), shared, refused)
    entries: list[Entry] = []
    accounts = document.value.get("accounts")
    for index, account in enumerate(accounts if isinstance(accounts, list) else ()):
        if isinstance(account, dict):
            entries.append(_entry(document, index, account, shared))
            _warn(warnings, document, ("accounts", index), account, refused)
    # A value with an error needs no warning as well.
    wrong = {problem.origin for problem in problems}
    problems += tuple(each for each in warnings.values() if each.origin not in wrong)
    parent = document.value.get("parent")
    return FileContent(tuple(entries), problems, parent if isinstance(parent, str) else None)


def _own() -> set[str]:
    """Return the fields that accounts cannot share."""
    shared: dict[str, Any] = inlined(SCHEMA)["properties"]["defaults"]["properties"]
    return {name for name, schema in shared.items() if "not" in schema}


def _entry(document: Document, index: int, account: Mapping[str, Value], shared: Mapping[str, Value]) -> Entry:
    merged = {**shared, **account}
    if "callbacks" in merged:
        merged["callbacks"] = {**_fields(shared.get("callbacks")), **_fields(account.get("callbacks"))}
    path: tuple[Step, ...] = ("accounts", index)
    origin = document.origin(path)
    named, known = (document.origin((*path, key)) if key in account else origin for key in ("name", "previously"))
    return Entry(merged, origin, named, f"accounts[{index}].name", known, f"accounts[{index}].previously")


def _fields(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, dict) else {}


def _warn(
    warnings: dict[tuple[Origin, str], Problem],
    document: Document,
    path: tuple[Step, ...],
    fields: Mapping[str, Value],
    refused: Check | None,
) -> None:
    """Add the advice on ``fields``, once for each place, however many aliases lead there."""
    for steps, (predicate, hint), severity in advice(fields, refused):
        problem = document.problem(Violation((*path, *steps), Part.VALUE, predicate, hint))
        warnings.setdefault((problem.origin, predicate), replace(problem, severity=severity))
