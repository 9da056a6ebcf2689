"""docs/proof.md: each command of this folder prints what it measured, and with ``PUBLISH=1`` also writes it there.

A page has one section for each command, between ``<!-- measured: NAME -->`` and
``<!-- end -->``; the sentences around it are written by hand. A section says first
where its numbers come from: commit, date, duration, seeds, machine and versions.

A new command has a target in the Makefile, its name in ``PROOF`` there, and, once it has
something to show, its heading, its sentences and its section on the page. It ends like this::

    table = Table(("layer", "runs", "duplicates"), rows)
    print(table.text())
    publish("chaos", [table], seeds="1 to 2000", started=started)
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "proof.md"

_MEASURED: Final = (".", ":!docs/proof*")
"""For git: everything but the results themselves."""
_SECTION: Final = re.compile(r"^(<!-- measured: ([\w-]+) -->\n).*?^(<!-- end -->)$", re.MULTILINE | re.DOTALL)
_NUMBER: Final = re.compile(r"[-+]?[\d.,]+( ?(%|s|ms|MB|x))?|")


@dataclass(frozen=True, slots=True)
class Table:
    """A table, for a terminal and for the page. Every row has as many cells as ``header``."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]

    def text(self) -> str:
        """Return the table in columns; numbers are aligned to the right."""
        lines = [[str(cell) for cell in row] for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        right = self._numeric()
        return "\n".join(
            "  ".join(
                cell.rjust(width) if at_right else cell.ljust(width)
                for cell, width, at_right in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """Return the table as GitHub shows it."""
        marks = ["---:" if at_right else "---" for at_right in self._numeric()]
        lines = [[str(cell).replace("|", r"\|") for cell in row] for row in (self.header, marks, *self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _numeric(self) -> list[bool]:
        columns = zip(*self.rows, strict=True) if self.rows else [() for _ in self.header]
        return [bool(column) and all(_NUMBER.fullmatch(str(cell)) for cell in column) for column in columns]


def publish(section: str, parts: Sequence[Table | str], *, started: float, seeds: str | None = None) -> bool:
    """Replace a section of docs/proof.md if ``PUBLISH`` is set in the environment; return whether it was.

    ``parts`` are tables and paragraphs of Markdown, in their order. ``started`` is what
    :func:`time.monotonic` said when the command began. ``seeds`` names what replays the
    numbers. Raises :class:`KeyError` if the page has no such section.
    """
    if not os.environ.get("PUBLISH"):
        return False
    texts = [part.markdown() if isinstance(part, Table) else part for part in parts]
    source = origin(seconds=time.monotonic() - started, seeds=seeds)
    page = replaced(PAGE.read_text(encoding="utf-8"), section, "\n\n".join([source, *texts]))
    PAGE.write_text(page, encoding="utf-8")
    return True


def replaced(page: str, section: str, body: str) -> str:
    """Return the text of a page in which ``body`` stands in ``section``; raise :class:`KeyError` if it has none."""
    if section not in sections(page):
        raise KeyError(section)
    return _SECTION.sub(lambda found: f"{found[1]}\n{body}\n\n{found[3]}" if found[2] == section else found[0], page)


def sections(page: str) -> list[str]:
    """Return the names of the sections of a page."""
    return [found[2] for found in _SECTION.finditer(page)]


def origin(*, seconds: float, seeds: str | None) -> str:
    """Return the sentence that says where numbers come from."""
    return (
        f"Measured on {time.strftime('%Y-%m-%d', time.gmtime())} at commit `{commit()}`, in {seconds:.0f} s"
        f"{f', with {seeds}' if seeds else ''}: {platform.system()} {platform.release().partition('-')[0]},"
        f" {os.cpu_count()} cores, Python {platform.python_version()}."
    )


def commit() -> str:
    """Return the last commit that changed more than this page's results, with ``+`` if the tree has changes."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *_MEASURED)
    return _git("log", "-1", "--format=%h", "--abbrev=8", "--", *_MEASURED) + ("+" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def bound(runs: int) -> str:
    """Return what no failure in so many runs says about the next: the rule of three, at 95 % confidence."""
    return f"0 in {runs:,} runs means fewer than 1 in {runs // 3:,} at 95 % confidence"
