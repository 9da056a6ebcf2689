"""Workbooks: from the bytes of an .xlsx or .ods file to the same table as from a CSV file.

Decides what a cell shows. Accepts text as it is, and a number only if what it shows is certain;
refuses dates, formulas, errors, and merged or hidden cells. Does not guess which sheet is meant.
"""

from __future__ import annotations

import io
import re
import zipfile
from array import array
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from provisioner.manifest.cells import MAX_COLUMNS, MAX_ROWS, Table, UnreadableTable, plain
from provisioner.model.account import Origin, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

Place = tuple[int, int]
"""Row and column, from 1."""
Fault = tuple[str, str]

CHOSEN: Final = "accounts"
"""The name of the sheet that is read where several have the columns."""
MAX_UNPACKED: Final = 50_000_000
"""Bytes of a workbook, unpacked."""
MAX_CELLS: Final = 1_000_000

_OLD: Final = b"\xd0\xcf\x11\xe0"
_MOST_DIGITS: Final = 15
"""A spreadsheet keeps no more digits of a number."""
_SHOWN_BY_GENERAL: Final = 11
_ESCAPED: Final = re.compile("_x[0-9A-Fa-f]{4}_")
_AS_TEXT: Final = "Format the column as text and type the value again."
_FORMULA: Final = "is a formula", "Copy it, and paste only its value."
_NUMBER: Final = "is a number, and what it shows is uncertain", _AS_TEXT
_TYPES: Final = {"d": "a date or a time", "b": "true or false and not text", "e": "an error"}
_DAMAGED: Final = "The workbook is damaged.", "Open it in Excel or LibreOffice, and save it again."


@dataclass(slots=True)
class Sheet:
    """One sheet: its non-empty cells, and their faults."""

    name: str
    hidden: bool
    cells: dict[Place, str] = field(default_factory=dict)
    faults: dict[Place, Fault] = field(default_factory=dict)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    """First row and column, last row and column."""
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)

    def put(self, place: Place, text: str, fault: Fault | None = None) -> None:
        """Add a cell."""
        if text.strip() or fault:
            self.cells[place] = text
            if fault:
                self.faults[place] = fault

    def header(self, known: Collection[str]) -> int | None:
        """Return the first row with the most ``known`` column names; None if no row has two."""
        names: dict[int, set[str]] = {}
        for (row, _), text in self.cells.items():
            if (name := plain(text)) in known:
                names.setdefault(row, set()).add(name)
        best = max(names, key=lambda row: (len(names[row]), -row), default=0)
        return best if len(names.get(best, ())) > 1 else None


def open_workbook(raw: bytes, file: str, known: Collection[str]) -> Table:
    """Return the table in the workbook ``raw``, as :func:`provisioner.manifest.cells.open_text` does for a text.

    :raises UnreadableTable: it is not a readable workbook, or it is unclear which sheet is meant.
    """
    origin = Origin(file)
    sheets = _sheets(raw, origin)
    names = {plain(each) for each in known}
    headed = [(sheet, row) for sheet in sheets if (row := sheet.header(names)) is not None]
    if not headed:
        hint = f"Begin a sheet with a row of column names, from these: {', '.join(known)}."
        raise UnreadableTable(origin, "There is no header: no sheet has a row with two column names.", hint)
    chosen = [each for each in headed if plain(each[0].name) == CHOSEN] if headed[1:] else headed
    if len(chosen) != 1:
        hint = f"Name the one that is meant `{CHOSEN}`, or move each of the others to its own file."
        raise UnreadableTable(origin, f"Several sheets contain accounts: {_listed(headed)}.", hint)
    ((sheet, row),) = chosen
    here = Origin(file, row, sheet=sheet.name)
    if sheet.hidden:
        raise UnreadableTable(here, "The sheet is hidden.", "Unhide it, and check it.")
    table = _table(sheet, row, file)
    if not (others := [each for each in headed if each[0] is not sheet]):
        return table
    hint = "Move what else is meant to files of its own."
    note = Problem(here, "", f"Only this sheet is read, and not {_listed(others)}.", hint, Severity.NOTE)
    return replace(table, notes=(note, *table.notes))


