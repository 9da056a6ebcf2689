"""The ready-made files of ``init --ci`` and ``init --schedule``.

Owns which of them belong together, what is left to a person once they are written, and how
a file shows which version wrote it and whether somebody has edited it since. They lie in
``provisioner/templates`` as they are written, in the places that they get.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from provisioner import schemas
from provisioner._version import __version__

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
"""Where each tells, in its first lines, what is left to a person."""
_PIPELINE: Final = ".gitlab-ci.yml"
"""Only includes another, and may be the project's own."""
SCHEMA: Final = "schemas/manifest.v1.schema.json"
"""Where a project has the schema of its manifests, for editors."""

WRITTEN_BY: Final = f"Written by octopush-provisioner {__version__}"
_MARK: Final = re.compile(
    r"""^(?:# |  "\$comment": ")Written by octopush-provisioner \S+, sha256 ([0-9a-f]{64})(?:",)?\n""", re.MULTILINE
)

# The places that their heads ask a person to fill in. What stands there is no edit, and is kept.
_PROGRAM: Final = re.compile(r"^octopush-provisioner\b(?:.*\\\n)*.*(?:\n|\Z)", re.MULTILINE)
"""Where the program itself is, in ``ci/requirements.txt``: anywhere in it."""
_PLACES: Final = (
    re.compile(r"(PROVISIONER_PLACEHOLDERS(?:[:=]|\n +value:))(.*)"),
    re.compile(
        r"(# And each variable that a placeholder of your manifests names\.\n)"
        r"((?: +[A-Za-z_]\w*: \$\{\{ secrets\.\w+ \}\}\n)*)"
    ),
)
"""The same of the other files: what stands before it, and what a person fills in."""
_EMPTY: Final = ("", '""')


@dataclass(frozen=True, slots=True)
class Update:
    """What this version would write in the place of a file."""

    text: str
    """With what a person has filled in."""
    is_new: bool
    """Whether the version that wrote the file would have written something else, or there is no file."""
    is_edited: bool
    """Whether somebody has edited the file, elsewhere than in the places to fill in."""


def is_ci(kinds: Sequence[str]) -> bool:
    """Tell whether there is one among ``kinds`` whose runners have no disk of their own."""
    return any("ci" in _SETS[kind] for kind in kinds)


def files(*kinds: str) -> dict[str, str]:
    """Return what each file of these ``kinds`` holds, by its path in a project."""
    found: dict[str, str] = {}
    for kind in kinds:
        for name in _SETS[kind]:
            folder = _TEMPLATES / name
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    found[str(path.relative_to(folder))] = path.read_text(encoding="utf-8")
    return found


def renewable(folder: Path, kinds: Sequence[str]) -> dict[str, str]:
    """Return the same of those that a newer version may replace, and of the schema where ``folder`` has it."""
    found = {name: content for name, content in files(*kinds).items() if name != _PIPELINE}
    return found | (schema() if (folder / SCHEMA).is_file() else {})


def present(folder: Path) -> tuple[str, ...]:
    """Return the kinds of files that the project in ``folder`` has."""
    return tuple(kind for kind, head in _HEADS.items() if (folder / head).is_file())


def schema() -> dict[str, str]:
    """Return the schema of manifests, by its path in a project."""
    return {SCHEMA: schemas.text("manifest.v1")}


def marked(content: str) -> str:
    """Return ``content`` with a line that says which version wrote it, and shows whether somebody edits it later."""
    words = f"{WRITTEN_BY}, sha256 {_digest(content)}"
    if content.startswith("{\n"):
        return content.replace("{\n", f'{{\n  "$comment": "{words}",\n', 1)
    return f"# {words}\n{content}"


def update(there: str | None, content: str) -> Update:
    """Return what this version, whose file is ``content``, would write in the place of the text ``there``, if any."""
    if there is None:
        return Update(marked(content), is_new=True, is_edited=False)
    there = there.replace("\r\n", "\n")
    mark = _MARK.search(there)
    own = there if mark is None else there[: mark.start()] + there[mark.end() :]
    filled, is_whole = _filled_in(content, own)
    written = None if mark is None else mark[1]
    # A file of before there was such a line is known by its content alone.
    is_as_written = _digest(own) in {written, _digest(content)}
    return Update(marked(filled), is_new=written != _digest(content), is_edited=not (is_whole and is_as_written))


def _digest(content: str) -> str:
    """Return what tells a file from any other, whatever a person has filled in."""
    for place in _PLACES:
        content = place.sub(r"\1", content)
    return hashlib.sha256(_PROGRAM.sub("", content).encode()).hexdigest()


def _filled_in(content: str, own: str) -> tuple[str, bool]:
    """Return ``content`` with what a person has filled in in ``own``, and whether there is a place for all of that."""
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
    """Return what is left to do for the files of ``kind``; ``kept`` are the texts of those that were there before."""
    left = [f"Next: set up its secrets, as described at the top of {_HEADS[kind]}."]
    included = _HEADS["gitlab"]
    if kind == "gitlab" and included not in kept.get(_PIPELINE, included):
        left.append(f"Add to .gitlab-ci.yml, under `include:`, the line `- local: {included}`.")
    return left
