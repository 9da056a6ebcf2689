"""What is known to exist: the records in a parent's state, and the arithmetic of its slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from types import MappingProxyType
from typing import ClassVar, Final

from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable
from provisioner.model.account import Attributes

_PUBLISHED: Final = frozenset(
    {
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
        "age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm",
        "age1xmwwc06ly3ee5rytxm9mflaz2u56jjj36s0mypdrwsvlul66mv4q47ryef",
    }
)
"""Recipients in age's examples and test vectors, whose identities are public: they protect nothing."""


@immutable
class Operation:
    """One attempt to create or change an account."""

    id: str
    started_at: str
    """UTC, ISO 8601 with a Z."""
    by: str
    """``user@host``."""


@immutable
class Pending:
    """The intent is durable; the record alone does not show whether the request was sent."""

    status: ClassVar[str] = "pending"
    attributes: Attributes
    operation: Operation
    sealed: str | None = None
    """The password in the request, kept in case the answer is lost."""

    @property
    def reason(self) -> str:
        """Why an onlooker does not know its outcome."""
        return "its run has not saved an outcome: it is still running, or it died"


@immutable
class Drift:
    """Where the account at Octopush differs from what was sent; fields are dotted paths."""

    altered: tuple[str, ...] = ()
    """Octopush itself altered them: sending them again would change nothing."""
    changed: tuple[str, ...] = ()
    """Somebody changed them later; an apply of the manifest changes them back."""
    gone: bool = False
    """Octopush no longer knows the login."""
    emptied: tuple[str, ...] = ()
    """Those of the changed fields that are empty there. Any other value found there is in no clear text."""


NO_DRIFT: Final = Drift()


@immutable
class Edit:
    """An unfinished change, which may have been carried out; edits are idempotent, so a later run finishes it."""

    attributes: Attributes
    operation: Operation
    password_version: int
    sealed: str | None = None
    """The new password, if it sets one; the record keeps the old one until the answer is certain."""


@immutable
class Active:
    """The account exists and its credentials are sealed here."""

    status: ClassVar[str] = "active"
    attributes: Attributes
    operation: Operation
    """The one that the sealed content comes from."""
    created_at: str
    sealed: str
    password_version: int = 1
    drift: Drift = NO_DRIFT
    """As of the last refresh."""
    edit: Edit | None = None
    """An unfinished edit."""
    first_operation: str | None = None
    """The id of the operation that created it, if ``operation`` is a later one; identifies an outcome in an old log."""

    @property
    def operations(self) -> frozenset[str]:
        """The ids of the operations that belong to this account."""
        return frozenset(filter(None, (self.operation.id, self.first_operation)))


@immutable
class Unknown:
    """Nobody can know whether the account exists; it keeps its slot."""

    status: ClassVar[str] = "unknown"
    attributes: Attributes
    operation: Operation
    reason: str
    sealed: str | None = None
    """The password that was sent and the raw answer, if there was one."""


@immutable
class Abandoned:
    """A person gave up on an unknown; it keeps its slot for ever."""

    status: ClassVar[str] = "abandoned"
    attributes: Attributes
    operation: Operation
    reason: str
    sealed: str | None = None


Record = Pending | Active | Unknown | Abandoned


@immutable
class Slots:
    """A parent's slots."""

    limit: int
    reserved: int
    used: int
    """Every record in the state uses one, whatever its status."""
    unknown: int
    planned: int

    @property
    def left(self) -> int:
        """Slots still free once the plan is carried out; negative if it does not fit."""
        return self.limit - self.reserved - self.used - self.planned


@immutable
class State:
    """Everything that is known about one parent's sub-accounts."""

    lineage: str
    """A UUID, given once, that identifies this state."""
    parent: str
    serial: int = 0
    """Increases by one with every save."""
    endpoint: str | None = None
    parent_check: str | None = None
    recipients: tuple[str, ...] = ()
    accounts: Mapping[str, Record] = field(default_factory=lambda: MappingProxyType({}))
    placements: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By name, the parent that ``parent: auto`` placed an account on; only in the placement document."""

    def with_record(self, name: str, record: Record | None, *, previous: str | None = None) -> State:
        """Return the next state, with ``record`` under ``name`` (None removes it), and ``previous`` removed."""
        return self.with_records({name: record} if previous is None else {previous: None, name: record})

    def with_records(self, records: Mapping[str, Record | None]) -> State:
        """Return the next state, with each of ``records`` under its name (None removes it)."""
        accounts = {name: each for name, each in self.accounts.items() if name not in records}
        accounts |= {name: each for name, each in records.items() if each is not None}
        return replace(self, serial=self.serial + 1, accounts=accounts)

    def slots(self, *, limit: int, reserved: int, planned: int) -> Slots:
        """Return the parent's slots if ``planned`` more accounts are created."""
        unknown = sum(isinstance(record, Pending | Unknown) for record in self.accounts.values())
        return Slots(limit=limit, reserved=reserved, used=len(self.accounts), unknown=unknown, planned=planned)


def without_comment(recipient: str) -> str:
    """Return a recipient's key without the comment that may follow an SSH key."""
    return " ".join(recipient.split()[:2])


MAX_RECIPIENTS: Final = 64
"""With more of them, opening a sealed value would take age seconds."""


def require_recipients(these: Sequence[str]) -> None:
    """Raise SettingInvalid if there is no recipient, or too many, or one whose private key is public."""
    if not these:
        raise SettingInvalid(
            "No recipient is set, so the credentials cannot be sealed.",
            hint="Run `provisioner keygen` and set `recipients` in provisioner.yaml or PROVISIONER_RECIPIENTS.",
        )
    if len(these) > MAX_RECIPIENTS:
        raise SettingInvalid(
            f"There are {len(these)} recipients, and at most {MAX_RECIPIENTS} are possible.",
            hint="Seal to a shared identity instead, whose file each of them can read.",
        )
    for each in these:
        if each.strip().lower() in _PUBLISHED:
            raise SettingInvalid(
                f"The recipient {each.strip()} is an example from age's documentation, and its private key is public:"
                " anybody could open what is sealed to it.",
                hint="Remove it, and use the recipient that `provisioner keygen` prints. If anything was sealed to it,"
                " rotate the passwords, and ask Octopush to change the keys.",
            )
