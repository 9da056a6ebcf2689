"""One parent's run: whether it goes on, where its state is kept, and what became of each account.

Owns the stop, the saving and the rescue, once for whatever a run does. Refuses to
know what that is: each step has a module of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from provisioner.errors import StateError, StateMoved, internal
from provisioner.executor.ports import Ports
from provisioner.model.exchange import Failed
from provisioner.model.report import Outcome, Report, Result, Scope, Stop
from provisioner.model.state import Record, State
from provisioner.model.verdict import NotCreated

INTERRUPTED: Final = "the run was interrupted"
_UNSAVED: Final = "the state could not be saved"


class Run:
    """The progress of one parent's run."""

    def __init__(self, state: State, ports: Ports, stop: Stop | None = None) -> None:
        self.state = state
        """As it was saved last."""
        self.ports = ports
        self._stop = stop
        self._outcomes: list[Outcome] = []
        self._logins: dict[str, str] = {}

    # ── Order ────────────────────────────────────────────────────────────────

    def held_back(self, name: str, action: str) -> Outcome | None:
        """Return the outcome of an account to which the run does not come any more; None: it goes on."""
        stop = self._stopped()
        return None if stop is None else Outcome(name, action, Result.NOT_ATTEMPTED, stop.reason)

    def finish(self, outcome: Outcome) -> None:
        """Take an outcome that is final."""
        self._outcomes.append(outcome)
        self.ports.progress.finished(outcome)

    def report(self) -> Report:
        """Return what the run has come to."""
        return Report(self.state.parent, tuple(self._outcomes), self._stop)

    def first_with(self, login: str, name: str) -> str:
        """Return which account of this run was given ``login`` first: ``name`` itself, unless another was."""
        return self._logins.setdefault(login.casefold(), name)

    # ── Stop ─────────────────────────────────────────────────────────────────

    def stop(self, stop: Stop) -> None:
        """Go no further: what is left is not attempted."""
        self._stop = stop

    def stop_by(self, verdict: NotCreated | Failed) -> None:
        """Stop because of what a request came to; where a signal cut its retries short, that ends the whole run."""
        code = self.ports.interrupted()
        if code is None:
            self.stop(Stop(verdict.exit_code, verdict.reason, verdict.hint))
        else:
            self.stop(Stop(code, verdict.reason, verdict.hint, Scope.RUN))

    def _stopped(self) -> Stop | None:
        """Hear whether a signal asked the run to end, and return why it goes no further, or None."""
        if self._stop is None and (code := self.ports.interrupted()) is not None:
            self._stop = Stop(code, INTERRUPTED, "Run it again to go on.", Scope.RUN)
        return self._stop

    # ── Save and rescue ──────────────────────────────────────────────────────

    def save(self, after: State) -> str | None:
        """Save ``after``; where that fails, stop the run and return what happened."""
        error = self._error(after)
        if error is None:
            return None
        self.stop(Stop.of(error))
        return _UNSAVED

    def save_intent(self, name: str, intent: Record) -> str | None:
        """Save what is about to be sent; where that fails, stop the run and return what happened: nothing is sent."""
        before = self.state
        try:
            error = self._error(before.with_record(name, intent))
        except BaseException as fault:
            raise self.fault(fault, name, intent.operation.id, None) from fault
        if error is None:
            return None
        stop = Stop.of(error)
        if not isinstance(error, StateMoved):
            # It may be there nevertheless, and whoever finds it must know that nothing was sent.
            place = self.ports.journal.rescue(before, name, intent.operation.id, None)
            stop = replace(stop, hint=f"{stop.hint} That nothing was sent for {name} is kept in {place}.")
        self.stop(stop)
        return _UNSAVED

    def save_outcome(self, name: str, record: Record | None) -> str | None:
        """Save ``record``; where that fails, rescue it, stop the run and return what happened."""
        before = self.state
        operation = (record or before.accounts[name]).operation
        try:
            error = self._error(before.with_record(name, record))
        except BaseException as fault:
            raise self.fault(fault, name, operation.id, record) from fault
        if error is None:
            return None
        stop = Stop.of(error)
        place = self.ports.journal.rescue(before, name, operation.id, record)
        self.stop(replace(stop, hint=f"{stop.hint} The outcome of {name} is kept in {place}."))
        return f"{_UNSAVED}, and the outcome is kept in {place}"

    def fault(self, error: BaseException, name: str, operation: str, kept: Record | None) -> BaseException:
        """Keep ``kept``, which may be the only copy, and return what is to be raised for an error that nobody expected.

        The state is as it was saved last.
        """
        place = self.ports.journal.rescue(self.state, name, operation, kept)
        if not isinstance(error, Exception):
            return error
        told = internal(error)
        told.hint = f"{told.hint} The outcome of {name} is kept in {place}."
        return told

    def _error(self, after: State) -> StateError | None:
        """Save ``after``, and return why that failed."""
        try:
            self.ports.journal.save(after)
        except StateError as error:
            return error
        self.state = after
        return None
