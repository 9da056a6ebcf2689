"""The tables of docs/ say what the code says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from provisioner import schemas
from provisioner.cli.main import EXITS
from provisioner.errors import ExitCode
from tests.docs.pages import ROOT

COMMANDS, SETTINGS, MANIFEST = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("commands", "settings", "manifest")
)


def test_exit_codes_are_the_same_everywhere() -> None:
    table = dict(re.findall(r"^\| ([0-9, ]+) \| (.+?) \|", COMMANDS.replace("`", ""), re.MULTILINE))
    assert dict(EXITS) == table
    assert sorted(int(code) for codes in table for code in codes.split(",")) == sorted(ExitCode)


@pytest.mark.parametrize("name", ["state", *schemas.load("config.v1")["properties"]])
def test_every_setting_is_described(name: str) -> None:
    assert f"`{name}`" in SETTINGS or f"\n{name}:\n" in SETTINGS


def test_defaults_are_those_of_the_schema() -> None:
    known: dict[str, Any] = schemas.load("config.v1")
    for name, schema in known["properties"].items():
        default = schema.get("default", known["$defs"].get(name, {}).get("default"))
        if isinstance(default, int | float):
            row = re.search(rf"^\| `{name}`.*?\|.*?\| (.*?) \|", SETTINGS, re.MULTILINE)
            assert row is not None
            assert str(default).lower() == row.group(1)


def test_every_field_of_the_manifest_is_described() -> None:
    account = schemas.load("manifest.v1")["$defs"]["account"]["properties"]
    for name in account:
        assert f"`{name}`" in MANIFEST or f"`{name}." in MANIFEST
