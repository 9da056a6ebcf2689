"""Sources: from the paths that the user gave to the files that are read.

Decides which files are manifests and how large one may be. Does not parse a file, wait on
a pipe, or read one file twice.
"""

from __future__ import annotations

import os
import re
from dataclasses import field
from itertools import islice
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Final

from provisioner import files
from provisioner.immutable import immutable
from provisioner.model.account import Origin, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

MAX_BYTES: Final = 10_000_000
MAX_FOLDERS: Final = 1_000
"""How many are searched for manifests that are not read; somebody may name the root of a disk."""

YAML_SUFFIXES: Final = (".yaml", ".yml")
WORKBOOK_SUFFIXES: Final = (".xlsx", ".ods")
TABLE_SUFFIXES: Final = (".csv", ".tsv", *WORKBOOK_SUFFIXES)
_OTHER_WORKBOOKS: Final = (".xls", ".xlsm", ".xlsb", ".xltx", ".xltm")


_OF_A_MERGE: Final = r"_(?:BACKUP|BASE|LOCAL|REMOTE)_\d+\.[^.]+$"
"""The files that `git mergetool` leaves next to a file."""


@immutable
class FileKind:
    """A kind of file, and what problems call it."""

    noun: str
    suffixes: tuple[str, ...]
    too_large: str
    """The hint for a file that is too large."""

    def is_name_of(self, path: Path) -> bool:
        """Return whether ``path`` has the name of such a file."""
        return path.suffix.lower() in self.suffixes

    @property
    def names(self) -> str:
        """The hint that says how to name such a file."""
        return f"A {self.noun}'s name ends in {', '.join(self.suffixes[:-1])} or {self.suffixes[-1]}."


MANIFEST: Final = FileKind(
    "manifest", YAML_SUFFIXES + TABLE_SUFFIXES, "Split it into several files; you can pass them together."
)


@immutable
class Source:
    """The content of one file."""

    path: Path
    """As given or found, for messages."""
    raw: bytes = field(repr=False)


def sources(paths: Sequence[Path]) -> Iterator[Source | Problem]:
    """Yield the content of each manifest at ``paths``, or its problem; a folder gives the manifests inside."""
    seen: set[str] = set()
    named = {os.path.realpath(path) for path in paths}
    for path in paths:
        for found in _opened(path):
            if isinstance(found, Problem):
                yield found
                continue
            real = os.path.realpath(found)
            if real not in seen:
                seen.add(real)
                yield content(found, MANIFEST)
        for folder in _unread(path, named):
            named.add(os.path.realpath(folder))
            hint = "Name it too: only the manifests directly inside a folder are read."
            origin = Origin(str(folder))
            yield Problem(origin, "", "This folder contains manifests, but is not read.", hint, Severity.NOTE)


def _unread(path: Path, named: Collection[str]) -> Iterator[Path]:
    """Yield each folder below ``path`` that has a manifest which is not ``named``."""
    for folder, inside, others in islice(os.walk(path), MAX_FOLDERS):
        inside[:] = sorted(each for each in inside if not each.startswith("."))
        manifests = [each for each in map(Path(folder).joinpath, others) if MANIFEST.is_name_of(each)]
        if Path(folder) == path or os.path.realpath(folder) in named:
            continue
        if any(not _is_other(each) and os.path.realpath(each) not in named for each in manifests):
            yield Path(folder)


def _opened(path: Path) -> Iterator[Path | Problem]:
    """Yield ``path``, or the manifests inside if it is a folder."""
    if MANIFEST.is_name_of(path):
        yield path
        return
    try:
        inside = sorted(path.iterdir()) if path.is_dir() else None
    except OSError as error:
        yield _problem(path, f"The folder cannot be opened: {error.strerror}.", "Ask for permission to read it.")
        return
    if inside is None:
        yield path
        return
    manifests = [each for each in inside if MANIFEST.is_name_of(each) and not _is_other(each)]
    if not manifests:
        yield _problem(path, "The folder contains no manifest.", MANIFEST.names)
    yield from manifests


def holds_any(folder: Path) -> bool:
    """Return whether ``folder`` is a folder with a manifest; True if it cannot be opened: reading it says why."""
    try:
        return any(MANIFEST.is_name_of(each) and not _is_other(each) for each in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _is_other(path: Path) -> bool:
    """Return whether a file in a folder is not one of its manifests: hidden, temporary, or the settings."""
    return (
        path.name.startswith((".", "~")) or path.name == "provisioner.yaml" or bool(re.search(_OF_A_MERGE, path.name))
    )


def content(path: Path, kind: FileKind) -> Source | Problem:
    """Return the content of the file at ``path``, or its problem."""
    try:
        status = path.stat()
        if S_ISDIR(status.st_mode):
            if not kind.is_name_of(path):
                return _problem(path, "This is a folder and not a file.", f"Name the {kind.noun} inside.")
            return _problem(path, f"This folder has the name of a {kind.noun}.", "Rename it, or name the file inside.")
        files.require_fit(status)
        locked = path.name.startswith("~$")
        if locked or not kind.is_name_of(path):
            hint = "Excel made it while somebody has the table open: name the table itself." if locked else kind.names
            message = f"This is not the name of a {kind.noun}."
            if not locked and path.suffix.lower() in _OTHER_WORKBOOKS:
                message, hint = "This is an old Excel workbook, or one with macros.", "Save it as .xlsx."
            return _problem(path, message, hint)
        return Source(path, files.read(path, MAX_BYTES))
    except files.NotAFile:
        return _problem(path, "This is not a file but a pipe or a device.", f"Write the {kind.noun} to a file.")
    except files.TooLarge:
        return _problem(path, f"The file is over {MAX_BYTES // 1_000_000} MB.", kind.too_large)
    except FileNotFoundError:
        return _problem(path, "There is no such file.", "Check the path for typos.")
    except OSError as error:
        return _problem(path, f"The file cannot be read: {error.strerror}.", "Ask for permission to read it.")


def _problem(path: Path, message: str, hint: str) -> Problem:
    return Problem(Origin(str(path)), "", message, hint)
