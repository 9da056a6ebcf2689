"""The dashboard: accounts are listed, changed and deleted by hand."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from provisioner.sandbox import Sandbox
from tests.sandbox.calls import (
    ACME,
    AS_ACME,
    AS_UMBRELLA,
    NEW,
    OLD,
    PARENT,
    TIMEOUT,
    UMBRELLA,
    balance,
    by_hand,
    create,
    edit,
    read,
    running,
    stored,
)


def test_the_dashboard_is_where_it_is_said_to_be(sandbox: Sandbox) -> None:
    login = create(sandbox).json()["api_login"]
    (account,) = requests.get(sandbox.dashboard, timeout=TIMEOUT).json()
    assert login == account["api_login"]
    assert requests.delete(f"{sandbox.dashboard}/{login}", timeout=TIMEOUT).ok
    assert () == sandbox.accounts


UNKNOWN = "abc_1f2@sub-accounts.com"


def test_the_accounts_are_listed_the_oldest_first_without_a_secret(sandbox: Sandbox) -> None:
    assert [] == by_hand(sandbox, "GET", "accounts").json()
    first = create(sandbox, **OLD).json()
    second = create(sandbox).json()
    edit(sandbox, first["api_login"], first_name="Lisa")
    answer = by_hand(sandbox, "GET", "accounts")
    assert 200 == answer.status_code
    assert [
        {
            "parent": PARENT["api-login"],
            "api_login": first["api_login"],
            "first_name": "Lisa",
            "last_name": "Da Vinci",
            "company_name": "Italy",
            "callbacks": OLD["callbacks"],
        },
        {
            "parent": PARENT["api-login"],
            "api_login": second["api_login"],
            "first_name": "Leonardo",
            "last_name": "Da Vinci",
            "company_name": None,
            "callbacks": {},
        },
    ] == answer.json()


def test_an_account_deleted_by_hand_is_gone() -> None:
    with running(limit=2) as sandbox:
        first, second = (create(sandbox).json() for _ in range(2))
        own = {"api-login": first["api_login"], "api-key": first["api_key"]}
        assert (200, 400) == (balance(sandbox, own).status_code, create(sandbox).status_code)
        answer = by_hand(sandbox, "DELETE", f"accounts/{first['api_login']}")
        assert (200, {}) == (answer.status_code, answer.json())
        assert [second["api_login"]] == [each["api_login"] for each in by_hand(sandbox, "GET", "accounts").json()]
        assert 404 == read(sandbox, first["api_login"]).status_code
        assert 404 == edit(sandbox, first["api_login"], first_name="Lisa").status_code
        assert 401 == balance(sandbox, own).status_code
        assert 404 == by_hand(sandbox, "DELETE", f"accounts/{first['api_login']}").status_code
        assert 404 == by_hand(sandbox, "PATCH", f"accounts/{first['api_login']}", {}).status_code
        assert [201, 400] == [create(sandbox).status_code for _ in range(2)]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"first_name": "Li<sa>", "last_name": ""},
        {"company_name": None},
        {"company_name": "   #1   "},
        {"company_name": ""},
        {"callbacks": {}},
        NEW,
    ],
)
def test_what_is_set_by_hand_is_stored_exactly(sandbox: Sandbox, given: dict[str, Any]) -> None:
    login = create(sandbox, **OLD).json()["api_login"]
    given = {name: value for name, value in given.items() if name != "password"}
    answer = by_hand(sandbox, "PATCH", f"accounts/{login}", given)
    expected = OLD | {name: value for name, value in given.items() if value != {}}
    assert expected == stored(sandbox)
    assert 200 == answer.status_code
    assert by_hand(sandbox, "GET", "accounts").json() == [answer.json()]


def test_callbacks_set_by_hand_are_merged_and_null_clears(sandbox: Sandbox) -> None:
    login = create(sandbox, **OLD).json()["api_login"]
    given = {"callback_url_for_visits": None, "callback_url_for_inbounds": "no url", "email_for_inbounds": ""}
    answer = by_hand(sandbox, "PATCH", f"accounts/{login}", {"callbacks": given})
    expected = {name: value for name, value in {**OLD["callbacks"], **given}.items() if value is not None}
    assert expected == answer.json()["callbacks"]
    assert {**OLD, "callbacks": expected} == stored(sandbox)


@pytest.mark.parametrize("key", ["another", "", "clé", "\ud800", "with space\n"])
def test_a_key_replaced_by_hand_is_told_and_the_old_one_is_worthless(sandbox: Sandbox, key: str) -> None:
    credentials = create(sandbox).json()
    login = credentials["api_login"]
    answer = by_hand(sandbox, "PATCH", f"accounts/{login}", {"api_key": key})
    assert (200, False) == (answer.status_code, "api_key" in answer.json())
    assert key == read(sandbox, login).json()["api_key"]
    assert 401 == balance(sandbox, {"api-login": login, "api-key": credentials["api_key"]}).status_code


def test_a_key_replaced_by_hand_is_accepted(sandbox: Sandbox) -> None:
    login = create(sandbox).json()["api_login"]
    by_hand(sandbox, "PATCH", f"accounts/{login}", {"api_key": "another"})
    assert 200 == balance(sandbox, {"api-login": login, "api-key": "another"}).status_code


@pytest.mark.parametrize(
    "given",
    [
        [],
        None,
        {"unknown": "x"},
        {"password": "x"},
        {"api_login": "x"},
        {"parent": "x"},
        {"callback": {}},
        {"first_name": None},
        {"last_name": 1},
        {"company_name": False},
        {"api_key": None},
        {"callbacks": None},
        {"callbacks": "x"},
        {"callbacks": {"email": "a@example.com"}},
        {"callbacks": {"email_for_inbounds": 1}},
    ],
)
def test_what_cannot_be_set_by_hand_is_refused_and_nothing_is_changed(sandbox: Sandbox, given: object) -> None:
    login = create(sandbox, **OLD).json()["api_login"]
    before = sandbox.accounts
    document = {"first_name": "Lisa", **given} if isinstance(given, dict) else given
    answer = by_hand(sandbox, "PATCH", f"accounts/{login}", document)
    assert 400 == answer.status_code
    assert {"code", "message"} == answer.json().keys()
    assert before == sandbox.accounts


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("DELETE", f"accounts/{UNKNOWN}", 404, None),
        ("PATCH", f"accounts/{UNKNOWN}", 404, None),
        ("GET", f"accounts/{UNKNOWN}", 405, "PATCH, DELETE"),
        ("POST", "accounts", 405, "GET"),
        ("DELETE", "requests", 405, "GET"),
        ("GET", "", 404, None),
        ("GET", "account", 404, None),
    ],
)
def test_the_dashboard_refuses_like_the_api(
    sandbox: Sandbox, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = by_hand(sandbox, method, path, {})
    assert (status, allow) == (answer.status_code, answer.headers.get("Allow"))
    assert {"code", "message"} == answer.json().keys()
    assert () == sandbox.requests


def test_a_login_may_be_percent_encoded_by_hand(sandbox: Sandbox) -> None:
    quoted = create(sandbox).json()["api_login"].replace("@", "%40")
    assert "Lisa" == by_hand(sandbox, "PATCH", f"accounts/{quoted}", {"first_name": "Lisa"}).json()["first_name"]
    assert 200 == by_hand(sandbox, "DELETE", f"accounts/{quoted}").status_code
    assert () == sandbox.accounts


def test_what_is_done_by_hand_is_neither_counted_nor_told_nor_struck() -> None:
    faults = (f"500@1{end}" for end in ("", ":read", ":edit", ":balance"))
    with running("ignored@2:edit", *faults) as sandbox:
        for _ in range(2):
            create(sandbox)
        login = sandbox.accounts[0].api_login
        assert 200 == by_hand(sandbox, "PATCH", f"accounts/{login}", {"first_name": "Lisa"}).status_code
        assert 200 == by_hand(sandbox, "GET", "accounts").status_code
        assert ["/v1/public/subaccount/create"] * 2 == [each.path for each in sandbox.requests]
        assert [500, 201, 201] == [edit(sandbox, login, last_name=name).status_code for name in "abc"]
        assert ("Lisa", "c") == (sandbox.accounts[0].first_name, sandbox.accounts[0].last_name)
        assert 200 == by_hand(sandbox, "DELETE", f"accounts/{login}").status_code
        assert [1, 2, 3, 4, 5] == [each["n"] for each in by_hand(sandbox, "GET", "requests").json()]


def test_one_connection_brings_many_calls_by_hand(sandbox: Sandbox) -> None:
    accounts = sandbox.url.replace("/v1/public", "/sandbox/accounts")
    with requests.Session() as session:
        for _ in range(3):
            login = create(sandbox).json()["api_login"]
            session.patch(f"{accounts}/{login}", json={"first_name": 1}, timeout=TIMEOUT)
            session.patch(f"{accounts}/{login}", json={"first_name": "Lisa"}, timeout=TIMEOUT)
            assert ["Lisa"] == [each["first_name"] for each in session.get(accounts, json={}, timeout=TIMEOUT).json()]
            assert 200 == session.delete(f"{accounts}/{login}", json={}, timeout=TIMEOUT).status_code


def test_the_accounts_of_all_parents_are_listed_changed_and_deleted(several: Sandbox) -> None:
    logins = [create(several, headers).json()["api_login"] for headers in (AS_ACME, AS_UMBRELLA)]
    owners = [(ACME.api_login, logins[0]), (UMBRELLA.api_login, logins[1])]
    listed = by_hand(several, "GET", "accounts").json()
    assert owners == [(each["parent"], each["api_login"]) for each in listed]
    assert ["acme@example.com", "umbrella"] == [
        by_hand(several, "PATCH", f"accounts/{login}", {"first_name": "Lisa"}).json()["parent"] for login in logins
    ]
    assert 400 == create(several, AS_UMBRELLA).status_code
    assert [200, 200] == [by_hand(several, "DELETE", f"accounts/{login}").status_code for login in logins]
    assert 201 == create(several, AS_UMBRELLA).status_code
