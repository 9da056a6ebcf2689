"""Plans and problems as the text that people read, in a terminal and in a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, assert_never

from provisioner.errors import Advice, Remedy
from provisioner.model.account import Attributes, Problem, Severity, shown_value
from provisioner.model.plan import (
    UNFINISHED,
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
from provisioner.model.state import NO_DRIFT, Drift, Slots
from provisioner.render import advice
from provisioner.render.lines import BAD, CHANGED, GOOD, HEADING, QUIET, Line, counted, printable

_NAME_WIDTH: Final = 24
"""A longer name pushes its own line to the right and no other."""


def plan(this: Plan) -> list[Line]:
    """Return what an apply would do for one parent; accounts that stay as they are only count."""
    told = [line for _, lines in changes(this) for line in lines]
    return [Line(f"{this.parent}: {slots(this.slots)}", HEADING), *told, Line(summary(this))]


def changes(this: Plan) -> Iterator[tuple[Change, list[Line]]]:
    """Yield each change that is worth a look, and its lines; those that nobody asks for are never made."""
    shown = noted(this)
    width = min(_NAME_WIDTH, max((len(printable(change.name)) for change in shown), default=0))
    over = set(this.over)
    for each in shown:
        yield each, _told(each, printable(each.name).ljust(width), fits=each.name not in over)


def noted(this: Plan) -> list[Change]:
    """Return the changes that are worth a look."""
    return [each for each in this.changes if not isinstance(each, Unchanged) or not each.is_sure]


def _told(change: Change, name: str, *, fits: bool) -> list[Line]:
    """Return the lines of one change; ``name`` is printable and has the column's width."""
    match change:
        case Create():
            return _create(change, name, fits=fits)
        case Update():
            begun = " (an earlier run began it)" if change.unfinished else ""
            what = f"{counted(len(change.fields), 'field')}{begun}" if change.fields else "what an earlier run began"
            return [
                Line(f"  ~ update     {name}  {what}", CHANGED),
                *(Line(f"      {field(each)}", CHANGED) for each in change.fields),
            ]
        case Unchanged() if change.unchecked is not None:
            return [Line(f"  ? unchecked  {name}  {printable(change.unchecked)}", CHANGED)]
        case Unchanged():
            return [Line(f"  = drift      {name}  {drifted(change.drift)}", QUIET)]
        case Gone():
            todo = advice.clause(Advice(Remedy.FORGET, name.rstrip()))
            return [Line(f"  - gone       {name}  {change.reason}; {todo}", BAD)]
        case Undecided():
            return [Line(f"  ? unknown    {name}  {printable(change.reason)}", BAD)]
        case Closed():
            return [Line(f"  - abandoned  {name}  keeps its slot; to create it anew, give it another name", QUIET)]
        case Unmanaged():
            return [Line(f"  ! unmanaged  {name}  {unmanaged(change)}", CHANGED)]
        case _:
            assert_never(change)


def _create(change: Create, name: str, *, fits: bool) -> list[Line]:
    described = _described(change.account.attributes)
    if not fits:
        return [Line(f"  x no slot    {name}  {described}", BAD)]
    lines = [Line(f"  + create     {name}  {described}", GOOD)]
    if change.account.previously is not None:
        lines.append(Line(f"      {unmoved(change.account.previously)}", CHANGED))
    if change.resembles is not None:
        twin, own = printable(change.resembles), name.rstrip()
        lines += [
            Line(f"      {twin} is in no manifest and has the same attributes. If {own} is its new name,", CHANGED),
            Line(f"      write `previously: {twin}` under {own}: else this is a second account.", CHANGED),
        ]
    return lines


def unmoved(previously: str) -> str:
    """Return what is to be said of a create that names an earlier name, which nobody has."""
    return f"Nothing moves: the state knows no {printable(previously)}, its name before. This is a new account."


def summary(this: Plan) -> str:
    """Return one sentence that counts what a plan holds."""
    kinds = [type(change) for change in this.changes]
    counts = (
        (kinds.count(Create), "to create"),
        (kinds.count(Update), "to update"),
        (kinds.count(Unchanged), "unchanged"),
        (kinds.count(Unmanaged), "unmanaged"),
        (kinds.count(Gone), "gone"),
        (kinds.count(Undecided), "unknown"),
        (kinds.count(Closed), "abandoned"),
    )
    said = [f"{count} {words}" for count, words in counts if count]
    if not (this.creates or this.updates):
        return f"Nothing to do: {', '.join(said) or 'no account is wanted'}."
    return f"Plan: {', '.join(said)}."


def slots(these: Slots) -> str:
    """Return a parent's slots in one phrase."""
    parts = [f"{these.used} of {these.limit} slots used"]
    if these.unknown:
        parts[0] += f" ({these.unknown} unknown)"
    if these.reserved:
        parts.append(f"{these.reserved} reserved")
    parts.append(f"{these.planned} planned")
    parts.append(f"{these.left} left" if these.left >= 0 else f"{-these.left} too many")
    return ", ".join(parts)


def problem(this: Problem) -> list[Line]:
    """Return one problem as compilers print them: place, severity, message, and a hint below."""
    origin = this.origin
    place = origin.file
    if origin.line is not None:
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


def _described(attributes: Attributes) -> str:
    parts = [f"{attributes.first_name} {attributes.last_name}"]
    if attributes.company_name:
        parts.append(attributes.company_name)
    if count := len(attributes.callbacks.given()):
        parts.append(counted(count, "callback"))
    return printable(", ".join(parts))


def field(change: FieldChange) -> str:
    """Return one field of a change in one line."""
    if change.path == "password":
        return "password: a new one"
    if change.path == "password_version":
        return f"password: a new one, for version {change.after} ({change.before} before)"
    after = value(change.path, change.after)
    if change.drifted:
        found = "" if change.before is None else f" to {value(change.path, change.before)}"
        return f"{change.path}: somebody changed it at Octopush{found} -> {after}"
    before = value(change.path, change.before)
    # Two URLs may differ in nothing but the part that is masked.
    return f"{change.path}: {before} -> {after}{' (the masked part differs)' if before == after else ''}"


def unmanaged(this: Unmanaged) -> str:
    """Return what is to be said of an account that no manifest names."""
    drift = drifted(this.drift) if this.drift != NO_DRIFT else ""
    told = [each for each in (drift, UNFINISHED if this.unfinished else "") if each]
    return "; ".join(("is in no manifest", *told)) if told else "exists and is in no manifest; it is left alone"


def drifted(drift: Drift) -> str:
    """Return in which fields Octopush holds something else than was sent, and why."""
    parts = []
    if drift.altered:
        parts.append(f"Octopush made something else of {', '.join(drift.altered)}")
    if drift.changed:
        parts.append(f"somebody changed {', '.join(drift.changed)}")
    if drift.gone:
        parts.append("Octopush no longer knows its login")
    return printable("; ".join(parts))


def value(path: str, text: str | None) -> str:
    """Return a field's value in quotation marks, what it may hide masked."""
    return "(none)" if text is None else f'"{printable(shown_value(path, text))}"'
