"""Creates: what is saved and sent in which order, what becomes of every verdict, and what is read back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import pytest

from provisioner import executor
from provisioner.errors import ExitCode, InternalError
from provisioner.model.account import FIELDS, MASK, Attributes, Callbacks, Secret
from provisioner.model.exchange import Failed, Observed, Reading
from provisioner.model.plan import FieldChange
from provisioner.model.report import Attempt, Outcome, Report, Result, Stop, exit_code
from provisioner.model.state import Active, Drift, Operation, Pending, Record, Unknown
from provisioner.model.verdict import Created, CreateRequest, OutcomeUnknown, SealedContent, Then, Verdict
from provisioner.planner import plan
from tests.executor.examples import (
    CUT,
    EXHAUSTED,
    LOST,
    MISSING,
    NOW,
    REFUSED,
    THREE,
    UNAUTHORIZED,
    UNREACHED,
    active,
    attributes,
    content,
    created,
    credentials,
    desired,
    manifest,
    observed,
    opened,
    results,
    state,
)
from tests.executor.watched import Failure, Run

# ── The order of things ──────────────────────────────────────────────────────


def test_an_outcome_and_the_next_intent_are_one_save_before_the_next_request_and_reads_come_last() -> None:
    run = Run(wanted=("berlin", "athens"))
    report = run.apply()
    assert [
        ("sealed password", "athens"),
        ("sealed password", "berlin"),
        {"athens": "pending"},
        ("started", "athens"),
        ("sent", "athens"),
        ("sealed credentials", "athens"),
        {"athens": "active", "berlin": "pending"},
        ("created", "athens"),
        ("started", "berlin"),
        ("sent", "berlin"),
        ("sealed credentials", "berlin"),
        {"athens": "active", "berlin": "active"},
        ("created", "berlin"),
        ("started", "athens"),
        ("read", "athens"),
        ("found None", "athens"),
        ("started", "berlin"),
        ("read", "berlin"),
        ("found None", "berlin"),
    ] == run.events
    assert (
        Report(
            "default",
            (Outcome("athens", "create", Result.CREATED), Outcome("berlin", "create", Result.CREATED)),
        )
        == report
    )


def test_what_is_created_comes_first_and_the_report_is_in_the_order_of_the_plan() -> None:
    changed = desired("berlin", Attributes("B", "C"))
    run = Run(state(berlin=active("berlin"), rome=active("rome")), (changed, *THREE[::2], "rome"))
    assert ["created", "updated", "created", "unchanged"] == list(results(run.apply()).values())
    assert ["athens", "paris", "athens", "paris", "berlin"] == [
        each[1] for each in run.events if isinstance(each, tuple) and each[0] in {"sent", "read", "edited"}
    ][:-1]


def test_what_is_kept_of_an_account_that_was_created() -> None:
    run = Run(wanted=("paris",))
    run.apply()
    record = run.records["paris"]
    operation = Operation("operation 1", NOW, "me@here")
    assert isinstance(record, Active)
    assert Active(attributes("paris"), operation, NOW, record.sealed) == record
    assert content("paris", operation="operation 1") == opened("paris", record)
    assert [CreateRequest(attributes("paris"), Secret("password of paris"))] == run.sent
    assert run.session.state is not None
    assert 2 == run.session.state.serial


def test_placeholders_are_sent_expanded_and_kept_as_they_are() -> None:
    run = Run(wanted=("paris",))
    account = desired("paris", Attributes("${env:NAME}", "Crash"))
    run.by_plan = plan(manifest(account), run.state, limit=20, reserved=0)
    run.apply()
    assert attributes("paris") == run.sent[0].attributes
    assert attributes("paris") == opened("paris", run.records["paris"]).sent
    assert run.records["paris"].attributes == account.attributes


def test_a_warning_from_the_api_is_reported() -> None:
    run = Run(wanted=("paris",), verdicts={"paris": Created(credentials("paris"), "HTTP 200")})
    assert (Outcome("paris", "create", Result.CREATED, "HTTP 200"),) == run.apply().outcomes


def test_applying_again_sends_nothing() -> None:
    first = Run()
    first.apply()
    assert first.session.state is not None
    again = Run(first.session.state)
    assert dict.fromkeys(THREE, "unchanged") == results(again.apply())
    assert [] == again.sent
    assert again.records == first.records


# ── Every verdict ────────────────────────────────────────────────────────────

Row = tuple[Verdict, type[Record] | None, str, Stop | None, Stop | None]
IN_DOUBT: Final = Stop(ExitCode.OUTCOME_UNKNOWN, "the outcome of berlin is unknown")
VERDICTS: Final[dict[str, Row]] = {
    "created": (created("berlin"), Active, "created", None, None),
    "lost": (LOST, Unknown, "unknown", IN_DOUBT, None),
    "cut": (CUT, Unknown, "unknown", IN_DOUBT, None),
    "refused": (REFUSED, None, "failed", None, None),
    "unauthorized": (
        UNAUTHORIZED,
        None,
        "failed",
        *[Stop(ExitCode.SETTING_INVALID, UNAUTHORIZED.reason, "Check the key.")] * 2,
    ),
    "exhausted": (EXHAUSTED, None, "failed", *[Stop(ExitCode.SOME_FAILED, EXHAUSTED.reason)] * 2),
}


@pytest.mark.parametrize("keep_going", [False, True])
@pytest.mark.parametrize("row", VERDICTS.values(), ids=VERDICTS)
def test_what_becomes_of_every_verdict(row: Row, *, keep_going: bool) -> None:
    verdict, kind, result, stop_at_once, stop_all_the_same = row
    stop = stop_all_the_same if keep_going else stop_at_once
    run = Run(verdicts={"berlin": verdict})
    report = run.apply(keep_going=keep_going)

    reason = None if isinstance(verdict, Created) else verdict.reason
    attempt = Attempt(attributes("berlin"), "2026-02-03T04:05:06Z") if kind is Unknown else None
    last = (
        Outcome("paris", "create", Result.NOT_ATTEMPTED, stop.reason)
        if stop
        else Outcome("paris", "create", Result.CREATED)
    )
    # Where Octopush would not answer either, what was created before is not read back.
    unread = f"not read back: {stop.reason}" if stop and stop.exit_code is not ExitCode.OUTCOME_UNKNOWN else None
    assert (
        Outcome("athens", "create", Result.CREATED, unread),
        Outcome("berlin", "create", Result(result), reason, attempt=attempt),
        last,
    ) == report.outcomes
    assert (("read", "athens") in run.events) is (unread is None)
    assert stop == report.stop
    kinds = {"athens": Active, "berlin": kind, "paris": None if stop else Active}
    assert {name: each for name, each in kinds.items() if each} == {
        name: type(record) for name, record in run.records.items()
    }
    assert len(run.sent) == (2 if stop else 3)
    assert ("started", "paris") in run.events or stop is not None
    assert [] == run.said


@pytest.mark.parametrize("verdict", [LOST, CUT], ids=["no answer", "an answer"])
def test_an_unknown_keeps_the_reason_the_password_and_the_answer_as_it_came(verdict: OutcomeUnknown) -> None:
    run = Run(wanted=("paris",), verdicts={"paris": verdict})
    run.apply()
    record = run.records["paris"]
    assert (
        Unknown(attributes("paris"), Operation("operation 1", NOW, "me@here"), verdict.reason, record.sealed) == record
    )
    assert SealedContent(
        "lineage",
        "default",
        "paris",
        "operation 1",
        Secret("password of paris"),
        answer=verdict.answer,
        sent=attributes("paris"),
    ) == opened("paris", record)


def test_an_unexpected_kind_of_verdict_is_an_internal_error_and_recorded_as_unknown() -> None:
    run = Run(wanted=("paris",), verdicts={"paris": cast("Verdict", "what is this?")})
    with pytest.raises(InternalError) as caught:
        run.apply()
    assert isinstance(caught.value.__cause__, AssertionError)
    assert "The outcome of paris is kept in standard error" in caught.value.hint
    assert isinstance(run.records["paris"], Pending)
    assert isinstance(run.rescued[0].record, Unknown)


class Faulty(Run):
    """A run whose sealer fails at all that was sent, once the credentials are there."""

    def seal(self, content: SealedContent) -> str:
        if content.credentials is not None and content.sent is not None:
            raise ValueError("key of paris")
        return super().seal(content)


def test_credentials_are_kept_where_this_program_fails_at_the_record() -> None:
    run = Faulty(wanted=("paris",))
    with pytest.raises(InternalError) as caught:
        run.apply()
    (entry,) = run.rescued
    assert isinstance(entry.record, Unknown)
    assert credentials("paris") == opened("paris", entry.record).credentials
    assert "key of paris" not in f"{caught.value.message}{caught.value.hint}{run.said}"
    run.loaded().put_back(run.rescued)
    assert {"paris": entry.record} == run.records


def test_a_login_that_another_account_of_the_run_got_proves_nothing() -> None:
    again = Created(replace(credentials("berlin"), api_login="Athens@sub-accounts.com"))
    run = Run(verdicts={"berlin": again})
    report = run.apply(keep_going=True)
    assert {"athens": "created", "berlin": "unknown", "paris": "created"} == results(report)
    assert "the answer contains the login of athens" == report.outcomes[1].reason
    assert opened("berlin", run.records["berlin"]).credentials is None
    assert ("read", "paris") in run.events
    assert ("read", "berlin") not in run.events


# ── What is read back ────────────────────────────────────────────────────────

HOOK: Final = "callbacks.callback_url_for_deliveries"


def test_what_octopush_altered_is_kept_shown_and_no_failure() -> None:
    run = Run(wanted=("paris",), readings={"paris": observed(attributes("paris"), "key of paris", last_name="Crsh")})
    report = run.apply()
    assert (
        Outcome(
            "paris",
            "create",
            Result.CREATED,
            "Octopush stored different values than were sent: last_name",
            (FieldChange("last_name", "Crash", "Crsh"),),
        ),
    ) == report.outcomes
    assert ExitCode.DONE is exit_code([report])
    record = run.records["paris"]
    assert isinstance(record, Active)
    assert Drift(altered=("last_name",)) == record.drift
    assert attributes("paris") == record.attributes
    assert content("paris", operation="operation 1", altered={"last_name": "Crsh"}) == opened("paris", record)
    assert [
        ("sealed credentials", "paris"),
        {"paris": "active"},
        ("created", "paris"),
        ("started", "paris"),
        ("read", "paris"),
        (f"found {report.outcomes[0].reason}", "paris"),
        ("sealed credentials", "paris"),
        {"paris": "active"},
    ] == run.events[4:]

    again = run.next()
    assert {"paris": "unchanged"} == results(again.apply())
    assert [] == again.sent


@pytest.mark.parametrize(
    ("reading", "warning"),
    [
        (MISSING, f"it could not be read back: {MISSING.reason}"),
        (Failed("HTTP 500", Then.RETRY, possible=True), "it could not be read back: HTTP 500"),
        (Failed("not accepted (HTTP 401)", Then.STOP), "it could not be read back: not accepted (HTTP 401)"),
        (UNREACHED, "it could not be read back: the connection was refused"),
        (Observed({}), f"the answer does not contain {', '.join(FIELDS)}"),
        (Observed({"first_name": "Athens"}), f"the answer does not contain {', '.join(FIELDS[1:])}"),
        (
            observed(attributes("athens"), "another key"),
            "the key read back is not the one that Octopush issued",
        ),
        (observed(attributes("athens")), None),
    ],
)
def test_whatever_is_read_back_the_account_was_created(reading: Reading, warning: str | None) -> None:
    run = Run(wanted=("athens", "berlin"), readings={"athens": reading})
    report = run.apply()
    # Where asking for more would come to nothing, nothing more is asked for.
    stops = isinstance(reading, Failed) and reading.stops
    assert (
        Outcome("athens", "create", Result.CREATED, warning),
        Outcome("berlin", "create", Result.CREATED, f"not read back: {reading.reason}" if stops else None),
    ) == report.outcomes
    assert (("read", "berlin") in run.events) is not stops
    assert [f"found {warning}"] + ["found None"] * (not stops) == [
        each[0] for each in run.events if isinstance(each, tuple) and each[0].startswith("found")
    ]
    assert ExitCode.DONE is exit_code([report])
    record = run.records["athens"]
    assert isinstance(record, Active)
    assert Drift() == record.drift
    assert content("athens", operation="operation 1") == opened("athens", record)


def test_every_difference_in_the_read_back_is_reported() -> None:
    reading = Observed({"first_name": "Paris!"}, Secret("another key"))
    report = Run(
        wanted=("paris",),
        verdicts={"paris": Created(credentials("paris"), "HTTP 200")},
        readings={"paris": reading},
    ).apply()
    assert (
        "HTTP 200; Octopush stored different values than were sent: first_name;"
        f" the answer does not contain {', '.join(FIELDS[1:])};"
        " the key read back is not the one that Octopush issued"
    ) == report.outcomes[0].reason


def test_what_a_placeholder_filled_in_is_not_shown_even_where_octopush_alters_it() -> None:
    written = Callbacks("https://hooks.example.com/${env:TOKEN}", "https://hooks.example.com/stop")
    sent = replace(written, callback_url_for_deliveries="https://hooks.example.com/s3cret")
    altered = Attributes("Paris", "Crash", None, Callbacks("https://hooks.example.com/s3cret/", "https://x.example/"))
    run = Run(readings={"paris": observed(altered, "key of paris")})
    account = desired("paris", replace(attributes("paris"), callbacks=written))
    run.by_plan = plan(manifest(account), run.state, limit=20, reserved=0)
    work = run.work(run.by_plan)
    request = CreateRequest(replace(attributes("paris"), callbacks=sent), Secret("p"))
    report = executor.apply(run.by_plan, run.state, replace(work, creates={"paris": request}), run.ports())
    stop = "callbacks.callback_url_for_blacklisted_numbers"
    assert (
        FieldChange(HOOK, "https://hooks.example.com/${env:TOKEN}", MASK),
        FieldChange(stop, "https://hooks.example.com/stop", "https://x.example/"),
    ) == report.outcomes[0].fields
    assert {HOOK: "https://hooks.example.com/s3cret/", stop: "https://x.example/"} == opened(
        "paris", run.records["paris"]
    ).altered


def test_a_value_that_was_filled_in_and_is_not_there_is_absent() -> None:
    run = Run(readings={"paris": observed(attributes("paris"), "key of paris")})
    account = desired("paris", replace(attributes("paris"), company_name="${env:WHOSE}"))
    run.by_plan = plan(manifest(account), run.state, limit=20, reserved=0)
    request = CreateRequest(replace(attributes("paris"), company_name="s3cret"), Secret("p"))
    work = replace(run.work(run.by_plan), creates={"paris": request})
    report = executor.apply(run.by_plan, run.state, work, run.ports())
    assert (FieldChange("company_name", "${env:WHOSE}", None),) == report.outcomes[0].fields


def test_created_accounts_stay_in_the_state_even_if_corrections_cannot_be_saved() -> None:
    reading = observed(attributes("athens"), "key of athens", last_name="Crsh")
    run = Run(state(rome=active("rome")), readings={"athens": reading}, failures={5: Failure()})
    run.wanted = (*THREE, desired("rome", Attributes("Rome", "Georgia")))
    report = run.apply(keep_going=True)
    assert (
        Outcome(
            "athens",
            "create",
            Result.CREATED,
            "Octopush stored different values than were sent: last_name; the state could not be saved",
            (FieldChange("last_name", "Crash", "Crsh"),),
        )
        == report.outcomes[0]
    )
    assert dict.fromkeys(THREE, "created") | {"rome": "not_attempted"} == results(report)
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert () == run.rescued
    assert content("athens", operation="operation 1") == opened("athens", run.records["athens"])


def test_all_that_octopush_altered_is_one_save() -> None:
    run = Run(readings={name: observed(attributes(name), last_name="Crsh") for name in THREE})
    run.apply()
    assert len(THREE) + 2 == len([each for each in run.events if isinstance(each, dict)])
    assert {Drift(altered=("last_name",))} == {each.drift for each in run.records.values() if isinstance(each, Active)}
    assert dict.fromkeys(THREE, "unchanged") == results(run.next().apply())


@pytest.mark.parametrize("verdict", [LOST, CUT, REFUSED])
def test_what_is_not_known_to_be_created_is_not_read(verdict: Verdict) -> None:
    run = Run(wanted=("paris",), verdicts={"paris": verdict})
    run.apply()
    assert ("read", "paris") not in run.events


# ── Slots ────────────────────────────────────────────────────────────────────


def test_the_slots_are_counted_again_before_each_create() -> None:
    run = Run(limit=4)
    todo = plan(manifest(*THREE), run.state, limit=4, reserved=0)
    run.by_plan = replace(todo, slots=replace(todo.slots, limit=3, reserved=1))
    report = run.apply()
    assert {"athens": "created", "berlin": "created", "paris": "not_attempted"} == results(report)
    assert Stop(ExitCode.REFUSED, "there is no slot left") == report.stop
    assert 2 == len(run.sent)


def test_an_unknown_keeps_its_slot_and_a_refusal_frees_it() -> None:
    for verdict, last in ((LOST, "not_attempted"), (REFUSED, "created")):
        run = Run(verdicts={"athens": verdict})
        todo = plan(manifest(*THREE), run.state, limit=4, reserved=0)
        run.by_plan = replace(todo, slots=replace(todo.slots, limit=2))
        assert results(run.apply(keep_going=True))["paris"] == last
