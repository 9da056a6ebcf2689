"""What passes between this program and the API about an account that exists.

Reading, editing and asking for a balance are idempotent, so that a failure of one
leaves no doubt that trying again would not end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from provisioner.errors import ExitCode
from provisioner.model.account import Attributes, Secret
from provisioner.model.verdict import Then


@dataclass(frozen=True, slots=True)
class EditRequest:
    """What an account is to be, whole, placeholders filled in."""

    attributes: Attributes
    password: Secret | None = None
    """None: it stays as it is."""
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """What placeholders brought in: no message may repeat it."""


@dataclass(frozen=True, slots=True)
class Observed:
    """An account as Octopush holds it."""

    fields: Mapping[str, str | None] = field(repr=False)
    """By dotted path, as in ``callbacks.email_for_inbounds``; None is an absent value.

    A path that is not here is one that the answer did not tell.
    """
    api_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """The edit was accepted; whether it was carried out to the letter is seen by reading."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Octopush does not know the login."""

    reason: str
    possible: bool = False
    """Of an edit: an attempt before may have been carried out all the same."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer that tells anything, or a refusal."""

    reason: str
    then: Then
    retry_after: float | None = None
    """Seconds that the server asked to wait."""
    exit_code: ExitCode = ExitCode.SOME_FAILED
    hint: str = ""
    possible: bool = False
    """Of an edit: it may have been carried out all the same."""
    unanswered: bool = False
    """Nobody answered: the connection, or whoever is at its other end, is out of order."""

    @property
    def spreads(self) -> bool:
        """Whether, tried as often as it may be, it would meet the next account too.

        An error of the server's own may be this account's alone: it answers, and so costs little to ask of others.
        """
        return self.then is Then.RETRY and (self.unanswered or not self.possible)

    @property
    def stops(self) -> bool:
        """Whether asking the same parent's account for more would come to nothing."""
        return self.then is Then.STOP or self.spreads


@dataclass(frozen=True, slots=True)
class Balance:
    """What a sub-account has left."""

    amount: float
    unit: str
    """As the API names it: ``euros``."""


Reading = Observed | Missing | Failed
EditVerdict = Edited | Missing | Failed


def differing(expected: Mapping[str, str | None], observed: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the paths at which what was ``observed`` is not what was ``expected``, where it tells.

    A path that ``expected`` lacks is expected to have no value; an empty text is none.
    """
    return tuple(path for path, value in observed.items() if (value or None) != (expected.get(path) or None))


def unreported(expected: Iterable[str], observed: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return which of the ``expected`` paths an answer did not tell, so that nothing is known of them."""
    return tuple(path for path in expected if path not in observed)
