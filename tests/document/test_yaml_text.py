"""YAML: texts stay as typed, everything has its position, and bombs are refused."""

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.document import Document, Part, Value, parse_yaml
from provisioner.manifest.formats import CHECKS
from provisioner.model.account import Severity

SCHEMA = "manifest.v1"


def parsed(text: str | bytes, schema: str = SCHEMA) -> Document:
    return parse_yaml(text if isinstance(text, bytes) else text.encode(), "m.yaml", schema)


def value(text: str, schema: str = SCHEMA) -> Value:
    document = parsed(text, schema)
    assert document.problems == ()
    return document.value


def refused(text: str | bytes) -> tuple[str, int | None, int | None]:
    """Return the message and the position of the only problem of an unreadable text."""
    document = parsed(text)
    assert document.value is None
    (problem,) = document.problems
    assert document.checked(SCHEMA, CHECKS) == (problem,)
    assert problem.hint
    return problem.message, problem.origin.line, problem.origin.column


# ── Values ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "0123",
        "12:30:00",
        "1e5",
        "2020-01-01",
        "true",
        "0x1F",
        "1_000",
        ".5",
        "+33",
        "NaN",
        "1.0",
        "=",
        "Nil",
        "-1",
    ],
)
def test_a_plain_text_stays_what_was_typed(text: str) -> None:
    assert value(f"parent: {text}") == {"parent": text}


def test_numbers_and_booleans_are_made_where_the_schema_asks_for_one() -> None:
    assert value("version: 1") == {"version": 1}
    assert value("version: -12") == {"version": -12}
    settings = (
        "{limit: 3, timeout: 2.5, attempts: 2.5, retry_budget: 10, keep_going: TRUE, retry_on_503: yes, state: 1}"
    )
    assert value(settings, "config.v1") == {
        "limit": 3,
        "timeout": 2.5,
        "attempts": "2.5",
        "retry_budget": 10,
        "keep_going": True,
        "retry_on_503": "yes",
        "state": "1",
    }


@pytest.mark.parametrize("text", ["'1'", '"1"', "1e0", "0x1", "1.0", "1_0", "9" * 19, "one"])
def test_what_is_not_plainly_a_number_is_left_to_the_schema(text: str) -> None:
    assert isinstance(value(f"version: {text}")["version"], str)  # type: ignore[index, call-overload]


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_nothing_unless_it_is_quoted(text: str) -> None:
    assert value(f"parent: {text}\nversion: 1") == {"parent": None, "version": 1}
    assert value(f"parent: '{text}'") == {"parent": text}
    assert value(f'parent: "{text}"') == {"parent": text}


def test_the_schema_is_followed_into_lists_groups_and_open_groups() -> None:
    assert value("accounts: [{name: 1, other: [2, ~]}]") == {"accounts": [{"name": "1", "other": ["2", None]}]}
    assert value("parents: {acme: {limit: 7}}", "config.v1") == {"parents": {"acme": {"limit": 7}}}
    assert value("7") == "7"


@given(st.text())
def test_any_text_in_double_quotes_survives(text: str) -> None:
    assert parsed(f"parent: {json.dumps(text)}\n").value == {"parent": text}


def test_a_character_that_json_writes_in_halves_is_read_in_double_quotes_alone() -> None:
    halves = r"\ud83d\uDE39"
    text = rf"""{{"{halves}": "{halves}x{halves}", a: '{halves}', b: {halves}, c: "\\{halves}", d: "\\ud83d\\ude39"}}"""
    document = parsed(text)
    assert document.problems == ()
    whole = "\U0001f639"
    assert document.value == {
        whole: f"{whole}x{whole}",
        "a": halves,
        "b": halves,
        "c": f"\\{whole}",
        "d": r"\ud83d\ude39",
    }
    assert document.origin(("d",)).column == text.index("d: ") + 4


@given(st.text())
def test_any_text_in_single_quotes_survives_or_is_refused(text: str) -> None:
    document = parsed(("parent: '" + text.replace("'", "''") + "'\n").encode("utf-8", "surrogatepass"))
    # YAML folds a line break inside a quoted text; no field here may contain one.
    if document.value is not None and "\n" not in text and "\r" not in text:
        assert document.value == {"parent": text}


