"""docs/security.md: each test that it names exists, and each promise that is tested is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT

PAGE: Final = ROOT / "docs" / "security.md"


def named() -> list[tuple[str, str]]:
    """Return the test and the file of each link."""
    return re.findall(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", PAGE.read_text(encoding="utf-8"))


def functions_in(path: Path) -> set[str]:
    """Return the tests that a file has."""
    return set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_test_that_a_promise_names_exists() -> None:
    assert [] == [(test, file) for test, file in named() if test not in functions_in(ROOT / file)]


def test_every_promise_that_is_tested_stands_in_the_list_once() -> None:
    promised = sorted(test for test, file in named() if file.startswith("tests/security/"))
    tested = sorted(test for path in (ROOT / "tests" / "security").glob("test_*.py") for test in functions_in(path))
    assert tested == promised
