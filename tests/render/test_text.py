from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pytest

from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin, Problem, Severity
from provisioner.model.plan import (
    Change,
    Create,
    FieldChange,
    Gone,
    Plan,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
)
from provisioner.model.state import Drift, Edit, Operation, Slots
from provisioner.render import text
from provisioner.render.lines import Line, printable
from provisioner.render.words import View

LEO = Attributes("Leonardo", "Da Vinci")
FULL = Attributes(
    "Ada", "King", "Engines", Callbacks(callback_url_for_visits="https://u:p@h/x?t=1", email_for_inbounds="a@b.c")
)
OPERATION = Operation("op-1", "2026-01-01T00:00:00Z", "ada@host")
BEGUN = Edit(Attributes("Ada", "King"), Operation("op-2", "2026-01-05T00:00:00Z", "ada@host"), 1)


def desired(name: str, attributes: Attributes = LEO) -> DesiredAccount:
    return DesiredAccount(name, attributes, None, Origin("m.yaml"))


def rendered(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def slots(**changes: int) -> Slots:
    return Slots(**{"limit": 20, "reserved": 0, "used": 5, "unknown": 0, "planned": 2, **changes})


def test_a_plan_names_what_it_changes_and_counts_the_rest() -> None:
    plan = Plan(
        "default",
        "lineage",
        3,
        slots(used=6, unknown=1, reserved=2),
        (
            Create(desired("berlin", FULL)),
            Create(desired("bern")),
            StillAbandoned("gone", LEO, "given up"),
            Update(desired("lyon"), (FieldChange("company_name", None, "Labé"), FieldChange("first_name", "A", "B"))),
            StillUnknown("oslo", FULL, "no answer", "2026-01-05T00:00:00Z"),
            Unchanged("paris", LEO),
            Unmanaged("rome", LEO),
        ),
    )
    assert """\
default: 6 of 20 slots used (1 unknown), 2 reserved, 2 planned, 10 left
  + create     berlin  Ada       King      Engines
      visits              https://***@h/x?***
      email for inbounds  a@b.c
  + create     bern    Leonardo  Da Vinci
  - abandoned  gone    given up; it keeps its slot; to create it again, give it another name
  ~ update     lyon    2 fields
      company name  (none) -> "Labé"
      first name    "A" -> "B"
  ? unknown    oslo    no answer
      first name    Ada
      last name     King
      company name  Engines
      sent          2 days ago (2026-01-05T00:00:00Z)
  ! unmanaged  rome    exists but is in no manifest; it is not changed
Plan: 2 to create, 1 to update, 1 unchanged, 1 unmanaged, 1 unknown, 1 abandoned.""" == rendered(
        text.plan(plan, View(now=datetime(2026, 1, 7, 0, 1, tzinfo=UTC)))
    )
    compact = rendered(text.plan(plan, View(compact=True)))
    assert (
        "  + create     berlin  Ada       King      Engines (2 callbacks)\n  + create     bern    Leonardo  Da Vinci\n"
        in compact
    )


def test_the_plans_of_several_parents_end_with_their_total() -> None:
    one, other = (Plan(each, None, 0, slots(planned=1), (Create(desired(each)),)) for each in ("acme", "globex"))
    total = "Plan: 2 to create, for all 2 parents."
    assert [total, "Plan digest: d"] == rendered(text.plans((one, other), "d")).splitlines()[-2:]
    assert total not in rendered(text.plans((one,), "d"))


def test_what_does_not_fit_is_marked() -> None:
    plan = Plan("p", None, 0, slots(limit=6), (Create(desired("a")), Create(desired("b"))), over=("b",))
    said = rendered(text.plan(plan)).splitlines()
    assert "p: 5 of 6 slots used, 2 planned, 1 too many" == said[0]
    assert ["  + create     a  Leonardo  Da Vinci", "  x no slot    b  Leonardo  Da Vinci"] == said[1:3]


def test_a_url_is_masked_and_a_difference_in_the_masked_part_is_shown() -> None:
    path = "callbacks.callback_url_for_visits"
    change = FieldChange(path, "https://u:p@h.example/x?t=1", "https://u:p@h.example/x?t=2")
    said = rendered(text.plan(Plan("p", "l", 1, slots(), (Update(desired("a"), (change,)),))))
    assert 'visits  "https://***@h.example/x?***" -> "https://***@h.example/x?***" (the masked part differs)' in said
    assert "1 field\n" in said


def test_no_terminal_control_character_is_printed() -> None:
    assert "a\\x1b[31mb\\u202ec" == printable("a\x1b[31mb\u202ec")
    evil = Plan("p", "l", 1, slots(), (StillUnknown("a\x1b]0;x", LEO, "b\nc"),))
    assert "\x1b" not in rendered(text.plan(evil))
    assert 5 == len(rendered(text.plan(evil)).splitlines())


# ── What life does to an account ─────────────────────────────────────────────

DRIFT = Drift(("first_name", "last_name"), ("company_name",))
HOOK = "callbacks.callback_url_for_visits"
FOUND = "somebody changed it at Octopush"


def test_a_plan_shows_what_is_not_as_it_should_be_and_does_not_change_by_an_apply() -> None:
    plan = Plan(
        "default",
        "lineage",
        3,
        slots(),
        (
            Gone("brest", LEO),
            Unchanged("lyon", LEO),
            Unchanged("nice", LEO, Drift(altered=("first_name",))),
            Unmanaged("oslo", LEO, DRIFT),
            Unmanaged("rome", LEO, Drift(gone=True)),
            Unmanaged("siena", LEO, unfinished=True),
            Unmanaged("turin", LEO, Drift(altered=("first_name",)), unfinished=True),
        ),
    )
    assert """\
default: 5 of 20 slots used, 2 planned, 13 left
  - gone       brest  Octopush no longer knows its login; `provisioner forget brest` frees its slot
  = drift      nice   Octopush altered first_name
  ! unmanaged  oslo   is in no manifest; Octopush altered first_name, last_name; somebody changed \
company_name
  ! unmanaged  rome   is in no manifest; Octopush no longer knows its login
  ! unmanaged  siena  is in no manifest; an earlier edit is unfinished; the next apply finishes it if a manifest \
names the account
  ! unmanaged  turin  is in no manifest; Octopush altered first_name; an earlier edit is unfinished; \
the next apply finishes it if a manifest names the account
Nothing to do: 2 unchanged, 4 unmanaged, 1 gone.""" == rendered(text.plan(plan))


def test_a_plan_shows_an_unfinished_edit_and_a_rename() -> None:
    moved = desired("lyon")
    plan = Plan(
        "p",
        "l",
        3,
        slots(),
        (
            Update(moved, (FieldChange("name", "paris", "lyon"),), "paris"),
            Update(desired("nice"), (), edit=BEGUN),
            Update(desired("oslo"), (), edit=replace(BEGUN, sealed="x")),
        ),
    )
    assert """\
  ~ update     lyon  1 field
      name  "paris" -> "lyon" (nothing is sent)
  ~ update     nice  finishes what an earlier run started
      finishes an edit that was started at 2026-01-05T00:00:00Z by ada@host
  ~ update     oslo  finishes what an earlier run started
      sets a new password, because an edit that was started at 2026-01-05T00:00:00Z by ada@host may have set one
Plan: 3 to update.""" == rendered(text.plan(plan)[1:])


def test_a_create_whose_earlier_name_nobody_has_says_that_nothing_moves() -> None:
    new = replace(desired("lyon"), previously="liyon")
    said = rendered(text.plan(Plan("p", "l", 3, slots(), (Create(new),)))[1:])
    assert "\n      The state has no liyon, its previous name, so nothing moves: this is a new account.\n" in said


def test_a_create_that_resembles_an_account_asks_whether_it_is_that_one() -> None:
    plan = Plan("p", None, 0, slots(), (Create(desired("lyon"), "pa\x1bris"),))
    assert """\
  + create     lyon  Leonardo  Da Vinci
      pa\\x1bris is in no manifest and has the same names. If lyon is its new name,
      write `previously: pa\\x1bris` under lyon; otherwise this is a second account.
Plan: 1 to create.""" == rendered(text.plan(plan)[1:])
    over = replace(plan, over=("lyon",))
    assert ["  x no slot    lyon  Leonardo  Da Vinci"] == [line.text for line in text.plan(over)[1:-1]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (FieldChange("first_name", "A", "B"), 'first name  "A" -> "B"'),
        (FieldChange("company_name", None, "B\x1b"), 'company name  (none) -> "B\\x1b"'),
        (FieldChange("company_name", "A", None), 'company name  "A" -> (none)'),
        (FieldChange("password", None, None), "password  a new one"),
        (FieldChange("password_version", "1", "3"), "password  a new one, for version 3 (was 1)"),
        (
            FieldChange("first_name", None, "B", drifted=True, unseen=True),
            f'first name  (not stored: plan --refresh shows it) -> "B" ({FOUND})',
        ),
        (FieldChange("first_name", None, "B", drifted=True), f'first name  (none) -> "B" ({FOUND})'),
        (FieldChange("first_name", "A", None, drifted=True), f'first name  "A" -> (none) ({FOUND})'),
        (FieldChange("first_name", "***", "${env:B}", drifted=True), f'first name  (masked) -> "${{env:B}}" ({FOUND})'),
        (
            FieldChange(HOOK, "https://h/?a=1", "https://h/?a=2", drifted=True),
            f'visits  "https://h/?***" -> "https://h/?***" ({FOUND}; the masked part differs)',
        ),
    ],
)
def test_a_field_in_one_line(change: FieldChange, said: str) -> None:
    assert [said] == text.aligned([text.field(change)])


