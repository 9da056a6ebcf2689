"""The YAML manifest: defaults under every account, and every problem once, at its position."""

import pytest

from provisioner.manifest.entries import FileContent
from provisioner.manifest.yaml_manifest import read
from provisioner.model.account import Problem, Severity


def part(text: str) -> FileContent:
    return read(text.encode(), "m.yaml")


def problems(text: str) -> tuple[Problem, ...]:
    found = part(text).problems
    for problem in found:
        assert problem.origin.file == "m.yaml"
        assert problem.hint
        assert "SECRET" not in f"{problem.path} {problem.message} {problem.hint}"
    return found


def paths(text: str) -> list[tuple[str, int | None, Severity]]:
    return [(each.path, each.origin.line, each.severity) for each in problems(text)]


FULL = """\
version: 1
parent: acme
defaults:
  company_name: Italy
  last_name: Da Vinci
  callbacks:
    callback_url_for_visits: https://example.com/visits
    callback_url_for_inbounds: https://example.com/inbounds
accounts:
  - name: paris
    first_name: Leonardo
    callbacks:
      callback_url_for_inbounds: https://example.com/paris
      email_for_inbounds: paris@example.com
  - first_name: Caterina
    last_name: Medici
    company_name: France
    password: ${env:P}
    name: florence
"""


def test_defaults_are_merged_under_every_account() -> None:
    found = part(FULL)
    assert found.problems == ()
    assert found.parent == "acme"
    paris, florence = (entry.fields for entry in found.entries)
    assert paris == {
        "name": "paris",
        "first_name": "Leonardo",
        "last_name": "Da Vinci",
        "company_name": "Italy",
        "callbacks": {
            "callback_url_for_visits": "https://example.com/visits",
            "callback_url_for_inbounds": "https://example.com/paris",
            "email_for_inbounds": "paris@example.com",
        },
    }
    assert florence["last_name"] == "Medici"
    assert florence["company_name"] == "France"
    assert florence["password"] == "${env:P}"
    assert florence["callbacks"] == {
        "callback_url_for_visits": "https://example.com/visits",
        "callback_url_for_inbounds": "https://example.com/inbounds",
    }


def test_an_account_has_the_position_of_its_beginning_and_its_name_its_own() -> None:
    first, second = part(FULL).entries
    assert (first.origin.line, first.origin.column) == (10, 5)
    assert (first.name_origin.line, first.name_origin.column, first.name_path) == (10, 11, "accounts[0].name")
    assert (second.origin.line, second.name_origin.line, second.name_path) == (15, 19, "accounts[1].name")


def test_a_previous_name_has_a_place_of_its_own() -> None:
    text = "version: 1\naccounts:\n- name: a\n  previously: b\n  first_name: c\n  last_name: d\n"
    first, second = part(f"{text}- {{name: e, first_name: f, last_name: g}}\n").entries
    assert (first.previously_origin.line, first.previously_origin.column) == (4, 15)
    assert first.previously_path == "accounts[0].previously"
    assert (second.previously_origin, second.previously_path) == (second.origin, "accounts[1].previously")


@pytest.mark.parametrize(
    ("value", "predicate"),
    [
        ("0", "must be at least 1"),
        ("-1", "must be at least 1"),
        ("1.0", "must be a whole number, not text"),
        ("1e1", "must be a whole number, not text"),
        ("'2'", "must be a whole number, not text"),
        ("true", "must be a whole number, not text"),
        ("${env:X}", "must be a whole number, not text"),
        ("[2]", "must be a whole number, not a list"),
        ("", "has no value (empty, ~ and null all count as none)"),
    ],
)
def test_a_password_version_is_a_whole_number_from_one(value: str, predicate: str) -> None:
    (problem,) = problems(f"{WARN}  password_version: {value}\n")
    assert (problem.path, problem.origin.line) == ("accounts[0].password_version", 6)
    assert problem.message == f"accounts[0].password_version {predicate}."


@pytest.mark.parametrize(("value", "version"), [("1", 1), ("2", 2), ("999999999999999999", 999_999_999_999_999_999)])
def test_a_password_version_is_read_as_a_number(value: str, version: int) -> None:
    found = part(f"{WARN}  password_version: {value}\n")
    assert found.problems == ()
    assert found.entries[0].fields["password_version"] == version


