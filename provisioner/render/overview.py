"""An overview of all parents: what needs attention, how many slots are left, and the last operations.

Owns what counts as trouble, its order, and the next command; ``status_html`` and
``status_markdown`` add the layout. Contains no login, key, password or callback URL: an
account is identified by its name and by whom it is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from provisioner.errors import MEANINGS, Advice, ExitCode, ProvisionerError, Remedy
from provisioner.immutable import immutable
from provisioner.model.account import Attributes
from provisioner.model.exchange import Balance, Failed
from provisioner.model.history import HistoryEntry
from provisioner.model.plan import LOGIN_GONE
from provisioner.model.report import Report, Result
from provisioner.model.state import Abandoned, Active, Pending, Record, Unknown
from provisioner.model.status import ParentStatus
from provisioner.render import advice, words
from provisioner.render.lines import counted
from provisioner.render.words import CodeText, Sentence

OPERATIONS: Final = 20
"""How many operations are shown."""
_UNFINISHED: Final = "an edit started, and is not known to have finished"
_SOON: Final = timedelta(days=30)
"""A pack is shown if it expires within this time."""


FOOT: Final = "Made by octopush-provisioner."
SIGNATURE: Final = "octopush-provisioner: status; last success "
"""This identifies a file as an earlier page; the time of the last success follows it, or ``unknown``."""


class Trouble(Enum):
    """What needs attention, most serious first."""

    UNKNOWN = ("unknown", "?")
    PENDING = ("pending", "?")
    FAILED = ("failed", "x")
    GONE = ("gone", "-")
    OVER_LIMIT = ("over the limit", "x")
    UNFINISHED = ("unfinished", "~")
    DRIFT = ("drift", "=")
    EXPIRING = ("expiring", "!")
    UNCHECKED = ("unchecked", "?")

    def __init__(self, word: str, mark: str) -> None:
        self.word = word
        self.mark = mark
        """One character."""
        self.key = word.replace(" ", "-")
        """Its name in the filter and the style."""


@immutable
class Finding:
    """One account, or one parent, that needs attention."""

    trouble: Trouble
    parent: str
    what: str
    account: str | None = None
    attributes: Attributes | None = None
    """Whom the account is for, if that is known."""
    since: str | None = None
    """UTC, ISO 8601 with a Z."""
    todo: Sentence = ()
    """What to do next; empty if that is not known."""


Done = tuple[str, HistoryEntry]
"""One operation, with the name of its parent."""


@immutable
class RunEnd:
    """The run that has just ended."""

    exit_code: ExitCode
    failure: ProvisionerError | None = None
    """The error that ended it for all parents."""
    reports: tuple[Report, ...] = ()


@immutable
class Overview:
    """All parents at one time."""

    now: datetime
    """In UTC."""
    parents: tuple[ParentStatus, ...]
    """Those with trouble first, most serious first, then by name."""
    findings: tuple[Finding, ...]
    """Most serious first, then oldest first."""
    operations: tuple[Done, ...]
    """The last few, newest first."""
    ended: RunEnd | None
    last_success: str | None
    """When a run last ended with exit code 0, UTC; None if that is not known."""
    troubles: Mapping[str, Counter[Trouble]]
    """By parent; only parents with trouble."""


def overview(
    statuses: Sequence[ParentStatus],
    now: datetime,
    *,
    done: Iterable[Done] = (),
    ended: RunEnd | None = None,
    last_success: str | None = None,
) -> Overview:
    """Return the overview of ``statuses``, and of the operations ``done``, at ``now``."""
    several = len(statuses) > 1
    reports = {} if ended is None else {each.parent: each for each in ended.reports}
    order = list(Trouble)
    findings = sorted(
        (finding for each in statuses for finding in _findings(each, reports.get(each.parent), now, several=several)),
        key=lambda each: (order.index(each.trouble), each.since or "", each.parent, each.account or ""),
    )
    troubles: dict[str, Counter[Trouble]] = {}
    for each in findings:
        troubles.setdefault(each.parent, Counter())[each.trouble] += 1
    # Parents with findings come in the order of the findings.
    rank = {parent: position for position, parent in enumerate(troubles)}
    parents = sorted(statuses, key=lambda each: (rank.get(each.parent, len(rank)), each.parent))
    operations = sorted(done, key=lambda each: (each[1].author.at, each[0], each[1].serial), reverse=True)
    return Overview(now, tuple(parents), tuple(findings), tuple(operations[:OPERATIONS]), ended, last_success, troubles)


# ── What needs attention ──────────────────────────────────────────────────────


def _findings(this: ParentStatus, report: Report | None, now: datetime, *, several: bool) -> Iterator[Finding]:
    yield from _of_parent(this, report)
    outcomes = () if report is None else report.outcomes
    failed = {each.name: each for each in outcomes if each.result is Result.FAILED}
    for name, record in sorted({} if this.state is None else this.state.accounts.items()):
        found = [*_of_record(record), *_of_balance((this.balances or {}).get(name), now)]
        for trouble, since, what, remedy in found:
            todo = _todo(remedy, name, this.parent, several=several)
            yield Finding(trouble, this.parent, what, name, record.attributes, since, todo)
        if found:
            failed.pop(name, None)
    for name, outcome in failed.items():
        remedy = None if outcome.advice is None else outcome.advice.remedy
        todo = _todo(remedy, name, this.parent, several=several)
        yield Finding(Trouble.FAILED, this.parent, f"{outcome.action}: {outcome.reason or 'failed'}", name, todo=todo)


def _todo(remedy: Remedy | None, name: str, parent: str, *, several: bool) -> Sentence:
    if remedy is None:
        return ()
    # Accounts of two parents may have the same name, and a command must not pick the wrong one.
    whose = f" --parent {parent}" if several else ""
    found = words.todo(Advice(remedy, name))
    return tuple(CodeText(f"{each}{whose}") if isinstance(each, CodeText) else each for each in found)


def _of_parent(this: ParentStatus, report: Report | None) -> Iterator[Finding]:
    failure = this.failure or (report and report.failure)
    if failure:
        yield Finding(Trouble.FAILED, this.parent, failure.message, todo=words.coded(advice.hint(failure)))
    elif report and report.stop:
        yield Finding(Trouble.FAILED, this.parent, report.stop.reason, todo=words.coded(advice.hint(report.stop)))
    slots = this.slots
    if slots is not None and slots.left < 0:
        todo = "raise `limit` if Octopush allows more, or lower `reserved` if fewer accounts exist"
        yield Finding(Trouble.OVER_LIMIT, this.parent, words.current_slots(slots), todo=words.coded(todo))


_Trouble = tuple[Trouble, str | None, str, Remedy | None]
"""One trouble of an account: its kind, since when, its description, and what to do."""


def _of_record(record: Record) -> Iterator[_Trouble]:
    """Yield each trouble of an account."""
    match record:
        case Unknown():
            yield Trouble.UNKNOWN, record.operation.started_at, record.reason, Remedy.DECIDE
        case Pending():
            yield Trouble.PENDING, record.operation.started_at, record.reason, Remedy.WAIT_OR_DECIDE
        case Active(edit=edit, drift=drift):
            if drift.gone:
                yield Trouble.GONE, None, LOGIN_GONE, Remedy.FORGET
            if edit is not None:
                yield Trouble.UNFINISHED, edit.operation.started_at, _UNFINISHED, Remedy.FINISH
            if drift.changed:
                yield Trouble.DRIFT, None, f"somebody changed {', '.join(drift.changed)}", Remedy.CHANGE_BACK
        case Abandoned():
            pass


def _of_balance(balance: Balance | Failed | None, now: datetime) -> Iterator[_Trouble]:
    """Yield each trouble of an account's balance."""
    match balance:
        case Balance(unit=unit, packs=packs):
            for pack in packs:
                if pack.expires - now <= _SOON:
                    what = f"{_money(pack.credit, unit)} of its credit expire on {pack.expires:%Y-%m-%d}"
                    yield Trouble.EXPIRING, None, what, None
        case Failed(reason=reason):
            yield Trouble.UNCHECKED, None, f"its balance could not be read: {reason}", None
        case None:
            pass


