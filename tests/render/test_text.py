from __future__ import annotations

import pytest

from provisioner.errors import ExitCode
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin, Problem, Severity
from provisioner.model.plan import Closed, Create, FieldChange, Plan, Unchanged, Undecided, Unmanaged, Update
from provisioner.model.report import Outcome, Report, Result, Stop
from provisioner.model.state import Abandoned, Active, Operation, Pending, Slots, State, Unknown
from provisioner.render import report, text
from provisioner.render.lines import Line, printable

LEO = Attributes("Leonardo", "Da Vinci")
FULL = Attributes(
    "Ada", "King", "Engines", Callbacks(callback_url_for_visits="https://u:p@h/x?t=1", email_for_inbounds="a@b.c")
)
OPERATION = Operation("op-1", "2026-01-01T00:00:00Z", "ada@host")


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
            Closed("gone", LEO, "given up"),
            Update(desired("lyon"), (FieldChange("company_name", None, "Labé"), FieldChange("first_name", "A", "B"))),
            Undecided("oslo", LEO, "no answer"),
            Unchanged("paris", LEO),
            Unmanaged("rome", LEO),
        ),
    )
    assert """\
default: 6 of 20 slots used (1 unknown), 2 reserved, 2 planned, 10 left
  + create     berlin  Ada King, Engines, 2 callbacks
  - abandoned  gone    keeps its slot; to create it anew, give it another name
  ~ update     lyon    2 fields
      company_name: (none) -> "Labé"
      first_name: "A" -> "B"
  ? unknown    oslo    no answer
  ! unmanaged  rome    exists and is in no manifest; it is left alone
Plan: 1 to create, 1 to update, 1 unchanged, 1 unmanaged, 1 unknown, 1 abandoned.""" == rendered(text.plan(plan))


def test_what_does_not_fit_is_marked() -> None:
    plan = Plan("p", None, 0, slots(limit=6), (Create(desired("a")), Create(desired("b"))), over=("b",))
    said = rendered(text.plan(plan)).splitlines()
    assert "p: 5 of 6 slots used, 2 planned, 1 too many" == said[0]
    assert ["  + create     a  Leonardo Da Vinci", "  x no slot    b  Leonardo Da Vinci"] == said[1:3]


def test_a_plan_with_nothing_to_do_says_so() -> None:
    assert "Nothing to do: 1 unchanged." == text.summary(Plan("p", "l", 1, slots(), (Unchanged("a", LEO),)))
    assert "Nothing to do: no account is wanted." == text.summary(Plan("p", "l", 1, slots(), ()))


def test_a_url_is_masked_and_a_difference_in_the_masked_part_is_told() -> None:
    path = "callbacks.callback_url_for_visits"
    change = FieldChange(path, "https://u:p@h.example/x?t=1", "https://u:p@h.example/x?t=2")
    said = rendered(text.plan(Plan("p", "l", 1, slots(), (Update(desired("a"), (change,)),))))
    assert f'{path}: "https://***@h.example/x?***" -> "https://***@h.example/x?***" (the masked part differs)' in said
    assert "1 field\n" in said


def test_nothing_that_a_terminal_obeys_comes_through() -> None:
    assert "a\\x1b[31mb\\u202ec" == printable("a\x1b[31mb\u202ec")
    evil = Plan("p", "l", 1, slots(), (Undecided("a\x1b]0;x", LEO, "b\nc"),))
    assert "\x1b" not in rendered(text.plan(evil))
    assert 3 == len(rendered(text.plan(evil)).splitlines())


def test_a_report_tells_what_happened_and_groups_what_did_not() -> None:
    this = Report(
        "default",
        (
            Outcome("a", "create", Result.CREATED),
            Outcome("b", "unchanged", Result.UNCHANGED),
            Outcome("c", "create", Result.FAILED, "refused"),
            Outcome("d", "create", Result.UNKNOWN, "no answer"),
            Outcome("e", "create", Result.NOT_ATTEMPTED, "it stopped"),
            Outcome("f", "create", Result.NOT_ATTEMPTED, "it stopped"),
        ),
        Stop(ExitCode.OUTCOME_UNKNOWN, "the outcome of d is unknown", "Look."),
    )
    assert """\
default:
  created        a
  failed         c  refused
  unknown        d  no answer
  not attempted  e, f  it stopped
Done: 1 created, 1 unchanged, 1 failed, 1 unknown, 2 not attempted.
Stopped: the outcome of d is unknown.
  Look.
Unknown: d. It may or may not exist, and is never retried by itself.
  Look for it in Octopush's dashboard; then, for each:
    provisioner resolve NAME --not-created   it is not there: its slot is free again
    provisioner adopt NAME LOGIN             it is there: its login is in the dashboard
    provisioner resolve NAME --abandon       nobody can find out: it keeps its slot""" == rendered(report.text(this))


def test_a_report_of_nothing() -> None:
    assert "p:\nDone: no account is wanted." == rendered(report.text(Report("p", ())))


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


def test_a_status_lists_every_kind_of_record() -> None:
    state = State(
        "lineage",
        "default",
        7,
        accounts={
            "b": Unknown(LEO, OPERATION, "no answer"),
            "a": Active(LEO, OPERATION, "2026-01-02T00:00:00Z", "sealed"),
            "d": Abandoned(LEO, OPERATION, "given up"),
            "c": Pending(LEO, OPERATION),
        },
    )
    assert """\
default: 4 accounts, serial 7
  NAME  STATUS     SINCE                 REASON
  a     active     2026-01-02T00:00:00Z
  b     unknown    2026-01-01T00:00:00Z  no answer
  c     pending    2026-01-01T00:00:00Z  its run has not saved the outcome: it is still at it, or it died
  d     abandoned  2026-01-01T00:00:00Z  given up""" == rendered(text.status("default", state, "s.json"))


def test_a_status_of_nothing() -> None:
    assert "p: there is no state at s.json yet" == rendered(text.status("p", None, "s.json"))
    assert "p: no accounts yet" == rendered(text.status("p", State("l", "p"), "s.json"))