@pytest.mark.parametrize("value", ["Old", "old name", "${env:X}", "p\u0430ris", "[old]", "''", "", "x" * 64])
def test_a_previous_name_obeys_the_rules_of_a_name(value: str) -> None:
    (problem,) = problems(f"{WARN}  previously: {value}\n")
    (same,) = problems(WARN.replace("name: a", f"name: {value}", 1))
    assert (problem.path, problem.origin.line) == ("accounts[0].previously", 6)
    assert problem.message == same.message.replace(".name", ".previously")


def test_callbacks_of_an_account_alone_need_no_defaults() -> None:
    text = "version: 1\naccounts:\n- {name: a, first_name: b, last_name: c, callbacks: {email_for_inbounds: a@b.co}}\n"
    (entry,) = part(text).entries
    assert entry.fields["callbacks"] == {"email_for_inbounds": "a@b.co"}
    assert part(text).parent is None


def test_what_neither_has_is_missing_from_the_account() -> None:
    text = "version: 1\ndefaults: {first_name: a}\naccounts:\n- name: x\n- name: y\n  last_name: z\n"
    (problem,) = problems(text)
    assert (problem.path, problem.origin.line, problem.origin.column) == ("accounts[0].last_name", 4, 3)
    assert problem.message == "accounts[0].last_name is missing."


def test_a_mistake_in_the_defaults_is_reported_once() -> None:
    text = "version: 1\ndefaults: {first_name: a, last_name: ' b', compani_name: c}\naccounts: [{name: x}, {name: y}]\n"
    assert paths(text) == [
        ("defaults.last_name", 2, Severity.ERROR),
        ("defaults.compani_name", 2, Severity.ERROR),
    ]


@pytest.mark.parametrize("field", ["name", "password", "password_version", "previously"])
def test_what_is_an_account_s_own_is_refused_for_all(field: str) -> None:
    text = f"version: 1\ndefaults:\n  {field}: SECRET\n  first_name: a\n  last_name: b\naccounts:\n- name: x\n"
    (problem,) = problems(text)
    assert (problem.path, problem.origin.line, problem.origin.column) == (f"defaults.{field}", 3, 3)
    assert "cannot be shared" in problem.message
    (entry,) = part(text).entries
    assert entry.fields == {"name": "x", "first_name": "a", "last_name": "b"}


def test_every_problem_is_told_at_once() -> None:
    text = """\
version: 2
parent: Acme
accounts:
  - name: Paris
    first_nam: a
    last_name: no
    password: [SECRET]
  - text
  - name: nice
    first_name: a
    last_name: ~
    callbacks: {email_for_inbounds: SECRET, callback_url_for_visits: "ftp://x/?SECRET"}
"""
    assert paths(text) == [
        ("version", 1, Severity.ERROR),
        ("parent", 2, Severity.ERROR),
        ("accounts[0].name", 4, Severity.ERROR),
        ("accounts[0].first_nam", 5, Severity.ERROR),
        ("accounts[0].password", 7, Severity.ERROR),
        ("accounts[1]", 8, Severity.ERROR),
        ("accounts[2].last_name", 11, Severity.ERROR),
        ("accounts[2].callbacks.email_for_inbounds", 12, Severity.ERROR),
        ("accounts[2].callbacks.callback_url_for_visits", 12, Severity.ERROR),
    ]


@pytest.mark.parametrize(
    "text",
    ["- x", "text", "version: 1\naccounts: x", "version: 1\naccounts: {}", "version: 1\naccounts: []", "version: 1"],
)
def test_a_manifest_of_another_shape_has_one_problem(text: str) -> None:
    assert len(problems(text)) == 1
    assert part(text).entries == ()


def test_entries_alone_are_told_what_belongs_above_them() -> None:
    (problem,) = part("- {name: a, first_name: b, last_name: c}\n").problems
    assert "Put `version: 1` and `accounts:` above the entries." == problem.hint
    (problem,) = part("version: 1\naccounts: []\n").problems
    assert "Write at least one entry, or delete it if it is optional." == problem.hint


