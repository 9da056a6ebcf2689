"""Plans as one HTML page, for a reviewer who wants to see the whole of it, to search it, or to print it.

Owns the page's shape, and the one place through which every value goes into it. The page
needs no script to be read, asks for nothing from anywhere, and its policy lets no script
and no style run but its own two. Refuses to say more than the text plan may: what a
callback's URL hides stays hidden.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Final, assert_never

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
from provisioner.render import text
from provisioner.render.lines import counted, printable

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


# ── The one way in ───────────────────────────────────────────────────────────


class _Markup(str):
    """Text that is markup: what this package itself holds, and what templates and rows make. All else is a value."""

    __slots__ = ()


def _inert(value: str) -> str:
    """Return ``value`` as it may stand in an element or in a quoted attribute: markup as it is, all else as text."""
    if isinstance(value, _Markup):
        return value
    value = printable(value)
    return escape(value) if _SPECIAL.search(value) else value


# What ``escape`` writes otherwise. Most texts have none of it, and one search is less work than five replacements.
_SPECIAL: Final = re.compile("""[&<>"']""")


class _Template:
    """Markup with a ``%s`` for each value; one too few or too many is an error."""

    __slots__ = ("_source",)

    def __init__(self, source: str) -> None:
        self._source = source

    def __call__(self, *values: str) -> _Markup:
        return _Markup(self._source % tuple(map(_inert, values)))


def _row(parts: Iterable[_Markup]) -> _Markup:
    """Return pieces of markup one after the other."""
    return _Markup("".join(map(_inert, parts)))


# ── Templates ────────────────────────────────────────────────────────────────

