"""Cells: from the bytes of a table to its rows, each with its line.

Handles encodings, delimiters and quotes. pandas reads the cells, but it silently pads a
short row, cuts a long one and drops a broken one. So the csv module first measures the
rows, under the same rules. Does not guess types: a cell is text.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from array import array
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import pandas as pd

from provisioner.document import decoded, is_utf32, merge_mark
from provisioner.immutable import immutable
from provisioner.manifest import eight_bit
from provisioner.model.account import Origin, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MAX_ROWS: Final = 250_000
MAX_COLUMNS: Final = 50
MAX_CHARACTERS: Final = 10_000_000
"""In one cell: no file is larger."""

_DELIMITERS: Final = ",;\t"
_BLANK: Final = f" {_DELIMITERS}"
_ABOVE: Final = re.compile(rf"(?:[{_BLANK}]*\n)*")
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of an Excel file, in the new and the old format."""
_UTF8: Final = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
"""Valid UTF-8 among escaped bytes, which are surrogates."""
_SAVE_AS: Final = "Save it again: in Excel, as CSV UTF-8."
_NAME_IT: Final = "Name the right encoding: `encoding: NAME` in provisioner.yaml, PROVISIONER_ENCODING or --encoding."


# Far above a cell's limit, so that a long cell is reported as too long, and not as an open quote.
csv.field_size_limit(MAX_CHARACTERS)


class UnreadableTable(Exception):  # noqa: N818  # it only carries a problem up to the reader
    """The table cannot be read."""

    def __init__(self, origin: Origin, message: str, hint: str) -> None:
        super().__init__(message)
        self.problem = Problem(origin, "", message, hint)


@immutable
class Row:
    """One row of accounts."""

    origin: Origin
    width: int
    """How many cells the row has in the file."""
    cells: tuple[str | None, ...]
    """As many as in the header; None where the row ends early."""