def _listed(sheets: Iterable[tuple[Sheet, int]]) -> str:
    return ", ".join(f"{each.name}{' (hidden)' if each.hidden else ''}" for each, _ in sheets)


def _table(sheet: Sheet, top: int, file: str) -> Table:
    cells = {place: text for place, text in sheet.cells.items() if place[0] >= top}
    left, right = min(column for _, column in cells), max(column for _, column in cells)
    width = right - left + 1
    origin = Origin(file, top, sheet=sheet.name, left=left)
    rows = sorted({row for row, _ in cells})
    if width > MAX_COLUMNS:
        message = f"The table has more than {MAX_COLUMNS} columns."
        raise UnreadableTable(origin, message, "Delete the unknown ones.")
    if len(rows) > MAX_ROWS + 1:
        message = f"The table has more than {MAX_ROWS:,} rows."
        raise UnreadableTable(origin, message, "Split it into several files.")
    problems = {
        place: Problem(
            Origin(file, place[0], place[1], place[0] if place[0] > top else None, sheet.name),
            cells.get((top, place[1]), "").strip(),
            f"The cell {predicate}.",
            hint,
        )
        for place, (predicate, hint) in _faults(sheet, cells, top, (left, right)).items()
    }
    # A row with such a cell cannot be checked; the manifest is refused anyway.
    bad = {row for row, _ in problems} - {top}
    good = [row for row in rows if row not in bad]
    texts = [[*(cells.get((row, column), "") for column in range(left, right + 1)), ""] for row in good]
    frame = pd.DataFrame(texts, dtype=object)
    header = tuple(text.strip() for text in texts[0][:-1])
    notes = tuple(problems[place] for place in sorted(problems))
    return Table(header, origin, notes, frame, array("L", good), array("L", [width] * len(good)))


def _faults(sheet: Sheet, cells: dict[Place, str], top: int, span: tuple[int, int]) -> dict[Place, Fault]:
    found = {place: fault for place, fault in sheet.faults.items() if place in cells}
    last, (left, right) = max(row for row, _ in cells), span
    for first_row, first, last_row, end in sheet.merged:
        if last_row >= top and first_row <= last and first <= right and end >= left:
            place = max(first_row, top), max(first, left)
            found[place] = "is merged with others", "Split the merged cells, and write each value in its own cell."
    rows, columns = {row for row, _ in cells}, {column for _, column in cells}
    for row in sheet.hidden_rows & rows:
        found[row, left] = "is in a hidden row", "Show the row (clear the filter), or delete it."
    for column in sheet.hidden_columns & columns:
        found[top, column] = "is in a hidden column", "Show the column, or delete it."
    return found


def _sheets(raw: bytes, origin: Origin) -> list[Sheet]:
    """Return the sheets of a workbook; its content decides the format."""
    if raw.startswith(_OLD):
        if "EncryptedPackage".encode("utf-16-le") in raw:
            raise UnreadableTable(origin, "The workbook has a password.", "Save it without one.")
        raise UnreadableTable(origin, "This is an old Excel workbook (.xls).", "Save it as .xlsx.")
    try:
        import defusedxml.ElementTree as Xml  # noqa: PLC0415
        import openpyxl  # noqa: F401, PLC0415
    except ImportError as error:
        hint = "Install the libraries for it: pip install 'octopush-provisioner[excel]'."
        raise UnreadableTable(origin, f"Workbooks cannot be read here ({error}).", hint) from None
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            _require_plain(packed, origin)
            if "content.xml" not in packed.namelist():
                return list(_excel(raw, origin))
            return list(_open_document(Xml.fromstring(packed.read("content.xml")), origin))
    except UnreadableTable:
        raise
    except zipfile.BadZipFile:
        message = "This is not a workbook, or it is damaged."
        raise UnreadableTable(origin, message, "Save it as .xlsx or .ods; if it is a text table, as .csv.") from None
    except Exception as error:  # the libraries raise many types for a broken file
        raise UnreadableTable(origin, *_DAMAGED) from error


