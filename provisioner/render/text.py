"""Plans and problems as the text that people read, in a terminal and in a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from provisioner.model.account import Problem, Severity
from provisioner.model.plan import Change, Create, FieldChange, Plan, Update
from provisioner.render import words
from provisioner.render.lines import BAD, CHANGED, GOOD, HEADING, QUIET, Line, counted, printable
from provisioner.render.words import Code, Label, Sentence

_NAMED: Final = 20
"""Names in one line; of more, it says how many."""
_NAME_WIDTH: Final = 24
"""A longer name pushes its own line to the right and no other."""
_WORD_WIDTH: Final = max(len(label.word) for label in Label)


def plan(this: Plan) -> list[Line]:
    """Return what an apply would do for one parent; accounts that stay as they are only count."""
    shown = [line for _, lines in changes(this) for line in lines]
    heading = Line(f"{printable(this.parent)}: {words.slots(this.slots)}", HEADING)
    return [heading, *terms(this), *shown, Line(words.summary([this]))]


def head(these: Iterable[Plan]) -> list[Line]:
    """Return which settings are not as they usually are: they hold for all plans, and stand before them."""
    known = next((plan.terms for plan in these if plan.terms is not None), None)
    return [] if known is None else [Line(printable(_begun(said)), CHANGED) for said in words.settings(known.settings)]


def terms(this: Plan) -> list[Line]:
    """Return where one parent's plan is carried out, for whose eyes where that changes, and what is read for it."""
    lines = [Line(f"  {plain(said)}", CHANGED) for said in words.all_reading(this)]
    if (said := words.selection(this, _NAMED)) is not None:
        lines.insert(0, Line(f"  {plain(said)}", CHANGED))
    if (on := this.terms) is None:
        return lines
    if (said := words.freeze(on)) is not None:
        lines.insert(0, Line(f"  {plain(said)}", BAD if on.is_frozen else QUIET))
    place = Line(f"  {printable(words.where(on))}", CHANGED if on.begins else QUIET)
    who = [Line(f"  {plain(said)}", BAD if on.shuts_out else CHANGED) for said in words.recipients(on)]
    return [place, *who, *lines]


def digest(this: str) -> Line:
    """Return the digest of the plans: the whole of it, on a line of its own."""
    return Line(f"Plan digest: {this}", QUIET)


def _begun(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}."


def changes(this: Plan) -> Iterator[tuple[Label, list[Line]]]:
    """Yield the label and the lines of each change that is worth showing; those that nobody asks for are never made."""
    shown = list(words.shown(this))
    width = min(_NAME_WIDTH, max((len(printable(change.name)) for _, change in shown), default=0))
    for label, change in shown:
        name = printable(change.name).ljust(width)
        first = f"  {label.mark} {label.word:<{_WORD_WIDTH}}  {name}  {_what(change)}"
        yield label, [Line(first, label.style), *(Line(f"      {each}", CHANGED) for each in _more(label, change))]


def _what(change: Change) -> str:
    """Return what the line of a change says after its name."""
    match change:
        case Create(account=account):
            hooks = len(account.attributes.callbacks.given())
            return printable(words.holder(account.attributes)) + (f", {counted(hooks, 'callback')}" if hooks else "")
        case Update(fields=fields, unfinished=unfinished):
            begun = " (an earlier run began it)" if unfinished else ""
            return f"{counted(len(fields), 'field')}{begun}" if fields else "what an earlier run began"
        case _:
            return plain(words.explanation(change))


def _more(label: Label, change: Change) -> Iterator[str]:
    """Yield what stands below the line of a change."""
    if isinstance(change, Update):
        yield from map(field, change.fields)
        if change.begun is not None:
            yield words.begun(change.begun)
    if said := words.reading(change):
        yield printable(said)
    if label is Label.CREATE and isinstance(change, Create):
        for note in words.notes(change):
            yield from map(plain, note)


def plain(sentence: Sentence) -> str:
    """Return a sentence in which nothing is left that a terminal would obey."""
    return printable("".join(f"`{piece}`" if isinstance(piece, Code) else piece for piece in sentence))


def field(change: FieldChange) -> str:
    """Return one field of an update in one line."""
    if (renewed := words.new_password(change)) is not None:
        return printable(f"password: {renewed}")
    before, after = words.value(change.path, change.before), words.value(change.path, change.after)
    if change.drifted:
        found = "" if change.before is None else f" to {before}"
        said = f"somebody changed it at Octopush{found} -> {after}"
    else:
        said = f"{before} -> {after}"
    remark = words.remark(change)
    return f"{change.path}: {said}{f' ({remark})' if remark else ''}"


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
    """Return the sentence that ends a validation."""
    errors = sum(each.severity is Severity.ERROR for each in these)
    if errors:
        return Line(f"Not valid: {counted(errors, 'problem')}.", BAD)
    warnings = sum(each.severity is Severity.WARNING for each in these)
    more = f", {counted(warnings, 'warning')}" if warnings else ""
    return Line(f"Valid: {counted(accounts, 'account')}{more}.", GOOD)
