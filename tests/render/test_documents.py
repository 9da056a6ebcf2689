from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from jsonschema import Draft202012Validator

from provisioner import schemas
from provisioner.errors import ExitCode, StateLocked
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin, Problem, Severity
from provisioner.model.exchange import Balance, Failed, Pack
from provisioner.model.plan import (
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
from provisioner.model.report import Attempt, Outcome, Report, Result, Stop
from provisioner.model.state import Active, Drift, Edit, Operation, Pending, Slots, State, Unknown
from provisioner.model.status import ParentStatus
from provisioner.model.terms import Freeze
from provisioner.model.verdict import Then
from provisioner.render import documents

URL = "https://u:pw@h.example/x?token=t1"
MASKED = "https://***@h.example/x?***"
FULL = Attributes("Ada", "King", "Engines", Callbacks(callback_url_for_visits=URL))
OPERATION = Operation("op-1", "2026-01-01T00:00:00Z", "ada@host")
BEGUN = Edit(Attributes("Ada", "King"), Operation("op-2", "2026-01-05T00:00:00Z", "ada@host"), 1)


def test_a_plan_of_every_kind_of_change_conforms_and_hides_what_urls_carry() -> None:
    account = DesiredAccount("a", FULL, None, Origin("m"))
    fields = (FieldChange("callbacks.callback_url_for_visits", URL, None), FieldChange("company_name", None, "X"))
    changes = (
        Create(account),
        Update(account, fields),
        Unchanged("c", FULL),
        Unmanaged("d", FULL),
        StillUnknown("e", FULL, "no answer"),
        StillAbandoned("f", FULL, "given up"),
    )
    document = documents.plans([Plan("default", "l", 3, Slots(20, 1, 5, 1, 1), changes, ("a",))])
    Draft202012Validator(schemas.load("plan.v1")).validate(document)
    (plan,) = document["plans"]
    assert ["create", "update", "unchanged", "unmanaged", "unknown", "abandoned"] == [
        each["action"] for each in plan["changes"]
    ]
    assert {"create": 1, "update": 1, "unchanged": 1, "unmanaged": 1, "unknown": 1} == plan["summary"]
    assert [
        {"path": "callbacks.callback_url_for_visits", "before": MASKED, "after": None, "masked": True},
        {"path": "company_name", "before": None, "after": "X"},
    ] == plan["changes"][1]["fields"]
    assert "t1" not in json.dumps(document)
    assert "pw" not in json.dumps(document)


def test_the_documents_have_the_shapes_that_others_build_on() -> None:
    this = Report("default", (Outcome("paris", "create", Result.CREATED),))
    assert {
        "version": 1,
        "reports": [
            {
                "parent": "default",
                "outcomes": [{"name": "paris", "action": "create", "status": "created", "reason": None}],
            }
        ],
    } == documents.reports([this])
    assert {
        "version": 1,
        "error": {"code": 6, "name": "StateLocked", "message": "held", "hint": "wait"},
    } == documents.error(StateLocked("held", hint="wait"))


def test_warnings_stand_apart_from_problems() -> None:
    error = Problem(Origin("m.yaml", 2, 3), "accounts[0].name", "wrong", "mend")
    note = Problem(Origin("t.csv", 2, None, 1), "name", "odd", "look", Severity.NOTE)
    shown = {
        "file": "m.yaml",
        "line": 2,
        "column": 3,
        "row": None,
        "path": "accounts[0].name",
        "message": "wrong",
        "hint": "mend",
    }
    document = documents.problems([error, note])
    assert (False, [shown]) == (document["valid"], document["problems"])
    assert (1, "t.csv") == (document["warnings"][0]["row"], document["warnings"][0]["file"])
    assert documents.problems([note])["valid"] is True


# ── What life does to an account ─────────────────────────────────────────────

LEO = Attributes("Leonardo", "Da Vinci")
DRIFT = Drift(("first_name",), ("last_name",))


def test_a_plan_of_what_life_does_conforms() -> None:
    account = DesiredAccount("a", LEO, None, Origin("m"))
    name, drifted = FieldChange("name", "b", "a"), FieldChange("last_name", None, "Da Vinci", drifted=True)
    version = FieldChange("password_version", "1", "2")
    changes = (
        Create(account, "z"),
        Create(replace(account, previously="y")),
        Update(account, (name, drifted, version), "b", edit=replace(BEGUN, sealed="x")),
        Update(account, (), edit=BEGUN),
        Gone("c", LEO),
        Unchanged("d", LEO, DRIFT),
        Unmanaged("e", LEO, Drift(gone=True)),
        Unmanaged("f", LEO, unfinished=True),
    )
    document = documents.plans([Plan("default", "l", 3, Slots(20, 1, 5, 1, 1), changes)])
    Draft202012Validator(schemas.load("plan.v1")).validate(document)
    names = {"first_name": "Leonardo", "last_name": "Da Vinci"}
    assert [
        {"action": "create", "name": "a", "attributes": names, "resembles": "z"},
        {"action": "create", "name": "a", "attributes": names, "previously": "y"},
        {
            "action": "update",
            "name": "a",
            "attributes": names,
            "fields": [
                {"path": "name", "before": "b", "after": "a"},
                {"path": "last_name", "before": None, "after": "Da Vinci", "drifted": True},
                {"path": "password_version", "before": "1", "after": "2"},
            ],
            "unfinished": True,
            "begun": {"started_at": "2026-01-05T00:00:00Z", "by": "ada@host", "password": True},
        },
        {
            "action": "update",
            "name": "a",
            "attributes": names,
            "fields": [],
            "unfinished": True,
            "begun": {"started_at": "2026-01-05T00:00:00Z", "by": "ada@host", "password": False},
        },
        {"action": "gone", "name": "c", "attributes": names, "reason": "Octopush no longer knows its login"},
        {
            "action": "unchanged",
            "name": "d",
            "attributes": names,
            "drift": {"altered": ["first_name"], "changed": ["last_name"], "gone": False},
        },
        {
            "action": "unmanaged",
            "name": "e",
            "attributes": names,
            "drift": {"altered": [], "changed": [], "gone": True},
        },
        {"action": "unmanaged", "name": "f", "attributes": names, "unfinished": True},
    ] == document["plans"][0]["changes"]


# ── Reports and states ───────────────────────────────────────────────────────

HOOK = "callbacks.callback_url_for_visits"
FIELDS = (
    FieldChange("first_name", "Leo\x1b", "Leonardo"),
    FieldChange("company_name", None, "X"),
    FieldChange(HOOK, "https://u:pw@h.example/x?token=t1", "https://u:pw@h.example/x?token=t2"),
)


def test_a_report_of_every_result_conforms_and_hides_what_urls_carry() -> None:
    outcomes = tuple(Outcome(f"a-{number}", "update", result) for number, result in enumerate(Result))
    told = Outcome("b", "refresh", Result.DRIFTED, "why", (*FIELDS, FieldChange("last_name", "A", "B", drifted=True)))
    document = documents.reports([Report("default", (*outcomes, told), Stop(ExitCode.FAILURE, "no"))])
    Draft202012Validator(schemas.load("report.v1")).validate(document)
    *plain, last = document["reports"][0]["outcomes"]
    assert all({"name", "action", "status", "reason"} == each.keys() for each in plain)
    assert [result.value for result in Result] == [each["status"] for each in plain]
    masked = "https://***@h.example/x?***"
    assert {
        "name": "b",
        "action": "refresh",
        "status": "drifted",
        "reason": "why",
        "fields": [
            {"path": "first_name", "before": "Leo\x1b", "after": "Leonardo"},
            {"path": "company_name", "before": None, "after": "X"},
            {"path": HOOK, "before": masked, "after": masked, "masked": True, "remark": "the masked part differs"},
            {"path": "last_name", "before": "A", "after": "B", "drifted": True},
        ],
    } == last
    assert "t1" not in json.dumps(document)
    assert "pw" not in json.dumps(document)


def test_an_unknown_has_the_same_members_in_plan_report_and_status() -> None:
    since = {"attributes": LEO.shown(), "since": OPERATION.started_at}
    this = Unknown(LEO, OPERATION, "?")
    told = Outcome("a", "create", Result.UNKNOWN, "?", attempt=Attempt(LEO, OPERATION.started_at))
    found = (
        documents.plans(
            [Plan("p", "l", 1, Slots(20, 0, 1, 1, 0), (StillUnknown("a", LEO, "?", OPERATION.started_at),))]
        )["plans"][0]["changes"],
        documents.reports([Report("p", (told,))])["reports"][0]["outcomes"],
        documents.states([ParentStatus("p", "s", State("l", "p", 1, accounts={"a": this}), 20, 0)])["states"][0][
            "accounts"
        ],
    )
    assert [since] * 3 == [{key: each[key] for key in since} for (each,) in found]
    Draft202012Validator(schemas.load("report.v1")).validate(documents.reports([Report("p", (told,))]))


def test_a_report_of_a_parent_that_failed_says_why() -> None:
    failure = StateLocked("held", hint="wait")
    document = documents.reports([Report("acme", (), failure=failure), Report("default", ())])
    Draft202012Validator(schemas.load("report.v1")).validate(document)
    assert [
        {"parent": "acme", "outcomes": [], "error": documents.error(failure)["error"]},
        {"parent": "default", "outcomes": []},
    ] == document["reports"]


def test_the_error_of_a_report_has_the_shape_of_any_other() -> None:
    ours = schemas.load("report.v1")["properties"]["reports"]["items"]["properties"]["error"]
    theirs = schemas.load("error.v1")["properties"]["error"]
    assert theirs["required"] == ours["required"]
    for name, other in theirs["properties"].items():
        kept = {key: ours["properties"][name].get(key) for key in ("enum", "type", "pattern", "minLength")}
        assert kept == {key: other.get(key) for key in kept}


def test_a_status_says_when_and_why() -> None:
    accounts = {"b": Pending(LEO, OPERATION), "a": Active(LEO, OPERATION, "T", "s"), "c": Unknown(LEO, OPERATION, "?")}
    state = State("l", "p", 4, accounts=accounts)
    made = {"attributes": LEO.shown()}
    (first, none) = documents.states(
        [
            ParentStatus("p", "state/p.json", state, 20, 1),
            ParentStatus("q", "state/q.json", None, 20, 0, Freeze("2026-12-31", "moves")),
        ]
    )["states"]
    assert [
        {"name": "a", "status": "active", "created_at": "T", "reason": None} | made,
        {"name": "b", "status": "pending", "created_at": None, "reason": Pending(LEO, OPERATION).reason} | made,
        {"name": "c", "status": "unknown", "created_at": None, "reason": "?", "since": OPERATION.started_at} | made,
    ] == first["accounts"]
    assert {"limit": 20, "reserved": 1, "used": 3, "unknown": 2, "planned": 0, "left": 16} == first["slots"]
    assert (20, []) == (none.pop("slots")["left"], none.pop("accounts"))
    assert {"until": "2026-12-31", "reason": "moves"} == none.pop("frozen")
    assert {"parent": "q", "address": "state/q.json", "lineage": None, "serial": 0} == none


def test_a_status_with_balances_says_what_is_left_or_why_that_is_not_known() -> None:
    active = Active(LEO, OPERATION, "T", "s")
    state = State("l", "p", 4, accounts=dict.fromkeys("abc", active))
    packs = (Pack(12.5, datetime(2030, 10, 23, 13, 41, 46, tzinfo=timezone(timedelta(hours=2)))),)
    balances = {"a": Balance(12.5, "euros", packs), "b": Failed("HTTP 500", Then.GO_ON)}
    document = documents.states([ParentStatus("p", "state/p.json", state, 20, 0, balances=balances)])
    Draft202012Validator(schemas.load("status.v1")).validate(document)
    assert [
        (
            {
                "amount": 12.5,
                "unit": "euros",
                "packs": [{"credit": 12.5, "expires_at": "2030-10-23T11:41:46Z"}],
            },
            None,
        ),
        (None, "its balance could not be read: HTTP 500"),
        (None, None),
    ] == [(each["balance"], each["reason"]) for each in document["states"][0]["accounts"]]
