"""The CSV manifest: delimiters, encodings, uneven rows, and cells that stay text."""

import codecs
import csv
import io
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.document import Value
from provisioner.manifest.cells import MAX_COLUMNS, MAX_ROWS
from provisioner.manifest.entries import FileContent
from provisioner.manifest.table import read
from provisioner.model.account import CALLBACK_NAMES, Attributes, Problem, Severity

HEADER = "name,first_name,last_name"
GOOD = f"{HEADER}\nparis,Leonardo,Da Vinci\n"


def part(text: str | bytes) -> FileContent:
    return read(text if isinstance(text, bytes) else text.encode(), "m.csv")


def accounts(text: str | bytes) -> list[dict[str, Value]]:
    found = part(text)
    assert found.problems == ()
    return [dict(entry.fields) for entry in found.entries]


def problems(text: str | bytes) -> tuple[Problem, ...]:
    found = part(text).problems
    for problem in found:
        assert problem.origin.file == "m.csv"
        assert problem.hint
        assert problem.origin.column is None
        assert "SECRET" not in f"{problem.path} {problem.message} {problem.hint}"
    return found


def only(text: str | bytes) -> tuple[str, str, int | None, int | None]:
    """Return the message, path, line and row of the only problem."""
    (problem,) = problems(text)
    assert problem.severity is Severity.ERROR
    return problem.message, problem.path, problem.origin.line, problem.origin.row


# ── What is read ─────────────────────────────────────────────────────────────


def test_a_row_is_an_account() -> None:
    found = part(GOOD)
    assert found.problems == ()
    (entry,) = found.entries
    assert entry.fields == {"name": "paris", "first_name": "Leonardo", "last_name": "Da Vinci"}
    assert (entry.origin.file, entry.origin.line, entry.origin.column, entry.origin.row) == ("m.csv", 2, None, 1)
    assert (entry.name_origin, entry.name_path, found.parent) == (entry.origin, "name", None)


def test_every_field_of_an_account_is_a_column_in_any_order() -> None:
    names = [each.name for each in fields(Attributes) if each.name != "callbacks"]
    columns = [*reversed(CALLBACK_NAMES), "previously", "password", "password_version", *names, "name"]
    values = {name: f"https://example.com/{name}" for name in columns}
    values |= {"email_for_inbounds": "a@b.co", "name": "paris", "password": "${env:P}"}
    values |= {"previously": "lutetia", "password_version": "2"}
    (account,) = accounts(f"{','.join(columns)}\n{','.join(values[name] for name in columns)}\n")
    callbacks = {name: values[name] for name in CALLBACK_NAMES}
    texts = {name: values[name] for name in [*names, "name", "password", "previously"]}
    assert account == texts | {"callbacks": callbacks, "password_version": 2}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_recognised(delimiter: str) -> None:
    text = GOOD.replace(",", delimiter)
    assert accounts(text) == accounts(GOOD)
    quoted = text.replace("Da Vinci", f'"Da{" " if delimiter == chr(9) else delimiter}Vinci"')
    assert accounts(quoted)[0]["last_name"] == ("Da Vinci" if delimiter == "\t" else f"Da{delimiter}Vinci")


@pytest.mark.parametrize(("first", "delimiter"), [("sep=;", ";"), ('"sep=,"', ","), ("SEP=\t", "\t")])
def test_the_delimiter_may_be_announced(first: str, delimiter: str) -> None:
    found = part(f"{first}\r\n\r\n{GOOD.replace(',', delimiter)}")
    assert found.problems == ()
    assert found.entries[0].origin.line == 4


@pytest.mark.parametrize("first", ["sep=|", "sep=", "sep=,;"])
def test_another_announced_delimiter_is_refused(first: str) -> None:
    assert only(f"{first}\n{GOOD}") == ("This line declares a separator that is not supported.", "", 1, None)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(newline: str) -> None:
    assert accounts(GOOD.replace("\n", newline)) == accounts(GOOD)
    assert accounts(GOOD.rstrip()) == accounts(GOOD)


