"""Places: where nothing of ours is ever written, because git, a forge or a runner looks there for what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from provisioner.errors import CommandInvalid

_STEERS: Final = frozenset(
    {
        ".azure-pipelines", ".buildkite", ".circleci", ".drone.yml", ".forgejo", ".git", ".gitattributes", ".gitea",
        ".github", ".gitignore", ".gitlab", ".gitlab-ci.yml", ".gitmodules", ".travis.yml", ".woodpecker",
        ".woodpecker.yml", "azure-pipelines.yml", "bitbucket-pipelines.yml", "jenkinsfile",
    }
)  # fmt: skip
"""What git and forges obey, wherever it stands in a project."""
_SCRIPTS: Final = "ci"
"""The folder for the scripts of a pipeline, at the top of a project or of its repository."""


def require_harmless(out: Path, folder: Path) -> None:
    """Refuse a place where git, a forge or a pipeline looks for what to do; raises CommandInvalid.

    ``folder`` is the project's.
    """
    real, name = real_place(out)
    whole = Path(real) / name
    tops = _tops(folder)
    below = [whole.relative_to(top).parts for top in tops if whole.is_relative_to(top)]
    inside = below[0] if below else whole.parts
    scripts = any(part.casefold() == _SCRIPTS for parts in below for part in parts[:1])
    if scripts or any(part.casefold() in _STEERS for part in inside):
        raise CommandInvalid(
            f"{out} is a place in which git or a pipeline looks for what to do.",
            hint="Name a file elsewhere. Nothing was done.",
        )


def _tops(folder: Path) -> list[Path]:
    """Return the top folder of the project's repository, if it has one, and the project's own."""
    real = Path(os.path.realpath(folder))
    repository = next((each for each in (real, *real.parents) if os.path.lexists(each / ".git")), real)
    return list(dict.fromkeys((repository, real)))


def real_place(out: Path) -> tuple[str, str]:
    """Return the folder as it really is, and the name."""
    return os.path.realpath(out.parent), out.name
