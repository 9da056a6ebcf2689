"""Compares the state with Octopush: fields, credentials and balances.

Changes nothing on either side. Never reports as correct what it has not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias, assert_never
from urllib.parse import unquote, urlsplit

from provisioner.errors import Advice, ExitCode, Remedy, StateError, StateInvalid
from provisioner.executor import seals
from provisioner.executor.ports import Api, Opener, Ports, Progress
from provisioner.executor.run import INTERRUPTED
from provisioner.executor.seals import credentials_of
from provisioner.immutable import immutable
from provisioner.model.account import FIELDS, MASK, Attributes, Credentials, has_placeholder, shown_value
from provisioner.model.exchange import Balance, Failed, Missing, Observed, Reading, differing, unreported
from provisioner.model.plan import UNFINISHED, FieldChange, Plan
from provisioner.model.report import Outcome, Report, Result, Stop
from provisioner.model.state import NO_DRIFT, Active, Drift, State
from provisioner.model.verdict import SealedContent, Then

Fields: TypeAlias = Mapping[str, str | None]

_NOT_ASKED: Final = "not checked, because {}"


# ── Drift ────────────────────────────────────────────────────────────────────


@immutable
class Refreshed:
    """The result of reading every active account."""

    state: State
    """The state that was checked, with the drift found; its serial is the same."""
    report: Report
    found: Mapping[str, Fields]
    """By account and dotted path, the values at Octopush that differ from those sent; placeholders' values masked."""
    seen: frozenset[str]
    """The names of the accounts that Octopush answered for; the drift of all others was not checked."""


def refresh(state: State, opener: Opener, api: Api, progress: Progress, only: Collection[str] = ()) -> Refreshed:
    """Read every active account and compare it with what was sent; damaged sealed content stops no other account.

    ``only`` has the names of the accounts to read; empty: all. If further requests are
    pointless, the remaining accounts are not read.

    Raises:
        IdentityRejected: the identity opens none of them; nothing was sent.

    """
    records = {
        name: each
        for name, each in sorted(state.accounts.items())
        if isinstance(each, Active) and (not only or name in only)
    }
    opened, faults = seals.open_all_active(state, opener)
    accounts = dict(state.accounts)
    found: dict[str, Fields] = {}
    seen: set[str] = set()
    outcomes: list[Outcome] = []
    stop: Stop | None = None
    for name, record in records.items():
        if name in faults:
            outcome = replace(_unchecked(name, seals.reason_of(faults[name])), weight=_weight(faults[name]))
        elif (obstacle := _obstacle(record)) is not None:
            outcome = _unchecked(name, obstacle)
        elif stop is not None:
            outcome = _unchecked(name, _NOT_ASKED.format(stop.reason))
        else:
            progress.started(name)
            reading = api.read(credentials_of(opened[name]).api_login)
            stop = _stopped_by(reading)
            drift, outcome = _compared(name, opened[name], record, reading)
            accounts[name] = replace(record, drift=drift)
            found[name] = {each.path: each.after for each in outcome.fields}
            if not isinstance(reading, Failed):
                seen.add(name)
        outcomes.append(outcome)
        progress.finished(outcome)
    report = Report(state.parent, tuple(outcomes), stop)
    return Refreshed(replace(state, accounts=accounts), report, found, frozenset(seen))


def with_drift(refreshed: Refreshed, state: State) -> State:
    """Return the state after ``state``, with the drift found; ``state`` itself if that is nothing new.

    ``state`` may be newer than the one that was checked: an account that was changed since,
    or whose edit was started, stays as it is.
    """
    accounts = dict(state.accounts)
    for name in refreshed.seen:
        read, now = refreshed.state.accounts[name], accounts.get(name)
        if isinstance(read, Active) and isinstance(now, Active) and _is_same(read, now):
            accounts[name] = replace(now, drift=read.drift)
    return state if accounts == state.accounts else replace(state, serial=state.serial + 1, accounts=accounts)


def _is_same(one: Active, other: Active) -> bool:
    """Return whether the account is unchanged: its record has the same operation and the same unfinished edit."""
    return one.operation == other.operation and one.edit == other.edit


