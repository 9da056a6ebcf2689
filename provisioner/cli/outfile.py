"""Writes what was asked for into a file: wholly or not at all, its owner's alone, and never through a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from provisioner.errors import CommandInvalid
from provisioner.state.disk import Disk, check_room, write_atomically


def write(out: Path, content: str) -> None:
    """Put ``content`` at ``out``, in the place of a file or link that is there.

    Raises:
        CommandInvalid: it cannot be written there.

    """
    try:
        _require_replaceable(out)
        write_atomically(out, content.encode(errors="backslashreplace"), Disk())
    except OSError as error:
        raise _unwritable(out, error) from error


def require_place(out: Path) -> None:
    """Return if a file can be written to ``out``, which nothing is done to; raises CommandInvalid."""
    try:
        _require_replaceable(out)
        check_room(out)
    except OSError as error:
        raise _unwritable(out, error) from error


def require_free(out: Path, taken: Mapping[Path, str]) -> None:
    """Refuse the place of a file that something else is kept in; ``taken`` says what. Raises CommandInvalid."""
    for path, what in taken.items():
        if _place(out) == _place(path):
            raise CommandInvalid(
                f"{out} is {what}.", hint="Name another file: what is there would be lost. Nothing was done."
            )


def _place(path: Path) -> tuple[str, str]:
    """Return the folder as it is in truth, and the name: a link is replaced and not followed."""
    return os.path.realpath(path.parent), path.name


def _require_replaceable(out: Path) -> None:
    """Refuse what a file must not take the place of: a folder, a device, a pipe. Raises OSError as well."""
    try:
        mode = out.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "no file but a pipe or a device"
        raise CommandInvalid(f"{out} is {kind}.", hint="Name a file that may be written or replaced.")


def _unwritable(out: Path, error: OSError) -> CommandInvalid:
    reason = error.strerror or os.strerror(error.errno or 0)
    return CommandInvalid(f"{out} cannot be written: {reason}.", hint="Name a file in a folder that is writable.")