@immutable
class Table:
    """An open table."""

    header: tuple[str, ...]
    origin: Origin
    """The header's."""
    notes: tuple[Problem, ...]
    _frame: pd.DataFrame
    """Its first row is the header; its last column holds what exceeds the header."""
    _lines: array[int]
    _widths: array[int]

    def at(self, origin: Origin, column: str | int) -> Origin:
        """Return the cell of ``column``, a name or a position from 1, in the row at ``origin``; in CSV, the row."""
        if isinstance(column, str):
            column = self.header.index(column) + 1 if column in self.header else 0
        if origin.left is None or origin.column is not None or not column:
            return origin
        return replace(origin, column=origin.left + column - 1)

    def placed(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Yield each problem with its cell."""
        for each in problems:
            yield replace(each, origin=self.at(each.origin, each.path))

    def rows(self) -> Iterator[Row]:
        """Yield each row below the header, except blank ones; trailing separators do not count."""
        number = 0
        wanted = len(self.header)
        columns = (self._frame[at].tolist() for at in self._frame.columns)
        measured = zip(self._lines, self._widths, zip(*columns, strict=True), strict=True)
        for line, width, cells in islice(measured, 1, None):
            if width:
                number += 1
                ends = width > wanted and not any(each and each.strip() for each in cells[wanted:])
                above = self.origin
                origin = Origin(
                    above.file, line, None, number if above.sheet is None else line, above.sheet, above.left
                )
                yield Row(origin, wanted if ends else width, cells[:wanted])


def open_text(raw: bytes, file: str, known: Collection[str], encoding: str | None = None) -> Table:
    """Return the table in the text ``raw``.

    :param known: the column names; they identify the header and its delimiter.
    :param encoding: the encoding of ``raw`` if it is not UTF-8; None: Windows-1252, if nothing else is plausible.
    :raises UnreadableTable: there is no header, or the cells cannot be separated.
    """
    text, notes = _text(raw, file, encoding)
    if mark := merge_mark(text):
        line, message, hint = mark
        raise UnreadableTable(Origin(file, line + 1), message, hint)
    text, delimiter = _announced(text, file)
    above = _ABOVE.match(text)
    body = text[above.end() :] if above else text
    head = body.partition("\n")[0]
    origin = Origin(file, text.count("\n", 0, len(text) - len(body)) + 1)
    if not head.strip(_BLANK):
        raise UnreadableTable(
            Origin(file), "The file is empty.", "Write a header, and below it a row for each account."
        )
    spellings = {plain(each) for each in known}
    delimiter = delimiter or max(_DELIMITERS, key=lambda each: len(_names(head, each) & spellings))
    names = _names(head, delimiter) & spellings
    if not names and len(spellings & set(map(plain, re.findall(r"\w+", head)))) > 1:
        message = "The columns are not separated by commas, semicolons or tabs."
        raise UnreadableTable(origin, message, "Save the file again with one of these as the separator.")
    if not names:
        hint = f"Begin with a line of column names, from these: {', '.join(known)}."
        raise UnreadableTable(origin, "There is no header: no column name is recognised.", hint)
    lines, widths = _measured(body, delimiter, origin)
    if widths[0] == 1 and len(names) > 1:
        message = "The whole header is in one pair of quotes, which makes it one cell."
        raise UnreadableTable(origin, message, "Delete the quotes around whole lines.")
    if widths[0] > MAX_COLUMNS:
        message = f"The header has more than {MAX_COLUMNS} columns."
        raise UnreadableTable(origin, message, "Delete the unknown ones.")
    frame = pd.read_csv(
        io.StringIO(body),
        sep=delimiter,
        engine="python",
        header=None,
        names=range(widths[0] + 1),
        dtype=object,
        na_filter=False,
        skip_blank_lines=False,
        on_bad_lines=partial(_cut, widths[0]),
    )
    header = [str(cell).strip() for cell in frame.iloc[0, :-1]]
    while len(header) > 1 and not header[-1]:
        header.pop()
    return Table(tuple(header), origin, notes, frame, lines, widths)


def _text(raw: bytes, file: str, encoding: str | None) -> tuple[str, tuple[Problem, ...]]:
    """Return ``raw`` as text with plain line feeds, and a note if its encoding is a guess."""
    if raw.startswith(_WORKBOOKS):
        raise UnreadableTable(Origin(file), "This is an Excel workbook and not a CSV file.", _SAVE_AS)
    if is_utf32(raw):
        raise UnreadableTable(Origin(file), "The file is UTF-32, which is not supported.", "Save it as UTF-8.")
    notes: tuple[Problem, ...] = ()
    wide = b"\0" in raw and not raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = _named(raw, file, encoding) if wide and encoding is not None else decoded(raw)
    except UnicodeDecodeError as error:
        if encoding is not None:
            text = _named(raw, file, encoding)
        else:
            text = _windows(raw, Origin(file, _line(raw[: error.start])))
            message = f"The file is not UTF-8. It was read as {eight_bit.USUAL}, in which Excel saves CSV files."
            hint = "Check the accents in the plan. Save the file as UTF-8, or set `encoding: windows-1252`."
            notes = (Problem(Origin(file), "", message, hint, Severity.NOTE),)
    if raw.count(b"\0") > len(raw) // 4 and "\0" in text:
        raise UnreadableTable(Origin(file), "The file is UTF-16 without a byte-order mark.", _SAVE_AS)
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _line(before: bytes) -> int:
    """Return the number of the line in which ``before`` ends."""
    return before.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1


def _named(raw: bytes, file: str, encoding: str) -> str:
    """Return ``raw`` decoded with the ``encoding`` that the user named; raises UnreadableTable if it is not valid."""
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        origin = Origin(file, _line(raw[: error.start]))
        byte = f"byte {error.start + 1:,} (0x{raw[error.start]:02X})"
        message = f"The file is not {encoding}: {byte} is not valid in it."
        raise UnreadableTable(origin, message, "Save it as UTF-8, or correct `encoding`.") from None


def _windows(raw: bytes, origin: Origin) -> str:
    """Return ``raw`` decoded as Windows-1252, if nothing else is plausible.

    :raises UnreadableTable: it is broken UTF-16, partly UTF-8, ambiguous, or not text.
    """
    partly = _UTF8.search(raw.decode("utf-8", "surrogateescape"))
    if partly or raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnreadableTable(origin, "A character here is in a different encoding from the rest.", _SAVE_AS)
    if eight_bit.is_usual(raw):
        return raw.decode(eight_bit.USUAL)
    line, found = eight_bit.readings(raw)
    if not found:
        raise UnreadableTable(origin, "The file is not UTF-8, and its encoding is unknown.", f"{_SAVE_AS} {_NAME_IT}")
    words = [f'"{text}" in {codec}' for codec, text in found]
    first = ", ".join(words[:-1]) + " or " if len(words) > 1 else ""
    message = f"The file is not UTF-8, and its encoding is uncertain: a word here would be {first}{words[-1]}."
    raise UnreadableTable(
        Origin(origin.file, line), message, f"{_NAME_IT} Or save the file as UTF-8 (in Excel: CSV UTF-8)."
    )


def _announced(text: str, file: str) -> tuple[str, str]:
    """Return ``text`` with Excel's line ``sep=;`` blanked, and the delimiter that it declares."""
    first, _, rest = text.partition("\n")
    words = first.strip('"')
    if not words.lower().startswith("sep="):
        return text, ""
    delimiter = words[4:]
    if len(delimiter) != 1 or delimiter not in _DELIMITERS:
        message = "This line declares a separator that is not supported."
        raise UnreadableTable(Origin(file, 1), message, "Delete the line; comma, semicolon and tab are recognised.")
    return f"\n{rest}", delimiter


def _names(head: str, delimiter: str) -> set[str]:
    """Return the column names in ``head``, normalised: a misspelled header is still a header."""
    return {plain(cell) for cell in head.split(delimiter)}


def plain(name: str) -> str:
    """Return the column name ``name``, normalised: letters and digits only, in lower case."""
    return "".join(each for each in name.lower() if each.isalnum())


def _measured(body: str, delimiter: str, origin: Origin) -> tuple[array[int], array[int]]:
    """Return the line and the number of cells of each row of ``body``; 0 if all are blank."""
    lines, widths = array("L"), array("L")
    reader = csv.reader(io.StringIO(body), delimiter=delimiter, strict=True)
    above = (origin.line or 1) - 1
    begins = number = 0
    try:
        for cells in reader:
            lines.append(above + begins + 1)
            widths.append(len(cells) if any(map(str.strip, cells)) else 0)
            begins = reader.line_num
            number += widths[-1] > 0
            if len(lines) > MAX_ROWS:
                message = f"The table has more than {MAX_ROWS:,} rows."
                raise UnreadableTable(Origin(origin.file, lines[-1]), message, "Split it into several files.")
    except csv.Error as error:
        place = Origin(origin.file, above + begins + 1, row=number or None)
        if "expected after" in str(error):
            message, hint = "There is text after a closing quote here.", 'Double each quote inside: "Le ""Sud""".'
        else:
            message, hint = "A quote that opens in this row is never closed.", "Close it, or delete it."
        raise UnreadableTable(place, message, hint) from None
    return lines, widths


def _cut(width: int, cells: list[str]) -> list[str]:
    """Return a row that is too long, with everything beyond ``width`` joined into one cell."""
    return [*cells[:width], "".join(cells[width:])]
