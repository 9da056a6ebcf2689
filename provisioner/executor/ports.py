"""The interfaces of everything outside that an operation touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from provisioner.errors import ExitCode
from provisioner.model.account import Credentials
from provisioner.model.exchange import Balance, EditRequest, EditVerdict, Failed, Reading
from provisioner.model.report import Outcome
from provisioner.model.state import Operation, Record, State
from provisioner.model.verdict import CreateRequest, SealedContent, Verdict


class Api(Protocol):
    """The parent's account at Octopush; retries are included, and only where they are safe."""

    def create(self, request: CreateRequest) -> Verdict:
        """Create one sub-account."""

    def edit(self, api_login: str, request: EditRequest) -> EditVerdict:
        """Make one sub-account what ``request`` says."""

    def read(self, api_login: str) -> Reading:
        """Return one sub-account as it is."""

    def balance(self, account: Credentials) -> Balance | Failed:
        """Return what a sub-account has left; it asks with its own credentials."""


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


class Opener(Protocol):
    """Decrypts with an identity."""

    def open(self, sealed: str, *, lineage: str, parent: str, name: str, operation: str) -> SealedContent:
        """Return what ``sealed`` holds.

        Raises IdentityRejected where the identity does not open it, StateInvalid where
        it is damaged, and StateConflict where it was sealed for another record or
        operation.
        """


class Progress(Protocol):
    """Whoever watches the run."""

    def started(self, name: str, operation: str | None = None) -> None:
        """Hear that something is about to be done about ``name``, and by which operation where a request changes it."""

    def finished(self, outcome: Outcome) -> None:
        """Hear of an ``outcome`` that is final; what a create came to is durable by then."""

    def read_back(self, found: Outcome) -> None:
        """Hear what reading an account back has shown, after its creation was reported."""


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

    def operation(self) -> Operation:
        """Return a new operation, which starts now."""
        return Operation(self.new_id(), self.now(), self.by)
