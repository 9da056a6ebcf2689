"""Carries a plan out, one account at a time, so that nothing that exists is ever lost.

Owns the protocol of an operation: the intent is durable before the request, and
what the request brought is sealed and durable before anything else happens.
Refuses I/O but through the interfaces below; whoever calls it gives the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never

from provisioner.errors import CommandInvalid, ExitCode, StateError
from provisioner.model.account import DesiredAccount
from provisioner.model.plan import Change, Closed, Create, Plan, Unchanged, Undecided, Unmanaged, Update, raise_if_over
from provisioner.model.report import Outcome, Report, Result, Stop
from provisioner.model.state import Abandoned, Active, Operation, Pending, Record, State, Unknown
from provisioner.model.verdict import Created, CreateRequest, InDoubt, NotCreated, SealedContent, Then, Verdict


class Api(Protocol):
    """The parent's account at Octopush."""

    def create(self, request: CreateRequest) -> Verdict:
        """Create one sub-account; retries included, and only where they are safe."""


class Journal(Protocol):
    """Where the state is kept, held by this run alone."""

    def save(self, state: State) -> None:
        """Make ``state`` durable, or raise StateError."""

    def rescue(self, state: State, name: str, operation: str, record: Record | None) -> str:
        """Keep what ``save`` did not take, and say where."""


class Sealer(Protocol):
    """Encrypts to the recipients."""

    def seal(self, content: SealedContent) -> str:
        """Return ``content`` sealed."""


class Progress(Protocol):
    """Whoever watches the run."""

    def started(self, name: str) -> None:
        """Hear that the request for ``name`` is about to be prepared."""

    def finished(self, outcome: Outcome) -> None:
        """Hear of an ``outcome`` that is final."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside that a run touches."""

    api: Api
    journal: Journal
    sealer: Sealer
    progress: Progress
    now: Callable[[], str]
    """UTC, ISO 8601 with a Z."""
    new_id: Callable[[], str]
    by: str
    """``user@host``."""
    interrupted: Callable[[], ExitCode | None]
    """The exit code of the signal that asked the run to end, once one has."""


RUN_DIED: Final = "the run that sent it died before it saved the outcome"
UPDATE_REASON: Final = "changing an account that exists is not supported by this version"


def apply(  # noqa: PLR0913  # the four that make a run, and the two that bound it
    plan: Plan,
    state: State,
    requests: Mapping[str, CreateRequest],
    ports: Ports,
    *,
    keep_going: bool = False,
    stop: Stop | None = None,
) -> Report:
    """Carry ``plan`` out on ``state`` and return what became of every account.

    ``requests`` holds what to send for each create, by name. The plan must have
    been made from ``state``. ``stop`` is what ended the run for a parent before this
    one: then nothing is sent. A failure of one account is in the report; nothing is
    raised once the first request has been sent.

    Raises:
        OverLimit: the plan needs more slots than there are; nothing was sent.

    """
    raise_if_over(plan)
    run = _Run(state, plan, requests, ports, keep_going=keep_going, stop=stop)
    for change in plan.changes:
        run.carry_out(change)
    return Report(plan.parent, tuple(run.outcomes), run.stop)


def settle(state: State, journal: Journal) -> State:
    """Turn every intent of a run that died into an unknown, durably; return the state that follows."""
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
    record = state.accounts.get(name)
    if record is None:
        raise CommandInvalid(f"The state has no account {name}.", hint="`provisioner status` lists those that it has.")
    if not isinstance(record, Unknown | Pending):
        raise CommandInvalid(
            f"The outcome of {name} is not unknown: it is {type(record).__name__.lower()}.",
            hint="Only an unknown outcome can be resolved. Nothing was changed.",
        )
    if not abandon:
        return state.with_record(name, None)
    # Whoever resolves holds the state: a run that is still at it there is not.
    reason = record.reason if isinstance(record, Unknown) else RUN_DIED
    return state.with_record(name, Abandoned(record.attributes, record.operation, reason, record.sealed))


