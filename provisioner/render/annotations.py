"""A manifest's problems as annotations of its lines, for GitHub and GitLab.

Owns both formats. A problem's message never contains a secret; here it is only escaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Final

from provisioner.model.account import Problem, Severity
from provisioner.render import documents
from provisioner.render.lines import printable

_GITHUB: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_GITLAB: Final = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.NOTE: "info"}
_TITLE: Final = "provisioner validate"


def github(these: Iterable[Problem]) -> str:
    """Return one workflow command per problem, which GitHub turns into an annotation of its line."""
    return "".join(f"{_command(each)}\n" for each in these)


def gitlab(these: Iterable[Problem]) -> str:
    """Return GitLab's Code Quality report: a JSON list of issues, each with its own fingerprint."""
    seen: dict[str, int] = {}
    issues = []
    for each in these:
        # Without the line, because a problem that only moved is still the same problem.
        same = f"{each.origin.file}\n{each.path}\n{each.message}"
        seen[same] = seen.get(same, 0) + 1
        issues.append(_issue(each, f"{same}\n{seen[same]}"))
    return documents.text(issues)


def _command(problem: Problem) -> str:
    origin = problem.origin
    places = {"file": _path(origin.file), "line": origin.line, "col": origin.column, "title": _TITLE}
    properties = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in places.items() if value is not None)
    return f"::{_GITHUB[problem.severity]} {properties}::{_escaped(one_line(problem))}"


def _issue(problem: Problem, identity: str) -> dict[str, Any]:
    return {
        "description": one_line(problem),
        "check_name": _TITLE,
        "fingerprint": hashlib.sha256(identity.encode(errors="backslashreplace")).hexdigest(),
        "severity": _GITLAB[problem.severity],
        "location": {"path": _path(problem.origin.file), "lines": {"begin": problem.origin.line or 1}},
    }


def one_line(problem: Problem) -> str:
    """Return a problem on one line: its row, its message, and its hint."""
    row = f"Row {problem.origin.row}: " if problem.origin.row is not None else ""
    if problem.origin.cell:
        row = f"{printable(problem.origin.cell)}: "
    return f"{row}{printable(problem.message)} {printable(problem.hint)}".strip()


def _path(file: str) -> str:
    """Return the file's path from the top of the repository, where the command is run."""
    return printable(PurePath(file).as_posix().removeprefix("./"))


def _escaped(text: str, more: str = "") -> str:
    """Return ``text`` as a workflow command's data, or with ``more`` as one of its properties."""
    for each in f"%\r\n{more}":
        text = text.replace(each, f"%{ord(each):02X}")
    return text
