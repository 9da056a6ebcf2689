"""The tables of docs/ say what the code says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from provisioner import schemas
from provisioner.cli.main import EXITS
from provisioner.errors import ExitCode
from tests.docs.pages import ROOT

COMMANDS, SETTINGS, MANIFEST, STORES = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("commands", "settings", "manifest", "stores")
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


def source_of(folder: str) -> str:
    """Return what the Python files of a folder say: texts that stand in several literals are put together."""
    text = "".join(each.read_text(encoding="utf-8") for each in sorted((ROOT / folder).rglob("*.py")))
    return re.sub(r"[\"']\n *[rf]*[\"']", "", text.replace("\\", ""))


def test_every_failure_of_a_store_that_is_listed_is_one_and_a_test_provokes_it() -> None:
    tables = re.findall(r"^\| it says \|.*\n\|[-|]+\n((?:\|.*\n)+)", STORES, re.MULTILINE)
    assert len(tables) == STORES.count("| it says |")
    rows = "".join(tables).splitlines()
    phrases = {
        part.strip() for row in rows for each in re.findall(r"`([^`]+)`", row.split("|")[1]) for part in each.split("…")
    }
    product, tests = source_of("provisioner"), source_of("tests")
    assert [] == sorted(phrase for phrase in phrases if phrase not in product)
    assert [] == sorted(phrase for phrase in phrases if phrase not in tests)
