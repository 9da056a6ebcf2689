"""Requests and answers about an account that exists.

Reading, editing and asking for a balance are idempotent: after a failure, trying again
settles what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime

from provisioner.errors import ExitCode
from provisioner.immutable import immutable
from provisioner.model.account import Attributes, Secret
from provisioner.model.verdict import Then


@immutable
class EditRequest:
    """All fields that an account should have, placeholders filled in."""

    attributes: Attributes
    password: Secret | None = None
    """None: the password is not changed."""
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """The values of placeholders: no message may contain them."""


@immutable
class Observed:
    """An account as Octopush has it."""

    fields: Mapping[str, str | None] = field(repr=False)
    """By dotted path, as in ``callbacks.email_for_inbounds``; None is an absent value.

    A path that is not here was not in the answer.
    """
    api_key: Secret | None = None


@immutable
class Edited:
    """The edit was accepted; only a read shows whether it was carried out exactly."""


@immutable
class Missing:
    """Octopush does not know the login."""

    reason: str
    possible: bool = False
    """For an edit: an earlier attempt may have been carried out."""


@immutable
class Failed:
    """No usable answer, or a refusal."""

    reason: str
    then: Then
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    exit_code: ExitCode = ExitCode.SOME_FAILED
    hint: str = ""
    possible: bool = False
    """For an edit: it may have been carried out."""
    unanswered: bool = False
    """Nobody answered: the connection or the server is out of order."""

    @property
    def spreads(self) -> bool:
        """Whether the next account would fail in the same way, once all retries are used up.

        A server error may concern this account alone: the server answers, so asking for the others is cheap.
        """
        return self.then is Then.RETRY and (self.unanswered or not self.possible)

    @property
    def stops(self) -> bool:
        """Whether further requests for the same parent are pointless."""
        return self.then is Then.STOP or self.spreads


@immutable
class Pack:
    """A part of a balance that expires."""

    credit: float
    """In the unit of the balance."""
    expires: datetime
    """With its time zone."""


@immutable
class Balance:
    """The credit that a sub-account has left."""

    amount: float
    unit: str
    """The API's name for it, as in ``euros``."""
    packs: tuple[Pack, ...] = ()
    """What it is made of, as far as the answer says so; the first to expire comes first."""


Reading = Observed | Missing | Failed
EditVerdict = Edited | Missing | Failed


def differing(expected: Mapping[str, str | None], observed: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the paths in ``observed`` whose value is not the ``expected`` one.

    A path that ``expected`` lacks should have no value; an empty string counts as no value.
    """
    return tuple(path for path, value in observed.items() if (value or None) != (expected.get(path) or None))


def unreported(expected: Iterable[str], observed: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the ``expected`` paths that the answer did not contain, so that nothing is known about them."""
    return tuple(path for path in expected if path not in observed)
