"""Columns: checks a table's header and which rows fit it, and names a cell in a problem.

Shared by all tables. Refuses rows that do not fit the header: nothing is shifted or padded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.document import disguise, nearest, shown, spelled
from provisioner.manifest.cells import open_text
from provisioner.manifest.problems import errors
from provisioner.manifest.sources import WORKBOOK_SUFFIXES
from provisioner.model.account import Origin, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from provisioner.manifest.cells import Row, Table
    from provisioner.manifest.problems import ProblemLog


def open_table(raw: bytes, file: str, known: Collection[str], encoding: str | None = None) -> Table:
    """Return the table in ``raw``: a workbook or a text, by the name of ``file``; see `open_text`."""
    if file.lower().endswith(WORKBOOK_SUFFIXES):
        from provisioner.manifest.workbook import open_workbook  # noqa: PLC0415  # a text does not need it

        return open_workbook(raw, file, known)
    return open_text(raw, file, known, encoding)


def header_problems(table: Table, known: Collection[str], required: Collection[str]) -> Iterator[Problem]:
    """Yield the problems of the header, given the ``known`` and the ``required`` columns."""
    header = table.header
    misspelled: set[str | None] = set()
    for number, name in enumerate(header, 1):
        place, origin = f"number {number}", table.at(table.origin, number)
        if not name:
            hint = "Name it, or delete it with all of its cells."
            yield Problem(origin, "", f"The column {place} has no name.", hint)
        elif name not in known:
            near = nearest(name, list(known))
            misspelled.add(near)
            how, hint = disguise(name) or ("is not known", f"Known columns: {', '.join(known)}.")
            if near:
                hint = f"Did you mean {near}?"
            path = name if shown(name) else ""
            yield Problem(origin, path, f"The column {shown(name) or place} {how}.", hint)
        elif name in header[: number - 1]:
            yield Problem(origin, name, f"The column {name} appears twice.", "Delete one of the two.")
    for name in required:
        if name not in header and name not in misspelled:
            yield Problem(table.origin, name, f"The column {name} is missing.", "Add it; every account needs it.")


def positions(table: Table, known: Collection[str]) -> dict[str, int]:
    """Return the first position of each ``known`` column that the table has."""
    return {name: table.header.index(name) for name in table.header if name in known}


def fitting(table: Table, problems: ProblemLog) -> Iterator[Row]:
    """Yield the rows that fit the header; add those that do not to ``problems``, or that there is no row."""
    rows = 0
    for row in table.rows():
        rows += 1
        if row.width == len(table.header):
            yield row
        elif problems.has_room():
            problems.append(_uneven(row, table.header))
        else:
            problems.more += 1
    if not rows and not errors(table.notes):
        hint = "Write a row for each account below it."
        problems.append(Problem(table.origin, "", "The table has a header but no account.", hint))


def cell(origin: Origin, column: str, predicate: str, hint: str, severity: Severity = Severity.ERROR) -> Problem:
    """Return a problem of the cell in ``column`` of the row at ``origin``."""
    return Problem(origin, column, f"The {column} of row {origin.row} {predicate}.", hint, severity)


def _uneven(row: Row, header: tuple[str, ...]) -> Problem:
    cells = "1 cell" if row.width == 1 else f"{row.width} cells"
    message = f"Row {row.origin.row} has {cells}, but the header has {len(header)}."
    if row.width < len(header):
        hint = "Keep the separators of empty cells: each row needs as many as the header."
        return Problem(row.origin, spelled((header[row.width],)), message, hint)
    return Problem(row.origin, "", message, "Put a text that contains a separator in double quotes.")
