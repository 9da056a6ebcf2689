"""The wording and counts that all formats share; each format only adds its layout.

Owns the label of a change, whether it is shown, the text about it, and the sentences that
sum up a plan. Does no markup and no escaping: a sentence contains values as they are, and
whatever shows it makes them safe.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from provisioner import placeholders
from provisioner.errors import Advice, Remedy
from provisioner.immutable import immutable
from provisioner.model.account import FIELDS, MASK, Attributes, DesiredAccount, shown_value
from provisioner.model.characters import character
from provisioner.model.plan import (
    LOGIN_GONE,
    UNFINISHED,
    Change,
    Create,
    Elsewhere,
    FieldChange,
    Gone,
    Plan,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
    counts,
)
from provisioner.model.state import NO_DRIFT, Active, Drift, Edit, Record, Slots
from provisioner.render import advice
from provisioner.render.lines import BAD, CHANGED, GOOD, QUIET, counted, printable

if TYPE_CHECKING:
    from provisioner.model.exchange import Balance, Failed

# The wording of each action in a summary; any other action uses its own name.
_PLANNED: Final = {Create.action: "to create", Update.action: "to update"}

_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {path: path.removeprefix("callbacks.").removeprefix("callback_url_for_").replace("_", " ") for path in FIELDS}
)
"""The label of each field, by dotted path; a callback's label is its kind."""
HOLDER: Final = tuple(_LABELS[path] for path in ("first_name", "last_name", "company_name"))
"""The labels of the fields that name whom an account is for."""
SHORTENED: Final = "More than 20 accounts to create, so each is on one line; --no-compact shows every field."
_AGES: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"))


class Name(str):
    """The name of an account or a parent inside a sentence."""

    __slots__ = ()


class CodeText(str):
    """Something to type, inside a sentence."""

    __slots__ = ()


@immutable
class View:
    """Who sees a plan or a report, when, and in how much detail."""

    private: bool = False
    """Whether only the user at their own terminal sees it: then logins are shown in full."""
    compact: bool | None = None
    """Whether an account to create takes one line; None: only if there are many."""
    now: datetime | None = None
    """The time to compute ages from; None: the time of rendering."""


PUBLISHED: Final = View()
"""The view for everyone who can read a file, a comment or a log."""

Sentence = tuple[str, ...]
"""Pieces to join without spaces: plain text, :class:`Name` and :class:`Code`."""


_UNMANAGED: Final = "exists but is in no manifest; it is not changed"


class Label(Enum):
    """The label of a change in a plan, most important for a reviewer first."""

    CREATE = (Create.action, "+", GOOD)
    NO_SLOT = ("no slot", "x", BAD)
    UPDATE = (Update.action, "~", CHANGED)
    UNKNOWN = (StillUnknown.action, "?", BAD)
    GONE = (Gone.action, "-", BAD)
    UNMANAGED = (Unmanaged.action, "!", CHANGED)
    ABANDONED = (StillAbandoned.action, "-", QUIET)
    UNCHECKED = ("unchecked", "?", CHANGED)
    DRIFT = ("drift", "=", QUIET)

    def __init__(self, word: str, mark: str, style: str) -> None:
        self.word = word
        self.mark = mark
        """One character."""
        self.style = style
        """The style of its :class:`provisioner.render.lines.Line`."""


class Once:
    """Gives a reason why accounts could not be checked only once, if it applies to all that follow."""

    def __init__(self) -> None:
        self._reason: str | None = None

    def shorten(self, reason: str) -> str:
        """Return ``reason``, or a note that it is the same as the one before."""
        if self._reason is not None and reason.endswith(self._reason):
            return "not checked, for the same reason"
        self._reason = reason
        return reason


# ── Changes ──────────────────────────────────────────────────────────────────


def is_shown(change: Change) -> bool:
    """Return whether to show a change; an account that needs nothing is only counted."""
    return not isinstance(change, Unchanged) or not change.is_sure


