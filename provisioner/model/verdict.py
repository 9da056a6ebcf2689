"""The request that creates an account, and the verdict: what the answer to it proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from provisioner.errors import ExitCode
from provisioner.immutable import immutable
from provisioner.model.account import MASK, Attributes, Credentials, Secret


@immutable
class Answer:
    """The raw body of an answer, for a person to read; it may contain a credential."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, body={MASK})"


@immutable
class SealedContent:
    """The encrypted part of a record; lineage, parent and name say where it belongs."""

    lineage: str
    parent: str
    name: str
    operation: str
    """The id of the operation that it comes from."""
    password: Secret | None = None
    credentials: Credentials | None = None
    answer: Answer | None = None
    sent: Attributes | None = None
    """The attributes as they were sent, placeholders filled in; for an adopted account, as they were found."""
    altered: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """By dotted path, the fields that Octopush itself altered, with its values; all others were kept as sent."""
    others: tuple[Secret, ...] = ()
    """For an unfinished edit: the passwords of earlier ones; Octopush may have one of these instead."""


@immutable
class CreateRequest:
    """The fields to create one account with, placeholders expanded."""

    attributes: Attributes
    password: Secret
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """The values of placeholders: no message may contain them."""


class Then(Enum):
    """What to do after a create that was provably not processed."""

    RETRY = "retry"
    GO_ON = "go on"
    STOP = "stop"


@immutable
class Created:
    """The account exists and these are its credentials."""

    credentials: Credentials
    warning: str | None = None


@immutable
class NotCreated:
    """The request was provably not processed."""

    reason: str
    then: Then
    retry_after: float | None = None
    """The wait that the server asked for, in seconds."""
    exit_code: ExitCode = ExitCode.SOME_FAILED
    hint: str = ""


@immutable
class OutcomeUnknown:
    """Nobody can know whether the account was created."""

    reason: str
    answer: Answer | None = None
    api_message: str = ""
    """The API's own words, secrets masked: for display, and never in clear in the state."""


Verdict = Created | NotCreated | OutcomeUnknown
