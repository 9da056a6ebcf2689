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


@dataclass(frozen=True, slots=True)
class Part:
    """What one file holds."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    parent: str | None = None
    """None where the file names none."""
    more: int = 0
    """How many problems were only counted."""
