"""Seals everything again, to new recipients."""

from __future__ import annotations

from dataclasses import replace

from provisioner.executor import seals
from provisioner.executor.ports import Opener, Sealer
from provisioner.model.state import Active, Record, State


def rekey(state: State, opener: Opener, sealer: Sealer, recipients: tuple[str, ...]) -> State:
    """Return ``state`` with all sealed content sealed to ``recipients``; ``sealer`` must seal to the same.

    Raises:
        IdentityRejected: something cannot be opened; then nothing is sealed again.
        StateInvalid, StateConflict: something is damaged, or was moved, put back or replaced.

    """

    def rekeyed(name: str, record: Record) -> Record:
        content, unfinished = seals.open_record(state, name, opener), seals.open_edit(state, name, opener)
        if isinstance(record, Active) and record.edit is not None and unfinished is not None:
            record = replace(record, edit=replace(record.edit, sealed=sealer.seal(unfinished)))
        return record if content is None else replace(record, sealed=sealer.seal(content))

    accounts = {name: rekeyed(name, record) for name, record in state.accounts.items()}
    return replace(state, serial=state.serial + 1, recipients=recipients, accounts=accounts)
