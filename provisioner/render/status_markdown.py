"""The overview of all parents as GitHub-flavoured Markdown, for a job summary.

Owns what may appear where: names are code in tables, and every text from a manifest, a
state or Octopush is in a fenced block, where nothing is markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import Final

from provisioner.render import overview, words
from provisioner.render.lines import counted, printable
from provisioner.render.markdown import LONGEST, code, fence_length
from provisioner.render.overview import Done, Finding, Overview
from provisioner.render.words import CodeText

_PARENTS: Final = 50
"""The most parents in the table; those with trouble come first."""
_AROUND: Final = 3000
"""Characters reserved for everything around the findings: titles, sentences, operations."""
_COMMAND: Final = 6 * " "
"""The indent of a command; everything else has less."""
_WIDTH: Final = 110
"""Text is wrapped at this width, so that a summary need not scroll sideways."""
_LONGEST_LINE: Final = 500
"""The most characters of one line; a hand-written state may have longer ones."""


def page(this: Overview) -> str:
    """Return the whole document."""
    table = _table(this)
    operations = _block(_operation(each, this) for each in this.operations)
    room = LONGEST - _AROUND - len(table) - len(operations)
    parts = [
        f"<!-- {overview.signature(this)} -->",
        f"## Sub-accounts of {_whose(this)}",
        f"**{overview.summary(this)}**",
        overview.times(this),
    ]
    if (ended := overview.failure(this)) is not None:
        parts += ["What ended the run:", _block([ended])]
    if this.findings:
        parts += ["### Needs attention", *_findings(this, room)]
    parts += ["### Parents", table]
    if this.operations:
        parts.append(f"<details><summary>Last operations</summary>\n\n{operations}\n\n</details>")
    return "\n\n".join((*parts, f"<sub>{overview.FOOT}</sub>")) + "\n"


def _whose(this: Overview) -> str:
    return code(this.parents[0].parent) if len(this.parents) == 1 else counted(len(this.parents), "parent")


def _table(this: Overview) -> str:
    rows = ["| parent | slots | accounts |", "|---|---|---|"]
    for each in this.parents[:_PARENTS]:
        slots = "not known" if each.slots is None else words.current_slots(each.slots)
        known = overview.balances(each)
        left = f"; {overview.sums(known)}" if known and all(balance.unit.isalpha() for _, balance in known) else ""
        rows.append(f"| {code(each.parent)} | {slots} | {overview.accounts(each, this)}{left} |")
    more = len(this.parents) - _PARENTS
    return "\n".join(rows) + (f"\n\n{counted(more, 'more parent')} did not fit here." if more > 0 else "")


def _findings(this: Overview, room: int) -> Sequence[str]:
    taken: list[str] = []
    for each in this.findings:
        lines = "\n".join(part for line in _finding(each, this) for part in _wrapped(_cut(line)))
        room -= len(lines) + 1
        if room < 0:
            break
        taken.append(lines)
    missing = len(this.findings) - len(taken)
    more = "see `provisioner status --format html` for all of them."
    return (_fenced("\n".join(taken)), *((f"{missing} did not fit here: {more}",) if missing else ()))


def _finding(each: Finding, this: Overview) -> Iterable[str]:
    account = "" if each.account is None else each.account if len(this.parents) == 1 else f"{each.account} of "
    whose = each.parent if each.account is None or len(this.parents) > 1 else ""
    yield f"{each.trouble.mark} {each.trouble.word}: {account}{whose}"
    if each.attributes is not None:
        yield f"    {words.holder(each.attributes)}"
    yield f"    {overview.why(each, this.now)}"
    text = "Next: "
    for piece in each.todo:
        if isinstance(piece, CodeText) and piece.startswith("provisioner "):
            # A command is on its own line, so that it can be copied.
            yield from (f"    {text.strip()}", f"{_COMMAND}{piece}")
            text = ""
        else:
            text += f"`{piece}`" if isinstance(piece, CodeText) else piece
    if each.todo and text.strip():
        yield f"    {text.strip()}"


def _operation(each: Done, this: Overview) -> str:
    parent, entry = each
    account = parent if entry.name is None else entry.name if len(this.parents) == 1 else f"{entry.name} of {parent}"
    return f"{overview.when(entry.author.at, this.now)}  {account}: {overview.done(entry)}"


def _block(lines: Iterable[str]) -> str:
    return _fenced("\n".join(map(_cut, lines)))


def _cut(line: str) -> str:
    shown = printable(line)
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}... (cut)"


def _wrapped(line: str) -> list[str]:
    """Return a line wrapped to the width of a summary; a command stays on one line."""
    if line.startswith(_COMMAND):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    return wrap(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [line]


def _fenced(body: str) -> str:
    """Return ``body`` in a fenced block, where nothing is markup."""
    marks = "`" * fence_length(body)
    return f"{marks}text\n{body}\n{marks}"
