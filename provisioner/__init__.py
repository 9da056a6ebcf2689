"""Provision Octopush SMS sub-accounts in batch, and never lose a credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner._version import __version__

__all__ = ["Bounds", "CancelToken", "Folders", "Project", "Reporter", "Shard", "__version__"]

if TYPE_CHECKING:
    from provisioner.model.shard import Shard
    from provisioner.project.bounds import Bounds
    from provisioner.project.cancel import CancelToken
    from provisioner.project.folders import Folders
    from provisioner.project.project import Project
    from provisioner.project.reporter import Reporter

_HOMES = {
    "Bounds": "project.bounds",
    "CancelToken": "project.cancel",
    "Folders": "project.folders",
    "Project": "project.project",
    "Reporter": "project.reporter",
    "Shard": "model.shard",
}


def __getattr__(name: str) -> object:
    """Import a name of the public API on first use: ``--help`` does not need it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only users of the library need it

    return getattr(import_module(f"provisioner.{_HOMES[name]}"), name)
