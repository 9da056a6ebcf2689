"""Violations: each keyword in words, at its path, once."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from provisioner.document import Part, Value, Violation, inlined, spelled, violations
from provisioner.manifest.formats import CHECKS
from provisioner.model.account import CALLBACK_NAMES

ACCOUNT: dict[str, Value] = {"name": "paris", "first_name": "Leonardo", "last_name": "Da Vinci"}


def manifest(**account: Value) -> Value:
    return {"version": 1, "accounts": [{**ACCOUNT, **account}]}


def only(value: Value, schema: str = "manifest.v1") -> Violation:
    (violation,) = violations(value, schema, CHECKS)
    return violation


def test_a_path_is_spelled_as_people_read_it() -> None:
    assert spelled(("accounts", 2, "callbacks", "email_for_inbounds")) == "accounts[2].callbacks.email_for_inbounds"
    assert spelled(()) == ""
    assert spelled(("accounts", 0, "?t=SECRET")) == "accounts[0].…"


def test_a_good_value_has_none() -> None:
    assert list(violations(manifest(), "manifest.v1", CHECKS)) == []


@pytest.mark.parametrize(
    ("value", "predicate", "hint"),
    [
        (True, "must be text, not true or false", "Write one text; put it in quotes if"),
        (1, "must be text, not a number", "Write one text"),
        (1.5, "must be text, not a number", "Write one text"),
        ([], "must be text, not a list", "Write one text"),
        ({}, "must be text, not a group of fields", "Write one text"),
        (None, "has no value (empty, ~ and null all count as none)", "Write a value, put it in quotes"),
        ("", "is empty", "Give it a value, or delete it if it is optional."),
        ("x" * 256, "is too long: 256 characters, and at most 255 are possible", "Shorten it."),
        (" x", "begins or ends with a space", "Delete the space."),
    ],
)
def test_a_wrong_text(value: Value, predicate: str, hint: str) -> None:
    found = only(manifest(company_name=value))
    assert found.path == ("accounts", 0, "company_name")
    assert found.part is Part.VALUE
    assert found.predicate == predicate
    assert found.hint.startswith(hint)


def test_other_types_than_text() -> None:
    assert only({"version": "1", "accounts": [ACCOUNT]}).predicate == "must be a whole number, not text"
    assert only({"version": 1, "accounts": "x"}).predicate == "must be a list, not text"
    assert only({"version": 1, "accounts": [1]}).predicate == "must be a group of fields, not a number"
    assert only({"retry_on_503": "yes"}, "config.v1").predicate == "must be true or false, not text"
    assert only({"timeout": "1s"}, "config.v1").predicate == "must be a number, not text"


def test_a_missing_field() -> None:
    account: Value = {"name": "paris"}
    first, last = violations({"version": 1, "accounts": [account]}, "manifest.v1", CHECKS)
    assert first == Violation(("accounts", 0, "first_name"), Part.MISSING, "is missing", "Add first_name.")
    assert last.path == ("accounts", 0, "last_name")


def test_only_what_is_missing_is_named() -> None:
    assert only({"accounts": [ACCOUNT]}).path == ("version",)
    assert only({"version": 1}).path == ("accounts",)


def test_defaults_supply_what_an_account_lacks() -> None:
    value: Value = {"version": 1, "defaults": {"first_name": "L"}, "accounts": [{"name": "a", "last_name": "V"}]}
    assert list(violations(value, "manifest.v1", CHECKS)) == []


def test_an_unknown_field_suggests_the_nearest() -> None:
    found = only(manifest(**{"Company Nam": "x"}))
    assert found.part is Part.KEY
    assert found.path == ("accounts", 0, "Company Nam")
    assert found.predicate == "is not a known field"
    assert found.hint == "Did you mean company_name?"
    assert found.meant == "company_name"


def test_an_unknown_field_that_resembles_nothing_gets_the_list() -> None:
    found = only({"version": 1, "accounts": [ACCOUNT], "defaults": {"zzz": 1}})
    assert found.hint == "Known fields: first_name, last_name, company_name, callbacks, parent."
    assert found.meant is None


def test_a_misspelled_field_is_not_missing_too() -> None:
    account: Value = {"name": "paris", "first_nam": "L", "last_name": "V"}
    assert only({"version": 1, "accounts": [account]}).path == ("accounts", 0, "first_nam")


def test_a_present_field_is_still_checked_next_to_a_misspelled_one() -> None:
    unknown, wrong = violations(manifest(first_nam="L", first_name=""), "manifest.v1", CHECKS)
    assert (unknown.path[-1], unknown.meant) == ("first_nam", None)
    assert (wrong.path[-1], wrong.predicate) == ("first_name", "is empty")


def test_an_absurdly_long_key_is_compared_quickly() -> None:
    assert only(manifest(**{"x" * 1_000_000: 1})).part is Part.KEY


def test_const_minimum_and_maximum() -> None:
    assert only({"version": 2, "accounts": [ACCOUNT]}).predicate == "must be 1"
    assert only({"version": 2, "accounts": [ACCOUNT]}).hint == "Write 1."
    assert only({"limit": -1}, "config.v1").predicate == "must be at least 0"
    assert only({"timeout": 0}, "config.v1").predicate == "must be more than 0"
    assert only({"attempts": 101}, "config.v1").predicate == "must be at most 100"


def test_an_empty_list_and_group() -> None:
    assert only({"version": 1, "accounts": []}).predicate == "is empty"
    assert only({"parents": {}}, "config.v1").predicate == "is empty"


def test_what_the_schema_says_itself() -> None:
    found = only({"version": 1, "defaults": {"password": "SECRET"}, "accounts": [ACCOUNT]})
    assert found == Violation(
        ("defaults", "password"),
        Part.KEY,
        "cannot be shared: one leaked password would open every account",
        "Delete it here.",
    )
    named = only(manifest(name="Paris"))
    assert named.predicate == "must be lower-case letters (a to z), digits and single hyphens between them"
    assert named.hint == "For example: paris"


def test_a_wrong_key_is_named_as_a_key() -> None:
    (found,) = violations({"parents": {"Acme": {"api_key": "${env:K}"}}}, "config.v1", {})
    assert (found.path, found.part) == (("parents", "Acme"), Part.KEY)
    assert found.predicate
    (inside,) = violations({"parents": {"acme": {"limitt": 1}}}, "config.v1", {})
    assert (inside.path, inside.hint) == (("parents", "acme", "limitt"), "Did you mean limit?")


def test_one_value_has_one_violation() -> None:
    # Too long, of the wrong pattern, and with a space at its end.
    found = only(manifest(name="X" * 70 + " "))
    assert found.predicate == "is too long: 71 characters, and at most 63 are possible"


def test_both_branches_of_a_condition_are_checked() -> None:
    assert only(manifest(callbacks={"email_for_inbounds": "x"})).predicate == "is not an e-mail address"
    assert only(manifest(callbacks={"email_for_inbounds": "${env:}"})).predicate.startswith(
        "contains a malformed placeholder"
    )
    assert list(violations(manifest(callbacks={"email_for_inbounds": "${env:X}"}), "manifest.v1", CHECKS)) == []


def test_noise_ends_after_a_thousand() -> None:
    value: Value = {"version": 1, "accounts": [1] * 1_001}
    found = list(violations(value, "manifest.v1", CHECKS))
    assert len(found) == 1_000
    assert found[-1] == Violation((), Part.VALUE, "has more problems than are shown", "Correct these first.")
    exactly: Value = {"version": 1, "accounts": [1] * 999}
    assert all(each.path for each in violations(exactly, "manifest.v1", CHECKS))


@pytest.mark.parametrize("index", [0, 99, 100, 101, 249])
def test_an_entry_far_down_a_list_has_its_own_index(index: int) -> None:
    accounts: list[Value] = [dict(ACCOUNT) for _ in range(250)]
    accounts[index] = {**ACCOUNT, "name": ""}
    wrong, first = violations({"version": 1, "parent": 7, "accounts": accounts}, "manifest.v1", CHECKS)
    assert (wrong.path, first.path) == (("parent",), ("accounts", index, "name"))


@pytest.mark.parametrize("name", ["007", "7", "acme", "a-1"])
def test_a_name_that_is_free_is_kept_as_it_is(name: str) -> None:
    parents: Value = {"other": {}, "7": {}, name: {"limit": -1}}
    assert only({"parents": parents}, "config.v1").path == ("parents", name, "limit")


def test_a_name_that_is_empty_is_told_with_what_is_below_it() -> None:
    found = [(each.path, each.part) for each in violations({"parents": {"": {"": 1, "limit": "x"}}}, "config.v1", {})]
    assert found == [
        (("parents", ""), Part.KEY),
        (("parents", "", ""), Part.KEY),
        (("parents", "", "limit"), Part.VALUE),
    ]


def test_a_name_does_not_end_in_a_line_break() -> None:
    assert only({"parents": {"acme\n": {}}}, "config.v1").path == ("parents", "acme\n")


def test_half_of_a_character_is_told_as_such() -> None:
    predicate = "contains U+DCFF, which is not a character of any script"
    assert only(manifest(company_name="a\udcff")).predicate == predicate
    wrong, unknown = violations(manifest(zzz=1, **{"a\ud800": 1}), "manifest.v1", CHECKS)
    assert (wrong.path[-1], unknown.path[-1]) == ("zzz", "a\ud800")
    (key,) = violations({"state": "a\udcff", "parents": {"\ud800": {}}}, "config.v1", {})
    assert key.path == ("parents", "\ud800")
    # Three hundred entries above it are checked first.
    accounts: list[Value] = [{**ACCOUNT, "name": ""}, *[dict(ACCOUNT)] * 300, {**ACCOUNT, "name": "\ud800"}]
    found = list(violations({"version": 1, "accounts": accounts}, "manifest.v1", CHECKS))
    assert [each.path[1] for each in found] == [0, 301]


def test_no_violation_repeats_a_value() -> None:
    account: Value = {
        "name": "https://x/?t=SECRET",
        "first_name": ["SECRET"],
        "last_name": "SECRET ",
        "password": {"SECRET": "SECRET"},
        "?SECRET": "SECRET",
        "callbacks": {"callback_url_for_visits": "ftp://SECRET", "email_for_inbounds": "SECRET"},
    }
    for found in violations({"version": 1, "accounts": [account]}, "manifest.v1", CHECKS):
        assert "SECRET" not in f"{spelled(found.path)} {found.predicate} {found.hint}"


def keywords(schema: object) -> set[str]:
    """Return every key in ``schema``, including names of fields."""
    if isinstance(schema, dict):
        return {*schema}.union(*map(keywords, schema.values()))
    return set().union(*map(keywords, schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("schema", ["manifest.v1", "config.v1"])
def test_a_schema_asks_nothing_of_entries_together(schema: str) -> None:
    """They are checked a few at a time, so a problem of all of them together would not be found."""
    together = {"maxItems", "uniqueItems", "contains", "prefixItems", "maxProperties", "patternProperties"}
    assert set() == keywords(inlined(schema)) & {*together, "anyOf", "oneOf", "dependentRequired", "dependentSchemas"}
    assert {1} == {each for group in groups(inlined(schema)) for each in least(group)}


def groups(schema: object) -> Iterator[dict[str, Any]]:
    """Yield ``schema`` and each of its subschemas."""
    if isinstance(schema, dict):
        yield schema
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from groups(each)


def least(schema: dict[str, Any]) -> list[object]:
    return [schema[each] for each in ("minItems", "minProperties") if each in schema]


def test_inlined_leaves_no_reference() -> None:
    assert "$ref" not in str(inlined("manifest.v1"))
    name = inlined("manifest.v1")["properties"]["accounts"]["items"]["properties"]["name"]
    assert name["title"] == "Name"
    assert name["maxLength"] == 63
    assert inlined("manifest.v1") is inlined("manifest.v1")


# ── Of one mind with another validator ───────────────────────────────────────

TEXTS = st.sampled_from(
    [
        *("", "x", "paris", "Paris", "a\n", " a", "x" * 64, "x" * 256, "https://e.com", "http://e.com/${env:X}"),
        *("${env:X}", "${env:}", "${", "ftp://x", "a@b.co", "a@b", "\u0430", "\u0662", "\u2028", "1", "7", "007"),
    ]
)
SCALARS = TEXTS | st.sampled_from([None, True, False, 0, 1, 2, -1, 1.0, 0.0, 1.5, 10**30, -(10**30)])
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(TEXTS, SCALARS, max_size=2)


def group(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return groups with some of ``fields``, most of them valid, and perhaps another field."""
    own = st.fixed_dictionaries({}, optional={name: each | VALUES for name, each in fields.items()})
    other = st.dictionaries(st.sampled_from(["zzz", "first_nam", "", "7", "not"]), VALUES, max_size=1)
    return st.builds(lambda one, two: {**one, **two}, own, other)


