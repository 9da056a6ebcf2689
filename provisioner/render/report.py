"""What a command did about accounts, as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from provisioner.model.account import DEFAULT_PARENT
from provisioner.model.plan import FieldChange
from provisioner.model.report import Outcome, Report, Result
from provisioner.render import advice
from provisioner.render.lines import BAD, CHANGED, GOOD, HEADING, QUIET, Line, printable
from provisioner.render.text import place, unknowns
from provisioner.render.words import PUBLISHED, Once, View, listed, remark, value

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
    ("rekey", Result.UPDATED): "sealed again",
    ("read_back", Result.CREATED): "read back",
    ("refresh", Result.UNCHANGED): "as sent",
    ("verify", Result.VERIFIED): "good",
    ("balance", Result.VERIFIED): "asked",
}
# The results of accounts that a run worked on; the others appear only in the report.
_WORK: Final = frozenset({Result.CREATED, Result.UPDATED, Result.ADOPTED, Result.FAILED, Result.UNKNOWN})
# The results that need no line of their own while a bar is shown.
_EXPECTED: Final = frozenset({Result.CREATED, Result.UNCHANGED, Result.VERIFIED})
_NAMED: Final = 20
"""How many accounts one sentence names; it only counts the rest."""
_PLURALS: Final = {"password set": "passwords set"}
_DOINGS: Final = {"refresh": "Checked", "verify": "Verified (keys, not passwords)"}


def outcome(this: Outcome) -> Line:
    """Return one account's outcome."""
    words = _word(this)
    reason = advice.reason(this)
    more = f"  {printable(reason)}" if reason else ""
    return Line(f"{words:<13}  {printable(this.name)}{more}", _RESULT_STYLES[this.result])


def is_progress(this: Outcome) -> bool:
    """Return whether the run worked on the account; an old unknown is not its work."""
    if this.action in {"refresh", "verify", "balance"}:
        return True
    return this.action in {"create", "update", "adopt"} and this.result in _WORK


def is_remarkable(this: Outcome) -> bool:
    """Return whether an outcome needs a line of its own; otherwise a bar shows enough."""
    return this.result not in _EXPECTED or bool(this.reason)


def text(this: Report, view: View = PUBLISHED) -> list[Line]:
    """Return what a command did for one parent, and why it ended early, if it did."""
    lines = [_heading(this)]
    if this.terms is not None:
        lines += place(this.terms, view, begun=this.begun)
    lines += [Line(f"  {line.text}", line.style) for line in _accounts(this.outcomes)]
    if this.outcomes or this.failure is None:
        lines.append(Line(_summary(this.outcomes)))
    lines += _ending(this)
    unknown = {each.name: each.attempt for each in this.outcomes if each.result is Result.UNKNOWN}
    if unknown:
        several = "Each may or may not exist; none is retried automatically."
        meaning = several if len(unknown) > 1 else "It may or may not exist, and is not retried automatically."
        lines.append(Line(f"Unknown: {', '.join(map(printable, unknown))}. {meaning}", BAD))
        lines.append(Line("  Look in Octopush's dashboard for:"))
        known = {name: attempt for name, attempt in unknown.items() if attempt is not None}
        lines += (Line(f"  {line.text}", line.style) for line in unknowns(known, view))
        lines.append(Line("  Then, for each:"))
        whose = "" if this.parent == DEFAULT_PARENT else f" --parent {printable(this.parent)}"
        lines.append(
            Line(f"    provisioner resolve NAME --not-created{whose}   it does not exist: its slot is free again")
        )
        lines.append(
            Line(f"    provisioner adopt NAME LOGIN{whose}             it exists: the dashboard shows its login")
        )
        lines.append(
            Line(f"    provisioner resolve NAME --abandon{whose}       nobody can find out: it keeps its slot")
        )
    return lines


def unchecked(this: Report) -> Iterator[str]:
    """Yield a sentence for each reason why a refresh could not check accounts."""
    names: dict[str, list[str]] = {}
    for each in this.outcomes:
        if each.exit_code:
            reason = advice.reason(each) or ""
            names.setdefault(next((known for known in names if reason.endswith(known)), reason), []).append(each.name)
    for reason, these in names.items():
        yield f"{''.join(listed(these, _NAMED))} could not be checked: {reason}."


def endings(these: Sequence[Report]) -> list[Line]:
    """Return why a command did not finish its work, if it did not; with several parents, each is named."""
    lines: list[Line] = []
    for each in these:
        if (ending := _ending(each)) and len(these) > 1:
            lines.append(_heading(each))
        lines += ending
    return lines


def _heading(this: Report) -> Line:
    return Line(f"{printable(this.parent)}:", HEADING)


def _ending(this: Report) -> list[Line]:
    lines: list[Line] = []
    if this.failure is not None:
        lines += advice.failure(this.failure, "Failed: ")
    if this.stop is not None:
        lines.append(Line(f"Stopped: {printable(this.stop.reason)}.", BAD))
        if hint := advice.hint(this.stop):
            lines.append(Line(f"  {printable(hint)}"))
    return lines


def _summary(outcomes: Sequence[Outcome]) -> str:
    """Return one sentence that counts the outcomes, or what a command that changes nothing has found."""
    actions = {each.action for each in outcomes}
    (action,) = actions if len(actions) == 1 else ("",)
    words = Counter(_word(replace(each, action=action)) for kind in Result for each in outcomes if each.result is kind)
    counts = [f"{count} {_PLURALS.get(word, word) if count > 1 else word}" for word, count in words.items()]
    idle = bool(outcomes) and all(each.result is Result.NOT_ATTEMPTED for each in outcomes)
    return f"{_DOINGS.get(action, 'Nothing done' if idle else 'Done')}: {', '.join(counts) or 'no account'}."


def _word(this: Outcome) -> str:
    if this.result is Result.UPDATED and this.only_password:
        return "password set"
    return _WORDS.get((this.action, this.result), this.result.value.replace("_", " "))


def _accounts(outcomes: Sequence[Outcome]) -> Iterator[Line]:
    """Yield a line for each account with an outcome, and one for all that were skipped for the same reason."""
    waiting: dict[tuple[Result, str | None], list[str]] = {}
    for each in outcomes:
        if each.result in {Result.NOT_ATTEMPTED, Result.UNCHECKED}:
            waiting.setdefault((each.result, advice.reason(each)), []).append(each.name)
        elif each.result not in {Result.UNCHANGED, Result.VERIFIED}:
            yield outcome(each)
            for change in each.fields:
                yield Line(f"    {_found(change, 'wanted' if each.action == 'adopt' else 'sent')}", CHANGED)
    once = Once()
    for (result, reason), names in waiting.items():
        if result is Result.UNCHECKED and reason is not None:
            reason = once.shorten(reason)  # noqa: PLW2901  # only reworded
        yield outcome(Outcome(", ".join(names), "", result, reason))


def _found(change: FieldChange, word: str) -> str:
    """Return a field that differs: the value that was sent or is wanted, and the value at Octopush."""
    sent, found = value(change.path, change.before), value(change.path, change.after)
    difference = remark(change)
    return f"{change.path}: {word} {sent}, found {found}{f' ({difference})' if difference else ''}"
