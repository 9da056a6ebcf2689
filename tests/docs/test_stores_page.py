"""docs/stores.md: each failure that it lists is one, and a test provokes it."""

from __future__ import annotations

import re
from typing import Final

from tests.docs.pages import ROOT

STORES: Final = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")


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
