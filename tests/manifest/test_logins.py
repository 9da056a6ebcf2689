"""The table of logins: which accounts are taken over, and every problem at its position."""

import csv
import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provisioner.errors import ExitCode, ManifestInvalid
from provisioner.manifest import load
from provisioner.manifest.logins import MAX_LOGIN, Login, LoginTable, fault, read
from provisioner.manifest.sources import MAX_BYTES
from provisioner.model.account import Origin, Severity

GOOD = "name,login\nparis,SECRET-paris@example.com\nlyon-2,lyon@example.com\n"


def read_text(folder: Path, text: str | bytes, name: str = "logins.csv") -> LoginTable:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read(path)
    for problem in found.problems:
        assert problem.origin.file == str(path)
        assert problem.hint
        # No login is ever repeated, nor anything else in the wrong field.
        assert "SECRET" not in f"{problem.path} {problem.message} {problem.hint}"
    return found


def problems(folder: Path, text: str | bytes) -> list[tuple[str, str, int | None, int | None]]:
    """Return message, path, line and row of each problem; all are errors."""
    found = read_text(folder, text)
    assert found.rows == ()
    assert {each.severity for each in found.problems} == {Severity.ERROR}
    return [(each.message, each.path, each.origin.line, each.origin.row) for each in found.problems]


def pairs(found: LoginTable) -> list[tuple[str, str]]:
    return [(each.name, each.api_login) for each in found.require()]


PAIRS = [("paris", "SECRET-paris@example.com"), ("lyon-2", "lyon@example.com")]


# ── What is read ─────────────────────────────────────────────────────────────


def test_a_row_is_an_account_that_exists(tmp_path: Path) -> None:
    file = str(tmp_path / "logins.csv")
    assert read_text(tmp_path, f"{GOOD}\n") == LoginTable(
        (
            Login("paris", "SECRET-paris@example.com", Origin(file, 2, row=1)),
            Login("lyon-2", "lyon@example.com", Origin(file, 3, row=2)),
        ),
        (),
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GOOD.replace(",", ";"), "x.csv"),
        (GOOD.replace(",", "\t"), "x.TSV"),
        ("sep=;\n" + GOOD.replace(",", ";"), "x.csv"),
        (GOOD.replace("\n", "\r\n"), "x.csv"),
        (GOOD.encode("utf-16"), "x.csv"),
        (GOOD.encode("utf-8-sig"), "x.csv"),
        ('"name", login \n"paris","SECRET-paris@example.com"\n\n,\nlyon-2,lyon@example.com', "x.csv"),
    ],
)
def test_every_table_that_is_a_manifest_s_is_read(tmp_path: Path, text: str | bytes, name: str) -> None:
    found = read_text(tmp_path, text, name)
    assert found.problems == ()
    assert pairs(found) == PAIRS


def test_the_order_of_columns_means_nothing(tmp_path: Path) -> None:
    assert pairs(read_text(tmp_path, "login,name\nlyon@example.com,paris\n")) == [("paris", "lyon@example.com")]


def test_rows_stay_in_the_order_of_the_table(tmp_path: Path) -> None:
    assert [each[0] for each in pairs(read_text(tmp_path, "name,login\nz,1\na,2\nm,3\n"))] == ["z", "a", "m"]


def test_a_note_does_not_refuse(tmp_path: Path) -> None:
    # No good cell has a byte that is not UTF-8, but a row that looks blank may.
    found = read_text(tmp_path, f"{GOOD}\u00a0\n".encode("cp1252"))
    assert [(each.severity, each.origin.line) for each in found.problems] == [(Severity.NOTE, None)]
    assert pairs(found) == PAIRS


