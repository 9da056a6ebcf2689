"""Plans and problems as text for people, at a terminal or in a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provisioner.model.account import Problem, Severity
from provisioner.model.plan import (
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
)
from provisioner.render import conditions, words
from provisioner.render.lines import BAD, CHANGED, GOOD, HEADING, QUIET, Line, counted, printable, table
from provisioner.render.words import CodeText, Label, Sentence, View

if TYPE_CHECKING:  # no plan has a report
    from provisioner.model.report import Attempt
    from provisioner.model.terms import Terms

_NAMED: Final = 20
"""How many names one line lists; it only counts the rest."""
_WIDEST: Final = 24
"""The widest column; a longer name shifts only its own line."""
_MANY: Final = 20
"""Up to this many accounts to create, over all parents, each is shown with every field."""
_SOUGHT: Final = (*words.HOLDER, "sent")
_WORD_WIDTH: Final = max(len(label.word) for label in Label)


def plans(these: Sequence[Plan], digest: str, view: View = words.PUBLISHED) -> list[Line]:
    """Return what an apply would do for every parent, and the ``digest`` of the plans."""
    compact = is_compact(these, view)
    lines = head(these)
    for this in these:
        lines += plan(this, replace(view, compact=compact))
    short = [Line(words.SHORTENED, QUIET)] if compact and view.compact is None else []
    total = f"{words.summary(these).removesuffix('.')}, for all {len(these)} parents."
    return [*lines, *([Line(total, HEADING)] if len(these) > 1 else []), *short, Line(f"Plan digest: {digest}", QUIET)]


def is_compact(these: Iterable[Plan], view: View) -> bool:
    """Return whether each account to create takes one line: as the view says, or else if there are many in total."""
    return sum(len(this.creates) for this in these) > _MANY if view.compact is None else view.compact


def plan(this: Plan, view: View = words.PUBLISHED) -> list[Line]:
    """Return what an apply would do for one parent; unchanged accounts are only counted."""
    shown = [line for _, lines in changes(this, view) for line in lines]
    heading = Line(f"{printable(this.parent)}: {words.slots(this.slots)}", HEADING)
    return [heading, *terms(this, view), *shown, Line(words.summary([this]))]


def head(these: Iterable[Plan]) -> list[Line]:
    """Return the settings that differ from their defaults; they apply to all plans and come first."""
    settings = next((plan.terms.settings for plan in these if plan.terms is not None), ())
    return [Line(printable(_capitalized(effect)), CHANGED) for effect in conditions.settings(settings)]


def terms(this: Plan, view: View = words.PUBLISHED) -> list[Line]:
    """Return where one parent's plan is applied, changes of the recipients, and what is read for it."""
    lines = [Line(f"  {plain(each)}", CHANGED) for each in conditions.all_reading(this)]
    if (selection := words.selection(this, _NAMED)) is not None:
        lines.insert(0, Line(f"  {plain(selection)}", CHANGED))
    if (on := this.terms) is None:
        return lines
    if (freeze := conditions.freeze(on)) is not None:
        lines.insert(0, Line(f"  frozen {plain(freeze)}", BAD))
    if (past := conditions.past_freeze(on)) is not None:
        lines.insert(0, Line(f"  {plain(past)}", QUIET))
    who = [Line(f"  {plain(each)}", BAD if on.shuts_out else CHANGED) for each in conditions.recipients(on)]
    return [*place(on, view), *who, *lines]


def place(on: Terms, view: View, *, begun: bool | None = None) -> list[Line]:
    """Return where a plan is applied, or was."""
    style = CHANGED if on.begins and begun is None else QUIET
    return [Line(f"  {each}", style) for each in aligned(conditions.place(on, view, begun=begun).items())]


def _capitalized(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}."


