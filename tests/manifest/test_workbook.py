"""Workbooks: what a cell shows is accepted or refused, and every problem has its cell."""
# ruff: noqa: ANN401  # openpyxl has no types

import io
import sys
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from provisioner.manifest import logins
from provisioner.manifest.entries import FileContent
from provisioner.manifest.load import load
from provisioner.manifest.table import read
from provisioner.render.annotations import one_line
from provisioner.render.documents import problem as document
from provisioner.render.text import problem as lines

HEADER = ["name", "first_name", "last_name"]
GOOD = ["paris", "Leonardo", "Da Vinci"]


def book(*rows: list[Any], title: str = "Sheet1", then: Callable[[Any, Any], None] | None = None) -> bytes:
    workbook = openpyxl.Workbook()
    sheet: Any = workbook.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    if then:
        then(workbook, sheet)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def accounts(raw: bytes, file: str = "m.xlsx") -> list[dict[str, Any]]:
    found = read(raw, file)
    assert found.problems == ()
    return [dict(each.fields) for each in found.entries]


def told(raw: bytes, file: str = "m.xlsx") -> list[tuple[str, str]]:
    part: FileContent = read(raw, file)
    assert all(each.hint and each.origin.file == file for each in part.problems)
    return [(each.origin.cell, each.message) for each in part.problems]


def ods(rows: str, styles: str = "", table: str = "") -> bytes:
    spaces = " ".join(
        f'xmlns:{each}="urn:oasis:names:tc:opendocument:xmlns:{each}:1.0"'
        for each in ("office", "table", "text", "style")
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        packed.writestr("META-INF/manifest.xml", "<manifest/>")
        packed.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:automatic-styles>{styles}</office:automatic-styles>"
            "<office:body>"
            f'<office:spreadsheet><table:table table:name="S" {table}>{rows}</table:table></office:spreadsheet>'
            "</office:body></office:document-content>",
        )
    return stream.getvalue()


def row(*cells: str, how: str = "") -> str:
    return f"<table:table-row {how}>{''.join(map(cell, cells))}</table:table-row>"


def cell(text: str, how: str = 'office:value-type="string"') -> str:
    if text.startswith("<"):
        return text
    return f"<table:table-cell {how}><text:p>{text}</text:p></table:table-cell>"


@pytest.mark.parametrize("text", ["0033", "NA", "1e5", "12345678901234567890", "2024-01-02", "=1+1", "True"])
def test_text_stays_the_text_that_it_is(text: str) -> None:
    def type_it(_: Any, sheet: Any) -> None:
        sheet["B2"].value = text
        sheet["B2"].data_type = "s"

    assert accounts(book(HEADER, ["paris", "x", "b"], then=type_it))[0]["first_name"] == text
    assert accounts(ods(row(*HEADER) + row("paris", text, "b")), "m.ods")[0]["first_name"] == text


@pytest.mark.parametrize(
    ("value", "shape", "shown"),
    [
        (33, "General", "33"),
        (33, "0000", "0033"),
        (12345678901, "General", "12345678901"),
        (123456789012, "General", None),
        (123456789012, "0", "123456789012"),
        (1234567890123456, "0", None),
        (33, "#,##0", None),
        (1.5, "General", None),
        (True, "General", None),
        (date(2024, 1, 2), "yyyy-mm-dd", None),
        ("=1+1", "General", None),
        ("#N/A", "General", None),
    ],
)
def test_a_number_is_read_only_where_what_it_shows_is_certain(value: Any, shape: str, shown: str | None) -> None:
    def form(_: Any, sheet: Any) -> None:
        sheet["C2"].number_format = shape

    raw = book(HEADER, ["paris", "a", value], then=form)
    if shown is not None:
        assert accounts(raw)[0]["last_name"] == shown
    else:
        ((place, message),) = told(raw)
        assert place == "Sheet1!C2"
        assert message.startswith("The cell is ")


def test_a_title_above_the_table_and_a_margin_are_left_out() -> None:
    raw = book(["Our accounts"], [], [None, *HEADER], [], [None, *GOOD])
    (entry,) = read(raw, "m.xlsx").entries
    assert entry.fields == dict(zip(HEADER, GOOD, strict=True))
    assert (entry.origin.line, entry.origin.row, entry.name_origin.cell) == (5, 5, "Sheet1!B5")


