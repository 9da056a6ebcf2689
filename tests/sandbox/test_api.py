"""The four calls: what they answer, correct and refuse."""

from __future__ import annotations

import re

import pytest
import requests

from provisioner.model.account import Callbacks, Secret
from provisioner.sandbox import Sandbox, SandboxParent
from tests.sandbox.calls import (
    ACME,
    AS_ACME,
    AS_UMBRELLA,
    LEONARDO,
    OLD,
    PARENT,
    TIMEOUT,
    UMBRELLA,
    URLS,
    balance,
    create,
    credentials_of,
    edit,
    mixed,
    read,
    running,
    stored,
)


def test_create_answers_the_credentials_and_read_answers_another_shape(sandbox: Sandbox) -> None:
    created = create(sandbox, company_name="Italy", callbacks={**URLS, "email_for_inbounds": "sms@example.com"})
    assert created.status_code == 201
    credentials = created.json()
    assert credentials.keys() == {"api_key", "api_login"}
    assert re.fullmatch(r"[a-z]{3}_[0-9a-f]{3}@sub-accounts\.com", credentials["api_login"])

    answer = read(sandbox, credentials["api_login"])
    assert answer.status_code == 200
    assert answer.json() == {
        "first_name": "Leonardo",
        "last_name": "Da Vinci",
        "company_name": "Italy",
        "api_key": credentials["api_key"],
        "callback": {**URLS, "email": "sms@example.com"},
    }


def test_what_is_not_set_reads_back_as_null(sandbox: Sandbox) -> None:
    answer = read(sandbox, create(sandbox).json()["api_login"]).json()
    assert answer["company_name"] is None
    assert answer["callback"] == {**dict.fromkeys(URLS), "email": None}


def test_a_login_may_be_percent_encoded(sandbox: Sandbox) -> None:
    login = create(sandbox).json()["api_login"]
    quoted = login.replace("@", "%40")
    assert quoted != login
    assert 201 == edit(sandbox, quoted, first_name="Lisa").status_code
    answer = read(sandbox, quoted)
    assert (200, "Lisa") == (answer.status_code, answer.json()["first_name"])


def test_logins_and_keys_are_unique(sandbox: Sandbox) -> None:
    answers = [create(sandbox).json() for _ in range(20)]
    assert len({each["api_login"] for each in answers}) == 20
    assert len({each["api_key"] for each in answers}) == 20


def test_edit_keeps_what_it_does_not_name_and_replaces_callbacks_as_a_whole(sandbox: Sandbox) -> None:
    login = create(sandbox, company_name="Italy", callbacks=URLS).json()["api_login"]
    visits = {"callback_url_for_visits": "https://new.example.com/"}
    answer = edit(sandbox, login, first_name="Lisa", callbacks=visits)
    assert (answer.status_code, answer.json()) == (201, {})
    (account,) = sandbox.accounts
    assert (account.first_name, account.last_name, account.company_name) == ("Lisa", "Da Vinci", "Italy")
    assert account.password.reveal() == LEONARDO["password"]
    assert account.callbacks == Callbacks(**visits)


@pytest.mark.parametrize("company", [None, ""])
def test_edit_forgets_a_company_that_is_null_or_empty(sandbox: Sandbox, company: str | None) -> None:
    login = create(sandbox, company_name="Italy").json()["api_login"]
    edit(sandbox, login, company_name=company)
    assert sandbox.accounts[0].company_name is None


@pytest.mark.parametrize("name", OLD["callbacks"])
def test_edit_clears_a_callback_that_is_null(sandbox: Sandbox, name: str) -> None:
    login = create(sandbox, **OLD).json()["api_login"]
    assert 201 == edit(sandbox, login, callbacks={**OLD["callbacks"], name: None}).status_code
    assert mixed(name, {"callbacks": {}}, OLD) == stored(sandbox)
    answer = read(sandbox, login).json()["callback"]
    assert answer["email" if name == "email_for_inbounds" else name] is None


def test_edit_clears_every_callback_that_is_null(sandbox: Sandbox) -> None:
    login = create(sandbox, **OLD).json()["api_login"]
    edit(sandbox, login, callbacks=dict.fromkeys(OLD["callbacks"]))
    assert {**OLD, "callbacks": {}} == stored(sandbox)


def test_balance_is_for_the_parent_and_for_each_sub_account(sandbox: Sandbox) -> None:
    credentials = create(sandbox).json()
    own = {"api-login": credentials["api_login"], "api-key": credentials["api_key"]}
    assert balance(sandbox, PARENT).json() == {"amount": 12.54, "unit": "euros"}
    assert balance(sandbox, own).json() == {"amount": 0.0, "unit": "euros"}
    assert balance(sandbox, PARENT, "?with_details=true").json().keys() == {"amount", "unit", "wallet_packs"}
    assert balance(sandbox, own | {"api-key": "wrong"}).status_code == 401


def test_a_sub_account_may_not_do_what_is_its_parents(sandbox: Sandbox) -> None:
    credentials = create(sandbox).json()
    own = {"api-login": credentials["api_login"], "api-key": credentials["api_key"]}
    answer = requests.post(f"{sandbox.url}/subaccount/create", json=LEONARDO, headers=own, timeout=TIMEOUT)
    assert answer.status_code == 403
    assert len(sandbox.accounts) == 1


