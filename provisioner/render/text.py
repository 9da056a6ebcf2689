"""The text that people read, in a terminal and in a pull request.

Each face is a list of lines, a line a style and a text: whoever prints them may
colour them, and no style is needed to understand one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from provisioner.model import (
    Active,
    Attributes,
    Closed,
    Create,
    FieldChange,
    Outcome,
    Plan,
    Problem,
    Report,
    Result,
    Severity,
    Slots,
    State,
    Unchanged,
    Undecided,
    Unmanaged,
    Update,
    shown_value,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``style`` is a name of rich's, or empty."""

    text: str
    style: str = ""


HEADING: Final = "bold"
GOOD: Final = "green"
CHANGED: Final = "yellow"
BAD: Final = "red"
QUIET: Final = "dim"

_RESULT_STYLES: Final = {
    Result.CREATED: GOOD,
    Result.UPDATED: GOOD,
    Result.UNCHANGED: QUIET,
    Result.FAILED: BAD,
    Result.UNKNOWN: BAD,
    Result.NOT_ATTEMPTED: CHANGED,
}


def printable(text: str) -> str:
    """Return ``text`` with everything that a terminal would obey written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def plan(this: Plan) -> list[Line]:
    """Return what an apply would do for one parent; accounts that stay as they are only count."""
    shown = [change for change in this.changes if not isinstance(change, Unchanged)]
    width = max((len(printable(change.name)) for change in shown), default=0)
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
                lines.append(Line(f"  ~ update     {name}  {_counted(len(change.fields), 'field')}", CHANGED))
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


def outcome(this: Outcome) -> Line:
    """Return one account's outcome."""
    words = this.result.value.replace("_", " ")
    reason = f"  {printable(this.reason)}" if this.reason else ""
    return Line(f"{words:<13}  {printable(this.name)}{reason}", _RESULT_STYLES[this.result])


def report(this: Report) -> list[Line]:
    """Return what an apply did for one parent, and why it ended early where it did."""
    lines = [Line(f"{this.parent}:", HEADING)]
    lines += [Line(f"  {line.text}", line.style) for line in _told(this.outcomes)]
    results = [each.result for each in this.outcomes]
    counts = [f"{results.count(kind)} {kind.value.replace('_', ' ')}" for kind in Result if kind in results]
    lines.append(Line(f"Done: {', '.join(counts) or 'no account is wanted'}."))
    if this.stop is not None:
        lines.append(Line(f"Stopped: {printable(this.stop.reason)}.", BAD))
        if this.stop.hint:
            lines.append(Line(f"  {printable(this.stop.hint)}"))
    unknown = [printable(each.name) for each in this.outcomes if each.result is Result.UNKNOWN]
    if unknown:
        lines.append(
            Line(f"Unknown: {', '.join(unknown)}. It may or may not exist, and is never retried by itself.", BAD)
        )
        lines.append(Line("  Look for it in Octopush's dashboard; then, for each:"))
        lines.append(Line("    provisioner resolve NAME --not-created   it is not there: its slot is free again"))
        lines.append(Line("    provisioner resolve NAME --abandon       it is there, or may be: it keeps its slot"))
    return lines


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
        return Line(f"Not valid: {_counted(errors, 'problem')}.", BAD)
    warnings = sum(each.severity is Severity.WARNING for each in these)
    more = f", {_counted(warnings, 'warning')}" if warnings else ""
    return Line(f"Valid: {_counted(accounts, 'account')}{more}.", GOOD)


def status(parent: str, state: State | None) -> list[Line]:
    """Return the accounts of one state."""
    if state is None or not state.accounts:
        return [Line(f"{parent}: no accounts yet", HEADING)]
    rows = [
        (
            printable(name),
            type(record).__name__.lower(),
            record.created_at if isinstance(record, Active) else "",
            "" if isinstance(record, Active) else printable(record.reason),
        )
        for name, record in sorted(state.accounts.items())
    ]
    title = Line(f"{parent}: {_counted(len(rows), 'account')}, serial {state.serial}", HEADING)
    return [title, *table(("NAME", "STATUS", "CREATED", "REASON"), rows)]


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Line]:
    """Yield aligned columns, two spaces apart, with no line at the right edge."""
    all_rows = [heading, *rows]
    widths = [max(len(row[column]) for row in all_rows) for column in range(len(heading))]
    for number, row in enumerate(all_rows):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield Line(f"  {text}", QUIET if number == 0 else "")


def _told(outcomes: Sequence[Outcome]) -> Iterator[Line]:
    """Yield a line for each account that something happened to, and one for all that one reason kept from it."""
    waiting: dict[str | None, list[str]] = {}
    for each in outcomes:
        if each.result is Result.NOT_ATTEMPTED:
            waiting.setdefault(each.reason, []).append(each.name)
        elif each.result is not Result.UNCHANGED:
            yield outcome(each)
    for reason, names in waiting.items():
        yield outcome(Outcome(", ".join(names), "create", Result.NOT_ATTEMPTED, reason))


def _described(attributes: Attributes) -> str:
    parts = [f"{attributes.first_name} {attributes.last_name}"]
    if attributes.company_name:
        parts.append(attributes.company_name)
    if count := len(attributes.callbacks.given()):
        parts.append(_counted(count, "callback"))
    return printable(", ".join(parts))


def _field(change: FieldChange) -> str:
    before, after = _value(change.path, change.before), _value(change.path, change.after)
    # Two URLs may differ in nothing but the part that is masked.
    return f"{change.path}: {before} -> {after}{' (the masked part differs)' if before == after else ''}"


def _value(path: str, value: str | None) -> str:
    return "(none)" if value is None else f'"{printable(shown_value(path, value))}"'


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
