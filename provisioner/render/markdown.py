"""Plans as GitHub-flavoured Markdown, for the comment and the step summary that a reviewer reads.

Owns what may stand where: names, which cannot hold markup, stand in the table; every
other text from a manifest stands in a fenced block, in which nothing is markup, a
link, a mention or an issue's number. Refuses to grow beyond what GitHub takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from provisioner.model.plan import Change, Closed, Create, Gone, Plan, Unchanged, Undecided, Unmanaged, Update
from provisioner.model.state import NO_DRIFT
from provisioner.render import text
from provisioner.render.lines import Line, counted, printable

LONGEST: Final = 65_000
"""Characters; GitHub takes 65,536 in a comment, and whoever posts it may add a line."""
_MARKED: Final = 4
"""Characters before the word of a line of the text plan: its own mark stands there, or nothing."""
_NAMED: Final = 12
"""Names that one row of the table tells; the details tell all that fit."""
_ROOM: Final = 400
"""Characters kept for what says that something was left out."""

# Mark, heading, and the sign with which a diff colours a line; in the order in which they matter to a reviewer.
_KINDS: Final[tuple[tuple[type[Change], str, str, str], ...]] = (
    (Create, "➕", "create", "+"),  # noqa: RUF001  # the sign is meant
    (Update, "✏️", "update", "!"),
    (Undecided, "❓", "unknown", "-"),
    (Gone, "❌", "gone", "-"),
    (Unmanaged, "⚠️", "unmanaged", "#"),
    (Closed, "🚫", "abandoned", "#"),
)


def plans(these: Sequence[Plan], digest: str) -> str:
    """Return the whole document; ``digest`` is that of the plans, as their footer tells it."""
    heads = [_head(plan) for plan in these]
    footer = f"<sub>Plan `{digest}`</sub>\n"
    left = LONGEST - sum(map(len, heads)) - len(footer) - _ROOM * len(these)
    parts = []
    for position, (plan, head) in enumerate(zip(these, heads, strict=True)):
        # Parents share what room there is; one that needs less leaves it to those after it.
        details = _details(plan, max(0, left) // (len(these) - position))
        left -= len(details)
        parts.append(head + details)
    return "\n".join((*parts, footer))


def _head(plan: Plan) -> str:
    """Return the heading with the slots, the sentence that sums up, and the table of what is to be done."""
    lines = [f"## {_name(plan.parent)}: {text.slots(plan.slots)}", ""]
    if plan.over:
        lines += [f"> **Refused**: there is no slot for {_names(plan.over)}. Nothing would be sent.", ""]
    lines += [f"**{text.summary(plan)}**", ""]
    rows = [row for kind in _KINDS if (row := _row(plan, *kind))]
    if drifted := [each.name for each in plan.changes if isinstance(each, Unchanged) and each.drift != NO_DRIFT]:
        rows.append(f"| 〰️ | **drift** | {len(drifted)} | {_names(drifted)} |")
    if rows:
        lines += ["| | action | | accounts |", "|---|---|--:|---|", *rows, ""]
    return "\n".join((*lines, ""))


def _row(plan: Plan, kind: type[Change], mark: str, word: str, _: str) -> str | None:
    names = [change.name for change in plan.changes if isinstance(change, kind)]
    return f"| {mark} | **{word}** | {len(names)} | {_names(names)} |" if names else None


def _details(plan: Plan, room: int) -> str:
    """Return what is to be done to the letter, folded, in at most about ``room`` characters."""
    blocks = text.changes(plan)
    if not blocks:
        return ""
    taken: list[str] = []
    for change, lines in blocks:
        block = "\n".join(_signed(change, line) for line in lines)
        room -= len(block) + 1
        if room < 0:
            break
        taken.append(block)
    missing = len(blocks) - len(taken)
    body = "\n".join(taken)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    said = f"\n{counted(missing, 'account')} more did not fit here: see `provisioner plan`.\n" if missing else ""
    block = f"{fence}diff\n{body}\n{fence}\n" if taken else ""
    return f"<details><summary>Details</summary>\n\n{block}{said}\n</details>\n\n"


def _signed(change: Change, line: Line) -> str:
    """Return a line of the text plan as a diff's: the sign at its edge is what gives it its colour."""
    sign = next((sign for kind, _, _, sign in _KINDS if isinstance(change, kind)), " ")
    return f"{sign} {line.text[_MARKED:]}" if line.text[:_MARKED].strip() else f"{sign} {line.text[2:]}"


def _names(names: Sequence[str]) -> str:
    told = ", ".join(_name(name) for name in names[:_NAMED])
    return f"{told} and {len(names) - _NAMED} more" if len(names) > _NAMED else told


def _name(name: str) -> str:
    """Return a name as code; a state or a setting that somebody wrote by hand could hold anything."""
    return f"`{re.sub('[^A-Za-z0-9._-]', '�', printable(name))}`"
