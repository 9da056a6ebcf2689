"""Histories as text for people, and as JSON for programs."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from provisioner.render import documents
from provisioner.render.lines import Line, printable, table

if TYPE_CHECKING:
    from provisioner.errors import ProvisionerError
    from provisioner.model.history import Author, HistoryEntry
    from provisioner.render.documents import Document

_DIGITS: Final = 12
"""How many digits of a digest are shown, enough to tell plans apart; JSON has all of them."""


def merged(these: Mapping[str, Iterable[HistoryEntry]]) -> list[tuple[str, HistoryEntry]]:
    """Return the entries of all parents with their parents' names, newest first; ``these`` are by parent, likewise.

    Each parent's own order stays, whatever the clocks of its machines said.
    """
    lists = ([(parent, each) for each in entries] for parent, entries in these.items())
    return list(heapq.merge(*lists, key=lambda each: each[1].author.at, reverse=True))


def text(these: Iterable[tuple[str, HistoryEntry]], *, several: bool) -> list[Line]:
    """Return a line for each pair of parent and entry; with ``several`` parents, each line names its parent.

    Empty columns are left out.
    """
    rows = [("TIME", "PARENT", "ACCOUNT", "OPERATION", "OUTCOME", "BY", "APPROVED BY", "PLAN", "RUN")]
    for parent, each in these:
        author = each.author
        name = "(all)" if each.name is None else each.name
        name = name if each.previous is None else f"{each.previous} -> {name}"
        who = (_by(author), author.approver or "", (author.plan or "")[:_DIGITS], author.run or "")
        rows.append((author.at, parent if several else "", name, each.operation, each.outcome, *who))
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    if not columns:
        return [Line("Nothing is recorded.")]
    heading, *shown = zip(*([*map(printable, column)] for column in columns), strict=True)
    return list(table(heading, shown))


def _by(author: Author) -> str:
    return author.by if author.actor is None else f"{author.actor} ({author.by})"


def document(these: Iterable[tuple[str, HistoryEntry]], failures: Mapping[str, ProvisionerError]) -> Document:
    """Return the document of ``history --format json``; ``schemas/operations.v1.schema.json`` describes it."""
    entries = [_entry(parent, each) for parent, each in these]
    return {"version": documents.VERSION, "entries": entries} | documents.failed_parents(failures)


def _entry(parent: str, this: HistoryEntry) -> Document:
    author = this.author
    found: Document = {
        "parent": parent,
        "at": author.at,
        "serial": this.serial,
        "name": this.name,
        "operation": this.operation,
        "outcome": this.outcome,
        "by": author.by,
    }
    more = {
        "previous": this.previous,
        "actor": author.actor,
        "approver": author.approver,
        "run": author.run,
        "plan": author.plan,
    }
    return found | {key: each for key, each in more.items() if each is not None}
