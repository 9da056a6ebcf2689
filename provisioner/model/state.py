"""What is known to exist: the records of a parent's state, and the arithmetic of its slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import ClassVar, Final

from provisioner.errors import SettingInvalid
from provisioner.model.account import Attributes

_PUBLISHED: Final = frozenset(
    {
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
        "age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm",
        "age1xmwwc06ly3ee5rytxm9mflaz2u56jjj36s0mypdrwsvlul66mv4q47ryef",
    }
)
"""Recipients of age's examples and test vectors, which publish their identities: anybody opens what they can."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One attempt to create or change an account."""

    id: str
    started_at: str
    """UTC, ISO 8601 with a Z."""
    by: str
    """``user@host``."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The intent is durable; whether the request was sent is not known from here."""

    status: ClassVar[str] = "pending"
    attributes: Attributes
    operation: Operation
    sealed: str | None = None
    """The password that the request carries, so that it outlives a lost answer."""

    @property
    def reason(self) -> str:
        """Why its outcome is not known to whoever only looks on."""
        return "its run has not saved the outcome: it is still running, or it died"


@dataclass(frozen=True, slots=True)
class Drift:
    """In what Octopush holds something else than was sent; fields by their dotted paths."""

    altered: tuple[str, ...] = ()
    """Octopush itself made something else of them: sending them again would change nothing."""
    changed: tuple[str, ...] = ()
    """Somebody changed them since; an apply of the manifest changes them back."""
    gone: bool = False
    """Octopush no longer knows the login."""


NO_DRIFT: Final = Drift()


@dataclass(frozen=True, slots=True)
class Edit:
    """A change whose request may have been carried out, or not; an edit is idempotent, so a later run finishes it."""

    attributes: Attributes
    operation: Operation
    password_version: int
    sealed: str | None = None
    """The new password, where it sets one; the old one stays with the record until the answer is certain."""


@dataclass(frozen=True, slots=True)
class Active:
    """The account exists and its credentials are kept."""

    status: ClassVar[str] = "active"
    attributes: Attributes
    operation: Operation
    """The one that brought what is sealed."""
    created_at: str
    sealed: str
    password_version: int = 1
    drift: Drift = NO_DRIFT
    """As of the last time that the account was read."""
    edit: Edit | None = None
    """What is not known to be finished."""
    first_operation: str | None = None
    """The id of the one that created it, where ``operation`` is a later one: so is an old outcome known again."""

    @property
    def operations(self) -> frozenset[str]:
        """The ids of the operations by which this account is known."""
        return frozenset(filter(None, (self.operation.id, self.first_operation)))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can know whether the account exists; it keeps its slot."""

    status: ClassVar[str] = "unknown"
    attributes: Attributes
    operation: Operation
    reason: str
    sealed: str | None = None
    """The password that was sent and, where there was one, the answer as it came."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A person gave an unknown up; it keeps its slot for ever."""

    status: ClassVar[str] = "abandoned"
    attributes: Attributes
    operation: Operation
    reason: str
    sealed: str | None = None


Record = Pending | Active | Unknown | Abandoned


@dataclass(frozen=True, slots=True)
class Slots:
    """A parent's places."""

    limit: int
    reserved: int
    used: int
    """Every record of the state holds one, whatever its status."""
    unknown: int
    planned: int

    @property
    def left(self) -> int:
        """Slots still free once the plan is carried out; negative when it does not fit."""
        return self.limit - self.reserved - self.used - self.planned


@dataclass(frozen=True, slots=True)
class State:
    """All that is known about one parent's sub-accounts."""

    lineage: str
    """A UUID given once, so that two states are never taken for one another."""
    parent: str
    serial: int = 0
    """Goes up by one with every save."""
    endpoint: str | None = None
    parent_check: str | None = None
    recipients: tuple[str, ...] = ()
    accounts: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))
    placements: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By name, the parent on which accounts of ``parent: auto`` were placed; only of the document that keeps these."""

    def with_record(self, name: str, record: Record | None, *, previous: str | None = None) -> State:
        """Return the next state, in which ``name`` has ``record``, or none; and ``previous``, if given, none."""
        accounts = dict(self.accounts)
        if previous is not None:
            accounts.pop(previous, None)
        if record is None:
            accounts.pop(name, None)
        else:
            accounts[name] = record
        return replace(self, serial=self.serial + 1, accounts=accounts)

    def slots(self, *, limit: int, reserved: int, planned: int) -> Slots:
        """Return the parent's slots when ``planned`` accounts more are wanted."""
        unknown = sum(isinstance(record, Pending | Unknown) for record in self.accounts.values())
        return Slots(limit=limit, reserved=reserved, used=len(self.accounts), unknown=unknown, planned=planned)


def without_comment(recipient: str) -> str:
    """Return a recipient's key: an SSH one may be followed by a comment, which changes nothing."""
    return " ".join(recipient.split()[:2])


def require_recipients(these: Sequence[str]) -> None:
    """Refuse to seal to nobody, or to one whose private key everybody can have; raises SettingInvalid."""
    if not these:
        raise SettingInvalid(
            "There is no recipient to seal the credentials to.",
            hint="Run `provisioner keygen` and set `recipients` in provisioner.yaml or PROVISIONER_RECIPIENTS.",
        )
    for each in these:
        if each.strip().lower() in _PUBLISHED:
            raise SettingInvalid(
                f"The recipient {each.strip()} is an example of age, and its private key is public: anybody could open"
                " what is sealed to it.",
                hint="Take it out, and use the recipient that `provisioner keygen` prints. If anything was sealed to it"
                " before, rotate the passwords, and have Octopush change the keys.",
            )
