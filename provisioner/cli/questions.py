"""Questions about one account: which parent and which state they are about stands with each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from provisioner.render import words
from provisioner.render.lines import printable

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.project import Project


def about(project: Project, name: str, parents: Sequence[str], question: str) -> str:
    """Return ``question`` about the account ``name``, below where it is; raises as :meth:`Project.owner_of` does."""
    return f"{place(project.owner_of(name, parents))}\n{question}"


def place(parent: Parent) -> str:
    """Return where a parent's accounts and its state are."""
    return printable(f"{parent.name}, {words.where(parent.terms())}:")
