"""The words and counts that the formats share: each stands here once, and each format gives them its shape.

Owns what a change is called, whether it is worth showing, what is said about it, and the
sentences that sum up a plan. Refuses to make markup, and to write out what a terminal
would obey: a sentence holds values as they are, and whoever shows it makes them safe.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, assert_never

from provisioner import placeholders
from provisioner.errors import Advice, Remedy
from provisioner.model.account import FIELDS, MASK, Attributes, DesiredAccount, shown_value
from provisioner.model.characters import character
from provisioner.model.plan import (
    LOGIN_GONE,
    UNFINISHED,
    Change,
    Create,
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

# How a summary says each action; what is not here is said by its own word.
_PLANNED: Final = {Create.action: "to create", Update.action: "to update"}

_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {path: path.removeprefix("callbacks.").removeprefix("callback_url_for_").replace("_", " ") for path in FIELDS}
)
"""By dotted path, what a field is called; a callback goes by its kind."""
HOLDER: Final = tuple(_LABELS[path] for path in ("first_name", "last_name", "company_name"))
"""The labels of whom an account is for."""
SHORTENED: Final = "More than 20 accounts to create: each is one line here, and --no-compact shows every field."
_AGES: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"))


class Name(str):
    """The name of an account or a parent inside a sentence."""

    __slots__ = ()


class Code(str):
    """What a person would type, inside a sentence."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class View:
    """For whom a plan or a report is shown, when, and how much of it."""

    private: bool = False
    """Nobody sees it but whoever runs this, at their terminal: a login is shown whole."""
    compact: bool | None = None
    """Whether an account to create is one line; None: where there are many."""
    now: datetime | None = None
    """None: whenever it is rendered."""


PUBLISHED: Final = View()
"""For whoever can read a file, a comment or a log."""

Sentence = tuple[str, ...]
"""Pieces that follow each other without a space: plain words, and each :class:`Name` and :class:`Code`."""


class Label(Enum):
    """What a change is called where a plan shows it, gravest for a reviewer first."""

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
        """Of a :class:`provisioner.render.lines.Line`."""


class Once:
    """Says once why accounts could not be checked, where one reason keeps all that follow from it."""

    def __init__(self) -> None:
        self._reason: str | None = None

    def told(self, reason: str) -> str:
        """Return ``reason``, or that it is the same as the one that was told last."""
        if self._reason is not None and reason.endswith(self._reason):
            return "not checked, for the same reason"
        self._reason = reason
        return reason


# ── Changes ──────────────────────────────────────────────────────────────────


def is_shown(change: Change) -> bool:
    """Tell whether a change is worth showing: an account that is as it should be only counts."""
    return not isinstance(change, Unchanged) or not change.is_sure


def shown(plan: Plan) -> Iterator[tuple[Label, Change]]:
    """Yield each change that is worth showing with its label, in the plan's order; a reason is told once."""
    over, once = frozenset(plan.over), Once()
    for change in plan.changes:
        if is_shown(change):
            if isinstance(change, Unchanged) and change.unchecked is not None:
                change = replace(change, unchecked=once.told(change.unchecked))  # noqa: PLW2901  # said another way
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
    """Return why an account that no apply touches is shown."""
    match change:
        case Unchanged():
            return ("; ".join(filter(None, (change.unchecked, drift(change.drift)))),)
        case Unmanaged():
            known = [each for each in (drift(change.drift), UNFINISHED if change.unfinished else "") if each]
            if not known:
                return ("exists and is in no manifest; it is left alone",)
            return ("; ".join(("is in no manifest", *known)),)
        case Gone():
            return (change.reason, "; ", *todo(Advice(Remedy.FORGET, change.name)))
        case StillUnknown():
            return (change.reason,)
        case StillAbandoned():
            return (f"{change.reason}; it keeps its slot: to create it again, give it another name",)
        case _:
            assert_never(change)


def todo(this: Advice) -> Sentence:
    """Return what can be done, with its commands set apart, whatever the name holds."""
    pieces = coded(advice.clause(Advice(this.remedy, "{name}")))
    return tuple(type(piece)(piece.replace("{name}", this.name)) for piece in pieces)


def coded(text: str) -> Sentence:
    """Return a text of ours with what stands between its backticks as code."""
    return tuple(Code(piece) if number % 2 else piece for number, piece in enumerate(text.split("`")) if piece)


