"""The results of `provisioner doctor`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from provisioner.errors import ProvisionerError
from provisioner.render.lines import BAD, GOOD, QUIET, Line, printable

Check = tuple[str | None, str, str, ProvisionerError | None]
"""The parent, or None for the project; what was checked; what was found; and the failure, if any."""

_VERSION: Final = 1


def text(checks: Sequence[Check]) -> list[Line]:
    """Return a line for each check, and below each failure what to do."""
    width = max(len(_subject(each)) for each in checks)
    found = []
    for each in checks:
        _, _, words, failure = each
        sign, style = ("ok    ", GOOD) if failure is None else ("FAILED", BAD)
        found.append(Line(f"{sign}  {_subject(each).ljust(width)}  {_in_one_line(words)}", style, width + 10))
        if failure is not None and failure.hint:
            found.append(Line(f"{'':{width + 10}}{_in_one_line(failure.hint)}", QUIET, width + 10))
    return found


def document(checks: Iterable[Check]) -> dict[str, Any]:
    """Return the document of ``doctor --format json``."""
    return {
        "version": _VERSION,
        "checks": [
            {
                "parent": parent,
                "what": what,
                "ok": failure is None,
                "found": found,
                "code": None if failure is None else int(failure.exit_code),
                "hint": None if failure is None else failure.hint,
            }
            for parent, what, found, failure in checks
        ],
    }


def _in_one_line(text: str) -> str:
    return printable(" ".join(text.splitlines()))


def _subject(this: Check) -> str:
    parent, what, _, _ = this
    return what if parent is None else f"{parent}: {what}"
