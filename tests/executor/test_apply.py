"""Applying a plan: what is sent, what stays unchanged, and how every account ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner import executor
from provisioner.errors import Advice, ExitCode, OverLimit, Remedy
from provisioner.model.plan import Change, raise_if_over
from provisioner.model.report import Attempt, Outcome, Result
from provisioner.model.state import Abandoned, Drift, State, Unknown
from provisioner.model.verdict import Verdict
from provisioner.planner import plan
from tests.executor.examples import (
    CUT,
    EXHAUSTED,
    LOST,
    OPERATION,
    REFUSED,
    THREE,
    UNAUTHORIZED,
    active,
    attributes,
    created,
    credentials,
    manifest,
    opened,
    results,
)
from tests.executor.watched import Run, Watcher

# ── Other changes ──────────────────────────────────────────────────────────────


def test_what_is_not_created_is_reported_and_left_unchanged() -> None:
    state = State(
        "lineage",
        "default",
        serial=3,
        accounts={
            "abandoned": Abandoned(attributes("abandoned"), OPERATION, "lost"),
            "lost": active("lost", drift=Drift(gone=True)),
            "same": active("same"),
            "unknown": Unknown(attributes("unknown"), OPERATION, "cut"),
            "unmanaged": active("unmanaged"),
        },
    )
    run = Run(state, wanted=("abandoned", "lost", "same", "unknown"))
    report = run.apply()
    assert (
        Outcome("abandoned", "abandoned", Result.NOT_ATTEMPTED, "abandoned: lost", weight=ExitCode.DONE),
        Outcome(
            "lost",
            "gone",
            Result.NOT_ATTEMPTED,
            "Octopush no longer knows its login",
            advice=Advice(Remedy.FORGET, "lost"),
        ),
        Outcome("same", "unchanged", Result.UNCHANGED),
        Outcome(
            "unknown", "unknown", Result.UNKNOWN, "cut", attempt=Attempt(attributes("unknown"), OPERATION.started_at)
        ),
    ) == report.outcomes
    assert report.stop is None
    assert [] == run.sent
    assert state.accounts == run.records
    assert run.events == [(each.result.value, each.name) for each in report.outcomes]
    # The same report needs no API and no recipients.
    watch = Watcher()
    assert report == executor.report_unchanged(run.plan(), watch)
    assert run.events == watch.events


def test_an_unknown_stops_the_run_unless_it_was_asked_to_keep_going() -> None:
    run = Run(verdicts={"athens": LOST})
    assert {"athens": "unknown", "berlin": "not_attempted", "paris": "not_attempted"} == results(run.apply())


def test_an_unknown_of_an_earlier_run_does_not_stop_this_one() -> None:
    run = Run(State("lineage", "default", accounts={"athens": Unknown(attributes("athens"), OPERATION, "cut")}))
    assert {"athens": "unknown", "berlin": "created", "paris": "created"} == results(run.apply())


def test_an_unexpected_kind_of_change_is_an_internal_error() -> None:
    run = Run()
    todo = plan(manifest(), run.state, limit=20, reserved=0)
    run.by_plan = replace(todo, changes=(cast("Change", "what is this?"),))
    with pytest.raises(AssertionError):
        run.apply()


# ── A plan that does not fit ─────────────────────────────────────────────────


def test_over_the_limit_nothing_is_sent() -> None:
    run = Run(State("lineage", "default", accounts={"rome": active("rome")}), limit=5, reserved=2)
    with pytest.raises(OverLimit, match=r"3 to create, and 2 of 5 slots free; these do not fit: paris\.") as caught:
        run.apply()
    assert "Nothing was sent" in caught.value.hint
    assert "Lower `reserved`" in caught.value.hint
    assert [] == run.events


def test_no_slot_is_free_where_more_are_taken_than_there_are() -> None:
    run = Run(State("lineage", "default", accounts={"rome": active("rome")}), limit=0)
    with pytest.raises(OverLimit, match=r"0 of 0 slots free") as caught:
        run.apply()
    assert "`reserved`" not in caught.value.hint


def test_a_plan_that_fits_is_let_through() -> None:
    raise_if_over(plan(manifest(*THREE), None, limit=3, reserved=0))


# ── Whatever the API says ────────────────────────────────────────────────────

SCRIPTS: Final = st.fixed_dictionaries(
    {name: st.sampled_from([created(name), LOST, CUT, REFUSED, UNAUTHORIZED, EXHAUSTED]) for name in THREE}
)


@settings(max_examples=60)
@given(verdicts=SCRIPTS, keep_going=st.booleans(), reserved=st.integers(0, 5))
def test_applied_to_the_end_every_account_is_where_it_belongs(
    verdicts: dict[str, Verdict], *, keep_going: bool, reserved: int
) -> None:
    run = Run(verdicts=verdicts, limit=8, reserved=reserved)
    report = run.apply(keep_going=keep_going)
    assert [each.name for each in report.outcomes] == list(THREE)
    for outcome in report.outcomes:
        record = run.records.get(outcome.name)
        match outcome.result:
            case Result.CREATED:
                assert credentials(outcome.name) == opened(outcome.name, record).credentials
            case Result.UNKNOWN:
                assert isinstance(record, Unknown)
            case _:
                assert record is None

    assert run.session.state is None or run.session.state.serial == len(run.sent) + 1
    again = Run(run.session.state or run.state, limit=8, reserved=reserved)
    again.apply()
    assert len(again.sent) == sum(each.result in {Result.FAILED, Result.NOT_ATTEMPTED} for each in report.outcomes)
    assert () == plan(manifest(*THREE), again.session.state, limit=8, reserved=reserved).creates