def with_refresh_outcomes(refreshed: Refreshed, plan: Plan, report: Report) -> Report:
    """Return ``report`` of an apply of ``plan``, with the accounts that the refresh before it could not check.

    An account is left out if the apply finished its unfinished edit: it was read back.
    """
    updated = {each.name for each in report.outcomes if each.result is Result.UPDATED}
    finished = {each.record_name for each in plan.updates if each.unfinished and each.name in updated}
    failed = (each for each in refreshed.report.outcomes if each.exit_code is not ExitCode.DONE)
    more = (replace(each, result=Result.UNCHECKED, fields=()) for each in failed if each.name not in finished)
    return replace(report, outcomes=(*report.outcomes, *more))


def _obstacle(record: Active) -> str | None:
    """Return why the account cannot be compared, or None; one that was gone is read anyway."""
    return UNFINISHED if record.edit is not None and not record.drift.gone else None


def _unchecked(name: str, reason: str) -> Outcome:
    return Outcome(name, "refresh", Result.UNCHECKED, reason)


def _compared(name: str, content: SealedContent, record: Active, reading: Reading) -> tuple[Drift, Outcome]:
    """Return the drift that ``reading`` shows, and the outcome that reports it."""
    match reading:
        case Failed():
            return record.drift, _unchecked(name, reading.reason)
        case Missing():
            return Drift(gone=True), Outcome(name, "refresh", Result.GONE, reading.reason)
        case Observed():
            pass
        case _:
            assert_never(reading)
    if record.edit is not None:
        return NO_DRIFT, _unchecked(name, UNFINISHED)
    if content.sent is None:
        return replace(record.drift, gone=False), _unchecked(
            name, "the state does not have the values that were sent for it"
        )
    sent: Fields = content.sent.flat()
    differ = differing(sent, reading.fields)
    # Octopush altered these fields as soon as they were sent, and would do so again.
    altered = tuple(path for path in differ if path in record.drift.altered and _is_corrected(path, content, reading))
    changed = tuple(path for path in differ if path not in altered)
    silent = unreported(FIELDS, reading.fields)
    # A field that the answer lacks keeps the drift that was found last.
    drift = Drift(
        altered + tuple(path for path in silent if path in record.drift.altered),
        changed + tuple(path for path in silent if path in record.drift.changed),
        emptied=tuple(path for path in changed if not reading.fields[path])
        + tuple(path for path in silent if path in record.drift.emptied),
    )
    hidden = _hidden_paths(record.attributes, content.sent)
    fields = (_field_change(path, record.attributes, sent, reading, hidden) for path in differ)
    parts = (("somebody changed", changed), ("Octopush altered", altered), ("the answer does not contain", silent))
    return drift, Outcome(
        name,
        "refresh",
        Result.DRIFTED if differ else Result.UNCHECKED if silent else Result.UNCHANGED,
        "; ".join(f"{words} {', '.join(paths)}" for words, paths in parts if paths) or None,
        tuple(replace(each, drifted=each.path in changed) for each in fields),
        weight=ExitCode.SOME_FAILED if differ and silent else None,
    )


def _is_corrected(path: str, content: SealedContent, reading: Observed) -> bool:
    """Return whether the value at ``path`` is Octopush's own correction of what was sent.

    The sealed content says so, but anybody can seal. So a callback counts as corrected only if
    it still has the same receiver, and otherwise only lost characters.
    """
    if path not in content.altered or differing(content.altered, _only(path, reading)):
        return False
    found, sent = reading.fields[path], content.sent.flat().get(path) if content.sent else None
    if not found or not path.startswith("callbacks."):
        return True
    return sent is not None and _receiver(sent) == _receiver(found) and _is_in(_letters(found), _letters(sent))


def _letters(url: str) -> str:
    """Return the letters and digits of ``url``, however it is escaped."""
    from html import unescape  # noqa: PLC0415  # few URLs are altered

    return "".join(each for each in unquote(unescape(url)).casefold() if each.isalnum())


def _is_in(some: str, whole: str) -> bool:
    """Return whether ``whole`` contains all letters of ``some``, in this order."""
    letters = iter(whole)
    return all(each in letters for each in some)


