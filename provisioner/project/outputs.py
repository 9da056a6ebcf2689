"""Writes what was asked for into a file: wholly or not at all, its owner's alone, and never through a link."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import CommandInvalid
from provisioner.manifest.sources import MANIFEST
from provisioner.project.plans import MANIFESTS
from provisioner.state.disk import Disk, check_room, write_atomically

if TYPE_CHECKING:
    from provisioner.project.workspace import Workspace


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


def write_json(out: Path, document: Mapping[str, object]) -> None:
    """Put one JSON document, which is to be read again, at ``out``; raises CommandInvalid."""
    write(out, json.dumps(document, indent=2) + "\n")


def require_place(out: Path) -> None:
    """Return if a file can be written to ``out``, which nothing is done to; raises CommandInvalid."""
    try:
        _require_replaceable(out)
        check_room(out)
    except OSError as error:
        raise _unwritable(out, error) from error


def require_free(out: Path, taken: Mapping[Path, str]) -> None:
    """Refuse the place of a file that something else is kept in; ``taken`` says what. Raises CommandInvalid."""
    place = _place(out)
    for path, what in taken.items():
        if path.name == out.name and _place(path) == place:
            raise CommandInvalid(
                f"{out} is {what}.", hint="Name another file: what is there would be lost. Nothing was done."
            )


def project_files(workspace: Workspace, manifests: Sequence[Path]) -> dict[Path, str]:
    """Return the files of a project that no other file may replace, and what each is; see :meth:`Project.files`."""
    files: dict[Path, str] = {}
    for parent in workspace.parents():
        files |= {path: f"{what} of {parent.name}" for path, what in parent.store.files().items()}
    files[workspace.settings.file] = "the settings"
    for named in manifests or (workspace.folder / MANIFESTS,):
        with suppress(OSError):  # what cannot be looked into, its reader reports
            inside = list(named.iterdir()) if named.is_dir() else [named]
            files |= {each: "a manifest" for each in inside if MANIFEST.is_name_of(each)}
    return files


def _place(out: Path) -> tuple[str, str]:
    """Return the folder as it really is, and the name: a link is replaced and not followed."""
    return os.path.realpath(out.parent), out.name


def _require_replaceable(out: Path) -> None:
    """Refuse what a file must not take the place of: a folder, a device, a pipe. Raises OSError as well."""
    try:
        mode = out.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device, and not a file"
        raise CommandInvalid(f"{out} is {kind}.", hint="Name a file that may be written or replaced.")


def _unwritable(out: Path, error: OSError) -> CommandInvalid:
    reason = error.strerror or os.strerror(error.errno or 0)
    return CommandInvalid(f"{out} cannot be written: {reason}.", hint="Name a file in a folder that is writable.")
