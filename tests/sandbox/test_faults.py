"""Every kind of fault, over real sockets."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from provisioner.sandbox.faults import FIELDS
from tests.sandbox.calls import (
    ACME,
    AS_ACME,
    AS_UMBRELLA,
    LEONARDO,
    NEW,
    OLD,
    PARENT,
    TIMEOUT,
    UMBRELLA,
    URLS,
    balance,
    connected,
    create,
    create_bytes,
    edit,
    mixed,
    raw_create,
    read,
    running,
    stored,
)


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


def test_requests_are_counted_whichever_parent_sends_them() -> None:
    with running("503@2", parents=(ACME, UMBRELLA)) as sandbox:
        assert [201, 503] == [create(sandbox, headers).status_code for headers in (AS_ACME, AS_UMBRELLA)]