def test_a_note_is_reported_next_to_an_error(tmp_path: Path) -> None:
    found = read_text(tmp_path, f"{GOOD}\u00e9,a@b.co\n".encode("cp1252"))
    assert [(each.severity, each.origin.line) for each in found.problems] == [
        (Severity.NOTE, None),
        (Severity.ERROR, 4),
    ]
    with pytest.raises(ManifestInvalid, match=r"^1 problem in the table of logins\. .*logins\.csv:4: The name "):
        found.require()


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=4))
def test_any_table_survives_or_is_refused(rows: list[tuple[str, str]]) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerows([("name", "login"), *rows])
    with TemporaryDirectory() as name:
        path = Path(name, "x.csv")
        path.write_bytes(stream.getvalue().encode("utf-8", "surrogatepass"))
        found = read(path)
    if found.problems:
        assert found.rows == ()
    else:
        assert [(each.name, each.api_login) for each in found.rows] == rows


@given(st.binary())
@example(b"\xa0")
def test_anything_at_all_is_refused_with_a_reason(raw: bytes) -> None:
    with TemporaryDirectory() as name:
        path = Path(name, "x.csv")
        path.write_bytes(raw)
        assert read(path).problems
        path.write_bytes(b"name,login\nparis,a@b.co\n" + raw)
        found = read(path)
        # A byte that is a space in Windows-1252 makes a blank row, and a note.
        assert any(each.severity is Severity.ERROR for each in found.problems) != bool(found.rows)


# ── The file ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "There is no such file."),
        ("none", "There is no such file."),
        ("folder", "This is a folder and not a file."),
        ("folder.csv", "This folder has the name of a table."),
        ("logins.yaml", "This is not the name of a table."),
        ("pipe.csv", "This is not a file but a pipe or a device."),
        ("large.csv", "The file is over 10 MB."),
        (f"{'x' * 300}.csv", "The file cannot be read: File name too long."),
    ],
)
def test_a_path_that_is_not_a_usable_file(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder" / "inside.csv").write_text(GOOD)
    (tmp_path / "logins.yaml").write_text(GOOD)
    os.mkfifo(tmp_path / "pipe.csv")
    with (tmp_path / "large.csv").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    found = read(tmp_path / name)
    (problem,) = found.problems
    assert (problem.message, problem.origin, found.rows) == (message, Origin(str(tmp_path / name)), ())
    assert problem.hint
    with pytest.raises(ManifestInvalid, match="1 problem in the table"):
        found.require()


def test_a_table_that_is_too_large_is_divided_and_given_in_turn(tmp_path: Path) -> None:
    with (tmp_path / "large.csv").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    (problem,) = read(tmp_path / "large.csv").problems
    assert problem.hint == "Split it into several files, and pass one after the other."
    (problem,) = read(tmp_path).problems
    assert problem.hint == "Name the table inside."


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "The file is empty."),
        (b"\0" * 100, "The file is UTF-16 without a byte-order mark."),
        (b"PK\x03\x04", "This is an Excel workbook and not a CSV file."),
        (GOOD.encode("utf-16-le"), "The file is UTF-16 without a byte-order mark."),
        ("name,login\né,".encode() + b"\xe9\n", "A character here is in a different encoding from the rest."),
        (b"name,login\nparis,\x81\n", "The file is not UTF-8, and its encoding is unknown."),
        (b"paris,SECRET@example.com\n", "There is no header: no column name is recognised."),
        (b'name,login\nparis,"SECRET\n', "A quote that opens in this row is never closed."),
        (b'name,login\nparis,"x" SECRET\n', "There is text after a closing quote here."),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path: Path, raw: bytes, message: str) -> None:
    assert [each[0] for each in problems(tmp_path, raw)] == [message]


# ── Columns and rows ─────────────────────────────────────────────────────────


def test_columns_are_these_two(tmp_path: Path) -> None:
    assert problems(tmp_path, "name,logn\nparis,SECRET\n") == [('The column "logn" is not known.', "logn", 1, None)]
    assert problems(tmp_path, "name\nparis\n") == [("The column login is missing.", "login", 1, None)]
    assert problems(tmp_path, "login\na@b.co\n") == [("The column name is missing.", "name", 1, None)]
    assert problems(tmp_path, "name,login,api_key\nparis,a@b.co,SECRET\n") == [
        ('The column "api_key" is not known.', "api_key", 1, None)
    ]
    assert problems(tmp_path, "name,login,login\nparis,a@b.co,SECRET\n") == [
        ("The column login appears twice.", "login", 1, None)
    ]
    assert problems(tmp_path, "name,login,\nparis,a@b.co,SECRET\n") == [
        ("Row 1 has 3 cells, but the header has 2.", "", 2, 1)
    ]
    hint = read_text(tmp_path, "name,login,zzz\nparis,a@b.co,\n").problems[0].hint
    assert hint == "Known columns: name, login."


