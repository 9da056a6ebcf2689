"""Adoption: one login belongs to one name, and what is not as the manifest wants it is changed by the next apply."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from provisioner import executor
from provisioner.errors import Advice, ExitCode, IdentityRejected, Refused, Remedy, StateConflict
from provisioner.executor import Adopted
from provisioner.model.account import FIELDS, MASK, Attributes, Callbacks, Origin, Problem, Secret, fits
from provisioner.model.exchange import Failed, Observed, Reading
from provisioner.model.plan import FieldChange, Unchanged
from provisioner.model.report import Outcome, Report, Result, Scope, Stop, exit_code
from provisioner.model.state import Abandoned, Active, Drift, Operation, Pending, Record, State, Unknown
from provisioner.model.verdict import Answer, SealedContent, Then
from provisioner.state.sealing import AgeSealer, new_identity
from tests.executor.examples import (
    EMPTY,
    MISSING,
    NOW,
    OPENER,
    OPERATION,
    PROCESSED,
    SEALER,
    UNREACHED,
    active,
    attributes,
    content,
    credentials,
    desired,
    observed,
    opened,
    results,
    state,
)
from tests.executor.watched import Failure, Octopush, Run, Watcher

LOGIN: Final = "paris@sub-accounts.com"
WANTED: Final = Attributes("Paris", "Crash", None, Callbacks("https://hooks.example.com/${env:TOKEN}"))
SENT: Final = replace(WANTED, callbacks=Callbacks("https://hooks.example.com/s3cret"))
HOOK: Final = "callbacks.callback_url_for_deliveries"
PARIS: Final = desired("paris", WANTED, password_version=2)
FOUND: Final = observed(SENT, "key of paris")
KEY: Final = Failed("not accepted (HTTP 401)", Then.STOP, None, ExitCode.SETTING_INVALID, "Check the key.")


def plain(_: str, found: Attributes) -> Attributes:
    """Accept every value for a manifest, unchanged."""
    return found


def adopt(  # noqa: PLR0913  # those of the function that is tested
    run: Run,
    *rows: str | tuple[str, str],
    wanted: tuple[Any, ...] = (),
    alone: bool = False,
    different: bool = False,
    opener: executor.Opener = OPENER,
    writable: Any = plain,  # noqa: ANN401
) -> Adopted:
    """Adopt accounts; if no login is given, it begins with the account's name."""
    return executor.adopt(
        [(each, f"{each}@sub-accounts.com") if isinstance(each, str) else each for each in rows],
        run.state,
        {each.name: each for each in wanted},
        run.ports(),
        opener,
        alone=alone,
        different=different,
        fits=fits,
        writable=writable,
    )


def of_paris(reading: Observed = FOUND, before: State = EMPTY, *, different: bool = False) -> tuple[State, Outcome]:
    """Adopt paris, as a manifest wants it; return the state that follows and the outcome."""
    run = Run(before, readings={"paris": reading})
    done = adopt(run, "paris", wanted=(PARIS,), different=different)
    (outcome,) = done.report.outcomes
    assert {**done.state.accounts} == run.records
    return done.state, outcome


def only(this: State) -> Active:
    record = this.accounts["paris"]
    assert isinstance(record, Active)
    return record


def refreshed(this: State, reading: Observed) -> tuple[Result, Drift]:
    api = Octopush()
    api.readings = {"paris": reading}
    done = executor.refresh(this, OPENER, api, Watcher())
    return done.report.outcomes[0].result, only(done.state).drift


# ── Whether it may be ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "record",
    [
        Pending(attributes("paris"), OPERATION),
        Unknown(attributes("paris"), OPERATION, "lost"),
        Abandoned(attributes("paris"), OPERATION, "lost"),
        None,
    ],
)
def test_what_is_not_active_may_be_given_a_login(record: Record | None) -> None:
    before = state(rome=active("rome"), **({} if record is None else {"paris": record}))
    after, outcome = of_paris(before=before)
    assert (Result.ADOPTED, credentials("paris")) == (outcome.result, opened("paris", only(after)).credentials)
    assert before.accounts["rome"] == after.accounts["rome"]