_EMPTY: Final = _Markup()
_PAGE: Final = _Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="%s">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
%s
</head>
<body>
<a class="skip" href="#plan">Skip to the plan</a>
<header>
<h1>%s</h1>
%s</header>
%s
<main id="plan">
%s
</main>
<footer><p>Plan <code>%s</code></p></footer>
%s
</body>
</html>
""")
_STYLE: Final = _Template("<style>%s</style>")
_SCRIPT: Final = _Template("<script>%s</script>")
_NAV: Final = _Template('<nav aria-label="Parents"><ul>\n%s</ul></nav>\n')
_NAV_ITEM: Final = _Template('<li><a href="#parent-%s">%s</a> <span>%s</span></li>\n')
_FILTER: Final = _Template("""\
<form id="filter" role="search" aria-label="Filter the changes" hidden>
<label>Filter <input type="search" autocomplete="off" spellcheck="false" placeholder="name, field or value"></label>
<button type="reset">Show all</button>
<p id="found" role="status" aria-live="polite"></p>
%s</form>""")
_ONLY: Final = _Template("<fieldset><legend>Only</legend>\n%s</fieldset>\n")
_BOX: Final = _Template('<label><input type="checkbox" value="%s">%s (%s)</label>\n')
_SECTION: Final = _Template("""\
<section aria-labelledby="parent-%s">
<div class="title"><h2 id="parent-%s">%s</h2><p>%s</p></div>
<p class="slots">%s</p>
%s
%s<p class="summary">%s</p>
%s<p class="no-match" hidden>Nothing of this parent matches the filter.</p>
%s</section>
""")
_REFUSED: Final = _Template(
    '<p class="refused"><strong>Refused</strong>: there is no slot for %s. Nothing would be sent.</p>\n'
)
_TABLE: Final = _Template("""\
<div class="part%s"><table>
<caption%s>%s</caption>
<thead><tr><th scope="col">Action</th><th scope="col">Account</th><th scope="col">What</th></tr></thead>
<tbody>
%s</tbody></table></div>
""")
_SAME: Final = _Template("<details><summary>%s unchanged</summary>\n%s</details>\n")
_LIST: Final = _Template('<ul class="same">\n%s</ul>\n')
_LIST_ITEM: Final = _Template('<li><span class="name">%s</span> <span>%s</span></li>\n')


def _key(word: str) -> str:
    """Return the word for an action as the filter and the style know it."""
    return word.replace(" ", "-")


def _change_row(word: str, mark: str) -> _Template:
    key = _key(word)
    return _Template(
        f'<tr data-action="{key}"><td><span class="mark do-{key}"><b aria-hidden="true">{mark}</b> {word}</span></td>\n'
        '<th scope="row" class="name">%s</th>\n<td>%s</td></tr>\n'
    )


# By the word that stands for the action; the marks are those of the text plan.
_CHANGE_ROWS: Final = {
    word: _change_row(word, mark)
    for word, mark in (
        ("create", "+"),
        ("no slot", "x"),
        ("update", "~"),
        ("unknown", "?"),
        ("gone", "-"),
        ("unmanaged", "!"),
        ("abandoned", "-"),
        ("drift", "="),
    )
}


@cache
def _attribute_list(paths: tuple[str, ...]) -> _Template:
    """Return the list of attributes with these names, which are ours; most accounts have the same few of them."""
    pairs = "\n".join(f"<div><dt>{path}</dt> <dd>%s</dd></div>" for path in paths)
    return _Template(f"<dl>{pairs}</dl>")


_SAID: Final = _Template("<p>%s</p>")
_NOTE: Final = _Template('<p class="note">%s</p>')
_FIELDS: Final = _Template('<ul class="fields">%s</ul>')
_FIELD: Final = _Template('<li><span class="path">%s</span> %s</li>\n')
_BEFORE_AFTER: Final = _Template(
    '<span class="read">from </span>%s <span aria-hidden="true">→</span><span class="read"> to </span>%s%s'
)
_DRIFTED: Final = _Template(
    'somebody changed it at Octopush%s; back <span aria-hidden="true">→</span><span class="read">to </span> %s'
)
_FOUND: Final = _Template(" to %s")
_BEFORE: Final = _Template("<del>%s</del>")
_AFTER: Final = _Template("<ins>%s</ins>")
_NONE: Final = _Template('<span class="none">%s</span>')
_QUIET: Final = _Template(' <span class="quiet">%s</span>')
_CODE: Final = _Template("<code>%s</code>")
_MORE: Final = _Template(", <code>%s</code>")
_OTHERS: Final = _Template(" and %s more")
_HIDDEN: Final = _Markup(' class="read"')
_LONG: Final = _Markup(" long")
_RESEMBLES: Final = _Template(
    "%s is in no manifest and has the same attributes. If %s is its new name,"
    " write <code>previously: %s</code> under %s: else this is a second account."
)
_FORGET: Final = _Template("%s; <code>provisioner forget %s</code> frees its slot.")

# The patterns of the gauge, once for the page: stripes with a question's slant, dots, bars, crosses.
_PATTERNS: Final = _Markup("""\
<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<pattern id="questioned" width="8" height="8" patternUnits="userSpaceOnUse">\
<rect class="back" width="8" height="8"/><path class="ink-alarm" d="M-2 10 10 -2M-2 2 2 -2M6 10 10 6"/></pattern>
<pattern id="dotted" width="8" height="8" patternUnits="userSpaceOnUse">\
<rect class="back" width="8" height="8"/><circle class="dot-used" cx="4" cy="4" r="1.8"/></pattern>
<pattern id="ruled" width="8" height="8" patternUnits="userSpaceOnUse">\
<rect class="back" width="8" height="8"/><path class="ink-planned" d="M0 4H8"/></pattern>
<pattern id="crossed" width="9" height="9" patternUnits="userSpaceOnUse">\
<rect class="back" width="9" height="9"/><path class="ink-alarm" d="M0 0 9 9M9 0 0 9"/></pattern>
</defs></svg>
""")
_GAUGE: Final = _Template(
    '<svg class="gauge" aria-hidden="true" focusable="false">\n%s</svg>\n<ul class="legend">\n%s</ul>'
)
_SEGMENT: Final = _Template('<rect class="%s" x="%s" width="%s" height="100%%"/>\n')
_NUMBER: Final = _Template('<text x="%s" y="50%%">%s</text>\n')
_BETWEEN: Final = _Template('<line x1="%s" x2="%s" y1="0" y2="100%%"/>\n')
_FREE: Final = _Template('<line class="free" x1="%s" x2="%s" y1="0" y2="100%%"/>\n')
_FRAME: Final = _Markup('<rect class="frame" width="100%" height="100%"/>\n')
_LIMIT: Final = _Template('<line class="limit" x1="%s" x2="%s" y1="-15%%" y2="115%%"/>\n')
_LEGEND: Final = _Template(
    '<li><svg aria-hidden="true" focusable="false"><rect class="%s" width="100%%" height="100%%"/></svg>%s</li>\n'
)


# ── The page ─────────────────────────────────────────────────────────────────


def page(plans: Sequence[Plan], digest: str) -> str:
    """Return the whole page; ``digest`` is that of the plans, as the footer tells it."""
    style, script = _asset("page.css"), _asset("page.js")
    # What a file of this package holds is markup of ours: nothing of a plan is in it.
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)};"
        " base-uri 'none'; form-action 'none'"
    )
    title = f"Plan for {plans[0].parent if len(plans) == 1 else counted(len(plans), 'parent')}"
    told = [_Told(plan) for plan in plans]
    return _PAGE(
        policy,
        title,
        _STYLE(_Markup(style)),
        title,
        _navigation(plans) if len(plans) > 1 else _EMPTY,
        _filter(told),
        _row((_PATTERNS, *(_section(number, each) for number, each in enumerate(told, 1)))),
        digest,
        _SCRIPT(_Markup(script)),
    )


class _Told:
    """A plan with its rows, each beside the word for its action, and the accounts that stay as they are."""

    __slots__ = ("plan", "rows", "same", "words")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.words: Counter[str] = Counter()
        self.rows: list[_Markup] = []
        self.same: list[Unchanged] = []
        over = set(plan.over)
        for change in plan.changes:
            if isinstance(change, Unchanged) and change.is_sure:
                self.same.append(change)
            else:
                word, what = _what(change, fits=change.name not in over)
                self.words[word] += 1
                self.rows.append(_CHANGE_ROWS[word](change.name, what))


def _asset(name: str) -> str:
    """Return a file of the page, with the line ends that a browser will have made of it when it takes the hash."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _source(content: str) -> str:
    """Return how a policy names the one content that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def _navigation(plans: Sequence[Plan]) -> _Markup:
    return _NAV(_row(_NAV_ITEM(str(number), plan.parent, text.summary(plan)) for number, plan in enumerate(plans, 1)))


def _filter(told: Sequence[_Told]) -> _Markup:
    words = sum((each.words for each in told), Counter[str]())
    boxes = [_BOX(_key(word), word, str(words[word])) for word in _CHANGE_ROWS if words[word]]
    return _FILTER(_ONLY(_row(boxes)) if boxes else _EMPTY)


def _section(number: int, told: _Told) -> _Markup:
    plan = told.plan
    return _SECTION(
        str(number),
        str(number),
        plan.parent,
        "no state yet" if plan.lineage is None else f"state serial {plan.serial}",
        text.slots(plan.slots),
        _gauge(plan.slots),
        _REFUSED(_names(plan.over)) if plan.over else _EMPTY,
        text.summary(plan),
        _row(_tables(told.rows)),
        _unchanged(told.same),
    )


def _names(names: Sequence[str]) -> _Markup:
    told = [(_MORE if position else _CODE)(name) for position, name in enumerate(names[:_NAMED])]
    return _row((*told, *([_OTHERS(str(len(names) - _NAMED))] if len(names) > _NAMED else ())))


# ── The gauge ────────────────────────────────────────────────────────────────


def _gauge(slots: Slots) -> _Markup:
    """Return the parent's slots as a length of each kind, and a legend that says the same in words."""
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
    segments: list[_Markup] = []
    numbers: list[_Markup] = []
    legend: list[_Markup] = []
    begin = 0
    for kind, count, words in kinds:
        if count:
            segments.append(_SEGMENT(kind, _share(begin, whole), _share(count, whole)))
            if count / whole >= _NUMBERED:
                numbers.append(_NUMBER(_share(begin + count / 2, whole), str(count)))
            legend.append(_LEGEND(kind, f"{count} {words}"))
        begin += count
    if whole <= _MARKED_SLOTS:
        taken = whole - max(0, slots.left)
        for slot in range(1, whole):
            place = _share(slot, whole)
            segments.append((_FREE if slot > taken else _BETWEEN)(place, place))
    segments.append(_FRAME)
    if slots.left < 0:
        place = _share(slots.limit, whole)
        segments.append(_LIMIT(place, place))
        legend.append(_LEGEND("mark-limit", f"the limit of {slots.limit}: {-slots.left} too many"))
    elif not slots.left:
        legend.append(_LEGEND("left", "0 left"))
    return _GAUGE(_row((*segments, *numbers)), _row(legend))