def _receiver(callback: str) -> tuple[str, ...]:
    """Return who receives what is sent to ``callback``: a URL's scheme, host and port, or the whole e-mail address."""
    try:
        parts = urlsplit(callback.casefold())
        return (parts.scheme, parts.hostname or "", str(parts.port)) if parts.netloc else (callback.casefold(),)
    except ValueError:
        return (callback,)


def _only(path: str, reading: Observed) -> Fields:
    return {path: reading.fields[path]}


# ── What may be shown of a field ─────────────────────────────────────────────


def _hidden_paths(written: Attributes, sent: Attributes | None) -> frozenset[str]:
    """Return the paths whose value at Octopush may contain a placeholder's value.

    The whole value is hidden: nobody can know which part of it is a secret, the path or the query.
    """
    texts = written.flat()
    return frozenset(path for path, text in texts.items() if has_placeholder(text)) | frozenset(
        path
        for path, value in (sent.flat() if sent else {}).items()
        if path not in texts or shown_value(path, texts[path]) != shown_value(path, value)
    )


def _field_change(
    path: str, written: Attributes, sent: Fields, reading: Observed, hidden: frozenset[str]
) -> FieldChange:
    """Return the values sent and found at ``path``, masked if ``path`` is ``hidden``: then as the manifest has it."""
    if path not in hidden:
        return FieldChange(path, sent.get(path), reading.fields[path])
    return FieldChange(path, written.flat().get(path) or MASK, reading.fields[path] and MASK)


# ── Reading back what was just written ───────────────────────────────────────


@immutable
class ReadBack:
    """The result of reading an account right after it was created or changed."""

    altered: Fields
    """Octopush's values of the fields that it altered."""
    fields: tuple[FieldChange, ...] = ()
    """The same as changes: ``before`` as sent, ``after`` as found."""
    warning: str | None = None
    obstacle: str | None = None
    """Why reading another account is pointless."""


def not_read_back(obstacle: str) -> ReadBack:
    """Return the result for an account that is not read."""
    return ReadBack({}, warning=f"not read back: {obstacle}", obstacle=obstacle)


def read_back(content: SealedContent, written: Attributes, ports: Ports) -> ReadBack:
    """Read the account and compare it with what was sent; a failure is a warning, never an error.

    ``written`` is what was sent, before its placeholders were filled in. If a signal asked
    the run to end, nothing is read.
    """
    if ports.interrupted() is not None:
        return not_read_back(INTERRUPTED)
    credentials = credentials_of(content)
    reading = ports.api.read(credentials.api_login)
    if not isinstance(reading, Observed):
        stop = _stopped_by(reading)
        return ReadBack(
            {}, warning=f"it could not be read back: {reading.reason}", obstacle=None if stop is None else stop.reason
        )
    sent: Fields = content.sent.flat() if content.sent else {}
    differ = differing(sent, reading.fields)
    hidden = _hidden_paths(written, content.sent)
    warnings = []
    if differ:
        warnings.append(f"Octopush stored different values than were sent: {', '.join(differ)}")
    if silent := unreported(FIELDS, reading.fields):
        warnings.append(f"the answer does not contain {', '.join(silent)}")
    if reading.api_key is not None and reading.api_key != credentials.api_key:
        warnings.append("the key read back is not the one that Octopush issued")
    return ReadBack(
        {path: reading.fields[path] for path in differ},
        tuple(_field_change(path, written, sent, reading, hidden) for path in differ),
        "; ".join(warnings) or None,
    )


# ── Credentials ──────────────────────────────────────────────────────────────


