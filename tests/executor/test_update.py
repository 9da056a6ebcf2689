"""Edits: the intent before the request, the old password until the answer is certain, and every way to end."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner import executor
from provisioner.errors import Advice, ExitCode, Remedy, StateConflict, StateMoved
from provisioner.executor import NO_IDENTITY
from provisioner.model.account import FIELDS, MASK, Attributes, Callbacks, DesiredAccount, Secret
from provisioner.model.exchange import Edited, EditRequest, EditVerdict, Failed, Missing, Observed, Reading
from provisioner.model.plan import FieldChange, Unchanged
from provisioner.model.report import Outcome, Report, Result, Scope, Stop, exit_code
from provisioner.model.state import Active, Drift, Operation
from provisioner.model.verdict import Then
from provisioner.planner import plan
from tests.executor.examples import (
    BEGUN,
    MISSING,
    NOW,
    OPENER,
    OPERATION,
    PROCESSED,
    UNREACHED,
    active,
    attributes,
    begun_password,
    content,
    desired,
    edit,
    manifest,
    observed,
    opened,
    results,
    state,
)
from tests.executor.watched import Failure, Run

LOGIN: Final = "paris@sub-accounts.com"
NEW: Final = Attributes("Paris", "Texas")
FIRST: Final = Operation("operation 1", NOW, "me@here")
REFUSED: Final = Failed("the API refused it (HTTP 400)", Then.GO_ON)
UNAUTHORIZED: Final = Failed("not accepted (HTTP 401)", Then.STOP, None, ExitCode.SETTING_INVALID, "Check the key.")
INTERRUPTED: Final = Failed("the run was interrupted before it was sent", Then.STOP)
LATE: Final = replace(INTERRUPTED, possible=True)
ERROR: Final = Failed("HTTP 200, but the answer carries an error", Then.GO_ON, possible=True)
NEXT: Final = "it is unknown whether the password was set"

RENEWED: Final = desired("paris", NEW, password_version=2)
"""Other attributes and a new password."""
BEFORE: Final = active("paris")
ROME: Final = desired("rome", Attributes("Rome", "Georgia"))
"""Another account to change, whose turn comes last."""
UNFINISHED: Final = active("paris", edit=edit("paris", Attributes("Paris", "France"), "begun before", version=3))


def editing(
    account: DesiredAccount = RENEWED, record: Active = BEFORE, *others: DesiredAccount, **script: object
) -> Run:
    there = {each.name: active(each.name) for each in others}
    before = state(**{account.previously or "paris": record}, **there)
    return Run(before, (account, *others), **script)  # type: ignore[arg-type]


def only(run: Run, name: str = "paris") -> Active:
    """Return the durable record; the only other one is that of rome, if rome was wanted too."""
    assert {name} == run.records.keys() - {"rome"}
    record = run.records[name]
    assert isinstance(record, Active)
    return record


# ── The order of things ──────────────────────────────────────────────────────


def test_the_intent_is_saved_before_the_request_with_both_passwords() -> None:
    run = editing()
    seen: list[Active] = []
    run.api.on_request = lambda _: seen.append(only(run))
    assert {"paris": "updated"} == results(run.apply())
    assert [
        ("started", "paris"),
        ("sealed password", "paris"),
        {"paris": "active begun"},
        ("edited", "paris"),
        ("read", "paris"),
        ("sealed credentials", "paris"),
        {"paris": "active"},
        ("updated", "paris"),
    ] == run.events

    (while_in_flight,) = seen
    assert while_in_flight.edit is not None
    assert (NEW, FIRST, 2) == (
        while_in_flight.edit.attributes,
        while_in_flight.edit.operation,
        while_in_flight.edit.password_version,
    )
    assert replace(BEFORE, edit=while_in_flight.edit) == while_in_flight
    assert content("paris") == opened("paris", while_in_flight)
    assert "a new password" == begun_password("paris", while_in_flight)


def test_what_is_kept_of_an_account_that_was_changed() -> None:
    run = editing(record=replace(BEFORE, drift=Drift(altered=("first_name",), changed=("last_name",))))
    run.apply()
    record = only(run)
    first = {"first_operation": OPERATION.id}
    assert Active(NEW, FIRST, BEFORE.created_at, record.sealed, password_version=2, **first) == record
    expected = content("paris", operation="operation 1", password=Secret("a new password"), sent=NEW)
    assert expected == opened("paris", record)
    assert [(LOGIN, EditRequest(NEW, Secret("a new password")))] == run.api.edited
    again = run.next()
    assert {"paris": "unchanged"} == results(again.apply())
    assert [{"paris": "active"}] == [each for each in run.events[-2:] if isinstance(each, dict)]


def test_where_no_password_is_asked_for_the_old_one_stays() -> None:
    kept = content("paris", altered={"first_name": "old news"}, sent=None)
    run = editing(desired("paris", NEW), active("paris", kept=kept))
    seen: list[Active] = []
    run.api.on_request = lambda _: seen.append(only(run))
    run.apply()
    assert [(LOGIN, EditRequest(NEW))] == run.api.edited
    assert seen[0].edit is not None
    assert seen[0].edit.sealed is None
    assert content("paris", operation="operation 1", sent=NEW) == opened("paris", only(run))


def test_placeholders_are_sent_expanded_and_kept_as_they_are() -> None:
    written = Attributes("Paris", "${env:WHERE}")
    run = editing(desired("paris", written), environ={"WHERE": "Texas"})
    run.apply()
    assert [(LOGIN, EditRequest(NEW, hidden=("Texas",)))] == run.api.edited
    assert written == only(run).attributes
    assert NEW == opened("paris", only(run)).sent


def test_the_password_that_a_manifest_gives_is_the_one_that_is_sent() -> None:
    run = editing(replace(RENEWED, password=Secret("${env:PASSWORD}")), UNFINISHED, environ={"PASSWORD": "given"})
    run.apply()
    assert [(LOGIN, EditRequest(NEW, Secret("given"), hidden=("given",)))] == run.api.edited
    assert Secret("given") == opened("paris", only(run)).password


@pytest.mark.parametrize(("given", "others"), [("given", (Secret("begun before"),)), ("begun before", ())])
def test_a_password_that_octopush_may_have_from_before_is_kept_until_the_answer_is_certain(
    given: str, others: tuple[Secret, ...]
) -> None:
    account = replace(RENEWED, password=Secret("${env:PASSWORD}"))
    run = editing(account, UNFINISHED, environ={"PASSWORD": given}, edits={"paris": LATE})
    run.apply()
    record = only(run)
    assert record.edit is not None
    assert record.edit.sealed is not None
    kept = executor.open_edit(run.session.state, "paris", OPENER)
    assert kept is not None
    assert (Secret(given), others) == (kept.password, kept.others)


# ── Every verdict ────────────────────────────────────────────────────────────

Row = tuple[EditVerdict, str, Stop | None]
PROVEN: Final[dict[str, Row]] = {
    "refused": (REFUSED, REFUSED.reason, None),
    "unauthorized": (
        UNAUTHORIZED,
        UNAUTHORIZED.reason,
        Stop(ExitCode.SETTING_INVALID, UNAUTHORIZED.reason, "Check the key."),
    ),
    "unreached": (UNREACHED, UNREACHED.reason, Stop(ExitCode.SOME_FAILED, UNREACHED.reason)),
    "interrupted": (INTERRUPTED, INTERRUPTED.reason, Stop(ExitCode.SOME_FAILED, INTERRUPTED.reason)),
}
POSSIBLE: Final[dict[str, Row]] = {
    "500": (PROCESSED, f"{PROCESSED.reason}; {NEXT}", Stop(ExitCode.SOME_FAILED, PROCESSED.reason)),
    "late": (LATE, f"{LATE.reason}; {NEXT}", Stop(ExitCode.SOME_FAILED, LATE.reason)),
    "error": (ERROR, f"{ERROR.reason}; {NEXT}", None),
}


def ended(verdict: EditVerdict, record: Active, reason: str, stop: Stop | None, advice: Advice | None = None) -> Run:
    """Return a run in which the edit of paris came to ``verdict``, and rome was wanted after it."""
    run = editing(RENEWED, record, ROME, edits={"paris": verdict})
    report = run.apply()
    last = Outcome("rome", "update", Result.UPDATED)
    if stop is not None:
        last = Outcome("rome", "update", Result.NOT_ATTEMPTED, stop.reason)
    first = Outcome("paris", "update", Result.FAILED, reason, advice=advice)
    assert Report("default", (first, last), stop) == report
    assert (stop.exit_code if stop else ExitCode.SOME_FAILED) is exit_code([report])
    assert ("read", "paris") not in run.events
    return run


@pytest.mark.parametrize("record", [BEFORE, UNFINISHED], ids=["none begun", "one begun"])
@pytest.mark.parametrize("row", PROVEN.values(), ids=PROVEN)
def test_a_proven_refusal_leaves_everything_as_it_was(row: Row, record: Active) -> None:
    run = ended(row[0], record, *row[1:])
    assert record == run.records["paris"]


@pytest.mark.parametrize("record", [BEFORE, UNFINISHED], ids=["none begun", "one begun"])
@pytest.mark.parametrize("row", POSSIBLE.values(), ids=POSSIBLE)
def test_an_edit_that_may_have_been_carried_out_stays_unfinished_with_both_passwords(row: Row, record: Active) -> None:
    run = ended(row[0], record, *row[1:], Advice(Remedy.APPLY, "paris"))
    after = run.records["paris"]
    assert isinstance(after, Active)
    assert after.edit is not None
    assert FIRST == after.edit.operation
    assert replace(record, edit=after.edit) == after
    assert Secret("password of paris") == opened("paris", after).password
    held = executor.open_edit(run.session.state, "paris", OPENER)
    assert held is not None
    assert (Secret("a new password"), () if record is BEFORE else (Secret("begun before"),)) == (
        held.password,
        held.others,
    )
    assert 1 == len([each for each in run.events[: run.events.index(("failed", "paris"))] if isinstance(each, dict)])

    again = run.next(new_password="a newer one")
    assert Result.UPDATED is again.apply().outcomes[0].result
    assert (LOGIN, EditRequest(NEW, Secret("a newer one"))) == again.api.edited[0]
    assert Secret("a newer one") == opened("paris", again.records["paris"]).password


def test_a_login_that_is_not_known_is_gone_and_its_password_stays() -> None:
    run = ended(MISSING, BEFORE, MISSING.reason, None)
    assert replace(BEFORE, drift=Drift(gone=True)) == run.records["paris"]
    again = run.next(wanted=(RENEWED,))
    assert {"paris": "not_attempted"} == results(again.apply())
    assert [] == again.api.edited


def test_a_login_that_is_not_known_keeps_the_password_of_an_earlier_unfinished_edit() -> None:
    run = ended(MISSING, UNFINISHED, MISSING.reason, None)
    assert replace(UNFINISHED, drift=Drift(gone=True)) == run.records["paris"]


@pytest.mark.parametrize("record", [BEFORE, UNFINISHED], ids=["none begun", "one begun"])
def test_a_login_that_is_not_known_after_an_unclear_attempt_keeps_its_password(record: Active) -> None:
    missing = replace(MISSING, possible=True)
    kept = "an earlier attempt may have been carried out, and its values are saved"
    run = ended(missing, record, f"{MISSING.reason}; {kept}", None, Advice(Remedy.REFRESH, "paris"))
    after = run.records["paris"]
    assert isinstance(after, Active)
    assert (Drift(gone=True), FIRST) == (after.drift, after.edit and after.edit.operation)
    assert Secret("password of paris") == opened("paris", after).password
    assert "a new password" == begun_password("paris", after)


def test_an_unexpected_kind_of_verdict_is_an_internal_error_and_leaves_the_edit_unfinished() -> None:
    run = editing(edits={"paris": cast("EditVerdict", "what is this?")})
    with pytest.raises(AssertionError):
        run.apply()
    assert "a new password" == begun_password("paris", only(run))


# ── What an earlier run began ────────────────────────────────────────────────


def test_an_unfinished_edit_is_finished_with_a_new_password() -> None:
    record = active("paris", edit=edit("paris", NEW, "begun before", version=2))
    run = editing(RENEWED, record)
    assert {"paris": "updated"} == results(run.apply())
    assert [(LOGIN, EditRequest(NEW, Secret("a new password")))] == run.api.edited
    after = only(run)
    assert (NEW, 2, None) == (after.attributes, after.password_version, after.edit)
    assert Secret("a new password") == opened("paris", after).password


def test_an_unfinished_edit_that_the_manifest_took_back_is_undone_but_for_the_password_that_may_be_set() -> None:
    record = active("paris", edit=edit("paris", NEW, "begun before", version=2))
    run = editing(desired("paris"), record)
    run.apply()
    assert [(LOGIN, EditRequest(attributes("paris"), Secret("a new password")))] == run.api.edited
    assert (1, None) == (only(run).password_version, only(run).edit)
    assert Secret("a new password") == opened("paris", only(run)).password


def test_an_unfinished_edit_without_a_password_sets_none() -> None:
    run = editing(desired("paris", NEW), active("paris", edit=edit("paris", NEW)))
    run.apply()
    assert [(LOGIN, EditRequest(NEW))] == run.api.edited
    assert Secret("password of paris") == opened("paris", only(run)).password


# ── Saves that fail ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("durable", [False, True])
def test_where_the_intent_cannot_be_saved_nothing_is_sent(*, durable: bool) -> None:
    run = editing(RENEWED, BEFORE, ROME, failures={1: Failure(durable=durable)})
    report = run.apply(keep_going=True)
    assert (
        Outcome("paris", "update", Result.FAILED, "the state could not be saved; nothing was sent"),
        Outcome("rome", "update", Result.NOT_ATTEMPTED, "The state could not be saved: full"),
    ) == report.outcomes
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert ([], []) == (run.api.edited, run.sent)
    assert () == run.rescued
    if not durable:
        assert BEFORE == only(run)
    again = run.next()
    assert {"paris": "updated", "rome": "updated"} == results(again.apply())


def test_if_the_outcome_cannot_be_saved_the_unfinished_edit_is_sent_again() -> None:
    run = editing(RENEWED, BEFORE, ROME, failures={2: Failure()})
    report = run.apply(keep_going=True)
    assert (
        Outcome("paris", "update", Result.UPDATED, "the state could not be saved; the next apply sends it again"),
        Outcome("rome", "update", Result.NOT_ATTEMPTED, "The state could not be saved: full"),
    ) == report.outcomes
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert content("paris") == opened("paris", only(run))
    assert "a new password" == begun_password("paris", only(run))

    again = run.next()
    assert {"paris": "updated", "rome": "updated"} == results(again.apply())
    assert (LOGIN, EditRequest(NEW, Secret("a new password"))) == again.api.edited[0]


@pytest.mark.parametrize(
    ("account", "reason", "advice"),
    [
        (RENEWED, "another run may have set another password since", Advice(Remedy.SET_AGAIN, "paris")),
        (desired("paris", NEW), "another run may have sent other values since", None),
    ],
)
def test_an_edit_that_another_run_has_taken_over_is_doubtful_and_no_password_of_it_is_dropped(
    account: DesiredAccount, reason: str, advice: Advice | None
) -> None:
    slow = editing(account, BEFORE, failures={2: Failure(StateMoved("Somebody saved it."))})
    (outcome,) = slow.apply().outcomes
    assert (Result.UPDATED, f"the state could not be saved; {reason}", advice) == (
        outcome.result,
        outcome.reason,
        outcome.advice,
    )
    sent = {each.password for _, each in slow.api.edited if each.password is not None}
    other = slow.next(new_password="that of the other run")
    other.apply()
    again = other.next(wanted=(replace(account, password_version=9),), new_password="a later one")
    again.apply()
    for run in (other, again):
        kept = opened("paris", only(run))
        assert only(run).edit is None
        assert sent <= {kept.password, *kept.others}


@pytest.mark.parametrize("verdict", [REFUSED, MISSING])
def test_if_a_refusal_cannot_be_saved_the_edit_stays_unfinished(verdict: EditVerdict) -> None:
    run = editing(RENEWED, BEFORE, ROME, edits={"paris": verdict}, failures={2: Failure()})
    report = run.apply()
    assert isinstance(verdict, Failed | Missing)
    assert f"{verdict.reason}; the state could not be saved" == report.outcomes[0].reason
    assert {"paris": "failed", "rome": "not_attempted"} == results(report)
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert "a new password" == begun_password("paris", only(run))


# ── Interruption, and a refresh that was stopped ─────────────────────────────


def test_a_signal_during_an_edit_lets_it_be_saved_and_reads_nothing() -> None:
    run = editing(RENEWED, BEFORE, ROME, interrupt=("paris", ExitCode.TERMINATED))
    report = run.apply()
    assert (
        Outcome("paris", "update", Result.UPDATED, "not read back: the run was interrupted"),
        Outcome("rome", "update", Result.NOT_ATTEMPTED, "the run was interrupted"),
    ) == report.outcomes
    assert ("read", "paris") not in run.events
    assert ExitCode.TERMINATED is exit_code([report])
    assert Secret("a new password") == opened("paris", only(run)).password


def test_a_signal_during_a_wait_ends_the_run_with_its_own_code() -> None:
    run = editing(edits={"paris": INTERRUPTED}, interrupt=("paris", ExitCode.INTERRUPTED))
    report = run.apply()
    assert Stop(ExitCode.INTERRUPTED, INTERRUPTED.reason, scope=Scope.RUN) == report.stop
    assert BEFORE == only(run)


def test_a_signal_before_an_edit_sends_nothing() -> None:
    run = editing(heard=ExitCode.INTERRUPTED)
    report = run.apply()
    assert (Outcome("paris", "update", Result.NOT_ATTEMPTED, "the run was interrupted"),) == report.outcomes
    assert ExitCode.INTERRUPTED is exit_code([report])
    assert [] == run.api.edited
    assert [("not_attempted", "paris")] == run.events


def test_what_ended_the_refresh_of_a_parent_ends_its_apply() -> None:
    stop = Stop(ExitCode.SETTING_INVALID, "not accepted (HTTP 401)")
    run = editing()
    assert (Outcome("paris", "update", Result.NOT_ATTEMPTED, stop.reason),) == run.apply(stop=stop).outcomes
    assert BEFORE == only(run)


# ── Without an identity, and with one that finds something else ──────────────


def test_without_an_identity_an_edit_is_not_attempted_and_creates_are_carried_out() -> None:
    run = Run(state(paris=BEFORE), (RENEWED, desired("rome")), identity=False)
    report = run.apply()
    assert (
        Outcome("paris", "update", Result.NOT_ATTEMPTED, NO_IDENTITY, weight=ExitCode.SETTING_INVALID),
        Outcome("rome", "create", Result.CREATED),
    ) == report.outcomes
    assert ExitCode.SETTING_INVALID is exit_code([report])
    assert [] == run.api.edited
    assert BEFORE == run.records["paris"]


def test_a_record_whose_seal_was_replaced_by_one_without_credentials_is_noticed_before_anything_is_sent() -> None:
    forged = active("paris", kept=content("paris", credentials=None))
    run = Run(state(paris=forged), (desired("athens"), RENEWED))
    with pytest.raises(StateConflict, match="The sealed content of paris contains no credentials"):
        run.apply()
    assert [] == run.events


# ── What is read back ────────────────────────────────────────────────────────


def test_what_octopush_altered_is_kept_and_not_sent_again() -> None:
    run = editing(readings={"paris": observed(NEW, "key of paris", last_name="Txs")})
    report = run.apply()
    warning = "Octopush stored different values than were sent: last_name"
    fields = (FieldChange("last_name", "Texas", "Txs"),)
    assert (Outcome("paris", "update", Result.UPDATED, warning, fields),) == report.outcomes
    assert Drift(altered=("last_name",)) == only(run).drift
    assert {"last_name": "Txs"} == opened("paris", only(run)).altered
    again = run.next()
    assert {"paris": "unchanged"} == results(again.apply())


@pytest.mark.parametrize(
    ("reading", "warning"),
    [
        (MISSING, f"it could not be read back: {MISSING.reason}"),
        (PROCESSED, f"it could not be read back: {PROCESSED.reason}"),
        (Observed({}), f"the answer does not contain {', '.join(FIELDS)}"),
        (observed(NEW, "another"), "the key read back is not the one that Octopush issued"),
    ],
)
def test_whatever_is_read_back_the_account_was_changed(reading: Reading, warning: str) -> None:
    run = editing(readings={"paris": reading})
    assert (Outcome("paris", "update", Result.UPDATED, warning),) == run.apply().outcomes
    assert Drift() == only(run).drift
    kept = opened("paris", only(run))
    assert (Secret("a new password"), content("paris").credentials) == (kept.password, kept.credentials)


def test_what_a_placeholder_filled_in_is_not_shown() -> None:
    written = replace(NEW, callbacks=Callbacks("https://hooks.example.com/${env:TOKEN}"))
    sent = replace(NEW, callbacks=Callbacks("https://hooks.example.com/s3cret"))
    altered = replace(NEW, callbacks=Callbacks("https://hooks.example.com/s3cret/"))
    run = editing(desired("paris", written), environ={"TOKEN": "s3cret"}, readings={"paris": observed(altered)})
    path = "callbacks.callback_url_for_deliveries"
    report = run.apply()
    assert (FieldChange(path, "https://hooks.example.com/${env:TOKEN}", MASK),) == report.outcomes[0].fields
    assert "s3cret" not in str(report.outcomes[0].reason)
    assert sent == opened("paris", only(run)).sent


# ── Another name ─────────────────────────────────────────────────────────────

LYON: Final = desired("lyon", attributes("paris"), previously="paris")
"""Paris as it is, under another name."""
MOVED: Final = replace(content("paris"), name="lyon")


def test_a_rename_alone_sends_nothing_and_seals_again() -> None:
    run = editing(LYON)
    assert (Outcome("lyon", "update", Result.UPDATED),) == run.apply().outcomes
    assert [("started", "lyon"), ("sealed credentials", "lyon"), {"lyon": "active"}, ("updated", "lyon")] == run.events
    record = only(run, "lyon")
    assert replace(BEFORE, sealed=record.sealed) == record
    assert MOVED == opened("lyon", record)
    again = run.next()
    assert {"lyon": "unchanged"} == results(again.apply())


def test_a_new_name_that_cannot_be_saved_changes_nothing() -> None:
    run = editing(LYON, BEFORE, ROME, failures={1: Failure()})
    report = run.apply()
    assert Outcome("lyon", "update", Result.FAILED, "the state could not be saved") == report.outcomes[0]
    assert {"lyon": "failed", "rome": "not_attempted"} == results(report)
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert BEFORE == only(run)


def test_without_an_identity_there_is_no_new_name() -> None:
    run = editing(LYON, identity=False)
    assert (
        Outcome("lyon", "update", Result.NOT_ATTEMPTED, NO_IDENTITY, weight=ExitCode.SETTING_INVALID),
    ) == run.apply().outcomes
    assert BEFORE == only(run)


def test_a_new_name_and_an_edit_are_saved_together_before_the_request() -> None:
    run = editing(replace(LYON, attributes=NEW, password_version=2))
    seen: list[Active] = []
    run.api.on_request = lambda _: seen.append(only(run, "lyon"))
    run.apply()
    assert [{"lyon": "active begun"}, {"lyon": "active"}] == [each for each in run.events if isinstance(each, dict)]
    assert MOVED == opened("lyon", seen[0])
    assert "a new password" == begun_password("lyon", seen[0])
    assert replace(MOVED, operation="operation 1", password=Secret("a new password"), sent=NEW) == opened(
        "lyon", only(run, "lyon")
    )


@pytest.mark.parametrize(
    ("verdict", "drift"), [(REFUSED, Drift()), (UNAUTHORIZED, Drift()), (MISSING, Drift(gone=True))]
)
@pytest.mark.parametrize("begun", [False, True])
def test_if_the_edit_is_refused_the_new_name_stays_and_so_does_an_earlier_unfinished_edit(
    verdict: EditVerdict, drift: Drift, *, begun: bool
) -> None:
    run = editing(
        replace(LYON, attributes=NEW, password_version=2), UNFINISHED if begun else BEFORE, edits={"paris": verdict}
    )
    assert {"lyon": "failed"} == results(run.apply())
    after = only(run, "lyon")
    assert MOVED == opened("lyon", after)
    assert (attributes("paris"), OPERATION, 1, drift) == (
        after.attributes,
        after.operation,
        after.password_version,
        after.drift,
    )
    if not begun:
        assert after.edit is None
        return
    assert UNFINISHED.edit is not None
    assert after.edit is not None
    assert replace(UNFINISHED.edit, sealed=after.edit.sealed) == after.edit
    assert "begun before" == begun_password("lyon", after)


def test_where_the_edit_may_have_been_carried_out_all_is_under_the_new_name() -> None:
    run = editing(replace(LYON, attributes=NEW), UNFINISHED, edits={"paris": PROCESSED})
    assert {"lyon": "failed"} == results(run.apply())
    after = only(run, "lyon")
    assert MOVED == opened("lyon", after)
    held = executor.open_edit(run.session.state, "lyon", OPENER)
    assert held is not None
    assert (Secret("a new password"), (Secret("begun before"),)) == (held.password, held.others)
    again = run.next(new_password="a newer one")
    assert {"lyon": "updated"} == results(again.apply())
    assert Secret("a newer one") == opened("lyon", only(again, "lyon")).password


def test_an_unfinished_edit_without_a_password_takes_the_new_name_too() -> None:
    run = editing(replace(LYON, attributes=NEW), active("paris", edit=edit("paris", NEW)), edits={"paris": REFUSED})
    run.apply()
    assert active("paris", edit=edit("paris", NEW)).edit == only(run, "lyon").edit
    assert BEGUN == edit("paris", NEW).operation


@pytest.mark.parametrize("durable", [False, True])
def test_a_new_name_whose_intent_cannot_be_saved_sends_nothing(*, durable: bool) -> None:
    run = editing(replace(LYON, attributes=NEW, password_version=2), failures={1: Failure(durable=durable)})
    assert {"lyon": "failed"} == results(run.apply())
    assert [] == run.api.edited
    assert ({"lyon"} if durable else {"paris"}) == run.records.keys()
    again = run.next()
    assert {"lyon": "updated"} == results(again.apply())
    assert Secret("a new password") == opened("lyon", only(again, "lyon")).password


# ── Whatever the API says ────────────────────────────────────────────────────

VERDICTS: Final = st.sampled_from([Edited(), REFUSED, UNAUTHORIZED, UNREACHED, PROCESSED, LATE, ERROR])
STEPS: Final = st.lists(
    st.tuples(
        VERDICTS,
        st.sampled_from([attributes("paris"), NEW]),
        st.integers(1, 3),
        st.none() | st.integers(1, 2),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60)
@given(STEPS)
def test_whatever_happens_the_password_that_octopush_has_is_in_the_state(
    steps: list[tuple[EditVerdict, Attributes, int, int | None]],
) -> None:
    run = editing(desired("paris"))
    there = {"password of paris"}
    """What Octopush may have, after each run."""
    for number, (verdict, wanted, version, failing) in enumerate(steps):
        account = desired("paris", wanted, password_version=version)
        failures = {} if failing is None else {failing: Failure()}
        run = run.next(wanted=(account,), edits={"paris": verdict}, failures=failures, new_password=f"new {number}")
        run.apply()
        sent = {each.password.reveal() for _, each in run.api.edited if each.password is not None}
        if sent and isinstance(verdict, Edited):
            there = sent
        elif sent and isinstance(verdict, Failed) and verdict.possible:
            there |= sent
        record = only(run)
        password = opened("paris", record).password
        assert password is not None
        kept = {password.reveal()}
        if record.edit is not None and record.edit.sealed is not None:
            begun = executor.open_edit(run.session.state, "paris", OPENER)
            assert begun is not None
            kept |= {each.reveal() for each in (begun.password, *begun.others) if each is not None}
        assert there <= kept

    last = run.next(wanted=(account,))
    last.apply()
    (change,) = plan(manifest(account), last.session.state, limit=20, reserved=0).changes
    assert isinstance(change, Unchanged)
    assert opened("paris", only(last)).credentials == content("paris").credentials