def _share(count: float, whole: int) -> str:
    return f"{100 * count / whole:.4g}%"


# ── What is to be done ───────────────────────────────────────────────────────


def _tables(rows: Sequence[_Markup]) -> Iterator[_Markup]:
    """Yield the tables of ``rows``: one, or one for as many as a browser lays out at once."""
    if len(rows) <= _ROWS:
        if rows:
            yield _TABLE(_EMPTY, _HIDDEN, "Changes", _row(rows))
        return
    for begin in range(0, len(rows), _ROWS):
        some = rows[begin : begin + _ROWS]
        yield _TABLE(_LONG, _EMPTY, f"Changes {begin + 1} to {begin + len(some)} of {len(rows)}", _row(some))


def _unchanged(these: Sequence[Unchanged]) -> _Markup:
    """Return the accounts that stay as they are, folded."""
    if not these:
        return _EMPTY
    items = [_LIST_ITEM(each.name, _holder(each.attributes)) for each in these]
    lists = (_LIST(_row(items[begin : begin + _LINES])) for begin in range(0, len(items), _LINES))
    return _SAME(counted(len(these), "account"), _row(lists))


def _holder(attributes: Attributes) -> str:
    company = f", {attributes.company_name}" if attributes.company_name else ""
    return f"{attributes.first_name} {attributes.last_name}{company}"


