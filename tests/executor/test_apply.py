"""Creates: what is saved and sent in which order, what becomes of every verdict, and what is read back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner import executor
from provisioner.errors import ExitCode, OverLimit, StateMoved
from provisioner.model.account import FIELDS, MASK, Attributes, Callbacks, Secret
from provisioner.model.exchange import Failed, Observed, Reading
from provisioner.model.plan import Change, FieldChange, raise_if_over
from provisioner.model.report import Outcome, Report, Result, Scope, Stop, exit_code
from provisioner.model.state import Abandoned, Active, Drift, Operation, Pending, Record, State, Unknown
from provisioner.model.verdict import Answer, Created, CreateRequest, InDoubt, NotCreated, SealedContent, Then, Verdict
from provisioner.planner import plan
from provisioner.state.rescue import Entry
from tests.executor.examples import (
    MISSING,
    NOW,
    OPERATION,
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
)
from tests.executor.watched import Failure, Run

THREE: Final = ("athens", "berlin", "paris")
ANSWER: Final = Answer(201, b'{"api_login": "abc_1f2@sub-accounts.com"}')

LOST: Final = InDoubt("the connection was reset, after the request was sent")
CUT: Final = InDoubt("HTTP 201, but the answer was cut", ANSWER)
REFUSED: Final = NotCreated("the API refused it (HTTP 400)", Then.GO_ON)
UNAUTHORIZED: Final = NotCreated("not accepted (HTTP 401)", Then.STOP, None, ExitCode.SETTING_INVALID, "Check the key.")
FULL: Final = Failure()
EXHAUSTED: Final = NotCreated("the API asked to try later (HTTP 429)", Then.RETRY, 30.0)


# ── The order of things ──────────────────────────────────────────────────────


def test_intent_before_the_request_and_credential_before_the_next() -> None:
    run = Run(wanted=("berlin", "athens"))
    report = run.apply()
    assert [
        ("started", "athens"),
        ("sealed password", "athens"),
        {"athens": "pending"},
        ("sent", "athens"),
        ("sealed credentials", "athens"),
        {"athens": "active"},
        ("read", "athens"),
        ("created", "athens"),
        ("started", "berlin"),
        ("sealed password", "berlin"),
        {"athens": "active", "berlin": "pending"},
        ("sent", "berlin"),
        ("sealed credentials", "berlin"),
        {"athens": "active", "berlin": "active"},
        ("read", "berlin"),
        ("created", "berlin"),
    ] == run.events
    assert (
        Report(
            "default",
            (Outcome("athens", "create", Result.CREATED), Outcome("berlin", "create", Result.CREATED)),
        )
        == report
    )


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


def test_a_warning_of_the_api_is_told() -> None:
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
    last = (
        Outcome("paris", "create", Result.NOT_ATTEMPTED, stop.reason)
        if stop
        else Outcome("paris", "create", Result.CREATED)
    )
    assert (
        Outcome("athens", "create", Result.CREATED),
        Outcome("berlin", "create", Result(result), reason),
        last,
    ) == report.outcomes
    assert stop == report.stop
    kinds = {"athens": Active, "berlin": kind, "paris": None if stop else Active}
    assert {name: each for name, each in kinds.items() if each} == {
        name: type(record) for name, record in run.records.items()
    }
    assert len(run.sent) == (2 if stop else 3)
    assert ("started", "paris") in run.events or stop is not None
    assert "" == run.stderr.getvalue()


@pytest.mark.parametrize("verdict", [LOST, CUT], ids=["no answer", "an answer"])
def test_a_doubt_keeps_the_reason_the_password_and_the_answer_as_it_came(verdict: InDoubt) -> None:
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


def test_a_verdict_of_no_known_kind_is_a_defect_and_leaves_the_intent() -> None:
    run = Run(wanted=("paris",), verdicts={"paris": cast("Verdict", "what is this?")})
    with pytest.raises(AssertionError):
        run.apply()
    assert isinstance(run.records["paris"], Pending)


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
            "Octopush stored something else than was sent: last_name",
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
        ("read", "paris"),
        ("sealed credentials", "paris"),
        {"paris": "active"},
        ("created", "paris"),
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
        (Observed({}), f"the answer does not tell {', '.join(FIELDS)}"),
        (Observed({"first_name": "Athens"}), f"the answer does not tell {', '.join(FIELDS[1:])}"),
        (
            observed(attributes("athens"), "another key"),
            "the key that is read back is another than the one that was given",
        ),
        (observed(attributes("athens")), None),
    ],
)
def test_whatever_is_read_back_the_account_was_created(reading: Reading, warning: str | None) -> None:
    run = Run(wanted=("athens", "berlin"), readings={"athens": reading})
    report = run.apply()
    assert (
        Outcome("athens", "create", Result.CREATED, warning),
        Outcome("berlin", "create", Result.CREATED),
    ) == report.outcomes
    assert ExitCode.DONE is exit_code([report])
    assert {"athens": "active"} in run.events
    record = run.records["athens"]
    assert isinstance(record, Active)
    assert Drift() == record.drift
    assert content("athens", operation="operation 1") == opened("athens", record)


def test_everything_that_is_read_back_otherwise_is_told() -> None:
    reading = Observed({"first_name": "Paris!"}, Secret("another key"))
    report = Run(
        wanted=("paris",),
        verdicts={"paris": Created(credentials("paris"), "HTTP 200")},
        readings={"paris": reading},
    ).apply()
    assert (
        "HTTP 200; Octopush stored something else than was sent: first_name;"
        f" the answer does not tell {', '.join(FIELDS[1:])};"
        " the key that is read back is another than the one that was given"
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


def test_where_what_was_altered_cannot_be_saved_the_account_is_there_all_the_same() -> None:
    reading = observed(attributes("athens"), "key of athens", last_name="Crsh")
    run = Run(readings={"athens": reading}, failures={3: FULL})
    report = run.apply(keep_going=True)
    assert (
        Outcome(
            "athens",
            "create",
            Result.CREATED,
            "Octopush stored something else than was sent: last_name; the state could not be saved",
            (FieldChange("last_name", "Crash", "Crsh"),),
        )
        == report.outcomes[0]
    )
    assert {"athens": "created", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert () == run.rescued
    assert content("athens", operation="operation 1") == opened("athens", run.records["athens"])


@pytest.mark.parametrize("verdict", [LOST, CUT, REFUSED])
def test_what_is_not_known_to_be_created_is_not_read(verdict: Verdict) -> None:
    run = Run(wanted=("paris",), verdicts={"paris": verdict})
    run.apply()
    assert ("read", "paris") not in run.events


# ── What is no create ────────────────────────────────────────────────────────


def test_what_is_not_to_be_created_is_told_and_left_alone() -> None:
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
            "Octopush no longer knows its login; `provisioner forget lost` frees its slot",
        ),
        Outcome("same", "unchanged", Result.UNCHANGED),
        Outcome("unknown", "unknown", Result.UNKNOWN, "cut"),
    ) == report.outcomes
    assert report.stop is None
    assert [] == run.sent
    assert state.accounts == run.records
    assert run.events == [(each.result.value, each.name) for each in report.outcomes]


def test_an_unknown_of_an_earlier_run_does_not_stop_this_one() -> None:
    run = Run(State("lineage", "default", accounts={"athens": Unknown(attributes("athens"), OPERATION, "cut")}))
    assert {"athens": "unknown", "berlin": "created", "paris": "created"} == results(run.apply())


def test_a_change_of_no_known_kind_is_a_defect() -> None:
    run = Run()
    todo = plan(manifest(), run.state, limit=20, reserved=0)
    run.by_plan = replace(todo, changes=(cast("Change", "what is this?"),))
    with pytest.raises(AssertionError):
        run.apply()


# ── Slots ────────────────────────────────────────────────────────────────────


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


def test_the_slots_are_counted_again_before_each_create() -> None:
    run = Run(limit=4)
    todo = plan(manifest(*THREE), run.state, limit=4, reserved=0)
    run.by_plan = replace(todo, slots=replace(todo.slots, limit=3, reserved=1))
    report = run.apply()
    assert {"athens": "created", "berlin": "created", "paris": "not_attempted"} == results(report)
    assert Stop(ExitCode.REFUSED, "there is no slot left") == report.stop
    assert 2 == len(run.sent)


def test_a_doubt_keeps_its_slot_and_a_refusal_gives_it_back() -> None:
    for verdict, last in ((LOST, "not_attempted"), (REFUSED, "created")):
        run = Run(verdicts={"athens": verdict})
        todo = plan(manifest(*THREE), run.state, limit=4, reserved=0)
        run.by_plan = replace(todo, slots=replace(todo.slots, limit=2))
        assert results(run.apply(keep_going=True))["paris"] == last


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


@pytest.mark.parametrize("failure", [FULL, MOVED, replace(FULL, durable=True)], ids=["full", "moved", "durable"])
def test_where_the_intent_cannot_be_saved_nothing_is_sent(failure: Failure) -> None:
    run = Run(failures={3: failure})
    report = run.apply(keep_going=True)
    place = "standard error, in the line that begins with provisioner-rescue (`provisioner recover LOG` puts it back)"
    reason = f"the state could not be saved, and the outcome is kept in {place}; nothing was sent"
    assert (
        Outcome("athens", "create", Result.CREATED),
        Outcome("berlin", "create", Result.FAILED, reason),
        Outcome("paris", "create", Result.NOT_ATTEMPTED, failure.error.message.removesuffix(".")),
    ) == report.outcomes
    assert ["Athens"] == [request.attributes.first_name for request in run.sent]
    assert (Entry("lineage", "default", "berlin", "operation 2", None),) == run.rescued
    assert report.stop is not None
    assert f"{failure.error.hint} The outcome of berlin is kept in {place}." == report.stop.hint
    assert ExitCode.STATE_UNUSABLE is exit_code([report])

    run.loaded().put_back(run.rescued)
    assert {"athens"} == run.records.keys()


@pytest.mark.parametrize("failure", [FULL, MOVED, replace(FULL, durable=True)], ids=["full", "moved", "durable"])
def test_where_a_credential_cannot_be_saved_it_is_rescued_and_the_run_stops(failure: Failure) -> None:
    run = Run(failures={2: failure}, verdicts={"athens": Created(credentials("athens"), "HTTP 200")})
    report = run.apply(keep_going=True)
    assert {"athens": "created", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    place = "standard error, in the line that begins with provisioner-rescue (`provisioner recover LOG` puts it back)"
    assert f"HTTP 200; the state could not be saved, and the outcome is kept in {place}" == report.outcomes[0].reason
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert 1 == len(run.sent)

    (entry,) = run.rescued
    assert (
        "lineage",
        "default",
        "athens",
        "operation 1",
    ) == (entry.lineage, entry.parent, entry.name, entry.operation)
    assert credentials("athens") == opened("athens", entry.record).credentials
    assert "key of athens" not in run.stderr.getvalue()

    run.loaded().put_back(run.rescued)
    assert credentials("athens") == opened("athens", run.records["athens"]).credentials


def test_a_created_account_whose_save_fails_has_that_as_its_only_reason() -> None:
    report = Run(failures={2: FULL}).apply()
    assert str(report.outcomes[0].reason).startswith("the state could not be saved, and the outcome is kept in")


def test_a_doubt_that_cannot_be_saved_is_rescued_and_stays_the_strongest() -> None:
    run = Run(failures={2: FULL}, verdicts={"athens": CUT})
    report = run.apply(keep_going=True)
    assert {"athens": "unknown", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert str(report.outcomes[0].reason).startswith(f"{CUT.reason}; the state could not be saved")
    assert report.stop is not None
    assert ExitCode.STATE_UNUSABLE is report.stop.exit_code
    assert ExitCode.OUTCOME_UNKNOWN is exit_code([report])
    assert ANSWER == opened("athens", run.rescued[0].record).answer


def test_a_refusal_that_cannot_be_saved_is_rescued_so_that_no_doubt_remains() -> None:
    run = Run(failures={2: FULL}, verdicts={"athens": REFUSED})
    report = run.apply()
    assert {"athens": "failed", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert (Entry("lineage", "default", "athens", "operation 1", None),) == run.rescued
    assert isinstance(run.records["athens"], Pending)
    run.session.put_back(run.rescued)
    assert {} == run.records


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

    assert run.session.state is None or run.session.state.serial == 2 * len(run.sent)
    again = Run(run.session.state or run.state, limit=8, reserved=reserved)
    again.apply()
    assert len(again.sent) == sum(each.result in {Result.FAILED, Result.NOT_ATTEMPTED} for each in report.outcomes)
    assert () == plan(manifest(*THREE), again.session.state, limit=8, reserved=reserved).creates
