"""Writes the metrics of a run to a file for Prometheus, and replaces those of the previous run."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import ProvisionerError
from provisioner.model.report import exit_code
from provisioner.model.state import State
from provisioner.project import outputs
from provisioner.state.disk import PUBLIC, read_file

if TYPE_CHECKING:
    from provisioner.model.report import Report
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports
    from provisioner.render import metrics


def write(
    path: Path,
    project: Project,
    done: Reports | ProvisionerError,
    parents: Collection[str],
    phases: Mapping[str, float],
    duration: float,
    warn: Callable[[str], None],
) -> None:
    """Write the metrics of a run that ended with ``done``; an error counts as that of all ``parents``.

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
    if isinstance(done, ProvisionerError):
        seen = tuple(metrics.ParentMetrics(name, done.exit_code, None, None) for name in sorted(parents))
    else:
        seen = tuple(_of(report, done.states, project) for report in done.reports)
    known = project.settings.parents.keys()
    run = metrics.RunMetrics(seen, done.exit_code, round(time.time(), 3), duration, phases, known)
    content = generate_latest(metrics.registry(metrics.after(run, before))).decode()
    outputs.write(path, content, outputs.METRICS, mode=PUBLIC)


def _of(report: Report, states: Mapping[str, State | None], project: Project) -> metrics.ParentMetrics:
    from provisioner.render import metrics

    name, code = report.parent, exit_code([report])
    if name not in states:
        return metrics.ParentMetrics(name, code, None, None)
    own, state = project.settings.parent(name), states[name]
    known = state or State(lineage="", parent=name)
    return metrics.ParentMetrics(name, code, known.slots(limit=own.limit, reserved=own.reserved, planned=0), state)


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
