"""What settles an unknown: intents of a dead run, and what a person decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from provisioner import executor
from provisioner.errors import Advice, CommandInvalid, Remedy, StateConflict, StateNotSaved
from provisioner.executor.decide import FAILED_AFTER
from provisioner.model.exchange import Failed, Observed, Reading
from provisioner.model.state import Abandoned, Drift, Pending, Record, State, Unknown
from provisioner.model.verdict import Then
from tests.executor.examples import MISSING, OPERATION, PROCESSED, THREE, UNREACHED, active, attributes, edit, observed
from tests.executor.examples import state as known
from tests.executor.watched import Failure, Run

SEALED: Final = active("paris").sealed


# ── What a run that died left ────────────────────────────────────────────────


def test_an_intent_of_a_run_that_died_becomes_unknown_durably() -> None:
    left = Pending(attributes("paris"), OPERATION, SEALED)
    state = State("lineage", "default", serial=7, accounts={"athens": active("athens"), "paris": left})
    run = Run(state)
    after = executor.settle(state, run.session)
    unknown = Unknown(attributes("paris"), OPERATION, executor.RUN_DIED, SEALED)
    assert replace(state, serial=8, accounts={"athens": active("athens"), "paris": unknown}) == after
    assert run.session.state == after
    assert run.records == after.accounts


def test_all_intents_are_settled_in_one_save() -> None:
    left = {name: Pending(attributes(name), OPERATION) for name in THREE}
    run = Run(State("lineage", "default", accounts=left))
    executor.settle(run.state, run.session)
    assert [dict.fromkeys(THREE, "unknown")] == run.events


def test_where_no_intent_is_left_nothing_is_saved() -> None:
    run = Run(State("lineage", "default", accounts={"athens": active("athens")}))
    assert executor.settle(run.state, run.session) is run.state
    assert [] == run.events


def test_what_cannot_be_settled_is_an_error() -> None:
    left = {"athens": Pending(attributes("athens"), OPERATION)}
    run = Run(State("lineage", "default", accounts=left), failures={1: Failure()})
    with pytest.raises(StateNotSaved):
        executor.settle(run.state, run.session)


# ── What a person decides ────────────────────────────────────────────────────

UNDECIDED: Final = (
    Unknown(attributes("paris"), OPERATION, "the answer was lost", SEALED),
    Pending(attributes("paris"), OPERATION, SEALED),
)


@pytest.mark.parametrize("record", UNDECIDED)
def test_what_was_not_created_gives_its_slot_back(record: Record) -> None:
    state = State("lineage", "default", serial=7, accounts={"athens": active("athens"), "paris": record})
    assert replace(state, serial=8, accounts={"athens": active("athens")}) == executor.resolve(
        state, "paris", abandon=False
    )


@pytest.mark.parametrize("record", UNDECIDED)
def test_what_is_abandoned_keeps_its_slot_and_what_was_sealed(record: Unknown | Pending) -> None:
    state = State("lineage", "default", serial=7, accounts={"paris": record})
    reason = executor.RUN_DIED if isinstance(record, Pending) else record.reason
    gone = Abandoned(record.attributes, record.operation, reason, record.sealed)
    assert replace(state, serial=8, accounts={"paris": gone}) == executor.resolve(state, "paris", abandon=True)


@pytest.mark.parametrize("abandon", [False, True])
@pytest.mark.parametrize(
    ("record", "status"),
    [(active("paris"), "active"), (Abandoned(attributes("paris"), OPERATION, "lost"), "abandoned")],
)
def test_only_an_unknown_can_be_resolved(record: Record, status: str, *, abandon: bool) -> None:
    with pytest.raises(CommandInvalid, match=f"paris is not unknown: it is {status}") as caught:
        executor.resolve(State("lineage", "default", accounts={"paris": record}), "paris", abandon=abandon)
    advice = Advice(Remedy.FREE_OR_ADOPT, "paris") if status == "abandoned" else None
    assert ("Only an unknown outcome can be resolved. Nothing was changed.", advice) == (
        caught.value.hint,
        caught.value.advice,
    )


@pytest.mark.parametrize("abandon", [False, True])
def test_an_account_without_a_record_cannot_be_resolved(*, abandon: bool) -> None:
    with pytest.raises(CommandInvalid, match="no account paris") as caught:
        executor.resolve(State("lineage", "default"), "paris", abandon=abandon)
    assert Advice(Remedy.LIST, "paris") == caught.value.advice


def test_an_unfinished_edit_is_left_for_an_apply_to_finish() -> None:
    run = Run(known(paris=active("paris", edit=edit("paris", attributes("rome"), "a new one", version=2))))
    assert executor.settle(run.state, run.session) is run.state
    assert [] == run.events


# ── What was deleted by hand ─────────────────────────────────────────────────

EVERY_KIND: Final = (*UNDECIDED, active("paris"), Abandoned(attributes("paris"), OPERATION, "lost"))


@pytest.mark.parametrize("record", EVERY_KIND)
@pytest.mark.parametrize("reading", [None, MISSING])
def test_what_octopush_does_not_know_or_a_person_forces_is_forgotten(record: Record, reading: Reading | None) -> None:
    before = known(athens=active("athens"), paris=record)
    after = executor.forget(before, "paris", reading=reading)
    assert replace(before, serial=8, accounts={"athens": before.accounts["athens"]}) == after


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (observed(attributes("paris")), "Octopush still knows it"),
        (UNREACHED, "Octopush could not say whether it exists: the connection was refused"),
        (PROCESSED, "Octopush could not say whether it exists: the API answered HTTP 500"),
    ],
)
def test_an_account_that_may_exist_is_not_forgotten(reading: Reading, why: str) -> None:
    with pytest.raises(StateConflict) as caught:
        executor.forget(known(paris=active("paris")), "paris", reading=reading)
    assert f"paris is not forgotten: {why}." == caught.value.message
    assert Advice(Remedy.FORCE, "paris") == caught.value.advice
    assert ("dashboard" in caught.value.hint) == isinstance(reading, Observed)


def test_why_it_could_not_be_asked_for_brings_its_own_advice() -> None:
    refused = Failed("not accepted (HTTP 401)", Then.STOP, hint="Check OCTOPUSH_API_KEY.")
    with pytest.raises(StateConflict) as caught:
        executor.forget(known(paris=active("paris")), "paris", reading=refused)
    assert ("Check OCTOPUSH_API_KEY.", Advice(Remedy.FORCE, "paris")) == (caught.value.hint, caught.value.advice)


def test_an_account_that_was_gone_and_exists_again_is_read_again() -> None:
    gone = active("paris", drift=Drift(gone=True))
    with pytest.raises(StateConflict) as caught:
        executor.forget(known(paris=gone), "paris", reading=observed(attributes("paris")))
    assert Advice(Remedy.REFRESH_OR_FORCE, "paris") == caught.value.advice


def test_an_account_without_a_record_cannot_be_forgotten() -> None:
    with pytest.raises(CommandInvalid, match="no account paris"):
        executor.forget(known(), "paris", reading=None)


@pytest.mark.parametrize(
    ("reason", "answered"),
    [
        ("HTTP 201, but the answer was cut", True),
        ("the API answered HTTP 500", True),
        (FAILED_AFTER, True),
        (executor.RUN_DIED, False),
        ("a connection was refused", False),
        ("zzz", False),
        ("HTTP 20, HTTP 2010", False),
    ],
)
def test_only_an_unknown_whose_reason_says_so_may_have_an_answer(reason: str, *, answered: bool) -> None:
    assert answered is executor.is_answered(Unknown(attributes("paris"), OPERATION, reason))
    assert not executor.is_answered(Abandoned(attributes("paris"), OPERATION, reason))
    assert not executor.is_answered(Pending(attributes("paris"), OPERATION))


def test_the_record_of_an_account_whose_login_is_kept() -> None:
    record = active("paris")
    assert record is executor.active(known(paris=record), "paris")


@pytest.mark.parametrize(
    ("record", "status"),
    [(UNDECIDED[0], "unknown"), (UNDECIDED[1], "pending"), (EVERY_KIND[3], "abandoned")],
)
def test_the_login_of_what_is_not_active_is_not_known(record: Record, status: str) -> None:
    with pytest.raises(StateConflict) as caught:
        executor.active(known(paris=record), "paris")
    assert f"The login of paris is not known: it is {status}." == caught.value.message
    remedy = Remedy.FREE_OR_ADOPT if status == "abandoned" else Remedy.RESOLVE
    assert Advice(remedy, "paris") == caught.value.advice


def test_an_account_without_a_record_has_no_login() -> None:
    with pytest.raises(CommandInvalid, match="no account paris"):
        executor.active(known(), "paris")
