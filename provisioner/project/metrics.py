"""Writes the metrics of a run to a file for Prometheus, and replaces those of the previous run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.project import outputs
from provisioner.state.disk import PUBLIC, read_file

if TYPE_CHECKING:
    from provisioner.errors import ExitCode
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports


def write(
    path: Path,
    project: Project,
    reports: Reports | None,
    code: ExitCode,
    phases: Mapping[str, float],
    duration: float,
    warn: Callable[[str], None],
) -> None:
    """Write the metrics of a run that ended with ``code``; ``reports`` is None if it did not reach any parent.

    Raises:
        CommandInvalid: the file cannot be written, and was not changed.

    """
    from prometheus_client import generate_latest  # rarely needed

    from provisioner.render import metrics

    before: metrics.Samples = {}
    try:
        before = metrics.parsed((read_file(path) or b"").decode())
    except (OSError, ValueError):
        warn(f"the old metrics in {path} cannot be read: the time of the last success is no longer known.")
    states = {} if reports is None else reports.states
    seen = tuple(
        metrics.ParentMetrics(name, project.settings.parent(name).limit, project.settings.parent(name).reserved, state)
        for name, state in sorted(states.items())
    )
    # With --parent or --shard, a run does not see all parents.
    whole = reports is not None and project.settings.parents.keys() <= states.keys()
    run = metrics.RunMetrics(seen, code, round(time.time(), 3), duration, phases, whole)
    content = generate_latest(metrics.registry(metrics.after(run, before))).decode()
    outputs.write(path, content, outputs.METRICS, mode=PUBLIC)


def last_success(path: str | None) -> str | None:
    """Return when a run last ended with 0, in UTC, according to the metrics at ``path``; None if they do not say."""
    if path is None:
        return None
    from provisioner.render import metrics

    try:
        found = metrics.last_success(metrics.parsed((read_file(Path(path)) or b"").decode()))
    except (OSError, ValueError):
        # Whoever writes the metrics warns about this. A reader can do without them.
        return None
    return None if found is None else datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
