"""The schema: valid, complete, and in agreement with the code and with any other validator."""

from dataclasses import fields
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provisioner import schemas
from provisioner.document import inlined
from provisioner.model.account import CALLBACK_NAMES, Attributes, DesiredAccount, Origin

SCHEMA = schemas.load("manifest.v1")
ACCOUNT: dict[str, Any] = inlined("manifest.v1")["properties"]["accounts"]["items"]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(inlined("manifest.v1"))


def test_its_fields_are_those_of_an_account() -> None:
    ours = {each.name for each in fields(DesiredAccount)} - {"attributes", "origin", "placed"} | {"parent"}
    assert set(ACCOUNT["properties"]) == {each.name for each in fields(Attributes)} | ours
    assert tuple(ACCOUNT["properties"]["callbacks"]["properties"]) == CALLBACK_NAMES


def groups(part: object) -> list[dict[str, Any]]:
    if isinstance(part, dict):
        own = [part] if part.get("type") == "object" else []
        return own + [group for each in part.values() for group in groups(each)]
    return [group for each in part for group in groups(each)] if isinstance(part, list) else []


def test_no_group_takes_unknown_fields() -> None:
    assert len(groups(SCHEMA)) == 4
    assert all(group["additionalProperties"] is False for group in groups(SCHEMA))


def test_every_field_explains_itself_in_an_editor() -> None:
    for group in groups(inlined("manifest.v1")):
        for name, field in group["properties"].items():
            assert field["description"], name
            if "not" not in field and field["type"] in {"string", "integer"}:
                assert field["title"], name
                assert field["examples"], name
                for example in field["examples"]:
                    Draft202012Validator(field).validate(example)


def test_defaults_take_what_an_account_takes() -> None:
    defaults = inlined("manifest.v1")["properties"]["defaults"]["properties"]
    assert set(defaults) == set(ACCOUNT["properties"])
    shared = {name: field for name, field in defaults.items() if "not" not in field}
    assert set(defaults) - set(shared) == {"name", "password", "password_version", "previously"}
    assert shared == {name: ACCOUNT["properties"][name] for name in shared}


def test_a_previous_name_obeys_the_rules_of_a_name() -> None:
    said = {"title", "description", "examples"}
    name, previously = (
        {key: rule for key, rule in ACCOUNT["properties"][field].items() if key not in said}
        for field in ("name", "previously")
    )
    assert name == previously


def test_the_parent_of_an_account_obeys_the_rules_of_that_of_a_file() -> None:
    said = {"title", "description", "examples", "default"}
    whole, own = (
        {key: rule for key, rule in field.items() if key not in said}
        for field in (inlined("manifest.v1")["properties"]["parent"], ACCOUNT["properties"]["parent"])
    )
    assert whole == own


def test_the_default_of_a_password_version_is_that_of_an_account() -> None:
    account = DesiredAccount("a", Attributes("b", "c"), None, Origin("m"))
    assert ACCOUNT["properties"]["password_version"]["default"] == account.password_version


@pytest.mark.parametrize(
    "callbacks",
    [
        {"callback_url_for_visits": "${env:URL}"},
        {"callback_url_for_visits": "https://x.example/?t=${env:TOKEN}"},
        {"email_for_inbounds": "${env:MAIL}"},
    ],
)
def test_placeholders_satisfy_any_validator_that_checks_formats(callbacks: dict[str, str]) -> None:
    account = {"name": "paris", "first_name": "a", "last_name": "b", "callbacks": callbacks}
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(SCHEMA, format_checker=checker).validate({"version": 1, "accounts": [account]})