def shown(plan: Plan) -> Iterator[tuple[Label, Change]]:
    """Yield each change to show with its label, in the plan's order; a repeated reason appears only once."""
    over, once = frozenset(plan.over), Once()
    for change in plan.changes:
        if is_shown(change):
            if isinstance(change, Unchanged) and change.unchecked is not None:
                change = replace(change, unchecked=once.shorten(change.unchecked))  # noqa: PLW2901  # only reworded
            yield _label(change, fits=change.name not in over), change


def _label(change: Change, *, fits: bool) -> Label:
    match change:
        case Create():
            return Label.CREATE if fits else Label.NO_SLOT
        case Update():
            return Label.UPDATE
        case Unchanged():
            return Label.DRIFT if change.unchecked is None else Label.UNCHECKED
        case Unmanaged():
            return Label.UNMANAGED
        case Gone():
            return Label.GONE
        case StillUnknown():
            return Label.UNKNOWN
        case StillAbandoned():
            return Label.ABANDONED
        case _:
            assert_never(change)


def explanation(change: Unchanged | Unmanaged | Gone | StillUnknown | StillAbandoned) -> Sentence:
    """Return why the plan shows an account that apply does not change."""
    match change:
        case Unchanged():
            return ("; ".join(filter(None, (change.unchecked, drift(change.drift)))),)
        case Unmanaged():
            known = [each for each in (drift(change.drift), UNFINISHED if change.unfinished else "") if each]
            text = "; ".join(("is in no manifest", *known)) if known else _UNMANAGED
            return (text, *_second(change.moved_to))
        case Gone():
            return (change.reason, "; ", *todo(Advice(Remedy.FORGET, change.name)))
        case StillUnknown():
            return (change.reason, *_second(change.moved_to))
        case StillAbandoned():
            return (f"{change.reason}; it keeps its slot; to create it again, give it another name",)
        case _:
            assert_never(change)


def _second(this: Elsewhere | None) -> Sentence:
    """Return what a reader should know of an account that seems to move to another parent."""
    if this is None:
        return ()
    return ("; it cannot be moved: ", Name(this.name), " of ", Name(this.parent), " has the same names")


def todo(this: Advice) -> Sentence:
    """Return what to do, with its commands as code, whatever characters the name contains."""
    pieces = coded(advice.clause(Advice(this.remedy, "{name}")))
    return tuple(type(piece)(piece.replace("{name}", this.name)) for piece in pieces)


def coded(text: str) -> Sentence:
    """Return one of our own texts with the parts between backticks as code."""
    return tuple(CodeText(piece) if number % 2 else piece for number, piece in enumerate(text.split("`")) if piece)


def notes(change: Create) -> Iterator[tuple[Sentence, ...]]:
    """Yield what a reviewer should know about a create; each note has one sentence per line."""
    own = Name(change.name)
    if change.account.placed is not None:
        yield ((f"placed on {change.account.placed}",),)
    if change.account.previously is not None:
        before = change.account.previously
        yield ((f"The state has no {before}, its previous name, so nothing moves: this is a new account.",),)
    if change.resembles is not None:
        twin = Name(change.resembles)
        yield (
            (twin, " is in no manifest and has the same names. If ", own, " is its new name,"),
            ("write ", CodeText(f"previously: {twin}"), " under ", own, "; otherwise this is a second account."),
        )
    if (old := change.moved_from) is not None:
        yield (
            (
                Name(old.name),
                " of ",
                Name(old.parent),
                " is in no manifest and has the same names. Octopush cannot move",
            ),
            ("an account to another parent: this is a second account, with its own login, key and slot.",),
        )


def drift(this: Drift) -> str:
    """Return which fields differ at Octopush from what was sent, and why; empty if none does."""
    if this == NO_DRIFT:
        return ""
    parts = []
    if this.altered:
        parts.append(f"Octopush altered {', '.join(this.altered)}")
    if this.changed:
        parts.append(f"somebody changed {', '.join(this.changed)}")
    if this.gone:
        parts.append(LOGIN_GONE)
    return "; ".join(parts)


def label(path: str) -> str:
    """Return the label of the field at a dotted ``path``."""
    return _LABELS.get(path, path)


