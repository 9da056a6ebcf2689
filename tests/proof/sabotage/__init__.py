"""``make sabotage``: wrong variants of the product, each a small patch; something must notice each of them.

A patch begins with a sentence that says what is wrong, and one that says what it would cost.
Then it names what should notice it, in lines such as ``by tests tests/executor/test_kills.py``,
``by model 100`` (lives), ``by chaos kill 100`` (runs) and ``by disk 40`` (runs). More than
one is good: whatever is named is tried, and the table says what noticed the variant and what did not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

HERE: Final = Path(__file__).parent
_HEAD: Final = re.compile(r"(?P<wrong>[^\n]+\.)\n(?P<cost>[^\n]+\.)\n\n(?P<by>(?:by [^\n]+\n)+)\n(?=diff --git )")


@dataclass(frozen=True, slots=True)
class Variant:
    """A wrong variant of the product."""

    path: Path
    wrong: str
    """What is wrong, in a sentence."""
    cost: str
    """What a user would lose by it, in a sentence."""
    by: tuple[str, ...]
    """What should notice it."""

    @property
    def name(self) -> str:
        """Its name, without its number."""
        return self.path.stem.partition("-")[2]

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a patch; raises ValueError if its head is not as above."""
        found = _HEAD.match(path.read_text(encoding="utf-8"))
        if found is None:
            raise ValueError(f"{path.name} does not begin with two sentences and what should notice it.")
        return cls(path, found["wrong"], found["cost"], tuple(re.findall(r"^by (.+)$", found["by"], re.MULTILINE)))


def variants() -> list[Variant]:
    """Return all of them."""
    return [Variant.of(path) for path in sorted(HERE.glob("*.patch"))]
