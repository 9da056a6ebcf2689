from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

import pytest
from jsonschema import Draft202012Validator

from provisioner import schemas
from provisioner.errors import StateLocked
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin, Problem, Severity
from provisioner.model.plan import (
    Change,
    Closed,
    Create,
    FieldChange,
    Gone,
    Plan,
    Unchanged,
    Undecided,
    Unmanaged,
    Update,
)
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import Drift, Operation, Slots
from provisioner.render import documents, report

URL = "https://u:pw@h.example/x?token=t1"
MASKED = "https://***@h.example/x?***"
FULL = Attributes("Ada", "King", "Engines", Callbacks(callback_url_for_visits=URL))
OPERATION = Operation("op-1", "2026-01-01T00:00:00Z", "ada@host")


def test_a_plan_of_every_kind_of_change_conforms_and_hides_what_urls_carry() -> None:
    account = DesiredAccount("a", FULL, None, Origin("m"))
    fields = (FieldChange("callbacks.callback_url_for_visits", URL, None), FieldChange("company_name", None, "X"))
    changes = (
        Create(account),
        Update(account, fields),
        Unchanged("c", FULL),
        Unmanaged("d", FULL),
        Undecided("e", FULL, "no answer"),
        Closed("f", FULL, "given up"),
    )
    document = documents.plans([Plan("default", "l", 3, Slots(20, 1, 5, 1, 1), changes, ("a",))])
    Draft202012Validator(schemas.load("plan.v1")).validate(document)
    (plan,) = document["plans"]
    assert ["create", "update", "unchanged", "unmanaged", "unknown", "abandoned"] == [
        each["action"] for each in plan["changes"]
    ]
    assert {"create": 1, "update": 1, "unchanged": 1, "unmanaged": 1, "unknown": 1} == plan["summary"]
    assert [
        {"path": "callbacks.callback_url_for_visits", "before": MASKED, "after": None},
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
    } == report.document([this])
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
        Update(account, (name, drifted, version), "b", unfinished=True),
        Update(account, (), unfinished=True),
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
        },
        {"action": "update", "name": "a", "attributes": names, "fields": [], "unfinished": True},
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


def test_a_change_of_no_known_kind_is_a_defect() -> None:
    class Odd:
        attributes = LEO
        name = "odd"

    with pytest.raises(AssertionError):
        documents.action(cast("Change", Odd()))
