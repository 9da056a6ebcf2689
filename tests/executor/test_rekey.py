"""Rekeying: all that is sealed opens with the new identity and no longer with the old one, or nothing changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from provisioner import executor
from provisioner.errors import IdentityRejected, StateConflict
from provisioner.model.account import Secret
from provisioner.model.state import Abandoned, Active, Pending, Record, Unknown
from provisioner.model.verdict import Answer, SealedContent
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities
from tests.executor.examples import OPENER, OPERATION, SEALER, active, attributes, content, edit, state

IDENTITY, RECIPIENT = new_identity()
OTHER: Final = AgeOpener(parse_identities(IDENTITY, "the test"))


def sealed(name: str) -> str:
    answer = Answer(201, b"cut")
    return SEALER.seal(SealedContent("lineage", "default", name, OPERATION.id, password=Secret("p"), answer=answer))


RECORDS: Final[dict[str, Record]] = {
    "active": active("active"),
    "plain": active("plain", edit=edit("plain", attributes("rome"))),
    "edited": active("edited", edit=edit("edited", attributes("rome"), "begun", version=2)),
    "pending": Pending(attributes("pending"), OPERATION, sealed("pending")),
    "unknown": Unknown(attributes("unknown"), OPERATION, "lost", sealed("unknown")),
    "abandoned": Abandoned(attributes("abandoned"), OPERATION, "lost", sealed("abandoned")),
    "bare": Unknown(attributes("bare"), OPERATION, "lost"),
}


def seals(record: Record) -> list[tuple[str, str]]:
    found = [(record.operation.id, record.sealed)] if record.sealed is not None else []
    if isinstance(record, Active) and record.edit is not None and record.edit.sealed is not None:
        found.append((record.edit.operation.id, record.edit.sealed))
    return found


def unsealed(record: Record) -> Record:
    if isinstance(record, Active):
        edit_ = record.edit and replace(record.edit, sealed=None)
        return replace(record, sealed="", edit=edit_)
    return replace(record, sealed=None)


def test_all_that_is_sealed_is_sealed_to_the_new_recipients_alone() -> None:
    before = state(**RECORDS)
    after = executor.rekey(before, OPENER, AgeSealer([RECIPIENT]), (RECIPIENT,))
    assert (8, (RECIPIENT,), RECORDS.keys()) == (after.serial, after.recipients, after.accounts.keys())
    assert replace(before, serial=8, recipients=(RECIPIENT,), accounts=after.accounts) == after
    count = 0
    for name, record in after.accounts.items():
        assert unsealed(RECORDS[name]) == unsealed(record)
        pairs = zip(seals(RECORDS[name]), seals(record), strict=True)
        for (operation, old), (_, new) in pairs:
            count += 1
            place = {"lineage": "lineage", "parent": "default", "name": name, "operation": operation}
            assert OPENER.open(old, **place) == OTHER.open(new, **place)
            with pytest.raises(IdentityRejected):
                OPENER.open(new, **place)
    assert 7 == count


def test_what_cannot_be_opened_keeps_everything_as_it_was() -> None:
    with pytest.raises(IdentityRejected):
        executor.rekey(state(**RECORDS), OTHER, AgeSealer([RECIPIENT]), (RECIPIENT,))


def test_content_moved_between_records_is_not_sealed_again() -> None:
    moved = active("paris", kept=content("rome"))
    with pytest.raises(StateConflict):
        executor.rekey(state(paris=moved), OPENER, AgeSealer([RECIPIENT]), (RECIPIENT,))
