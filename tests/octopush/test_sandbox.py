"""The sandbox over real sockets: what it answers, what it keeps, and every fault to order."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest
import requests

from provisioner.errors import CommandInvalid, SettingInvalid
from provisioner.model.account import Callbacks
from provisioner.octopush.faults import FAULT_HELP, FIELDS, KINDS, Endpoint, parse_fault
from provisioner.octopush.sandbox import Sandbox, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARENT = {"api-login": Settings().api_login, "api-key": Settings().api_key.reveal()}
LEONARDO = {"first_name": "Leonardo", "last_name": "Da Vinci", "password": "Gioconda-1503"}
URLS = {
    "callback_url_for_deliveries": "https://hooks.example.com/dlr",
    "callback_url_for_blacklisted_numbers": "https://hooks.example.com/stop",
    "callback_url_for_visits": "https://hooks.example.com/visit",
    "callback_url_for_inbounds": "https://hooks.example.com/mo",
}
OLD: dict[str, Any] = {
    **LEONARDO,
    "company_name": "Italy",
    "callbacks": {**URLS, "email_for_inbounds": "a@example.com"},
}
NEW: dict[str, Any] = {
    "first_name": "Lisa",
    "last_name": "Gherardini",
    "company_name": "France",
    "password": "Louvre-1797",
    "callbacks": {name: f"new-{value}" if "@" in value else f"{value}/new" for name, value in OLD["callbacks"].items()},
}
TIMEOUT = 5


@contextmanager
def running(*faults: str, **settings: Any) -> Iterator[Sandbox]:  # noqa: ANN401 - each setting has its own type
    with Sandbox(Settings(faults=tuple(map(parse_fault, faults)), **settings)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


class Addressed(Protocol):
    """A sandbox, in this process or another."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Remote:
    url: str


def create(sandbox: Addressed, **changes: object) -> requests.Response:
    url = f"{sandbox.url}/subaccount/create"
    return requests.post(url, json=LEONARDO | changes, headers=PARENT, timeout=TIMEOUT, allow_redirects=False)


def read(sandbox: Addressed, login: str) -> requests.Response:
    return requests.get(f"{sandbox.url}/subaccount/{login}", headers=PARENT, timeout=TIMEOUT)


def edit(sandbox: Addressed, login: str, **document: object) -> requests.Response:
    return requests.patch(f"{sandbox.url}/subaccount/{login}/edit", json=document, headers=PARENT, timeout=TIMEOUT)


def balance(sandbox: Addressed, headers: dict[str, str], query: str = "") -> requests.Response:
    return requests.get(f"{sandbox.url}/wallet/check-balance{query}", headers=headers, timeout=TIMEOUT)


def by_hand(sandbox: Addressed, method: str, path: str, document: object = None) -> requests.Response:
    """Do what the API has no call for, without credentials."""
    url = sandbox.url.replace("/v1/public", f"/sandbox/{path}")
    return requests.request(method, url, json=document, timeout=TIMEOUT)


def test_the_dashboard_is_where_it_is_said_to_be(sandbox: Sandbox) -> None:
    login = create(sandbox).json()["api_login"]
    (account,) = requests.get(sandbox.dashboard, timeout=TIMEOUT).json()
    assert login == account["api_login"]
    assert requests.delete(f"{sandbox.dashboard}/{login}", timeout=TIMEOUT).ok
    assert () == sandbox.accounts


def connected(sandbox: Addressed) -> socket.socket:
    parts = urlsplit(sandbox.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)


def create_bytes(body: bytes = json.dumps(LEONARDO).encode()) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in PARENT.items())
    return f"POST /v1/public/subaccount/create HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def raw_create(sandbox: Addressed) -> bytes:
    """Everything that comes back until the server ends the connection."""
    with connected(sandbox) as connection:
        connection.sendall(create_bytes())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def stored(sandbox: Sandbox) -> dict[str, Any]:
    """The only account, as it would be asked for."""
    (account,) = sandbox.accounts
    return {
        "first_name": account.first_name,
        "last_name": account.last_name,
        "company_name": account.company_name,
        "password": account.password.reveal(),
        "callbacks": account.callbacks.given(),
    }


