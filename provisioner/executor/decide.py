"""What ends a doubt: a run that died is noticed, and a person decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from provisioner.errors import CommandInvalid, StateConflict
from provisioner.executor.ports import Journal
from provisioner.model.exchange import Failed, Missing, Reading
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown

RUN_DIED: Final = "the run that sent it died before it saved the outcome"


def settle(state: State, journal: Journal) -> State:
    """Turn every intent of a run that died into an unknown, durably; return the state that follows.

    An edit that was begun stays as it is: it is idempotent, and an apply finishes it.
    """
    died = {name: record for name, record in state.accounts.items() if isinstance(record, Pending)}
    if not died:
        return state
    unknown = {name: Unknown(each.attributes, each.operation, RUN_DIED, each.sealed) for name, each in died.items()}
    after = replace(state, serial=state.serial + 1, accounts={**state.accounts, **unknown})
    journal.save(after)
    return after


def resolve(state: State, name: str, *, abandon: bool) -> State:
    """Return ``state`` with the unknown ``name`` ended as a person decided.

    ``abandon`` True: it may exist and is given up; it keeps its slot. False: the
    person made sure that it does not exist, and its slot is free again.

    Raises:
        CommandInvalid: there is no such account, or its outcome is not unknown.

    """
    record = existing(state, name)
    if not isinstance(record, Unknown | Pending):
        todo = _freed(name) if isinstance(record, Abandoned) else "Only an unknown outcome can be resolved."
        raise CommandInvalid(
            f"The outcome of {name} is not unknown: it is {type(record).__name__.lower()}.",
            hint=f"{todo} Nothing was changed.",
        )
    if not abandon:
        return state.with_record(name, None)
    # Whoever resolves holds the state: a run that is still at it there is not.
    reason = record.reason if isinstance(record, Unknown) else RUN_DIED
    return state.with_record(name, Abandoned(record.attributes, record.operation, reason, record.sealed))


def forget(state: State, name: str, *, reading: Reading | None) -> State:
    """Return ``state`` without ``name``, which was deleted by hand; its slot is free again.

    ``reading`` is what Octopush says of its login; None: a person forces it, unasked.

    Raises:
        CommandInvalid: there is no such account.
        StateConflict: Octopush still knows it, or could not be asked.

    """
    record = existing(state, name)
    if reading is None or isinstance(reading, Missing):
        return state.with_record(name, None)
    forced = "With --force it is forgotten all the same, and if it is there, it holds a place that nothing here counts."
    if isinstance(reading, Failed):
        raise StateConflict(
            f"{name} is not forgotten: it could not be asked for: {reading.reason}.",
            hint=f"{reading.hint or 'Run it again once that is over.'} {forced}",
        )
    was_gone = isinstance(record, Active) and record.drift.gone
    stays = " If it is to stay, `provisioner refresh` notes that it is there after all." if was_gone else ""
    raise StateConflict(
        f"{name} is not forgotten: Octopush still knows it.",
        hint=f"Delete it in Octopush's dashboard first.{stays} {forced}",
    )


def active(state: State, name: str) -> Active:
    """Return the record of ``name``, whose login is kept.

    Raises:
        CommandInvalid: there is no such account.
        StateConflict: its login is not known.

    """
    record = existing(state, name)
    if not isinstance(record, Active):
        ended = "`provisioner resolve` ends an unknown outcome, and `provisioner adopt` takes over what exists."
        raise StateConflict(
            f"The login of {name} is not known: it is {type(record).__name__.lower()}.",
            hint=_freed(name) if isinstance(record, Abandoned) else ended,
        )
    return record


def _freed(name: str) -> str:
    return (
        f"If you are sure that it does not exist, `provisioner forget {name} --force` frees its slot; if it does,"
        f" `provisioner adopt {name} LOGIN` takes it over."
    )


def existing(state: State, name: str) -> Record:
    """Return the record of ``name``; raises CommandInvalid where there is none."""
    record = state.accounts.get(name)
    if record is None:
        raise CommandInvalid(f"The state has no account {name}.", hint="`provisioner status` lists those that it has.")
    return record