def test_the_other_column_is_checked_if_one_is_missing(tmp_path: Path) -> None:
    assert [each[1:] for each in problems(tmp_path, "name\nParis\n")] == [("login", 1, None), ("name", 2, 1)]
    assert [each[1:] for each in problems(tmp_path, "login\na b\n")] == [("name", 1, None), ("login", 2, 1)]


def test_a_header_alone_is_not_a_table(tmp_path: Path) -> None:
    assert problems(tmp_path, "name,login\n\n,\n") == [("The table has a header but no account.", "", 1, None)]


def test_rows_fit_the_header(tmp_path: Path) -> None:
    assert problems(tmp_path, "name,login\nparis\nlyon,a@b.co,SECRET\nnice,n@b.co\n") == [
        ("Row 1 has 1 cell, but the header has 2.", "login", 2, 1),
        ("Row 2 has 3 cells, but the header has 2.", "", 3, 2),
    ]


# ── Cells ────────────────────────────────────────────────────────────────────


def test_no_cell_is_empty(tmp_path: Path) -> None:
    assert problems(tmp_path, "name,login\n,a@b.co\nparis,\n,\n,c@b.co\n") == [
        ("The name of row 1 is empty.", "name", 2, 1),
        ("The login of row 2 is empty.", "login", 3, 2),
        ("The name of row 3 is empty.", "name", 5, 3),
    ]


@pytest.mark.parametrize("name", ["Paris", "a b", "a--b", "-a", " a", "x" * 64, "p\u0430ris", "a\0", "https://SECRET"])
def test_a_name_is_as_in_a_manifest(tmp_path: Path, name: str) -> None:
    (found,) = problems(tmp_path, f"name,login\n{name},a@b.co\n")
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"name,first_name,last_name\n{name},a,b\n", encoding="utf-8")
    (same,) = load([manifest]).errors
    assert found == (same.message, "name", 2, 1)


def test_a_good_name_is_as_long_as_in_a_manifest(tmp_path: Path) -> None:
    assert pairs(read_text(tmp_path, f"name,login\n{'x' * 63},a@b.co\n")) == [("x" * 63, "a@b.co")]


def test_a_name_is_used_once(tmp_path: Path) -> None:
    text = "name,login\nparis,a@b.co\nlyon,b@b.co\n\nparis,c@b.co\nparis,d@b.co\nlyon,e@b.co\n"
    assert problems(tmp_path, text) == [
        ("The name of row 3 is already used: line 2, row 1.", "name", 5, 3),
        ("The name of row 4 is already used: line 2, row 1.", "name", 6, 4),
        ("The name of row 5 is already used: line 3, row 2.", "name", 7, 5),
    ]


def test_capitals_do_not_make_another_name(tmp_path: Path) -> None:
    found = problems(tmp_path, "name,login\nparis,a@b.co\nParis,b@b.co\n")
    assert found[0] == (
        "The name of row 2 differs only in capitals from one that is already used: line 2, row 1.",
        "name",
        3,
        2,
    )
    assert [each[3] for each in found] == [2, 2]


def test_a_login_is_used_once_whatever_its_capitals(tmp_path: Path) -> None:
    text = "name,login\na,SECRET@b.co\nb,b@b.co\nc,SECRET@b.co\nd,secret@B.CO\n"
    assert problems(tmp_path, text) == [
        ("The login of row 3 is already used: line 2, row 1.", "login", 4, 3),
        ("The login of row 4 differs only in capitals from one that is already used: line 2, row 1.", "login", 5, 4),
    ]