def given(account: DesiredAccount) -> dict[str, str]:
    """Return what a create sends, by label: placeholders as written, and anything else that may be secret masked."""
    found = attributes(account.attributes)
    if account.password is not None:
        text = account.password.reveal()
        named = "".join(f"${{{each}}}" for each in placeholders.names(text))
        # Any text around placeholders is part of the password.
        found["password"] = named if named == text else f"{MASK}{named}"
    return found


def attributes(these: Attributes) -> dict[str, str]:
    """Return the attributes that are set, by label, with secret parts of URLs masked."""
    return {_LABELS[path]: shown_value(path, value) for path, value in these.flat().items()}


def attempt(these: Attributes, since: str | None, view: View) -> dict[str, str]:
    """Return the fields by which a person finds an account with an unknown outcome in Octopush's dashboard."""
    found = {label: text for label, text in attributes(these).items() if label in HOLDER}
    return found if since is None else found | {"sent": ago(since, view)}


def ago(since: str, view: View) -> str:
    """Return how long ago ``since`` was, and that time: UTC, ISO 8601, or any text that a state contains as one."""
    now = datetime.now(UTC) if view.now is None else view.now
    try:
        return f"{elapsed((now - datetime.fromisoformat(since)).total_seconds())} ({since})"
    except ValueError:
        return since


def elapsed(seconds: float) -> str:
    """Return a number of seconds as an age."""
    for length, unit in _AGES:
        if seconds >= length:
            return f"{counted(int(seconds // length), unit)} ago"
    return "just now"


def holder(attributes: Attributes) -> str:
    """Return whom an account is for."""
    name = f"{attributes.first_name} {attributes.last_name}"
    return f"{name}, {attributes.company_name}" if attributes.company_name else name


def new_password(change: FieldChange) -> str | None:
    """Return the text for a field that asks for a new password, or None for any other field."""
    if change.path == "password":
        return "a new one"
    if change.path == "password_version":
        return f"a new one, for version {change.after} (was {change.before})"
    return None


def unfinished_edit(edit: Edit) -> str:
    """Return the text for an unfinished edit of an earlier run, which the plan finishes."""
    since = f"started at {edit.operation.started_at} by {printable(edit.operation.by)}"
    if edit.sealed is None:
        return f"finishes an edit that was {since}"
    return f"sets a new password, because an edit that was {since} may have set one"


def before(change: FieldChange) -> str:
    """Return the value that an apply would overwrite."""
    return "(not stored: plan --refresh shows it)" if change.unseen else value(change.path, change.before)


def value(path: str, text: str | None) -> str:
    """Return a field's value in quotation marks, printable, with secret parts masked."""
    if text is None:
        return "(none)"
    return "(masked)" if text == MASK else f'"{printable(shown_value(path, text))}"'


def is_masked(change: FieldChange) -> bool:
    """Return whether more of a field changes, or may change, than is shown."""
    texts = (change.before, change.after)
    hidden = (text == MASK or shown_value(change.path, text) != text for text in texts if text is not None)
    return change.path == "password" or any(hidden)


def remarks(change: FieldChange) -> str:
    """Return the remarks after a field's two values; empty if there are none."""
    drifted = "somebody changed it at Octopush" if change.drifted else ""
    moved = "nothing is sent" if change.path == "name" else ""
    return "; ".join(filter(None, (drifted, remark(change), moved)))


def remark(change: FieldChange) -> str:
    """Return how two values differ that look the same when shown; empty if they look different."""
    before, after = change.before, change.after
    if before is None or after is None or new_password(change) is not None:
        return ""
    if shown_value(change.path, before) == shown_value(change.path, after):
        return "the masked part differs"
    if printable(before) == printable(after):
        return "in one of them, the escape is plain text"
    before, after = (unicodedata.normalize("NFC", each) for each in (before, after))
    if before == after:
        return "only the Unicode form differs"
    changed = [pair for pair in zip(before, after, strict=False) if len(set(pair)) > 1]
    if len(before) != len(after) or any(map(_differ_to_the_eye, changed)):
        return ""
    # Letters of another script in the same positions look alike, so the first is named.
    return " becomes ".join(map(character, changed[0]))


