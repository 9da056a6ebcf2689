"""The tables of docs/ say what the code says; ``make docs`` writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages, tables
from tests.docs.pages import PAGES


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_a_page_has_the_tables_that_make_docs_writes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.written(text) == text, "run `make docs`"


def test_every_table_is_on_a_page() -> None:
    assert sorted(tables.TABLES) == sorted(name for page in PAGES for name in tables.named(page.read_text("utf-8")))
