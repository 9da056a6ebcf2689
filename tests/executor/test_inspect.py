"""What is kept, compared with what Octopush has: drift, credentials and balances; nothing unseen is called right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from provisioner import executor
from provisioner.errors import Advice, ExitCode, IdentityRejected, Remedy
from provisioner.executor.inspect import read_back
from provisioner.model.account import FIELDS, MASK, Attributes, Callbacks, Secret
from provisioner.model.exchange import Balance, Failed, Observed, Reading
from provisioner.model.plan import UNFINISHED, FieldChange, Unchanged, Update
from provisioner.model.report import Outcome, Report, Result, Stop, exit_code
from provisioner.model.state import Active, Drift, Operation, Record, State, Unknown
from provisioner.model.verdict import Then
from provisioner.planner import plan
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities
from tests.executor.examples import (
    IDENTITY,
    MISSING,
    OPENER,
    OPERATION,
    PROCESSED,
    RECIPIENT,
    SEALER,
    UNREACHED,
    active,
    attributes,
    content,
    credentials,
    desired,
    edit,
    manifest,
    observed,
    state,
)
from tests.executor.watched import Octopush, Run, Watcher

REJECTED: Final = Failed("not accepted (HTTP 401)", Then.STOP, None, ExitCode.SETTING_INVALID, "Check the key.")
REFUSED: Final = Failed("the API refused it (HTTP 400)", Then.GO_ON)
ELSEWHERE: Final = Failed("sent to another address (HTTP 302)", Then.STOP, possible=True)
SILENT: Final = Failed("no answer within 30 s", Then.RETRY, possible=True, unanswered=True)
OTHER_KEY: Final = "Octopush's key for this login is not the sealed one"
HOOK: Final = "callbacks.callback_url_for_deliveries"


def refreshed(this: State, readings: Mapping[str, Reading], watcher: Watcher | None = None) -> executor.Refreshed:
    api = Octopush(None if watcher is None else watcher.events)
    api.readings = readings
    return executor.refresh(this, OPENER, api, watcher or Watcher())


def one(record: Active, reading: Reading) -> tuple[Drift, Outcome]:
    """Return the drift and the outcome of the refresh of one account."""
    done = refreshed(state(paris=record), {"paris": reading})
    after = done.state.accounts["paris"]
    assert isinstance(after, Active)
    assert replace(record, drift=after.drift) == after
    (outcome,) = done.report.outcomes
    return after.drift, outcome


# ── Drift ────────────────────────────────────────────────────────────────────

PLAIN: Final = active("paris")
ALTERED: Final = active(
    "paris", kept=content("paris", altered={"last_name": "Crsh"}), drift=Drift(altered=("last_name",))
)
"""Octopush made something else of the last name."""


def test_an_account_that_is_as_it_was_sent_is_unchanged() -> None:
    stale = replace(PLAIN, drift=Drift(changed=("last_name",)))
    for record in (PLAIN, stale):
        drift, outcome = one(record, observed(attributes("paris")))
        assert (Drift(), Outcome("paris", "refresh", Result.UNCHANGED)) == (drift, outcome)


def test_drift_is_reported_and_changed_back_by_an_apply() -> None:
    reading = observed(attributes("paris"), last_name="Texas")
    done = refreshed(state(paris=PLAIN), {"paris": reading})
    fields = (FieldChange("last_name", "Crash", "Texas", drifted=True),)
    assert (Outcome("paris", "refresh", Result.DRIFTED, "somebody changed last_name", fields),) == done.report.outcomes
    assert replace(PLAIN, drift=Drift(changed=("last_name",))) == done.state.accounts["paris"]
    assert {"paris": {"last_name": "Texas"}} == done.found
    made = plan(manifest("paris"), done.state, limit=20, reserved=0, found=done.found)
    back = Update(desired("paris"), (FieldChange("last_name", "Texas", "Crash", drifted=True),))
    assert (back,) == made.changes


def test_what_octopush_altered_at_once_is_no_change() -> None:
    reading = observed(attributes("paris"), last_name="Crsh")
    done = refreshed(state(paris=ALTERED), {"paris": reading})
    fields = (FieldChange("last_name", "Crash", "Crsh"),)
    assert (Outcome("paris", "refresh", Result.DRIFTED, "Octopush altered last_name", fields),) == done.report.outcomes
    assert ALTERED == done.state.accounts["paris"]
    made = plan(manifest("paris"), done.state, limit=20, reserved=0, found=done.found)
    assert (Unchanged("paris", attributes("paris"), Drift(altered=("last_name",))),) == made.changes


@pytest.mark.parametrize(
    ("last_name", "drift"),
    [
        ("Texas", Drift(changed=("last_name",))),
        (None, Drift(changed=("last_name",), emptied=("last_name",))),
        ("Crash", Drift()),
    ],
)
def test_what_was_altered_and_is_something_else_by_now_was_changed_or_healed(
    last_name: str | None, drift: Drift
) -> None:
    assert drift == one(ALTERED, observed(attributes("paris"), last_name=last_name))[0]


@pytest.mark.parametrize(
    "written",
    [
        Attributes("Paris", "Crash"),
        Attributes("Paris", "Crash", "Aachen"),
        Attributes("Paris", "Crash", "Zurich"),
        Attributes("Paris", "Crash", "${env:COMPANY}"),
    ],
)
def test_what_may_be_a_placeholders_value_is_not_shown_when_an_account_is_read_back(written: Attributes) -> None:
    sent = Attributes("Paris", "Crash", "Meudon")
    run = Run(readings={"paris": observed(sent, company_name="Melun")})
    back = read_back(content("paris", sent=sent), written, run.ports())
    assert (FieldChange("company_name", written.company_name or MASK, MASK),) == back.fields


@pytest.mark.parametrize(
    ("found", "is_corrected"),
    [
        ("https://hooks.example.com/catch/77/a1b2?a=1&amp;b=caf%C3%A9", True),
        ("https://HOOKS.example.com/catch/77", True),
        (None, True),
        ("https://hooks.example.com/catch/66/a1b2?a=1&b=caf\u00e9", False),
        ("https://evil.example.com/catch/77/a1b2?a=1&b=caf\u00e9", False),
        ("https://[hooks.example.com/catch/77/a1b2?a=1&b=caf\u00e9", False),
        # Each lost one letter, and is somebody else's.
        ("https://hook.example.com/catch/77/a1b2?a=1&b=caf\u00e9", False),
        ("https://hooks.exaple.com/catch/77/a1b2?a=1&b=caf\u00e9", False),
        ("http://hooks.example.com/catch/77/a1b2?a=1&b=caf\u00e9", False),
    ],
)
def test_octopush_is_said_to_have_corrected_no_callback_into_that_of_a_neighbour(
    found: str | None, *, is_corrected: bool
) -> None:
    sent = replace(attributes("paris"), callbacks=Callbacks("https://hooks.example.com/catch/77/a1b2?a=1&b=caf\u00e9"))
    there = replace(sent, callbacks=Callbacks(found))
    kept = content("paris", sent=sent, altered={HOOK: found})
    record = active("paris", attributes=sent, kept=kept, drift=Drift(altered=(HOOK,)))
    drift, _ = one(record, observed(there))
    assert Drift(**{"altered" if is_corrected else "changed": (HOOK,)}) == drift


def test_altered_and_changed_fields_are_told_apart() -> None:
    drift, outcome = one(
        ALTERED, observed(attributes("paris"), first_name="Paname", last_name="Crsh", company_name="X")
    )
    assert Drift(altered=("last_name",), changed=("first_name", "company_name")) == drift
    assert (
        FieldChange("first_name", "Paris", "Paname", drifted=True),
        FieldChange("last_name", "Crash", "Crsh"),
        FieldChange("company_name", None, "X", drifted=True),
    ) == outcome.fields


def test_an_empty_value_is_an_absent_one() -> None:
    assert Drift() == one(PLAIN, observed(attributes("paris"), company_name=""))[0]


def test_fields_missing_from_an_answer_are_not_called_unchanged() -> None:
    drift, outcome = one(PLAIN, Observed({"first_name": "Paris"}))
    reason = f"the answer does not contain {', '.join(FIELDS[1:])}"
    assert (Drift(), Outcome("paris", "refresh", Result.UNCHECKED, reason)) == (drift, outcome)
    _, outcome = one(PLAIN, Observed({"first_name": "Paname"}))
    assert (Result.DRIFTED, f"somebody changed first_name; {reason}") == (outcome.result, outcome.reason)
    assert ExitCode.SOME_FAILED is outcome.exit_code


def test_what_a_placeholder_filled_in_is_shown_neither_by_the_refresh_nor_by_the_plan() -> None:
    written = replace(attributes("paris"), callbacks=Callbacks("https://hooks.example.com/${env:TOKEN}"))
    sent = replace(attributes("paris"), callbacks=Callbacks("https://hooks.example.com/s3cret"))
    there = replace(attributes("paris"), callbacks=Callbacks("https://hooks.example.com/s3cret?x"))
    record = active("paris", attributes=written, kept=content("paris", sent=sent))
    done = refreshed(state(paris=record), {"paris": observed(there)})
    assert (FieldChange(HOOK, "https://hooks.example.com/${env:TOKEN}", MASK, drifted=True),) == (
        done.report.outcomes[0].fields
    )
    assert {"paris": {HOOK: MASK}} == done.found


def test_the_found_value_is_not_shown_if_the_field_has_a_placeholder() -> None:
    # As after an adoption: what differed is kept as the manifest has it, and not as anything was sent.
    written = replace(attributes("paris"), callbacks=Callbacks("https://hooks.example.com/?t=${env:TOKEN}"))
    there = replace(attributes("paris"), callbacks=Callbacks("https://hooks.example.com/s3cret"))
    record = active("paris", attributes=written, kept=content("paris", sent=written))
    done = refreshed(state(paris=record), {"paris": observed(there)})
    assert (FieldChange(HOOK, "https://hooks.example.com/?t=${env:TOKEN}", MASK, drifted=True),) == (
        done.report.outcomes[0].fields
    )
    cleared = refreshed(state(paris=record), {"paris": observed(attributes("paris"))})
    assert {"paris": {HOOK: None}} == cleared.found


GONE: Final = Drift(gone=True)


def test_a_login_that_is_not_known_is_gone_until_it_is_known_again() -> None:
    drifted = replace(PLAIN, drift=Drift(changed=("last_name",)))
    for record in (PLAIN, drifted):
        assert (GONE, Outcome("paris", "refresh", Result.GONE, MISSING.reason)) == one(record, MISSING)
    assert Drift() == one(replace(PLAIN, drift=GONE), observed(attributes("paris")))[0]


def test_where_what_was_sent_is_not_kept_nothing_is_compared() -> None:
    old = active("paris", kept=content("paris", sent=None), drift=Drift(changed=("last_name",)))
    drift, outcome = one(old, observed(Attributes("Some", "Body")))
    assert old.drift == drift
    assert (
        Outcome("paris", "refresh", Result.UNCHECKED, "the state does not have the values that were sent for it")
        == outcome
    )


def test_what_was_gone_and_is_there_is_no_longer_gone_even_where_nothing_can_be_compared() -> None:
    old = active("paris", kept=content("paris", sent=None), drift=GONE)
    assert Drift() == one(old, observed(attributes("paris")))[0]


def test_an_unfinished_edit_is_not_compared() -> None:
    record = replace(PLAIN, edit=edit("paris", attributes("rome")))
    watcher = Watcher()
    done = refreshed(state(paris=record), {}, watcher)
    assert record == done.state.accounts["paris"]
    assert [("unchecked", "paris")] == watcher.events
    assert UNFINISHED == done.report.outcomes[0].reason


@pytest.mark.parametrize(
    ("reading", "drift", "result"),
    [
        (observed(attributes("rome")), Drift(), Result.UNCHECKED),
        (MISSING, GONE, Result.GONE),
        (PROCESSED, GONE, Result.UNCHECKED),
    ],
)
def test_an_unfinished_edit_of_a_login_that_was_gone_is_looked_for(
    reading: Reading, drift: Drift, result: Result
) -> None:
    record = replace(PLAIN, edit=edit("paris", attributes("rome"), "begun"), drift=GONE)
    after, outcome = one(record, reading)
    assert (drift, result) == (after, outcome.result)


def test_every_active_account_is_read_in_the_order_of_names_and_no_other() -> None:
    unknown = Unknown(attributes("oslo"), OPERATION, "lost")
    this = state(rome=active("rome"), oslo=unknown, paris=PLAIN)
    watcher = Watcher()
    done = refreshed(this, {}, watcher)
    assert [
        ("started", "paris"),
        ("read", "paris"),
        ("unchanged", "paris"),
        ("started", "rome"),
        ("read", "rome"),
        ("unchanged", "rome"),
    ] == watcher.events
    assert this == done.state
    assert ExitCode.DONE is exit_code([done.report])


@pytest.mark.parametrize("failed", [UNREACHED, REJECTED, ELSEWHERE, SILENT])
def test_no_more_accounts_are_read_after_an_error_that_concerns_all(failed: Failed) -> None:
    drifted = replace(PLAIN, drift=Drift(changed=("last_name",)))
    watcher = Watcher()
    done = refreshed(state(paris=drifted, rome=active("rome")), {"paris": failed}, watcher)
    assert (
        Outcome("paris", "refresh", Result.UNCHECKED, failed.reason),
        Outcome("rome", "refresh", Result.UNCHECKED, f"not checked, because {failed.reason}"),
    ) == done.report.outcomes
    stop = Stop(failed.exit_code, failed.reason, failed.hint)
    assert stop == done.report.stop
    assert stop.exit_code is exit_code([done.report])
    assert ("read", "rome") not in watcher.events
    assert drifted == done.state.accounts["paris"]


@pytest.mark.parametrize("failed", [REFUSED, PROCESSED])
def test_reading_continues_after_an_error_that_may_concern_one_account(failed: Failed) -> None:
    done = refreshed(state(paris=PLAIN, rome=active("rome")), {"paris": failed})
    assert [Result.UNCHECKED, Result.UNCHANGED] == [each.result for each in done.report.outcomes]
    assert done.report.stop is None
    assert ExitCode.SOME_FAILED is exit_code([done.report])
    assert {"paris": {}, "rome": {}} == done.found


# ── Drift in a state that may be newer ───────────────────────────────────────

CHANGED: Final = Drift(changed=("last_name",))
TEXAS: Final = observed(attributes("paris"), last_name="Texas")


def test_the_drift_that_was_found_is_in_the_next_state() -> None:
    before = state(athens=Unknown(attributes("athens"), OPERATION, "lost"), paris=PLAIN, rome=active("rome"))
    done = refreshed(before, {"paris": TEXAS, "rome": MISSING})
    after = executor.with_drift(done, before)
    drift = {"paris": replace(PLAIN, drift=CHANGED), "rome": replace(active("rome"), drift=GONE)}
    assert replace(before, serial=8, accounts={**before.accounts, **drift}) == after
    assert after is executor.with_drift(done, after)


def test_where_nothing_is_new_the_state_is_the_same() -> None:
    before = state(paris=replace(PLAIN, drift=CHANGED), rome=active("rome"))
    assert before is executor.with_drift(refreshed(before, {"paris": TEXAS}), before)
    nothing = state()
    assert nothing is executor.with_drift(refreshed(nothing, {}), nothing)


def test_drift_that_was_healed_is_taken_back() -> None:
    before = state(paris=replace(PLAIN, drift=CHANGED))
    assert state(paris=PLAIN).accounts == executor.with_drift(refreshed(before, {}), before).accounts


EDITED: Final = replace(PLAIN, edit=edit("paris", attributes("rome")))


@pytest.mark.parametrize(
    "now",
    [
        replace(PLAIN, operation=Operation("a later one", "2026-01-03T00:00:00Z", "me@here")),
        EDITED,
        Unknown(attributes("paris"), OPERATION, "lost"),
        None,
    ],
    ids=["changed", "begun", "unknown", "forgotten"],
)
def test_an_account_that_is_no_longer_what_was_read_stays_as_it_is(now: Record | None) -> None:
    done = refreshed(state(paris=PLAIN, rome=active("rome")), {"paris": TEXAS, "rome": MISSING})
    newer = replace(state(**({} if now is None else {"paris": now}), rome=active("rome")), serial=12)
    after = executor.with_drift(done, newer)
    gone = {"rome": replace(active("rome"), drift=GONE)}
    assert replace(newer, serial=13, accounts={**newer.accounts, **gone}) == after
    alone = state(**({} if now is None else {"paris": now}))
    assert alone is executor.with_drift(done, alone)


def test_the_rest_of_a_newer_state_stays_and_so_does_newly_sealed_content() -> None:
    done = refreshed(state(paris=PLAIN), {"paris": TEXAS})
    again = replace(PLAIN, sealed=SEALER.seal(content("paris")))
    newer = replace(state(oslo=active("oslo"), paris=again), serial=12, recipients=("age1other",))
    after = executor.with_drift(done, newer)
    assert replace(newer, serial=13, accounts={**newer.accounts, "paris": replace(again, drift=CHANGED)}) == after


@pytest.mark.parametrize("failed", [PROCESSED, REJECTED])
def test_drift_that_was_noted_meanwhile_is_not_undone_where_nothing_was_seen(failed: Failed) -> None:
    done = refreshed(state(paris=PLAIN, rome=active("rome")), {"paris": failed})
    newer = state(paris=replace(PLAIN, drift=CHANGED), rome=replace(active("rome"), drift=CHANGED))
    after = executor.with_drift(done, newer)
    assert newer.accounts["paris"] == after.accounts["paris"]
    assert (Drift() if failed is PROCESSED else CHANGED) == cast("Active", after.accounts["rome"]).drift


# ── What the report of an apply says of the refresh before it ────────────────


def test_what_could_not_be_checked_stands_in_the_report_of_the_apply() -> None:
    before = state(oslo=active("oslo"), paris=PLAIN, rome=active("rome"))
    partly = Observed({"first_name": "Paname"})
    done = refreshed(before, {"oslo": MISSING, "paris": PROCESSED, "rome": partly})
    made = plan(manifest("paris"), before, limit=20, reserved=0)
    applied = Report("default", (Outcome("paris", "unchanged", Result.UNCHANGED),))
    _, paris, rome = done.report.outcomes
    # What drifted and was not seen whole is unchecked; what differs of it was for the plan to show.
    more = (paris, replace(rome, result=Result.UNCHECKED, fields=()))
    assert replace(applied, outcomes=(*applied.outcomes, *more)) == executor.with_refresh_outcomes(done, made, applied)


@pytest.mark.parametrize(("result", "checked"), [(Result.UPDATED, True), (Result.FAILED, False)])
@pytest.mark.parametrize("name", ["paris", "lyon"])
def test_an_edit_that_this_run_finished_was_checked_by_reading_it_back(
    result: Result, name: str, *, checked: bool
) -> None:
    before = state(paris=EDITED)
    done = refreshed(before, {})
    account = desired("paris") if name == "paris" else desired("lyon", attributes("paris"), previously="paris")
    made = plan(manifest(account), before, limit=20, reserved=0)
    applied = Report("default", (Outcome(name, "update", result),))
    told = executor.with_refresh_outcomes(done, made, applied).outcomes[1:]
    assert (() if checked else (Outcome("paris", "refresh", Result.UNCHECKED, UNFINISHED),)) == told


def test_an_unexpected_kind_of_reading_is_an_internal_error() -> None:
    with pytest.raises(AssertionError):
        one(PLAIN, cast("Reading", "what is this?"))


# ── Credentials ──────────────────────────────────────────────────────────────


def verified(this: State, readings: Mapping[str, Reading], *, opener: AgeOpener = OPENER, **more: Any) -> Report:  # noqa: ANN401  # a watcher
    api = Octopush(more["watcher"].events if more else None)
    api.readings = readings
    return executor.verify(this, sorted(this.accounts), opener, api, more.get("watcher", Watcher()))


def test_a_login_that_two_accounts_have_is_named_with_both() -> None:
    twin = active("rome", kept=content("rome", credentials=credentials("paris")))
    damaged = replace(active("oslo"), sealed=PLAIN.sealed)
    reasons = executor.shared_logins(
        state(lima=active("lima"), oslo=damaged, paris=PLAIN, rome=twin, zara=active("zara")), OPENER
    )
    assert {"paris": "it has the same login as rome", "rome": "it has the same login as paris"} == reasons


def test_the_sealed_password_of_an_unfinished_edit_is_verified_too() -> None:
    foreign = edit("rome", attributes("rome"), "begun")
    moved = replace(PLAIN, edit=foreign)
    (outcome,) = verified(state(paris=moved), {}).outcomes
    assert Result.FAILED is outcome.result
    assert str(outcome.reason).startswith(
        "in its unfinished edit: The sealed content of paris was sealed for default/rome"
    )
    # What is wrong with the record itself comes first.
    (outcome,) = verified(state(paris=replace(moved, sealed=foreign.sealed)), {}).outcomes
    assert str(outcome.reason).startswith("The sealed content of paris was sealed for default/rome")


def test_credentials_that_octopush_has_too_are_verified() -> None:
    watcher = Watcher()
    report = verified(state(paris=PLAIN), {}, watcher=watcher)
    assert Report("default", (Outcome("paris", "verify", Result.VERIFIED),)) == report
    assert [("started", "paris"), ("read", "paris"), ("verified", "paris")] == watcher.events
    assert ExitCode.DONE is exit_code([report])


@pytest.mark.parametrize(
    ("reading", "result", "reason"),
    [
        (observed(attributes("paris")), Result.UNCHECKED, "the answer contains no key"),
        (
            observed(attributes("paris"), "another"),
            Result.FAILED,
            OTHER_KEY,
        ),
        (MISSING, Result.FAILED, MISSING.reason),
        (REFUSED, Result.UNCHECKED, REFUSED.reason),
        (PROCESSED, Result.UNCHECKED, PROCESSED.reason),
    ],
)
def test_what_octopush_says_of_credentials_decides(reading: Reading, result: Result, reason: str) -> None:
    report = verified(state(paris=PLAIN, rome=active("rome")), {"paris": reading})
    advice = Advice(Remedy.ADOPT_KEY, "paris") if reason == OTHER_KEY else None
    assert (
        Outcome("paris", "verify", result, reason, advice=advice),
        Outcome("rome", "verify", Result.VERIFIED),
    ) == report.outcomes
    assert report.stop is None
    assert ExitCode.SOME_FAILED is exit_code([report])


def test_where_more_would_come_to_nothing_no_more_credentials_are_asked_for() -> None:
    report = verified(state(paris=PLAIN, rome=active("rome")), {"paris": REJECTED})
    assert (
        Outcome("paris", "verify", Result.UNCHECKED, REJECTED.reason),
        Outcome("rome", "verify", Result.UNCHECKED, f"not checked, because {REJECTED.reason}"),
    ) == report.outcomes
    assert ExitCode.SETTING_INVALID is exit_code([report])


def rome(**changes: Any) -> Active:  # noqa: ANN401
    return active("rome", kept=content("rome", **changes))


RESTORE: Final = "; restore the state from version control"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (rome(credentials=None), f"The sealed content of rome contains no credentials{RESTORE}"),
        (
            rome(operation="another"),
            (
                "The sealed content of rome is from another operation than its record:"
                f" somebody put back an older one, or replaced it{RESTORE}"
            ),
        ),
        (
            active("rome", kept=content("oslo")),
            f"The sealed content of rome was sealed for default/oslo of lineage lineage{RESTORE}",
        ),
    ],
)
def test_a_seal_that_is_not_that_of_its_record_fails_and_is_not_asked_for(record: Record, reason: str) -> None:
    watcher = Watcher()
    report = verified(state(paris=PLAIN, rome=record), {}, watcher=watcher)
    assert (
        Outcome("paris", "verify", Result.VERIFIED),
        Outcome("rome", "verify", Result.FAILED, reason),
    ) == report.outcomes
    assert ("read", "rome") not in watcher.events
    assert ("failed", "rome") in watcher.events


def test_accounts_with_the_same_login_are_reported_with_each_other() -> None:
    same = replace(credentials("rome"), api_login="PARIS@sub-accounts.com")
    this = state(athens=active("athens"), lost=rome(credentials=None), paris=PLAIN, rome=rome(credentials=same))
    this = replace(this, accounts={**this.accounts, "lost": active("lost", kept=content("lost", credentials=None))})
    report = verified(this, {})
    assert {
        "athens": None,
        "lost": f"The sealed content of lost contains no credentials{RESTORE}",
        "paris": "it has the same login as rome",
        "rome": "it has the same login as paris",
    } == {each.name: each.reason for each in report.outcomes}


def test_what_a_replaced_seal_says_of_logins_is_not_believed() -> None:
    report = verified(state(paris=PLAIN, rome=rome(credentials=credentials("paris"), operation="another")), {})
    assert [None, "The sealed content of rome is from another operation than its record"] == [
        each.reason and each.reason.partition(":")[0] for each in report.outcomes
    ]


def test_what_an_identity_does_not_open_fails_and_an_identity_that_opens_nothing_is_rejected() -> None:
    other, recipient = new_identity()
    foreign = replace(PLAIN, sealed=AgeSealer([recipient]).seal(content("paris")))
    this = state(paris=foreign, rome=active("rome"))
    report = verified(this, {})
    assert [Result.FAILED, Result.VERIFIED] == [each.result for each in report.outcomes]
    assert "The sealed content of paris is damaged, or sealed to others" in str(report.outcomes[0].reason)
    third, _ = new_identity()
    with pytest.raises(IdentityRejected):
        verified(this, {}, opener=AgeOpener(parse_identities(third, "the test")))
    both = AgeOpener([*parse_identities(IDENTITY, "the test"), *parse_identities(other, "the test")])
    assert ExitCode.DONE is exit_code([verified(this, {}, opener=both)])
    assert RECIPIENT != recipient


def test_an_unexpected_kind_of_credentials_reading_is_an_internal_error() -> None:
    with pytest.raises(AssertionError):
        verified(state(paris=PLAIN), {"paris": cast("Reading", "what is this?")})


# ── Balances ─────────────────────────────────────────────────────────────────


def test_every_account_asks_for_its_balance_with_its_own_credentials() -> None:
    watcher = Watcher()
    api = Octopush(watcher.events)
    api.balances = {"paris": Balance(12.5, "euros"), "rome": REFUSED}
    this = state(rome=active("rome"), paris=PLAIN)
    assert {"paris": Balance(12.5, "euros"), "rome": REFUSED} == executor.balances(this, OPENER, api, watcher)
    assert [
        ("started", "paris"),
        ("balance", "paris@sub-accounts.com"),
        ("verified", "paris"),
        ("started", "rome"),
        ("balance", "rome@sub-accounts.com"),
        ("unchecked", "rome"),
    ] == watcher.events


@pytest.mark.parametrize("failed", [UNREACHED, SILENT])
def test_where_nobody_answers_no_more_balances_are_asked_for(failed: Failed) -> None:
    watcher = Watcher()
    api = Octopush(watcher.events)
    api.balances = {"paris": failed}
    asked = executor.balances(state(paris=PLAIN, rome=active("rome")), OPENER, api, watcher)
    assert {"paris": failed, "rome": Failed(f"not checked, because {failed.reason}", Then.STOP)} == asked
    assert [
        ("started", "paris"),
        ("balance", "paris@sub-accounts.com"),
        ("unchecked", "paris"),
        ("unchecked", "rome"),
    ] == watcher.events


@pytest.mark.parametrize("failed", [REJECTED, PROCESSED])
def test_a_balance_of_one_account_stops_no_other(failed: Failed) -> None:
    api = Octopush()
    api.balances = {"paris": failed, "rome": Balance(1, "euros")}
    this = state(paris=PLAIN, rome=active("rome"))
    assert {"paris": failed, "rome": Balance(1, "euros")} == executor.balances(this, OPENER, api, Watcher())


def test_what_holds_no_credentials_was_replaced_and_stops_no_other() -> None:
    this = state(paris=PLAIN, rome=rome(credentials=None, password=Secret("s3cret")))
    api = Octopush()
    api.balances = {"paris": Balance(1, "euros")}
    reason = f"The sealed content of rome contains no credentials{RESTORE}"
    assert {"paris": Balance(1, "euros"), "rome": Failed(reason, Then.GO_ON)} == executor.balances(
        this, OPENER, api, Watcher()
    )
    assert (
        Outcome("paris", "refresh", Result.UNCHANGED),
        Outcome("rome", "refresh", Result.UNCHECKED, reason),
    ) == refreshed(this, {}).report.outcomes
