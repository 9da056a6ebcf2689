"""Connects to the workers of a cluster, and contains the code that they run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from provisioner.errors import ProvisionerError, SettingInvalid
from provisioner.project import outputs
from provisioner.project.project import Project
from provisioner.project.reports import failed
from provisioner.project.spreading import Cluster, Done, Task

_SCHEME: Final = "dask://"
_PATIENCE: Final = 10.0
"""Seconds for the scheduler to answer."""


@contextmanager
def opened(address: str, config: Path | None, flags: Mapping[str, object]) -> Iterator[Cluster]:
    """Connect to the cluster at ``address``, such as ``dask://scheduler:8786``, inside a ``with``.

    Raises:
        SettingInvalid: the cluster cannot be reached, or Dask is not installed.

    """
    if not address.startswith(_SCHEME):
        raise SettingInvalid(f"{address} is not the address of a cluster.", hint="Write dask://HOST:PORT.")
    try:
        import distributed
    except ImportError as error:
        raise SettingInvalid(
            f"Support for clusters is not installed ({error}).",
            hint="Install it: pip install 'octopush-provisioner[dask]'.",
        ) from None
    reach: Any = distributed.Client
    try:
        client = reach(f"tcp://{address.removeprefix(_SCHEME)}", timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingInvalid(
            f"The cluster at {address} cannot be reached ({type(error).__name__}).",
            hint="Check that its scheduler is running, and that host and port are right. Nothing was sent.",
        ) from None
    with client:
        # No retries: a person must check what a lost worker has done.
        yield Cluster(client.get_executor(pure=False, retries=0), carried_out, config, flags)


def carried_out(task: Task) -> Done:
    """Run a ``task`` on a worker, in the current folder, which has a copy of the project."""
    try:
        project = Project.open(task.config, environ=os.environ, flags=task.flags, folder=Path())
        with TemporaryDirectory(prefix="provisioner-") as folder:
            path = Path(folder) / "plan.json"
            outputs.write_json(path, task.plan, outputs.PLAN)
            plans = replace(project.reviewed(path, digest=task.digest), part_of=task.whole)
        reports = project.apply(plans, bounds=task.bounds)
    except ProvisionerError as error:
        return failed(task.parent, error), False, None
    (report,) = reports.reports
    # The caller knows the terms, and the login must not leave the worker.
    return replace(report, terms=None), task.parent in reports.states, reports.states.get(task.parent)