@pytest.mark.parametrize("login", [LOGIN, LOGIN.upper()])
def test_an_account_that_has_the_login_already_is_not_adopted_twice(login: str) -> None:
    run = Run(state(paris=active("paris")))
    done = adopt(run, ("paris", login), wanted=(PARIS,))
    assert (Outcome("paris", "adopt", Result.UNCHANGED),) == done.report.outcomes
    assert [("unchanged", "paris")] == run.events
    assert (run.state, {}, ()) == (done.state, done.unwritten, done.without_password)


@pytest.mark.parametrize("name", ["lyon", "rome"])
@pytest.mark.parametrize("login", [LOGIN, LOGIN.upper()])
def test_the_login_of_another_account_is_refused(login: str, name: str) -> None:
    run = Run(state(paris=active("paris")))
    with pytest.raises(Refused) as caught:
        adopt(run, (name, login), alone=True)
    assert f"The login {login} already belongs to paris." == caught.value.message
    assert "previously: paris" in caught.value.hint
    assert [] == run.events


@pytest.mark.parametrize("login", ["new@x", "second@x"])  # one sorts before that of paris, one after
def test_an_account_that_has_another_login_is_refused(login: str) -> None:
    run = Run(state(paris=active("paris")))
    with pytest.raises(Refused) as caught:
        adopt(run, ("paris", login), alone=True)
    assert "paris is active and already has another login." == caught.value.message
    assert "Nothing was changed" in caught.value.hint
    assert Advice(Remedy.FORGET_FIRST, "paris") == caught.value.advice
    assert [] == run.events


def test_the_new_name_of_an_account_that_the_state_has_is_refused() -> None:
    run = Run(state(paris=active("paris")))
    with pytest.raises(Refused) as caught:
        adopt(run, "lyon", wanted=(desired("lyon", previously="paris"),), alone=True)
    assert "The manifest says that lyon was previously paris, which is in the state." == caught.value.message
    assert "adopt it as paris" in caught.value.hint
    assert [] == run.events


def test_a_refused_row_does_not_stop_the_others() -> None:
    run = Run(state(paris=active("paris")))
    done = adopt(run, ("lyon", LOGIN), ("paris", "new@x"), "rome")
    assert (
        Outcome("lyon", "adopt", Result.FAILED, f"The login {LOGIN} already belongs to paris"),
        Outcome("paris", "adopt", Result.FAILED, "paris is active and already has another login"),
    ) == done.report.outcomes[:2]
    assert {"lyon": "failed", "paris": "failed", "rome": "adopted"} == results(done.report)


def test_a_login_that_was_adopted_a_moment_ago_is_known() -> None:
    done = adopt(Run(), "paris", ("lyon", LOGIN), "paris")
    assert ["adopted", "failed", "unchanged"] == [each.result.value for each in done.report.outcomes]


# ── What follows ─────────────────────────────────────────────────────────────


def test_an_account_that_is_as_it_is_wanted_is_active_with_nothing_to_do() -> None:
    after, outcome = of_paris(before=state())
    record = only(after)
    operation = Operation("operation 1", NOW, "me@here")
    reason = f"as in the manifest: first_name, last_name, {HOOK}"
    assert Outcome("paris", "adopt", Result.ADOPTED, reason) == outcome
    assert replace(state(paris=record), serial=8) == after
    assert Active(WANTED, operation, NOW, record.sealed, password_version=2) == record
    assert SealedContent(
        "lineage", "default", "paris", "operation 1", credentials=credentials("paris"), sent=SENT
    ) == opened("paris", record)
    assert (Result.UNCHANGED, Drift()) == refreshed(after, FOUND)


