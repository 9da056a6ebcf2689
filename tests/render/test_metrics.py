"""Metrics: what a run writes, and what it keeps from the previous run."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from prometheus_client import generate_latest

from provisioner.errors import ExitCode
from provisioner.model.account import Attributes
from provisioner.model.state import Abandoned, Active, Drift, Edit, Operation, Pending, State, Unknown
from provisioner.render.metrics import ParentMetrics, RunMetrics, Samples, after, parsed, registry

ATTRIBUTES = Attributes("A", "B")
OPERATION = Operation("id", "2026-01-01T00:00:00Z", "me@here")
EDIT = Edit(ATTRIBUTES, OPERATION, 1)


def active(**more: Any) -> Active:  # noqa: ANN401  # each has its own type
    return Active(ATTRIBUTES, OPERATION, "2026-01-01T00:00:00Z", "sealed", **more)


def state(**accounts: Any) -> State:  # noqa: ANN401  # any record
    return State("lineage", "default", accounts=MappingProxyType(accounts))


def parent(name: str, state: State | None = None, code: ExitCode = ExitCode.DONE, limit: int = 20) -> ParentMetrics:
    known = state or State("lineage", name)
    return ParentMetrics(name, code, known.slots(limit=limit, reserved=3, planned=0), state)


def unread(name: str, code: ExitCode) -> ParentMetrics:
    return ParentMetrics(name, code, None, None)


def run(
    *seen: ParentMetrics,
    code: ExitCode = ExitCode.DONE,
    ended: float = 1000.0,
    parents: tuple[str, ...] = ("default", "acme"),
) -> RunMetrics:
    return RunMetrics(seen, code, ended, 2.5, {"apply": 1.5}, parents)


def written(samples: Samples) -> str:
    return generate_latest(registry(samples)).decode()


def test_every_status_and_every_kind_of_slot_is_counted() -> None:
    known = state(
        a=active(),
        b=active(drift=Drift(changed=("last_name",)), edit=EDIT),
        c=active(drift=Drift(gone=True)),
        d=active(drift=Drift(altered=("last_name",))),
        e=Pending(ATTRIBUTES, OPERATION),
        f=Unknown(ATTRIBUTES, OPERATION, "lost"),
        g=Abandoned(ATTRIBUTES, OPERATION, "lost"),
    )
    samples = after(run(parent("default", known)), {})
    assert {
        ("slots", ("default", "limit")): 20,
        ("slots", ("default", "reserved")): 3,
        ("slots", ("default", "used")): 7,
        ("slots", ("default", "unknown")): 2,
        ("slots", ("default", "left")): 10,
        ("accounts", ("default", "active")): 4,
        ("accounts", ("default", "pending")): 1,
        ("accounts", ("default", "unknown")): 1,
        ("accounts", ("default", "abandoned")): 1,
        # Octopush's own corrections are not changes that need attention.
        ("drifted_accounts", ("default",)): 2,
        ("unfinished_edits", ("default",)): 1,
        ("parent_last_read_timestamp_seconds", ("default",)): 1000.0,
        ("parent_last_run_exit_code", ("default",)): 0,
        ("parent_last_success_timestamp_seconds", ("default",)): 1000.0,
        ("last_run_timestamp_seconds", ()): 1000.0,
        ("last_success_timestamp_seconds", ()): 1000.0,
        ("last_run_exit_code", ()): 0,
        ("last_run_duration_seconds", ()): 2.5,
        ("last_run_phase_duration_seconds", ("apply",)): 1.5,
    } == samples


def test_what_is_written_is_read_again() -> None:
    samples = after(run(parent("default"), parent("acme", state(a=active()))), {})
    assert samples == parsed(written(samples))


def test_a_failure_keeps_the_last_success_and_what_it_could_not_see() -> None:
    before = after(run(parent("default", state(a=active())), parent("acme")), {})
    failed = after(run(parent("acme", None, ExitCode.REFUSED, 6), code=ExitCode.REFUSED, ended=2000.0), before)
    assert 1000.0 == failed["last_success_timestamp_seconds", ()]
    assert (2000.0, 4) == (failed["last_run_timestamp_seconds", ()], failed["last_run_exit_code", ()])
    assert (1, 6) == (failed["accounts", ("default", "active")], failed["slots", ("acme", "limit")])


def test_a_parent_whose_state_cannot_be_used_says_so_and_how_old_its_metrics_are() -> None:
    before = after(run(parent("acme", state(a=active())), parent("default")), {})
    now = after(run(unread("acme", ExitCode.STATE_LOCKED), parent("default"), ended=2000.0), before)
    assert (6, 1000.0, 1000.0, 1) == (
        now["parent_last_run_exit_code", ("acme",)],
        now["parent_last_read_timestamp_seconds", ("acme",)],
        now["parent_last_success_timestamp_seconds", ("acme",)],
        now["accounts", ("acme", "active")],
    )
    assert (0, 2000.0, 2000.0) == (
        now["parent_last_run_exit_code", ("default",)],
        now["parent_last_read_timestamp_seconds", ("default",)],
        now["parent_last_success_timestamp_seconds", ("default",)],
    )
    # A first run that fails has only this to say.
    assert {("parent_last_run_exit_code", ("acme",)): 6} == {
        key: value for key, value in after(run(unread("acme", ExitCode.STATE_LOCKED)), {}).items() if "acme" in key[1]
    }


def test_the_metrics_of_a_parent_end_with_its_settings() -> None:
    before = after(run(parent("default"), parent("acme")), {})
    assert [] == [key for key in after(run(parents=("default",)), before) if "acme" in key[1]]


def test_before_the_first_success_there_is_none() -> None:
    assert "last_success" not in written(after(run(code=ExitCode.FAILURE), {}))


def test_what_is_not_ours_is_dropped() -> None:
    assert {} == parsed('# TYPE other gauge\nother{parent="x"} 1\nslots{parent="x"} 2\n')


@pytest.mark.parametrize("text", ['octopush_provisioner_slots{parent="x" 1\n', "octopush_provisioner_slots x\n"])
def test_a_file_that_is_not_metrics_is_reported(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the parser's own words
        parsed(text)