def _require_plain(packed: zipfile.ZipFile, origin: Origin) -> None:
    # No file in it is ever unpacked beyond the size that it declares.
    if sum(each.file_size for each in packed.infolist()) > MAX_UNPACKED:
        message = f"The workbook is over {MAX_UNPACKED // 1_000_000} MB when unpacked."
        raise UnreadableTable(origin, message, "Split it into several files; you can pass them together.")
    names = packed.namelist()
    if any(name.endswith("vbaProject.bin") for name in names):
        raise UnreadableTable(origin, "The workbook contains macros (.xlsm).", "Save it as .xlsx.")
    if "META-INF/manifest.xml" in names and b"encryption-data" in packed.read("META-INF/manifest.xml"):
        raise UnreadableTable(origin, "The workbook has a password.", "Save it without one.")


def _excel(raw: bytes, origin: Origin) -> Iterator[Sheet]:
    from openpyxl import load_workbook  # noqa: PLC0415
    from openpyxl.utils import column_index_from_string  # noqa: PLC0415

    for each in load_workbook(io.BytesIO(raw), keep_links=False).worksheets:
        sheet = Sheet(each.title, each.sheet_state != "visible" or bool(each.sheet_format.zeroHeight))
        sheet.merged = [(one.min_row, one.min_col, one.max_row, one.max_col) for one in each.merged_cells.ranges]
        sheet.hidden_rows = {row for row, one in each.row_dimensions.items() if one.hidden or one.height == 0}
        for letter, one in each.column_dimensions.items():
            if one.hidden or one.width == 0:
                first = one.min or column_index_from_string(letter)
                sheet.hidden_columns.update(range(first, (one.max or first) + 1))
        # Only the cells in the file: the rectangle around them may have billions.
        filled = each._cells  # noqa: SLF001
        if len(filled) > MAX_CELLS:
            raise _too_many(origin, sheet)
        for place, cell in filled.items():
            if cell.value is not None:
                sheet.put(place, *_excel_cell(cell))
        yield sheet


def _excel_cell(cell: Any) -> tuple[str, Fault | None]:  # noqa: ANN401  # openpyxl has no types
    """Return what a cell shows, and the fault that makes it uncertain."""
    text, kind, shown = str(cell.value), cell.data_type, cell.number_format
    if kind in {"s", "inlineStr", "str"}:
        return text, ("contains an Excel code for a character", _AS_TEXT) if _ESCAPED.search(text) else None
    if kind == "n" and isinstance(cell.value, int) and text.isdigit():
        if shown in {"General", "@"} and len(text) <= _SHOWN_BY_GENERAL:
            return text, None
        if set(shown) == {"0"} and len(text) <= _MOST_DIGITS:
            return text.zfill(len(shown)), None
    if kind == "f":
        return text, _FORMULA
    return text, (f"is {_TYPES[kind]}", _AS_TEXT) if kind in _TYPES else _NUMBER


def _too_many(origin: Origin, sheet: Sheet) -> UnreadableTable:
    place = Origin(origin.file, sheet=sheet.name)
    return UnreadableTable(place, f"The sheet has more than {MAX_CELLS:,} cells.", "Split it into several files.")


_SPACE: Final = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
_T, _O, _X, _S = (_SPACE % each for each in ("table", "office", "text", "style"))
_WIDEST: Final = 16_384


