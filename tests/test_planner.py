"""The planner: every account of manifest and state exactly once, and never more creates than there are slots."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import ExitCode, StateConflict
from provisioner.model.account import MASK, Attributes, Callbacks, DesiredAccount, Manifest, Origin, Secret
from provisioner.model.plan import (
    Create,
    FieldChange,
    Gone,
    Plan,
    Selection,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
)
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import Abandoned, Active, Drift, Edit, Operation, Pending, Record, Slots, State, Unknown
from provisioner.planner import plan, restricted, with_moves, with_unchecked

LEONARDO = Attributes("Leonardo", "Da Vinci", "Italy", Callbacks(email_for_inbounds="sms@example.com"))
SOFONISBA = Attributes("Sofonisba", "Anguissola")
OPERATION = Operation("1f0c", "2026-01-01T00:00:00Z", "me@here")


def desired(name: str, attributes: Attributes = LEONARDO, **more: Any) -> DesiredAccount:  # noqa: ANN401  # each has its own type
    return DesiredAccount(name, attributes, None, Origin("accounts.yaml"), **more)


def wanted(*accounts: DesiredAccount | str) -> Manifest:
    these = (each if isinstance(each, DesiredAccount) else desired(each) for each in accounts)
    return Manifest("default", tuple(these))


def known(**accounts: Record) -> State:
    return State("lineage", "default", serial=7, accounts=accounts)


def active(attributes: Attributes = LEONARDO, **more: Any) -> Active:  # noqa: ANN401
    return Active(attributes, OPERATION, "2026-01-01T00:00:00Z", "sealed", **more)


def only(manifest: Manifest, state: State, **found: dict[str, str | None]) -> object:
    """Return the one change of a plan."""
    (change,) = plan(manifest, state, limit=20, reserved=0, found=found).changes
    return change


def chosen(manifest: Manifest, state: State, limit: int, *names: str) -> Plan:
    return restricted(plan(manifest, state, limit=limit, reserved=0), manifest, names)


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
        *(
            (record, still_unknown, still_unknown)
            for record in (pending(), unknown())
            for still_unknown in [StillUnknown("paris", LEONARDO, record.reason, record.operation.started_at)]
        ),
        (
            abandoned(),
            StillAbandoned("paris", LEONARDO, "the answer was lost"),
            StillAbandoned("paris", LEONARDO, "the answer was lost"),
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


def test_a_password_alone_is_not_a_change() -> None:
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


def test_another_version_of_the_password_is_a_change() -> None:
    account = desired("paris", password_version=3)
    expected = Update(account, (FieldChange("password_version", "1", "3"),))
    assert expected == only(wanted(account), known(paris=active()))
    assert expected.renews_password
    back = Update(desired("paris"), (FieldChange("password_version", "3", "1"),))
    assert back == only(wanted("paris"), known(paris=active(password_version=3)))
    assert isinstance(only(wanted(account), known(paris=active(password_version=3))), Unchanged)


# ── Drift ────────────────────────────────────────────────────────────────────


def test_what_octopush_altered_is_shown_and_not_sent_again() -> None:
    drift = Drift(altered=("last_name",))
    assert Unchanged("paris", LEONARDO, drift) == only(wanted("paris"), known(paris=active(drift=drift)))
    assert Unmanaged("paris", LEONARDO, drift) == only(wanted(), known(paris=active(drift=drift)))


def test_what_somebody_changed_is_changed_back_and_shown_as_far_as_it_is_known() -> None:
    hook = "callbacks.callback_url_for_visits"
    changed = Drift(altered=("first_name",), changed=("last_name", hook), emptied=(hook,))
    state = known(paris=active(drift=changed))
    unseen = (
        FieldChange("last_name", None, "Da Vinci", drifted=True, unseen=True),
        FieldChange(hook, None, None, drifted=True),
    )
    assert Update(desired("paris"), unseen) == only(wanted("paris"), state)
    seen = (
        FieldChange("last_name", "Vinci", "Da Vinci", drifted=True),
        FieldChange(hook, "https://x", None, drifted=True),
    )
    assert Update(desired("paris"), seen) == only(
        wanted("paris"), state, paris={"last_name": "Vinci", hook: "https://x", "first_name": "Leo"}, rome={}
    )
    assert Unmanaged("paris", LEONARDO, changed) == only(wanted(), state)


def test_what_was_found_is_not_shown_where_the_manifest_has_a_placeholder_by_now() -> None:
    state = known(paris=active(drift=Drift(changed=("last_name",))))
    account = desired("paris", replace(LEONARDO, last_name="${env:NAME}"))
    for found, shown in (("s3cret", MASK), (None, None)):
        change = FieldChange("last_name", shown, "${env:NAME}", drifted=True)
        assert Update(account, (change,)) == only(wanted(account), state, paris={"last_name": found})


def test_a_field_that_is_wanted_otherwise_and_was_changed_is_told_once() -> None:
    state = known(paris=active(drift=Drift(changed=("last_name",))))
    account = desired("paris", replace(LEONARDO, last_name="de Vinci"))
    assert Update(account, (FieldChange("last_name", None, "de Vinci", drifted=True, unseen=True),)) == only(
        wanted(account), state
    )


@pytest.mark.parametrize("edit", [None, Edit(SOFONISBA, OPERATION, 2)])
def test_what_octopush_no_longer_knows_is_left_to_a_person(edit: Edit | None) -> None:
    state = known(paris=active(drift=Drift(gone=True), edit=edit))
    assert Gone("paris", LEONARDO) == only(wanted(desired("paris", SOFONISBA, password_version=2)), state)
    assert Gone("paris", LEONARDO) == only(wanted(desired("lyon", previously="paris")), state)
    assert Gone("paris", LEONARDO) == only(wanted(), state)


def test_what_a_refresh_could_not_check_is_marked_and_nothing_else_changes() -> None:
    made = plan(
        wanted("kept", desired("other", SOFONISBA), "unseen"),
        known(kept=active(), other=active(), unseen=active(), unmanaged=active()),
        limit=20,
        reserved=0,
    )
    kept, other, unmanaged, unseen = made.changes
    report = Report(
        "default",
        (
            Outcome("kept", "refresh", Result.UNCHANGED),
            *(Outcome(name, "refresh", Result.UNCHECKED, "lost") for name in ("other", "unmanaged", "unseen")),
        ),
    )
    marked = with_unchecked(made, report)
    assert isinstance(unseen, Unchanged)
    assert replace(made, changes=(kept, other, unmanaged, replace(unseen, unchecked="lost"))) == marked
    assert made == with_unchecked(made, Report("default", ()))


# ── An unfinished edit ──────────────────────────────────────────────────────


def test_an_unfinished_edit_is_finished_whatever_the_manifest_says() -> None:
    begun = active(edit=Edit(replace(LEONARDO, company_name=None), OPERATION, 2))
    carried_on = desired("paris", replace(LEONARDO, company_name=None), password_version=2)
    fields = (FieldChange("company_name", "Italy", None), FieldChange("password_version", "1", "2"))
    assert Update(carried_on, fields, edit=begun.edit) == only(wanted(carried_on), known(paris=begun))
    taken_back = (FieldChange("company_name", None, "Italy"),)
    assert Update(desired("paris"), taken_back, edit=begun.edit) == only(wanted("paris"), known(paris=begun))


def test_an_edit_that_was_begun_is_finished_where_nothing_else_is_known_to_differ() -> None:
    change = only(wanted("paris"), known(paris=active(edit=Edit(LEONARDO, OPERATION, 1))))
    assert Update(desired("paris"), (), edit=Edit(LEONARDO, OPERATION, 1)) == change
    assert cast("Update", change).sends


def test_a_field_of_which_either_value_may_be_there_is_shown_with_the_one_that_is_kept() -> None:
    begun = active(edit=Edit(SOFONISBA, OPERATION, 1))
    third = desired("paris", Attributes("Artemisia", "Gentileschi"))
    assert (
        FieldChange("first_name", "Leonardo", "Artemisia"),
        FieldChange("last_name", "Da Vinci", "Gentileschi"),
        FieldChange("company_name", "Italy", None),
        FieldChange("callbacks.email_for_inbounds", "sms@example.com", None),
    ) == cast("Update", only(wanted(third), known(paris=begun))).fields


def test_an_edit_of_an_account_that_is_no_longer_wanted_is_reported_and_left_alone() -> None:
    change = only(wanted(), known(paris=active(edit=Edit(SOFONISBA, OPERATION, 1))))
    assert Unmanaged("paris", LEONARDO, unfinished=True) == change


# ── Another name ─────────────────────────────────────────────────────────────

LYON = desired("lyon", previously="paris")
NAME = FieldChange("name", "paris", "lyon")


def test_a_record_is_found_under_the_name_that_its_account_had() -> None:
    assert Update(LYON, (NAME,), "paris") == only(wanted(LYON), known(paris=active()))
    edited = replace(LYON, attributes=replace(LEONARDO, last_name="Labé"))
    fields = (NAME, FieldChange("last_name", "Da Vinci", "Labé"))
    assert Update(edited, fields, "paris") == only(wanted(edited), known(paris=active()))
    begun = known(paris=active(edit=Edit(LEONARDO, OPERATION, 1)))
    assert Update(LYON, (NAME,), "paris", edit=Edit(LEONARDO, OPERATION, 1)) == only(wanted(LYON), begun)


@pytest.mark.parametrize("name", ["lyon", "rennes"])  # one sorts before paris, one after
def test_whatever_the_new_name_the_record_moves_to_it(name: str) -> None:
    account = desired(name, previously="paris")
    assert Update(account, (FieldChange("name", "paris", name),), "paris") == only(
        wanted(account), known(paris=active())
    )


def test_what_was_found_of_a_record_is_by_the_name_that_it_has() -> None:
    state = known(paris=active(drift=Drift(changed=("last_name",))))
    fields = (NAME, FieldChange("last_name", "Vinci", "Da Vinci", drifted=True))
    assert Update(LYON, fields, "paris") == only(wanted(LYON), state, paris={"last_name": "Vinci"})


def test_once_it_is_moved_or_was_never_there_an_earlier_name_means_nothing() -> None:
    assert Unchanged("lyon", LEONARDO) == only(wanted(LYON), known(lyon=active()))
    assert Create(LYON) == only(wanted(LYON), known())


@pytest.mark.parametrize("record", [pending, unknown, abandoned])
def test_what_may_not_exist_is_not_created_under_its_new_name(record: type[Record]) -> None:
    change = only(wanted(LYON), known(paris=record(LEONARDO)))
    assert isinstance(change, StillUnknown | StillAbandoned)
    assert "paris" == change.name


@pytest.mark.parametrize("record", [active(), pending(), unknown(), abandoned()])
def test_two_records_for_one_account_are_a_conflict(record: Record) -> None:
    with pytest.raises(StateConflict) as caught:
        plan(wanted(LYON), known(paris=active(), lyon=record), limit=20, reserved=0)
    assert "The manifest says that lyon was previously paris, but the state has both." == caught.value.message
    assert "delete `previously: paris`" in caught.value.hint
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


def test_a_create_that_resembles_an_unmanaged_account_may_be_that_one() -> None:
    state = known(paris=active(), rome=active(SOFONISBA))
    made = plan(
        wanted("lyon", desired("nice", SOFONISBA), desired("metz", Attributes("A", "B"))), state, limit=9, reserved=0
    )
    assert (
        Create(desired("lyon"), "paris"),
        Create(desired("metz", Attributes("A", "B"))),
        Create(desired("nice", SOFONISBA), "rome"),
        Unmanaged("paris", LEONARDO),
        Unmanaged("rome", SOFONISBA),
    ) == made.changes


@pytest.mark.parametrize("order", [("paris", "rome"), ("rome", "paris")])
def test_the_first_of_several_that_resemble_is_named_whatever_their_order(order: tuple[str, str]) -> None:
    made = plan(wanted("lyon"), known(**{name: active() for name in order}), limit=9, reserved=0)
    assert (Create(desired("lyon"), "paris"),) == made.creates


def test_an_unknown_that_no_manifest_names_is_resembled_too() -> None:
    made = plan(wanted("lyon"), known(paris=unknown()), limit=9, reserved=0)
    assert (Create(desired("lyon"), "paris"),) == made.creates
    named = plan(wanted("lyon", "paris"), known(paris=unknown()), limit=9, reserved=0)
    assert (Create(desired("lyon")),) == named.creates


@pytest.mark.parametrize(
    "attributes",
    [
        Attributes(" LEONARDO", "Da\u00a0 vinci", "italy", LEONARDO.callbacks),
        replace(LEONARDO, callbacks=Callbacks("https://hooks.example.com/lyon")),
    ],
)
def test_a_rename_is_known_by_its_names_however_they_are_written(attributes: Attributes) -> None:
    made = plan(wanted(desired("lyon", attributes)), known(paris=active()), limit=9, reserved=0)
    assert ["paris"] == [each.resembles for each in made.creates]


def test_an_account_that_is_gone_is_resembled_until_a_person_forgets_it() -> None:
    made = plan(wanted("lyon"), known(paris=active(drift=Drift(gone=True))), limit=9, reserved=0)
    assert (Create(desired("lyon"), "paris"),) == made.creates


@pytest.mark.parametrize("record", [abandoned(), active(SOFONISBA)])
def test_only_an_unmanaged_account_with_the_same_attributes_is_resembled(record: Record) -> None:
    assert (Create(desired("lyon")),) == plan(wanted("lyon"), known(paris=record), limit=9, reserved=0).creates
    managed = plan(wanted("lyon", "paris"), known(paris=active()), limit=9, reserved=0)
    assert (Create(desired("lyon")),) == managed.creates


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
PATHS = st.lists(st.sampled_from(["first_name", "company_name", "callbacks.email_for_inbounds"]), unique=True)
DRIFTS = st.builds(Drift, PATHS.map(tuple), PATHS.map(tuple), st.booleans())
EDITS = st.builds(Edit, ATTRIBUTES, st.just(OPERATION), st.integers(1, 3))
ACTIVES = st.builds(
    active, ATTRIBUTES, password_version=st.integers(1, 3), drift=st.just(Drift()) | DRIFTS, edit=st.none() | EDITS
)
RECORDS = st.one_of(ACTIVES, ACTIVES, *(ATTRIBUTES.map(kind) for kind in (pending, unknown, abandoned)))


@st.composite
def manifests(draw: st.DrawFn) -> list[DesiredAccount]:
    """Draw accounts as manifests may have them: an earlier name is not in use, and belongs to one account only."""
    names = draw(st.lists(NAMES, unique=True))
    earlier = draw(st.lists(NAMES.filter(lambda name: name not in names), unique=True, max_size=len(names)))
    return [
        desired(
            name,
            draw(ATTRIBUTES),
            previously=earlier[number] if number < len(earlier) else None,
            password_version=draw(st.integers(1, 3)),
        )
        for number, name in enumerate(names)
    ]


STATES = st.none() | st.dictionaries(NAMES, RECORDS).map(lambda these: known(**these))
LIMITS = st.integers(0, 15)


def planned(accounts: list[DesiredAccount], state: State | None, limit: int = 50, reserved: int = 0) -> Plan | None:
    """Return the plan, or None if the state has two records for one account."""
    records = state.accounts if state else {}
    both = any(each.name in records and each.previously in records for each in accounts)
    try:
        made = plan(wanted(*accounts), state, limit=limit, reserved=reserved)
    except StateConflict:
        assert both
        return None
    assert not both
    return made


def record_name(account: DesiredAccount, state: State | None) -> str | None:
    """Return the name of the account's record, or None if it has none."""
    records = state.accounts if state else {}
    return next((name for name in (account.name, account.previously) if name in records), None)