@pytest.mark.parametrize("defaults", ["x", "[]", "~", "{callbacks: x}"])
def test_defaults_of_another_shape_have_one_problem(defaults: str) -> None:
    text = f"version: 1\ndefaults: {defaults}\naccounts: [{{name: a, first_name: b, last_name: c, callbacks: {{}}}}]\n"
    assert [(each[0].split(".")[0], each[1]) for each in paths(text)] == [("defaults", 2)]


def test_an_account_without_a_name_is_placed_where_it_begins() -> None:
    (entry,) = part("version: 1\naccounts:\n- first_name: a\n").entries
    assert entry.name_origin == entry.origin


def test_a_parent_that_is_not_text_counts_as_none() -> None:
    assert part("version: 1\nparent: [x]\n").parent is None


WARN = "version: 1\naccounts:\n- name: a\n  first_name: b\n  last_name: c\n"


@pytest.mark.parametrize("password", ["SECRET", "'$SECRET'", "env:SECRET"])
def test_a_literal_password_is_a_warning(password: str) -> None:
    (problem,) = problems(f"{WARN}  password: {password}\n")
    assert (problem.severity, problem.path) == (Severity.WARNING, "accounts[0].password")
    assert (problem.origin.line, problem.origin.column) == (6, 13)
    assert "${env:NAME}" in problem.hint


@pytest.mark.parametrize("password", ["${env:X}", "${file:x}", "a${env:X}"])
def test_a_placeholder_is_not(password: str) -> None:
    assert problems(f"{WARN}  password: {password}\n") == ()


@pytest.mark.parametrize("url", ["http://x.example/?t=${env:T}", "HTTP://x.example"])
def test_a_url_without_tls_is_a_warning(url: str) -> None:
    (problem,) = problems(f"{WARN}  callbacks:\n    callback_url_for_visits: {url}\n")
    assert (problem.severity, problem.path) == (Severity.WARNING, "accounts[0].callbacks.callback_url_for_visits")
    assert problem.origin.line == 7


def test_everything_unwise_in_a_url_is_reported() -> None:
    text = f"{WARN}  callbacks: {{callback_url_for_visits: 'http://u:pw@x.example/?token=SECRET'}}\n"
    assert [each.message.partition(" ")[2] for each in problems(text)] == [
        "is not encrypted: it begins with http://.",
        "seems to contain a token in its user-info, in clear text, visible to everybody who can read this file.",
    ]


def test_a_url_in_the_defaults_is_warned_of_once() -> None:
    text = f"{WARN}- name: d\n  first_name: e\n  last_name: f\n"
    text += "defaults:\n  callbacks: {callback_url_for_visits: 'http://x.example'}\n"
    assert paths(text) == [("defaults.callbacks.callback_url_for_visits", 10, Severity.WARNING)]


def test_what_aliases_repeat_is_warned_of_once() -> None:
    text = f"{WARN}  callbacks: &c {{callback_url_for_visits: 'http://x.example'}}\n"
    text += "- {name: d, first_name: e, last_name: f, callbacks: *c}\n"
    assert paths(text) == [("accounts[0].callbacks.callback_url_for_visits", 6, Severity.WARNING)]


def test_of_a_wrong_value_nothing_more_is_said() -> None:
    assert paths(f"{WARN}  password: 'SECRET '\n") == [("accounts[0].password", 6, Severity.ERROR)]
    assert paths(f"{WARN}  callbacks: {{callback_url_for_visits: 'http://a b'}}\n") == [
        ("accounts[0].callbacks.callback_url_for_visits", 6, Severity.ERROR)
    ]


def test_a_name_in_another_unicode_form_gets_a_warning() -> None:
    text = "version: 1\naccounts:\n- {name: a, first_name: Ka\u0308the, last_name: K\u00e4the}\n"
    assert paths(text) == [("accounts[0].first_name", 3, Severity.WARNING)]


def test_an_escape_that_stays_text_gets_a_warning() -> None:
    text = (
        "version: 1\naccounts:\n- {name: a, first_name: Jos\\u00e9, last_name: 'C:\\Users', company_name: \"\\xe9\"}\n"
    )
    assert paths(text) == [("accounts[0].first_name", 3, Severity.WARNING)]
