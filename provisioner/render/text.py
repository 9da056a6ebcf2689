"""Plans, problems and states as the text that people read, in a terminal and in a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from provisioner.model.account import Attributes, Problem, Severity, shown_value
from provisioner.model.plan import Closed, Create, FieldChange, Plan, Unchanged, Undecided, Unmanaged, Update
from provisioner.model.state import Active, Slots, State
from provisioner.render.lines import BAD, CHANGED, GOOD, HEADING, QUIET, Line, counted, printable, table

_NAME_WIDTH: Final = 24
"""A longer name pushes its own line to the right and no other."""


def plan(this: Plan) -> list[Line]:
    """Return what an apply would do for one parent; accounts that stay as they are only count."""
    shown = [change for change in this.changes if not isinstance(change, Unchanged)]
    width = min(_NAME_WIDTH, max((len(printable(change.name)) for change in shown), default=0))
    lines = [Line(f"{this.parent}: {slots(this.slots)}", HEADING)]
    over = set(this.over)
    for change in shown:
        name = printable(change.name).ljust(width)
        match change:
            case Create() if change.name in over:
                lines.append(Line(f"  x no slot    {name}  {_described(change.account.attributes)}", BAD))
            case Create():
                lines.append(Line(f"  + create     {name}  {_described(change.account.attributes)}", GOOD))
            case Update():
                lines.append(Line(f"  ~ update     {name}  {counted(len(change.fields), 'field')}", CHANGED))
                lines += [Line(f"      {_field(each)}", CHANGED) for each in change.fields]
            case Undecided():
                lines.append(Line(f"  ? unknown    {name}  {printable(change.reason)}", BAD))
            case Closed():
                lines.append(
                    Line(f"  - abandoned  {name}  keeps its slot; to create it anew, give it another name", QUIET)
                )
            case Unmanaged():
                lines.append(Line(f"  ! unmanaged  {name}  exists and is in no manifest; it is left alone", CHANGED))
    lines.append(Line(summary(this)))
    return lines


def summary(this: Plan) -> str:
    """Return one sentence that counts what a plan holds."""
    kinds = [type(change) for change in this.changes]
    counts = (
        (kinds.count(Create), "to create"),
        (kinds.count(Update), "to update"),
        (kinds.count(Unchanged), "unchanged"),
        (kinds.count(Unmanaged), "unmanaged"),
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


def status(parent: str, state: State | None, address: str) -> list[Line]:
    """Return the accounts of one state, each with the time when it was created or tried."""
    if state is None:
        return [Line(f"{parent}: there is no state at {printable(address)} yet", HEADING)]
    if not state.accounts:
        return [Line(f"{parent}: no accounts yet", HEADING)]
    rows = [
        (
            printable(name),
            type(record).__name__.lower(),
            record.created_at if isinstance(record, Active) else record.operation.started_at,
            "" if isinstance(record, Active) else printable(record.reason),
        )
        for name, record in sorted(state.accounts.items())
    ]
    title = Line(f"{parent}: {counted(len(rows), 'account')}, serial {state.serial}", HEADING)
    return [title, *table(("NAME", "STATUS", "SINCE", "REASON"), rows)]


def _described(attributes: Attributes) -> str:
    parts = [f"{attributes.first_name} {attributes.last_name}"]
    if attributes.company_name:
        parts.append(attributes.company_name)
    if count := len(attributes.callbacks.given()):
        parts.append(counted(count, "callback"))
    return printable(", ".join(parts))


def _field(change: FieldChange) -> str:
    before, after = _value(change.path, change.before), _value(change.path, change.after)
    # Two URLs may differ in nothing but the part that is masked.
    return f"{change.path}: {before} -> {after}{' (the masked part differs)' if before == after else ''}"


def _value(path: str, value: str | None) -> str:
    return "(none)" if value is None else f'"{printable(shown_value(path, value))}"'