def _differ_to_the_eye(pair: tuple[str, str]) -> bool:
    """Return whether two characters belong to one script; within a script, no two look the same."""
    scripts = {unicodedata.name(one, "").partition(" ")[0] for one in pair}
    return "".join(pair).isascii() or len(scripts) == 1


# ── Plans ────────────────────────────────────────────────────────────────────


def summary(plans: Iterable[Plan]) -> str:
    """Return one sentence with the total number of changes in the plans, by action."""
    these = tuple(plans)
    total = counts(these)
    unchecked = sum(
        isinstance(each, Unchanged) and each.unchecked is not None for plan in these for each in plan.changes
    )
    total[Unchanged.action] -= unchecked
    total[Label.UNCHECKED.word] = unchecked
    found = [f"{count} {_PLANNED.get(action, action)}" for action, count in total.items() if count]
    if not any(plan.pending for plan in these):
        known = "Nothing known to do" if unchecked else "Nothing to do"
        return f"{known}: {', '.join(found) or 'the manifests list no account'}."
    return f"Plan: {', '.join(found)}."


def refusal(plan: Plan, most: int) -> Sentence:
    """Return which accounts have no slot; at most ``most`` are named."""
    return ("there is no slot for ", *listed(plan.over, most), ". Nothing would be sent.")


def selection(plan: Plan, most: int) -> Sentence | None:
    """Return which accounts a plan is restricted to, and what it leaves out; None if it covers all."""
    if (this := plan.selection) is None:
        return None
    counted = ((this.creates, _PLANNED[Create.action]), (this.updates, _PLANNED[Update.action]))
    rest = " and ".join(f"{count} {todo}" for count, todo in counted if count)
    return ("only ", *listed(this.names, most), f"; left out: {rest}" if rest else "; nothing is left out")


def unplanned(parents: Sequence[str], most: int) -> Sentence:
    """Return which parents have no plan; at most ``most`` are named."""
    return ("no plan could be made for ", *listed(parents, most), ". See the errors of this run.")


def listed(names: Sequence[str], most: int) -> Sentence:
    """Return at most ``most`` of the names, and the number of the others."""
    pieces: list[str] = []
    for name in names[:most]:
        pieces += [", ", Name(name)] if pieces else [Name(name)]
    return (*pieces, *((f" and {len(names) - most} more",) if len(names) > most else ()))


def slots(these: Slots) -> str:
    """Return a parent's slots in one phrase."""
    return _slots(these, f"{these.planned} planned")


def current_slots(these: Slots) -> str:
    """Return a parent's slots in one phrase, without planned ones."""
    return _slots(these)


def _slots(these: Slots, *planned: str) -> str:
    used = f"{these.used} of {these.limit} slots used"
    return ", ".join(
        (
            f"{used} ({these.unknown} unknown)" if these.unknown else used,
            *((f"{these.reserved} reserved",) if these.reserved else ()),
            *planned,
            f"{these.left} left" if these.left >= 0 else f"{-these.left} too many",
        )
    )


# ── Records ──────────────────────────────────────────────────────────────────


def reason(record: Record, balance: Balance | Failed | None = None) -> str | None:
    """Return why an account is not simply active, and why its balance could not be read, or None."""
    parts = [_reason(record)]
    if balance is not None:
        from provisioner.model.exchange import Failed  # noqa: PLC0415  # no plan has balances, and each loads this

        if isinstance(balance, Failed):
            parts.append(f"its balance could not be read: {balance.reason}")
    return "; ".join(filter(None, parts)) or None


def _reason(record: Record) -> str | None:
    if not isinstance(record, Active):
        return record.reason
    parts = []
    if record.edit is not None:
        parts.append(f"an edit was started at {record.edit.operation.started_at} and is not known to be finished")
    if record.drift.gone:
        parts.append(LOGIN_GONE)
    if record.drift.altered:
        parts.append(f"Octopush altered {', '.join(record.drift.altered)}")
    if record.drift.changed:
        parts.append(f"somebody changed {', '.join(record.drift.changed)}")
    return "; ".join(parts) or None