def test_what_differs_is_drift_for_every_refresh_and_the_next_apply_changes_it() -> None:
    there = Attributes("Paname", "Crash", "Somebody", Callbacks("https://other.example/"))
    differ = ("first_name", "company_name", HOOK)
    after, outcome = of_paris(observed(there, "key of paris"), different=True)
    assert (
        FieldChange("first_name", "Paris", "Paname"),
        FieldChange("company_name", None, "Somebody"),
        # If the field has a placeholder, the found value may contain part of the placeholder's value.
        FieldChange(HOOK, "https://hooks.example.com/${env:TOKEN}", MASK),
    ) == outcome.fields
    assert f"as in the manifest: last_name; the next apply changes {', '.join(differ)}" == outcome.reason
    assert Drift(changed=differ) == only(after).drift
    result, drift = refreshed(after, observed(there))
    assert (Result.DRIFTED, sorted(differ)) == (result, sorted(drift.changed))

    run = Run(after, (PARIS,), environ={"TOKEN": "s3cret"})
    assert {"paris": "updated"} == results(run.apply())
    assert [SENT] == [request.attributes for _, request in run.api.edited]
    assert SENT == opened("paris", run.records["paris"]).sent
    again = run.next()
    assert isinstance(again.plan().changes[0], Unchanged)
    assert again.session.state is not None
    assert (Result.UNCHANGED, Drift()) == refreshed(again.session.state, observed(SENT))


def test_what_was_kept_of_an_unknown_outcome_brings_its_password() -> None:
    kept = SealedContent("lineage", "default", "paris", OPERATION.id, password=Secret("sent"))
    run = Run(state(paris=Unknown(attributes("paris"), OPERATION, "lost", SEALER.seal(kept))))
    done = adopt(run, "paris", wanted=(desired("paris"),))
    after = opened("paris", only(done.state))
    # This identifies its outcome if it is found in a log later.
    assert OPERATION.id == only(done.state).first_operation
    assert (Secret("sent"), "operation 1", credentials("paris")) == (after.password, after.operation, after.credentials)
    assert () == done.without_password


# ── The right account ────────────────────────────────────────────────────────

SOMEBODY: Final = observed(Attributes("Ada", "Crash", "Énigme"), "key of ada")


def lost(name: str = "paris", sent: Attributes | None = None) -> Unknown:
    """Return the record of an account whose outcome is unknown, and whose password was sent."""
    kept = SealedContent("lineage", "default", name, OPERATION.id, password=Secret("sent"), sent=sent)
    return Unknown(attributes(name), OPERATION, "lost", SEALER.seal(kept))


@pytest.mark.parametrize(
    ("before", "wanted", "whose"),
    [
        (state(paris=lost()), (), "sent for paris"),
        (state(paris=lost()), (PARIS,), "sent for paris"),
        (EMPTY, (desired("paris"),), "in the manifest for paris"),
        (EMPTY, (desired("lutece", attributes("paris"), previously="paris"),), "in the manifest for paris"),
    ],
)
def test_a_login_that_is_somebody_else_is_refused_with_both_side_by_side(
    before: State, wanted: tuple[Any, ...], whose: str
) -> None:
    run = Run(before, readings={"paris": SOMEBODY})
    with pytest.raises(Refused) as caught:
        adopt(run, "paris", wanted=wanted, alone=True)
    assert (
        f"The names of {LOGIN} are not those {whose}:\n"
        f'first_name: "Paris" {whose}, "Ada" at Octopush\n'
        f'company_name: nothing {whose}, "Énigme" at Octopush'
    ) == caught.value.message
    assert "--different" in caught.value.hint
    (outcome,) = adopt(run, "paris", wanted=wanted).report.outcomes
    assert (Result.FAILED, f"its names are not those {whose}; --different adopts it anyway") == (
        outcome.result,
        outcome.reason,
    )
    assert (FieldChange("first_name", "Paris", "Ada"), FieldChange("company_name", None, "Énigme")) == outcome.fields
    assert {**before.accounts} == run.records


def test_a_name_that_a_placeholder_brought_is_not_shown_whoever_has_it() -> None:
    written = Attributes("${env:FIRST}", "Crash")
    record = replace(lost(sent=Attributes("Secret", "Crash")), attributes=written)
    run = Run(state(paris=record), readings={"paris": observed(Attributes("Ada", "Crash"), "key of ada")})
    (outcome,) = adopt(run, "paris").report.outcomes
    assert (FieldChange("first_name", "${env:FIRST}", MASK),) == outcome.fields