def mixed(field: str, kept: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What is given, but for one field or callback."""
    if field in given:
        return {**given, field: kept[field]}
    callbacks = {**given["callbacks"], field: kept["callbacks"].get(field)}
    return {**given, "callbacks": {name: value for name, value in callbacks.items() if value is not None}}


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def holds(sandbox: Sandbox, count: int) -> bool:
    return len(sandbox.accounts) == count


# ── The four calls ───────────────────────────────────────────────────────────


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


# ── What is refused ──────────────────────────────────────────────────────────


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


def test_a_body_of_unknown_length_is_refused(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/subaccount/create"
    answer = requests.post(url, data=iter([b"{}"]), headers=PARENT, timeout=TIMEOUT)
    assert answer.status_code == 411


def test_a_head_is_refused_without_a_body(sandbox: Sandbox) -> None:
    with requests.Session() as session:
        assert session.head(f"{sandbox.url}/subaccount/create", timeout=TIMEOUT).status_code == 405
        assert session.get(f"{sandbox.url}/wallet/check-balance", headers=PARENT, timeout=TIMEOUT).status_code == 200


def test_what_is_not_http_is_refused_in_json(sandbox: Sandbox) -> None:
    with connected(sandbox) as connection:
        connection.sendall(b"what is this thing\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"code", "message"}


# ── The connection ───────────────────────────────────────────────────────────


def test_one_connection_brings_many_creates_without_a_stall() -> None:
    with running(limit=100) as sandbox, requests.Session() as session:
        started = time.monotonic()
        for _ in range(50):
            session.post(f"{sandbox.url}/subaccount/create", json=LEONARDO, headers=PARENT, timeout=TIMEOUT)
        assert time.monotonic() - started < 50 * 0.04
        assert len(sandbox.accounts) == 50


def test_one_connection_brings_many_refusals(sandbox: Sandbox) -> None:
    with connected(sandbox) as connection, connection.makefile("rb") as answers:
        for _ in range(3):
            connection.sendall(create_bytes(b"no json"))
            assert answers.readline() == b"HTTP/1.1 400 Bad Request\r\n"
            length = 0
            while (line := answers.readline()) != b"\r\n":
                length = int(line.split()[1]) if line.startswith(b"Content-Length") else length
            answers.read(length)


def test_latency_precedes_each_answer() -> None:
    with running(latency=0.1) as sandbox:
        assert create(sandbox).elapsed.total_seconds() >= 0.1


def test_clients_that_vanish_leave_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    with running("huge=8000000@1", "drip=0.001@2", "delay=0.05@3") as sandbox:
        for number in range(1, 4):
            with connected(sandbox) as connection:
                connection.sendall(create_bytes())
                eventually(partial(holds, sandbox, number))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with connected(sandbox) as connection:
            connection.sendall(create_bytes()[:-5])
        assert create(sandbox).status_code == 201
        time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_is_a_clear_error(sandbox: Sandbox) -> None:
    with pytest.raises(SettingInvalid, match="cannot listen"):
        Sandbox(Settings(port=int(sandbox.url.split(":")[2].split("/")[0])))


def test_a_sandbox_that_was_never_entered_can_be_shut_down_twice() -> None:
    sandbox = Sandbox(Settings())
    sandbox.shutdown()
    sandbox.shutdown()


# ── What was received ────────────────────────────────────────────────────────


def test_requests_tells_what_was_received() -> None:
    with running("503@2", "lost@3") as sandbox:
        assert by_hand(sandbox, "GET", "requests").json() == []
        create(sandbox)
        create(sandbox)
        with pytest.raises(requests.ConnectionError):
            create(sandbox)
        balance(sandbox, {}, "?with_details=true")
        path = "/v1/public/subaccount/create"
        assert by_hand(sandbox, "GET", "requests").json() == [
            {"n": 1, "method": "POST", "path": path, "status": 201, "fault": None},
            {"n": 2, "method": "POST", "path": path, "status": 503, "fault": "503@2"},
            {"n": 3, "method": "POST", "path": path, "status": None, "fault": "lost@3"},
            {
                "n": 4,
                "method": "GET",
                "path": "/v1/public/wallet/check-balance?with_details=true",
                "status": 401,
                "fault": None,
            },
        ]
        assert [each.status for each in sandbox.requests] == [201, 503, None, 401]


# ── By hand ──────────────────────────────────────────────────────────────────

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
            "api_login": first["api_login"],
            "first_name": "Lisa",
            "last_name": "Da Vinci",
            "company_name": "Italy",
            "callbacks": OLD["callbacks"],
        },
        {
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


# ── The ledger ───────────────────────────────────────────────────────────────


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_a_sandbox_started_again_knows_its_accounts(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        first = create(sandbox, company_name="Italy", callbacks=URLS).json()["api_login"]
        create(sandbox)
        edit(sandbox, first, last_name="Fibonacci")
        before = sandbox.accounts
    assert [json.loads(line)["event"] for line in ledger.read_text().splitlines()] == ["created", "created", "edited"]
    with running(ledger=ledger, limit=2) as sandbox:
        assert sandbox.accounts == before
        assert read(sandbox, first).json()["last_name"] == "Fibonacci"
        assert create(sandbox).status_code == 400


def test_a_sandbox_started_again_knows_what_was_done_by_hand(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        gone, kept = (create(sandbox, **OLD).json()["api_login"] for _ in range(2))
        given = {"last_name": "<b>", "company_name": "", "api_key": "\ud800", "callbacks": {"email_for_inbounds": "?"}}
        by_hand(sandbox, "PATCH", f"accounts/{kept}", given)
        by_hand(sandbox, "PATCH", f"accounts/{kept}", {"last_name": None})
        by_hand(sandbox, "DELETE", f"accounts/{gone}")
        by_hand(sandbox, "DELETE", f"accounts/{gone}")
        before = sandbox.accounts
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [("created", gone), ("created", kept), ("edited", kept), ("deleted", gone)] == [
        (each["event"], each["api_login"]) for each in events
    ]
    with running(ledger=ledger, limit=2) as sandbox:
        assert before == sandbox.accounts
        assert "\ud800" == read(sandbox, kept).json()["api_key"]
        assert 404 == read(sandbox, gone).status_code
        assert [201, 400] == [create(sandbox).status_code for _ in range(2)]


@pytest.mark.parametrize("number", [1, 2])
def test_nothing_follows_a_deletion(ledger: Path, number: int) -> None:
    with running(ledger=ledger) as sandbox:
        login = create(sandbox).json()["api_login"]
        edit(sandbox, login, first_name="Lisa")
        by_hand(sandbox, "DELETE", f"accounts/{login}")
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join((*lines, lines[number])))
    with pytest.raises(SettingInvalid, match="damaged at line 4: it does not follow"):
        Sandbox(Settings(ledger=ledger))


def test_a_deletion_follows_a_creation(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        by_hand(sandbox, "DELETE", f"accounts/{create(sandbox).json()['api_login']}")
    created, deleted = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(deleted + created)
    with pytest.raises(SettingInvalid, match="damaged at line 1: it does not follow"):
        Sandbox(Settings(ledger=ledger))


def test_a_ledger_with_callbacks_that_no_account_has_is_damaged(ledger: Path) -> None:
    with running(ledger=ledger) as sandbox:
        create(sandbox, **OLD)
        create(sandbox)
    ledger.write_text(ledger.read_text().replace('"email_for_inbounds"', '"email"'))
    with pytest.raises(SettingInvalid, match="damaged at line 1: in callbacks, email"):
        Sandbox(Settings(ledger=ledger))


def test_the_ledger_is_for_its_owner_alone(ledger: Path) -> None:
    ledger.touch(0o644)
    with running(ledger=ledger):
        assert ledger.stat().st_mode & 0o777 == 0o600


def test_an_event_is_in_the_ledger_before_its_answer_is_sent(ledger: Path) -> None:
    with running("delay=30@1", ledger=ledger) as sandbox, connected(sandbox) as connection:
        connection.sendall(create_bytes())
        eventually(partial(holds, sandbox, 1))
        assert json.loads(ledger.read_bytes())["api_login"] == sandbox.accounts[0].api_login
        assert sandbox.requests[0].status is None


@pytest.mark.parametrize("tail", [b'{"event": "crea', b"\0\0\0\0\n", b'{"event": "created"}\n', b"[" * 100_000 + b"\n"])
def test_a_damaged_last_line_is_dropped_with_a_note(
    ledger: Path, tail: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(ledger=ledger) as sandbox:
        create(sandbox)
    sound = ledger.read_bytes()
    ledger.write_bytes(sound + tail)
    with running(ledger=ledger) as sandbox:
        assert len(sandbox.accounts) == 1
        create(sandbox)
    assert "the last line" in capfd.readouterr().err
    assert ledger.read_bytes().startswith(sound)
    with running(ledger=ledger) as sandbox:
        assert len(sandbox.accounts) == 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "damage", [lambda line: line[:9] + b"\n" + line, lambda line: line * 2, lambda line: b"\n" + line]
)
def test_any_other_damage_is_a_clear_error(ledger: Path, damage: Callable[[bytes], bytes]) -> None:
    with running(ledger=ledger) as sandbox:
        create(sandbox)
    damaged = damage(ledger.read_bytes())
    ledger.write_bytes(damaged)
    with pytest.raises(SettingInvalid, match=r"damaged at line \d") as raised:
        Sandbox(Settings(ledger=ledger))
    assert raised.value.hint
    assert ledger.read_bytes() == damaged


def test_a_ledger_is_never_followed_through_a_link(ledger: Path, tmp_path: Path) -> None:
    ledger.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingInvalid, match="cannot be opened"):
        Sandbox(Settings(ledger=ledger))
    assert not (tmp_path / "elsewhere").exists()


def test_a_ledger_is_a_file_in_a_folder_that_exists(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "absent" / "ledger", tmp_path / "pipe"):
        with pytest.raises(SettingInvalid, match="ledger"):
            Sandbox(Settings(ledger=path))


def test_a_ledger_has_one_sandbox(ledger: Path) -> None:
    with running(ledger=ledger), pytest.raises(SettingInvalid, match="another sandbox"):
        Sandbox(Settings(ledger=ledger))


# ── A process of its own ─────────────────────────────────────────────────────

PROGRAM = """
import resource, sys
from pathlib import Path
from provisioner.octopush.sandbox import Sandbox, Settings, parse_fault
if sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
heavy = {"requests", "urllib3", "pandas", "jsonschema_rs", "yaml", "rich", "click"} & sys.modules.keys()
settings = Settings(ledger=Path(sys.argv[1]), faults=(parse_fault("delay=60@3"),))
with Sandbox(settings) as sandbox:
    print(sandbox.url, *heavy, flush=True)
    sandbox.serve_forever()
"""


@contextmanager
def spawned(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], Remote]]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield process, Remote(process.stdout.readline().strip())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_at_once_and_quietly(ledger: Path, number: signal.Signals) -> None:
    with spawned(ledger) as (process, sandbox):
        with requests.Session() as session, closing(connected(sandbox)) as delayed:
            for _ in range(2):
                session.post(f"{sandbox.url}/subaccount/create", json=LEONARDO, headers=PARENT, timeout=TIMEOUT)
            delayed.sendall(create_bytes())
            eventually(lambda: ledger.read_bytes().count(b"\n") == 3)
            started = time.monotonic()
            process.send_signal(number)
            assert process.wait(TIMEOUT) == 0
            assert time.monotonic() - started < 1
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_it_imports_nothing_heavy(ledger: Path) -> None:
    with spawned(ledger) as (_, sandbox):
        assert sandbox.url.split()[1:] == []


def test_a_killed_sandbox_started_again_knows_its_accounts(ledger: Path) -> None:
    with spawned(ledger) as (process, sandbox):
        login = create(sandbox).json()["api_login"]
        process.kill()
    with running(ledger=ledger) as again:
        assert read(again, login).status_code == 200


def test_a_ledger_that_cannot_be_written_makes_no_account(ledger: Path) -> None:
    with spawned(ledger, 300) as (process, sandbox):
        assert [create(sandbox).status_code for _ in range(2)] == [201, 500]
        (account,) = by_hand(sandbox, "GET", "accounts").json()
        path = f"accounts/{account['api_login']}"
        assert [500, 500] == [by_hand(sandbox, method, path, {}).status_code for method in ("PATCH", "DELETE")]
        assert [account] == by_hand(sandbox, "GET", "accounts").json()
        process.terminate()
        assert process.stderr is not None
        assert "could not be written" in process.stderr.read()
    with running(ledger=ledger) as again:
        assert len(again.accounts) == 1


# ── Faults ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("spec", "made"), [("reset-before@1", 0), ("reset-after@1", 1)])
def test_a_reset_is_a_reset(spec: str, made: int) -> None:
    with running(spec) as sandbox:
        with pytest.raises(ConnectionResetError):
            raw_create(sandbox)
        assert len(sandbox.accounts) == made


@pytest.mark.parametrize(
    ("spec", "pattern"),
    [
        ("lost@1", rb""),
        ("broken-status@1", rb"HTTQ/9 what\?\r\n\r\n"),
        ("1xx@1", rb"HTTP/1\.1 103 Early Hints\r\n\r\n"),
        ("1xx=102@1", rb"HTTP/1\.1 102 Processing\r\n\r\n"),
        ("1xx=199@1", rb"HTTP/1\.1 199 Unassigned\r\n\r\n"),
        ("cut@1", rb'HTTP/1\.1 201 Created\r\n(?s:.*)\r\n\r\n\{"api_key": "[0-9a-f]*'),
    ],
)
def test_the_wire_is_broken_once_the_account_is_made(spec: str, pattern: bytes) -> None:
    with running(spec) as sandbox:
        assert re.fullmatch(pattern, raw_create(sandbox))
        assert len(sandbox.accounts) == 1


def test_a_cut_body_is_shorter_than_it_says() -> None:
    with running("cut@1") as sandbox, pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        create(sandbox)


def test_a_delay_comes_once_the_account_is_made() -> None:
    with running("delay=60@1") as sandbox:
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{sandbox.url}/subaccount/create", json=LEONARDO, headers=PARENT, timeout=0.2)
        assert len(sandbox.accounts) == 1
        assert sandbox.requests[0].status is None


def test_a_drip_outlives_a_read_timeout_that_each_byte_resets() -> None:
    with running("drip=0.002@1") as sandbox, connected(sandbox) as connection:
        connection.sendall(create_bytes())
        assert all(len(connection.recv(65536)) < 50 for _ in range(4))
        assert len(sandbox.accounts) == 1


@pytest.mark.parametrize(
    ("spec", "status", "body"),
    [
        ("200@1", 200, r'\{"api_key": "\w+", "api_login": "[^"]+"\}'),
        ("202@1", 202, r'\{"api_key": "\w+", "api_login": "[^"]+"\}'),
        ("not-json@1", 201, "<html>.*"),
        ("missing-credential@1", 201, r'\{"api_login": "[^"]+"\}'),
        ("duplicate-credential@1", 201, r'\{"api_key": "another", "api_key": "\w+", "api_login": "[^"]+"\}'),
        ("code@1", 201, r'\{"api_key": .*, "code": 121, "message": .*\}'),
        ("code=7@1", 201, r'\{"api_key": .*, "code": 7, "message": .*\}'),
        ("huge=100000@1", 201, r'(?=.{100000}$)\{"api_key": .*\} +'),
        ("500-after@1", 500, r'\{"code": .*\}'),
        ("408-after@1", 408, r'\{"code": .*\}'),
    ],
)
def test_the_answer_is_distorted_once_the_account_is_made(spec: str, status: int, body: str) -> None:
    with running(spec) as sandbox:
        answer = create(sandbox)
        assert answer.status_code == status
        assert re.fullmatch(body, answer.text)
        assert len(sandbox.accounts) == 1
        assert create(sandbox).status_code == 201


@pytest.mark.parametrize(
    ("spec", "status", "headers"),
    [
        *((f"{status}@1", status, {}) for status in (400, 401, 402, 403, 404, 408, 409, 418, 422, 429)),
        *((f"{status}@1", status, {}) for status in (500, 502, 503, 504, 599)),
        ("429=2@1", 429, {"Retry-After": "2"}),
        ("503=Wed, 21 Oct 2015 07:28:00 GMT@1", 503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        ("429=soon@1", 429, {"Retry-After": "soon"}),
        ("redirect@1", 307, {"Location": "https://elsewhere.invalid/v1/public/subaccount/create"}),
        ("302=http://u@x.example:8/@1", 302, {"Location": "http://u@x.example:8/"}),
        ("limit@1", 400, {}),
    ],
)
def test_nothing_is_made(spec: str, status: int, headers: dict[str, str]) -> None:
    with running(spec) as sandbox:
        answer = create(sandbox)
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in ("Retry-After", "Location") if name in answer.headers} == headers
        assert sandbox.accounts == ()
        assert create(sandbox).status_code == 201


def test_the_early_limit_is_refused_like_the_limit() -> None:
    with running("limit@1", limit=0) as sandbox:
        assert create(sandbox).content == create(sandbox).content


def test_a_fault_after_processing_leaves_a_refusal_as_it_is() -> None:
    with running("lost@*", limit=0) as sandbox:
        assert create(sandbox).status_code == 400
        assert sandbox.requests[0].fault is None


@pytest.mark.parametrize("field", FIELDS)
def test_a_dropped_field_is_not_created_and_the_answer_is_as_always(field: str) -> None:
    blank: dict[str, Any] = {"first_name": "", "last_name": "", "company_name": None, "password": "", "callbacks": {}}
    with running(f"drop={field}@1") as sandbox:
        answer = create(sandbox, **NEW)
        assert 201 == answer.status_code
        assert {"api_key", "api_login"} == answer.json().keys()
        assert mixed(field, blank, NEW) == stored(sandbox)
        assert f"drop={field}@1" == sandbox.requests[0].fault


@pytest.mark.parametrize("field", FIELDS)
def test_a_dropped_field_keeps_its_value_in_an_edit(field: str) -> None:
    with running(f"drop={field}@1:edit") as sandbox:
        login = create(sandbox, **OLD).json()["api_login"]
        answer = edit(sandbox, login, **NEW)
        assert (201, {}) == (answer.status_code, answer.json())
        assert mixed(field, OLD, NEW) == stored(sandbox)
        edit(sandbox, login, **NEW)
        assert NEW == stored(sandbox)


def test_a_dropped_null_forgets_nothing() -> None:
    with running("drop=company_name@1:edit", "drop=callback_url_for_visits@2:edit") as sandbox:
        login = create(sandbox, **OLD).json()["api_login"]
        edit(sandbox, login, company_name=None)
        edit(sandbox, login, callbacks={"callback_url_for_visits": None})
        visits = {"callback_url_for_visits": URLS["callback_url_for_visits"]}
        assert {**OLD, "callbacks": visits} == stored(sandbox)


def test_a_request_that_lacks_a_field_is_refused_though_the_field_would_be_dropped() -> None:
    with running("drop=password@1") as sandbox:
        answer = requests.post(f"{sandbox.url}/subaccount/create", json={}, headers=PARENT, timeout=TIMEOUT)
        assert (400, None) == (answer.status_code, sandbox.requests[0].fault)


def test_an_ignored_edit_succeeds_and_changes_nothing(ledger: Path) -> None:
    with running("ignored@1:edit", ledger=ledger) as sandbox:
        login = create(sandbox, **OLD).json()["api_login"]
        answer = edit(sandbox, login, **NEW)
        assert (201, {}) == (answer.status_code, answer.json())
        assert OLD == stored(sandbox)
    with running(ledger=ledger) as again:
        assert OLD == stored(again)


def test_an_ignored_edit_is_refused_like_any_other() -> None:
    with running("ignored@*:edit") as sandbox:
        assert 404 == edit(sandbox, "abc_1f2@sub-accounts.com", **NEW).status_code


def test_each_endpoint_has_its_faults() -> None:
    with running("500@1:read", "502@2:edit", "503@1:balance") as sandbox:
        login = create(sandbox).json()["api_login"]
        assert [read(sandbox, login).status_code for _ in range(2)] == [500, 200]
        assert [edit(sandbox, login).status_code for _ in range(3)] == [201, 502, 201]
        assert [balance(sandbox, PARENT).status_code for _ in range(2)] == [503, 200]


def test_the_first_fault_that_fits_strikes() -> None:
    with running("429@1-2", "503@*") as sandbox:
        assert [create(sandbox).status_code for _ in range(3)] == [429, 429, 503]


def test_requests_are_counted_once_each_in_parallel() -> None:
    with running("503@1-10") as sandbox:
        threads = [threading.Thread(target=create, args=(sandbox,)) for _ in range(20)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(each.status or 0 for each in sandbox.requests) == [201] * 10 + [503] * 10


@pytest.mark.parametrize(
    ("when", "struck"),
    [("3", {3}), ("3-5", {3, 4, 5}), ("8-", {8, 9, 10}), ("*", set(range(1, 11))), ("100%", set(range(1, 11)))],
)
def test_when_counts_from_one(when: str, struck: set[int]) -> None:
    fault = parse_fault(f"500@{when}")
    assert {number for number in range(1, 11) if fault.strikes(Endpoint.CREATE, number)} == struck


def test_a_share_with_a_seed_strikes_the_same_requests_every_time() -> None:
    def struck(spec: str) -> set[int]:
        fault = parse_fault(spec)
        return {number for number in range(1, 1001) if fault.strikes(Endpoint.CREATE, number)}

    assert struck("500@10%/42") == struck("500@10%/42")
    assert struck("500@10%/42") != struck("500@10%/43")
    assert struck("500@10%") != struck("500@10%")
    assert 60 < len(struck("500@10%/42")) < 140


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "lost",
        "@1",
        "gone@1",
        "lost@",
        "lost@0",
        "lost@5-3",
        "lost@0%",
        "lost@101%",
        "lost@1:delete",
        "lost=1@1",
        "delay@1",
        "delay=@1",
        "delay=soon@1",
        "huge=-1@1",
        "1xx=200@1",
        "redirect=ftp://x.example@1",
        "429=a\r\nb@1",
        "600@1",
        "399@1",
        "204@1",
        "٤٠٠@1",
        "drop@1",
        "drop=@1",
        "drop=api_key@1",
        "drop=callback@1",
        "drop=first_name@1:read",
        "drop=first_name@1:balance",
        "ignored@1",
        "ignored@1:create",
        "ignored@1:read",
        "ignored=first_name@1:edit",
    ],
)
def test_a_fault_that_cannot_be_understood_is_explained(spec: str) -> None:
    with pytest.raises(CommandInvalid) as raised:
        parse_fault(spec)
    assert repr(spec) in raised.value.message
    assert raised.value.hint == FAULT_HELP


def test_the_help_names_every_kind() -> None:
    assert all(kind.shown in FAULT_HELP and kind.text in FAULT_HELP for kind in KINDS)
    assert all(name in FAULT_HELP for name in FIELDS)