@given(st.text(min_size=1))
def test_any_plain_text_survives_or_is_refused(text: str) -> None:
    document = parsed(f"parent: {text}\nversion: 1\n".encode("utf-8", "surrogatepass"))
    found = document.value
    plain = not set(text) & set("\n\r#:{}[],&*!|>'\"%@`") and text[0] not in "-?"
    if plain and isinstance(found, dict) and found.get("parent") is not None:
        assert found["parent"] == text.strip(" \t")


@given(st.binary() | st.text().map(str.encode))
def test_anything_at_all_is_read_or_refused(raw: bytes) -> None:
    document = parsed(raw)
    assert (document.value is None) <= bool(document.problems)
    for problem in document.checked(SCHEMA, CHECKS):
        assert problem.origin.line


# ── Encodings ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_are_read(encoding: str) -> None:
    assert parsed("parent: é".encode(encoding)).value == {"parent": "é"}
    assert parsed(codecs.BOM_UTF16_BE + "parent: é".encode("utf-16-be")).value == {"parent": "é"}


@pytest.mark.parametrize("raw", ["a: b".encode("utf-32"), codecs.BOM_UTF32_BE + "a: b".encode("utf-32-be")])
def test_utf32_is_not_supported(raw: bytes) -> None:
    assert refused(raw) == ("The file is UTF-32, which is not supported.", 1, 1)


def test_another_encoding_is_refused_where_it_shows() -> None:
    message, line, column = refused("version: 1\nparent: é".encode("cp1252"))
    assert message == "A character here is not UTF-8: the file is in another encoding."
    assert (line, column) == (2, 9)


