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
    from provisioner.model.terms import Setting, Terms
    from provisioner.placeholders import Read

# How a summary says each action; what is not here is said by its own word.
_PLANNED: Final = {Create.action: "to create", Update.action: "to update"}

# What follows from a setting that is not as it usually is; what is not here is said by its name.
_SETTINGS: Final = {
    "api_url": "sends to {value}{usually}",
    "ca_file": "trusts the authorities in {value} (SHA-256 {sha256}), and no others",
    "heartbeat_url": "calls {value} when a run ends",
    "identity_file": "opens what is sealed with the identity in {value}",
    "keep_going": "continues after an unknown outcome",
    "metrics_file": "writes metrics to {value}",
    "proxy": "sends through the proxy {value}",
    "recipients": "seals to {value}",
    "retry_on_429": "counts a create as unknown where HTTP 408, 421, 425 or 429 answers it",
    "retry_on_503": "tries a create again after HTTP 503: that makes a second account wherever the first was made",
}
_READ: Final = 12
"""Variables and files that the head of a plan names for one receiver."""
_RECEIVERS: Final = 40
"""Receivers that it names."""
_READERS: Final = 3
"""Accounts that it names for one; of more, it says how many."""
_USUAL_KEY: Final = "${env:OCTOPUSH_API_KEY}"
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {path: path.removeprefix("callbacks.").removeprefix("callback_url_for_").replace("_", " ") for path in FIELDS}
)
"""By dotted path, what a field is called; a callback goes by its kind."""
HOLDER: Final = tuple(_LABELS[path] for path in ("first_name", "last_name", "company_name"))
"""The labels of whom an account is for."""
SHORTENED: Final = "More than 20 accounts to create: each is one line here, and --no-compact shows every field."
_AGES: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_CLEAR: Final = 3
"""Characters of a login that are published."""


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


def freeze(this: Terms | None) -> Sentence | None:
    """Return until when and why nothing is done for a parent, or None while it is not frozen."""
    if this is None or not this.is_frozen:
        return None
    return (f"{_until(this)}. ", Code("apply"), " and ", Code("reconcile"), " do nothing for this parent")


def past_freeze(this: Terms | None) -> Sentence | None:
    """Return that a freeze of the settings is over, or None where none is."""
    if this is None or this.frozen is None or this.is_frozen:
        return None
    return (f"was frozen {_until(this)}. That is over: ", Code("frozen"), " can be deleted from the settings")


def _until(this: Terms) -> str:
    assert this.frozen is not None  # noqa: S101  # whoever asks has seen that it is
    return f"until {this.frozen.until} (UTC, that day included): {this.frozen.reason.rstrip('.')}"


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


# ── Terms ────────────────────────────────────────────────────────────────────


def place(this: Terms, view: View, *, begun: bool | None = None) -> dict[str, str]:
    """Return where a plan is carried out: the address, whose login and key, and the place of the state.

    ``begun`` says, once it was carried out, whether the state that it was to begin is there.
    """
    found = {"address": this.endpoint, "login": login(this, view)}
    if this.key != _USUAL_KEY:
        found["key"] = f"from {source(this.key)}"
    state = this.state
    if this.begins:
        ending = {None: "", True: ", begun by this run", False: ", which this run was to begin"}[begun]
        state = f"{state}{ending}" if ending else f"none yet at {state}: this begins one"
    return found | {"state": state}


def login(this: Terms, view: View) -> str:
    """Return the login of a parent, where it is known, and what it comes from."""
    known = this.account if this.account is None or view.private else masked_login(this.account)
    if not placeholders.names(this.login):
        return known or masked_login(this.login)
    origin = f"from {source(this.login)}"
    return origin if known is None else f"{known} ({origin})"


def masked_login(text: str) -> str:
    """Return the beginning of a login; what is no e-mail address could be a key, and shows nothing of itself."""
    user, at, _ = text.partition("@")
    return f"{user[:_CLEAR] if at else ''}{MASK}"


