"""The ready-made files of ``init --ci`` and ``init --schedule``.

Owns which of them belong together, and what is left to a person once they are written.
They lie in ``provisioner/templates`` as they are written, in the places that they get.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

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


def steps(kind: str, kept: dict[str, str]) -> list[str]:
    """Return what is left to do for the files of ``kind``; ``kept`` are the texts of those that were there before."""
    left = [f"Next: set up its secrets, as described at the top of {_HEADS[kind]}."]
    included = _HEADS["gitlab"]
    if kind == "gitlab" and included not in kept.get(".gitlab-ci.yml", included):
        left.append(f"Add to .gitlab-ci.yml, under `include:`, the line `- local: {included}`.")
    return left
