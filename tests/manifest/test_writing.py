"""Writing: a written manifest reads back exactly, and contains no token in clear text."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner import schemas
from provisioner.manifest import load
from provisioner.manifest.expansion import requests
from provisioner.manifest.formats import callback_url, email, key, text
from provisioner.manifest.writing import as_yaml, with_placeholders
from provisioner.model.account import CALLBACK_NAMES, Attributes, Callbacks, DesiredAccount, Secret
from provisioner.model.plan import Create
from provisioner.placeholders.reading import Reader

FULL = Attributes(
    "Leonardo",
    "Da Vinci",
    "Italy",
    Callbacks(
        "https://example.com/deliveries",
        "https://example.com/stop",
        "https://example.com/visits",
        "https://example.com/inbounds",
        "sms@example.com",
    ),
)


def loaded(written: str, parent: str = "default") -> tuple[DesiredAccount, ...]:
    with TemporaryDirectory() as name:
        path = Path(name, "taken-over.yaml")
        path.write_text(written, encoding="utf-8")
        found = load([path])
        # A URL of random characters may look like a token.
        assert found.errors == ()
        (manifest,) = found.require()
        assert manifest.parent == parent
        return manifest.accounts


def accounts(written: str) -> list[tuple[str, Attributes]]:
    return [(each.name, each.attributes) for each in loaded(written)]


# ── YAML ─────────────────────────────────────────────────────────────────────


def test_the_manifest_as_it_is_written() -> None:
    assert (
        as_yaml([("rome", Attributes("Zoé", "Da Vinci")), ("paris", FULL)])
        == """\
# yaml-language-server: $schema=../schemas/manifest.v1.schema.json
# These accounts existed already and were taken over.
version: 1
accounts:
- name: paris
  first_name: Leonardo
  last_name: Da Vinci
  company_name: Italy
  callbacks:
    callback_url_for_deliveries: https://example.com/deliveries
    callback_url_for_blacklisted_numbers: https://example.com/stop
    callback_url_for_visits: https://example.com/visits
    callback_url_for_inbounds: https://example.com/inbounds
    email_for_inbounds: sms@example.com
- name: rome
  first_name: Zoé
  last_name: Da Vinci
