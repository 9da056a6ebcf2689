"""Plans as GitHub-flavoured Markdown, for the comment and the step summary that a reviewer reads.

Owns what may stand where: names, which cannot hold markup, stand in the table; every
other text from a manifest stands in a fenced block, in which nothing is markup, a
link, a mention or an issue's number. Refuses to grow beyond what GitHub takes.
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
"""Characters; GitHub takes 65,536 in a comment, and whoever posts it may add a line."""
_MARKED: Final = 4
"""Characters before the word of a line of the text plan: its own mark stands there, or nothing."""
_NAMED: Final = 12
"""Names that one row of the table tells; the details tell all that fit."""
_LONGEST_NAME: Final = 80
"""Characters of one name; a manifest's has 63 at the most, and a state that somebody wrote by hand may have any."""
_LEFT_OUT: Final = 100
"""Characters of the sentence that says how many accounts of a parent did not fit."""
_REST: Final = 500
"""Characters of the sentence that stands for the parents that did not fit."""
_LONGEST_TERM: Final = 2000
"""Characters of one line that says on what terms; a setting that somebody wrote by hand may have any."""
_OPEN: Final = 60
"""Lines from which on the details are folded."""
_AROUND: Final = 100
"""Characters around the details: what folds them, and what says that they are a diff."""

# The sign of each row of the table, in which a create without a slot stands with the others.
_ROW_SIGNS: Final = {
    Label.CREATE: "➕",  # noqa: RUF001  # the sign is meant
    Label.UPDATE: "✏️",
    Label.UNKNOWN: "❓",
    Label.GONE: "❌",
    Label.UNMANAGED: "⚠️",
    Label.ABANDONED: "🚫",
    Label.UNCHECKED: "❓",
    Label.DRIFT: "〰️",
}
# The sign with which a diff colours a line.
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
    """Return the whole document; ``digest`` is that of the plans, and ``failed`` the parents that have none.

    What matters most gets its room first: what sums up each parent, then the tables, then the details.
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
        # Parents share what room there is; one that needs less leaves it to those after it.
        share = left // (len(shown) - position)
        details = _details(plan, share + _LEFT_OUT, view)
        left -= max(0, len(details) - _LEFT_OUT)
        parts.append(head + details)
    return settings + unplanned + "\n".join((*parts, *([_left_out(rest)] if rest else ()), footer))


def _left_out(rest: Sequence[Plan]) -> str:
    """Return what stands for the parents that did not fit: one sentence that counts what all of them hold."""
    refused = sum(bool(plan.over) for plan in rest)
    also = f" **Refused** for want of slots: {counted(refused, 'parent')}." if refused else ""
    missing = f"{counted(len(rest), 'parent')} more did not fit here: see `provisioner plan`."
    return f"**{missing}** {words.summary(rest)}{also}\n\n"


def _head(plan: Plan, view: View) -> str:
    """Return the heading with the slots, and the sentence that sums up."""
    lines = [f"## {code(plan.parent)}: {words.slots(plan.slots)}", ""]
    lines += [_fenced(said).rstrip("\n"), ""] if (said := text.terms(plan, view)) else []
    if plan.terms is not None and plan.terms.is_frozen:
        lines += ["> **Frozen**: `apply` and `reconcile` do nothing for this parent.", ""]
    if plan.over:
        lines += [f"> **Refused**: {_marked(words.refusal(plan, _NAMED))}", ""]
    return "\n".join((*lines, f"**{words.summary([plan])}**", "", ""))


def _fenced(lines: Sequence[Line]) -> str:
    """Return lines of the text plan in a block in which nothing is markup; nothing where there are none."""
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
    """Return the length of a fence around ``content``: longer than any of its kind inside."""
    return max(least, 1 + max((len(run) for run in re.findall("`+", content)), default=0))


def _table(plan: Plan) -> str:
    """Return the table of what is to be done, or nothing where nothing is."""
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
    """Return what is to be done to the letter, folded, in at most ``room`` characters; or how much is missing."""
    count = sum(map(words.is_shown, plan.changes))
    if not count:
        return ""
    room -= _AROUND + _LEFT_OUT
    taken: list[str] = []
    fence = 3
    for label, lines in text.changes(plan, view):
        block = "\n".join(_signed(label, line) for line in lines)
        longer = fence_length(block, fence)
        # It stands twice.
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
    # A short plan is read at once; what is long is folded.
    opened = " open" if body.count("\n") < _OPEN else ""
    return f"<details{opened}><summary>Details</summary>\n\n{marks}diff\n{body}\n{marks}\n{after}\n</details>\n\n"


def _signed(label: Label, line: Line) -> str:
    """Return a line of the text plan as a diff's: the sign at its edge is what gives it its colour."""
    sign = _DIFF_SIGNS[label]
    # The text plan's lines are printable already; a line end in one would leave the fence.
    content = printable(line.text)
    return f"{sign} {content[_MARKED:]}" if content[:_MARKED].strip() else f"{sign} {content[2:]}"


def _marked(sentence: Sentence) -> str:
    """Return a sentence with its names as code; all else in it is ours."""
    return "".join(code(piece) if isinstance(piece, Name) else piece for piece in sentence)


def code(name: str) -> str:
    """Return a name as code; a state or a setting that somebody wrote by hand could hold anything."""
    short = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
    return f"`{re.sub('[^A-Za-z0-9._-]', '�', short) or '�'}`"
