"""What a command did about accounts: as text for people, and as the JSON document of version 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from provisioner.model.plan import FieldChange
from provisioner.model.report import Outcome, Report, Result
from provisioner.render import advice
from provisioner.render.documents import VERSION, field
from provisioner.render.lines import BAD, CHANGED, GOOD, HEADING, QUIET, Line, printable
from provisioner.render.text import value

_RESULT_STYLES: Final = {
    Result.CREATED: GOOD,
    Result.UPDATED: GOOD,
    Result.UNCHANGED: QUIET,
    Result.FAILED: BAD,
    Result.UNKNOWN: BAD,
    Result.NOT_ATTEMPTED: CHANGED,
    Result.ADOPTED: GOOD,
    Result.FORGOTTEN: GOOD,
    Result.VERIFIED: GOOD,
    Result.DRIFTED: CHANGED,
    Result.GONE: BAD,
    Result.UNCHECKED: CHANGED,
}


_WORDS: Final = {
    ("refresh", Result.UNCHANGED): "as sent",
    ("verify", Result.VERIFIED): "good",
    ("balance", Result.VERIFIED): "asked",
}
_DOINGS: Final = {"refresh": "Checked", "verify": "Verified"}


def document(these: Iterable[Report]) -> dict[str, Any]:
    """Return the document of ``--format json``; ``schemas/report.v1.schema.json`` describes it."""
    return {
        "version": VERSION,
        "reports": [
            {
                "parent": report.parent,
                "outcomes": [_outcome(each) for each in report.outcomes],
            }
            for report in these
        ],
    }


def _outcome(this: Outcome) -> dict[str, Any]:
    told = {"name": this.name, "action": this.action, "status": this.result.value, "reason": advice.reason(this)}
    return told | {"fields": [field(each) for each in this.fields]} if this.fields else told


def outcome(this: Outcome) -> Line:
    """Return one account's outcome."""
    words = _word(this.action, this.result)
    told = advice.reason(this)
    reason = f"  {printable(told)}" if told else ""
    return Line(f"{words:<13}  {printable(this.name)}{reason}", _RESULT_STYLES[this.result])


def text(this: Report) -> list[Line]:
    """Return what a command did for one parent, and why it ended early where it did."""
    lines = [Line(f"{this.parent}:", HEADING)]
    lines += [Line(f"  {line.text}", line.style) for line in _told(this.outcomes)]
    lines += [Line(_summary(this.outcomes)), *stopped(this)]
    unknown = [printable(each.name) for each in this.outcomes if each.result is Result.UNKNOWN]
    if unknown:
        lines.append(
            Line(f"Unknown: {', '.join(unknown)}. It may or may not exist, and is never retried by itself.", BAD)
        )
        lines.append(Line("  Look for it in Octopush's dashboard; then, for each:"))
        lines.append(Line("    provisioner resolve NAME --not-created   it is not there: its slot is free again"))
        lines.append(Line("    provisioner adopt NAME LOGIN             it is there: its login is in the dashboard"))
        lines.append(Line("    provisioner resolve NAME --abandon       nobody can find out: it keeps its slot"))
    return lines


def stopped(this: Report) -> list[Line]:
    """Return why a run ended before its work was done, where it did."""
    if this.stop is None:
        return []
    lines = [Line(f"Stopped: {printable(this.stop.reason)}.", BAD)]
    if hint := advice.hint(this.stop):
        lines.append(Line(f"  {printable(hint)}"))
    return lines


def _summary(outcomes: Sequence[Outcome]) -> str:
    """Return one sentence that counts the outcomes; of a command that changes nothing, what was seen."""
    actions = {each.action for each in outcomes}
    (action,) = actions if len(actions) == 1 else ("",)
    results = [each.result for each in outcomes]
    counts = [f"{results.count(kind)} {_word(action, kind)}" for kind in Result if kind in results]
    return f"{_DOINGS.get(action, 'Done')}: {', '.join(counts) or 'no account'}."


def _word(action: str, result: Result) -> str:
    return _WORDS.get((action, result), result.value.replace("_", " "))


def _told(outcomes: Sequence[Outcome]) -> Iterator[Line]:
    """Yield a line for each account that something happened to, and one for all that one reason kept from it."""
    waiting: dict[tuple[Result, str | None], list[str]] = {}
    for each in outcomes:
        if each.result in {Result.NOT_ATTEMPTED, Result.UNCHECKED}:
            waiting.setdefault((each.result, advice.reason(each)), []).append(each.name)
        elif each.result not in {Result.UNCHANGED, Result.VERIFIED}:
            yield outcome(each)
            for change in each.fields:
                yield Line(f"    {_found(change, 'wanted' if each.action == 'adopt' else 'sent')}", CHANGED)
    for (result, reason), names in waiting.items():
        yield outcome(Outcome(", ".join(names), "", result, reason))


def _found(change: FieldChange, word: str) -> str:
    """Return a field that is not as it should be: what was sent, or is wanted, and what is there."""
    sent, found = value(change.path, change.before), value(change.path, change.after)
    same = " (the masked part differs)" if sent == found else ""
    return f"{change.path}: {word} {sent}, found {found}{same}"
