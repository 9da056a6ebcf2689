"""A run's metrics for Prometheus: gauges, in the textfile format of the node exporter.

Owns the names, labels and help of the metrics. What a run does not know (a parent that it
did not reach, the last success if it failed) is copied from the previous file, and with it
the time when it was known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from provisioner.errors import ExitCode
from provisioner.immutable import immutable
from provisioner.model.state import Abandoned, Active, Pending, Slots, State, Unknown

_PREFIX: Final = "octopush_provisioner_"
_METRICS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "slots": (
        "Slots of a parent: the limit, and how many are reserved, used (including unknown ones) and left.",
        ("parent", "kind"),
    ),
    "accounts": ("Accounts in a parent's state, by status.", ("parent", "status")),
    "drifted_accounts": (
        "Active accounts that somebody had changed or deleted at Octopush when they were last checked.",
        ("parent",),
    ),
    "unfinished_edits": ("Active accounts whose last change is not known to be finished.", ("parent",)),
    "parent_last_read_timestamp_seconds": (
        "When the metrics above were last read from a parent's state; a run that cannot use the state keeps them.",
        ("parent",),
    ),
    "parent_last_run_exit_code": ("The exit code of the last run for a parent.", ("parent",)),
    "parent_last_success_timestamp_seconds": ("When the last run with exit code 0 for a parent ended.", ("parent",)),
    "last_run_timestamp_seconds": ("When the last run ended.", ()),
    "last_success_timestamp_seconds": ("When the last run with exit code 0 ended.", ()),
    "last_run_exit_code": ("The exit code of the last run.", ()),
    "last_run_duration_seconds": ("How long the last run took.", ()),
    "last_run_phase_duration_seconds": ("How long a phase of the last run took.", ("phase",)),
}
_STATUSES: Final = tuple(kind.status for kind in (Active, Pending, Unknown, Abandoned))
_LAST_SUCCESS: Final = "last_success_timestamp_seconds"
_PARENT_SUCCESS: Final = "parent_last_success_timestamp_seconds"

Samples = dict[tuple[str, tuple[str, ...]], float]
"""Values by the metric's name without its prefix, and its labels in order."""


@immutable
class ParentMetrics:
    """One parent at the end of a run."""

    parent: str
    exit_code: ExitCode
    """That of the run for this parent alone."""
    slots: Slots | None
    """None if the run could not use its state."""
    state: State | None
    """None if there is none, or the run could not use it."""


@immutable
class RunMetrics:
    """One finished run."""

    seen: tuple[ParentMetrics, ...]
    exit_code: ExitCode
    ended: float
    """Seconds since the epoch."""
    duration: float
    """Seconds."""
    phases: Mapping[str, float]
    """The duration of each phase in seconds."""
    parents: Collection[str]
    """All parents in the settings, whether or not the run was about them."""


def parsed(text: str) -> Samples:
    """Return our samples in ``text``; raises ValueError if it is not in the textfile format."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        name = family.name.removeprefix(_PREFIX)
        if name in _METRICS and name != family.name:
            for sample in family.samples:
                samples[name, tuple(sample.labels.get(label, "") for label in _METRICS[name][1])] = sample.value
    return samples


def after(run: RunMetrics, before: Samples) -> Samples:
    """Return the samples after ``run``; ``before`` are the samples of the previous file."""
    samples = {key: value for key, value in before.items() if _lasts(key, run)} | _of_run(run)
    for each in run.seen:
        samples |= _of_parent(each, run.ended)
    return samples


def last_success(samples: Samples) -> float | None:
    """Return when a run last ended with exit code 0, in seconds since the epoch, or None if that is not known."""
    return samples.get((_LAST_SUCCESS, ()))


def _lasts(key: tuple[str, tuple[str, ...]], run: RunMetrics) -> bool:
    """Return whether an earlier sample stays if the run has none of its own."""
    metric, labels = key
    if "parent" in _METRICS[metric][1]:
        return labels[0] in run.parents
    return metric == _LAST_SUCCESS


def registry(samples: Samples) -> CollectorRegistry:
    """Return the registry that the official client writes."""
    made = CollectorRegistry()
    for name, (words, labels) in _METRICS.items():
        gauge = Gauge(_PREFIX + name, words, labels, registry=made) if _has(samples, name) else None
        for (metric, values), value in samples.items():
            if gauge is not None and metric == name:
                (gauge.labels(*values) if labels else gauge).set(value)
    return made


def _has(samples: Iterable[tuple[str, tuple[str, ...]]], name: str) -> bool:
    return any(metric == name for metric, _ in samples)


def _of_run(run: RunMetrics) -> Samples:
    samples: Samples = {
        ("last_run_timestamp_seconds", ()): run.ended,
        ("last_run_exit_code", ()): run.exit_code,
        ("last_run_duration_seconds", ()): run.duration,
    }
    if run.exit_code is ExitCode.DONE:
        samples[_LAST_SUCCESS, ()] = run.ended
    for phase, seconds in run.phases.items():
        samples["last_run_phase_duration_seconds", (phase,)] = seconds
    return samples


def _of_parent(seen: ParentMetrics, ended: float) -> Samples:
    samples: Samples = {("parent_last_run_exit_code", (seen.parent,)): seen.exit_code}
    if seen.exit_code is ExitCode.DONE:
        samples[_PARENT_SUCCESS, (seen.parent,)] = ended
    if seen.slots is None:
        return samples
    samples["parent_last_read_timestamp_seconds", (seen.parent,)] = ended
    for kind in ("limit", "reserved", "used", "unknown", "left"):
        samples["slots", (seen.parent, kind)] = getattr(seen.slots, kind)
    records = () if seen.state is None else seen.state.accounts.values()
    counts = Counter(record.status for record in records)
    for status in _STATUSES:
        samples["accounts", (seen.parent, status)] = counts[status]
    active = [record for record in records if isinstance(record, Active)]
    drifted = sum(bool(record.drift.changed) or record.drift.gone for record in active)
    samples["drifted_accounts", (seen.parent,)] = drifted
    samples["unfinished_edits", (seen.parent,)] = sum(record.edit is not None for record in active)
    return samples