def source(text: str) -> str:
    """Return what a login or a key comes from; what is more than one placeholder stays as it was written."""
    match placeholders.names(text):
        case [one] if text == f"${{{one}}}":
            kind, _, name = one.partition(":")
            return name if kind == "env" else f"the file {name}"
        case _:
            return text


def settings(these: Iterable[Setting]) -> Iterator[str]:
    """Yield what follows from each setting that is not as it usually is."""
    for each in these:
        usually = "" if each.usual is None else f", not {each.usual}"
        said = _SETTINGS.get(each.name, "sets {name} to {value}{usually}")
        yield said.format(name=each.name, value=each.value, usually=usually, sha256=each.sha256)


def reads(change: Change) -> tuple[Read, ...]:
    """Return what an apply would read for a change, and to whom each value goes besides Octopush."""
    match change:
        case Create():
            return placeholders.reads(change.account)
        case Update() if change.sends:
            return placeholders.reads(change.account, password=change.renews_password or change.unfinished)
        case _:
            return ()


def readers(plan: Plan) -> dict[tuple[str, str, str | None], list[str]]:
    """Return the accounts for which each variable or file would be read: by its kind, its name, and where it goes."""
    found: dict[tuple[str, str, str | None], list[str]] = {}
    for change in plan.changes:
        for key in dict.fromkeys((each.kind, each.name, _receiver(each)) for each in reads(change)):
            found.setdefault(key, []).append(change.name)
    return found


def _receiver(this: Read) -> str | None:
    return "the password" if this.path == "password" else this.to


def _read(kind: str, name: str) -> str:
    return name if kind == "env" else f"the file {name}"


def _gathered(found: Iterable[tuple[str, str, str | None]]) -> dict[str, list[str]]:
    """Return what is read, by whom it is for."""
    gathered: dict[str, list[str]] = {}
    for kind, name, to in found:
        gathered.setdefault(to or "Octopush", []).append(_read(kind, name))
    return gathered


def reading(change: Change) -> str:
    """Return what is read for a change in one phrase; nothing where nothing is."""
    found = dict.fromkeys((each.kind, each.name, _receiver(each)) for each in reads(change))
    said = "; ".join(f"{', '.join(these)} for {to}" for to, these in _gathered(found).items())
    return f"reads {said}" if said else ""


def all_reading(plan: Plan) -> Iterator[Sentence]:
    """Yield what is read for all of a plan, one sentence for each that it is for, those with the fewest accounts first.

    Each account has its own below.
    """
    found = readers(plan)
    accounts: dict[str, dict[str, None]] = {}
    for (_, _, to), names in found.items():
        accounts.setdefault(to or "Octopush", {}).update(dict.fromkeys(names))
    gathered = sorted(_gathered(found).items(), key=lambda each: len(accounts[each[0]]))
    for to, these in gathered[:_RECEIVERS]:
        more = f" and {len(these) - _READ} more" if len(these) > _READ else ""
        names = list(accounts[to])
        whose = (f"{len(names)} accounts",) if len(names) > _READERS else listed(names, _READERS)
        yield (f"reads {', '.join(these[:_READ])}{more} for {to} (", *whose, ")")
    if len(gathered) > _RECEIVERS:
        yield (f"reads more for {len(gathered) - _RECEIVERS} other hosts: each account names its own",)


def recipients(this: Terms) -> Iterator[Sentence]:
    """Yield how those who can open what is sealed change with an apply; nothing where they stay."""
    if this.added:
        yield (f"seals to {', '.join(this.added)}, which the state does not list",)
    if this.removed:
        yield (f"does not seal to {', '.join(this.removed)}, which only the state lists",)
    if this.shuts_out:
        yield ("seals to none of those that the state lists: ", Code("apply"), " wants --new-recipients for that")
    elif this.added or this.removed:
        yield ("if that is right, ", Code("provisioner rekey"), " seals what exists to the same recipients")


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
