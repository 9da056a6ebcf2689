"""The mark of a line that keeps an outcome which no disk took.

Owns the rule that whatever else is printed does not bear it: ``recover`` could not tell a
value that says so from the line itself, in a log that holds both.
"""

from __future__ import annotations

from typing import Final

MARK: Final = "provisioner-rescue"


def defused(text: str) -> str:
    """Return ``text`` with the mark's hyphen written out, so that a JSON document says the same as before."""
    return text.replace(MARK, MARK.replace("-", r"\u002d")) if MARK in text else text