@pytest.mark.parametrize(
    ("sent", "found", "fits"),
    [
        (None, SOMEBODY, False),
        (SENT, FOUND, True),
        (None, FOUND, True),
        (None, observed(attributes("paris"), "k", callbacks__email_for_inbounds="other@example.com"), False),
        (None, Observed({"first_name": "Paris", "last_name": "Crash"}, Secret("k")), True),
        (None, Observed({"first_name": "Paris"}, Secret("k")), False),
    ],
)
def test_a_password_goes_with_nothing_but_what_was_sent_with_it(
    sent: Attributes | None, found: Observed, *, fits: bool
) -> None:
    run = Run(state(paris=replace(lost(sent=sent), attributes=WANTED if found is FOUND else attributes("paris"))))
    run.api.readings = {"paris": found}
    done = adopt(run, "paris", different=True)
    assert (Secret("sent") if fits else None) == opened("paris", only(done.state)).password
    assert (() if fits else ("paris",)) == done.without_password
    (outcome,) = done.report.outcomes
    assert fits is ("the password that was sent is discarded" not in (outcome.reason or ""))


@pytest.mark.parametrize("other", ["other", "second"])  # one sorts before paris, one after
@pytest.mark.parametrize("kind", ["an answer", "credentials"])
def test_a_login_that_is_not_the_one_which_octopush_answered_is_not_adopted(kind: str, other: str) -> None:
    answer = Answer(500, json.dumps({"api_login": f"{other}@sub-accounts.com", "api_key": "k"}).encode())
    kept = SealedContent("lineage", "default", "paris", OPERATION.id, Secret("sent"), sent=attributes("paris"))
    brought = {"answer": answer} if kind == "an answer" else {"credentials": credentials(other)}
    record = replace(lost(), sealed=SEALER.seal(replace(kept, **brought)))  # type: ignore[arg-type]  # one of the two
    run = Run(state(paris=record), readings={"paris": observed(attributes("paris"), "k")})
    with pytest.raises(Refused, match=f"login in the saved answer for paris is not {LOGIN}"):
        adopt(run, "paris", alone=True)
    # A person may insist, but there is no password: the stored one was sent for the other account.
    assert ("paris",) == adopt(run, "paris", different=True).without_password


@pytest.mark.parametrize("found", [Attributes("PARIS", " crash"), Attributes("Pâris!", "Crash", "")])
def test_what_octopush_makes_of_a_name_is_no_other_account(found: Attributes) -> None:
    run = Run(state(paris=lost()), readings={"paris": observed(found, "key of paris")})
    # It may be the same account, but a wrong password is worse than one that must be set.
    assert ("paris",) == adopt(run, "paris", wanted=(PARIS,)).without_password
    assert isinstance(run.records["paris"], Active)


def test_a_missing_password_is_reported() -> None:
    bare = SealedContent("lineage", "default", "rome", OPERATION.id)
    run = Run(state(rome=Unknown(attributes("rome"), OPERATION, "lost", SEALER.seal(bare))))
    assert ("paris", "rome") == adopt(run, "paris", "rome").without_password


def test_each_is_in_the_state_before_the_next_is_asked_for() -> None:
    run = Run()
    adopt(run, "paris", "rome")
    assert [
        ("started", "paris"),
        ("read", "paris"),
        ("sealed credentials", "paris"),
        {"paris": "active"},
        ("adopted", "paris"),
        ("started", "rome"),
        ("read", "rome"),
        ("sealed credentials", "rome"),
        {"paris": "active", "rome": "active"},
        ("adopted", "rome"),
    ] == run.events


def test_fields_missing_from_the_answer_are_reported() -> None:
    run = Run(readings={"paris": Observed({"first_name": "Paris", "last_name": "Crash"}, Secret("key of paris"))})
    (outcome,) = adopt(run, "paris").report.outcomes
    assert f"it was in no manifest; the answer does not contain {', '.join(FIELDS[2:])}" == outcome.reason


def test_without_a_key_nothing_is_kept() -> None:
    run = Run(readings={"paris": observed(attributes("paris"))})
    assert (Outcome("paris", "adopt", Result.FAILED, "the answer contains no key"),) == (
        adopt(run, "paris", alone=True).report.outcomes
    )
    assert {} == run.records


# ── Unmanaged accounts ─────────────────────────────────────────────────────────


def written(name: str, found: Attributes) -> Attributes:
    """Return an account's fields for a manifest, with placeholders for secrets."""
    return replace(found, last_name=f"${{env:{name.upper()}}}")


