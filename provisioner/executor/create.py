"""Creates one account: the intent is durable before the request, and the credentials before anything else.

Refuses to send a create twice: an outcome that nobody can know is kept as unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from provisioner.errors import ExitCode
from provisioner.executor.decide import FAILED_AFTER
from provisioner.executor.inspect import ReadBack, read_back
from provisioner.executor.ports import Ports
from provisioner.executor.run import Run
from provisioner.model.account import DesiredAccount
from provisioner.model.report import Outcome, Result, Stop
from provisioner.model.state import Active, Drift, Pending, Record, Slots, Unknown
from provisioner.model.verdict import Created, CreateRequest, NotCreated, OutcomeUnknown, SealedContent, Then, Verdict


def create(run: Run, account: DesiredAccount, request: CreateRequest, slots: Slots, *, keep_going: bool) -> Outcome:
    """Create ``account`` and return what became of it.

    ``slots`` are the plan's: whether one is left is counted again, from the state as it
    is now. ``keep_going`` lets the run go on after an outcome that nobody can know.
    """
    if run.state.slots(limit=slots.limit, reserved=slots.reserved, planned=1).left < 0:
        stop = Stop(ExitCode.REFUSED, "there is no slot left")
        run.stop(stop)
        return _outcome(account, Result.NOT_ATTEMPTED, stop.reason)

    ports = run.ports
    operation = ports.operation()
    ports.progress.started(account.name, operation.id)
    content = SealedContent(run.state.lineage, run.state.parent, account.name, operation.id, password=request.password)
    intent = Pending(account.attributes, operation, ports.sealer.seal(content))
    if (unsaved := run.save_intent(account.name, intent)) is not None:
        return _outcome(account, Result.FAILED, f"{unsaved}; nothing was sent")

    verdict = ports.api.create(request)

    content = replace(
        content,
        sent=request.attributes,
        credentials=verdict.credentials if isinstance(verdict, Created) else None,
        answer=verdict.answer if isinstance(verdict, OutcomeUnknown) else None,
    )
    record: Record | None = None
    try:
        if isinstance(verdict, Created):
            first = run.first_with(verdict.credentials.api_login, account.name)
            if first != account.name:
                # They are kept there, and here would show that there is an account of this name.
                content = replace(content, credentials=None)
                verdict = OutcomeUnknown(f"the answer holds the login that {first} was given")
        record, outcome = _judged(account, intent, content, verdict, ports)
        _stop_by(verdict, account.name, run, keep_going=keep_going)
    except BaseException as error:
        raise run.fault(error, account.name, operation.id, record or _in_hand(intent, content, ports)) from error
    if (unsaved := run.save_outcome(account.name, record)) is not None:
        return outcome.warned(unsaved)
    if isinstance(record, Active):
        return _kept(run, record, content, outcome, read_back(content, account.attributes, ports))
    return outcome


def _in_hand(intent: Pending, content: SealedContent, ports: Ports) -> Unknown:
    """Return a record of what came, where this program failed before it could make a better one."""
    sealed = ports.sealer.seal(replace(content, sent=None))
    return Unknown(intent.attributes, intent.operation, FAILED_AFTER, sealed)


def _judged(
    account: DesiredAccount, intent: Pending, content: SealedContent, verdict: Verdict, ports: Ports
) -> tuple[Record | None, Outcome]:
    """Return the record and the outcome that ``verdict`` asks for; ``content`` is what is to be sealed."""
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
            return unknown, _outcome(account, Result.UNKNOWN, f"{verdict.reason}{verdict.said}")
        case NotCreated():
            return None, _outcome(account, Result.FAILED, verdict.reason)
        case _:
            assert_never(verdict)


def _stop_by(verdict: Verdict, name: str, run: Run, *, keep_going: bool) -> None:
    """Stop the run where ``verdict`` says that the next account is not to be tried."""
    match verdict:
        case OutcomeUnknown() if not keep_going:
            run.stop(Stop(ExitCode.OUTCOME_UNKNOWN, f"the outcome of {name} is unknown"))
        case NotCreated() if verdict.then is not Then.GO_ON:
            # A retry that is still asked for here has run out of attempts: what
            # failed it (no connection, a rate limit) would fail the others too.
            run.stop_by(verdict)
        case _:
            pass


def _kept(run: Run, record: Active, content: SealedContent, outcome: Outcome, back: ReadBack) -> Outcome:
    """Keep what Octopush made of what was created; whatever comes of it, the account was created."""
    unsaved = None
    if back.altered:
        sealed = run.ports.sealer.seal(replace(content, altered=back.altered))
        after = replace(record, sealed=sealed, drift=Drift(altered=tuple(back.altered)))
        unsaved = run.save(run.state.with_record(content.name, after))
    return replace(outcome.warned(back.warning, unsaved), fields=back.fields)


def _outcome(account: DesiredAccount, result: Result, reason: str | None) -> Outcome:
    return Outcome(account.name, "create", result, reason)