def aligned(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each label and its value, printable."""
    these = list(pairs)
    width = max((len(label) for label, _ in these), default=0)
    return [f"{label:<{width}}  {printable(value)}" for label, value in these]


def changes(this: Plan, view: View = words.PUBLISHED) -> Iterator[tuple[Label, list[Line]]]:
    """Yield the label and the lines of each change to show, lazily: a caller may stop early."""
    shown = list(words.shown(this))
    width = min(_WIDEST, max((len(printable(change.name)) for _, change in shown), default=0))
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*map(_holder, this.creates), strict=True)]
    for label, change in shown:
        match change:
            case Create():
                what = "  ".join(map(str.ljust, _holder(change), widths)).rstrip()
                what += _rest(change) if view.compact else ""
            case _:
                what = _what(change)
        first = f"  {label.mark} {label.word:<{_WORD_WIDTH}}  {printable(change.name):<{width}}  {what}".rstrip()
        more = (Line(f"      {each}", CHANGED) for each in _more(label, change, view))
        yield label, [Line(first, label.style), *more]


def _holder(this: Create) -> tuple[str, ...]:
    """Return first name, last name and company, one per column."""
    attributes = this.account.attributes
    return tuple(map(printable, (attributes.first_name, attributes.last_name, attributes.company_name or "")))


def _rest(change: Create) -> str:
    """Return the rest of the only line of an account to create."""
    hooks = len(change.account.attributes.callbacks.given())
    parts = (counted(hooks, "callback") if hooks else "", printable(conditions.reading(change)))
    return f" ({', '.join(filter(None, parts))})" if any(parts) else ""


def _what(change: Update | Unchanged | Unmanaged | Gone | StillUnknown | StillAbandoned) -> str:
    """Return the text after the name in the line of a change."""
    match change:
        case Update(fields=fields, unfinished=unfinished):
            origin = " (started by an earlier run)" if unfinished else ""
            return f"{counted(len(fields), 'field')}{origin}" if fields else "finishes what an earlier run started"
        case _:
            return plain(words.explanation(change))


def _more(label: Label, change: Change, view: View) -> Iterator[str]:
    """Yield the lines below the line of a change."""
    match change:
        case Create():
            if not view.compact:
                given = words.given(change.account).items()
                yield from aligned(each for each in given if each[0] not in words.HOLDER)
            for note in words.notes(change) if label is Label.CREATE else ():
                yield from map(plain, note)
        case Update():
            yield from aligned(map(field, change.fields))
            if change.edit is not None:
                yield words.unfinished_edit(change.edit)
            if reading := conditions.reading(change):
                yield printable(reading)
        case StillUnknown():
            yield from aligned(words.attempt(change.attributes, change.since, view).items())
        case _:
            pass


def plain(sentence: Sentence) -> str:
    """Return a sentence as text without terminal control sequences."""
    return printable("".join(f"`{piece}`" if isinstance(piece, CodeText) else piece for piece in sentence))


def field(change: FieldChange) -> tuple[str, str]:
    """Return the label of one field of an update, and its old and new value."""
    if (renewed := words.new_password(change)) is not None:
        return "password", renewed
    remarks = words.remarks(change)
    values = f"{words.before(change)} -> {words.value(change.path, change.after)}{f' ({remarks})' if remarks else ''}"
    return words.label(change.path), values


def unknowns(these: Mapping[str, Attempt], view: View) -> Iterator[Line]:
    """Yield a table of the fields to look for in Octopush's dashboard, one row per account."""
    rows = []
    for name, each in these.items():
        found = words.attempt(each.attributes, each.since, view)
        rows.append(tuple(map(printable, (name, *(found.get(label, "") for label in _SOUGHT)))))
    if rows:
        yield from table(("UNKNOWN", *map(str.upper, _SOUGHT)), rows)


def problem(this: Problem) -> list[Line]:
    """Return one problem as compilers print them: place, severity, message, and a hint below."""
    origin = this.origin
    place = origin.file
    if origin.cell:
        place += f" {origin.cell}"
    elif origin.line is not None:
        place += f":{origin.line}"
        if origin.column is not None:
            place += f":{origin.column}"
    row = f" (row {origin.row}{', ' + this.path if this.path else ''})" if origin.row is not None else ""
    style = {Severity.ERROR: BAD, Severity.WARNING: CHANGED, Severity.NOTE: QUIET}[this.severity]
    lines = [Line(f"{printable(place)}{printable(row)}: {this.severity.value}: {printable(this.message)}", style)]
    if this.hint:
        lines.append(Line(f"    {printable(this.hint)}"))
    return lines


def verdict(these: Sequence[Problem], accounts: int) -> Line:
    """Return the last line of a validation."""
    errors = sum(each.severity is Severity.ERROR for each in these)
    if errors:
        return Line(f"Not valid: {counted(errors, 'problem')}.", BAD)
    warnings = sum(each.severity is Severity.WARNING for each in these)
    more = f", {counted(warnings, 'warning')}" if warnings else ""
    return Line(f"Valid: {counted(accounts, 'account')}{more}.", GOOD)
