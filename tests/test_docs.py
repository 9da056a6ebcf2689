"""The pages in docs/ say what holds: each test that they name is there, and each promise that is tested is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SECURITY: Final = ROOT / "docs" / "security.md"


def named() -> list[tuple[str, str]]:
    """Return the test and the file of each link."""
    return re.findall(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", SECURITY.read_text(encoding="utf-8"))


def functions_in(path: Path) -> set[str]:
    """Return the tests that a file has."""
    return set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_test_that_a_promise_names_is_there() -> None:
    assert [] == [(test, file) for test, file in named() if test not in functions_in(ROOT / file)]


def test_every_promise_that_is_tested_stands_in_the_list_once() -> None:
    promised = sorted(test for test, file in named() if file.startswith("tests/security/"))
    tested = sorted(test for path in (ROOT / "tests" / "security").glob("test_*.py") for test in functions_in(path))
    assert tested == promised


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        assert [] == [link for link in links if "://" not in link and not (page.parent / link).exists()]
