"""The states in which a power cut may leave a disk, derived from the log of what was done to it.

The rules are those of POSIX, and no kinder:

- What an fsync of a file has covered is in the file. What an fsync of a folder has covered
  is in the folder. An fsync of a file says nothing about its name.
- Of everything else, any part may have reached the disk, in any order; but a rename is whole.
- A write reaches the disk in sectors of 512 bytes. Where it made the file longer, the new size may
  have come without the data: then there are zeros.

Folders that are ``remembered`` stand for other machines, which have no power cut: nothing in them is forgotten.

Where there are few states at a cut, all of them are found. Where there are more than a bound, these
are: everything lost that can be, nothing lost, every single deviation from these two, and a sample.
"""

from __future__ import annotations

import random
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from math import prod
from typing import Final, TypeAlias

from tests.proof.disk.log import TOP, Make, Mode, Name, Operation, Settle, Size, Sync, Write, carry_out

SECTOR: Final = 512
_FEW: Final = 5
"""Of so many changes to one file or folder, every subset is tried."""

Tree: TypeAlias = tuple[tuple[str, int, bytes], ...]
"""What is on a disk: path, mode and content of every folder and file, a folder before what is in it."""


@dataclass(frozen=True, slots=True)
class _Inode:
    mode: int
    content: bytes = b""
    """Of a file."""
    names: Mapping[str, int] = field(default_factory=dict)
    """Of a folder, the inodes in it."""


class Disk:
    """What has reached a disk for certain, and what may have."""

    def __init__(self, remembered: Collection[str] = ()) -> None:
        self._sure = {TOP: _Inode(stat.S_IFDIR | 0o755)}
        self._unsure: dict[int, list[Operation]] = {}
        """By inode, what was done to it since it was synced."""
        self.paths = {TOP: ""}
        """Where each inode got its first name, with a slash at the end."""
        self._remembered = tuple(f"{each}/" for each in remembered)

    def follow(self, operation: Operation) -> None:
        """Take note of the next operation of the log."""
        match operation:
            case Make(number, mode):
                self._sure[number] = _Inode(mode)
            case Sync(number):
                self._settle(number)
            case Settle():
                for number in tuple(self._unsure):
                    self._settle(number)
            case Mode(number, mode) if mode == self._sure[number].mode and number not in self._unsure:
                pass  # it changes nothing
            case Name(number) | Write(number) | Size(number) | Mode(number):
                self._unsure.setdefault(number, []).append(operation)
                for name, inner in operation.names if isinstance(operation, Name) else ():
                    self.paths.setdefault(inner or TOP, f"{self.paths[number]}{name}/")
                if self.paths[number].startswith(self._remembered):
                    self._settle(number)

    def is_folder(self, number: int) -> bool:
        """Return whether an inode is a folder."""
        return stat.S_ISDIR(self._sure[number].mode)

    def _settle(self, number: int) -> None:
        self._sure[number] = _after(self._sure[number], self._unsure.pop(number, []))

    def states(self, bound: int, drawn: random.Random) -> tuple[list[Tree], bool]:
        """Return states in which a power cut may leave it now, and whether these are all; about ``bound`` at most."""
        numbers = sorted(self._reachable() & self._unsure.keys())
        variants = [_variants(self._sure[each], self._unsure[each]) for each in numbers]
        is_all = prod(map(len, variants)) <= bound
        chosen = product(*variants) if is_all else _sample(variants, bound, drawn)
        found = {_tree(self._sure | dict(zip(numbers, each, strict=True))): None for each in chosen}
        return list(found), is_all

    def _reachable(self) -> set[int]:
        """Return the inodes to which names lead that may be on the disk."""
        found, fresh = {TOP}, [TOP]
        while fresh:
            number = fresh.pop()
            may = [each for each in self._unsure.get(number, ()) if isinstance(each, Name)]
            names = [*self._sure[number].names.values(), *(to for each in may for _, to in each.names if to)]
            fresh += (new := {*names} - found)
            found |= new
        return found


def _after(inode: _Inode, changes: Sequence[Operation]) -> _Inode:
    """Return ``inode`` with all of these changes to it."""
    content, names, mode = bytearray(inode.content), dict(inode.names), inode.mode
    for change in changes:
        match change:
            case Name():
                for name, number in change.names:
                    names.pop(name, None)
                    names |= {} if number is None else {name: number}
            case Mode():
                mode = change.mode
            case Write() | Size():
                carry_out(content, change)
    return _Inode(mode, bytes(content), names)


def _variants(inode: _Inode, changes: Sequence[Operation]) -> list[_Inode]:
    """Return what may be left of ``inode``, each once: first nothing of ``changes``, and last all of them."""
    whole = _after(inode, changes)
    found: list[_Inode] = []
    for left in _subsets(changes):
        found += _torn(inode, left)
        found.append(_after(inode, left))
    # A mapping cannot be hashed; there are few.
    return [*(each for at, each in enumerate(found) if each != whole and each not in found[:at]), whole]


def _subsets(changes: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """Yield every subset of a few changes; of more, what an ordered disk leaves, and what one lost change does."""
    if len(changes) <= _FEW:
        for size in range(len(changes) + 1):
            yield from combinations(changes, size)
        return
    for size in range(len(changes)):
        yield changes[:size]
    for lost in range(len(changes)):
        yield [*changes[:lost], *changes[lost + 1 :]]


def _torn(inode: _Inode, changes: Sequence[Operation]) -> Iterator[_Inode]:
    """Yield ``inode`` after ``changes``, where the last one is a write of which only some sectors arrived."""
    if not changes or not isinstance(last := changes[-1], Write):
        return
    before = _after(inode, changes[:-1])
    first = SECTOR - last.offset % SECTOR
    ends = [*range(first, len(last.data), SECTOR)]
    size = max(len(before.content), last.offset + len(last.data))
    for end in sorted({0, *ends[:1], *ends[len(ends) // 2 :][:1], *ends[-1:]}):
        head = Write(last.inode, last.offset, last.data[:end])
        yield _after(before, [head])
        yield _after(before, [head, Size(last.inode, size)])
        if 0 < end < len(last.data):
            # The last sectors came first.
            yield _after(before, [Size(last.inode, size), Write(last.inode, last.offset + end, last.data[end:])])


def _sample(variants: Sequence[Sequence[_Inode]], bound: int, drawn: random.Random) -> Iterator[Sequence[_Inode]]:
    """Yield the extremes, every single deviation from them, and others, so that there are about ``bound``."""
    left = bound
    for extreme in (0, -1):
        base = [each[extreme] for each in variants]
        yield base
        for at, each in enumerate(variants):
            for variant in each:
                yield [*base[:at], variant, *base[at + 1 :]]
                left -= 1
    for _ in range(left):
        yield [drawn.choice(each) for each in variants]


def _tree(inodes: Mapping[int, _Inode]) -> Tree:
    return tuple(_below(inodes, TOP, ""))


def _below(inodes: Mapping[int, _Inode], number: int, path: str) -> Iterator[tuple[str, int, bytes]]:
    inode = inodes[number]
    yield path, inode.mode, inode.content
    for name, inner in sorted(inode.names.items()):
        yield from _below(inodes, inner, f"{path}/{name}" if path else name)
