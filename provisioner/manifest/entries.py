"""Entries: the accounts of a file, in either format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provisioner.immutable import immutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.document import Value
    from provisioner.model.account import Origin, Problem

SCHEMA: Final = "manifest.v1"


@immutable
class Entry:
    """One account of a file, with defaults merged; valid only if its file has no error."""

    fields: Mapping[str, Value]
    origin: Origin
    name_origin: Origin
    name_path: str
    previously_origin: Origin
    """The account's own origin if it has no previous name."""
    previously_path: str

    def owner(self, default: str) -> str | None:
        """Return the account's parent: ``default`` if it names none, None if what it names is not text."""
        parent = self.fields.get("parent", default)
        return parent if isinstance(parent, str) and parent else None


@immutable
class FileContent:
    """The content of one file."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    parent: str | None = None
    """The parent of the accounts that name none; None if the file names none either."""
    more: int = 0
    """How many problems were counted, but not kept."""
