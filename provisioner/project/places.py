"""Paths that the program never writes to, because git, a forge or a CI runner takes instructions from them."""

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
"""Names that git and forges obey anywhere in a project."""
_SCRIPTS: Final = "ci"
"""The folder of pipeline scripts, at the top of a project or of its repository."""


def require_harmless(out: Path, folder: Path) -> None:
    """Raise CommandInvalid if git, a forge or a pipeline takes instructions from ``out``.

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
            f"{out} is a path from which git or a pipeline takes instructions.",
            hint="Name a file elsewhere. Nothing was done.",
        )


def _tops(folder: Path) -> list[Path]:
    """Return the top folder of the project's repository, if it has one, and the project folder."""
    real = Path(os.path.realpath(folder))
    repository = next((each for each in (real, *real.parents) if os.path.lexists(each / ".git")), real)
    return list(dict.fromkeys((repository, real)))


def real_place(out: Path) -> tuple[str, str]:
    """Return the folder with all links resolved, and the file name."""
    return os.path.realpath(out.parent), out.name