@pytest.mark.parametrize("cell", ["0033", "NA", "null", "1e5", "NaN", "True", "-", "None", "1.0", "#N/A", "12:30"])
def test_a_cell_stays_the_text_that_it_is(cell: str) -> None:
    assert accounts(f"{HEADER}\nparis,{cell},{cell}\n")[0]["first_name"] == cell


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_any_cell_survives_or_is_refused(texts: list[str]) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(HEADER.split(","))
    writer.writerows([f"a-{number}", text, "x"] for number, text in enumerate(texts))
    found = part(stream.getvalue().encode("utf-8", "surrogatepass"))
    rows = {problem.origin.row for problem in found.problems}
    if None not in rows:
        assert len(found.entries) == len(texts)
        for number, (text, entry) in enumerate(zip(texts, found.entries, strict=True), 1):
            assert number in rows or entry.fields["first_name"] == text


@given(st.binary() | st.text().map(str.encode))
def test_anything_at_all_is_read_or_refused(raw: bytes) -> None:
    assert part(raw).problems
    found = part(f"{HEADER}\nparis,a,b\n".encode() + raw)
    assert found.problems or found.entries


def test_an_empty_cell_is_an_absent_value() -> None:
    (account,) = accounts("name,first_name,last_name,company_name,email_for_inbounds\nparis,a,b,,\n")
    assert account == {"name": "paris", "first_name": "a", "last_name": "b"}


def test_blank_lines_count_as_lines_and_not_as_rows() -> None:
    found = part(f"\n , \n{HEADER}\n\nparis,a,b\n,,\n  \n,,,,\nnice,c,d\n\n")
    assert found.problems == ()
    assert [(each.origin.line, each.origin.row) for each in found.entries] == [(5, 1), (9, 2)]


def test_a_cell_of_several_lines_moves_the_lines_below_it() -> None:
    found = part(f'{HEADER}\nparis,"a\n\nb",c\nnice,d,e\n')
    assert [(each.path, each.origin.line, each.origin.row) for each in found.problems] == [("first_name", 2, 1)]
    assert found.entries[1].origin.line == 5


# ── Encodings ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_are_read(encoding: str) -> None:
    assert accounts(GOOD.replace("Leonardo", "Zoé").encode(encoding))[0]["first_name"] == "Zoé"
    big = codecs.BOM_UTF16_BE + GOOD.encode("utf-16-be")
    assert accounts(big) == accounts(GOOD)


def test_windows_1252_is_read_with_a_note() -> None:
    found = part(GOOD.replace("Leonardo", "Zoé €").encode("cp1252"))
    assert found.entries[0].fields["first_name"] == "Zoé €"
    (note,) = found.problems
    assert note.severity is Severity.NOTE
    assert note.message == "The file is not UTF-8. It was read as Windows-1252, in which Excel saves CSV files."
    assert note.origin.line is None


def test_two_encodings_in_one_file_are_refused() -> None:
    raw = f"{HEADER}\nparis,Zoé,x\n".encode() + "nice,Zoé,x\n".encode("cp1252")
    assert only(raw) == ("A character here is in a different encoding from the rest.", "", 3, None)
    assert only(codecs.BOM_UTF16_LE + GOOD.encode("utf-16-le") + b"x")[0].startswith("A character here")


def test_an_unknown_encoding_is_refused() -> None:
    message = "The file is not UTF-8, and its encoding is unknown."
    assert only(f"{HEADER}\nparis,".encode() + b"\x81,x\n") == (message, "", 2, None)


def test_where_several_encodings_are_plausible_each_is_shown_and_none_is_chosen() -> None:
    raw = f"{HEADER},password\rrome,a,b,gehéim\r\nberlin,Käthe,Kollwitz,x\r".encode("mac_roman")
    says = '"Käthe" in Macintosh or "KŠthe" in Windows-1252'
    message = f"The file is not UTF-8, and its encoding is uncertain: a word here would be {says}."
    assert only(raw) == (message, "", 3, None)
    assert "--encoding" in problems(raw)[0].hint


