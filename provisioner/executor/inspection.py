"""Compares what is kept with what Octopush has: fields, credentials and balances.

Changes nothing, here or there; what was not seen is never called right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from provisioner.errors import IdentityRejected, StateConflict
from provisioner.executor.ports import Api, Opener, Progress, credentials_of
from provisioner.model.account import MASK, Attributes, Credentials
from provisioner.model.exchange import Balance, Failed, Missing, Observed, Reading, differing, untold
from provisioner.model.plan import FieldChange
from provisioner.model.report import Outcome, Report, Result, Stop
from provisioner.model.state import NO_DRIFT, Active, Drift, State
from provisioner.model.verdict import SealedContent, Then

Fields: TypeAlias = Mapping[str, str | None]

UNFINISHED: Final = "an edit of it is not finished: the next apply finishes it"


# ── Drift ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What reading every active account has shown."""

    state: State
    """With the drift that was found; its serial is that of the state before."""
    report: Report
    found: Mapping[str, Fields]
    """By account and dotted path, what Octopush holds instead of what was sent, as far as it may be shown."""


def refresh(state: State, opened: Mapping[str, SealedContent], api: Api, progress: Progress) -> Refreshed:
    """Read every active account and compare it with what was sent, as ``opened`` has it by name."""
    accounts = dict(state.accounts)
    found: dict[str, Fields] = {}
    outcomes: list[Outcome] = []
    stop: Stop | None = None
    for name, record in sorted(state.accounts.items()):
        if not isinstance(record, Active):
            continue
        if record.edit is not None and not record.drift.gone:
            outcome = Outcome(name, "refresh", Result.UNCHECKED, UNFINISHED)
        elif stop is not None:
            outcome = Outcome(name, "refresh", Result.UNCHECKED, f"not asked for: {stop.reason}")
        else:
            progress.started(name)
            reading = api.read(credentials_of(opened[name]).api_login)
            stop = stopped_by(reading)
            drift, outcome = _compared(name, opened[name], record, reading)
            accounts[name] = replace(record, drift=drift)
            found[name] = {each.path: each.after for each in outcome.fields}
        outcomes.append(outcome)
        progress.finished(outcome)
    return Refreshed(replace(state, accounts=accounts), Report(state.parent, tuple(outcomes), stop), found)


def _compared(name: str, content: SealedContent, record: Active, reading: Reading) -> tuple[Drift, Outcome]:
    """Return the drift that ``reading`` shows, and the outcome that tells of it."""
    match reading:
        case Failed():
            return record.drift, Outcome(name, "refresh", Result.UNCHECKED, reading.reason)
        case Missing():
            return Drift(gone=True), Outcome(name, "refresh", Result.GONE, reading.reason)
        case Observed():
            pass
        case _:
            assert_never(reading)
    if record.edit is not None:
        return NO_DRIFT, Outcome(name, "refresh", Result.UNCHECKED, UNFINISHED)
    if content.sent is None:
        there = replace(record.drift, gone=False)
        return there, Outcome(name, "refresh", Result.UNCHECKED, "what was sent for it is not kept")
    sent: Fields = content.sent.flat()
    differ = differing(sent, reading.fields)
    # What Octopush itself made of a field at once would be made of it again.
    altered = tuple(
        path for path in differ if path in content.altered and not differing(content.altered, _only(path, reading))
    )
    drift = Drift(altered, tuple(path for path in differ if path not in altered))
    fields = tuple(
        _difference(path, record.attributes, content.sent, reading, drifted=path in drift.changed) for path in differ
    )
    silent = untold(sent, reading.fields)
    reason = f"the answer does not tell {', '.join(silent)}" if silent else None
    result = Result.DRIFTED if differ else Result.UNCHECKED if silent else Result.UNCHANGED
    return drift, Outcome(name, "refresh", result, reason, fields)


def _difference(
    path: str, written: Attributes, sent: Attributes, reading: Observed, *, drifted: bool = False
) -> FieldChange:
    """Return how a field was sent and is read.

    Where something else was sent than is ``written`` in the manifest, a placeholder
    was filled in: that is not shown, and neither is what may still hold some of it.
    """
    before, found = written.flat().get(path), reading.fields[path]
    if before == sent.flat().get(path):
        return FieldChange(path, before, found, drifted)
    return FieldChange(path, before, found and MASK, drifted)


def _only(path: str, reading: Observed) -> Fields:
    return {path: reading.fields[path]}


# ── What was just written ────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What an account is right after it was created or changed."""

    altered: Fields
    """What Octopush made of fields that were sent otherwise."""
    fields: tuple[FieldChange, ...] = ()
    """The same as changes: ``before`` as sent, ``after`` as found, as far as they may be shown."""
    warning: str | None = None