class _Run:
    """The progress of one apply: the state as it is now, and the outcomes so far."""

    def __init__(  # noqa: PLR0913  # what apply was given, each by its name
        self,
        state: State,
        plan: Plan,
        requests: Mapping[str, CreateRequest],
        ports: Ports,
        *,
        keep_going: bool,
        stop: Stop | None,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.stop = stop
        self._state = state
        self._slots = plan.slots
        self._requests = requests
        self._ports = ports
        self._keep_going = keep_going

    def carry_out(self, change: Change) -> None:
        """Do what ``change`` asks, unless the run was stopped, and note the outcome."""
        match change:
            case Create():
                outcome = self._create_unless_stopped(change.account)
            case Update():
                outcome = Outcome(change.name, "update", Result.NOT_ATTEMPTED, UPDATE_REASON)
            case Unchanged():
                outcome = Outcome(change.name, "unchanged", Result.UNCHANGED)
            case Undecided():
                outcome = Outcome(change.name, "unknown", Result.UNKNOWN, change.reason)
            case Closed():
                outcome = Outcome(change.name, "abandoned", Result.NOT_ATTEMPTED, f"abandoned: {change.reason}")
            case Unmanaged():
                return
            case _:
                assert_never(change)
        self.outcomes.append(outcome)
        self._ports.progress.finished(outcome)

    def _create_unless_stopped(self, account: DesiredAccount) -> Outcome:
        if self.stop is None and (code := self._ports.interrupted()) is not None:
            self.stop = Stop(code, "the run was interrupted", "Run it again to go on.")
        if (
            self.stop is None
            and self._state.slots(limit=self._slots.limit, reserved=self._slots.reserved, planned=1).left < 0
        ):
            self.stop = Stop(ExitCode.REFUSED, "there is no slot left")
        if self.stop is not None:
            return _create_outcome(account, Result.NOT_ATTEMPTED, self.stop.reason)
        self._ports.progress.started(account.name)
        return self._create(account, self._requests[account.name])

    def _create(self, account: DesiredAccount, request: CreateRequest) -> Outcome:
        ports = self._ports
        operation = Operation(ports.new_id(), ports.now(), ports.by)
        content = SealedContent(
            self._state.lineage, self._state.parent, account.name, operation.id, password=request.password
        )
        intent = Pending(account.attributes, operation, ports.sealer.seal(content))
        if (unsaved := self._save(account.name, intent, kept=None)) is not None:
            return _create_outcome(account, Result.FAILED, f"{unsaved}; nothing was sent")

        verdict = ports.api.create(request)

        record, outcome = self._judged(account, content, intent, verdict)
        if (unsaved := self._save(account.name, record, kept=record)) is not None:
            outcome = replace(outcome, reason="; ".join(filter(None, (outcome.reason, unsaved))))
        return outcome

    def _judged(
        self, account: DesiredAccount, content: SealedContent, intent: Pending, verdict: Verdict
    ) -> tuple[Record | None, Outcome]:
        """Return the record and the outcome that ``verdict`` asks for, and stop the run where it says so."""
        seal = self._ports.sealer.seal
        match verdict:
            case Created():
                sealed = seal(replace(content, credentials=verdict.credentials))
                record: Record = Active(intent.attributes, intent.operation, self._ports.now(), sealed)
                return record, _create_outcome(account, Result.CREATED, verdict.warning)
            case InDoubt():
                sealed = seal(replace(content, answer=verdict.answer))
                if not self._keep_going:
                    self.stop = Stop(ExitCode.OUTCOME_UNKNOWN, f"the outcome of {account.name} is unknown")
                record = Unknown(intent.attributes, intent.operation, verdict.reason, sealed)
                return record, _create_outcome(account, Result.UNKNOWN, verdict.reason)
            case NotCreated():
                if verdict.then is not Then.GO_ON:
                    # A retry that is still asked for here has run out of attempts: what
                    # failed it (no connection, a rate limit) would fail the others too.
                    self.stop = Stop(self._ports.interrupted() or verdict.exit_code, verdict.reason, verdict.hint)
                return None, _create_outcome(account, Result.FAILED, verdict.reason)
            case _:
                assert_never(verdict)

    def _save(self, name: str, record: Record | None, *, kept: Record | None) -> str | None:
        """Save ``record``; where that fails, rescue ``kept``, stop the run and return what happened."""
        operation = (record or self._state.accounts[name]).operation
        after = self._state.with_record(name, record)
        try:
            self._ports.journal.save(after)
        except StateError as error:
            place = self._ports.journal.rescue(self._state, name, operation.id, kept)
            reason = error.message.removesuffix(".")
            self.stop = Stop(error.exit_code, reason, f"{error.hint} The outcome of {name} is kept in {place}.")
            return f"the state could not be saved, and the outcome is kept in {place}"
        self._state = after
        return None


def _create_outcome(account: DesiredAccount, result: Result, reason: str | None) -> Outcome:
    return Outcome(account.name, "create", result, reason)
