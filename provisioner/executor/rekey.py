"""Seals everything anew, to other recipients."""

from __future__ import annotations

from dataclasses import replace

from provisioner.executor.ports import Opener, Sealer
from provisioner.model.state import Active, Edit, Record, State


def rekey(state: State, opener: Opener, sealer: Sealer, recipients: tuple[str, ...]) -> State:
    """Return ``state`` with all that is sealed, sealed to ``recipients``, to whom ``sealer`` seals.

    Raises:
        IdentityRejected: something cannot be opened; then nothing is sealed anew.
        StateConflict: something was moved between records.

    """

    def anew(name: str, sealed: str) -> str:
        return sealer.seal(opener.open(sealed, lineage=state.lineage, parent=state.parent, name=name))

    def record_anew(name: str, record: Record) -> Record:
        if isinstance(record, Active):
            edit: Edit | None = record.edit
            if edit is not None and edit.sealed is not None:
                edit = replace(edit, sealed=anew(name, edit.sealed))
            return replace(record, sealed=anew(name, record.sealed), edit=edit)
        return record if record.sealed is None else replace(record, sealed=anew(name, record.sealed))

    accounts = {name: record_anew(name, record) for name, record in state.accounts.items()}
    return replace(state, serial=state.serial + 1, recipients=recipients, accounts=accounts)
