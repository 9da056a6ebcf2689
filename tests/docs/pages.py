"""The pages that people read, README and docs/, as the tests see them: blocks, headings and links.

A comment on the line above a block says what a reader does with it, and no reader sees it::

    <!-- file: manifests/more.yaml -->    this block is that file of the project
    <!-- setting: provisioner.yaml -->     this block replaces the same keys of that file
    <!-- exit: 8 -->                      the last command of this block ends so; without it, with 0
    <!-- scene: lost -->                  first that function of scenes.py happens
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK: Final = re.compile(r"((?:^ *<!-- [^\n]* -->\n)*)^( *)```(\w*)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!-- (file|setting|exit|scene): (.*?) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, with the comments above it."""

    language: str
    text: str
    file: str | None
    setting: str | None
    exit_code: int
    scenes: tuple[str, ...]

    def steps(self) -> list[tuple[str, list[str]]]:
        """Return each command of a ``console`` block, with the lines that it is said to print."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found[-1][0].endswith("\\") and not found[-1][1]:
                found[-1] = (f"{found[-1][0][:-1]}{line.strip()}", [])
            else:
                found[-1][1].append(line)
        return found


def name(page: Path) -> str:
    """Return how a page is called from the top of the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    found = []
    for comments, indent, language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        said = _COMMENT.findall(comments)
        found.append(
            Block(
                language,
                re.sub(rf"^{indent}", "", text, flags=re.MULTILINE),
                next((value for key, value in said if key == "file"), None),
                next((value for key, value in said if key == "setting"), None),
                int(next((value for key, value in said if key == "exit"), 0)),
                tuple(value for key, value in said if key == "scene"),
            )
        )
    return found


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return what a link can name after ``#``, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def links(page: Path) -> list[tuple[str, str]]:
    """Return the path and the anchor of every link to somewhere in this repository."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    found = re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)", text)
    return [(path, anchor) for path, anchor in found if "://" not in path]