OF_AN_ACCOUNT = {
    **dict.fromkeys(("name", "first_name", "last_name", "company_name", "password", "previously", "parent"), TEXTS),
    "password_version": st.integers(-1, 2),
    "callbacks": group(**dict.fromkeys(CALLBACK_NAMES, TEXTS)),
}
MANIFESTS = group(
    version=st.just(1),
    parent=TEXTS,
    defaults=group(**OF_AN_ACCOUNT),
    accounts=st.lists(group(**OF_AN_ACCOUNT), max_size=3),
)
SETTINGS = group(
    state=TEXTS,
    recipients=st.lists(TEXTS, max_size=3),
    limit=st.integers(-1, 2_000_000),
    timeout=st.floats(-1, 4_000),
    retry_on_503=st.booleans(),
    parents=st.dictionaries(
        TEXTS.filter(lambda name: "\n" not in name),  # with Python's $ a name may end in one
        group(api_key=TEXTS, limit=st.integers(-1, 2_000_000)) | VALUES,
        max_size=3,
    ),
)


def fits(name: str, text: object) -> bool:
    return not isinstance(text, str) or CHECKS[name](text) is None


def paths(value: Value, schema: str) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths at which jsonschema finds an error."""
    checker = FormatChecker(formats=())
    for name in CHECKS:
        checker.checks(name)(lambda text, name=name: fits(name, text))
    for error in Draft202012Validator(inlined(schema), format_checker=checker).iter_errors(value):
        path = tuple(error.absolute_path)
        match error.validator:
            case "required":
                yield from ((*path, key) for key in error.validator_value if key not in error.instance)
            case "additionalProperties":
                yield from ((*path, key) for key in error.instance if key not in error.schema["properties"])
            case _ if "propertyNames" in error.schema_path:
                yield (*path, error.instance)
            case _:
                yield path


@given(st.tuples(MANIFESTS, st.just("manifest.v1")) | st.tuples(SETTINGS, st.just("config.v1")))
def test_another_validator_finds_fault_with_the_same(given: tuple[Value, str]) -> None:
    value, schema = given
    found = list(violations(value, schema, CHECKS))
    ours = {each.path for each in found}
    meant = {(*each.path[:-1], each.meant) for each in found if each.meant}
    theirs = set(paths(value, schema))
    assert ours <= theirs <= ours | meant
    assert len(ours) == len(found)
