"""The ready-made files of ``init --ci`` and ``init --schedule``.

Owns which files belong together, the steps that remain for the user, and the line in a file
that shows which version wrote it and whether somebody has edited it since. The files are
in ``provisioner/templates``, at the paths that they get in a project.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from provisioner import schemas
from provisioner._version import __version__
from provisioner.immutable import immutable

_TEMPLATES: Final = Path(__file__).resolve().parent.parent / "templates"
_SETS: Final = {
    "github": ("github", "ci"),
    "gitlab": ("gitlab", "ci"),
    "cron": ("cron", "monitoring"),
    "systemd": ("systemd", "monitoring"),
    "kubernetes": ("kubernetes",),
}
_HEADS: Final = {
    "github": ".github/workflows/provisioner-apply.yml",
    "gitlab": ".gitlab/provisioner.gitlab-ci.yml",
    "cron": "schedule/provisioner.cron",
    "systemd": "schedule/provisioner-reconcile.service",
    "kubernetes": "schedule/provisioner-reconcile.yaml",
}
"""The file of each kind whose first lines describe the remaining steps."""
_PIPELINE: Final = ".gitlab-ci.yml"
"""Only includes another file, and may be the project's own."""
SCHEMA: Final = "schemas/manifest.v1.schema.json"
"""The path of the schema of manifests in a project, for editors."""

WRITTEN_BY: Final = f"Written by octopush-provisioner {__version__}"
_MARK: Final = re.compile(
    r"""^(?:# |  "\$comment": ")Written by octopush-provisioner \S+, sha256 ([0-9a-f]{64})(?:",)?\n""", re.MULTILINE
)

# The places for a person to fill in. Their content does not count as an edit, and is kept.
_PROGRAM: Final = re.compile(r"^octopush-provisioner\b(?:.*\\\n)*.*(?:\n|\Z)", re.MULTILINE)
"""The requirement of the program itself, anywhere in ``ci/requirements.txt``."""
_PLACES: Final = (
    re.compile(r"(PROVISIONER_PLACEHOLDERS(?:[:=]|\n +value:))(.*)"),
    re.compile(
        r"(# And each variable that a placeholder of your (?:settings or )?manifests names\.\n)"
        r"((?: +[A-Za-z_]\w*: \$\{\{ secrets\.\w+ \}\}\n)*)"
    ),
)
"""Places in the other files: the text before a place, and what a person fills in."""
_EMPTY: Final = ("", '""')


@immutable
class FileUpdate:
    """The update of a file by this version."""

    text: str
    """The new content, with what a person has filled in."""
    is_new: bool
    """Whether the file is missing, or was different in the version that wrote it."""
    is_edited: bool
    """Whether somebody has edited the file, apart from the places to fill in."""


def is_ci(kinds: Sequence[str]) -> bool:
    """Return whether one of ``kinds`` is a CI, where runners keep no files."""
    return any("ci" in _SETS[kind] for kind in kinds)


def files(*kinds: str) -> dict[str, str]:
    """Return the content of all files of these ``kinds``, by path in a project."""
    found: dict[str, str] = {}
    for kind in kinds:
        for name in _SETS[kind]:
            folder = _TEMPLATES / name
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    found[str(path.relative_to(folder))] = path.read_text(encoding="utf-8")
    return found


def renewable(folder: Path, kinds: Sequence[str]) -> dict[str, str]:
    """Return the same for files that a newer version may replace, with the schema if ``folder`` has it."""
    found = {name: content for name, content in files(*kinds).items() if name != _PIPELINE}
    return found | (schema() if (folder / SCHEMA).is_file() else {})


def present(folder: Path) -> tuple[str, ...]:
    """Return the kinds of ready-made files in the project in ``folder``."""
    return tuple(kind for kind, head in _HEADS.items() if (folder / head).is_file())


def schema() -> dict[str, str]:
    """Return the schema of manifests, by path in a project."""
    return {SCHEMA: schemas.text("manifest.v1")}


def marked(content: str) -> str:
    """Return ``content`` with a line that names this version, and a digest that reveals later edits."""
    mark = f"{WRITTEN_BY}, sha256 {_digest(content)}"
    if content.startswith("{\n"):
        return content.replace("{\n", f'{{\n  "$comment": "{mark}",\n', 1)
    return f"# {mark}\n{content}"


def update(there: str | None, content: str) -> FileUpdate:
    """Return the update of the text ``there``, if any, to this version's ``content``."""
    if there is None:
        return FileUpdate(marked(content), is_new=True, is_edited=False)
    there = there.replace("\r\n", "\n")
    mark = _MARK.search(there)
    own = there if mark is None else there[: mark.start()] + there[mark.end() :]
    filled, is_whole = _filled_in(content, own)
    written = None if mark is None else mark[1]
    # Older versions wrote no such line: compare with the content itself.
    is_as_written = _digest(own) in {written, _digest(content)}
    return FileUpdate(marked(filled), is_new=written != _digest(content), is_edited=not (is_whole and is_as_written))


def _digest(content: str) -> str:
    """Return the SHA-256 of ``content`` without what a person has filled in."""
    for place in _PLACES:
        content = place.sub(r"\1", content)
    return hashlib.sha256(_PROGRAM.sub("", content).encode()).hexdigest()


def _filled_in(content: str, own: str) -> tuple[str, bool]:
    """Return ``content`` with what a person has filled in in ``own``, and whether all of it has a place."""
    is_whole = True
    for place in _PLACES:
        if (filled := place.search(own)) is None:
            continue
        is_whole = is_whole and (place.search(content) is not None or filled[2].strip() in _EMPTY)
        content = place.sub(partial(_with, filled[2]), content)
    return content + "".join(_PROGRAM.findall(own)), is_whole


def _with(text: str, place: re.Match[str]) -> str:
    return f"{place[1]}{text}"


def steps(kind: str, kept: dict[str, str]) -> list[str]:
    """Return the remaining steps for the files of ``kind``; ``kept`` are the texts of existing files, by path."""
    remaining = [f"Next: set up its secrets, as described at the top of {_HEADS[kind]}."]
    included = _HEADS["gitlab"]
    if kind == "gitlab" and included not in kept.get(_PIPELINE, included):
        remaining.append(f"Add to .gitlab-ci.yml, under `include:`, the line `- local: {included}`.")
    return remaining
