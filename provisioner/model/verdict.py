"""What passes between this program and the API, and what an answer to a create proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from provisioner.errors import ExitCode
from provisioner.model.account import MASK, Attributes, Credentials, Secret


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of an answer as it came, for a person to read; it may hold a credential."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, body={MASK})"


@dataclass(frozen=True, slots=True)
class SealedContent:
    """What is encrypted into a record; lineage, parent and name tell where it belongs."""

    lineage: str
    parent: str
    name: str
    operation: str
    """The id of the operation that brought it."""
    password: Secret | None = None
    credentials: Credentials | None = None
    answer: Answer | None = None
    sent: Attributes | None = None
    """The attributes as they were sent, placeholders filled in; of an adopted account, as they were found."""
    altered: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """By dotted path, what Octopush itself made of those; a field that is not here was kept as it was sent."""
    others: tuple[Secret, ...] = ()
    """Of an edit that was begun: passwords of earlier ones, of which Octopush may have one instead."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What is sent to the API to create one account, placeholders expanded."""

    attributes: Attributes
    password: Secret
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """What placeholders brought in: no message may repeat it."""


class Then(Enum):
    """What follows a create that is proven not to have been processed."""

    RETRY = "retry"
    GO_ON = "go on"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Created:
    """The account exists and these are its credentials."""

    credentials: Credentials
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class NotCreated:
    """It is proven that the request was not processed."""

    reason: str
    then: Then
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    exit_code: ExitCode = ExitCode.SOME_FAILED
    hint: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """Whether the account was created cannot be known."""

    reason: str
    answer: Answer | None = None
    said: str = ""
    """The API's own words, secrets masked: for whoever looks on, and never in clear in the state."""


Verdict = Created | NotCreated | OutcomeUnknown