def test_an_encoding_that_is_named_is_believed_without_a_note() -> None:
    text = GOOD.replace("Leonardo", "Käthe")
    for encoding in ("macintosh", "CP850", "windows-1252", "utf-16-le"):
        found = read(text.encode(encoding), "m.csv", encoding)
        assert (found.problems, found.entries[0].fields["first_name"]) == ((), "Käthe")
    # One folder may have both, and UTF-8 is never mistaken for anything else.
    assert read(text.encode(), "m.csv", "macintosh").entries[0].fields["first_name"] == "Käthe"
    assert read(text.encode("utf-16"), "m.csv", "macintosh").entries[0].fields["first_name"] == "Käthe"


def test_a_file_that_is_not_in_the_encoding_that_is_named_is_refused_with_line_and_byte() -> None:
    (problem,) = read(f"{HEADER}\nparis,".encode() + b"\x81,x\n", "m.csv", "windows-1252").problems
    assert problem.message == "The file is not windows-1252: byte 33 (0x81) is not valid in it."
    assert (problem.origin.line, problem.hint) == (2, "Save it as UTF-8, or correct `encoding`.")


def test_utf16_without_its_mark_is_recognised() -> None:
    assert only(GOOD.encode("utf-16-le"))[0] == "The file is UTF-16 without a byte-order mark."
    assert only(GOOD.encode("utf-16-be"))[0] == "The file is UTF-16 without a byte-order mark."


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-be"])
def test_utf32_is_not_supported(encoding: str) -> None:
    mark = codecs.BOM_UTF32_BE if encoding.endswith("be") else b""
    raw = mark + f"{HEADER}\nparis,a,b\n".encode(encoding)
    assert only(raw) == ("The file is UTF-32, which is not supported.", "", None, None)
    assert problems(raw)[0].hint == "Save it as UTF-8."


