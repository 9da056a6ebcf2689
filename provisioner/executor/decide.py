"""Ends unknown outcomes: a person decides. Also marks the intents of dead runs as unknown, and forgets accounts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from provisioner.errors import Advice, CommandInvalid, Remedy, StateConflict
from provisioner.executor.ports import Journal
from provisioner.model.exchange import Failed, Missing, Reading
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown

# States contain these reasons: `is_answered` must recognize those of earlier versions.
RUN_DIED: Final = "the run that sent it died before it saved the outcome"
FAILED_AFTER: Final = "this program failed once the answer was there"
_ANSWERED: Final = r"\bHTTP [1-9][0-9]{2}\b"
"""Matches the reason of an outcome whose answer was saved."""


def settle(state: State, journal: Journal) -> State:
    """Save every intent of a dead run as an unknown outcome, and return the new state.

    An unfinished edit stays as it is: it is idempotent, and the next apply finishes it.
    """
    died = {name: record for name, record in state.accounts.items() if isinstance(record, Pending)}
    if not died:
        return state
    unknown = {name: Unknown(each.attributes, each.operation, RUN_DIED, each.sealed) for name, each in died.items()}
    after = replace(state, serial=state.serial + 1, accounts={**state.accounts, **unknown})
    journal.save(after)
    return after


def resolve(state: State, name: str, *, abandon: bool) -> State:
    """Return ``state`` with the unknown outcome of ``name`` ended as a person decided.

    ``abandon``: the account may exist and keeps its slot. Otherwise the person made sure that it
    does not exist, and its slot is free again.

    Raises:
        CommandInvalid: there is no such account, or its outcome is not unknown.

    """
    record = existing(state, name)
    if not isinstance(record, Unknown | Pending):
        raise CommandInvalid(
            f"The outcome of {name} is not unknown: it is {record.status}.",
            hint="Only an unknown outcome can be resolved. Nothing was changed.",
            advice=Advice(Remedy.FREE_OR_ADOPT, name) if isinstance(record, Abandoned) else None,
        )
    if not abandon:
        return state.with_record(name, None)
    # The caller holds the lock of the state, so the run that left a pending record is dead.
    reason = record.reason if isinstance(record, Unknown) else RUN_DIED
    return state.with_record(name, Abandoned(record.attributes, record.operation, reason, record.sealed))


def is_answered(record: Record) -> bool:
    """Return whether the record of an unknown outcome may have a sealed answer, according to its reason."""
    return isinstance(record, Unknown) and (record.reason == FAILED_AFTER or bool(re.search(_ANSWERED, record.reason)))


def forget(state: State, name: str, *, reading: Reading | None) -> State:
    """Return ``state`` without ``name``, which was deleted by hand; its slot is free again.

    ``reading`` is Octopush's answer about its login; None: a person forces it, and Octopush was not asked.

    Raises:
        CommandInvalid: there is no such account.
        StateConflict: Octopush still knows it, or could not be asked.

    """
    record = existing(state, name)
    if reading is None or isinstance(reading, Missing):
        return state.with_record(name, None)
    if isinstance(reading, Failed):
        raise StateConflict(
            f"{name} is not forgotten: Octopush could not say whether it exists: {reading.reason}.",
            hint=reading.hint or "Run it again once that is over.",
            advice=Advice(Remedy.FORCE, name),
        )
    was_gone = isinstance(record, Active) and record.drift.gone
    raise StateConflict(
        f"{name} is not forgotten: Octopush still knows it.",
        hint="Delete it in Octopush's dashboard first.",
        advice=Advice(Remedy.REFRESH_OR_FORCE if was_gone else Remedy.FORCE, name),
    )


def active(state: State, name: str) -> Active:
    """Return the record of ``name``, an active account.

    Raises:
        CommandInvalid: there is no such account.
        StateConflict: it is not active, so its login is not known.

    """
    record = existing(state, name)
    if not isinstance(record, Active):
        raise StateConflict(
            f"The login of {name} is not known: it is {record.status}.",
            advice=Advice(Remedy.FREE_OR_ADOPT if isinstance(record, Abandoned) else Remedy.RESOLVE, name),
        )
    return record


def existing(state: State, name: str) -> Record:
    """Return the record of ``name``; raises CommandInvalid if there is none."""
    record = state.accounts.get(name)
    if record is None:
        raise CommandInvalid(f"The state has no account {name}.", advice=Advice(Remedy.LIST, name))
    return record