@given(st.data(), manifests(), STATES, LIMITS, LIMITS)
def test_the_order_of_rows_means_nothing(
    data: st.DataObject, accounts: list[DesiredAccount], state: State | None, limit: int, reserved: int
) -> None:
    shuffled = data.draw(st.permutations(accounts))
    records = data.draw(st.permutations(list(state.accounts.items()))) if state else ()
    restated = state and replace(state, accounts=dict(records))
    assert planned(accounts, state, limit, reserved) == planned(shuffled, restated, limit, reserved)


@given(manifests(), STATES)
def test_every_account_and_every_record_appears_once_sorted_by_name(
    accounts: list[DesiredAccount], state: State | None
) -> None:
    if made := planned(accounts, state):
        names = [change.name for change in made.changes]
        assert sorted(names) == names
        told = sorted(change.record_name if isinstance(change, Update) else change.name for change in made.changes)
        records = state.accounts if state else {}
        assert sorted({*records, *(each.name for each in accounts if record_name(each, state) is None)}) == told


@given(manifests(), STATES, LIMITS, LIMITS)
def test_slots_are_never_overdrawn(
    accounts: list[DesiredAccount], state: State | None, limit: int, reserved: int
) -> None:
    made = planned(accounts, state, limit, reserved)
    if made is None:
        return
    records = state.accounts if state else {}
    creates = [account.name for account in accounts if record_name(account, state) is None]
    used, free = len(records), max(0, limit - reserved - len(records))
    in_doubt = sum(isinstance(record, Pending | Unknown) for record in records.values())

    assert Slots(limit, reserved, used, in_doubt, planned=len(creates)) == made.slots
    assert limit - reserved - used - len(creates) == made.slots.left
    fitting = [each.name for each in made.creates if each.name not in made.over]
    assert min(free, len(creates)) == len(fitting)
    assert sorted(creates) == [*fitting, *made.over]


