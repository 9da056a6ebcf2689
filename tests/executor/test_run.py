"""A run: what stops it, and what becomes of what cannot be saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from provisioner.errors import ExitCode, StateMoved
from provisioner.model.report import Outcome, Result, Scope, Stop, exit_code
from provisioner.model.state import Pending, State
from provisioner.model.verdict import Created, NotCreated, Then
from provisioner.state.rescue import RescueEntry
from provisioner.state.stores.memory import MemoryStore
from tests.executor.examples import (
    ANSWER,
    CUT,
    REFUSED,
    THREE,
    active,
    credentials,
    opened,
    results,
)
from tests.executor.watched import Failure, Run

FULL: Final = Failure()

# ── Interruption ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_a_signal_during_a_request_lets_it_finish_and_be_saved(code: ExitCode) -> None:
    run = Run(interrupt=("athens", code))
    report = run.apply()
    assert {"athens": "created", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert "not read back: the run was interrupted" == report.outcomes[0].reason
    assert ("read", "athens") not in run.events
    assert Stop(code, "the run was interrupted", "Run it again to go on.", Scope.RUN) == report.stop
    assert "the run was interrupted" == report.outcomes[2].reason
    assert code is exit_code([report])
    assert credentials("athens") == opened("athens", run.records["athens"]).credentials
    assert 1 == len(run.sent)


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
@pytest.mark.parametrize("then", [Then.RETRY, Then.STOP])
def test_a_signal_during_a_wait_ends_the_run_with_its_own_code(code: ExitCode, then: Then) -> None:
    run = Run(interrupt=("berlin", code), verdicts={"berlin": NotCreated("asked to try later", then)})
    report = run.apply(keep_going=True)
    assert {"athens": "created", "berlin": "failed", "paris": "not_attempted"} == results(report)
    assert Stop(code, "asked to try later", scope=Scope.RUN) == report.stop
    assert code is exit_code([report])
    assert {"athens"} == run.records.keys()


def test_a_signal_before_the_first_create_sends_nothing() -> None:
    run = Run(heard=ExitCode.TERMINATED)
    report = run.apply()
    assert dict.fromkeys(THREE, "not_attempted") == results(report)
    assert ExitCode.TERMINATED is exit_code([report])
    assert [] == run.sent
    assert ("started", "athens") not in run.events


def test_a_signal_during_the_last_request_changes_nothing() -> None:
    run = Run(interrupt=("paris", ExitCode.INTERRUPTED))
    report = run.apply()
    assert dict.fromkeys(THREE, "created") == results(report)
    assert ExitCode.DONE is exit_code([report])


# ── A refresh that was stopped ───────────────────────────────────────────────


def test_what_ended_the_refresh_of_a_parent_ends_its_apply() -> None:
    state = State("lineage", "default", accounts={"athens": active("athens")})
    run = Run(state)
    stop = Stop(ExitCode.SETTING_INVALID, "not accepted (HTTP 401)")
    report = run.apply(stop=stop, keep_going=True)
    assert stop == report.stop
    assert (
        Outcome("athens", "unchanged", Result.UNCHANGED),
        Outcome("berlin", "create", Result.NOT_ATTEMPTED, stop.reason),
        Outcome("paris", "create", Result.NOT_ATTEMPTED, stop.reason),
    ) == report.outcomes
    assert [] == run.sent
    assert state.accounts == run.records


def test_what_ended_the_refresh_is_stronger_than_a_signal() -> None:
    stop = Stop(ExitCode.SETTING_INVALID, "not accepted (HTTP 401)")
    assert stop == Run(heard=ExitCode.INTERRUPTED).apply(stop=stop).stop


# ── Saves that fail ──────────────────────────────────────────────────────────

MOVED: Final = Failure(StateMoved("Somebody saved it.", hint="Look at it."))


PLACE: Final = "standard error, in a line of its own (`provisioner recover LOG` puts it back)"
every_failure = pytest.mark.parametrize(
    "failure", [FULL, MOVED, replace(FULL, durable=True)], ids=["full", "moved", "durable"]
)


@every_failure
def test_where_the_first_intent_cannot_be_saved_nothing_is_sent(failure: Failure) -> None:
    run = Run(failures={1: failure})
    report = run.apply(keep_going=True)
    assert dict.fromkeys(THREE, "not_attempted") == results(report)
    assert [] == run.sent
    # One that was certainly not saved leaves nothing to be taken back.
    doubtful = failure is not MOVED
    assert (RescueEntry("lineage", "default", "athens", "operation 1", None),) * doubtful == run.rescued
    kept = f" The note that nothing was sent for athens is kept in {PLACE}." if doubtful else ""
    assert report.stop is not None
    assert f"{failure.error.hint}{kept}" == report.stop.hint
    assert ExitCode.STATE_UNUSABLE is exit_code([report])

    run.loaded().put_back(run.rescued)
    assert {} == run.records


@every_failure
@pytest.mark.parametrize("number", [2, 3])
def test_where_an_outcome_and_the_next_intent_cannot_be_saved_both_are_rescued_and_nothing_more_is_sent(
    failure: Failure, number: int
) -> None:
    run = Run(failures={number: failure}, verdicts={"athens": Created(credentials("athens"), "HTTP 200")})
    report = run.apply(keep_going=True)
    done, (last, following, *_) = THREE[: number - 2], THREE[number - 2 :]
    assert dict.fromkeys(THREE, "not_attempted") | dict.fromkeys((*done, last), "created") == results(report)
    assert ("read", "athens") not in run.events
    unsaved = f"the state could not be saved, and the outcome is kept in {PLACE}"
    assert str(report.outcomes[number - 2].reason).endswith(unsaved)
    assert "HTTP 200; " == str(report.outcomes[0].reason)[:10]
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert number - 1 == len(run.sent)

    credential, *more = run.rescued
    operation = f"operation {number - 1}"
    assert ("lineage", "default", last, operation) == (
        credential.lineage,
        credential.parent,
        credential.name,
        credential.operation,
    )
    assert credentials(last) == opened(last, credential.record).credentials
    assert f"key of {last}" not in "".join(run.said)
    # One that was certainly not saved leaves no intent to be taken back.
    doubtful = failure is not MOVED
    assert [RescueEntry("lineage", "default", following, f"operation {number}", None)] * doubtful == more
    kept = f" The outcome of {last} is kept in {PLACE}."
    kept += f" The note that nothing was sent for {following} is kept in {PLACE}." if doubtful else ""
    assert report.stop is not None
    assert f"{failure.error.hint}{kept}" == report.stop.hint

    run.loaded().put_back(run.rescued)
    assert {*done, last} == run.records.keys()
    assert credentials(last) == opened(last, run.records[last]).credentials


def test_where_only_the_outcome_has_room_in_the_store_each_is_said_to_be_where_it_is() -> None:
    report = Run(failures={2: FULL}, room=1).apply()
    here = MemoryStore().rescue_address
    assert f"the state could not be saved, and the outcome is kept in {here}" == report.outcomes[0].reason
    assert report.stop is not None
    kept = f" The outcome of athens is kept in {here}. The note that nothing was sent for berlin is kept in {PLACE}."
    assert f"{FULL.error.hint}{kept}" == report.stop.hint


def test_a_created_account_whose_save_fails_has_that_as_its_only_reason() -> None:
    report = Run(failures={2: FULL}).apply()
    assert str(report.outcomes[0].reason).startswith("the state could not be saved, and the outcome is kept in")


def test_an_unknown_that_cannot_be_saved_is_rescued_and_stays_the_strongest() -> None:
    run = Run(failures={2: FULL}, verdicts={"athens": CUT})
    report = run.apply(keep_going=True)
    assert {"athens": "unknown", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert str(report.outcomes[0].reason).startswith(f"{CUT.reason}; the state could not be saved")
    assert report.stop is not None
    assert ExitCode.STATE_UNUSABLE is report.stop.exit_code
    assert ExitCode.OUTCOME_UNKNOWN is exit_code([report])
    assert ANSWER == opened("athens", run.rescued[0].record).answer


def test_a_refusal_that_cannot_be_saved_is_rescued_so_that_nothing_stays_unknown() -> None:
    run = Run(failures={2: FULL}, verdicts={"athens": REFUSED})
    report = run.apply()
    assert {"athens": "failed", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert (
        tuple(
            RescueEntry("lineage", "default", name, operation, None)
            for name, operation in (("athens", "operation 1"), ("berlin", "operation 2"))
        )
        == run.rescued
    )
    assert isinstance(run.records["athens"], Pending)
    run.session.put_back(run.rescued)
    assert {} == run.records
