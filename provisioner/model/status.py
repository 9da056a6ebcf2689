"""The status of one parent: its slots, its state, and the balances of its accounts."""

from __future__ import annotations

from collections.abc import Mapping

from provisioner.errors import ExitCode, ProvisionerError
from provisioner.immutable import immutable
from provisioner.model.exchange import Balance, Failed
from provisioner.model.state import Slots, State
from provisioner.model.terms import Freeze


@immutable
class ParentStatus:
    """One parent's state, or why it cannot be read."""

    parent: str
    address: str
    """Where the state is kept."""
    state: State | None
    """None if there is none yet, or it cannot be read."""
    limit: int
    reserved: int
    frozen: Freeze | None = None
    """The freeze in force, if any."""
    balances: Mapping[str, Balance | Failed] | None = None
    """By account; None if they were not asked for."""
    failure: ProvisionerError | None = None

    @property
    def slots(self) -> Slots | None:
        """Its slots, with nothing planned; None if they are unknown."""
        if self.failure is not None and self.state is None:
            return None
        state = self.state or State(lineage="", parent=self.parent)
        return state.slots(limit=self.limit, reserved=self.reserved, planned=0)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of ``status``: SOME_FAILED if a balance is unknown, unless damage is the only reason."""
        if self.failure is not None:
            return self.failure.exit_code
        codes = {balance.exit_code for balance in (self.balances or {}).values() if isinstance(balance, Failed)}
        if codes == {ExitCode.STATE_UNUSABLE}:
            return ExitCode.STATE_UNUSABLE
        return ExitCode.SOME_FAILED if codes else ExitCode.DONE