@given(manifests(), STATES)
def test_nothing_is_created_that_has_a_record_under_its_own_or_its_earlier_name(
    accounts: list[DesiredAccount], state: State | None
) -> None:
    if made := planned(accounts, state):
        records = state.accounts if state else {}
        assert not {each.name for each in made.creates} & records.keys()
        assert not {each.account.previously for each in made.creates} & records.keys()


def applied(made: Plan, state: State | None) -> State:
    """Return the state after every request of a plan has succeeded."""
    after = state or known()
    for change in made.changes:
        match change:
            case Create(account=account):
                after = after.with_record(
                    account.name, active(account.attributes, password_version=account.password_version)
                )
            case Update(account=account):
                record = after.accounts[change.record_name]
                assert isinstance(record, Active)
                if change.sends:
                    record = active(account.attributes, password_version=account.password_version)
                after = after.with_record(account.name, record, previous=change.previous)
    return after


@given(manifests(), STATES)
def test_after_a_full_apply_there_is_nothing_to_do(accounts: list[DesiredAccount], state: State | None) -> None:
    if made := planned(accounts, state):
        again = planned(accounts, applied(made, state))
        assert again is not None
        assert ((), (), ()) == (again.creates, again.updates, again.over)
        wanted_ones = {each.name for each in accounts}
        done = {change.name for change in again.changes if isinstance(change, Unchanged)}
        left = {change.name for change in made.changes if isinstance(change, StillUnknown | StillAbandoned | Gone)}
        left_names = {each.name for each in accounts if each.name in left or each.previously in left}
        assert wanted_ones - left_names == done


