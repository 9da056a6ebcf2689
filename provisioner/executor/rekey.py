"""Seals everything anew, to other recipients."""

from __future__ import annotations

from dataclasses import replace

from provisioner.executor import seals
from provisioner.executor.ports import Opener, Sealer
from provisioner.model.state import Active, Record, State


def rekey(state: State, opener: Opener, sealer: Sealer, recipients: tuple[str, ...]) -> State:
    """Return ``state`` with all that is sealed, sealed to ``recipients``, to whom ``sealer`` seals.

    Raises:
        IdentityRejected: something cannot be opened; then nothing is sealed anew.
        StateInvalid, StateConflict: something is damaged, or was moved, put back or replaced.

    """

    def record_anew(name: str, record: Record) -> Record:
        content, changed = seals.kept(state, name, opener), seals.begun(state, name, opener)
        if isinstance(record, Active) and record.edit is not None and changed is not None:
            record = replace(record, edit=replace(record.edit, sealed=sealer.seal(changed)))
        return record if content is None else replace(record, sealed=sealer.seal(content))

    accounts = {name: record_anew(name, record) for name, record in state.accounts.items()}
    return replace(state, serial=state.serial + 1, recipients=recipients, accounts=accounts)
