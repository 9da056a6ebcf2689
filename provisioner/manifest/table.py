"""The CSV manifest: a table becomes entries, one row each.

Owns which columns there are, which it takes from the schema, and the naming of problems
by row and column. Refuses rows that do not fit the header; nothing is shifted or padded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provisioner.document import Part as Of
from provisioner.document import inlined, nearest, shown, spelled, violations
from provisioner.manifest.advice import advice
from provisioner.manifest.cells import Row, Table, Unreadable, open_table
from provisioner.manifest.entries import SCHEMA, Entry, Part
from provisioner.manifest.formats import CHECKS
from provisioner.model.account import Origin, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provisioner.document import Step, Value

_STAND_IN: Final = "x"


def read(raw: bytes, file: str) -> Part:
    """Return what the CSV manifest ``raw`` holds."""
    columns = _columns()
    try:
        table = open_table(raw, file, columns)
    except Unreadable as error:
        return Part((), (error.problem,))
    problems = [*table.notes, *_header_problems(table, columns)]
    header = table.header
    paths = [(at, columns[name]) for at, name in enumerate(header) if name in columns and name not in header[:at]]
    entries: list[Entry] = []
    rows = 0
    for row in table.rows():
        rows += 1
        if row.width != len(header):
            problems.append(_uneven(row, header))
        else:
            entries.append(Entry(_fields(row.cells, paths), row.origin, row.origin, "name"))
    if not rows:
        hint = "Write a row for each account below it."
        problems.append(Problem(table.origin, "", "The table has a header and no account.", hint))
    if entries:
        problems += _cell_problems(entries, table)
    return Part(tuple(entries), tuple(problems))


def _columns() -> dict[str, tuple[str, ...]]:
    """Return each column with the path of its value in an account."""
    columns: dict[str, tuple[str, ...]] = {}
    properties: dict[str, Any] = inlined(SCHEMA)["properties"]["accounts"]["items"]["properties"]
    for name, schema in properties.items():
        for below in schema.get("properties", ()):
            columns[below] = (name, below)
        if schema["type"] == "string":
            columns[name] = (name,)
    return columns


def _required() -> list[str]:
    """Return the columns that every table has, by asking what an empty account lacks."""
    nothing: Value = {"version": 1, "accounts": [{}]}
    return [str(each.path[-1]) for each in violations(nothing, SCHEMA, CHECKS)]


def _header_problems(table: Table, columns: Mapping[str, object]) -> Iterator[Problem]:
    header = table.header
    misspelled: set[str | None] = set()
    for number, name in enumerate(header, 1):
        place = f"number {number}"
        if not name:
            hint = "Name it, or delete it with all of its cells."
            yield Problem(table.origin, "", f"The column {place} has no name.", hint)
        elif name not in columns:
            near = nearest(name, list(columns))
            misspelled.add(near)
            hint = f"Did you mean {near}?" if near else f"Known here: {', '.join(columns)}."
            path = name if shown(name) else ""
            yield Problem(table.origin, path, f"The column {shown(name) or place} is not known.", hint)
        elif name in header[: number - 1]:
            yield Problem(table.origin, name, f"The column {name} stands twice.", "Delete one of the two.")
    for name in _required():
        if name not in header and name not in misspelled:
            yield Problem(table.origin, name, f"The column {name} is missing.", "Add it; every account needs it.")


def _uneven(row: Row, header: tuple[str, ...]) -> Problem:
    message = f"Row {row.origin.row} has {row.width} cells, and the header has {len(header)}."
    if row.width < len(header):
        hint = "Leave a cell empty rather than out: the separators must be as many as in the header."
        return Problem(row.origin, spelled((header[row.width],)), message, hint)
    return Problem(row.origin, "", message, "Put a text that holds a separator in double quotes.")


def _fields(cells: tuple[str | None, ...], paths: list[tuple[int, tuple[str, ...]]]) -> dict[str, Value]:
    """Return the account in ``cells``; an empty cell is an absent value."""
    fields: dict[str, Value] = {}
    for at, path in paths:
        if cell := cells[at]:
            group: Any = fields
            for step in path[:-1]:
                group = group.setdefault(step, {})
            group[path[-1]] = cell
    return fields


def _cell_problems(entries: list[Entry], table: Table) -> Iterator[Problem]:
    """Yield what the schema says against the cells, and what is unwise about those that are left."""
    # A column that is missing was reported once; in its place every row has a good value.
    missing: dict[str, Value] = {name: _STAND_IN for name in _required() if name not in table.header}
    accounts: list[Value] = [{**missing, **entry.fields} for entry in entries]
    wrong: set[tuple[Step, ...]] = set()
    for violation in violations({"version": 1, "accounts": accounts}, SCHEMA, CHECKS):
        match violation.path:
            case (_, int(index), *_, str(column)) if violation.part is Of.MISSING:
                yield _cell(entries[index].origin, column, "is empty", "Every account needs it.", Severity.ERROR)
            case (_, int(index), *_, str(column)):
                wrong.add((index, column))
                yield _cell(entries[index].origin, column, violation.predicate, violation.hint, Severity.ERROR)
            case _:
                # There are more than are told one by one.
                yield Problem(table.origin, "", f"The table {violation.predicate}.", violation.hint)
    for index, entry in enumerate(entries):
        for path, (predicate, hint) in advice(entry.fields):
            if (index, path[-1]) not in wrong:
                yield _cell(entry.origin, str(path[-1]), predicate, hint, Severity.WARNING)


def _cell(origin: Origin, column: str, predicate: str, hint: str, severity: Severity) -> Problem:
    return Problem(origin, column, f"The {column} of row {origin.row} {predicate}.", hint, severity)