@given(manifests(), STATES)
def test_no_wanted_account_is_ever_silent_about_what_differs(
    accounts: list[DesiredAccount], state: State | None
) -> None:
    made = planned(accounts, state)
    if made is None or state is None:
        return
    changes = {change.name: change for change in made.changes}
    for account in accounts:
        name = record_name(account, state)
        record = state.accounts.get(name or "")
        if not isinstance(record, Active) or record.drift.gone:
            continue
        same = (
            name == account.name
            and record.attributes == account.attributes
            and record.password_version == account.password_version
            and not record.drift.changed
            and record.edit is None
        )
        assert isinstance(changes[account.name], Unchanged if same else Update)


# ── Only some of them ────────────────────────────────────────────────────────


def test_only_those_that_are_chosen_are_planned_and_the_rest_is_counted() -> None:
    state = known(rome=active(SOFONISBA), oslo=unknown(), lima=active(), bonn=active())
    manifest = wanted("paris", "cairo", "rome", desired("oslo", SOFONISBA), "bonn")
    made = chosen(manifest, state, 20, "paris", "oslo")
    assert [("unknown", "oslo"), ("create", "paris")] == [(each.action, each.name) for each in made.changes]
    assert Selection(("oslo", "paris"), creates=1, updates=1) == made.selection
    # Every occupied slot counts, and of the planned ones only the one in the plan.
    assert Slots(20, 0, used=4, unknown=1, planned=1) == made.slots