def test_what_no_manifest_names_is_to_be_written_into_one() -> None:
    done = adopt(Run(), "paris", "rome", wanted=(desired("rome"),), writable=written)
    wanted = Attributes("Paris", "${env:PARIS}")
    assert {"paris": wanted} == done.unwritten
    assert wanted == only(done.state).attributes
    assert attributes("paris") == opened("paris", only(done.state)).sent
    assert Outcome("paris", "adopt", Result.ADOPTED, "it was in no manifest") == done.report.outcomes[0]
    assert (Drift(), 1) == (only(done.state).drift, only(done.state).password_version)


@pytest.mark.parametrize("alone", [False, True])
def test_what_a_run_that_died_has_not_written_is_to_be_written(*, alone: bool) -> None:
    run = Run(state(paris=active("paris"), rome=active("rome")))
    wanted = (desired("rome"),)
    assert {"paris": attributes("paris")} == adopt(run, "paris", wanted=wanted, alone=alone).unwritten
    assert {} == adopt(run, "rome", wanted=wanted, alone=alone).unwritten


def test_what_cannot_stand_in_a_manifest_is_not_adopted() -> None:
    problem = Problem(Origin("paris"), "accounts[0].first_name", "The first name is empty.", "Write one.")
    run = Run()
    done = adopt(run, "paris", "rome", writable=lambda name, found: problem if name == "paris" else found)
    reason = (
        "a manifest cannot contain its present values: The first name is empty;"
        " write it into a manifest with the right values, then adopt it"
    )
    assert Outcome("paris", "adopt", Result.FAILED, reason) == done.report.outcomes[0]
    assert ({"rome"}, {"rome"}) == (run.records.keys(), done.unwritten.keys())


def test_under_its_name_of_before_it_is_the_account_that_a_manifest_has_under_its_new_one() -> None:
    lyon = desired("lyon", attributes("paris"), previously="paris", password_version=3)
    done = adopt(Run(), "paris", wanted=(lyon,))
    assert ({}, 3) == (done.unwritten, only(done.state).password_version)
    assert "as in the manifest: first_name, last_name" == done.report.outcomes[0].reason
    known = adopt(Run(done.state), "paris", wanted=(lyon,))
    assert ({}, {"paris": "unchanged"}) == (known.unwritten, results(known.report))


# ── A key that Octopush has changed ──────────────────────────────────────────


def test_the_only_account_that_is_known_is_asked_for_and_its_new_key_is_kept() -> None:
    before = active("paris", drift=Drift(changed=("last_name",)))
    run = Run(state(paris=before), readings={"paris": observed(attributes("paris"), "another key")})
    done = adopt(run, ("paris", LOGIN.upper()), alone=True)
    reason = "Octopush has issued a new key; it now replaces the old one in the state"
    assert (Outcome("paris", "adopt", Result.ADOPTED, reason),) == done.report.outcomes
    record = only(done.state)
    operation = Operation("operation 1", NOW, "me@here")
    first = {"first_operation": OPERATION.id}
    assert replace(before, operation=operation, sealed=record.sealed, **first) == record
    renewed = replace(credentials("paris"), api_key=Secret("another key"))
    assert content("paris", operation="operation 1", credentials=renewed) == opened("paris", record)
    assert () == done.without_password
    assert {**done.state.accounts} == run.records


def test_a_key_that_is_the_same_changes_nothing() -> None:
    run = Run(state(paris=active("paris")))
    assert {"paris": "unchanged"} == results(adopt(run, "paris", alone=True).report)
    assert [("started", "paris"), ("read", "paris"), ("unchanged", "paris")] == run.events


# ── What stops it ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("failed", [KEY, UNREACHED])
def test_no_more_accounts_are_read_after_an_error_that_concerns_all(failed: Failed) -> None:
    run = Run(readings={"paris": failed})
    report = adopt(run, "paris", "rome").report
    stop = Stop(failed.exit_code, failed.reason, failed.hint)
    outcomes = (
        Outcome("paris", "adopt", Result.FAILED, failed.reason),
        Outcome("rome", "adopt", Result.NOT_ATTEMPTED, failed.reason),
    )
    assert Report("default", outcomes, stop) == report
    assert ("read", "rome") not in run.events