def _what(change: Change, *, fits: bool) -> tuple[str, _Markup]:
    """Return the word for an action, and what it does."""
    match change:
        case Create():
            what = _attributes(change.account.attributes)
            before = change.account.previously
            unmoved = _NOTE(text.unmoved(before)) if before is not None else _EMPTY
            proposal = _proposal(change) if change.resembles else _EMPTY
            return "create" if fits else "no slot", _row((what, unmoved, proposal))
        case Update():
            return "update", _update(change)
        case Unchanged() if change.unchecked is not None:
            return "drift", _SAID(f"could not be looked at: {change.unchecked}")
        case Unchanged():
            return "drift", _SAID(text.drifted(change.drift))
        case Unmanaged():
            return "unmanaged", _held(text.unmanaged(change), change.attributes)
        case Gone():
            return "gone", _held(_FORGET(change.reason, change.name), change.attributes)
        case Undecided():
            return "unknown", _held(change.reason, change.attributes)
        case Closed():
            words = f"keeps its slot; to create it anew, give it another name ({change.reason})"
            return "abandoned", _held(words, change.attributes)
        case _:
            assert_never(change)


def _held(words: str, attributes: Attributes) -> _Markup:
    """Return what is said of an account that is not touched, and by what it can be known."""
    return _row((_SAID(words), _attributes(attributes)))


def _attributes(attributes: Attributes) -> _Markup:
    flat = attributes.flat()
    return _attribute_list(tuple(flat))(*(shown_value(path, value) for path, value in flat.items()))


def _proposal(change: Create) -> _Markup:
    twin, own = change.resembles or "", change.name
    return _NOTE(_RESEMBLES(_CODE(twin), _CODE(own), twin, _CODE(own)))


def _update(change: Update) -> _Markup:
    begun = _SAID("An earlier run began it, and its outcome is not known.") if change.unfinished else _EMPTY
    fields = _FIELDS(_row(map(_field, change.fields))) if change.fields else _EMPTY
    return _row((begun, fields))


def _field(change: FieldChange) -> _Markup:
    """Return one field of an update; what its values may hide is masked by ``text.value``."""
    if change.path == "password":
        return _FIELD("password", "a new one")
    if change.path == "password_version":
        return _FIELD("password", f"a new one, for version {change.after} ({change.before} before)")
    before, after = text.value(change.path, change.before), text.value(change.path, change.after)
    shown_after = _AFTER(after) if change.after is not None else _NONE(after)
    if change.drifted:
        found = _EMPTY if change.before is None else _FOUND(_BEFORE(before))
        return _FIELD(change.path, _DRIFTED(found, shown_after))
    shown_before = _BEFORE(before) if change.before is not None else _NONE(before)
    remark = _EMPTY
    if before == after:
        remark = _QUIET("(the masked part differs)")
    elif change.path == "name":
        remark = _QUIET("(nothing is sent for that)")
    return _FIELD(change.path, _BEFORE_AFTER(shown_before, shown_after, remark))
