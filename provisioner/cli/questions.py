"""Questions about one account; each shows which parent and which state it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from provisioner.errors import ProvisionerError
from provisioner.model.state import Active
from provisioner.project.reporter import SILENT
from provisioner.project.running import attempted
from provisioner.render import text, words
from provisioner.render.lines import printable

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.project import Project


def about(project: Project, name: str, parents: Sequence[str], question: str) -> str:
    """Return ``question`` about the account ``name``, below its parent and state.

    For an account that may not exist, also show whom it is for and when its creation was
    tried. Raises what :meth:`Project.owner_of` raises.
    """
    parent = project.owner_of(name, parents)
    look = attempted(parent.look, SILENT)
    # If the state cannot be read, the command reports it.
    state = None if isinstance(look, ProvisionerError) else look.state
    record = None if state is None else state.accounts.get(name)
    lines = place(parent)
    if record is not None and not isinstance(record, Active):
        known = words.attempt(record.attributes, record.operation.started_at, words.PUBLISHED)
        lines += [f"{printable(name)}, {record.status}:", *(f"  {each}" for each in text.aligned(known.items()))]
    return "\n".join((*lines, question))


def place(parent: Parent) -> list[str]:
    """Return where a parent's accounts and its state are, for a question at a terminal."""
    lines = text.place(parent.terms(), words.View(private=True))
    return [f"{printable(parent.name)}:", *(line.text for line in lines)]