def notes(change: Create) -> Iterator[tuple[Sentence, ...]]:
    """Yield what a reviewer should know about a create, each note in as many sentences as it has lines."""
    own = Name(change.name)
    if change.account.placed is not None:
        yield ((f"placed on {change.account.placed}",),)
    if change.account.previously is not None:
        before = change.account.previously
        yield ((f"Nothing moves: the state knows no {before}, its name before. This is a new account.",),)
    if change.resembles is not None:
        twin = Name(change.resembles)
        yield (
            (twin, " is in no manifest and has the same names. If ", own, " is its new name,"),
            ("write ", Code(f"previously: {twin}"), " under ", own, ": else this is a second account."),
        )


def drift(this: Drift) -> str:
    """Return in which fields Octopush holds something else than was sent, and why; nothing where there is none."""
    if this == NO_DRIFT:
        return ""
    parts = []
    if this.altered:
        parts.append(f"Octopush made something else of {', '.join(this.altered)}")
    if this.changed:
        parts.append(f"somebody changed {', '.join(this.changed)}")
    if this.gone:
        parts.append(LOGIN_GONE)
    return "; ".join(parts)


def label(path: str) -> str:
    """Return what the field at a dotted ``path`` is called."""
    return _LABELS.get(path, path)


def given(account: DesiredAccount) -> dict[str, str]:
    """Return what a create sends, by its label: placeholders as they are written, what else may be secret masked."""
    found = attributes(account.attributes)
    if account.password is not None:
        text = account.password.reveal()
        named = "".join(f"${{{each}}}" for each in placeholders.names(text))
        # What stands around placeholders is part of the password.
        found["password"] = named if named == text else f"{MASK}{named}"
    return found


def attributes(these: Attributes) -> dict[str, str]:
    """Return the given attributes by their labels, what a URL may hide masked."""
    return {_LABELS[path]: shown_value(path, value) for path, value in these.flat().items()}


def attempt(these: Attributes, since: str | None, view: View) -> dict[str, str]:
    """Return by what a person finds an account in Octopush's dashboard, whose outcome is not known."""
    found = {label: said for label, said in attributes(these).items() if label in HOLDER}
    return found if since is None else found | {"sent": ago(since, view)}


def ago(since: str, view: View) -> str:
    """Return how long it is since ``since``, UTC in ISO 8601, and that time."""
    now = datetime.now(UTC) if view.now is None else view.now
    return f"{elapsed((now - datetime.fromisoformat(since)).total_seconds())} ({since})"


def elapsed(seconds: float) -> str:
    """Return how long ago something was."""
    for length, unit in _AGES:
        if seconds >= length:
            return f"{counted(int(seconds // length), unit)} ago"
    return "just now"


def holder(attributes: Attributes) -> str:
    """Return whose an account is."""
    name = f"{attributes.first_name} {attributes.last_name}"
    return f"{name}, {attributes.company_name}" if attributes.company_name else name


def new_password(change: FieldChange) -> str | None:
    """Return what is said of a field by which a new password is asked for, or None for any other field."""
    if change.path == "password":
        return "a new one"
    if change.path == "password_version":
        return f"a new one, for version {change.after} ({change.before} before)"
    return None


def begun(edit: Edit) -> str:
    """Return what is said of an edit that an earlier run began, and that the plan finishes."""
    since = f"begun at {edit.operation.started_at} by {printable(edit.operation.by)}"
    if edit.sealed is None:
        return f"finishes an edit that was {since}"
    return f"a new password is set, as an edit that was {since} may have set one"


def before(change: FieldChange) -> str:
    """Return what an apply would overwrite."""
    return "(not kept: plan --refresh shows it)" if change.unseen else value(change.path, change.before)


def value(path: str, text: str | None) -> str:
    """Return a field's value in quotation marks, printable, what it may hide masked."""
    if text is None:
        return "(none)"
    return "(masked)" if text == MASK else f'"{printable(shown_value(path, text))}"'


def is_masked(change: FieldChange) -> bool:
    """Tell whether more of a field changes, or may, than is shown."""
    texts = (change.before, change.after)
    hidden = (text == MASK or shown_value(change.path, text) != text for text in texts if text is not None)
    return change.path == "password" or any(hidden)


def remarks(change: FieldChange) -> str:
    """Return what is said of a field behind its two values; nothing where they say it all."""
    said = ("somebody changed it at Octopush" if change.drifted else "", remark(change))
    moved = "nothing is sent for that" if change.path == "name" else ""
    return "; ".join(filter(None, (*said, moved)))


