"""Adoption: one login belongs to one name, and what is not as the manifest wants it is changed by the next apply."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from provisioner import executor
from provisioner.errors import StateConflict
from provisioner.model.account import Attributes, Callbacks, Secret
from provisioner.model.exchange import Observed
from provisioner.model.plan import FieldChange, Unchanged
from provisioner.model.report import Result
from provisioner.model.state import Abandoned, Active, Drift, Operation, Pending, Record, State, Unknown
from provisioner.model.verdict import SealedContent
from tests.executor.examples import (
    NOW,
    OPERATION,
    active,
    attributes,
    credentials,
    desired,
    observed,
    opened,
    results,
    state,
)
from tests.executor.watched import Octopush, Run, Watcher

LOGIN: Final = "paris@sub-accounts.com"
WANTED: Final = Attributes("Paris", "Crash", None, Callbacks("https://hooks.example.com/${env:TOKEN}"))
SENT: Final = replace(WANTED, callbacks=Callbacks("https://hooks.example.com/s3cret"))
HOOK: Final = "callbacks.callback_url_for_deliveries"

# ── Whether it may be ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "record",
    [
        Pending(attributes("paris"), OPERATION),
        Unknown(attributes("paris"), OPERATION, "lost"),
        Abandoned(attributes("paris"), OPERATION, "lost"),
    ],
)
def test_what_is_not_active_may_be_given_a_login(record: Record) -> None:
    assert executor.may_adopt(state(paris=record, rome=active("rome")), "paris", LOGIN, {"rome": "rome@x"})
    assert executor.may_adopt(state(), "paris", LOGIN, {})


@pytest.mark.parametrize("login", [LOGIN, LOGIN.upper()])
def test_an_account_that_has_the_login_already_is_not_adopted_twice(login: str) -> None:
    assert not executor.may_adopt(state(paris=active("paris")), "paris", login, {"paris": LOGIN})


@pytest.mark.parametrize("login", [LOGIN, LOGIN.upper()])
def test_the_login_of_another_account_is_refused(login: str) -> None:
    with pytest.raises(StateConflict) as caught:
        executor.may_adopt(state(paris=active("paris")), "lyon", login, {"paris": LOGIN})
    assert f"The login {login} is that of paris already." == caught.value.message
    assert "previously: paris" in caught.value.hint


def test_an_account_that_has_another_login_is_refused() -> None:
    with pytest.raises(StateConflict) as caught:
        executor.may_adopt(state(paris=active("paris")), "paris", "new@x", {"paris": LOGIN})
    assert "paris has another login already, and is active." == caught.value.message
    assert "Nothing was changed" in caught.value.hint


# ── What follows ─────────────────────────────────────────────────────────────


def adopt(
    observed_: Observed, differ: tuple[str, ...] = (), *, before: State | None = None, kept: SealedContent | None = None
) -> tuple[State, tuple[FieldChange, ...]]:
    return executor.adopted(
        before or state(),
        "paris",
        credentials("paris"),
        observed=observed_,
        wanted=WANTED,
        differ=differ,
        password_version=2,
        kept=kept,
        ports=Run().ports(),
    )


def only(this: State) -> Active:
    record = this.accounts["paris"]
    assert isinstance(record, Active)
    return record


def refreshed(this: State, reading: Observed) -> tuple[Result, Drift]:
    api = Octopush()
    api.readings = {"paris": reading}
    done = executor.refresh(this, {"paris": opened("paris", only(this))}, api, Watcher())
    return done.report.outcomes[0].result, only(done.state).drift


def test_an_account_that_is_as_it_is_wanted_is_active_with_nothing_to_do() -> None:
    after, fields = adopt(observed(SENT))
    record = only(after)
    operation = Operation("operation 1", NOW, "me@here")
    assert () == fields
    assert replace(state(paris=record), serial=8) == after
    assert Active(WANTED, operation, NOW, record.sealed, password_version=2) == record
    assert SealedContent(
        "lineage", "default", "paris", "operation 1", credentials=credentials("paris"), sent=SENT
    ) == opened("paris", record)
    assert (Result.UNCHANGED, Drift()) == refreshed(after, observed(SENT))


def test_what_differs_is_drift_for_every_refresh_and_the_next_apply_changes_it() -> None:
    there = Attributes("Paname", "Crash", "Somebody", Callbacks("https://other.example/"))
    differ = ("first_name", "company_name", HOOK)
    after, fields = adopt(observed(there), differ)
    assert (
        FieldChange("first_name", "Paris", "Paname"),
        FieldChange("company_name", None, "Somebody"),
        FieldChange(HOOK, "https://hooks.example.com/${env:TOKEN}", "https://other.example/"),
    ) == fields
    assert Drift(changed=differ) == only(after).drift
    result, drift = refreshed(after, observed(there))
    assert (Result.DRIFTED, sorted(differ)) == (result, sorted(drift.changed))

    run = Run(after, (desired("paris", WANTED, password_version=2),), environ={"TOKEN": "s3cret"})
    assert {"paris": "updated"} == results(run.apply())
    assert [SENT] == [request.attributes for _, request in run.api.edited]
    assert SENT == opened("paris", run.records["paris"]).sent
    again = run.next()
    assert isinstance(again.plan().changes[0], Unchanged)
    assert again.session.state is not None
    assert (Result.UNCHANGED, Drift()) == refreshed(again.session.state, observed(SENT))


def test_what_was_kept_of_an_unknown_outcome_brings_its_password() -> None:
    unknown = Unknown(attributes("paris"), OPERATION, "lost")
    kept = SealedContent("lineage", "default", "paris", OPERATION.id, password=Secret("sent"))
    after, _ = adopt(observed(SENT), before=state(paris=unknown), kept=kept)
    content = opened("paris", only(after))
    # By that its outcome is known again, should it turn up in a log.
    assert OPERATION.id == only(after).first_operation
    assert (Secret("sent"), "operation 1", credentials("paris")) == (
        content.password,
        content.operation,
        content.credentials,
    )