def _open_document(content: Any, origin: Origin) -> Iterator[Sheet]:  # noqa: ANN401  # an element of XML
    off = {
        style.get(f"{_S}name")
        for style in content.iter(f"{_S}style")
        for each in style.iter(f"{_S}table-properties")
        if each.get(f"{_T}display") == "false"
    }
    for table in content.iterfind(f".//{_O}spreadsheet/{_T}table"):
        sheet = Sheet(table.get(f"{_T}name", ""), table.get(f"{_T}style-name") in off)
        gone = _folded(table)
        column = 1
        for each in table.iter(f"{_T}table-column"):
            ends = column + _times(each, "columns")
            if each in gone:
                sheet.hidden_columns.update(range(column, min(ends, _WIDEST + 1)))
            column = ends
        _add_rows(sheet, table, gone, origin)
        yield sheet


def _add_rows(sheet: Sheet, table: Any, gone: set[Any], origin: Origin) -> None:  # noqa: ANN401
    row = 1
    for each in table.iter(f"{_T}table-row"):
        again = _times(each, "rows")
        cells = list(_open_cells(each))
        if len(sheet.cells) + len(sheet.merged) + again * sum(times for _, times, *_ in cells) > MAX_CELLS:
            raise _too_many(origin, sheet)
        hidden = each in gone
        for at in range(row, row + again) if cells else ():
            if hidden:
                sheet.hidden_rows.add(at)
            for first, times, text, fault, (high, wide) in cells:
                for here in range(first, first + times):
                    sheet.put((at, here), text, fault)
                if high * wide > 1:
                    sheet.merged.append((at, first, at + high - 1, first + wide - 1))
        row += again


def _folded(table: Any) -> set[Any]:  # noqa: ANN401
    """Return the rows and columns that are hidden: singly, by a filter or in a group."""
    gone = {each for each in table.iter() if each.get(f"{_T}visibility", "visible") != "visible"}
    for group in (*table.iter(f"{_T}table-row-group"), *table.iter(f"{_T}table-column-group")):
        if group.get(f"{_T}display") == "false":
            gone.update(group.iter())
    return gone


def _times(element: Any, what: str, how: str = "repeated") -> int:  # noqa: ANN401
    return max(1, int(element.get(f"{_T}number-{what}-{how}", "1")))


def _open_cells(row: Any) -> Iterator[tuple[int, int, str, Fault | None, Place]]:  # noqa: ANN401
    """Yield each non-empty cell of a row: column, repetitions, text, fault, and the rows and columns that it spans."""
    column = 1
    for cell in row:
        if cell.tag not in {f"{_T}table-cell", f"{_T}covered-table-cell"}:
            continue
        times = _times(cell, "columns")
        kind = cell.get(f"{_O}value-type")
        text = "\n".join(_shown(each) for each in cell.findall(f"{_X}p"))
        fault: Fault | None = None
        if cell.get(f"{_T}formula") is not None:
            fault = _FORMULA
        elif kind == "float":
            value = cell.get(f"{_O}value", "")
            same = text.isascii() and text.isdigit() and value.isdigit() and int(text) == int(value)
            fault = None if same and len(value) <= _MOST_DIGITS else _NUMBER
        elif kind not in {None, "string"}:
            fault = (f"is a {kind} and not text", _AS_TEXT)
        spans = _times(cell, "rows", "spanned"), _times(cell, "columns", "spanned")
        if text.strip() or fault or spans != (1, 1):
            yield column, times, text, fault, spans
        column += times


def _shown(element: Any) -> str:  # noqa: ANN401
    """Return the text of a paragraph, with its white space expanded."""
    text = element.text or ""
    for each in element:
        if each.tag == f"{_X}s":
            text += " " * min(int(each.get(f"{_X}c", "1")), 1_000)
        elif each.tag in {f"{_X}tab", f"{_X}line-break"}:
            text += "\t" if each.tag == f"{_X}tab" else "\n"
        elif each.tag.startswith(_X):
            text += _shown(each)
        text += each.tail or ""
    return text
