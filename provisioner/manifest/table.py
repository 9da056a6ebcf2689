"""The manifest as a table: each row becomes an entry.

The schema says which columns there are, and which cells are numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from provisioner.document import Part, inlined, nearest, violations
from provisioner.manifest.advice import advice
from provisioner.manifest.cells import Table, UnreadableTable
from provisioner.manifest.columns import cell, fitting, header_problems, open_table, positions
from provisioner.manifest.entries import SCHEMA, Entry, FileContent
from provisioner.manifest.formats import CHECKS
from provisioner.manifest.problems import ProblemLog
from provisioner.model.account import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from provisioner.document import Check, Step, Value

_STAND_IN: Final = "x"

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
"""Not 1.0, 1e1 or 01, which a spreadsheet may have made of something else."""
_NO_NUMBER: Final = (
    "must be a whole number, in digits only",
    "Write it as in 2: no sign, decimal point, space or letter, no leading zero, and at most 18 digits.",
)


def read(raw: bytes, file: str, encoding: str | None = None, refused: Check | None = None) -> FileContent:
    """Return the content of the table ``raw``; ``encoding`` as in :func:`open_table`.

    ``refused`` says which placeholders may not be read.
    """
    columns = _columns()
    try:
        table = open_table(raw, file, columns, encoding)
    except UnreadableTable as error:
        return FileContent((), (error.problem,))
    problems = ProblemLog((*table.notes, *header_problems(table, columns, _required())))
    paths = [(at, columns[name]) for name, at in positions(table, columns).items()]
    numbers = _numbers()
    entries = [
        Entry(
            _fields(row.cells, paths, numbers),
            row.origin,
            table.at(row.origin, "name"),
            "name",
            table.at(row.origin, "previously"),
            "previously",
        )
        for row in fitting(table, problems)
    ]
    if entries:
        problems.extend(_cell_problems(entries, table, numbers, refused))
    if _misses_parent(table, columns):
        # The parent of each account is unknown, so names that several parents use would look repeated.
        entries = []
    return FileContent(tuple(entries), tuple(table.placed(problems.kept)), more=problems.more)


def _misses_parent(table: Table, columns: Collection[str]) -> bool:
    """Return whether the table has a column for the parent, but its name is misspelled."""
    unknown = (name for name in table.header if name not in columns)
    return "parent" not in table.header and any(nearest(name, list(columns)) == "parent" for name in unknown)


def _account() -> dict[str, Any]:
    """Return the schema of each field of an account."""
    properties: dict[str, Any] = inlined(SCHEMA)["properties"]["accounts"]["items"]["properties"]
    return properties


def _columns() -> dict[str, tuple[str, ...]]:
    """Return the path in an account of each column's value."""
    columns: dict[str, tuple[str, ...]] = {}
    for name, schema in _account().items():
        for below in schema.get("properties", ()):
            columns[below] = (name, below)
        if schema["type"] != "object":
            columns[name] = (name,)
    return columns


def _numbers() -> frozenset[str]:
    """Return the columns whose cells are numbers."""
    return frozenset(name for name, schema in _account().items() if schema["type"] == "integer")


def _required() -> list[str]:
    """Return the required columns: what the schema misses in an empty account."""
    nothing: Value = {"version": 1, "accounts": [{}]}
    return [str(each.path[-1]) for each in violations(nothing, SCHEMA, CHECKS)]


def _fields(
    cells: tuple[str | None, ...], paths: list[tuple[int, tuple[str, ...]]], numbers: frozenset[str]
) -> dict[str, Value]:
    """Return the account in ``cells``; an empty cell is an absent value, and an invalid number stays text."""
    fields: dict[str, Value] = {}
    for at, path in paths:
        if text := cells[at]:
            group: Any = fields
            for step in path[:-1]:
                group = group.setdefault(step, {})
            group[path[-1]] = int(text) if path[-1] in numbers and _NUMBER.fullmatch(text) else text
    return fields


def _cell_problems(
    entries: list[Entry], table: Table, numbers: frozenset[str], refused: Check | None
) -> Iterator[Problem]:
    """Yield the problems that the schema finds in the cells, and advice on the other cells."""
    # A missing column was reported once; here every row gets a valid value for it.
    missing: dict[str, Value] = {name: _STAND_IN for name in _required() if name not in table.header}
    accounts: list[Value] = [{**missing, **entry.fields} for entry in entries]
    wrong: set[tuple[Step, ...]] = set()
    for violation in violations({"version": 1, "accounts": accounts}, SCHEMA, CHECKS):
        match violation.path:
            case (_, int(index), *_, str(column)) if violation.part is Part.MISSING:
                yield cell(entries[index].origin, column, "is empty", "Every account needs it.")
            case (_, int(index), *_, str(column)):
                wrong.add((index, column))
                # The schema's own message is for YAML, where digits are not text.
                is_text = column in numbers and isinstance(entries[index].fields[column], str)
                predicate, hint = _NO_NUMBER if is_text else (violation.predicate, violation.hint)
                yield cell(entries[index].origin, column, predicate, hint)
            case _:
                # There are more than are reported one by one.
                yield Problem(table.origin, "", f"The table {violation.predicate}.", violation.hint)
    for index, entry in enumerate(entries):
        for path, (predicate, hint), severity in advice(entry.fields, refused):
            if (index, path[-1]) not in wrong:
                yield cell(entry.origin, str(path[-1]), predicate, hint, severity)
