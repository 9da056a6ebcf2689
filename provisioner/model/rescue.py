"""The mark of a rescue line, which carries an outcome that could not be saved.

Nothing else that is printed may contain the mark: ``recover`` searches logs for it, and
could not tell a value that contains it from a real rescue line.
"""

from __future__ import annotations

from typing import Final

MARK: Final = "provisioner-rescue"


def defused(text: str) -> str:
    """Return JSON ``text`` with the mark's hyphen escaped, which does not change the document's meaning."""
    return text.replace(MARK, MARK.replace("-", r"\u002d")) if MARK in text else text