@pytest.mark.parametrize("headers", [{}, PARENT | {"api-key": "wrong"}, PARENT | {"api-login": "wrong"}])
def test_wrong_credentials_are_refused(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = requests.post(f"{sandbox.url}/subaccount/create", json=LEONARDO, headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 401
    assert answer.json().keys() == {"code", "message"}
    assert sandbox.accounts == ()


def test_the_account_over_the_limit_is_refused() -> None:
    with running(limit=2) as sandbox:
        answers = [create(sandbox) for _ in range(3)]
    assert [each.status_code for each in answers] == [201, 201, 400]
    assert "limit" in answers[-1].json()["message"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"first_name": "Léo<nar>;do"}, {"first_name": "Léonardo"}),
        ({"last_name": 1503}, {"last_name": "1503"}),
        ({"last_name": True}, {"last_name": "1"}),
        ({"last_name": ["Da", "Vinci"]}, {"last_name": ""}),
        ({"company_name": {"no": "text"}}, {"company_name": None}),
        ({"callbacks": "https://x.example"}, {"callback": {**dict.fromkeys(URLS), "email": None}}),
        (
            {"callbacks": {"callback_url_for_visits": "no url", "email_for_inbounds": "no address"}},
            {"callback": {**dict.fromkeys(URLS), "email": None}},
        ),
        ({"unknown": 1}, LEONARDO),
    ],
)
def test_incorrect_values_are_corrected_silently(
    sandbox: Sandbox, given: dict[str, object], stored: dict[str, object]
) -> None:
    created = create(sandbox, **given)
    assert created.status_code == 201
    answer = read(sandbox, created.json()["api_login"]).json()
    assert {name: answer[name] for name in stored if name != "password"} == {
        name: value for name, value in stored.items() if name != "password"
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/public/subaccount/abc_1f2@sub-accounts.com", b"", 404),
        ("PATCH", "/v1/public/subaccount/abc_1f2@sub-accounts.com/edit", b"{}", 404),
        ("GET", "/v1/public/subaccounts", b"", 404),
        ("POST", "/v2/public/subaccount/create", b"{}", 404),
        ("GET", "/v1/public/subaccount/create", b"", 405),
        ("PUT", "/v1/public/subaccount/create", b"{}", 405),
        ("DELETE", "/v1/public/subaccount/abc_1f2@sub-accounts.com", b"", 405),
        ("POST", "/v1/public/subaccount/create", b"", 400),
        ("POST", "/v1/public/subaccount/create", b"\xff", 400),
        ("POST", "/v1/public/subaccount/create", b"[" * 60_000, 400),
        ("POST", "/v1/public/subaccount/create", b"[]", 400),
        ("POST", "/v1/public/subaccount/create", b'{"first_name": "Leonardo"}', 400),
        ("POST", "/v1/public/subaccount/create", b" " * 2**20, 413),
    ],
)
def test_a_refusal_has_a_code_and_a_message(sandbox: Sandbox, method: str, path: str, body: bytes, status: int) -> None:
    url = sandbox.url.removesuffix("/v1/public") + path
    answer = requests.request(method, url, data=body, headers=PARENT, timeout=TIMEOUT)
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message"}
    assert ("Allow" in answer.headers) == (status == 405)
    assert sandbox.accounts == ()


# ── Several parents ──────────────────────────────────────────────────────────


def test_each_parent_has_its_own_accounts_and_its_own_limit(several: Sandbox) -> None:
    for headers, statuses in ((AS_ACME, [201, 201, 400]), (AS_UMBRELLA, [201, 400])):
        assert statuses == [create(several, headers).status_code for _ in statuses]
    assert [ACME.api_login, ACME.api_login, UMBRELLA.api_login] == [each.parent for each in several.accounts]


def test_a_parent_does_not_reach_what_is_not_its_own(several: Sandbox) -> None:
    login = create(several, AS_ACME).json()["api_login"]
    assert (200, 201) == (read(several, login, AS_ACME).status_code, edit(several, login, AS_ACME).status_code)
    before = several.accounts
    for stranger in (login, "abc_1f2@sub-accounts.com", UMBRELLA.api_login):
        for answer in (
            read(several, stranger, AS_UMBRELLA),
            edit(several, stranger, AS_UMBRELLA, first_name="Lisa"),
        ):
            assert (404, 210) == (answer.status_code, answer.json()["code"])
    assert before == several.accounts


def test_a_parent_is_not_accepted_with_the_key_of_another(several: Sandbox) -> None:
    own = credentials_of(create(several, AS_ACME))
    for key in (UMBRELLA.api_key.reveal(), own["api-key"], ""):
        assert 401 == balance(several, AS_ACME | {"api-key": key}).status_code


def test_a_sub_account_of_any_parent_has_a_balance(several: Sandbox) -> None:
    for headers in (AS_ACME, AS_UMBRELLA):
        own = credentials_of(create(several, headers))
        assert (200, 0.0) == (balance(several, own).status_code, balance(several, own).json()["amount"])
        assert 403 == create(several, own).status_code


def test_without_another_parent_there_is_one(sandbox: Sandbox) -> None:
    assert 401 == create(sandbox, AS_ACME).status_code


def test_a_thousand_parents_are_served_like_one() -> None:
    parents = tuple(SandboxParent(f"parent-{number}", Secret(f"key-{number}"), 1) for number in range(1000))
    with running(parents=parents) as sandbox:
        for number in (0, 499, 999):
            headers = {"api-login": f"parent-{number}", "api-key": f"key-{number}"}
            assert [201, 400] == [create(sandbox, headers).status_code for _ in range(2)]
