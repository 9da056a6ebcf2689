"""What was done to a disk, in its order: the log from which the states after a power cut follow.

Files and folders are known by the number of their inode; the top folder is number 1.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

TOP: Final = 1


@dataclass(frozen=True, slots=True)
class Make:
    """A new inode, which has no name yet; ``mode`` has its type too, as in ``stat``."""

    inode: int
    mode: int


@dataclass(frozen=True, slots=True)
class Name:
    """Names of a folder, all set at once: to an inode, or to None where there is none any more.

    A create sets one name, an unlink takes one away, and a rename does both.
    """

    folder: int
    names: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that were written to a file at ``offset``."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Size:
    """A new size of a file."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Mode:
    """New permissions of a file or folder."""

    inode: int
    mode: int


@dataclass(frozen=True, slots=True)
class Sync:
    """An fsync that has returned: what was done to this file, or to the names in this folder, will last."""

    inode: int


@dataclass(frozen=True, slots=True)
class Settle:
    """Everything so far will last: it is from before the test."""


Operation: TypeAlias = Make | Name | Write | Size | Mode | Sync | Settle


def about(operation: Operation) -> int:
    """Return the inode to which it happens."""
    match operation:
        case Settle():
            return TOP
        case Name():
            return operation.folder
        case _:
            return operation.inode


def carry_out(content: bytearray, change: Write | Size) -> None:
    """Change ``content`` as it says; what a file skips is zeros."""
    match change:
        case Write():
            content.extend(bytes(max(0, change.offset - len(content))))
            content[change.offset : change.offset + len(change.data)] = change.data
        case Size():
            del content[change.size :]
            content.extend(bytes(change.size - len(content)))


def line(operation: Operation) -> bytes:
    """Return one entry of a log."""
    return pickle.dumps(operation)


def read(path: Path) -> list[Operation]:
    """Return the log in a file that a forgetful disk of our own has written."""
    found: list[Operation] = []
    with path.open("rb") as file:
        while file.peek(1):
            found.append(pickle.load(file))  # noqa: S301  # our own file
    return found
