"""Writes what was asked for into a file: wholly or not at all, and in the place of nothing else.

Owns which place a file may take: that of an earlier one of its kind, which its content
tells, or a free one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import files
from provisioner.errors import CommandInvalid
from provisioner.manifest.sources import MANIFEST
from provisioner.project.places import real_place, require_harmless
from provisioner.project.plans import MANIFESTS
from provisioner.render.credentials import is_export
from provisioner.render.overview import SIGNATURE
from provisioner.state.disk import PRIVATE, Disk, check_room, write_atomically

if TYPE_CHECKING:
    from provisioner.project.workspace import Workspace

_MAX_BYTES: Final = 100_000_000
"""Of an earlier file: what is larger was not written here."""
_HEAD: Final = 1000
"""Characters at the beginning of a page that say what made it."""
_METRIC: Final = re.compile(r"(?:# (?:HELP|TYPE) )?octopush_provisioner_")


@dataclass(frozen=True, slots=True)
class OutputKind:
    """What a file is."""

    noun: str
    is_one: Callable[[str], bool]
    """Whether a text is an earlier one."""


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
METRICS: Final = OutputKind("file of this program's metrics", _are_metrics)
PAGE: Final = OutputKind("page about all parents", _is_page)
EXPORT: Final = OutputKind("export of credentials", is_export)


def write(out: Path, content: str, kind: OutputKind, *, mode: int = PRIVATE) -> None:
    """Put ``content`` at ``out``, in the place of an earlier file of its ``kind``.

    Raises:
        CommandInvalid: something else is there, or it cannot be written.

    """
    try:
        _require_kind(out, kind)
        write_atomically(out, content.encode(errors="backslashreplace"), Disk(), mode=mode)
    except OSError as error:
        raise _unwritable(out, error) from error


def write_json(out: Path, document: Mapping[str, object], kind: OutputKind) -> None:
    """Put one JSON document, which is to be read again, at ``out``; raises CommandInvalid."""
    write(out, json.dumps(document, indent=2) + "\n", kind)


def require_place(out: Path, kind: OutputKind, taken: Mapping[Path, str], folder: Path) -> None:
    """Return if a file of ``kind`` can be written to ``out``, which nothing is done to; raises CommandInvalid.

    ``taken`` says what is kept in the files of the project in ``folder``.
    """
    require_harmless(out, folder)
    place = real_place(out)
    for path, what in taken.items():
        if path.name == out.name and real_place(path) == place:
            raise CommandInvalid(
                f"{out} is {what}.", hint="Name another file: what is there would be lost. Nothing was done."
            )
    try:
        _require_kind(out, kind)
        check_room(out)
    except OSError as error:
        raise _unwritable(out, error) from error


def project_files(workspace: Workspace, manifests: Sequence[Path]) -> dict[Path, str]:
    """Return the files of a project that no other file may replace, and what each is; see :meth:`Project.files`."""
    found: dict[Path, str] = {}
    for parent in (*workspace.parents(), *workspace.beside()):
        found |= {path: f"{what} of {parent.name}" for path, what in parent.store.files().items()}
    found[workspace.settings.file] = "the settings"
    for identity in workspace.keys.files:
        found[identity] = found[Path(os.path.realpath(identity))] = "an identity"
    for named in manifests or (workspace.folder / MANIFESTS,):
        with suppress(OSError):  # what cannot be looked into, its reader reports
            inside = list(named.iterdir()) if named.is_dir() else [named]
            found |= {each: "a manifest" for each in inside if MANIFEST.is_name_of(each)}
    return found


def _require_kind(out: Path, kind: OutputKind) -> None:
    """Refuse what a file of ``kind`` must not take the place of. Raises OSError as well."""
    try:
        earlier = files.read(out, _MAX_BYTES, own=True)
    except FileNotFoundError:
        return
    except files.NotAFile as error:
        raise CommandInvalid(
            f"{out} cannot be replaced: {error.strerror}.", hint="Name a file that may be written or replaced."
        ) from None
    except files.TooLarge:
        earlier = b"\0"
    if not kind.is_one(earlier.decode(errors="replace")) and earlier.strip():
        raise CommandInvalid(
            f"{out} is there already, and is no earlier {kind.noun}.",
            hint="Name another file, or move this one away: what it holds would be lost. Nothing was done.",
        )


def _unwritable(out: Path, error: OSError) -> CommandInvalid:
    reason = error.strerror or os.strerror(error.errno or 0)
    return CommandInvalid(f"{out} cannot be written: {reason}.", hint="Name a file in a folder that is writable.")
