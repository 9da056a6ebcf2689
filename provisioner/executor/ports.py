"""The interfaces through which an operation touches the outside world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from provisioner.errors import ExitCode
from provisioner.immutable import immutable
from provisioner.model.account import Credentials
from provisioner.model.exchange import Balance, EditRequest, EditVerdict, Failed, Reading
from provisioner.model.report import Outcome
from provisioner.model.state import Operation, Record, State
from provisioner.model.verdict import CreateRequest, SealedContent, Verdict


class Api(Protocol):
    """The parent's account at Octopush; it retries by itself, but only if that is safe."""

    def create(self, request: CreateRequest) -> Verdict:
        """Create one sub-account."""

    def edit(self, api_login: str, request: EditRequest) -> EditVerdict:
        """Set all fields of one sub-account to those of ``request``."""

    def read(self, api_login: str) -> Reading:
        """Return one sub-account as Octopush has it."""

    def balance(self, account: Credentials) -> Balance | Failed:
        """Return the balance of a sub-account, asked for with its own credentials."""


class Journal(Protocol):
    """The store of the state, locked by this run."""

    def save(self, state: State) -> None:
        """Make ``state`` durable, or raise StateError."""

    def rescue(self, state: State, name: str, operation: str, record: Record | None) -> str:
        """Keep the record of an operation that ``save`` could not save, and return where it is."""


class Sealer(Protocol):
    """Encrypts to the recipients."""

    def seal(self, content: SealedContent) -> str:
        """Return ``content`` sealed."""


class Opener(Protocol):
    """Decrypts with an identity."""

    def open(self, sealed: str, *, lineage: str, parent: str, name: str, operation: str) -> SealedContent:
        """Return the content of ``sealed``.

        Raises IdentityRejected if the identity does not open it, StateInvalid if it is
        damaged, and StateConflict if it was sealed for another record or operation.
        """


class Progress(Protocol):
    """Receives the progress of a run."""

    def started(self, name: str, operation: str | None = None) -> None:
        """Report that work on ``name`` starts; ``operation`` is its id if a request changes the account."""

    def finished(self, outcome: Outcome) -> None:
        """Report a final ``outcome``; that of a create is already durable."""

    def read_back(self, found: Outcome) -> None:
        """Report the result of reading back an account whose creation was reported before."""


@immutable
class Ports:
    """The outside world of a run."""

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
    """Returns the exit code of the signal that asked the run to end, or None."""

    def operation(self) -> Operation:
        """Return a new operation that starts now."""
        return Operation(self.new_id(), self.now(), self.by)
