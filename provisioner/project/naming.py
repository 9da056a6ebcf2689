"""Account names for completion in a shell.

Reads only files on this machine. For a state that is kept elsewhere, the names come from
the manifests. A file that cannot be read contributes no names.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from provisioner.errors import ProvisionerError
from provisioner.model.account import AUTO_PARENT
from provisioner.project.reporter import SILENT
from provisioner.project.running import attempted
from provisioner.settings.paths import is_address

if TYPE_CHECKING:
    from provisioner.project.workspace import Workspace


def accounts(
    workspace: Workspace, parents: Sequence[str], statuses: Collection[str], *, planned: bool
) -> tuple[str, ...]:
    """Return the names of accounts; see :meth:`Project.account_names`."""
    chosen = workspace.parents(parents)
    found: set[str] = set()
    known: set[str] = set()
    elsewhere: set[str] = set()
    for parent in chosen if statuses else ():
        if is_address(parent.settings.state_address(parent.name)):
            elsewhere.add(parent.name)
            continue
        look = attempted(parent.look, SILENT)
        if isinstance(look, ProvisionerError) or look.state is None:
            continue
        known |= look.state.accounts.keys()
        found |= {name for name, record in look.state.accounts.items() if record.status in statuses}
    asked = {parent.name for parent in chosen} if planned else elsewhere
    return tuple(sorted(found | (_planned(workspace, asked) - known)))


def _planned(workspace: Workspace, parents: Collection[str]) -> set[str]:
    """Return the names of accounts in the manifests of ``parents``."""
    if not parents:
        return set()
    from provisioner.project.plans import desired_manifests  # slow to load

    manifests = desired_manifests(workspace, (), SILENT)
    return {each.name for this in manifests if this.parent in {*parents, AUTO_PARENT} for each in this.accounts}
