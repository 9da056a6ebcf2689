"""One parent's run: whether it goes on, where its state is kept, and what became of each account.

Owns the stop, the saving and the rescue, once for whatever a run does. Refuses to
know what that is: each step has a module of its own.
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


class Ended(NamedTuple):
    """What the request of one operation came to."""

    name: str
    operation: str
    record: Record | None
    """None: nothing was created."""


class Intent(NamedTuple):
    """What is about to be sent."""

    name: str
    record: Pending


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
        """Take what has become of an account."""
        self._outcomes.append(outcome)
        self.ports.progress.finished(outcome)

    def amend(self, outcome: Outcome) -> None:
        """Replace the outcome of the same account, which was reported before, by ``outcome``."""
        self._outcomes = [outcome if each.name == outcome.name else each for each in self._outcomes]

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

    def silenced(self, but: Collection[ExitCode]) -> str | None:
        """Return why Octopush is not to be asked anything more; None if it may be, as after a stop with ``but``."""
        stop = self._stop
        return None if stop is None or stop.exit_code in but else stop.reason

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

    def save_create(self, ended: Ended | None, intent: Intent | None) -> str | None:
        """Save the outcome of the last create together with what is about to be sent.

        If that fails, rescue the outcome, stop the run and return what happened: nothing is sent.
        """
        records = {each.name: each.record for each in (ended, intent) if each is not None}
        if not records:
            return None
        unsent = None if intent is None else Ended(intent.name, intent.record.operation.id, None)
        try:
            error = self._error(self.state.with_records(records))
        except BaseException as fault:
            raise self.fault(fault, ended, unsent) from fault
        if error is None:
            return None
        # The intent may be there nevertheless, and whoever finds it must know that nothing was sent.
        # Only if somebody else has saved, it certainly is not.
        places, kept = self._rescued(ended, None if isinstance(error, StateMoved) else unsent)
        self.stop(replace(Stop.of(error), hint=f"{error.hint}{kept}"))
        return _UNSAVED if ended is None else f"{_UNSAVED}, and the outcome is kept in {places[0]}"

    def fault(self, error: BaseException, ended: Ended | None, unsent: Ended | None = None) -> BaseException:
        """Rescue what may not be saved, and return what to raise for an error that nobody expected."""
        _, kept = self._rescued(ended, unsent)
        if not isinstance(error, Exception):
            return error
        told = internal(error)
        told.hint += kept
        return told

    def _rescued(self, ended: Ended | None, unsent: Ended | None) -> tuple[list[str], str]:
        """Rescue what may not be saved, credentials first; return where each is kept, and the same in sentences."""
        places, said = [], ""
        for each, words in ((ended, "The outcome of"), (unsent, "That nothing was sent for")):
            if each is not None:
                places.append(self.ports.journal.rescue(self.state, *each))
                said += f" {words} {each.name} is kept in {places[-1]}."
        return places, said

    def _error(self, after: State) -> StateError | None:
        """Save ``after``, and return why that failed."""
        try:
            self.ports.journal.save(after)
        except StateError as error:
            return error
        self.state = after
        return None
