"""Entries: what both formats are read into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.document import Value
    from provisioner.model.account import Origin, Problem

SCHEMA: Final = "manifest.v1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One account as a file has it, defaults merged; valid only if its file has no problem."""

    fields: Mapping[str, Value]
    origin: Origin
    name_origin: Origin
    name_path: str
    previously_origin: Origin
    """That of the account where it was never known under another name."""
    previously_path: str

    def owner(self, rest: str) -> str | None:
        """Return the parent of the account: ``rest`` where it names none, None where what it names is no text."""
        parent = self.fields.get("parent", rest)
        return parent if isinstance(parent, str) and parent else None


@dataclass(frozen=True, slots=True)
class FileContent:
    """What one file holds."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    parent: str | None = None
    """Owns the accounts that name none; None where the file names none either."""
    more: int = 0
    """How many problems were only counted."""
