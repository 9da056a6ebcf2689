"""Carries a plan out, one account at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from provisioner.errors import ExitCode, StateError
from provisioner.executor.inspect import ReadBack, read_back
from provisioner.executor.ports import Ports, credentials_of
from provisioner.model.account import Attributes, DesiredAccount
from provisioner.model.exchange import Edited, EditRequest, Failed, Missing
from provisioner.model.plan import (
    Change,
    Closed,
    Create,
    Gone,
    Plan,
    Unchanged,
    Undecided,
    Unmanaged,
    Update,
    raise_if_over,
)
from provisioner.model.report import Outcome, Report, Result, Scope, Stop
from provisioner.model.state import Active, Drift, Edit, Operation, Pending, Record, State, Unknown
from provisioner.model.verdict import Created, CreateRequest, InDoubt, NotCreated, SealedContent, Then, Verdict

NO_IDENTITY: Final = "its login is sealed, and there is no identity to open it"
_INTERRUPTED: Final = "the run was interrupted"


@dataclass(frozen=True, slots=True)
class Work:
    """What the changes of a plan need, made ready before the first request; by name."""

    creates: Mapping[str, CreateRequest] = field(default_factory=dict)
    edits: Mapping[str, EditRequest] = field(default_factory=dict)
    """None for an update where there is no identity."""
    opened: Mapping[str, SealedContent] = field(default_factory=dict)
    """What is sealed of each account that is to be updated, by the name of its record."""
    begun: Mapping[str, SealedContent] = field(default_factory=dict)
    """The same of its unfinished edit, where that holds a password."""


def apply(  # noqa: PLR0913  # the four that make a run, and the two that bound it
    plan: Plan, state: State, work: Work, ports: Ports, *, keep_going: bool = False, stop: Stop | None = None
) -> Report:
    """Carry ``plan`` out on ``state`` and return what became of every account.

    The plan must have been made from ``state``. ``stop`` is what ended the refresh that
    it was made after, if anything did: then nothing is sent. A failure of one account is
    in the report; nothing is raised once the first request has been sent.

    Raises:
        OverLimit: the plan needs more slots than there are; nothing was sent.
        StateConflict: what is sealed of an account to be updated is no credentials; nothing was sent.

    """
    raise_if_over(plan)
    for content in work.opened.values():
        credentials_of(content)
    run = _Run(state, plan, work, ports, keep_going=keep_going, stop=stop)
    for change in plan.changes:
        run.carry_out(change)
    return Report(plan.parent, tuple(run.outcomes), run.stop)


class _Run:
    """The progress of one apply: the state as it is now, and the outcomes so far."""

    def __init__(  # noqa: PLR0913  # what apply was given, each by its name
        self, state: State, plan: Plan, work: Work, ports: Ports, *, keep_going: bool, stop: Stop | None
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.stop = stop
        self._state = state
        self._slots = plan.slots
        self._work = work
        self._ports = ports
        self._keep_going = keep_going

    def carry_out(self, change: Change) -> None:
        """Do what ``change`` asks, unless the run was stopped, and note the outcome."""
        match change:
            case Create():
                outcome = self._create_unless_stopped(change.account)
            case Update():
                outcome = self._update_unless_stopped(change)
            case Unchanged():
                outcome = Outcome(change.name, "unchanged", Result.UNCHANGED)
            case Gone():
                reason = f"{change.reason}; `provisioner forget {change.name}` frees its slot"
                outcome = Outcome(change.name, "gone", Result.NOT_ATTEMPTED, reason)
            case Undecided():
                outcome = Outcome(change.name, "unknown", Result.UNKNOWN, change.reason)
            case Closed():
                reason = f"abandoned: {change.reason}"
                outcome = Outcome(change.name, "abandoned", Result.NOT_ATTEMPTED, reason, weight=ExitCode.DONE)
            case Unmanaged():
                return
            case _:
                assert_never(change)
        self.outcomes.append(outcome)
        self._ports.progress.finished(outcome)

    # ── Create ───────────────────────────────────────────────────────────────

    def _create_unless_stopped(self, account: DesiredAccount) -> Outcome:
        self._hear()
        if (
            self.stop is None
            and self._state.slots(limit=self._slots.limit, reserved=self._slots.reserved, planned=1).left < 0
        ):
            self.stop = Stop(ExitCode.REFUSED, "there is no slot left")
        if self.stop is not None:
            return _create_outcome(account, Result.NOT_ATTEMPTED, self.stop.reason)
        return self._create(account, self._work.creates[account.name])

    def _create(self, account: DesiredAccount, request: CreateRequest) -> Outcome:
        ports = self._ports
        operation = Operation(ports.new_id(), ports.now(), ports.by)
        ports.progress.started(account.name, operation.id)
        content = SealedContent(
            self._state.lineage, self._state.parent, account.name, operation.id, password=request.password
        )
        intent = Pending(account.attributes, operation, ports.sealer.seal(content))
        if (unsaved := self._save_outcome(account.name, intent, kept=None)) is not None:
            return _create_outcome(account, Result.FAILED, f"{unsaved}; nothing was sent")

        verdict = ports.api.create(request)

        content = replace(content, sent=request.attributes)
        record, outcome = self._judged(account, content, intent, verdict)
        if (unsaved := self._save_outcome(account.name, record, kept=record)) is not None:
            return _warned(outcome, unsaved)
        if isinstance(verdict, Created) and isinstance(record, Active):
            content = replace(content, credentials=verdict.credentials)
            back = self._seen(content, account.attributes)
            return self._read_back(account.name, record, content, outcome, back)
        return outcome

    def _judged(
        self, account: DesiredAccount, content: SealedContent, intent: Pending, verdict: Verdict
    ) -> tuple[Record | None, Outcome]:
        """Return the record and the outcome that ``verdict`` asks for, and stop the run where it says so."""
        seal = self._ports.sealer.seal
        match verdict:
            case Created():
                sealed = seal(replace(content, credentials=verdict.credentials))
                record: Record = Active(
                    intent.attributes,
                    intent.operation,
                    self._ports.now(),
                    sealed,
                    password_version=account.password_version,
                )
                return record, _create_outcome(account, Result.CREATED, verdict.warning)
            case InDoubt():
                sealed = seal(replace(content, answer=verdict.answer))
                if not self._keep_going:
                    self.stop = Stop(ExitCode.OUTCOME_UNKNOWN, f"the outcome of {account.name} is unknown")
                record = Unknown(intent.attributes, intent.operation, verdict.reason, sealed)
                return record, _create_outcome(account, Result.UNKNOWN, f"{verdict.reason}{verdict.said}")
            case NotCreated():
                if verdict.then is not Then.GO_ON:
                    # A retry that is still asked for here has run out of attempts: what
                    # failed it (no connection, a rate limit) would fail the others too.
                    self._end_by(verdict)
                return None, _create_outcome(account, Result.FAILED, verdict.reason)
            case _:
                assert_never(verdict)

    def _read_back(
        self, name: str, record: Active, content: SealedContent, outcome: Outcome, back: ReadBack
    ) -> Outcome:
        """Keep what Octopush made of what was created; whatever comes of it, the account was created."""
        if back.altered:
            sealed = self._ports.sealer.seal(replace(content, altered=back.altered))
            after = replace(record, sealed=sealed, drift=Drift(altered=tuple(back.altered)))
            if (unsaved := self._save(self._state.with_record(name, after))) is not None:
                return replace(_warned(outcome, back.warning, unsaved), fields=back.fields)
        return replace(_warned(outcome, back.warning), fields=back.fields)

    def _seen(self, content: SealedContent, written: Attributes) -> ReadBack:
        if self._ports.interrupted() is not None:
            return ReadBack({}, warning=f"not read back: {_INTERRUPTED}")
        return read_back(content, written, self._ports.api)

    # ── Update ───────────────────────────────────────────────────────────────

    def _update_unless_stopped(self, change: Update) -> Outcome:
        self._hear()
        record_name = change.record_name
        if record_name not in self._work.opened:
            return Outcome(change.name, "update", Result.NOT_ATTEMPTED, NO_IDENTITY, weight=ExitCode.SETTING_INVALID)
        if self.stop is not None:
            return _update_outcome(change, Result.NOT_ATTEMPTED, self.stop.reason)
        if not change.sends:
            self._ports.progress.started(change.name)
        record = self._state.accounts[record_name]
        assert isinstance(record, Active)  # noqa: S101  # what the plan updates exists
        content = self._work.opened[record_name]
        if change.previous is not None:
            content = replace(content, name=change.name)
            record = self._renamed(change, record, content)
        if change.sends:
            return self._edit(change, record, content, self._work.edits[change.name])
        if (unsaved := self._save(self._state.with_record(change.name, record, previous=change.previous))) is not None:
            return _update_outcome(change, Result.FAILED, unsaved)
        return _update_outcome(change, Result.UPDATED)

    def _renamed(self, change: Update, record: Active, content: SealedContent) -> Active:
        """Return ``record`` with what is sealed in it sealed for its new name."""
        seal, edit = self._ports.sealer.seal, record.edit
        if edit is not None and edit.sealed is not None:
            begun = self._work.begun[change.record_name]
            edit = replace(edit, sealed=seal(replace(begun, name=change.name)))
        return replace(record, sealed=seal(content), edit=edit)

    def _edit(self, change: Update, record: Active, content: SealedContent, request: EditRequest) -> Outcome:
        """Send an edit; until its answer is certain, the record holds both what was and what is to be."""
        ports, account = self._ports, change.account
        credentials = credentials_of(content)
        operation = Operation(ports.new_id(), ports.now(), ports.by)
        ports.progress.started(account.name, operation.id)
        password = self._sealed_password(change, request, operation)
        begun = replace(record, edit=Edit(account.attributes, operation, account.password_version, password))
        if (unsaved := self._save(self._state.with_record(account.name, begun, previous=change.previous))) is not None:
            return _update_outcome(change, Result.FAILED, f"{unsaved}; nothing was sent")

        verdict = ports.api.edit(credentials.api_login, request)

        match verdict:
            case Edited():
                content = replace(
                    content,
                    operation=operation.id,
                    password=request.password or content.password,
                    sent=request.attributes,
                    altered={},
                )
                back = self._seen(content, account.attributes)
                return self._edited(change, begun, content, back)
            case Missing() if verdict.possible:
                # Should the login be known again, the new password may be the one that opens it.
                after = replace(begun, drift=Drift(gone=True))
                reason = (
                    f"{verdict.reason}; an attempt before may have been carried out, and what it sent is kept:"
                    " `provisioner refresh` looks for the account again"
                )
                outcome = _update_outcome(change, Result.FAILED, reason)
            case Missing():
                after = replace(record, drift=Drift(gone=True))
                outcome = _update_outcome(change, Result.FAILED, verdict.reason)
            case Failed() if verdict.possible:
                after = begun
                outcome = _update_outcome(change, Result.FAILED, f"{verdict.reason}; the next apply finishes it")
            case Failed():
                after = record
                outcome = _update_outcome(change, Result.FAILED, verdict.reason)
            case _:
                assert_never(verdict)
        if isinstance(verdict, Failed) and verdict.then is not Then.GO_ON:
            self._end_by(verdict)
        if after != begun:
            outcome = _warned(outcome, self._save(self._state.with_record(account.name, after)))
        return outcome

    def _sealed_password(self, change: Update, request: EditRequest, operation: Operation) -> str | None:
        """Seal the new password, and with it those of edits begun before, of which Octopush may have one."""
        if request.password is None:
            return None
        state, before = self._state, self._work.begun.get(change.record_name)
        earlier = () if before is None else (*before.others, before.password)
        others = tuple(each for each in dict.fromkeys(earlier) if each is not None and each != request.password)
        return self._ports.sealer.seal(
            SealedContent(
                state.lineage, state.parent, change.name, operation.id, password=request.password, others=others
            )
        )

    def _edited(self, change: Update, begun: Active, content: SealedContent, back: ReadBack) -> Outcome:
        """Save what was changed as finished; the state holds the new password already."""
        edit = begun.edit
        assert edit is not None  # noqa: S101  # it was begun a moment ago
        after = Active(
            edit.attributes,
            edit.operation,
            begun.created_at,
            self._ports.sealer.seal(replace(content, altered=back.altered)),
            password_version=edit.password_version,
            drift=Drift(altered=tuple(back.altered)),
            first_operation=begun.first_operation or begun.operation.id,
        )
        unsaved = self._save(self._state.with_record(change.name, after))
        again = None if unsaved is None else f"{unsaved}; the next apply sends it again"
        return replace(_warned(_update_outcome(change, Result.UPDATED), back.warning, again), fields=back.fields)

    # ── Save ─────────────────────────────────────────────────────────────────

    def _save_outcome(self, name: str, record: Record | None, *, kept: Record | None) -> str | None:
        """Save ``record``; where that fails, rescue ``kept``, stop the run and return what happened."""
        operation = (record or self._state.accounts[name]).operation
        before = self._state
        unsaved = self._save(before.with_record(name, record))
        if unsaved is None or self.stop is None:
            return unsaved
        place = self._ports.journal.rescue(before, name, operation.id, kept)
        self.stop = replace(self.stop, hint=f"{self.stop.hint} The outcome of {name} is kept in {place}.")
        return f"{unsaved}, and the outcome is kept in {place}"

    def _save(self, after: State) -> str | None:
        """Save ``after``; where that fails, stop the run and return what happened."""
        try:
            self._ports.journal.save(after)
        except StateError as error:
            self.stop = Stop.of(error)
            return "the state could not be saved"
        self._state = after
        return None

    def _hear(self) -> None:
        """Stop the run where a signal asked for it."""
        if self.stop is None and (code := self._ports.interrupted()) is not None:
            self.stop = Stop(code, _INTERRUPTED, "Run it again to go on.", Scope.RUN)

    def _end_by(self, verdict: NotCreated | Failed) -> None:
        """Stop because of what a request came to; a signal that cut its retries short ends the whole run."""
        code = self._ports.interrupted()
        self.stop = Stop(verdict.exit_code, verdict.reason, verdict.hint)
        if code is not None:
            self.stop = replace(self.stop, exit_code=code, scope=Scope.RUN)


def _create_outcome(account: DesiredAccount, result: Result, reason: str | None) -> Outcome:
    return Outcome(account.name, "create", result, reason)


def _update_outcome(change: Update, result: Result, reason: str | None = None) -> Outcome:
    return Outcome(change.name, "update", result, reason)


def _warned(outcome: Outcome, *warnings: str | None) -> Outcome:
    """Return ``outcome`` with more to its reason."""
    return replace(outcome, reason="; ".join(filter(None, (outcome.reason, *warnings))) or None)
