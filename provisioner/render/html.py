"""Plans as one HTML page, for a reviewer who wants to see the whole of it, to search it, or to print it.

Owns what the page says; its markup stands in ``templates``. The page needs no script to
be read, asks for nothing from anywhere, and its policy lets no script and no style run
but its own two. Refuses to say more than the text plan may (what a callback's URL hides
stays hidden), and to make markup of any value: all of them go through one filter, which
writes out what cannot be seen, and are escaped by the template engine.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, assert_never

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from provisioner.model.account import Attributes, shown_value
from provisioner.model.plan import (
    Change,
    Closed,
    Create,
    FieldChange,
    Gone,
    Plan,
    Unchanged,
    Undecided,
    Unmanaged,
    Update,
)
from provisioner.model.state import Slots
from provisioner.render import words
from provisioner.render.lines import counted, printable
from provisioner.render.words import Code, Label, Name, Sentence

_ROWS: Final = 250
"""Changes in one table; a longer plan has several, so that a browser lays out only those in view."""
_LINES: Final = 1000
"""Unchanged accounts in one list, for the same reason."""
_NAMED: Final = 20
"""Names that the refusal tells; the table marks all of them."""
_MARKED_SLOTS: Final = 100
"""Slots up to which the gauge shows each by itself."""
_NUMBERED: Final = 0.03
"""The least share of the gauge that has room for a number."""

_KEYS: Final = {label: label.word.replace(" ", "-") for label in Label}
"""Labels as the filter and the style know them."""


# ── What the templates are given ─────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of an update; ``statement`` stands for all else where it is a password, which is never shown."""

    path: str
    statement: str | None = None
    before: str | None = None
    after: str | None = None
    drifted: bool = False
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """One change."""

    label: Label
    name: str
    explanation: Sentence = ()
    attributes: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[Sentence, ...], ...] = ()
    fields: tuple[_Field, ...] = ()

    @property
    def key(self) -> str:
        """Its label, as the filter and the style know it."""
        return _KEYS[self.label]


@dataclass(frozen=True, slots=True)
class _Gauge:
    """The slots of a parent as lengths; every place is a share of the whole, in percent."""

    segments: tuple[tuple[str, str, str], ...]
    """The kind, where it begins, and how long it is."""
    lines: tuple[tuple[str, str], ...]
    """Between two slots: the kind, which may be empty, and the place."""
    limit: str | None
    """Where the limit is, if slots are wanted beyond it."""
    numbers: tuple[tuple[str, int], ...]
    legend: tuple[tuple[str, str], ...]
    """Kinds, and what is said of each."""


@dataclass(frozen=True, slots=True)
class _Parent:
    """One parent's plan."""

    number: int
    """From 1; by it the page links to the parent, whatever its name is."""
    plan: Plan
    serial: str
    slots: str
    summary: str
    refusal: Sentence
    gauge: _Gauge
    rows: tuple[_Row, ...]
    parts: tuple[tuple[str, tuple[_Row, ...]], ...]
    """The caption, empty where it is the only one, and the rows of each table."""
    unchanged: tuple[tuple[str, str], ...]
    """The accounts that stay as they are, and whose they are."""
    lines: int = _LINES


# ── The page ─────────────────────────────────────────────────────────────────


def page(plans: Sequence[Plan], digest: str) -> str:
    """Return the whole page; ``digest`` is that of the plans, as the footer tells it."""
    style, script = _asset("page.css"), _asset("page.js")
    parents = [_parent(number, plan) for number, plan in enumerate(plans, 1)]
    found = Counter(row.label for parent in parents for row in parent.rows)
    return (
        _environment()
        .get_template("page.html")
        .render(
            policy=(
                f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)};"
                " base-uri 'none'; form-action 'none'"
            ),
            title=f"Plan for {plans[0].parent if len(plans) == 1 else counted(len(plans), 'parent')}",
            style=style,
            script=script,
            parents=parents,
            labels=[(label, _KEYS[label], found[label]) for label in Label if found[label]],
            digest=digest,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("provisioner.render"),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["nothing"] = words.value("", None)
    environment.filters["accounts"] = lambda count: counted(count, "account")
    environment.tests["code"] = lambda piece: isinstance(piece, Name | Code)
    return environment


def _visible(value: object) -> object:
    """Return markup as it is, and all else as a text with nothing in it that cannot be seen; then it is escaped."""
    if type(value) is str and value.isprintable():  # nearly every value; a page has many
        return value
    return value if isinstance(value, Markup) else printable(str(value))