@pytest.mark.parametrize("one", ["\0", "\x07", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff"])
def test_a_raw_character_that_cannot_be_seen_is_refused(one: str) -> None:
    message, line, column = refused(f"version: 1\nparent: 'a{one}b'")
    assert message.startswith(f"The file contains U+{ord(one):04X}")
    assert (line, column) == (2, 11)


# ── Places ───────────────────────────────────────────────────────────────────

PLACED = """\
version: 1
defaults:
  company_name: Italy
accounts:
  - name: paris
    callbacks: {email_for_inbounds: x, callback_url_for_visits: y}
  -
    name: nice
"""


@pytest.mark.parametrize(
    ("path", "part", "place"),
    [
        ((), Part.VALUE, (1, 1)),
        (("version",), Part.VALUE, (1, 10)),
        (("version",), Part.KEY, (1, 1)),
        (("defaults",), Part.VALUE, (3, 3)),
        (("defaults", "company_name"), Part.KEY, (3, 3)),
        (("accounts", 0), Part.VALUE, (5, 5)),
        (("accounts", 0, "name"), Part.VALUE, (5, 11)),
        (("accounts", 0, "callbacks", "callback_url_for_visits"), Part.VALUE, (6, 65)),
        (("accounts", 0, "callbacks", "callback_url_for_visits"), Part.KEY, (6, 40)),
        (("accounts", 1), Part.VALUE, (8, 5)),
        (("accounts", 1, "first_name"), Part.MISSING, (8, 5)),
        (("parent",), Part.MISSING, (1, 1)),
    ],
)
def test_every_value_and_key_has_its_place(path: tuple[str | int, ...], part: Part, place: tuple[int, int]) -> None:
    origin = parsed(PLACED).origin(path, part)
    assert (origin.file, origin.line, origin.column, origin.row) == ("m.yaml", *place, None)


def test_a_key_at_several_depths_is_placed_at_the_last() -> None:
    document = parsed("parents:\n  parents:\n    limit: x\n", "config.v1")
    assert document.origin(("parents", "parents"), Part.KEY).line == 2
    assert document.origin(("parents", "parents", "limit")).column == 12


def test_problems_stand_in_order_of_lines() -> None:
    document = parsed("accounts: [1]\nx: 1\nversion: 1\nx: 2\n")
    assert [each.origin.line for each in document.checked(SCHEMA, CHECKS)] == [1, 2, 4]


def test_a_problem_says_where_and_what() -> None:
    (problem,) = parsed("version: 1\naccounts:\n").checked(SCHEMA, CHECKS)
    assert (problem.path, problem.origin.line, problem.origin.column) == ("accounts", 2, 10)
    assert problem.message == "accounts has no value (empty, ~ and null all count as none)."
    (whole,) = parsed("- x").checked(SCHEMA, CHECKS)
    assert (whole.path, whole.message) == ("", "The file must be a group of fields, not a list.")


# ── What a person would not write ────────────────────────────────────────────


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "--- ~", "null"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert refused(text) == ("The file is empty.", 1, 1)


def test_a_second_document_is_refused() -> None:
    assert refused("---\nversion: 1\n---\nversion: 1\n") == ("A second document begins here.", 3, 1)
    assert value("%YAML 1.1\n---\nversion: 1\n...\n") == {"version": 1}


def test_a_repeated_field_names_both_lines() -> None:
    document = parsed("version: 1\naccounts:\n- name: a\n  first_name: b\n\n  name: {c: d}\n  last_name: e\n")
    (problem,) = document.problems
    assert (problem.origin.line, problem.origin.column, problem.path) == (6, 3, "accounts[0].name")
    assert problem.message == "accounts[0].name appears here for the second time; the first is on line 3."
    assert document.value == {"version": 1, "accounts": [{"name": "a", "first_name": "b", "last_name": "e"}]}
    assert document.origin(("accounts", 0, "last_name")).line == 7


def test_a_repeated_field_that_was_not_the_first() -> None:
    (problem,) = parsed("version: 1\n\naccounts: []\nversion: 1\naccounts: [1]\n").problems[1:]
    assert problem.message == "accounts appears here for the second time; the first is on line 3."


def test_a_group_with_free_names_has_as_many_fields_as_one_writes() -> None:
    lines = [f"  p-{number}: {{limit: 1}}\n" for number in range(2_000)]
    document = parsed(f"parents:\n{''.join(lines)}  p-1500: {{}}\n", "config.v1")
    (problem,) = document.problems
    assert problem.message == "parents.p-1500 appears here for the second time; the first is on line 1502."
    origin = document.origin(("parents", "p-1999", "limit"))
    assert (origin.line, origin.column) == (2_001, 19)


def test_merged_fields_of_a_group_with_free_names_keep_their_places() -> None:
    text = "state: &s {z: {}, a: {limit: x}}\nparents:\n  a: {}\n  <<: *s\n  b: {}\n"
    document = parsed(text, "config.v1")
    places = [document.origin(("parents", name)) for name in ("a", "b", "z")]
    assert [(each.line, each.column) for each in places] == [(3, 6), (5, 6), (1, 15)]


def test_a_repeated_field_where_none_is_known_is_not_named() -> None:
    (problem,) = parsed("parent: {SECRET: 1, SECRET: 2}").problems
    assert (problem.path, problem.message.split(";")[0]) == ("parent", "A field appears here for the second time")
    (problem,) = parsed("x: {y: [{SECRET: 1, SECRET: 2}]}").problems
    assert "SECRET" not in str(problem)
    (problem,) = parsed("{'?t=SECRET': 1, '?t=SECRET': 2}").problems
    assert "SECRET" not in str(problem)
    (problem,) = parsed("parents: {acme: {}, acme: {}}", "config.v1").problems
    assert problem.message == "parents.acme appears here for the second time; the first is on line 1."
    (problem,) = parsed("parent: {SECRET: !x 1}").problems
    assert (problem.path, "SECRET" in str(problem)) == ("parent", False)


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [x]", "!SECRET", "!!binary aGk=", "! x", "!!str x"])
def test_a_tag_is_refused_without_its_text(text: str) -> None:
    (problem,) = parsed(f"version: 1\nparent: {text}\n").problems
    assert "SECRET" not in f"{problem.message} {problem.hint}"
    assert problem.message == "A value cannot have a YAML tag: YAML reads a text that begins with ! as one."
    assert (problem.path, problem.origin.line, problem.origin.column) == ("parent", 2, 9)


def test_of_a_tagged_value_nothing_more_is_said() -> None:
    found = parsed("version: 1\naccounts: [{name: !x PARIS, first_name: a, last_name: b}]").checked(SCHEMA, CHECKS)
    assert [each.path for each in found] == ["accounts[0].name"]


def test_a_key_with_a_tag_is_refused_at_its_group() -> None:
    (problem,) = parsed("version: 1\naccounts: [{!x name: a}]").problems
    assert (problem.path, problem.origin.column) == ("accounts[0]", 13)


@pytest.mark.parametrize("text", ["? [a, b]\n: c\n", "? {a: b}\n: [c]\n"])
def test_a_key_that_is_not_text_is_refused_once(text: str) -> None:
    document = parsed(f"version: 1\n{text}parent: x\n")
    (problem,) = document.problems
    assert (problem.message, problem.origin.line, problem.path) == ("A field's name must be plain text.", 2, "")
    assert document.value == {"version": 1, "parent": "x"}


def test_an_alias_repeats_what_it_names() -> None:
    text = "accounts:\n- &a {name: x, callbacks: &c {email_for_inbounds: &e y}}\n- {name: *e, callbacks: *c}\n- *a\n"
    first = {"name": "x", "callbacks": {"email_for_inbounds": "y"}}
    assert value(text) == {"accounts": [first, {"name": "y", "callbacks": {"email_for_inbounds": "y"}}, first]}


def test_what_an_alias_repeats_is_reported_once_where_it_is() -> None:
    text = "version: 1\ndefaults: {first_name: a, last_name: b}\naccounts:\n"
    text += "- {name: x, callbacks: &c {typo: 1}}\n- {name: y, callbacks: *c}\n"
    (problem,) = parsed(text).checked(SCHEMA, CHECKS)
    assert (problem.origin.line, problem.path) == (4, "accounts[0].callbacks.typo")


def test_an_alias_of_nothing_is_refused_without_its_name() -> None:
    (problem,) = parsed("version: 1\naccounts: [{name: x, first_name: y, last_name: z, password: *SECRET}]").checked(
        SCHEMA, CHECKS
    )
    assert (problem.path, problem.origin.line, problem.origin.column) == ("accounts[0].password", 2, 61)
    assert "SECRET" not in f"{problem.message} {problem.hint}"
    assert "begins with *" in problem.message


def test_an_alias_inside_what_it_names_is_refused() -> None:
    assert refused("accounts: &a [*a]") == ("This refers to a value that contains it.", 1, 15)


def test_merged_fields_are_weaker_than_own_ones() -> None:
    text = "accounts:\n- &a {name: x, first_name: f}\n- &b {first_name: g, last_name: l}\n"
    text += "- name: y\n  <<: *a\n- <<: [*b, *a]\n  company_name: c\n- <<:\n  name: z\n- '<<': q\n"
    document = parsed(text)
    assert document.problems == ()
    assert document.value["accounts"][2:] == [  # type: ignore[index, call-overload]
        {"name": "y", "first_name": "f"},
        {"company_name": "c", "first_name": "g", "last_name": "l", "name": "x"},
        {"name": "z"},
        {"<<": "q"},
    ]
    assert document.origin(("accounts", 2, "first_name")).line == 2
    assert document.origin(("accounts", 3, "last_name")).line == 3
    assert document.origin(("accounts", 3, "last_name"), Part.KEY).column == 22
    assert document.origin(("accounts", 3, "name")).line == 2


def test_what_is_merged_is_typed_as_what_it_becomes() -> None:
    text = "parents: {a: {<<: {limit: 5}}, b: {<<: [{limit: 6}], reserved: 1}, c: {limit: &n 7}, d: {api_login: *n}}"
    assert value(text, "config.v1") == {
        "parents": {"a": {"limit": 5}, "b": {"limit": 6, "reserved": 1}, "c": {"limit": 7}, "d": {"api_login": "7"}}
    }


@pytest.mark.parametrize(
    ("text", "path", "line", "column"),
    [
        ("parent: &Other Stories", "parent", 1, 9),
        ("parent: &Other", "parent", 1, 9),
        ("version: 1\naccounts:\n- &SECRET {name: a}", "accounts[0]", 3, 3),
        ("&parent version: 1", "", 1, 1),
        ("--- &a\nversion: 1", "", 1, 5),
        ("accounts: [&a {name: x}, &a {name: y}, *a]", "accounts[0]", 1, 12),
    ],
)
def test_an_anchor_that_nothing_refers_to_is_refused_without_its_name(
    text: str, path: str, line: int, column: int
) -> None:
    (problem,) = parsed(text).problems
    assert problem.message == "Nothing refers to the anchor here: YAML reads a text that begins with & as an anchor."
    assert (problem.path, problem.origin.line, problem.origin.column) == (path, line, column)
    assert "quotes" in problem.hint


def test_a_comment_that_looks_like_the_end_of_a_text_gets_a_warning() -> None:
    text = "parent: é Shop #1\naccounts: [a #b\n, c # d\n, 'e' #f\n, #g\n  h,\n i#j, k ## l\n]\nversion: #1\nC: C #\n"
    document = parsed(text)
    assert [(each.path, each.origin.line, each.origin.column) for each in document.problems] == [
        ("parent", 1, 16),
        ("accounts[0]", 2, 14),
        ("version", 9, 10),
        ("C", 10, 6),
    ]
    assert {each.severity for each in document.problems} == {Severity.WARNING}
    assert document.value == {
        "parent": "é Shop",
        "accounts": ["a", "c", "e", "h", "i#j", "k"],
        "version": None,
        "C": "C",
    }


def test_only_groups_can_be_merged() -> None:
    document = parsed("version: 1\naccounts: [{<<: [x], name: y}, {<<: *nothing}]")
    assert [(each.message, each.path) for each in document.problems] == [
        ("<< can only merge a group of fields.", "accounts[0]"),
        (
            "This alias has no anchor above it: YAML reads a text that begins with * as an alias.",
            "accounts[1]",
        ),
    ]


ESCAPE = "In double quotes a backslash begins an escape, and YAML does not know this one."


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("a: 'b\nc: d\n", "The quote that opens here is not closed.", 1, 4),
        ('a: b\nc: "d\n', "The quote that opens here is not closed.", 2, 4),
        ("a: [b\nc: d\n", "The bracket that opens here is not closed.", 1, 4),
        ("a: {b: c\n", "The brace that opens here is not closed.", 1, 4),
        ("a: {b: [c}\n", "The bracket that opens here is not closed.", 1, 8),
        ("a: {b: c d: e}\n", "A comma is missing before this.", 1, 11),
        ('{"a": 1 "b": 2}', "A comma is missing before this.", 1, 12),
        ("{\n a: 1\n b: 2}", "A comma is missing before this, or the brace that opens on line 1 is not closed.", 3, 3),
        ("a: b: c\n", "A colon is not allowed here.", 1, 5),
        ("a: b\n  c: d\n", "This line does not fit the ones above it.", 2, 3),
        ("a: b\n  c: d: e\n", "This line does not fit the ones above it.", 2, 3),
        ("a: b\nc\uff1ad\n", "This is U+FF1A FULLWIDTH COLON and not a colon.", 2, 2),
        ("a:\n  - b: c\n  \u2013 d: e\n", "The line begins with U+2013 EN DASH.", 3, 3),
        ("a:\n  - b: c\n  \u2022 d: e\n", "The line begins with U+2022 BULLET.", 3, 3),
        ("a:\n  - b: c\n  * d: e\n", "A text that begins with * must be in quotes.", 3, 3),
        *(
            (f"b: c\na: {sign} b\n", f"A text that begins with {sign} must be in quotes.", 2, 4)
            for sign in "-?:,]}&*|>%@`"
        ),
        ("a: @b\n", "A text that begins with @ must be in quotes.", 1, 4),
        ("@a: b\n", "A text that begins with @ must be in quotes.", 1, 1),
        ("- ? a\n  - b\n", "This line does not fit the ones above it.", 2, 3),
        ("a: 'It's'\n", "The value ends before this, and nothing else is allowed on its line.", 1, 8),
        ("a: [b] c\n", "The value ends before this, and nothing else is allowed on its line.", 1, 8),
        ("\ta: b\n", "There is a tab here, where YAML needs spaces.", 1, 1),
        ("a: b\n  \tc: d\n", "There is a tab here, where YAML needs spaces.", 2, 3),
        ("a:\n\t- b\n", "There is a tab here, where YAML needs spaces.", 2, 1),
        ("a: b\nc:d\n", "A space is missing after the colon here.", 2, 3),
        ("a: b\nc:\u00a0d", "The line contains U+00A0 NO-BREAK SPACE, which only looks like a space.", 2, 3),
        ("a: b\n-\u200bc\n", "The line contains U+200B ZERO WIDTH SPACE, which cannot be seen.", 2, 2),
        ('a: "b\\T"\n', ESCAPE, 1, 6),
        ('a: "C:\\Users\\x"\n', ESCAPE, 1, 7),
        ('a: "\\xZZ"\n', ESCAPE, 1, 5),
        ('a: "\\ud83d"\n', "This escape is half of a character, and the other half does not follow.", 1, 5),
        ('a: "\\ude39\\ud83d"\n', "This escape is half of a character, and the other half does not follow.", 1, 5),
        ("a: b\n=======\nc: d\n", "A merge was not finished: this line is one of the marks that git leaves.", 2, 1),
        ("a: b\nc\n", "A field's name has no colon after it.", 2, 1),
        ("a:\n  - b\n c: d\n", "This line does not fit the ones above it.", 3, 2),
        ("%YAML 3.0\n---\na: b", "This is not valid YAML.", 1, 1),
    ],
)
def test_broken_syntax_is_told_in_words(text: str, message: str, line: int, column: int) -> None:
    assert refused(text) == (message, line, column)


