from __future__ import annotations

import re

import pytest

from tests.proof.page import PAGE, ROOT, Table, bound, origin, replaced, sections


def test_a_table_has_its_numbers_on_the_right() -> None:
    table = Table(("layer", "runs"), [("kill", 5), ("a | b", "1,200")])
    assert table.text() == "layer   runs\nkill       5\na | b  1,200"
    assert table.markdown() == "| layer | runs |\n| --- | ---: |\n| kill | 5 |\n| a \\| b | 1,200 |"


def test_a_section_is_replaced_and_nothing_else() -> None:
    page = "# Proof\n\n<!-- measured: one -->\nold\n<!-- end -->\n\nwords\n\n<!-- measured: two -->\n<!-- end -->\n"
    once = replaced(page, "one", "new \\1")
    assert once == page.replace("old\n", "\nnew \\1\n\n")
    assert replaced(once, "one", "old") == page.replace("old\n", "\nold\n\n")
    with pytest.raises(KeyError, match="three"):
        replaced(page, "three", "new")


def test_numbers_say_where_they_come_from() -> None:
    text = origin(seconds=312.4, seeds="seeds 1 to 9")
    assert re.search(r"commit `[0-9a-f]{8,}\+?`, in 312 s, with seeds 1 to 9: \w+ [\d.]+, \d+ cores, Python 3\.", text)
    assert bound(3000) == "0 in 3,000 runs means fewer than 1 in 1,000 at 95 % confidence"


def test_every_command_of_the_page_has_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^PROOF +:=(.*)$", makefile, re.MULTILINE)
    text = PAGE.read_text(encoding="utf-8")
    assert listed.split() == sections(text)
    for target in listed.split():
        assert f"\n`make {target}`\n" in text
        assert f"\n{target}: $(VENV)/" in makefile