# ── In words ─────────────────────────────────────────────────────────────────


def signature(this: Overview) -> str:
    """Return the part of a page for programs: what generated it, and when a run last succeeded."""
    return f"{SIGNATURE}{this.last_success or 'unknown'}"


def title(this: Overview) -> str:
    """Return the title of the page."""
    whose = this.parents[0].parent if len(this.parents) == 1 else counted(len(this.parents), "parent")
    return f"Sub-accounts of {whose}"


def summary(this: Overview) -> str:
    """Return one sentence with the totals of all parents, and one that counts the trouble."""
    known = [slots for each in this.parents if (slots := each.slots) is not None]
    used, left = sum(each.used for each in known), sum(max(0, each.left) for each in known)
    counts = (
        f"{counted(used, 'account')}, {counted(left, 'slot')} left" if known else "Accounts and slots are not known"
    )
    if len(this.parents) > 1:
        unread = len(this.parents) - len(known)
        whose = f"{counted(len(this.parents), 'parent')}{f' ({unread} not readable)' if unread else ''}"
        counts = f"{whose}: {counts}"
    return f"{counts}. {trouble(this.findings)}."


def trouble(these: Iterable[Finding]) -> str:
    """Return the number of each trouble, or that there is none."""
    found = Counter(each.trouble for each in these)
    return troubles(found) if found else "Nothing needs attention"


