"""The planner: every account of manifest and state exactly once, and never more creates than there are slots."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Manifest, Origin, Secret
from provisioner.model.plan import Closed, Create, FieldChange, Unchanged, Undecided, Unmanaged, Update
from provisioner.model.state import Abandoned, Active, Operation, Pending, Record, Slots, State, Unknown
from provisioner.planner import plan

LEONARDO = Attributes("Leonardo", "Da Vinci", "Italy", Callbacks(email_for_inbounds="sms@example.com"))
SOFONISBA = Attributes("Sofonisba", "Anguissola")
OPERATION = Operation("1f0c", "2026-01-01T00:00:00Z", "me@here")


def desired(name: str, attributes: Attributes = LEONARDO) -> DesiredAccount:
    return DesiredAccount(name, attributes, None, Origin("accounts.yaml"))


def wanted(*accounts: DesiredAccount | str) -> Manifest:
    these = (each if isinstance(each, DesiredAccount) else desired(each) for each in accounts)
    return Manifest("default", tuple(these))


def known(**accounts: Record) -> State:
    return State("lineage", "default", serial=7, accounts=accounts)


def active(attributes: Attributes = LEONARDO) -> Active:
    return Active(attributes, OPERATION, "2026-01-01T00:00:00Z", "sealed")


def pending(attributes: Attributes = LEONARDO) -> Pending:
    return Pending(attributes, OPERATION)


def unknown(attributes: Attributes = LEONARDO) -> Unknown:
    return Unknown(attributes, OPERATION, "the answer was lost")


def abandoned(attributes: Attributes = LEONARDO) -> Abandoned:
    return Abandoned(attributes, OPERATION, "the answer was lost")


# ── What becomes of one account ──────────────────────────────────────────────


@pytest.mark.parametrize(
    ("record", "if_wanted", "if_not"),
    [
        (active(), Unchanged("paris", LEONARDO), Unmanaged("paris", LEONARDO)),
        (pending(), Undecided("paris", LEONARDO, pending().reason), Undecided("paris", LEONARDO, pending().reason)),
        (
            unknown(),
            Undecided("paris", LEONARDO, "the answer was lost"),
            Undecided("paris", LEONARDO, "the answer was lost"),
        ),
        (
            abandoned(),
            Closed("paris", LEONARDO, "the answer was lost"),
            Closed("paris", LEONARDO, "the answer was lost"),
        ),
    ],
)
def test_what_is_known_decides(record: Record, if_wanted: object, if_not: object) -> None:
    assert (if_wanted,) == plan(wanted("paris"), known(paris=record), limit=20, reserved=0).changes
    assert (if_not,) == plan(wanted(), known(paris=record), limit=20, reserved=0).changes


def test_what_is_not_known_is_created() -> None:
    account = replace(desired("paris"), password=Secret("Gioconda-1503"))
    assert (Create(account),) == plan(wanted(account), known(), limit=20, reserved=0).changes


@pytest.mark.parametrize("record", [pending, unknown, abandoned])
def test_other_attributes_change_nothing_about_an_account_that_may_not_exist(record: type[Record]) -> None:
    (change,) = plan(wanted(desired("paris", SOFONISBA)), known(paris=record(LEONARDO)), limit=20, reserved=0).changes
    assert not isinstance(change, Create | Update)


def test_a_password_alone_is_no_change() -> None:
    account = replace(desired("paris"), password=Secret("another"))
    assert (Unchanged("paris", LEONARDO),) == plan(wanted(account), known(paris=active()), limit=20, reserved=0).changes


def test_an_update_names_every_field_with_its_value_before_and_after() -> None:
    after = desired(
        "paris", replace(SOFONISBA, callbacks=Callbacks("https://x.example/?t=1", email_for_inbounds="b@c"))
    )
    (change,) = plan(wanted(after), known(paris=active()), limit=20, reserved=0).changes
    assert (
        Update(
            after,
            (
                FieldChange("first_name", "Leonardo", "Sofonisba"),
                FieldChange("last_name", "Da Vinci", "Anguissola"),
                FieldChange("company_name", "Italy", None),
                FieldChange("callbacks.email_for_inbounds", "sms@example.com", "b@c"),
                FieldChange("callbacks.callback_url_for_deliveries", None, "https://x.example/?t=1"),
            ),
        )
        == change
    )


def test_an_update_leaves_out_what_stays() -> None:
    after = desired("paris", replace(LEONARDO, last_name="de Vinci"))
    (change,) = plan(wanted(after), known(paris=active()), limit=20, reserved=0).changes
    assert Update(after, (FieldChange("last_name", "Da Vinci", "de Vinci"),)) == change


def test_a_record_of_no_known_kind_is_a_defect_and_never_a_guess() -> None:
    with pytest.raises(AssertionError):
        plan(wanted(), known(paris=cast("Record", "what is this?")), limit=20, reserved=0)


# ── The plan as a whole ──────────────────────────────────────────────────────


def test_a_plan_says_what_it_was_made_from() -> None:
    made = plan(Manifest("acme", ()), State("lineage", "acme", serial=7), limit=20, reserved=0)
    assert ("acme", "lineage", 7) == (made.parent, made.lineage, made.serial)
    fresh = plan(Manifest("acme", ()), None, limit=20, reserved=0)
    assert ("acme", None, 0) == (fresh.parent, fresh.lineage, fresh.serial)


def test_without_a_state_everything_is_created() -> None:
    made = plan(wanted("rome", "paris"), None, limit=20, reserved=3)
    assert ["paris", "rome"] == [each.name for each in made.creates]
    assert Slots(limit=20, reserved=3, used=0, unknown=0, planned=2) == made.slots


@pytest.mark.parametrize(
    ("limit", "reserved", "over"),
    [
        (5, 0, ()),
        (4, 0, ("c",)),
        (5, 1, ("c",)),
        (3, 0, ("b", "c")),
        (2, 0, ("a", "b", "c")),
        (0, 0, ("a", "b", "c")),
        (5, 20, ("a", "b", "c")),
    ],
)
def test_what_does_not_fit_is_what_would_be_created_last(limit: int, reserved: int, over: tuple[str, ...]) -> None:
    state = known(y=active(), z=abandoned())
    made = plan(wanted("c", "a", "b", "y"), state, limit=limit, reserved=reserved)
    assert over == made.over
    assert ["a", "b", "c"] == [each.name for each in made.creates]


def test_a_full_parent_of_whom_nothing_more_is_wanted_is_fine() -> None:
    assert () == plan(wanted("y"), known(y=active(), z=unknown()), limit=1, reserved=0).over


# ── Whatever the manifest and the state ──────────────────────────────────────

NAMES = st.sampled_from([f"account-{number}" for number in range(12)])
ATTRIBUTES = st.sampled_from([LEONARDO, SOFONISBA, replace(LEONARDO, callbacks=Callbacks())])
RECORDS = st.one_of(*(ATTRIBUTES.map(kind) for kind in (active, pending, unknown, abandoned)))
ACCOUNTS = st.dictionaries(NAMES, ATTRIBUTES).map(
    lambda these: [desired(name, attributes) for name, attributes in these.items()]
)
STATES = st.none() | st.dictionaries(NAMES, RECORDS).map(lambda these: known(**these))
LIMITS = st.integers(0, 15)


@given(st.data(), ACCOUNTS, STATES, LIMITS, LIMITS)
def test_the_order_of_rows_means_nothing(
    data: st.DataObject, accounts: list[DesiredAccount], state: State | None, limit: int, reserved: int
) -> None:
    shuffled = wanted(*data.draw(st.permutations(accounts)))
    records = data.draw(st.permutations(list(state.accounts.items()))) if state else ()
    restated = state and replace(state, accounts=dict(records))
    expected = plan(wanted(*accounts), state, limit=limit, reserved=reserved)
    assert expected == plan(shuffled, restated, limit=limit, reserved=reserved)


@given(ACCOUNTS, STATES, LIMITS, LIMITS)
def test_every_account_of_manifest_and_state_appears_once_sorted_by_name(
    accounts: list[DesiredAccount], state: State | None, limit: int, reserved: int
) -> None:
    made = plan(wanted(*accounts), state, limit=limit, reserved=reserved)
    names = {account.name for account in accounts} | set(state.accounts if state else ())
    assert sorted(names) == [change.name for change in made.changes]


@given(ACCOUNTS, STATES, LIMITS, LIMITS)
def test_slots_are_never_overdrawn(
    accounts: list[DesiredAccount], state: State | None, limit: int, reserved: int
) -> None:
    made = plan(wanted(*accounts), state, limit=limit, reserved=reserved)
    records = state.accounts if state else {}
    creates = [account.name for account in accounts if account.name not in records]
    used, free = len(records), max(0, limit - reserved - len(records))
    in_doubt = sum(isinstance(record, Pending | Unknown) for record in records.values())

    assert Slots(limit, reserved, used, in_doubt, planned=len(creates)) == made.slots
    assert limit - reserved - used - len(creates) == made.slots.left
    fitting = [each.name for each in made.creates if each.name not in made.over]
    assert min(free, len(creates)) == len(fitting)
    assert sorted(creates) == [*fitting, *made.over]


@given(ACCOUNTS, STATES, LIMITS, LIMITS)
def test_no_record_is_ever_created_again(
    accounts: list[DesiredAccount], state: State | None, limit: int, reserved: int
) -> None:
    made = plan(wanted(*accounts), state, limit=limit, reserved=reserved)
    assert {each.name for each in made.creates}.isdisjoint(state.accounts if state else ())


@given(ACCOUNTS, STATES)
def test_after_a_full_apply_there_is_nothing_to_create(accounts: list[DesiredAccount], state: State | None) -> None:
    after = state or known()
    for create in plan(wanted(*accounts), state, limit=50, reserved=0).creates:
        after = after.with_record(create.name, active(create.account.attributes))
    again = plan(wanted(*accounts), after, limit=50, reserved=0)
    assert () == again.creates
    assert () == again.over