@pytest.mark.parametrize("magic", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_workbook_is_recognised(magic: bytes) -> None:
    assert only(magic + b"SECRET")[0] == "This is an Excel workbook and not a CSV file."


@pytest.mark.parametrize(
    ("one", "name"), [("\0", "U+0000"), ("\x07", "U+0007"), ("\x1b", "U+001B"), ("\x7f", "U+007F")]
)
def test_a_control_character_is_placed_in_its_cell(one: str, name: str) -> None:
    message, path, line, row = only(f"{HEADER}\nparis,Leo{one},x\n")
    assert message == f"The first_name of row 1 contains {name}, a control character."
    assert (path, line, row) == ("first_name", 2, 1)


# ── The header ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["", "\n\n", " ; \n", "\ufeff", "sep=;\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert only(text) == ("The file is empty.", "", None, None)


def test_a_header_without_rows_is_refused() -> None:
    assert only(f"\n{HEADER}\n,,\n") == ("The table has a header but no account.", "", 2, None)


def test_rows_without_a_header_are_refused_without_their_values() -> None:
    assert only("paris,Leonardo,SECRET\n") == ("There is no header: no column name is recognised.", "", 1, None)
    says = "The columns are not separated by commas, semicolons or tabs."
    for separator in "| :":
        assert only(GOOD.replace(",", separator)) == (says, "", 1, None)
    says = "The whole header is in one pair of quotes, which makes it one cell."
    assert only(f'"{HEADER}"\n"paris,Leonardo,x"\n') == (says, "", 1, None)


def test_a_header_in_other_spellings_gets_the_nearest_names() -> None:
    for delimiter in ",;\t":
        header = delimiter.join(("Name", "First Name", "last-name", "companyName"))
        found = problems(f"{header}\n" + delimiter.join(("paris", "a", "SECRET", "c\n")))
        hints = [
            "Did you mean name?",
            "Did you mean first_name?",
            "Did you mean last_name?",
            "Did you mean company_name?",
        ]
        assert [each.hint for each in found] == hints


def test_an_unknown_column_suggests_the_nearest() -> None:
    (problem,) = problems("name,first_name,Last Name,last_name\nparis,a,,b\n")
    assert (problem.message, problem.path) == ('The column "Last Name" is not known.', "Last Name")
    assert problem.hint == "Did you mean last_name?"
    assert problem.origin.line == 1


def test_an_unknown_column_that_resembles_nothing_gets_the_list() -> None:
    (problem,) = problems(f"{HEADER},zzz,?t=SECRET\nparis,a,b,SECRET,SECRET\n")[:1]
    assert problem.hint.startswith(
        "Known columns: name, first_name, last_name, company_name, password, password_version, callback"
    )
    (_, other) = problems(f"{HEADER},zzz,?t=SECRET\nparis,a,b,SECRET,SECRET\n")
    assert (other.message, other.path) == ("The column number 5 is not known.", "")


def test_a_misspelled_column_is_not_missing_too() -> None:
    (problem,) = problems("name,firstname,last_name\nparis,a,b\nnice,c,d\n")
    assert problem.hint == "Did you mean first_name?"


def test_a_missing_column_is_reported_once_and_not_for_every_row() -> None:
    first, second = problems("name,company_name\nparis,a\nnice,\n")
    assert (first.message, first.path, first.origin.line) == ("The column first_name is missing.", "first_name", 1)
    assert second.path == "last_name"
    assert [each.path for each in problems("first_name,last_name\na,b\nc,d\n")] == ["name"]


def test_other_problems_are_reported_next_to_a_missing_column() -> None:
    found = problems("name,first_name,email_for_inbounds\nParis,,x\n")
    assert {each.path for each in found} == {"last_name", "name", "first_name", "email_for_inbounds"}
    assert len(found) == 4


def test_a_column_that_appears_twice_is_read_once() -> None:
    found = part(f"{HEADER},name\nparis,a,b,SECRET?\n")
    assert [(each.message, each.path) for each in found.problems] == [("The column name appears twice.", "name")]
    assert found.entries[0].fields["name"] == "paris"


def test_a_column_without_a_name() -> None:
    assert only(f"{HEADER},,company_name\nparis,a,b,,\n") == ("The column number 4 has no name.", "", 1, None)
    assert only(f"{HEADER},\nparis,a,b,SECRET\n")[0] == "Row 1 has 4 cells, but the header has 3."


@pytest.mark.parametrize("header", [HEADER, f"{HEADER},", f"{HEADER}, ,,"])
@pytest.mark.parametrize("row", ["paris,a,b", "paris,a,b,", "paris,a,b,,, ,,,"])
def test_separators_that_only_end_a_row_are_read(header: str, row: str) -> None:
    assert accounts(f"{header}\n{row}\nnice,c,d\n") == accounts(f"{HEADER}\nparis,a,b\nnice,c,d\n")


def test_names_of_columns_may_be_quoted_and_spaced() -> None:
    assert accounts('"name", first_name ,"last_name"\nparis,a,b\n') == accounts(f"{HEADER}\nparis,a,b\n")


def test_the_number_of_columns_is_bounded() -> None:
    more = [f"x{number}" for number in range(MAX_COLUMNS - 3)]
    assert len(problems(",".join([HEADER, *more]) + "\nparis,a,b" + "," * len(more))) == len(more)
    assert only(",".join([HEADER, *more, "y"]) + "\n")[0] == "The header has more than 50 columns."


# ── Rows ─────────────────────────────────────────────────────────────────────


def test_a_short_row_is_not_padded() -> None:
    message, path, line, row = only(f"{HEADER}\nnice,c,d\nparis,SECRET\n")
    assert message == "Row 2 has 2 cells, but the header has 3."
    assert (path, line, row) == ("last_name", 3, 2)
    assert only(f"{HEADER},company_name\nnice,c,d\n")[1] == "company_name"


@pytest.mark.parametrize("more", ["SECRET", ",SECRET", ",,,SECRET", ',"SECRET\nx",y'])
def test_a_long_row_is_not_shifted(more: str) -> None:
    row = f"paris,a,b,{more}"
    message, path, line, number = only(f"{HEADER}\n{row}\nnice,c,d\n")
    assert message == f"Row 1 has {len(next(csv.reader([row])))} cells, but the header has 3."
    assert (path, line, number) == ("", 2, 1)


def test_a_row_that_is_only_too_long_at_its_end_is_not_blank() -> None:
    assert only(f"{HEADER}\n,,,,,SECRET\nnice,c,d\n")[0] == "Row 1 has 6 cells, but the header has 3."


def test_lines_are_right_below_a_long_row_of_several_lines() -> None:
    found = part(f'{HEADER}\nparis,a,b,"x\ny"\nnice,c,d\n')
    assert found.entries[0].origin.line == 4


def test_only_uneven_rows() -> None:
    assert [each.origin.row for each in problems(f"{HEADER}\na\nb\n")] == [1, 2]


def test_a_quote_that_is_never_closed_is_found_where_it_opens() -> None:
    text = f'{HEADER}\nparis,a,b\n\nnice,"SECRET,c\nlyon,d,e\n'
    assert only(text) == ("A quote that opens in this row is never closed.", "", 4, 2)
    assert only(f'{HEADER},"x\nparis,a,b\n') == ("A quote that opens in this row is never closed.", "", 1, None)
    assert problems(f'{HEADER}\nshort\nnice,"SECRET\n')[0].origin.row == 2
    long = f'{HEADER}\nparis,"a,b\n' + "nice,c,d\n" * 20_000
    assert only(long) == ("A quote that opens in this row is never closed.", "", 2, 1)


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_that_is_far_too_long_is_not_an_open_quote(quote: str) -> None:
    text = f"{HEADER}\nnice,c,d\nparis,{quote}{'x' * 200_000}{quote},b\n"
    message = "The first_name of row 2 is too long: 200,000 characters, and at most 255 are possible."
    assert only(text) == (message, "first_name", 3, 2)


def test_text_after_a_closing_quote_is_refused() -> None:
    message, _, line, row = only(f'{HEADER}\nparis,"Le" SECRET,b\n')
    assert (message, line, row) == ("There is text after a closing quote here.", 2, 1)
    assert accounts(f'{HEADER}\nparis,"Le ""Sud""",b "c"\n')[0] == {
        "name": "paris",
        "first_name": 'Le "Sud"',
        "last_name": 'b "c"',
    }


def test_the_number_of_rows_is_bounded() -> None:
    assert only(f"{HEADER}\n" + "\n" * MAX_ROWS) == (f"The table has more than {MAX_ROWS:,} rows.", "", 250_001, None)


# ── Cells ────────────────────────────────────────────────────────────────────


def test_a_required_cell_is_empty() -> None:
    (problem,) = problems(f"{HEADER}\nparis,,b\n")
    assert (problem.message, problem.path) == ("The first_name of row 1 is empty.", "first_name")
    assert problem.hint == "Every account needs it."


def test_a_wrong_cell_is_named_by_row_and_column() -> None:
    text = f"{HEADER},callback_url_for_visits,email_for_inbounds\nparis,a,b,ftp://x/?t=SECRET,SECRET\nParis 2,a ,b,,\n"
    assert [(each.path, each.origin.line, each.origin.row) for each in problems(text)] == [
        ("callback_url_for_visits", 2, 1),
        ("email_for_inbounds", 2, 1),
        ("name", 3, 2),
        ("first_name", 3, 2),
    ]
    assert problems(text)[0].message == "The callback_url_for_visits of row 1 must begin with https://."


@pytest.mark.parametrize(("cell", "version"), [("1", 1), ("2", 2), ("10", 10), ("9" * 18, 999_999_999_999_999_999)])
def test_a_password_version_is_a_number(cell: str, version: int) -> None:
    (account,) = accounts(f"{HEADER},password_version\nparis,a,b,{cell}\n")
    assert account["password_version"] == version
    assert type(account["password_version"]) is int


@pytest.mark.parametrize(
    "cell",
    [
        *("01", "00", "1.0", "1e1", "-1", "+1", " 1", "1 ", "1_0", "two", "0x2", "true", "9" * 19, "9" * 5000),
        *("\u0662", "\uff12", "\u00b2", '"1\n"', "${env:SECRET}", "SECRET"),
    ],
)
def test_a_password_version_is_digits_and_nothing_else(cell: str) -> None:
    message, path, line, row = only(f"{HEADER},password_version\nnice,a,b,\nparis,a,b,{cell}\n")
    assert message == "The password_version of row 2 must be a whole number, in digits only."
    assert (path, line, row) == ("password_version", 3, 2)


def test_a_password_version_begins_with_one() -> None:
    message, path, _, row = only(f"{HEADER},password_version\nparis,a,b,0\n")
    assert (message, path, row) == ("The password_version of row 1 must be at least 1.", "password_version", 1)


def test_digits_of_other_columns_stay_text() -> None:
    (account,) = accounts(f"{HEADER},previously,password_version\n1,2,3,4,\n")
    assert account == {"name": "1", "first_name": "2", "last_name": "3", "previously": "4"}


@pytest.mark.parametrize("cell", ["Lutetia", "a b", "a--b", "x" * 64, "${env:SECRET}"])
def test_a_previous_name_is_a_name(cell: str) -> None:
    _, path, line, row = only(f"{HEADER},previously\nparis,a,b,{cell}\n")
    assert (path, line, row) == ("previously", 2, 1)


@pytest.mark.parametrize("name", ["Nguy?n", "?ukasz", "??????", "???", "KÃ¤the", "Hélène?Marie", "â€œx"])
def test_a_letter_that_was_lost_on_the_way_is_a_warning(name: str) -> None:
    (problem,) = problems(f"{HEADER}\nparis,{name},b\n")
    assert (problem.severity, problem.path) == (Severity.WARNING, "first_name")
    assert "UTF-8" in problem.hint


@pytest.mark.parametrize("name", ["Who?", "Quoi ? Rien", "Ça va ?", "Käthe", "Ñuñez", "Ã", "São ©"])
def test_a_question_and_an_accent_are_none(name: str) -> None:
    assert problems(f"{HEADER}\nparis,{name},b\n") == ()


def test_what_is_unwise_is_a_warning() -> None:
    text = f"{HEADER},password,callback_url_for_visits\nparis,a,b,SECRET,http://x.example/?t=SECRET\nnice,a,b,${{env:X}},\n"
    first, second, third = problems(text)
    assert {each.severity for each in (first, second, third)} == {Severity.WARNING}
    assert (first.path, first.origin.row) == ("password", 1)
    assert first.message == "The password of row 1 is in clear text, visible to everybody who can read this file."
    assert (second.path, second.origin.row) == (third.path, third.origin.row) == ("callback_url_for_visits", 1)
    assert "seems to contain a token in its query string, in clear" in third.message


def test_of_a_wrong_cell_nothing_more_is_said() -> None:
    (problem,) = problems(f"{HEADER},password\nparis,a,b,SECRET \n")
    assert problem.severity is Severity.ERROR


def test_noise_ends_after_a_thousand() -> None:
    found = part(f"{HEADER}\n" + "P,a,b\n" * 1_001).problems
    assert len(found) == 1_000
    assert found[-1].message == "The table has more problems than are shown."


@pytest.mark.parametrize("at", [1, 2, 3])
def test_the_marks_of_a_merge_are_named_in_a_table_too(at: int) -> None:
    lines = GOOD.splitlines()
    lines.insert(at - 1, "=======")
    message = "A merge was not finished: this line is one of the marks that git leaves."
    assert only("\n".join(lines)) == (message, "", at, None)


@pytest.mark.parametrize(("one", "code"), [("\u200b", "U+200B"), ("\u3164", "U+3164"), ("\ufe0f", "U+FE0F")])
def test_a_character_of_a_header_that_nobody_sees_is_named(one: str, code: str) -> None:
    message, path, line, _ = only(GOOD.replace("first_name", f"first_name{one}"))
    assert message.startswith(f"The column number 2 contains {code} ")
    assert (path, line) == ("", 1)
