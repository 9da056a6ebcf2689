"""One parent's run: whether it goes on, how its state is saved, and the outcome of each account.

Handles stopping, saving and rescuing for every kind of run. Knows nothing about the steps of a
run: each has a module of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final, NamedTuple

from provisioner.errors import ExitCode, StateError, StateMoved, internal
from provisioner.executor.ports import Ports
from provisioner.model.exchange import Failed
from provisioner.model.report import Outcome, Report, Result, Scope, Stop
from provisioner.model.state import Pending, Record, State
from provisioner.model.verdict import NotCreated

INTERRUPTED: Final = "the run was interrupted"
_UNSAVED: Final = "the state could not be saved"


class Completed(NamedTuple):
    """An operation whose outcome is known or recorded as unknown."""

    name: str
    operation: str
    record: Record | None
    """None: nothing was created."""


class Intent(NamedTuple):
    """A request that is about to be sent."""

    name: str
    record: Pending


class Run:
    """The progress of one parent's run."""

    def __init__(self, state: State, ports: Ports, stop: Stop | None = None) -> None:
        self.state = state
        """As it was saved last."""
        self.ports = ports
        self.overtaken = False
        """Whether a save failed because somebody else had saved meanwhile."""
        self._stop = stop
        self._outcomes: list[Outcome] = []
        self._logins: dict[str, str] = {}

    # ── Order ────────────────────────────────────────────────────────────────

    def skipped(self, name: str, action: str) -> Outcome | None:
        """Return the outcome of an account that is not attempted because the run has stopped; None: it goes on."""
        stop = self._stopped()
        return None if stop is None else Outcome(name, action, Result.NOT_ATTEMPTED, stop.reason)

    def finish(self, outcome: Outcome) -> None:
        """Add the outcome of an account, and report it."""
        self._outcomes.append(outcome)
        self.ports.progress.finished(outcome)

    def replace_outcome(self, outcome: Outcome) -> None:
        """Replace the outcome of the same account by ``outcome``, without reporting it again."""
        self._outcomes = [outcome if each.name == outcome.name else each for each in self._outcomes]

    def report(self) -> Report:
        """Return the report of the run."""
        return Report(self.state.parent, tuple(self._outcomes), self._stop)

    def first_owner(self, login: str, name: str) -> str:
        """Return the first account of this run that got ``login``: ``name``, unless another got it before."""
        return self._logins.setdefault(login.casefold(), name)

    # ── Stop ─────────────────────────────────────────────────────────────────

    def stop(self, stop: Stop) -> None:
        """Stop the run: the remaining accounts are not attempted."""
        self._stop = stop

    def stop_by(self, verdict: NotCreated | Failed) -> None:
        """Stop because of a ``verdict``; if a signal cut the retries short, that ends the whole run."""
        code = self.ports.interrupted()
        if code is None:
            self.stop(Stop(verdict.exit_code, verdict.reason, verdict.hint))
        else:
            self.stop(Stop(code, verdict.reason, verdict.hint, Scope.RUN))

    def stop_reason(self, ignoring: Collection[ExitCode]) -> str | None:
        """Return why the run has stopped, or None if it has not, or with one of the exit codes ``ignoring``."""
        stop = self._stop
        return None if stop is None or stop.exit_code in ignoring else stop.reason

    def _stopped(self) -> Stop | None:
        """Check whether a signal asked the run to end, and return why it has stopped, or None."""
        if self._stop is None and (code := self.ports.interrupted()) is not None:
            self._stop = Stop(code, INTERRUPTED, "Run it again to go on.", Scope.RUN)
        return self._stop

    # ── Save and rescue ──────────────────────────────────────────────────────

    def save(self, after: State) -> str | None:
        """Save ``after``; if that fails, stop the run and return the reason."""
        error = self._try_save(after)
        if error is None:
            return None
        self.stop(Stop.of(error))
        return _UNSAVED

    def save_create(self, completed: Completed | None, intent: Intent | None) -> str | None:
        """Save the outcome of the last create together with the intent of the next.

        If that fails, rescue the outcome, stop the run and return the reason: nothing is sent.
        """
        records = {each.name: each.record for each in (completed, intent) if each is not None}
        if not records:
            return None
        unsent = None if intent is None else Completed(intent.name, intent.record.operation.id, None)
        try:
            error = self._try_save(self.state.with_records(records))
        except BaseException as fault:
            raise self.fault(fault, completed, unsent) from fault
        if error is None:
            return None
        # The intent may be saved nevertheless; then the rescue file must say that nothing was sent.
        # It certainly is not saved if somebody else has saved.
        places, hint = self._rescue(completed, None if isinstance(error, StateMoved) else unsent)
        self.stop(replace(Stop.of(error), hint=f"{error.hint}{hint}"))
        return _UNSAVED if completed is None else f"{_UNSAVED}, and the outcome is kept in {places[0]}"

    def fault(
        self, error: BaseException, completed: Completed | None, unsent: Completed | None = None
    ) -> BaseException:
        """Rescue what may not be saved, and return the exception to raise for the unexpected ``error``."""
        _, hint = self._rescue(completed, unsent)
        if not isinstance(error, Exception):
            return error
        failure = internal(error)
        failure.hint += hint
        return failure

    def _rescue(self, completed: Completed | None, unsent: Completed | None) -> tuple[list[str], str]:
        """Rescue what may not be saved, credentials first; return where each is, and the same as sentences."""
        places, hint = [], ""
        for each, words in ((completed, "The outcome of"), (unsent, "The note that nothing was sent for")):
            if each is not None:
                places.append(self.ports.journal.rescue(self.state, *each))
                hint += f" {words} {each.name} is kept in {places[-1]}."
        return places, hint

    def _try_save(self, after: State) -> StateError | None:
        """Save ``after``, and return the error if that fails."""
        try:
            self.ports.journal.save(after)
        except StateError as error:
            self.overtaken |= isinstance(error, StateMoved)
            return error
        self.state = after
        return None