"""
    )


def test_the_first_line_is_that_of_every_manifest() -> None:
    root = Path(schemas.__file__).resolve().parents[1]
    first = (root / "manifests" / "example.yaml").read_text().splitlines()[0]
    assert as_yaml([("paris", FULL)]).splitlines()[0] == first


def test_a_parent_is_named_where_it_is_given() -> None:
    written = as_yaml([("paris", FULL)], parent="acme")
    assert written.splitlines()[2:4] == ["version: 1", "parent: acme"]
    assert [each.attributes for each in loaded(written, parent="acme")] == [FULL]
    # A key may be something that YAML reads as another type.
    assert loaded(as_yaml([("paris", FULL)], parent="null"), parent="null")


def test_a_long_text_stays_on_its_line() -> None:
    long = ("many words " * 23).strip()
    assert f"\n  first_name: {long}\n" in as_yaml([("paris", Attributes(long, "b"))])


def test_what_it_does_not_say_is_absent() -> None:
    (found,) = loaded(as_yaml(iter([("paris", FULL)])))
    assert (found.password, found.previously, found.password_version) == (None, None, 1)


def test_accounts_that_share_everything_share_nothing_in_the_file() -> None:
    written = as_yaml([("a", FULL), ("b", FULL)])
    assert "&" not in written
    assert accounts(written) == [("a", FULL), ("b", FULL)]


NASTY = [
    *("no", "Yes", "on", "true", "null", "~", "Null", "=", "<<", "0123", "0o7", "0x1F", "1e5", "1.0", ".5", "1_000"),
    *("2026-01-01", "2026-01-01T00:00:00Z", "12:30", "12:30:45", "+33612345678", "-", "- a", "? a", "a: b", "a:", ":a"),
    *(
        "#",
        "#a",
        "a #b",
        "a#b",
        "'",
        '"',
        "'a'",
        '"a"',
        "it's",
        'say "a"',
        "\\",
        "\\n",
        "a\\u0041",
        "%TAG",
        "@a",
        "`a`",
    ),
    *(
        "!a",
        "!!str a",
        "&a",
        "*a",
        "|",
        ">",
        "|-",
        "[a]",
        "{a}",
        "{a: b}",
        "[",
        "]",
        "{",
        "}",
        ",",
        "a, b",
        "---",
        "...",
    ),
    *(
        "--- a",
        "\U0001f468\U0001f3fd",
        "\U0001f600",
        "李",
        "é",
        "e\u0301",
        "عربي",
        "a  b",
        "x" * 255,
        "a " * 127 + "b",
        "5 $",
    ),
    *("${env:X}", "a ${file:b c} d", "version: 1", "\ue000" if "\ue000".isprintable() else "a", "NaN", ".inf", "None"),
]


@pytest.mark.parametrize("nasty", NASTY)
def test_a_text_that_yaml_takes_for_something_else_stays_a_text(nasty: str) -> None:
    attributes = Attributes(nasty, nasty, nasty)
    assert accounts(as_yaml([("paris", attributes)])) == [("paris", attributes)]


@pytest.mark.parametrize("name", ["null", "no", "on", "y", "0123", "1e5", "123", "2026-01-01", "0", "true", "0x1f"])
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(name: str) -> None:
    assert accounts(as_yaml([(name, FULL)])) == [(name, FULL)]


# A line of plain text as a manifest may have it; of all kinds of white space, only the plain space is allowed.
_ALPHABET = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
_SIGNS = st.text("-?:,[]{}#&*!|>'\"%@`\\ =<~0123.eE+_xonyNul$", min_size=1, max_size=12)
TEXTS = (
    (st.text(_ALPHABET, min_size=1, max_size=40) | _SIGNS | st.sampled_from(NASTY))
    .map(lambda each: each.strip(" "))
    .filter(lambda each: bool(each) and text(each) is None)
)
NAMES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda each: len(each) < 64)
URLS = (
    st.text("aZ0-._~:/?#[]@!$&'()*+,;=", max_size=30)
    .map("https://example.com/{}".format)
    .filter(lambda each: callback_url(each) is None)
)
EMAILS = st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}@[a-z0-9]{1,9}\.[a-z]{2,5}", fullmatch=True).filter(
    lambda each: email(each) is None
)


def optional(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | texts


def attributes(texts: st.SearchStrategy[str], emails: st.SearchStrategy[str]) -> st.SearchStrategy[Attributes]:
    return st.builds(
        Attributes,
        texts,
        texts,
        optional(texts),
        st.builds(Callbacks, *[optional(URLS)] * 4, optional(emails)),
    )


@given(st.dictionaries(NAMES, attributes(TEXTS, EMAILS), min_size=1, max_size=5))
def test_what_is_written_is_read_as_it_was(given_accounts: dict[str, Attributes]) -> None:
    assert all(key(name) is None for name in given_accounts)
    expected = sorted(given_accounts.items(), key=lambda each: each[0])
    assert accounts(as_yaml(given_accounts.items())) == expected
    assert as_yaml(reversed(expected)) == as_yaml(expected)


# ── Placeholders ─────────────────────────────────────────────────────────────


def callback(url: str) -> Attributes:
    return Attributes("a", "b", callbacks=Callbacks(callback_url_for_visits=url))


@pytest.mark.parametrize(
    "url",
    [
        "https://user:SECRET@example.com/x",
        "https://SECRET@example.com",
        "https://example.com/?t=SECRET",
        "https://example.com?SECRET",
        "https://example.com/x#SECRET",
        "https:user:SECRET@example.com",
        "https://example.com\\@SECRET",
        "https://[SECRET?",
        "HTTPS://example.com/?SECRET#SECRET",
        "https://example.com/${SECRET}",
        "https://hooks.slack.com/services/T024BE7LH/B08/SECRET0a1B2c3D4e5",
    ],
)
def test_a_url_that_carries_a_token_is_replaced_as_a_whole(url: str) -> None:
    found, variables = with_placeholders("paris", callback(url))
    assert found == callback("${env:PARIS_CALLBACK_URL_FOR_VISITS}")
    assert variables == {"PARIS_CALLBACK_URL_FOR_VISITS": "callbacks.callback_url_for_visits"}
    assert "SECRET" not in as_yaml([("paris", found)])


@pytest.mark.parametrize("url", ["https://example.com", "https://example.com:8443/a/b.c;d=e&f", "HTTP://[::1]/x"])
def test_a_url_that_carries_none_stays(url: str) -> None:
    assert with_placeholders("paris", callback(url)) == (callback(url), {})


def test_a_text_that_is_not_a_url_may_have_its_characters() -> None:
    attributes = Attributes("Who?", "#1", "a@b", Callbacks(email_for_inbounds="a?#b@example.com"))
    assert with_placeholders("paris", attributes) == (attributes, {})


@pytest.mark.parametrize("literal", ["${env:X}", "a ${file:b} c", "${", "x ${y}", "$(env:X)", "$(file:x)", "$${env:A}"])
@pytest.mark.parametrize(
    ("path", "variable"),
    [
        ("first_name", "LYON_2_FIRST_NAME"),
        ("last_name", "LYON_2_LAST_NAME"),
        ("company_name", "LYON_2_COMPANY_NAME"),
        ("callbacks.callback_url_for_deliveries", "LYON_2_CALLBACK_URL_FOR_DELIVERIES"),
        ("callbacks.callback_url_for_blacklisted_numbers", "LYON_2_CALLBACK_URL_FOR_BLACKLISTED_NUMBERS"),
        ("callbacks.callback_url_for_visits", "LYON_2_CALLBACK_URL_FOR_VISITS"),
        ("callbacks.callback_url_for_inbounds", "LYON_2_CALLBACK_URL_FOR_INBOUNDS"),
        ("callbacks.email_for_inbounds", "LYON_2_EMAIL_FOR_INBOUNDS"),
    ],
)
def test_what_would_be_read_as_a_placeholder_becomes_one_in_whichever_field(
    path: str, variable: str, literal: str
) -> None:
    group, _, field = path.rpartition(".")

    def having(value: str) -> Attributes:
        if group:
            return replace(FULL, callbacks=replace(FULL.callbacks, **{field: value}))
        return replace(FULL, **{field: value})

    found, variables = with_placeholders("lyon-2", having(literal))
    assert found == having(f"${{env:{variable}}}")
    assert variables == {variable: path}


@pytest.mark.parametrize("name", ["5 $", "$HOME", "$ {env:X}", "{a}", "$(x)", "env:X"])
def test_what_would_not_be_read_as_a_placeholder_stays(name: str) -> None:
    assert with_placeholders("paris", Attributes(name, "b")) == (Attributes(name, "b"), {})


def test_several_variables_stand_in_the_order_of_the_fields() -> None:
    given_attributes = Attributes(
        "${a}", "b", "${c}", Callbacks("https://x.example/?a", email_for_inbounds="${d}@b.co")
    )
    found, variables = with_placeholders("1-a", given_attributes)
    assert list(variables.items()) == [
        ("_1_A_FIRST_NAME", "first_name"),
        ("_1_A_COMPANY_NAME", "company_name"),
        ("_1_A_CALLBACK_URL_FOR_DELIVERIES", "callbacks.callback_url_for_deliveries"),
        ("_1_A_EMAIL_FOR_INBOUNDS", "callbacks.email_for_inbounds"),
    ]
    assert found.last_name == "b"
    # The argument is unchanged: another caller needs it.
    assert given_attributes.first_name == "${a}"


@pytest.mark.parametrize("name", ["ci-x", "github-bot", "provisioner", "runner-1", "octopush-api-key"])
def test_no_variable_is_one_that_no_placeholder_may_read(name: str) -> None:
    found, variables = with_placeholders(name, Attributes("${", "b"))
    assert Reader(dict.fromkeys(variables, "x"), ()).values(found.first_name, Path()) == ("x",)


def test_no_two_fields_of_any_accounts_share_a_variable() -> None:
    literal = Attributes("${", "${", "${", Callbacks(*["${"] * len(CALLBACK_NAMES)))
    names = ["a", "a-b", "a-first", "a-last", "first", "1", "1-1", "11", "a-callback-url-for", "a-1"]
    variables = [variable for name in names for variable in with_placeholders(name, literal)[1]]
    assert len(set(variables)) == len(variables) == len(names) * (3 + len(CALLBACK_NAMES))


LITERALS = (TEXTS | st.text("${}env:fil() aX", min_size=1, max_size=20)).map(lambda each: each.strip(" ")).filter(bool)


@given(NAMES, attributes(LITERALS, EMAILS | EMAILS.map("${{a}}{}".format)))
def test_an_account_comes_out_of_its_manifest_as_it_went_in(name: str, literal: Attributes) -> None:
    found, variables = with_placeholders(name, literal)
    environ = {variable: literal.flat()[path] for variable, path in variables.items()}
    (account,) = loaded(as_yaml([(name, found)]))
    assert (account.name, account.attributes) == (name, found)
    made = requests([Create(account)], Reader(environ, ()), lambda: Secret("x"))
    assert made[name].attributes == literal


@given(NAMES, attributes(TEXTS, EMAILS))
def test_every_variable_can_be_set_and_every_other_field_stays(name: str, literal: Attributes) -> None:
    found, variables = with_placeholders(name, literal)
    assert all(
        variable.isidentifier() and variable.isascii() and variable.upper() == variable for variable in variables
    )
    changed = {path for path, value in found.flat().items() if literal.flat()[path] != value}
    assert changed == set(variables.values())
    assert set(found.flat()) == set(literal.flat())
    urls = [value for path, value in found.flat().items() if "callback_url_" in path]
    assert not any(sign in url for url in urls for sign in "@?#")