def test_an_unexpected_kind_of_change_is_an_internal_error() -> None:
    class Odd:
        name = "odd"
        drift = Drift(gone=True)

    with pytest.raises(AssertionError):
        text.plan(Plan("p", None, 0, slots(), (cast("Change", Odd()),)))


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        (Origin("m.yaml"), "m.yaml: error: wrong"),
        (Origin("m.yaml", 3), "m.yaml:3: error: wrong"),
        (Origin("m.yaml", 3, 7), "m.yaml:3:7: error: wrong"),
        (Origin("t.csv", 4, None, 2), "t.csv:4 (row 2, name): error: wrong"),
    ],
)
def test_the_place_of_a_problem(origin: Origin, place: str) -> None:
    assert f"{place}\n    Mend it." == rendered(text.problem(Problem(origin, "name", "wrong", "Mend it.")))


def test_a_problem_without_path_or_hint() -> None:
    problem = Problem(Origin("t.csv", 4, None, 2), "", "wrong", "", Severity.WARNING)
    assert "t.csv:4 (row 2): warning: wrong" == rendered(text.problem(problem))


def test_the_verdict_of_a_validation() -> None:
    error = Problem(Origin("m"), "", "wrong", "")
    warning = Problem(Origin("m"), "", "odd", "", Severity.WARNING)
    assert "Not valid: 2 problems." == text.verdict([error, error, warning], 0).text
    assert "Valid: 1 account, 1 warning." == text.verdict([warning], 1).text
    assert "Valid: 2 accounts." == text.verdict([], 2).text
