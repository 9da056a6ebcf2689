"""Writes outputs to files: completely or not at all, and never over a file of another kind.

Owns which path an output may take: a free one, or that of an earlier output of the same
kind, recognized by its content.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import files
from provisioner.errors import CommandInvalid
from provisioner.immutable import immutable
from provisioner.manifest.sources import MANIFEST
from provisioner.project.places import real_place, require_harmless
from provisioner.project.plans import MANIFESTS
from provisioner.render.credentials import is_export
from provisioner.render.overview import SIGNATURE
from provisioner.state.disk import PRIVATE, Disk, check_room, write_atomically

if TYPE_CHECKING:
    from provisioner.project.workspace import Workspace

_MAX_BYTES: Final = 100_000_000
"""A larger file is not an earlier output."""
_HEAD: Final = 1000
"""Characters at the beginning of a page that contain its signature."""
_METRIC: Final = re.compile(r"(?:# (?:HELP|TYPE) )?octopush_provisioner_")


@immutable
class OutputKind:
    """A kind of output."""

    noun: str
    is_one: Callable[[str], bool]
    """Returns whether a text is an earlier output of this kind."""


def _is_report(text: str) -> bool:
    document = _document(text)
    error = document.get("error")
    return isinstance(document.get("reports"), list) or (isinstance(error, dict) and {"code", "name"} <= error.keys())


def _is_plan(text: str) -> bool:
    document = _document(text)
    return isinstance(document.get("plans"), list) and {"source", "digest"} <= document.keys()


def _are_metrics(text: str) -> bool:
    return all(_METRIC.match(line) for line in text.splitlines() if line.strip())


def _is_page(text: str) -> bool:
    return SIGNATURE in text[:_HEAD] and text.startswith(("<!DOCTYPE html>", "<!-- "))


def _document(text: str) -> dict[str, object]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and "version" in document else {}


REPORT: Final = OutputKind("report", _is_report)
PLAN: Final = OutputKind("saved plan", _is_plan)
METRICS: Final = OutputKind("metrics file of this program", _are_metrics)
PAGE: Final = OutputKind("page about all parents", _is_page)
EXPORT: Final = OutputKind("export of credentials", is_export)


def write(out: Path, content: str, kind: OutputKind, *, mode: int = PRIVATE) -> None:
    """Write ``content`` to ``out``; it may replace an earlier file of the same ``kind``.

    Raises:
        CommandInvalid: something else is there, or the file cannot be written.

    """
    try:
        _require_kind(out, kind)
        write_atomically(out, content.encode(errors="backslashreplace"), Disk(), mode=mode)
    except OSError as error:
        raise _unwritable(out, error) from error


def write_json(out: Path, document: Mapping[str, object], kind: OutputKind) -> None:
    """Write a JSON document that the program will read again to ``out``; raises CommandInvalid."""
    write(out, json.dumps(document, indent=2) + "\n", kind)


def require_place(out: Path, kind: OutputKind, taken: Mapping[Path, str], folder: Path) -> None:
    """Raise CommandInvalid unless a file of ``kind`` can be written to ``out``, which is not touched.

    ``taken`` are the files of the project in ``folder``, with a description of each.
    """
    require_harmless(out, folder)
    place = real_place(out)
    for path, what in taken.items():
        if path.name == out.name and real_place(path) == place:
            raise CommandInvalid(
                f"{out} is {what}.", hint="Name another file: this one would be lost. Nothing was done."
            )
    try:
        _require_kind(out, kind)
        check_room(out)
    except OSError as error:
        raise _unwritable(out, error) from error


def project_files(workspace: Workspace, manifests: Sequence[Path]) -> dict[Path, str]:
    """Return the files of a project that no output may replace, described; see :meth:`Project.files`."""
    found: dict[Path, str] = {}
    for parent in (*workspace.parents(), *workspace.records()):
        found |= {path: f"{what} of {parent.name}" for path, what in parent.store.files().items()}
    found[workspace.settings.file] = "the settings"
    for identity in workspace.keys.files:
        found[identity] = found[Path(os.path.realpath(identity))] = "an identity"
    for named in manifests or (workspace.folder / MANIFESTS,):
        with suppress(OSError):  # whoever reads the manifests reports the error
            inside = list(named.iterdir()) if named.is_dir() else [named]
            found |= {each: "a manifest" for each in inside if MANIFEST.is_name_of(each)}
    return found


def _require_kind(out: Path, kind: OutputKind) -> None:
    """Raise CommandInvalid if ``out`` exists and is not of the same ``kind``, or OSError."""
    try:
        earlier = files.read(out, _MAX_BYTES, own=True)
    except FileNotFoundError:
        return
    except files.NotAFile as error:
        raise CommandInvalid(
            f"{out} cannot be replaced: {error.strerror}.", hint="Name a file that can be replaced, or a new one."
        ) from None
    except files.TooLarge:
        earlier = b"\0"
    if not kind.is_one(earlier.decode(errors="replace")) and earlier.strip():
        raise CommandInvalid(
            f"{out} already exists, and is not an earlier {kind.noun}.",
            hint="Name another file, or move this one away: its content would be lost. Nothing was done.",
        )


def _unwritable(out: Path, error: OSError) -> CommandInvalid:
    reason = error.strerror or os.strerror(error.errno or 0)
    return CommandInvalid(f"{out} cannot be written: {reason}.", hint="Name a file in a writable folder.")
