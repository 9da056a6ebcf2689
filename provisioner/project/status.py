"""What is known of every parent's accounts, and what they have left where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provisioner.errors import ExitCode, ProvisionerError
from provisioner.model.exchange import Failed
from provisioner.model.state import State
from provisioner.project.running import attempted

if TYPE_CHECKING:
    from provisioner.project.parent import Parent
    from provisioner.project.running import Jobs, RunContext
    from provisioner.project.verify import Balances


@dataclass(frozen=True, slots=True)
class ParentStatus:
    """One parent's state, or why it cannot be read."""

    parent: str
    address: str
    """Where the state is kept."""
    state: State | None
    balances: Balances | None = None
    """None where nobody asked for them."""
    failure: ProvisionerError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What it tells the caller: SOME_FAILED where a balance is not known, unless all that is wrong is damage."""
        if self.failure is not None:
            return self.failure.exit_code
        codes = {balance.exit_code for balance in (self.balances or {}).values() if isinstance(balance, Failed)}
        if codes == {ExitCode.STATE_UNUSABLE}:
            return ExitCode.STATE_UNUSABLE
        return ExitCode.SOME_FAILED if codes else ExitCode.DONE


def status(parents: Sequence[Parent], run: RunContext, *, balances: bool, jobs: Jobs) -> tuple[ParentStatus, ...]:
    """Return the status of ``parents``; see :meth:`Project.status`."""
    found = {parent.name: _status(parent, run) for parent in parents}
    if not balances:
        return tuple(found.values())
    from provisioner.project import verify  # only this loads what sends and opens

    known = [(parent, state) for parent in parents if (state := found[parent.name].state) is not None]
    for name, asked in verify.balances(known, run, jobs).items():
        if isinstance(asked, ProvisionerError):
            found[name] = replace(found[name], failure=asked)
        else:
            found[name] = replace(found[name], balances=asked)
    return tuple(replace(each, balances=each.balances or {}) for each in found.values())


def _status(parent: Parent, run: RunContext) -> ParentStatus:
    look = attempted(parent.look, run.reporter)
    if isinstance(look, ProvisionerError):
        return ParentStatus(parent.name, parent.settings.state_address(parent.name), None, failure=look)
    return ParentStatus(parent.name, parent.store.address, look.state)