@pytest.mark.parametrize("reading", [MISSING, PROCESSED])
def test_reading_continues_after_an_error_that_may_concern_one_account(reading: Reading) -> None:
    report = adopt(Run(readings={"paris": reading}), "paris", "rome").report
    assert ({"paris": "failed", "rome": "adopted"}, None) == (results(report), report.stop)


def test_a_signal_ends_it_between_two() -> None:
    run = Run()
    run.heard = ExitCode.TERMINATED
    done = adopt(run, "paris", alone=True)
    assert (Outcome("paris", "adopt", Result.NOT_ATTEMPTED, "the run was interrupted"),) == done.report.outcomes
    stop = Stop(ExitCode.TERMINATED, "the run was interrupted", "Run it again to go on.", Scope.RUN)
    assert stop == done.report.stop
    assert [("not_attempted", "paris")] == run.events


def test_a_signal_during_a_wait_ends_it_with_its_own_code() -> None:
    cut = Failed("the run was interrupted before it was sent", Then.STOP)
    run = Run(readings={"paris": cut})
    run.api.on_read = lambda name: setattr(run, "heard", ExitCode.INTERRUPTED if name == "paris" else None)
    report = adopt(run, "paris", "rome").report
    assert Stop(ExitCode.INTERRUPTED, cut.reason, scope=Scope.RUN) == report.stop
    assert {"paris": "failed", "rome": "not_attempted"} == results(report)
    assert ExitCode.INTERRUPTED is exit_code([report])


@pytest.mark.parametrize("known", [False, True])
def test_where_it_cannot_be_saved_nothing_is_adopted_any_more(*, known: bool) -> None:
    before = state(paris=active("paris")) if known else EMPTY
    run = Run(before, readings={"paris": observed(attributes("paris"), "new")}, failures={1: Failure()})
    done = adopt(run, "paris", "rome", alone=True)
    assert (
        Outcome("paris", "adopt", Result.FAILED, "the state could not be saved"),
        Outcome("rome", "adopt", Result.NOT_ATTEMPTED, "The state could not be saved: full"),
    ) == done.report.outcomes
    assert Stop(ExitCode.STATE_UNUSABLE, "The state could not be saved: full", "Make room.") == done.report.stop
    # It can be adopted again: everything that was read can be read once more.
    assert () == run.rescued
    assert (before, known) == (done.state, "paris" in done.unwritten)
    assert () == done.without_password


# ── What does not open ───────────────────────────────────────────────────────

_, STRANGER = new_identity()


def test_where_the_identity_does_not_open_what_is_sealed_nothing_is_asked_for() -> None:
    foreign = AgeSealer([STRANGER]).seal(content("rome"))
    run = Run(replace(state(rome=replace(active("rome"), sealed=foreign)), recipients=(STRANGER,)))
    with pytest.raises(IdentityRejected):
        adopt(run, "paris")
    forged = Run(state(rome=active("rome", kept=content("rome", credentials=None))))
    with pytest.raises(StateConflict, match="contains no credentials"):
        adopt(forged, "paris")
    assert ([], []) == (run.events, forged.events)


@pytest.mark.parametrize("alone", [False, True])
def test_what_does_not_open_of_an_unknown_is_its_own_trouble(*, alone: bool) -> None:
    sealed = AgeSealer([STRANGER]).seal(SealedContent("lineage", "default", "paris", OPERATION.id))
    unknown = Unknown(attributes("paris"), OPERATION, "lost", sealed)
    run = Run(replace(state(paris=unknown), recipients=(STRANGER,)))
    if alone:
        with pytest.raises(IdentityRejected):
            adopt(run, "paris", alone=True)
    else:
        report = adopt(run, "paris", "rome").report
        assert {"paris": "failed", "rome": "adopted"} == results(report)
        assert "does not open the sealed record of paris" in str(report.outcomes[0].reason)
    assert ("read", "paris") not in run.events


def test_an_unexpected_kind_of_reading_is_an_internal_error() -> None:
    with pytest.raises(AssertionError):
        adopt(Run(readings={"paris": cast("Reading", "what is this?")}), "paris")
