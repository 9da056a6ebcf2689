"""A shard: the subset of the parents that one of several runs takes, on whatever machine."""

from __future__ import annotations

import hashlib
import re

from provisioner.errors import CommandInvalid
from provisioner.immutable import immutable


@immutable
class Shard:
    """Shard ``index`` of ``count``, counted from 1; raises CommandInvalid if there is no such shard."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise _no_shard(str(self))

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard in ``text``, such as ``2/3``; raises CommandInvalid."""
        found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None:
            raise _no_shard(text)
        return cls(int(found[1]), int(found[2]))

    def __contains__(self, parent: str) -> bool:
        """Return whether the parent belongs to this shard; that does not depend on the other parents."""
        number = int.from_bytes(hashlib.sha256(parent.encode()).digest())
        return number % self.count + 1 == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def _no_shard(text: str) -> CommandInvalid:
    return CommandInvalid(
        f"There is no shard {text!r}.", hint="Write I/N, as in 2/3: the second of three. Shards count from 1."
    )
