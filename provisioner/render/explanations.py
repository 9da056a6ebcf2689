"""What each exit code, error, status and code of Octopush means, and what to do about it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

from provisioner.document import nearest
from provisioner.errors import MEANINGS, CommandInvalid, ExitCode, ProvisionerError
from provisioner.model.codes import CODES
from provisioner.render.lines import Line

TERMS: Final = {
    "pending": (
        "a create that is in flight now, or whose run has died; the next apply marks it as unknown.",
        "Look at `provisioner status`: it shows which run started it, and when.",
        "$ provisioner status",
    ),
    "unknown": (
        (
            "a create was sent, and nobody knows whether Octopush created the account. It keeps its slot, and is not"
            " retried automatically."
        ),
        "Do not create it by hand. Look for it in Octopush's dashboard, by its first and last name.",
        "$ provisioner adopt paris LOGIN            it exists: the dashboard shows its login",
        "$ provisioner resolve paris --not-created  it does not exist: its slot is free again",
        "$ provisioner resolve paris --abandon      nobody can find out: it keeps its slot",
    ),
    "abandoned": (
        "an unknown that nobody could resolve. It keeps its slot, and its name is not used again.",
        "To create it, give it another name in the manifest. If it turns out not to exist, free its slot.",
        "$ provisioner forget paris --force",
    ),
    "gone": (
        "Octopush no longer knows the account's login. It keeps its slot, and every apply exits with 7.",
        (
            "Look for it in Octopush's dashboard. If it was deleted, remove it from the manifest and free its slot. If"
            " it still exists, refresh."
        ),
        "$ provisioner forget paris",
        "$ provisioner refresh",
    ),
    "drift": (
        "Octopush has another value than was sent: somebody changed it, or Octopush stored it differently.",
        (
            "Look at both values. The next apply changes back what somebody changed. To keep the new value instead,"
            " write it into the manifest."
        ),
        "$ provisioner plan --refresh",
    ),
    "unmanaged": (
        "the state has the account, but no manifest names it. It is not changed.",
        "Add it to a manifest again, or delete it in Octopush's dashboard and free its slot.",
        "$ provisioner forget paris",
    ),
    "unchecked": (
        "the account could not be compared with Octopush. Nothing new is known about it.",
        "Read the reason next to it, fix the cause, and refresh.",
        "$ provisioner refresh",
    ),
}
"""For each word in a plan, a status or a report that requires action: its meaning, what to do, and the commands."""


def known() -> Iterator[str]:
    """Yield everything that can be explained, except Octopush's codes, which people copy from a message."""
    yield from TERMS
    yield from (kind.__name__ for kind in errors())
    yield from (str(int(code)) for code in ExitCode)


def errors(kind: type[ProvisionerError] = ProvisionerError) -> Iterator[type[ProvisionerError]]:
    """Yield every subclass of ``kind``; a command may print any of them."""
    for each in kind.__subclasses__():
        yield each
        yield from errors(each)


def text(what: str) -> list[Line]:
    """Return the explanation of ``what``; raises CommandInvalid if there is none."""
    word, number = what.lower(), int(what) if re.fullmatch("[0-9]{1,9}", what) else -1
    kinds = {kind.__name__.lower(): kind for kind in errors()}
    if number in set(ExitCode):
        lines = _exit(ExitCode(number), f"Exit code {number}")
    elif (code := CODES.get(number)) is not None:
        lines = [f"Octopush's code {number}: {code.meaning}.", code.source.value, code.todo]
    elif word in TERMS:
        meaning, *todo = TERMS[word]
        lines = [f"{word}: {meaning}", *todo]
    elif (kind := kinds.get(word)) is not None:
        lines = f"{kind.__name__}: {inspect.getdoc(kind)}".splitlines()
        lines += _exit(kind.exit_code, f"It ends the command with exit code {int(kind.exit_code)}")
    else:
        near = nearest(word, [*kinds, *TERMS])
        if near:
            hint = f"Did you mean {kinds[near].__name__ if near in kinds else near}?"
        elif number < 0:
            names = ", ".join(sorted(kind.__name__ for kind in kinds.values()))
            hint = f"Known errors: {names}. Known statuses: {', '.join(TERMS)}."
        else:
            hint = f"Known Octopush codes: {', '.join(map(str, CODES))}."
        raise CommandInvalid(
            f"{what} is not an exit code, an error or a status of this program, nor a known Octopush code.", hint=hint
        )
    return [*map(Line, lines)]


def _exit(code: ExitCode, subject: str) -> list[str]:
    meaning, todo = MEANINGS[code]
    return [f"{subject}: {meaning}.", *todo.splitlines()]