def test_a_comment_that_closes_nothing_is_blamed() -> None:
    (problem,) = parsed("a: {b: Shop #1}\n").problems
    assert problem.message == "The brace that opens here is not closed."
    assert problem.hint.startswith("A # after a space begins a comment")


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ('a: "b"#c', "A # right after this would begin a comment, which needs a space before it.", 7),
        ("a: 'b'#c", "A # right after this would begin a comment, which needs a space before it.", 7),
        ("a: [b]#c", "A # right after this would begin a comment, which needs a space before it.", 7),
        ('"a"#b: c', "A # right after this would begin a comment, which needs a space before it.", 4),
        ("{?a: b}", "A text that begins with ? must be in quotes.", 2),
        ("a: [?b]", "A text that begins with ? must be in quotes.", 5),
    ],
)
def test_no_sign_is_cut_off_the_text_that_it_touches(text: str, message: str, column: int) -> None:
    (problem,) = parsed(text).problems
    assert (problem.message, problem.origin.line, problem.origin.column) == (message, 1, column)


@pytest.mark.parametrize(
    "text", ['a: "b" #c', "a: [b]\n#c", "a: {b: c}\n# d", "a: b#c", "? a\n: b", "a: ?b", "{a: b?}", "{? a: b}"]
)
def test_a_sign_that_stands_apart_or_inside_a_text_is_no_problem(text: str) -> None:
    assert parsed(text).problems == ()


def test_problems_before_broken_syntax_are_told_too() -> None:
    document = parsed("a: 1\na: 2\nb: 'c")
    assert [each.origin.line for each in document.problems] == [2, 3]
    assert document.value is None


def test_the_example_is_read(request: pytest.FixtureRequest) -> None:
    example = Path(request.config.rootpath) / "manifests" / "example.yaml"
    document = parse_yaml(example.read_bytes(), "example.yaml", SCHEMA)
    assert document.checked(SCHEMA, CHECKS) == ()