def verify(state: State, names: Sequence[str], opener: Opener, api: Api, progress: Progress) -> Report:
    """Open the credentials of the active accounts ``names``, and compare them with their records and with Octopush.

    If further requests are pointless, the remaining accounts are not read.

    Raises:
        IdentityRejected: the identity opens none of them.

    """
    opened, damaged = seals.open_all_active(state, opener)
    faults = _shared(opened) | {name: seals.reason_of(error) for name, error in damaged.items()}
    for name in opened.keys() - faults.keys():
        try:
            seals.open_edit(state, name, opener)
        except StateError as error:
            faults[name] = f"in its unfinished edit: {seals.reason_of(error)}"
    outcomes: list[Outcome] = []
    stop: Stop | None = None
    for name in names:
        if name in faults:
            outcome = Outcome(name, "verify", Result.FAILED, faults[name])
        elif stop is not None:
            outcome = Outcome(name, "verify", Result.UNCHECKED, _NOT_ASKED.format(stop.reason))
        else:
            progress.started(name)
            credentials = credentials_of(opened[name])
            reading = api.read(credentials.api_login)
            stop = _stopped_by(reading)
            outcome = _verified(name, credentials, reading)
        outcomes.append(outcome)
        progress.finished(outcome)
    return Report(state.parent, tuple(outcomes), stop)


def shared_logins(state: State, opener: Opener) -> dict[str, str]:
    """Return, by name, a reason for each active account whose login another one has too.

    Those that cannot be opened are left out. Raises IdentityRejected if none can.
    """
    return _shared(seals.open_all_active(state, opener)[0])


def _weight(error: StateError) -> ExitCode | None:
    """Return the exit code of an account whose sealed content cannot be opened; None: that of its result."""
    return error.exit_code if isinstance(error, StateInvalid) else None


def _shared(opened: Mapping[str, SealedContent]) -> dict[str, str]:
    """Return a reason for each account whose login another one has too."""
    logins = {name: each.credentials.api_login.casefold() for name, each in opened.items() if each.credentials}
    counts = Counter(logins.values())
    return {
        name: "it has the same login as " + ", ".join(each for each in logins if logins[each] == login and each != name)
        for name, login in logins.items()
        if counts[login] > 1
    }


def _verified(name: str, credentials: Credentials, reading: Reading) -> Outcome:
    match reading:
        case Observed() if reading.api_key is None:
            return Outcome(name, "verify", Result.UNCHECKED, "the answer contains no key")
        case Observed() if reading.api_key != credentials.api_key:
            reason = "Octopush's key for this login is not the sealed one"
            return Outcome(name, "verify", Result.FAILED, reason, advice=Advice(Remedy.ADOPT_KEY, name))
        case Observed():
            return Outcome(name, "verify", Result.VERIFIED)
        case Missing():
            return Outcome(name, "verify", Result.FAILED, reading.reason)
        case Failed():
            return Outcome(name, "verify", Result.UNCHECKED, reading.reason)
        case _:
            assert_never(reading)


# ── Balances ─────────────────────────────────────────────────────────────────


def balances(state: State, opener: Opener, api: Api, progress: Progress) -> dict[str, Balance | Failed]:
    """Ask for the balance of each active account, with its own credentials; one that is refused stops no other.

    If nobody answers, the remaining accounts are not asked for.

    Raises:
        IdentityRejected: the identity opens none of them; nothing was sent.

    """
    opened, faults = seals.open_all_active(state, opener)
    asked: dict[str, Balance | Failed] = {}
    stopper: Failed | None = None
    for name in sorted(opened.keys() | faults.keys()):
        if name in faults:
            asked[name] = Failed(
                seals.reason_of(faults[name]), Then.GO_ON, exit_code=_weight(faults[name]) or ExitCode.SOME_FAILED
            )
        elif stopper is not None:
            asked[name] = Failed(_NOT_ASKED.format(stopper.reason), Then.STOP)
        else:
            progress.started(name)
            balance = asked[name] = api.balance(credentials_of(opened[name]))
            if isinstance(balance, Failed) and balance.spreads:
                stopper = balance
        progress.finished(_balance_outcome(name, asked[name]))
    return asked


def _balance_outcome(name: str, balance: Balance | Failed) -> Outcome:
    if isinstance(balance, Failed):
        return Outcome(name, "balance", Result.UNCHECKED, balance.reason)
    return Outcome(name, "balance", Result.VERIFIED)


def _stopped_by(reading: Reading) -> Stop | None:
    """Return why further requests are pointless: nobody answers, a rate limit, refused credentials; or None."""
    if isinstance(reading, Failed) and reading.stops:
        return Stop(reading.exit_code, reading.reason, reading.hint)
    return None