def test_a_name_and_a_login_may_be_one(tmp_path: Path) -> None:
    assert pairs(read_text(tmp_path, "name,login\na,b\nb,a\n")) == [("a", "b"), ("b", "a")]


@pytest.mark.parametrize("login", ["a@b.co", "0033", "A.B+c@x", "x" * MAX_LOGIN, "NA", "null", "!~"])
def test_good_logins_stay_as_they_are(tmp_path: Path, login: str) -> None:
    assert pairs(read_text(tmp_path, f"name,login\nparis,{login}\n")) == [("paris", login)]


@pytest.mark.parametrize(
    ("login", "predicate"),
    [
        ("SECRET @b.co", "contains a space"),
        (" SECRET@b.co", "begins or ends with a space"),
        ("SECRET@b.co ", "begins or ends with a space"),
        ("SECRET\t@b.co", "contains a tab"),
        ('"SECRET\n@b.co"', "contains a line break"),
        ("SECRET\0@b.co", "contains U+0000, a control character"),
        ("SECRET\x7f@b.co", "contains U+007F, a control character"),
        ("SECRET\u200b@b.co", "contains U+200B ZERO WIDTH SPACE, which cannot be seen"),
        ("SECRET\u00a0@b.co", "contains U+00A0 NO-BREAK SPACE, which only looks like a space"),
        ("SECRET\u00e9@b.co", "contains U+00E9 LATIN SMALL LETTER E WITH ACUTE"),
        ("SECRET\uff20b.co", "contains U+FF20 FULLWIDTH COMMERCIAL AT"),
        (".", "is a folder's name and not a login"),
        ("..", "is a folder's name and not a login"),
        ("SECRET/../x@b.co", "contains a character that a login cannot have"),
        ("SECRET?x", "contains a character that a login cannot have"),
        ("SECRET%2fx", "contains a character that a login cannot have"),
        ("SECRET" + "x" * 249, "is too long: 255 characters, and at most 254 are possible"),
    ],
)
def test_a_bad_login_is_named_by_row_and_column(tmp_path: Path, login: str, predicate: str) -> None:
    text = f"name,login\nlyon,l@b.co\nparis,{login}\n"
    assert problems(tmp_path, text) == [(f"The login of row 2 {predicate}.", "login", 3, 2)]


def test_problems_stand_by_line_and_are_counted(tmp_path: Path) -> None:
    found = read_text(tmp_path, "name,login,x\n,,\nParis,a b,\nnice\nlyon,é,\nlyon,,\n")
    assert [(each.path, each.origin.line) for each in found.problems] == [
        ("x", 1),
        ("name", 3),
        ("login", 3),
        ("login", 4),
        ("login", 5),
        ("name", 6),
        ("login", 6),
    ]
    with pytest.raises(ManifestInvalid, match="7 problems in the table of logins") as caught:
        found.require()
    assert caught.value.exit_code is ExitCode.MANIFEST_INVALID
    assert caught.value.hint


def test_noise_ends_after_a_thousand(tmp_path: Path) -> None:
    found = read_text(tmp_path, "name,login\n" + "".join(f"P,{number}\n" for number in range(1_002))).problems
    # Each row but the first repeats a name, and a thousand of the names are not valid.
    assert (len(found), found[-1].message) == (1_001, "1,001 more problems are not shown.")


@pytest.mark.parametrize(
    ("name", "login", "message"),
    [
        ("paris", "l@b.co", None),
        ("", "l@b.co", "The name is empty."),
        ("paris", "", "The login is empty."),
        ("Paris", "l@b.co", "The name must be lower-case letters (a to z), digits and single hyphens between them."),
        ("paris", "SECRET @b.co", "The login contains a space."),
        ("paris", "..", "The login is a folder's name and not a login."),
    ],
)
def test_one_account_alone_has_the_same_faults(name: str, login: str, message: str | None) -> None:
    found = fault(name, login)
    assert message == (found[0] if found else None)
