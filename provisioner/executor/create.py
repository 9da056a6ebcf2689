"""Creates accounts: the intent is durable before the request, and the credentials before anything else.

One save holds both the outcome of a create and the intent of the next one. Nothing that can
be done earlier or later happens between that save and the next request: all intents are
sealed before the first save, and accounts are read back after the last create. An intent
that is not sent after all is taken back.

Never sends a create twice: an outcome that nobody can know is saved as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from provisioner.errors import ExitCode
from provisioner.executor.decide import FAILED_AFTER
from provisioner.executor.inspect import not_read_back, read_back
from provisioner.executor.ports import Ports
from provisioner.executor.run import Completed, Intent, Run
from provisioner.immutable import immutable
from provisioner.model.account import DesiredAccount
from provisioner.model.plan import Create
from provisioner.model.report import Attempt, Outcome, Result, Stop
from provisioner.model.state import Active, Drift, Pending, Record, Slots, Unknown
from provisioner.model.verdict import Created, CreateRequest, NotCreated, OutcomeUnknown, SealedContent, Then, Verdict

_STILL_READ: Final = frozenset({ExitCode.OUTCOME_UNKNOWN, ExitCode.REFUSED})
"""The exit codes of stops after which reading from Octopush still works."""


@immutable
class _Attempt:
    """One create, ready to be sent."""

    account: DesiredAccount
    request: CreateRequest
    content: SealedContent
    intent: Pending

    @property
    def name(self) -> str:
        return self.account.name

    def at(self, moment: str) -> _Attempt:
        """Return the same attempt, started at ``moment``."""
        return replace(self, intent=replace(self.intent, operation=replace(self.intent.operation, started_at=moment)))

    def completed(self, record: Record | None) -> Completed:
        """Return the completed operation with its ``record``; None: nothing was created."""
        return Completed(self.name, self.intent.operation.id, record)


@immutable
class _Sent:
    """A create that was sent, and its outcome."""

    attempt: _Attempt
    content: SealedContent
    record: Record | None
    outcome: Outcome

    @property
    def completed(self) -> Completed:
        return self.attempt.completed(self.record)


def creates(
    run: Run, changes: Sequence[Create], requests: Mapping[str, CreateRequest], slots: Slots, *, keep_going: bool
) -> None:
    """Create the accounts of ``changes``, one after the other, and read back what was created.

    ``slots`` are the plan's: they are counted again before each create, from the state as it
    is then. ``keep_going`` lets the run go on after an outcome that nobody can know.
    """
    attempts = [_attempt(run, change.account, requests[change.name]) for change in changes]
    sent: list[_Sent] = []
    last: _Sent | None = None
    """The last create, whose outcome is not saved yet."""
    for attempt in attempts:
        following = _next(run, attempt, last, slots)
        if isinstance(following, Outcome):
            run.finish(following)
            last = None
        else:
            last = _send(run, following, keep_going=keep_going)
            sent.append(last)
    if last is not None:
        run.finish(last.outcome.warned(run.save_create(last.completed, None)))
    _read_back(run, sent)


def _attempt(run: Run, account: DesiredAccount, request: CreateRequest) -> _Attempt:
    """Prepare a create."""
    operation = run.ports.operation()
    content = SealedContent(run.state.lineage, run.state.parent, account.name, operation.id, password=request.password)
    return _Attempt(account, request, content, Pending(account.attributes, operation, run.ports.sealer.seal(content)))


def _next(run: Run, attempt: _Attempt, last: _Sent | None, slots: Slots) -> _Attempt | Outcome:
    """Save the outcome of the last create together with the intent of ``attempt``; return that, to be sent at once.

    If it should not be sent, return its outcome instead: the state then has no intent of it.
    Progress can only be reported between the save and the request, because the outcome must be
    durable first. If reporting fails, or a signal comes meanwhile, the intent is taken back.
    """
    completed = None if last is None else last.completed
    try:
        skipped = _skipped(run, attempt, last, slots)
        attempt = attempt.at(run.ports.now())
    except BaseException as error:
        raise run.fault(error, completed) from error
    unsaved = run.save_create(completed, Intent(attempt.name, attempt.intent) if skipped is None else None)
    has_intent = skipped is None and unsaved is None
    try:
        if last is not None:
            run.finish(last.outcome.warned(unsaved))
        if has_intent:
            run.ports.progress.started(attempt.name, attempt.intent.operation.id)
        skipped = skipped or run.skipped(attempt.name, "create")
    except BaseException:
        if has_intent:
            run.save_create(attempt.completed(None), None)
        raise
    if skipped is None:
        return attempt
    return skipped.warned(run.save_create(attempt.completed(None), None)) if has_intent else skipped


def _skipped(run: Run, attempt: _Attempt, last: _Sent | None, slots: Slots) -> Outcome | None:
    """Return the outcome of a create if the run has stopped, or no slot is left; None: it goes on."""
    if (skipped := run.skipped(attempt.name, "create")) is not None:
        return skipped
    state = run.state if last is None else run.state.with_record(last.attempt.name, last.record)
    if state.slots(limit=slots.limit, reserved=slots.reserved, planned=1).left < 0:
        run.stop(Stop(ExitCode.REFUSED, "there is no slot left"))
    return run.skipped(attempt.name, "create")


def _send(run: Run, attempt: _Attempt, *, keep_going: bool) -> _Sent:
    """Send a create whose intent is durable, and seal its outcome."""
    account, ports = attempt.account, run.ports
    verdict = ports.api.create(attempt.request)

    content = replace(
        attempt.content,
        sent=attempt.request.attributes,
        credentials=verdict.credentials if isinstance(verdict, Created) else None,
        answer=verdict.answer if isinstance(verdict, OutcomeUnknown) else None,
    )
    record: Record | None = None
    try:
        if isinstance(verdict, Created):
            first = run.first_owner(verdict.credentials.api_login, account.name)
            if first != account.name:
                # The credentials are saved for that account; here they would prove that this one was created.
                content = replace(content, credentials=None)
                verdict = OutcomeUnknown(f"the answer contains the login of {first}")
        record, outcome = _record_and_outcome(account, attempt.intent, content, verdict, ports)
        _stop_by(verdict, account.name, run, keep_going=keep_going)
    except BaseException as error:
        rescued = record or _fallback_record(attempt.intent, content, ports)
        raise run.fault(error, attempt.completed(rescued)) from error
    return _Sent(attempt, content, record, outcome)


def _fallback_record(intent: Pending, content: SealedContent, ports: Ports) -> Unknown:
    """Return a record of the answer, for when this program failed before it had the right record."""
    sealed = ports.sealer.seal(replace(content, sent=None))
    return Unknown(intent.attributes, intent.operation, FAILED_AFTER, sealed)


def _record_and_outcome(
    account: DesiredAccount, intent: Pending, content: SealedContent, verdict: Verdict, ports: Ports
) -> tuple[Record | None, Outcome]:
    """Return the record and the outcome for ``verdict``; ``content`` is sealed into the record."""
    match verdict:
        case Created():
            record = Active(
                intent.attributes,
                intent.operation,
                ports.now(),
                ports.sealer.seal(content),
                password_version=account.password_version,
            )
            return record, _outcome(account, Result.CREATED, verdict.warning)
        case OutcomeUnknown():
            unknown = Unknown(intent.attributes, intent.operation, verdict.reason, ports.sealer.seal(content))
            attempt = Attempt(intent.attributes, intent.operation.started_at)
            outcome = _outcome(account, Result.UNKNOWN, f"{verdict.reason}{verdict.api_message}")
            return unknown, replace(outcome, attempt=attempt)
        case NotCreated():
            return None, _outcome(account, Result.FAILED, verdict.reason)
        case _:
            assert_never(verdict)


def _stop_by(verdict: Verdict, name: str, run: Run, *, keep_going: bool) -> None:
    """Stop the run if, after ``verdict``, the next account should not be tried."""
    match verdict:
        case OutcomeUnknown() if not keep_going:
            run.stop(Stop(ExitCode.OUTCOME_UNKNOWN, f"the outcome of {name} is unknown"))
        case NotCreated() if verdict.then is not Then.GO_ON:
            # If the verdict is still to retry, all attempts are used up: the cause
            # (no connection, a rate limit) would fail the other accounts too.
            run.stop_by(verdict)
        case _:
            pass


# ── Reading back ─────────────────────────────────────────────────────────────


def _read_back(run: Run, sent: Sequence[_Sent]) -> None:
    """Read back what was created, and save what Octopush altered; a failure is a warning, as the accounts exist."""
    obstacle = run.stop_reason(ignoring=_STILL_READ)
    outcomes: dict[str, Outcome] = {}
    altered: dict[str, Record] = {}
    try:
        for each in sent:
            name, record = each.attempt.name, each.record
            if not isinstance(record, Active) or run.state.accounts.get(name) is not record:
                continue
            if obstacle is None:
                run.ports.progress.started(name, record.operation.id)
                back = read_back(each.content, record.attributes, run.ports)
                obstacle = back.obstacle
                found = Outcome(name, "read_back", Result.CREATED, back.warning, back.fields)
                run.ports.progress.read_back(found)
            else:
                back = not_read_back(obstacle)
            outcomes[name] = replace(each.outcome.warned(back.warning), fields=back.fields)
            if back.altered:
                sealed = run.ports.sealer.seal(replace(each.content, altered=back.altered))
                altered[name] = replace(record, sealed=sealed, drift=Drift(altered=tuple(back.altered)))
    finally:
        unsaved = run.save(run.state.with_records(altered)) if altered else None
    for name, outcome in outcomes.items():
        run.replace_outcome(outcome.warned(unsaved) if name in altered else outcome)


def _outcome(account: DesiredAccount, result: Result, reason: str | None) -> Outcome:
    return Outcome(account.name, "create", result, reason)
