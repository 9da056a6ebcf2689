from __future__ import annotations

import csv
import io
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.account import Credentials, Secret
from provisioner.model.verdict import Answer, SealedContent
from provisioner.render import credentials as faces


def content(name: str = "paris", key: str = "k1") -> SealedContent:
    return SealedContent("lineage", "default", name, "op", Secret("p1"), Credentials("l@x", Secret(key)))


UNKNOWN = SealedContent(
    "lineage", "default", "oslo", "op", Secret("p1"), None, Answer(201, b"caf\xc3\xa9 \x1b[0m \xff")
)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    evil = content(key=f"{start}cmd|' /C calc'!A0")
    (_, row) = csv.reader(io.StringIO(faces.as_csv([evil]), newline=""))
    assert f"'{start}cmd|' /C calc'!A0" == row[2]
    assert ["paris"] == faces.altered_by_csv([evil, content("rome")])


def test_a_plain_table_is_not_altered() -> None:
    assert "name,api_login,api_key,password\r\nparis,l@x,k1,p1\r\n" == faces.as_csv([content()])
    assert [] == faces.altered_by_csv([content()])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_value_survives_a_shell(value: str) -> None:
    script = faces.as_env([content("my-app", key=value)])
    done = subprocess.run(["sh", "-c", f'{script}\nprintf %s "$MY_APP_API_KEY"'], capture_output=True, check=True)
    assert value == done.stdout.decode()


def test_a_name_that_begins_with_a_digit_is_still_a_variable() -> None:
    done = subprocess.run(
        ["sh", "-c", f'{faces.as_env([content("1and1")])}\nprintf %s "$_1AND1_API_KEY"'],
        capture_output=True,
        check=True,
    )
    assert b"k1" == done.stdout


def test_json_has_null_for_what_is_absent() -> None:
    assert {
        "oslo": {"api_login": None, "api_key": None, "password": "p1"},
        "paris": {"api_login": "l@x", "api_key": "k1", "password": "p1"},
    } == json.loads(faces.as_json([UNKNOWN, content()]))


def test_a_masked_table_holds_no_secret() -> None:
    lines = [line.text for line in faces.masked([content(), UNKNOWN])]
    assert [
        "  NAME   API LOGIN  API KEY  PASSWORD",
        "  paris  l@x        ***      ***",
        "  oslo                       ***",
    ] == lines


def test_one_account_in_text() -> None:
    assert ["api_login: l@x", "api_key: k1", "password: p1"] == [line.text for line in faces.as_text(content())]
    assert ["password: p1", "answer: HTTP 201: café \\x1b[0m \\xff"] == [line.text for line in faces.as_text(UNKNOWN)]