def read_back(credentials: Credentials, sent: Attributes, written: Attributes, api: Api) -> ReadBack:
    """Read the account and compare it with what was ``sent`` for what is ``written`` in the manifest.

    A failure is a warning, never an error.
    """
    reading = api.read(credentials.api_login)
    if not isinstance(reading, Observed):
        return ReadBack({}, warning=f"it could not be read back: {reading.reason}")
    differ = differing(sent.flat(), reading.fields)
    warnings = []
    if differ:
        warnings.append(f"Octopush stored something else than was sent: {', '.join(differ)}")
    if silent := untold(sent.flat(), reading.fields):
        warnings.append(f"the answer does not tell {', '.join(silent)}")
    if reading.api_key is not None and reading.api_key != credentials.api_key:
        warnings.append("the key that is read back is another than the one that was given")
    return ReadBack(
        {path: reading.fields[path] for path in differ},
        tuple(_difference(path, written, sent, reading) for path in differ),
        "; ".join(warnings) or None,
    )


# ── Credentials ──────────────────────────────────────────────────────────────


def verify(state: State, names: Sequence[str], opener: Opener, api: Api, progress: Progress) -> Report:
    """Open the credentials of the active accounts ``names``, and compare them with their records and Octopush.

    Raises:
        IdentityRejected: the identity opens none of them.

    """
    opened: dict[str, SealedContent] = {}
    faults: dict[str, str] = {}
    rejected: IdentityRejected | None = None
    for name in names:
        record = state.accounts[name]
        assert isinstance(record, Active)  # noqa: S101  # the caller asks for active accounts
        try:
            content = opener.open(record.sealed, lineage=state.lineage, parent=state.parent, name=name)
        except IdentityRejected as error:
            rejected, faults[name] = error, error.message.removesuffix(".")
        except StateConflict as error:
            faults[name] = error.message.removesuffix(".")
        else:
            opened[name] = content
            if fault := _misplaced(content, record):
                faults[name] = fault
    if rejected is not None and not opened:
        raise rejected
    faults |= {name: fault for name, fault in _shared(opened).items() if name not in faults}
    outcomes: list[Outcome] = []
    stop: Stop | None = None
    for name in names:
        if name in faults:
            outcome = Outcome(name, "verify", Result.FAILED, faults[name])
        elif stop is not None:
            outcome = Outcome(name, "verify", Result.UNCHECKED, f"not asked for: {stop.reason}")
        else:
            progress.started(name)
            credentials = credentials_of(opened[name])
            reading = api.read(credentials.api_login)
            stop = stopped_by(reading)
            outcome = _verified(name, credentials, reading)
        outcomes.append(outcome)
        progress.finished(outcome)
    return Report(state.parent, tuple(outcomes), stop)


def _misplaced(content: SealedContent, record: Active) -> str | None:
    if content.credentials is None:
        return "what is sealed in its record holds no credentials"
    if content.operation != record.operation.id:
        return f"what is sealed in its record is of another operation, {content.operation}: it was replaced"
    return None


def _shared(opened: Mapping[str, SealedContent]) -> dict[str, str]:
    """Return a fault for each of the accounts that have one login between them."""
    logins = {name: each.credentials.api_login.casefold() for name, each in opened.items() if each.credentials}
    counts = Counter(logins.values())
    return {
        name: "its login is also that of "
        + ", ".join(each for each in logins if logins[each] == login and each != name)
        for name, login in logins.items()
        if counts[login] > 1
    }


def _verified(name: str, credentials: Credentials, reading: Reading) -> Outcome:
    match reading:
        case Observed() if reading.api_key is None:
            return Outcome(name, "verify", Result.UNCHECKED, "the answer tells no key")
        case Observed() if reading.api_key != credentials.api_key:
            return Outcome(name, "verify", Result.FAILED, "Octopush has another key for its login than what is sealed")
        case Observed():
            return Outcome(name, "verify", Result.VERIFIED)
        case Missing():
            return Outcome(name, "verify", Result.FAILED, reading.reason)
        case Failed():
            return Outcome(name, "verify", Result.UNCHECKED, reading.reason)
        case _:
            assert_never(reading)


# ── Balances ─────────────────────────────────────────────────────────────────


def balances(opened: Mapping[str, SealedContent], api: Api, progress: Progress) -> dict[str, Balance | Failed]:
    """Ask for the balance of each account, with its own credentials."""
    asked: dict[str, Balance | Failed] = {}
    for name, content in sorted(opened.items()):
        progress.started(name)
        asked[name] = api.balance(credentials_of(content))
    return asked


def stopped_by(reading: Reading) -> Stop | None:
    """Return why asking for more would come to nothing: no connection, a rate limit, refused credentials."""
    if isinstance(reading, Failed) and reading.then is not Then.GO_ON and not reading.possible:
        return Stop(reading.exit_code, reading.reason, reading.hint)
    return None
