"""A plan: one change for each account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from typing import ClassVar, Final

from provisioner.errors import OverLimit
from provisioner.immutable import immutable
from provisioner.model.account import Attributes, DesiredAccount
from provisioner.model.state import NO_DRIFT, Drift, Edit, Slots
from provisioner.model.terms import Terms

UNFINISHED: Final = "an earlier edit is unfinished; the next apply finishes it if a manifest names the account"
LOGIN_GONE: Final = "Octopush no longer knows its login"
_NAMED: Final = 20
"""How many names one message lists; the plan marks all of them."""
_PASSWORD: Final = frozenset({"password", "password_version"})
"""The fields that ask for a new password."""


@immutable
class FieldChange:
    """One field of an update; None means no value."""

    path: str
    """Dotted, as in ``callbacks.email_for_inbounds``; or ``name``, ``password`` or ``password_version``."""
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)
    drifted: bool = False
    """Somebody changed it at Octopush; ``before`` is what stands there."""
    unseen: bool = False
    """What stands there is not known from the state, and None in ``before``: a plan with a refresh shows it."""


@immutable
class Elsewhere:
    """An account of another parent."""

    parent: str
    name: str


@immutable
class Create:
    """The account does not exist yet."""

    action: ClassVar[str] = "create"
    account: DesiredAccount
    resembles: str | None = None
    """An unmanaged account for the same person: this may be that account under a new name."""
    moved_from: Elsewhere | None = None
    """An unmanaged account of another parent for the same person; Octopush cannot move it, so this is a second one."""

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name


@immutable
class Update:
    """The account exists and will be changed."""

    action: ClassVar[str] = "update"
    account: DesiredAccount
    fields: tuple[FieldChange, ...]
    """Empty if this only finishes an edit that an earlier run started."""
    previous: str | None = None
    """The name of its record, if that differs; a rename alone sends nothing."""
    edit: Edit | None = None
    """The unfinished edit of an earlier run, whose outcome is not known."""

    @property
    def unfinished(self) -> bool:
        """Whether an earlier run left an unfinished edit."""
        return self.edit is not None

    @property
    def sends(self) -> bool:
        """Whether a request is needed: Octopush does not know our names."""
        return self.unfinished or any(each.path != "name" for each in self.fields)

    @property
    def renews_password(self) -> bool:
        """Whether a new password is set: the manifest asks for one, or an earlier run may have set one."""
        if self.edit is not None and self.edit.sealed is not None:
            return True
        return any(each.path in _PASSWORD for each in self.fields)

    @property
    def only_password(self) -> bool:
        """Whether a new password is the only change, including that of an unfinished edit."""
        settled = self.edit is None or self.edit.attributes == self.account.attributes
        return settled and self.renews_password and all(each.path in _PASSWORD for each in self.fields)

    @property
    def record_name(self) -> str:
        """The name that its record has now."""
        return self.previous or self.account.name

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name


@immutable
class Unchanged:
    """The account exists as it should, or as close to that as Octopush stores it."""

    action: ClassVar[str] = "unchanged"
    name: str
    attributes: Attributes
    drift: Drift = NO_DRIFT
    unchecked: str | None = None
    """For a plan with a refresh: why this account could not be read."""

    @property
    def is_sure(self) -> bool:
        """Whether there is nothing to report about it."""
        return self.drift == NO_DRIFT and self.unchecked is None


@immutable
class Unmanaged:
    """The account exists but no manifest names it; it is never touched."""

    action: ClassVar[str] = "unmanaged"
    name: str
    attributes: Attributes
    drift: Drift = NO_DRIFT
    unfinished: bool = False
    """An earlier run left an unfinished edit."""
    moved_to: Elsewhere | None = None
    """An account for the same person that would be created for another parent."""


@immutable
class Gone:
    """Octopush no longer knows the account, whether or not a manifest names it; a person must decide."""

    action: ClassVar[str] = "gone"
    name: str
    attributes: Attributes

    @property
    def reason(self) -> str:
        """What it means."""
        return LOGIN_GONE


@immutable
class StillUnknown:
    """Nobody knows whether the account exists; a person must resolve it."""

    action: ClassVar[str] = "unknown"
    name: str
    attributes: Attributes
    reason: str
    since: str | None = None
    """When its request was started, UTC; a person looks for it in Octopush's dashboard."""
    moved_to: Elsewhere | None = None
    """If no manifest names it: an account for the same person that would be created for another parent."""


@immutable
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
"""The actions of all kinds of change."""


@immutable
class Selection:
    """The accounts to which a plan was restricted, and what it leaves out for that."""

    names: tuple[str, ...]
    """Sorted."""
    creates: int
    """How many other accounts are missing."""
    updates: int
    """How many other accounts are to be changed."""


@immutable
class Plan:
    """What an apply would do for one parent, sorted by name."""

    parent: str
    lineage: str | None
    """None if there is no state yet."""
    serial: int
    slots: Slots
    changes: tuple[Change, ...]
    over: tuple[str, ...] = ()
    """The names of the creates that do not fit."""
    terms: Terms | None = None
    """The terms that it is carried out on; None if they are not known."""
    selection: Selection | None = None
    """The accounts that the plan is limited to; None: all of them."""

    @property
    def creates(self) -> tuple[Create, ...]:
        """The accounts to create, in order."""
        return tuple(each for each in self.changes if isinstance(each, Create))

    @property
    def pending(self) -> bool:
        """Whether there is anything to create or change."""
        return bool(self.creates or self.updates)

    @property
    def gone(self) -> bool:
        """Whether Octopush no longer knows one of the accounts; a person must decide."""
        return any(isinstance(each, Gone) for each in self.changes)

    @property
    def drifted(self) -> bool:
        """Whether an account at Octopush is known to differ from what was sent."""
        return self.gone or any(
            isinstance(each, Unchanged | Unmanaged) and each.drift != NO_DRIFT for each in self.changes
        )

    @property
    def updates(self) -> tuple[Update, ...]:
        """The accounts to change."""
        return tuple(each for each in self.changes if isinstance(each, Update))


def counts(plans: Iterable[Plan]) -> dict[str, int]:
    """Return the number of changes in ``plans`` by action; every one of ``ACTIONS`` has an entry, in order."""
    found = Counter(change.action for plan in plans for change in plan.changes)
    return {action: found[action] for action in ACTIONS}


def raise_if_over(plan: Plan) -> None:
    """Raise OverLimit if the plan does not fit into the parent's slots."""
    if plan.over:
        slots = plan.slots
        free = max(0, slots.limit - slots.reserved - slots.used)
        named = ", ".join(plan.over[:_NAMED]) + (f" and {len(plan.over) - _NAMED} more" if plan.over[_NAMED:] else "")
        fewer = " Lower `reserved` if fewer sub-accounts than that exist outside this state." if slots.reserved else ""
        if any(each.account.placed is not None and each.name in plan.over for each in plan.creates):
            fewer += (
                " An account that `parent: auto` placed there stays there unless its manifest names another `parent`."
            )
        raise OverLimit(
            f"Parent {plan.parent}: {slots.planned} to create, and {free} of {slots.limit} slots free;"
            f" these do not fit: {named}.",
            hint=f"Remove accounts from the manifest, leave some out with --only, or set `limit` if"
            f" Octopush has raised yours. `provisioner forget` frees the slot of an account that was deleted by hand."
            f"{fewer} Nothing was sent.",
        )
