"""Shared by the sandbox's tests: requests to it over real sockets, and their answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from provisioner.model.account import Secret
from provisioner.sandbox import Sandbox, SandboxParent, SandboxSettings, parse_fault

PARENT = {"api-login": SandboxParent().api_login, "api-key": SandboxParent().api_key.reveal()}
ACME, UMBRELLA = (
    SandboxParent("acme@example.com", Secret("acme-key"), 2),
    SandboxParent("umbrella", Secret("umbrella-key"), 1),
)
AS_ACME, AS_UMBRELLA = ({"api-login": each.api_login, "api-key": each.api_key.reveal()} for each in (ACME, UMBRELLA))
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
def running(*faults: str, limit: int = 20, **settings: Any) -> Iterator[Sandbox]:  # noqa: ANN401 - each setting has its own type
    usual = {"faults": tuple(map(parse_fault, faults)), "parents": (SandboxParent(limit=limit),)}
    with Sandbox(SandboxSettings(**(usual | settings))) as sandbox:
        yield sandbox


class Addressed(Protocol):
    """A sandbox, in this process or another."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Remote:
    url: str


def create(sandbox: Addressed, headers: dict[str, str] = PARENT, **changes: object) -> requests.Response:
    url = f"{sandbox.url}/subaccount/create"
    return requests.post(url, json=LEONARDO | changes, headers=headers, timeout=TIMEOUT, allow_redirects=False)


def read(sandbox: Addressed, login: str, headers: dict[str, str] = PARENT) -> requests.Response:
    return requests.get(f"{sandbox.url}/subaccount/{login}", headers=headers, timeout=TIMEOUT)


def edit(sandbox: Addressed, login: str, headers: dict[str, str] = PARENT, **document: object) -> requests.Response:
    return requests.patch(f"{sandbox.url}/subaccount/{login}/edit", json=document, headers=headers, timeout=TIMEOUT)


def balance(sandbox: Addressed, headers: dict[str, str], query: str = "") -> requests.Response:
    return requests.get(f"{sandbox.url}/wallet/check-balance{query}", headers=headers, timeout=TIMEOUT)


def by_hand(sandbox: Addressed, method: str, path: str, document: object = None) -> requests.Response:
    """Call the dashboard, without credentials."""
    url = sandbox.url.replace("/v1/public", f"/sandbox/{path}")
    return requests.request(method, url, json=document, timeout=TIMEOUT)


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
    """The only account, as a request would give it."""
    (account,) = sandbox.accounts
    return {
        "first_name": account.first_name,
        "last_name": account.last_name,
        "company_name": account.company_name,
        "password": account.password.reveal(),
        "callbacks": account.callbacks.given(),
    }


def mixed(field: str, kept: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The given fields, without one field or callback."""
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


def credentials_of(created: requests.Response) -> dict[str, str]:
    """Return the headers of the sub-account that was created."""
    answer = created.json()
    return {"api-login": answer["api_login"], "api-key": answer["api_key"]}