def remark(change: FieldChange) -> str:
    """Return how two values differ that look the same where they are shown, or nothing if they do not."""
    before, after = change.before, change.after
    if before is None or after is None or new_password(change) is not None:
        return ""
    if shown_value(change.path, before) == shown_value(change.path, after):
        return "the masked part differs"
    if printable(before) == printable(after):
        return "in one of them the escape is plain text"
    before, after = (unicodedata.normalize("NFC", each) for each in (before, after))
    if before == after:
        return "only the Unicode form differs"
    changed = [pair for pair in zip(before, after, strict=False) if len(set(pair)) > 1]
    if len(before) != len(after) or any(map(_differ_to_the_eye, changed)):
        return ""
    # Letters of another script in the same places: no eye tells them apart, so the first is named.
    return " becomes ".join(map(character, changed[0]))


def _differ_to_the_eye(pair: tuple[str, str]) -> bool:
    """Tell whether two characters are of one script, in which no two look the same."""
    scripts = {unicodedata.name(one, "").partition(" ")[0] for one in pair}
    return "".join(pair).isascii() or len(scripts) == 1


# ── Plans ────────────────────────────────────────────────────────────────────


def summary(plans: Iterable[Plan]) -> str:
    """Return one sentence that counts what plans hold together, by action."""
    these = tuple(plans)
    total = counts(these)
    unchecked = sum(
        isinstance(each, Unchanged) and each.unchecked is not None for plan in these for each in plan.changes
    )
    total[Unchanged.action] -= unchecked
    total[Label.UNCHECKED.word] = unchecked
    found = [f"{count} {_PLANNED.get(action, action)}" for action, count in total.items() if count]
    if not any(plan.pending for plan in these):
        known = "Nothing is known to be due" if unchecked else "Nothing to do"
        return f"{known}: {', '.join(found) or 'no account is wanted'}."
    return f"Plan: {', '.join(found)}."


def refusal(plan: Plan, most: int) -> Sentence:
    """Return for which accounts there is no slot; at most ``most`` are named."""
    return ("there is no slot for ", *listed(plan.over, most), ". Nothing would be sent.")


def selection(plan: Plan, most: int) -> Sentence | None:
    """Return to which accounts a plan is restricted, and what it leaves out; None where it has all."""
    if (this := plan.selection) is None:
        return None
    counted = ((this.creates, _PLANNED[Create.action]), (this.updates, _PLANNED[Update.action]))
    rest = " and ".join(f"{count} {todo}" for count, todo in counted if count)
    return ("only ", *listed(this.names, most), f"; left out: {rest}" if rest else "; nothing is left out")


def unplanned(parents: Sequence[str], most: int) -> Sentence:
    """Return which parents have no plan; at most ``most`` are named."""
    return ("no plan could be made for ", *listed(parents, most), ". The errors of this run say why.")


def listed(names: Sequence[str], most: int) -> Sentence:
    """Return names, of which at most ``most`` are named and the others counted."""
    pieces: list[str] = []
    for name in names[:most]:
        pieces += [", ", Name(name)] if pieces else [Name(name)]
    return (*pieces, *((f" and {len(names) - most} more",) if len(names) > most else ()))


def slots(these: Slots) -> str:
    """Return a parent's slots in one phrase."""
    return _slots(these, f"{these.planned} planned")


def held(these: Slots) -> str:
    """Return the same where nothing is planned."""
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
    """Return why an account is not simply active and why its balance could not be had, or None."""
    parts = [_reason(record)]
    if balance is not None:
        from provisioner.model.exchange import Failed  # noqa: PLC0415  # no plan has balances, and each loads this

        if isinstance(balance, Failed):
            parts.append(f"its balance cannot be had: {balance.reason}")
    return "; ".join(filter(None, parts)) or None


def _reason(record: Record) -> str | None:
    if not isinstance(record, Active):
        return record.reason
    parts = []
    if record.edit is not None:
        parts.append(f"an edit was begun at {record.edit.operation.started_at} and is not known to be finished")
    if record.drift.gone:
        parts.append(LOGIN_GONE)
    if record.drift.altered:
        parts.append(f"Octopush altered {', '.join(record.drift.altered)}")
    if record.drift.changed:
        parts.append(f"somebody changed {', '.join(record.drift.changed)}")
    return "; ".join(parts) or None
