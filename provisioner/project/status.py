"""The status of every parent's accounts, with balances on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.errors import ProvisionerError
from provisioner.model.status import ParentStatus
from provisioner.project.running import attempted
from provisioner.project.running import each as each_of

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.running import Jobs, RunContext


def status(parents: Sequence[Parent], run: RunContext, *, balances: bool, jobs: Jobs) -> tuple[ParentStatus, ...]:
    """Return the status of ``parents``; see :meth:`Project.status`."""
    found = {each.parent: each for each in each_of(parents, lambda parent: _status(parent, run), jobs, run.cancel)}
    if not balances:
        return tuple(found.values())
    from provisioner.project import verify  # loads the HTTP client and age

    known = [(parent, state) for parent in parents if (state := found[parent.name].state) is not None]
    for name, asked in verify.balances(known, run, jobs).items():
        if isinstance(asked, ProvisionerError):
            found[name] = replace(found[name], failure=asked)
        else:
            found[name] = replace(found[name], balances=asked)
    return tuple(replace(each, balances=each.balances or {}) for each in found.values())


def _status(parent: Parent, run: RunContext) -> ParentStatus:
    own = parent.own
    look = attempted(parent.look, run.reporter)
    address, state, failure = (
        (parent.settings.state_address(parent.name), None, look)
        if isinstance(look, ProvisionerError)
        else (parent.store.address, look.state, None)
    )
    frozen = own.frozen if parent.is_frozen else None
    return ParentStatus(parent.name, address, state, own.limit, own.reserved, frozen, failure=failure)