def _asset(name: str) -> Markup:
    """Return a file of the page, with the line ends that a browser will have made of it when it takes the hash."""
    content = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return Markup(content)  # noqa: S704  # what a file of this package holds is ours: nothing of a plan is in it


def _source(content: str) -> str:
    """Return how a policy names the one content that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def _parent(number: int, plan: Plan) -> _Parent:
    rows = tuple(_row(label, change) for label, change in words.shown(plan))
    return _Parent(
        number,
        plan,
        "no state yet" if plan.lineage is None else f"state serial {plan.serial}",
        words.slots(plan.slots),
        words.summary([plan]),
        words.refusal(plan, _NAMED) if plan.over else (),
        _gauge(plan.slots),
        rows,
        tuple(_parts(rows)),
        tuple(
            (each.name, words.holder(each.attributes))
            for each in plan.changes
            if isinstance(each, Unchanged) and each.is_sure
        ),
    )


def _parts(rows: tuple[_Row, ...]) -> Iterator[tuple[str, tuple[_Row, ...]]]:
    """Yield the tables of ``rows``: one, or one for as many as a browser lays out at once."""
    if len(rows) <= _ROWS:
        if rows:
            yield "", rows
        return
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        yield f"Changes {begin + 1} to {begin + len(some)} of {len(rows)}", some


# ── The gauge ────────────────────────────────────────────────────────────────


def _gauge(slots: Slots) -> _Gauge:
    over = min(slots.planned, max(0, -slots.left))
    kinds = (
        ("known", slots.used - slots.unknown, "used for certain" if slots.unknown else "used"),
        ("unknown", slots.unknown, "used, unknown"),
        ("reserved", slots.reserved, "reserved"),
        ("planned", slots.planned - over, "planned"),
        ("over", over, "planned without a slot"),
        ("left", max(0, slots.left), "left"),
    )
    whole = sum(count for _, count, _ in kinds) or 1
    segments: list[tuple[str, str, str]] = []
    numbers: list[tuple[str, int]] = []
    legend: list[tuple[str, str]] = []
    begin = 0
    for kind, count, what in kinds:
        if count:
            segments.append((kind, _share(begin, whole), _share(count, whole)))
            if count / whole >= _NUMBERED:
                numbers.append((_share(begin + count / 2, whole), count))
            legend.append((kind, f"{count} {what}"))
        begin += count
    taken = whole - max(0, slots.left)
    marked = range(1, whole) if whole <= _MARKED_SLOTS else ()
    lines = tuple(("free" if slot > taken else "", _share(slot, whole)) for slot in marked)
    if slots.left < 0:
        legend.append(("mark-limit", f"the limit of {slots.limit}: {-slots.left} too many"))
    elif not slots.left:
        legend.append(("left", "0 left"))
    limit = _share(slots.limit, whole) if slots.left < 0 else None
    return _Gauge(tuple(segments), lines, limit, tuple(numbers), tuple(legend))


def _share(count: float, whole: int) -> str:
    return f"{100 * count / whole:.4g}%"


# ── What is to be done ───────────────────────────────────────────────────────


def _row(label: Label, change: Change) -> _Row:
    match change:
        case Create(account=account):
            return _Row(label, account.name, (), _attributes(account.attributes), tuple(words.notes(change)))
        case Update(account=account):
            begun = ("An earlier run began it, and its outcome is not known.",) if change.unfinished else ()
            return _Row(label, account.name, begun, fields=tuple(map(_field, change.fields)))
        case Unchanged():
            return _Row(label, change.name, words.explanation(change))
        case Gone():
            why: Sentence = (*words.explanation(change), ".")
        case Closed():
            why = (*words.explanation(change), f" ({change.reason})")
        case Unmanaged() | Undecided():
            why = words.explanation(change)
        case _:
            assert_never(change)
    return _Row(label, change.name, why, _attributes(change.attributes))


def _attributes(attributes: Attributes) -> tuple[tuple[str, str], ...]:
    return tuple((path, shown_value(path, value)) for path, value in attributes.flat().items())


def _field(change: FieldChange) -> _Field:
    """Return one field of an update; what its values may hide is masked."""
    if (renewed := words.new_password(change)) is not None:
        return _Field("password", renewed)
    before, after = (None if each is None else words.value(change.path, each) for each in (change.before, change.after))
    remark = ""
    if before == after:
        remark = words.MASKED_ALIKE
    elif change.path == "name":
        remark = "(nothing is sent for that)"
    return _Field(change.path, None, before, after, change.drifted, remark)