def test_every_problem_has_its_cell_in_every_format() -> None:
    raw = book(["Title"], [None, *HEADER], [None, "Paris!", "a", None], title="My sheet")
    first, second = read(raw, "m.xlsx").problems
    assert [first.origin.cell, second.origin.cell] == ["'My sheet'!B3", "'My sheet'!D3"]
    assert lines(second)[0].text.startswith("m.xlsx 'My sheet'!D3 (row 3, last_name): error: ")
    assert one_line(second).startswith("'My sheet'!D3: ")
    assert {"sheet": "My sheet", "line": 3, "column": 4, "row": 3}.items() <= document(second).items()


def test_a_cell_next_to_the_table_and_an_unknown_column_are_reported_with_their_cell() -> None:
    raw = book([*HEADER, "colour"], [*GOOD, "", "a note"])
    assert [place for place, _ in told(raw)] == ["Sheet1!D1", "Sheet1!E1"]


def test_merged_cells_are_refused_within_the_table_alone() -> None:
    def merge(_: Any, sheet: Any) -> None:
        sheet.merge_cells("A1:C1")
        sheet.merge_cells("B3:B4")

    raw = book(["Title"], HEADER, GOOD, ["nice", None, "b"], then=merge)
    assert ("Sheet1!B3", "The cell is merged with others.") in told(raw)
    assert not any(place == "Sheet1!A1" for place, _ in told(raw))


def test_no_hidden_row_column_or_sheet_creates_an_account() -> None:
    def row_gone(_: Any, sheet: Any) -> None:
        sheet.row_dimensions[3].hidden = True

    def column_gone(_: Any, sheet: Any) -> None:
        sheet.column_dimensions["B"].hidden = True

    def sheet_gone(workbook: Any, sheet: Any) -> None:
        workbook.create_sheet("Other")
        workbook.active = 1
        sheet.sheet_state = "hidden"

    both = (HEADER, GOOD, ["nice", "a", "b"])
    assert told(book(*both, then=row_gone)) == [("Sheet1!A3", "The cell is in a hidden row.")]
    assert told(book(*both, then=column_gone)) == [("Sheet1!B1", "The cell is in a hidden column.")]
    assert [message for _, message in told(book(*both, then=sheet_gone))] == ["The sheet is hidden."]


def test_the_only_sheet_with_the_columns_is_read_and_of_several_none() -> None:
    def another(workbook: Any, _: Any) -> None:
        workbook.create_sheet("Notes").append(["name", "of a thing"])

    def twin(workbook: Any, _: Any) -> None:
        workbook.create_sheet("Old").append(HEADER)

    assert len(accounts(book(HEADER, GOOD, then=another))) == 1
    assert told(book(HEADER, GOOD, then=twin)) == [("", "Several sheets contain accounts: Sheet1, Old.")]
    assert told(book(["nothing"]))[0][1].startswith("There is no header")


def test_of_several_sheets_the_one_that_is_named_accounts_is_read_and_the_others_are_named() -> None:
    def others(workbook: Any, _: Any) -> None:
        for name in ("Old", "Draft"):
            workbook.create_sheet(name).append(HEADER)
            workbook[name].append(["rome", "Artemisia", "Gentileschi"])

    found = read(book(HEADER, GOOD, title="Accounts", then=others), "m.xlsx")
    assert ["paris"] == [each.fields["name"] for each in found.entries]
    assert [("note", "Only this sheet is read, and not Old, Draft.")] == [
        (each.severity.value, each.message) for each in found.problems
    ]