def test_the_rest_is_what_is_not_chosen_of_creates_and_of_updates() -> None:
    state = known(**{name: active(SOFONISBA) for name in ("rome", "oslo", "lima", "bonn")})
    made = chosen(wanted(*state.accounts, "paris", "cairo", "turin", "milan"), state, 20, "rome", "paris")
    assert Selection(("paris", "rome"), creates=3, updates=3) == made.selection


def test_what_is_chosen_may_fit_where_the_whole_manifest_does_not() -> None:
    state = known(rome=active())
    manifest = wanted("rome", "paris", "cairo")
    assert ("paris",) == plan(manifest, state, limit=2, reserved=0).over
    assert () == chosen(manifest, state, 2, "paris").over
    assert ("paris",) == chosen(manifest, state, 1, "paris").over


def test_what_is_chosen_is_still_compared_with_the_whole_manifest_and_the_whole_state() -> None:
    state = known(rome=active(SOFONISBA), old=active())
    # Nobody else has its new name, and no manifest has the twin.
    manifest = wanted(desired("new", previously="old"), desired("rome", SOFONISBA), desired("paris", SOFONISBA))
    (moved,) = chosen(manifest, state, 20, "new").changes
    assert ("new", "old") == (moved.name, cast("Update", moved).previous)
    (gone,) = chosen(manifest, known(old=active(drift=Drift(gone=True))), 20, "new").changes
    assert isinstance(gone, Gone)
    (created,) = chosen(manifest, state, 20, "paris").changes
    assert cast("Create", created).resembles is None
    (created,) = chosen(wanted(desired("paris", SOFONISBA)), state, 20, "paris").changes
    assert "rome" == cast("Create", created).resembles


