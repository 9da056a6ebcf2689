"""Plans as GitHub-flavoured Markdown, for a comment or a step summary.

Owns what may appear where: names, which cannot contain markup, go into the table. Every
other text from a manifest goes into a fenced block, where nothing is markup, a link, a
mention or an issue number. Never exceeds GitHub's limit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from provisioner.model.plan import Plan
from provisioner.render import text, words
from provisioner.render.lines import Line, counted, printable
from provisioner.render.words import Label, Name, Sentence, View

LONGEST: Final = 65_000
"""The most characters: GitHub allows 65,536 in a comment, and a job may add a line."""
_MARKED: Final = 4
"""The width of the mark before the label in a line of the text plan."""
_NAMED: Final = 12
"""How many names one row of the table lists; the details list all that fit."""
_LONGEST_NAME: Final = 80
"""The most characters of one name; in a manifest it has at most 63, but a hand-written state may have more."""
_LEFT_OUT: Final = 100
"""Characters reserved for the sentence that counts the accounts of a parent that did not fit."""
_REST: Final = 500
"""Characters reserved for the sentence that counts the parents that did not fit."""
_LONGEST_TERM: Final = 2000
"""The most characters of one line about the conditions; a hand-written setting may be longer."""
_OPEN: Final = 60
"""Details with at least this many lines are folded."""
_AROUND: Final = 100
"""Characters of the markup around the details."""

# The sign of each row of the table, which has all creates in one row, with or without a slot.
_ROW_SIGNS: Final = {
    Label.CREATE: "➕",  # noqa: RUF001  # this sign is intended
    Label.UPDATE: "✏️",
    Label.UNKNOWN: "❓",
    Label.GONE: "❌",
    Label.UNMANAGED: "⚠️",
    Label.ABANDONED: "🚫",
    Label.UNCHECKED: "❓",
    Label.DRIFT: "〰️",
}
# The sign that gives a line of a diff its colour.
_DIFF_SIGNS: Final = {
    Label.CREATE: "+",
    Label.NO_SLOT: "-",
    Label.UPDATE: "!",
    Label.UNKNOWN: "-",
    Label.GONE: "-",
    Label.UNMANAGED: "#",
    Label.ABANDONED: "#",
    Label.UNCHECKED: " ",
    Label.DRIFT: " ",
}


def plans(these: Sequence[Plan], digest: str, failed: Sequence[str] = (), view: View = words.PUBLISHED) -> str:
    """Return the whole document for plans with this ``digest``; ``failed`` are the parents without a plan.

    The most important parts get their room first: the summaries of all parents, then the tables, then the details.
    """
    footer = f"<sub>Plan {code(digest)}</sub>\n"
    unplanned = f"> **Not planned**: {_marked(words.unplanned(failed, _NAMED))}\n\n" if failed else ""
    compact = text.is_compact(these, view)
    short = f"{words.SHORTENED}\n\n" if compact and view.compact is None else ""
    view = replace(view, compact=compact)
    footer = f"{short}{footer}"
    settings = _fenced(text.head(these))
    left = LONGEST - len(footer) - len(unplanned) - len(settings) - _REST
    heads: list[str] = []
    for plan in these:
        head = _head(plan, view)
        left -= len(head) + _LEFT_OUT + 1
        if left < 0:
            break
        heads.append(head)
    left = max(0, left)
    shown, rest = these[: len(heads)], these[len(heads) :]
    for position, plan in enumerate(shown):
        table = _table(plan)
        if len(table) <= left:
            heads[position] += table
            left -= len(table)
    parts = []
    for position, (plan, head) in enumerate(zip(shown, heads, strict=True)):
        # Parents share the room; one that needs less leaves the rest to those after it.
        share = left // (len(shown) - position)
        details = _details(plan, share + _LEFT_OUT, view)
        left -= max(0, len(details) - _LEFT_OUT)
        parts.append(head + details)
    return settings + unplanned + "\n".join((*parts, *([_left_out(rest)] if rest else ()), footer))


def _left_out(rest: Sequence[Plan]) -> str:
    """Return one sentence with the totals of the parents that did not fit."""
    refused = sum(bool(plan.over) for plan in rest)
    also = f" **Refused** for lack of slots: {counted(refused, 'parent')}." if refused else ""
    missing = f"{counted(len(rest), 'parent')} more did not fit here: see `provisioner plan`."
    return f"**{missing}** {words.summary(rest)}{also}\n\n"


def _head(plan: Plan, view: View) -> str:
    """Return the heading with the slots, the conditions, and the summary."""
    lines = [f"## {code(plan.parent)}: {words.slots(plan.slots)}", ""]
    lines += [_fenced(terms).rstrip("\n"), ""] if (terms := text.terms(plan, view)) else []
    if plan.terms is not None and plan.terms.is_frozen:
        lines += ["> **Frozen**: `apply` and `reconcile` do nothing for this parent.", ""]
    if plan.over:
        lines += [f"> **Refused**: {_marked(words.refusal(plan, _NAMED))}", ""]
    return "\n".join((*lines, f"**{words.summary([plan])}**", "", ""))


def _fenced(lines: Sequence[Line]) -> str:
    """Return lines of the text plan in a fenced block; empty if there are none."""
    if not lines:
        return ""
    texts = [each.text.strip() for each in lines]
    body = "\n".join(
        each if len(each) <= _LONGEST_TERM else f"{each[:_LONGEST_TERM]}... (cut: see `provisioner plan`)"
        for each in texts
    )
    marks = "`" * fence_length(body)
    return f"{marks}text\n{body}\n{marks}\n\n"


def fence_length(content: str, least: int = 3) -> int:
    """Return the length of a fence around ``content``: longer than any run of backticks inside."""
    return max(least, 1 + max((len(run) for run in re.findall("`+", content)), default=0))


def _table(plan: Plan) -> str:
    """Return the table of changes; empty if there are none."""
    named: dict[Label, list[str]] = {label: [] for label in _ROW_SIGNS}
    for label, change in words.shown(plan):
        named[Label.CREATE if label is Label.NO_SLOT else label].append(change.name)
    rows = [
        f"| {_ROW_SIGNS[label]} | **{label.word}** | {len(names)} | {_marked(words.listed(names, _NAMED))} |"
        for label, names in named.items()
        if names
    ]
    return "\n".join(("| | action | | accounts |", "|---|---|--:|---|", *rows, "", "")) if rows else ""


def _details(plan: Plan, room: int, view: View) -> str:
    """Return all details, folded, in at most ``room`` characters, and how many accounts did not fit."""
    count = sum(map(words.is_shown, plan.changes))
    if not count:
        return ""
    room -= _AROUND + _LEFT_OUT
    taken: list[str] = []
    fence = 3
    for label, lines in text.changes(plan, view):
        block = "\n".join(_signed(label, line) for line in lines)
        longer = fence_length(block, fence)
        # The fence appears twice.
        room -= len(block) + 1 + 2 * (longer - fence)
        if room < 0:
            break
        taken.append(block)
        fence = longer
    missing = count - len(taken)
    remark = f"{counted(missing, 'account')} {'more ' if taken else ''}did not fit here: see `provisioner plan`.\n"
    if not taken:
        return f"{remark}\n"
    marks = "`" * fence
    body = "\n".join(taken)
    after = f"\n{remark}" if missing else ""
    # A short plan is shown at once; a long one is folded.
    opened = " open" if body.count("\n") < _OPEN else ""
    return f"<details{opened}><summary>Details</summary>\n\n{marks}diff\n{body}\n{marks}\n{after}\n</details>\n\n"


def _signed(label: Label, line: Line) -> str:
    """Return a line of the text plan as a line of a diff: the sign at its start gives it its colour."""
    sign = _DIFF_SIGNS[label]
    # The text plan's lines are printable already; a line ending inside one would break out of the fence.
    content = printable(line.text)
    return f"{sign} {content[_MARKED:]}" if content[:_MARKED].strip() else f"{sign} {content[2:]}"


def _marked(sentence: Sentence) -> str:
    """Return a sentence with its names as code; everything else in it is our own text."""
    return "".join(code(piece) if isinstance(piece, Name) else piece for piece in sentence)


def code(name: str) -> str:
    """Return a name as code, without unsafe characters: a hand-written state or setting could contain any."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    return f"`{re.sub('[^A-Za-z0-9._-]', '�', short) or '�'}`"
