"""What is to be done: one change for each account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from provisioner.errors import OverLimit
from provisioner.model.account import Attributes, DesiredAccount
from provisioner.model.state import NO_DRIFT, Drift, Edit, Slots
from provisioner.model.terms import Terms

UNFINISHED: Final = "an edit of it is not finished: the next apply finishes it, where a manifest names it"
LOGIN_GONE: Final = "Octopush no longer knows its login"
_NAMED: Final = 20
_PASSWORD: Final = frozenset({"password", "password_version"})
"""The fields by which a new password is asked for."""
"""Names that fit into one message; the plan marks all of them."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an update; None is an absent value."""

    path: str
    """Dotted, as in ``callbacks.email_for_inbounds``; or ``name``, ``password`` or ``password_version``."""
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)
    drifted: bool = False
    """Somebody changed it at Octopush; what stands there is known, and in ``before``, only after a refresh."""


@dataclass(frozen=True, slots=True)
class Create:
    """The account is missing."""

    action: ClassVar[str] = "create"
    account: DesiredAccount
    resembles: str | None = None
    """An account that no manifest names, with the same names: this may be that one under a new key."""

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name


@dataclass(frozen=True, slots=True)
class Update:
    """The account exists and is to be changed."""

    action: ClassVar[str] = "update"
    account: DesiredAccount
    fields: tuple[FieldChange, ...]
    """Empty where an edit that an earlier run began is to be finished and nothing else is known to differ."""
    previous: str | None = None
    """The name of its record, where that is another one: nothing is sent for that."""
    begun: Edit | None = None
    """What an earlier run began to change, where the outcome of that is not known."""

    @property
    def unfinished(self) -> bool:
        """Whether an earlier run began an edit of it, and its outcome is not known."""
        return self.begun is not None

    @property
    def sends(self) -> bool:
        """Whether a request is needed: a new name is our own affair."""
        return self.unfinished or any(each.path != "name" for each in self.fields)

    @property
    def renews_password(self) -> bool:
        """Whether a new password is set: one is asked for, or an earlier run may have set one."""
        if self.begun is not None and self.begun.sealed is not None:
            return True
        return any(each.path in _PASSWORD for each in self.fields)

    @property
    def only_password(self) -> bool:
        """Whether a new password is all that is asked for; of an edit to be finished, that it asked for no more."""
        settled = self.begun is None or self.begun.attributes == self.account.attributes
        return settled and self.renews_password and all(each.path in _PASSWORD for each in self.fields)

    @property
    def record_name(self) -> str:
        """The name that its record has now."""
        return self.previous or self.account.name

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The account exists as it should, or as near to it as Octopush makes it."""

    action: ClassVar[str] = "unchanged"
    name: str
    attributes: Attributes
    drift: Drift = NO_DRIFT
    unchecked: str | None = None
    """Of a plan that was to look at Octopush: why this account could not be looked at."""

    @property
    def is_sure(self) -> bool:
        """Whether nothing is to be said of it."""
        return self.drift == NO_DRIFT and self.unchecked is None


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """The account exists and no manifest names it; it is never touched."""

    action: ClassVar[str] = "unmanaged"
    name: str
    attributes: Attributes
    drift: Drift = NO_DRIFT
    unfinished: bool = False
    """An earlier run began an edit of it, and its outcome is not known."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The account was there, and Octopush no longer knows it, named by a manifest or not; a person must decide."""

    action: ClassVar[str] = "gone"
    name: str
    attributes: Attributes

    @property
    def reason(self) -> str:
        """What it means."""
        return LOGIN_GONE


@dataclass(frozen=True, slots=True)
class StillUnknown:
    """Nobody knows whether the account exists; a person must resolve it."""

    action: ClassVar[str] = "unknown"
    name: str
    attributes: Attributes
    reason: str


@dataclass(frozen=True, slots=True)
class StillAbandoned:
    """The account was abandoned: it keeps its slot and is not created again."""

    action: ClassVar[str] = "abandoned"
    name: str
    attributes: Attributes
    reason: str


Change = Create | Update | Unchanged | Unmanaged | Gone | StillUnknown | StillAbandoned
ACTIONS: Final = tuple(
    kind.action for kind in (Create, Update, Unchanged, Unmanaged, Gone, StillUnknown, StillAbandoned)
)
"""The action of every kind of change."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The accounts to which a plan was restricted, and what it leaves out for that."""

    names: tuple[str, ...]
    """Sorted."""
    creates: int
    """How many other accounts are missing."""
    updates: int
    """How many other accounts are to be changed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply would do for one parent, sorted by name."""

    parent: str
    lineage: str | None
    """None while there is no state."""
    serial: int
    slots: Slots
    changes: tuple[Change, ...]
    over: tuple[str, ...] = ()
    """Names of the creates for which there is no slot."""
    terms: Terms | None = None
    """On what terms; None where nobody has said."""
    selection: Selection | None = None
    """The accounts that alone are planned; None: all of them."""

    @property
    def creates(self) -> tuple[Create, ...]:
        """The accounts to create, in the order in which they will be."""
        return tuple(each for each in self.changes if isinstance(each, Create))

    @property
    def pending(self) -> bool:
        """Whether there is anything to create or to change."""
        return bool(self.creates or self.updates)

    @property
    def gone(self) -> bool:
        """Whether Octopush no longer knows an account; a person must decide, whatever else is to be done."""
        return any(isinstance(each, Gone) for each in self.changes)

    @property
    def drifted(self) -> bool:
        """Whether any account is known not to be at Octopush what was sent."""
        return self.gone or any(
            isinstance(each, Unchanged | Unmanaged) and each.drift != NO_DRIFT for each in self.changes
        )

    @property
    def updates(self) -> tuple[Update, ...]:
        """The accounts to change."""
        return tuple(each for each in self.changes if isinstance(each, Update))


def counts(plans: Iterable[Plan]) -> dict[str, int]:
    """Return how many changes of each action ``plans`` hold together; every one of ``ACTIONS`` is there, in order."""
    found = Counter(change.action for plan in plans for change in plan.changes)
    return {action: found[action] for action in ACTIONS}


def raise_if_over(plan: Plan) -> None:
    """Refuse a plan that does not fit into the parent's slots; raises OverLimit."""
    if plan.over:
        slots = plan.slots
        free = max(0, slots.limit - slots.reserved - slots.used)
        named = ", ".join(plan.over[:_NAMED]) + (f" and {len(plan.over) - _NAMED} more" if plan.over[_NAMED:] else "")
        fewer = " Lower `reserved` if fewer sub-accounts than that exist outside this state." if slots.reserved else ""
        if any(each.account.placed is not None and each.name in plan.over for each in plan.creates):
            fewer += " An account that was placed there stays there, unless its manifest names another `parent`."
        raise OverLimit(
            f"Parent {plan.parent}: {slots.planned} to create, and {free} of {slots.limit} slots free;"
            f" these do not fit: {named}.",
            hint=f"Take accounts out of the manifest, or set `limit` if Octopush has raised yours.{fewer}"
            " Nothing was sent.",
        )