def test_what_cannot_be_read_is_named_as_what_it_is() -> None:
    def zipped(name: str, content: bytes) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(name, content)
        return stream.getvalue()

    old = b"\xd0\xcf\x11\xe0" + bytes(512)
    expected = {
        old: "This is an old Excel workbook (.xls).",
        old + "EncryptedPackage".encode("utf-16-le"): "The workbook has a password.",
        b"name,first_name": "This is not a workbook, or it is damaged.",
        book(HEADER, GOOD)[:-40]: "This is not a workbook, or it is damaged.",
        zipped("a.txt", b""): "The workbook is damaged.",
        zipped("content.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'): "The workbook is damaged.",
        zipped("xl/vbaProject.bin", b""): "The workbook contains macros (.xlsm).",
        zipped("META-INF/manifest.xml", b"<encryption-data/>"): "The workbook has a password.",
        zipped("xl/a.xml", bytes(50_000_001)): "The workbook is over 50 MB when unpacked.",
    }
    for raw, message in expected.items():
        assert told(raw) == [("", message)]


def test_names_that_are_not_a_manifest_s(tmp_path: Path) -> None:
    (tmp_path / "m.xlsx").write_bytes(book(HEADER, GOOD))
    (tmp_path / "~$m.xlsx").write_bytes(b"owner")
    assert len(load([tmp_path]).require()) == 1
    for name, message in {"~$m.xlsx": "not the name", "a.xlsm": "macros", "a.xls": "old Excel workbook"}.items():
        (tmp_path / name).write_bytes(b"x")
        assert message in load([tmp_path / name]).problems[0].message


def test_a_name_that_is_used_twice_is_told_with_both_cells(tmp_path: Path) -> None:
    (tmp_path / "m.xlsx").write_bytes(book(HEADER, GOOD, GOOD))
    (found,) = load([tmp_path]).errors
    assert (found.origin.cell, found.message) == ("Sheet1!A3", 'The name "paris" is already used: Sheet1!A2.')


def test_logins_are_read_from_a_workbook_too(tmp_path: Path) -> None:
    path = tmp_path / "l.xlsx"
    path.write_bytes(book(["name", "login"], ["paris", "a b"]))
    assert [each.origin.cell for each in logins.read(path).problems] == ["Sheet1!B2"]


def test_of_open_document_what_is_shown_is_taken_or_refused() -> None:
    number = '<table:table-cell office:value-type="float" office:value="33"><text:p>{}</text:p></table:table-cell>'
    spaced = "<table:table-cell><text:p>a<text:s/><text:span>b</text:span></text:p></table:table-cell>"
    rest = row("", how='table:number-rows-repeated="1048576"')
    good = ods(row(*HEADER) + row("paris", number.format("0033"), spaced) + rest)
    assert accounts(good, "m.ods") == [{"name": "paris", "first_name": "0033", "last_name": "a b"}]
    for bad in (
        number.format("3.3E1"),
        cell("1.2.24", 'office:value-type="date" office:date-value="2024-02-01"'),
        cell("a", 'office:value-type="string" table:formula="of:=A1"'),
        cell("a", 'table:number-rows-spanned="2"'),
    ):
        assert [place for place, _ in told(ods(row(*HEADER) + row("paris", "a", bad)), "m.ods")] == ["S!C2"]
    many = f'<table:table-cell table:number-columns-repeated="9999999">{"<text:p>a</text:p>"}</table:table-cell>'
    assert "more than 1,000,000 cells" in told(ods(row(many)), "m.ods")[0][1]


def test_of_open_document_nothing_hidden_creates_an_account() -> None:
    hidden = row("paris", "a", "b", how='table:visibility="filter"')
    assert told(ods(row(*HEADER) + hidden), "m.ods") == [("S!A2", "The cell is in a hidden row.")]
    folded = f'<table:table-row-group table:display="false">{row(*GOOD)}</table:table-row-group>'
    assert told(ods(row(*HEADER) + folded), "m.ods") == [("S!A2", "The cell is in a hidden row.")]
    column = '<table:table-column/><table:table-column table:visibility="collapse"/>'
    assert told(ods(column + row(*HEADER) + row(*GOOD)), "m.ods") == [("S!B1", "The cell is in a hidden column.")]
    off = '<style:style style:name="o"><style:table-properties table:display="false"/></style:style>'
    sheet = ods(row(*HEADER) + row(*GOOD), off, 'table:style-name="o"')
    assert [message for _, message in told(sheet, "m.ods")] == ["The sheet is hidden."]


def test_a_text_loads_nothing_that_workbooks_need() -> None:
    import subprocess  # noqa: PLC0415

    code = (
        "import sys; from provisioner.manifest.table import read; "
        "read(b'name,first_name,last_name\\np,a,b\\n', 'm.csv'); "
        "assert not {'openpyxl', 'defusedxml', 'provisioner.manifest.workbook'} & set(sys.modules); "
        "sys.modules['openpyxl'] = None; print(read(b'PK', 'm.xlsx').problems[0].hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "Install the libraries for it: pip install 'octopush-provisioner[excel]'.\n"