def troubles(found: Counter[Trouble]) -> str:
    """Return the number of each trouble, most serious first."""
    return ", ".join(f"{found[each]} {each.word}" for each in Trouble if found[each])


def times(this: Overview) -> str:
    """Return the time of this overview, how the run ended, and when a run last succeeded."""
    parts = [f"As of {_shown(this.now)}."]
    if this.ended is not None:
        code = this.ended.exit_code
        parts.append(f"The run ended with exit code {int(code)}: {MEANINGS[code][0]}.")
    if this.last_success is not None:
        parts.append(f"Last success: {when(this.last_success, this.now)}.")
    return " ".join(parts)


def when(stamp: str, now: datetime) -> str:
    """Return a time and its age; ``stamp`` is UTC, ISO 8601 with a Z, or any text that a state contains."""
    try:
        then = datetime.fromisoformat(stamp)
        seconds = (now - then).total_seconds()
    except (ValueError, TypeError):
        return stamp
    return f"{_shown(then)}, {words.elapsed(seconds)}"


def done(this: HistoryEntry) -> str:
    """Return one operation, and who did it."""
    author = this.author
    what = f"{this.operation} from {this.previous}" if this.previous else this.operation
    parts = [f"{what}: {this.outcome}", f"by {author.by if author.actor is None else f'{author.actor} ({author.by})'}"]
    parts += [f"approved by {author.approver}"] if author.approver else []
    return ", ".join((*parts, *((author.run,) if author.run else ())))


def failure(this: Overview) -> str | None:
    """Return the error that ended the run for all parents, if any, and what to do."""
    if this.ended is None or this.ended.failure is None:
        return None
    error = this.ended.failure
    return " ".join((*error.message.splitlines(), *advice.hint(error).splitlines()))


def why(this: Finding, now: datetime) -> str:
    """Return the description of a finding, and since when."""
    what = " ".join(this.what.splitlines()).removesuffix(".")
    return what if this.since is None else f"{what} (since {when(this.since, now)})"


def accounts(this: ParentStatus, among: Overview) -> str:
    """Return how many accounts a parent has, and how many need attention."""
    known = "not known" if this.slots is None else counted(this.slots.used, "account")
    found = among.troubles.get(this.parent)
    text = f"{known}: {troubles(found)}" if found else known
    # Without the reason, which may be any text: this appears where markup would be rendered.
    return text if this.frozen is None else f"{text}; frozen until {this.frozen.until}"


def balances(this: ParentStatus) -> list[tuple[str, Balance]]:
    """Return the balances that are known, by account."""
    return [(name, each) for name, each in sorted((this.balances or {}).items()) if isinstance(each, Balance)]


def amount(this: Balance) -> str:
    """Return a balance, and when its first pack expires."""
    whole = _money(this.amount, this.unit)
    if not this.packs:
        return whole
    first = this.packs[0]
    return f"{whole}; {_money(first.credit, this.unit)} expire on {first.expires:%Y-%m-%d}"


def sums(these: Sequence[tuple[str, Balance]]) -> str:
    """Return the total balance of accounts, by unit."""
    found: dict[str, float] = {}
    for _, each in these:
        found[each.unit] = found.get(each.unit, 0) + each.amount
    together = " and ".join(_money(amount, unit) for unit, amount in sorted(found.items()))
    return f"{together} in {counted(len(these), 'account')}"


def _money(amount: float, unit: str) -> str:
    return f"{amount:.2f} {unit}"


def _shown(this: datetime) -> str:
    return f"{this:%Y-%m-%d %H:%M} UTC"