# ── Accounts that seem to move to another parent ─────────────────────────────


def of(parent: str, *accounts: str | DesiredAccount, **records: Record) -> tuple[Plan, Manifest]:
    manifest = replace(wanted(*accounts), parent=parent)
    return plan(manifest, replace(known(**records), parent=parent), limit=9, reserved=0), manifest


def moves(*made: tuple[Plan, Manifest]) -> dict[str, str]:
    found = {}
    for this in with_moves([each for each, _ in made], [manifest for _, manifest in made]):
        for change in this.changes:
            other = change.moved_from if isinstance(change, Create) else getattr(change, "moved_to", None)
            if other is not None:
                found[f"{this.parent}/{change.name}"] = f"{other.parent}/{other.name}"
    return found


def test_a_create_for_the_holder_of_an_account_that_another_parent_lost_is_marked_with_it() -> None:
    old, new = of("acme", paris=active()), of("globex", "paris")
    assert {"acme/paris": "globex/paris", "globex/paris": "acme/paris"} == moves(old, new) == moves(new, old)
    other = desired("rome", SOFONISBA)
    assert {"acme/paris": "globex/lyon", "globex/lyon": "acme/paris"} == moves(old, of("globex", "lyon", other))
    later = of("zenith", paris=active())  # its name sorts after that of the other parent
    assert {"zenith/paris": "globex/paris", "globex/paris": "zenith/paris"} == moves(later, new) == moves(new, later)
    lost = of("acme", paris=unknown())
    assert {"acme/paris": "globex/paris", "globex/paris": "acme/paris"} == moves(lost, new)


def test_the_account_of_the_same_name_comes_first() -> None:
    found = moves(of("acme", a=active(), paris=active()), of("globex", "paris"))
    assert {"acme/paris": "globex/paris", "globex/paris": "acme/paris"} == found
    found = moves(of("acme", zara=active()), of("beta", paris=active()), of("globex", "paris"))
    assert {"beta/paris": "globex/paris", "globex/paris": "beta/paris"} == found


def test_without_one_of_the_same_name_the_first_account_of_the_holder_counts() -> None:
    found = moves(of("acme", a=active(), b=active()), of("globex", "lyon"))
    assert {"acme/a": "globex/lyon", "globex/lyon": "acme/a"} == found


def test_nothing_moves_that_a_manifest_names_or_octopush_has_deleted_or_another_holder_has() -> None:
    new = of("globex", "paris")
    assert {} == moves(of("acme", "paris", paris=active()), new)
    assert {} == moves(of("acme", "paris", paris=unknown()), new)
    assert {} == moves(of("acme", paris=active(drift=Drift(gone=True))), new)
    assert {} == moves(of("acme", paris=active(SOFONISBA)), new)
    assert {} == moves(of("acme", "lyon", paris=active()))
