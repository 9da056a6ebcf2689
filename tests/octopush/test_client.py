"""The client over real sockets: every row of the table of verdicts, and what goes over the wire."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

import pytest

from provisioner import __version__
from provisioner.errors import ExitCode
from provisioner.model.account import CALLBACK_NAMES, FIELDS, Attributes, Callbacks, Credentials, Secret
from provisioner.model.exchange import Balance, Edited, EditRequest, Failed, Missing, Observed
from provisioner.model.verdict import Answer, Created, CreateRequest, NotCreated, OutcomeUnknown, Then, Verdict
from provisioner.octopush.client import Client
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import BODY_CAP, Transport
from provisioner.sandbox import Sandbox, SandboxParent, SandboxSettings, parse_fault
from tests.octopush.servers import ANSWERED, HOST, Script, Server, Wire, answer, answering, dripping, scripted, then

KEY: Final = Secret("parent-key-3f9c1b7e5d")
PASSWORD: Final = Secret("Gioconda-1503 é")
NOW: Final = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)
LEONARDO: Final = CreateRequest(Attributes("Leonardo", "Da Vinci"), PASSWORD)
ATTEMPTS: Final = 3
SHORT: Final = 0.3


def client(url: str, *, waits: list[float] | None = None, timeout: float = 10, **changes: Any) -> Client:  # noqa: ANN401  # each has its own type
    """Return a client that records its waits instead of waiting."""
    noted: list[float] = [] if waits is None else waits
    usual: dict[str, Any] = {
        "transport": Transport(timeout),
        "retry": RetryPolicy(ATTEMPTS, 60, 120, noted.append, lambda: False),
        "now": lambda: NOW,
    }
    return Client(url, Credentials("parent@example.com", KEY), **(usual | changes))


@contextmanager
def sandboxed(*faults: str, limit: int = 20) -> Iterator[Sandbox]:
    with Sandbox(
        SandboxSettings(faults=tuple(map(parse_fault, faults)), parents=(SandboxParent(api_key=KEY, limit=limit),))
    ) as sandbox:
        yield sandbox


def over(script: Script, *, timeout: float = 10, **changes: Any) -> tuple[Verdict, Server]:  # noqa: ANN401
    with scripted(script) as server:
        return client(server.url, timeout=timeout, **changes).create(LEONARDO), server


def row(verdict: Verdict) -> tuple[type[Verdict], Then | None, ExitCode | None]:
    if isinstance(verdict, NotCreated):
        return NotCreated, verdict.then, verdict.exit_code
    return type(verdict), None, None


# ── What is sent ─────────────────────────────────────────────────────────────


def test_the_request_is_what_octopush_documents() -> None:
    callbacks = Callbacks("https://hooks.example.com/dlr?t=1", email_for_inbounds="sms@example.com")
    with scripted(answering(answer())) as server:
        attributes = Attributes("Léonard", "Da Vinci", "Italy", callbacks)
        client(f"{server.url}/v1/public").create(CreateRequest(attributes, PASSWORD))
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    assert "POST /v1/public/subaccount/create HTTP/1.1" == line
    assert {
        "Host": f"{HOST}:{server.port}",
        "Accept-Encoding": "identity",
        "api-login": "parent@example.com",
        "api-key": KEY.reveal(),
        "cache-control": "no-cache",
        "Content-Type": "application/json; charset=utf-8",
        "Accept": "application/json",
        "User-Agent": f"octopush-provisioner/{__version__}",
        "Content-Length": str(len(body)),
    } == dict(each.split(": ", 1) for each in fields)
    assert {
        "first_name": "Léonard",
        "last_name": "Da Vinci",
        "company_name": "Italy",
        "password": PASSWORD.reveal(),
        "callbacks": callbacks.given(),
    } == json.loads(body)
    assert "Léonard".encode() in body


def test_what_is_absent_is_not_sent() -> None:
    _, server = over(answering(answer()))
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert {"first_name": "Leonardo", "last_name": "Da Vinci", "password": PASSWORD.reveal()} == body


def test_the_sandbox_makes_the_account_that_was_asked_for() -> None:
    with sandboxed() as sandbox:
        verdict = client(sandbox.url).create(LEONARDO)
        (account,) = sandbox.accounts
    assert Created(Credentials(account.api_login, account.api_key)) == verdict
    assert (PASSWORD, "Leonardo", "Da Vinci") == (account.password, account.first_name, account.last_name)


def test_each_attempt_has_a_connection_of_its_own() -> None:
    busy = then(Wire.silence, answer("429 Too Many Requests", b"", "Connection: keep-alive"))
    _, server = over(busy)
    assert (ATTEMPTS, ATTEMPTS) == (server.connections, len(server.requests))


# ── The table: before the request is sent ────────────────────────────────────

UNSENT: Final = (NotCreated, Then.RETRY, ExitCode.SOME_FAILED)


def test_a_refused_connection_is_tried_again() -> None:
    waits: list[float] = []
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        verdict = client(f"http://{HOST}:{bound.getsockname()[1]}", waits=waits).create(LEONARDO)
    assert UNSENT == row(verdict)
    assert ATTEMPTS - 1 == len(waits)


def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    waits: list[float] = []
    assert UNSENT == row(client("https://api.octopush.invalid", waits=waits, timeout=60).create(LEONARDO))
    assert ATTEMPTS - 1 == len(waits)


def test_a_failed_handshake_is_tried_again() -> None:
    with scripted(lambda wire: wire.send(b"no TLS here")) as server:
        assert UNSENT == row(client(server.url.replace("http:", "https:")).create(LEONARDO))
        assert ATTEMPTS == server.connections


def test_a_refusing_proxy_is_tried_again_and_never_sees_the_request() -> None:
    with scripted(answering(answer("407 Proxy Authentication Required"))) as proxy:
        transport = Transport(10, proxy=proxy.url)
        assert UNSENT == row(client("https://api.octopush.invalid", transport=transport).create(LEONARDO))
    assert ATTEMPTS == proxy.connections
    received = b"".join(proxy.requests)
    assert [False, False] == [each.encode() in received for each in (KEY.reveal(), "Leonardo")]


def test_a_create_is_sent_again_once_it_can_be() -> None:
    with sandboxed("429=2@1", "429@2") as sandbox:
        waits: list[float] = []
        assert isinstance(client(sandbox.url, waits=waits).create(LEONARDO), Created)
        assert [429, 429, 201] == [each.status for each in sandbox.requests]
        assert 1 == len(sandbox.accounts)
    assert 2.0 == waits[0]
    assert 1.0 <= waits[1] <= 1.5


# ── The table: after sending began ───────────────────────────────────────────


@pytest.mark.parametrize(
    "fault",
    ["lost", "reset-before", "reset-after", "broken-status", "1xx=101", "1xx=102", "1xx=103", "1xx=199"]
    + ["cut", "not-json", "missing-credential", "duplicate-credential", "code=7", "huge=100000"]
    + [f"{status}{when}" for status in (500, 501, 502, 503, 504, 599) for when in ("", "-after")]
    + ["redirect", "301", "302", "303", "308"],
)
def test_a_doubt_is_never_sent_again(fault: str) -> None:
    with sandboxed(f"{fault}@1") as sandbox:
        verdict = client(sandbox.url).create(LEONARDO)
        assert isinstance(verdict, OutcomeUnknown)
        assert 1 == len(sandbox.requests)


@pytest.mark.parametrize("fault", ["delay=30", "drip=0.05"])
def test_a_doubt_past_the_deadline_is_never_sent_again(fault: str) -> None:
    with sandboxed(f"{fault}@1") as sandbox:
        verdict = client(sandbox.url, timeout=SHORT).create(LEONARDO)
        assert isinstance(verdict, OutcomeUnknown)
        assert 1 == len(sandbox.requests)
        assert 1 == len(sandbox.accounts)


def test_a_reset_while_sending_is_a_doubt() -> None:
    def script(wire: Wire) -> None:
        wire.connection.recv(1024)
        wire.reset()

    huge = CreateRequest(Attributes("Leonardo", "x" * 32 * 2**20), PASSWORD)
    with scripted(script) as server:
        assert isinstance(client(server.url).create(huge), OutcomeUnknown)
        assert 1 == server.connections


HALF: Final = ANSWERED[:20]
BLANK: Final = b'{"api_key": " ", "api_login": "abc"}'
SURROGATE: Final = b'{"api_key": "\\ud800", "api_login": "abc"}'
CHUNKED: Final = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (answering(answer(length=999)), ANSWERED),
        (answering(CHUNKED + b"14\r\n" + HALF + b"\r\n"), HALF),
        (dripping(bytes(999), answer(body=HALF, length=9999)), HALF),
        (answering(answer(body=gzip.compress(ANSWERED, mtime=0))), gzip.compress(ANSWERED, mtime=0)),
        (answering(answer(body=ANSWERED.ljust(BODY_CAP + 1))), ANSWERED.ljust(BODY_CAP)),
        (answering(answer("204 No Content", b"")), None),
        (answering(answer(body=BLANK)), BLANK),
        (answering(answer(body=SURROGATE)), SURROGATE),
        (answering(answer("302 Found", ANSWERED, "Location: http://[::1")), ANSWERED),
        (answering(answer("500 Oops", b"oops")), b"oops"),
    ],
    ids=["length", "chunks", "drip", "gzip", "cap", "empty", "blank", "surrogate", "redirect", "500"],
)
def test_the_answer_to_a_doubt_is_kept_as_it_came(script: Script, kept: bytes | None) -> None:
    verdict, server = over(script, timeout=SHORT)
    assert isinstance(verdict, OutcomeUnknown)
    assert 1 == server.connections
    if kept is None:
        assert verdict.answer is None
    else:
        assert isinstance(verdict.answer, Answer)
        assert verdict.answer.body.startswith(kept)
        assert len(kept) <= len(verdict.answer.body) <= max(len(kept), len(HALF) + 20)


def test_a_redirect_takes_the_key_nowhere() -> None:
    with scripted(answering(answer())) as other:
        verdict, _ = over(answering(answer("307 Temporary Redirect", b"", f"Location: {other.url}/v1")))
        assert isinstance(verdict, OutcomeUnknown)
        assert (0, []) == (other.connections, other.requests)


# ── The table: an answer that proves something ───────────────────────────────


@pytest.mark.parametrize(("fault", "warned"), [("429@9", False), ("200@1", True), ("202@1", True), ("203@1", True)])
def test_a_2xx_with_both_credentials_is_created(fault: str, *, warned: bool) -> None:
    with sandboxed(fault) as sandbox:
        verdict = client(sandbox.url).create(LEONARDO)
        assert isinstance(verdict, Created)
        assert warned == (verdict.warning is not None)
        assert [verdict.credentials.api_login] == [each.api_login for each in sandbox.accounts]


@pytest.mark.parametrize("status", [100, 102, 103])
def test_the_answer_that_follows_an_interim_one_is_read_by_every_call(status: int) -> None:
    with sandboxed(*(f"interim={status}@*:{call}" for call in ("create", "edit", "read", "balance"))) as sandbox:
        mine = client(sandbox.url)
        created = mine.create(LEONARDO)
        assert isinstance(created, Created)
        assert Edited() == mine.edit(created.credentials.api_login, CHANGED)
        assert isinstance(mine.read(created.credentials.api_login), Observed)
        assert isinstance(mine.balance(created.credentials), Balance)
        assert [201, 201, 200, 200] == [each.status for each in sandbox.requests]


@pytest.mark.parametrize("status", [400, 408, 409, 421, 422, 425, 429, 499, 503])
def test_whatever_the_status_an_answer_with_credentials_is_kept_and_nothing_is_sent_again(status: int) -> None:
    with sandboxed(f"{status}-body=1@*") as sandbox:
        verdict = client(sandbox.url, retry_on_503=True).create(LEONARDO)
        (account,) = sandbox.accounts
    assert isinstance(verdict, OutcomeUnknown)
    assert isinstance(verdict.answer, Answer)
    assert account.api_key.reveal().encode() in verdict.answer.body


@pytest.mark.parametrize("status", [408, 421, 425, 429])
def test_whoever_does_not_trust_a_gateway_has_a_doubt(status: int) -> None:
    with sandboxed(f"{status}-after@*") as sandbox:
        assert isinstance(client(sandbox.url, retry_on_429=False).create(LEONARDO), OutcomeUnknown)
        assert (1, 1) == (len(sandbox.requests), len(sandbox.accounts))


GO_ON: Final = (NotCreated, Then.GO_ON, ExitCode.SOME_FAILED)
PARENT_REFUSED: Final = (NotCreated, Then.STOP, ExitCode.SETTING_INVALID)


@pytest.mark.parametrize(
    ("status", "expected", "sent"),
    [
        *((status, GO_ON, 1) for status in (400, 409, 413, 415, 418, 422, 460, 499)),
        *((status, PARENT_REFUSED, 1) for status in (401, 403, 404, 405)),
        (402, (NotCreated, Then.STOP, ExitCode.SOME_FAILED), 1),
        *((status, UNSENT, ATTEMPTS) for status in (408, 421, 425, 429)),
    ],
)
def test_a_refusal_proves_that_nothing_was_created(status: int, expected: object, sent: int) -> None:
    with sandboxed(f"{status}@*") as sandbox:
        assert expected == row(client(sandbox.url).create(LEONARDO))
        assert [status] * sent == [each.status for each in sandbox.requests]
        assert () == sandbox.accounts


def test_the_limit_stops_the_run_and_speaks_of_reserved() -> None:
    with sandboxed(limit=0) as sandbox:
        verdict = client(sandbox.url).create(LEONARDO)
        assert isinstance(verdict, NotCreated)
        assert (Then.STOP, ExitCode.REFUSED) == (verdict.then, verdict.exit_code)
        assert "reserved" in verdict.hint
        assert 1 == len(sandbox.requests)


@pytest.mark.parametrize(
    ("setting", "expected", "sent"), [(False, (OutcomeUnknown, None, None), 1), (True, UNSENT, ATTEMPTS)]
)
def test_a_503_is_tried_again_only_where_that_is_set(setting: bool, expected: object, sent: int) -> None:  # noqa: FBT001  # the parameter is the setting
    with sandboxed("503@*") as sandbox:
        assert expected == row(client(sandbox.url, retry_on_503=setting).create(LEONARDO))
        assert sent == len(sandbox.requests)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [("7", 7.0), ("600", 120.0), (format_datetime(NOW.replace(second=30), usegmt=True), 30.0)],
)
def test_a_retry_waits_as_long_as_the_server_asks_up_to_a_cap(retry_after: str, wait: float) -> None:
    waits: list[float] = []
    with sandboxed(f"429={retry_after}@1") as sandbox:
        assert isinstance(client(sandbox.url, waits=waits).create(LEONARDO), Created)
    assert [wait] == waits


def test_an_interruption_during_a_wait_sends_nothing_more() -> None:
    waits: list[float] = []
    policy = RetryPolicy(ATTEMPTS, 60, 120, waits.append, lambda: bool(waits))
    with sandboxed("429@1") as sandbox:
        verdict = client(sandbox.url, retry=policy).create(LEONARDO)
        assert NotCreated("the run was interrupted before it was sent", Then.STOP) == verdict
        assert [429] == [each.status for each in sandbox.requests]


# ── No secret in clear ───────────────────────────────────────────────────────

CALLBACKS: Final = Callbacks(
    callback_url_for_deliveries="https://hooks.example.com/dlr?v=1&token=tok%2Den&other=another-one",
    callback_url_for_visits="https://user:pass-word@hooks.example.com/?#fragment",
    callback_url_for_inbounds="https://[not a URL",
    email_for_inbounds="sms@example.com",
)


@pytest.mark.parametrize(
    "secret",
    [
        *(KEY.reveal(), PASSWORD.reveal(), "v=1&token=tok%2Den&other=another-one", "tok%2Den", "another-one"),
        *("user:pass-word", "pass-word", "fragment", "https://[not a URL"),
    ],
)
@pytest.mark.parametrize("what", ["code", "message"])
@pytest.mark.parametrize("status", [201, 302, 400, 401, 402, 429, 500])
def test_what_the_api_echoes_of_the_request_is_masked(status: int, what: str, secret: str) -> None:
    body = json.dumps({"code": 7, what: f"-{secret}-"}).encode()
    request = CreateRequest(Attributes("Leonardo", "Da Vinci", None, CALLBACKS), PASSWORD)
    with scripted(answering(answer(f"{status} Whatever", body))) as server:
        verdict = client(server.url).create(request)
    assert not isinstance(verdict, Created)
    assert "-***-" in (verdict.api_message if isinstance(verdict, OutcomeUnknown) else verdict.reason)
    assert secret not in repr(verdict)


def test_a_short_value_of_a_query_makes_no_holes() -> None:
    request = CreateRequest(Attributes("Leonardo", "Da Vinci", None, CALLBACKS), PASSWORD)
    with scripted(answering(answer("400 Bad", b'{"message": "Line 1 of hooks.example.com/dlr"}'))) as server:
        verdict = client(server.url).create(request)
    assert isinstance(verdict, NotCreated)
    assert "Line 1 of hooks.example.com/dlr" in verdict.reason


def test_the_key_is_in_no_repr() -> None:
    with scripted(answering(answer())) as server:
        mine = client(server.url, transport=Transport(10, proxy="http://user:proxy-password@proxy"))
        verdict = mine.create(LEONARDO)
    assert isinstance(verdict, Created)
    shown = repr((mine, LEONARDO, verdict))
    secrets = (KEY, PASSWORD, Secret("proxy-password"), Secret("sub-key-77"))
    assert [] == [each.reveal() for each in secrets if each.reveal() in shown]


# ── An account that exists ───────────────────────────────────────────────────

LOGIN: Final = "abc_1f2@sub-accounts.com"
CHANGED: Final = EditRequest(Attributes("Leonardo", "Vinci"))
TOLD: Final = json.dumps({"first_name": "Leonardo", "api_key": "sub-key-77"}).encode()


def scripts(*each: Script) -> Script:
    """Follow one script for each connection."""
    left = iter(each)

    def script(wire: Wire) -> None:
        next(left)(wire)

    return script


def sent(server: Server) -> tuple[str, dict[str, str], bytes]:
    """Return line, headers and body of the one request."""
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return line, dict(each.split(": ", 1) for each in fields), body


def test_an_edit_is_what_octopush_documents_and_names_every_field() -> None:
    callbacks = Callbacks("https://hooks.example.com/dlr?t=1", email_for_inbounds="sms@example.com")
    with scripted(answering(answer("201 Created", b""))) as server:
        request = EditRequest(Attributes("Léonard", "Da Vinci", "Italy", callbacks), PASSWORD)
        assert Edited() == client(f"{server.url}/v1/public").edit(LOGIN, request)
    line, headers, body = sent(server)
    assert f"PATCH /v1/public/subaccount/{LOGIN}/edit HTTP/1.1" == line
    assert ("parent@example.com", KEY.reveal()) == (headers["api-login"], headers["api-key"])
    assert {
        "first_name": "Léonard",
        "last_name": "Da Vinci",
        "company_name": "Italy",
        "password": PASSWORD.reveal(),
        "callbacks": {
            "callback_url_for_deliveries": "https://hooks.example.com/dlr?t=1",
            "callback_url_for_blacklisted_numbers": None,
            "callback_url_for_visits": None,
            "callback_url_for_inbounds": None,
            "email_for_inbounds": "sms@example.com",
        },
    } == json.loads(body)


def test_an_edit_takes_away_what_is_not_to_be_there_and_leaves_the_password() -> None:
    with scripted(answering(answer("200 OK", b"{}"))) as server:
        assert Edited() == client(server.url).edit(LOGIN, CHANGED)
    assert {
        "first_name": "Leonardo",
        "last_name": "Vinci",
        "company_name": None,
        "callbacks": dict.fromkeys(CALLBACK_NAMES),
    } == json.loads(sent(server)[2])


@pytest.mark.parametrize(
    ("login", "path"),
    [(LOGIN, LOGIN), ("a/b?c#d e@x", "a%2Fb%3Fc%23d%20e@x"), ("é@x", "%C3%A9@x"), ("..%2f@x", "..%252f@x")],
)
def test_a_login_is_one_part_of_the_path(login: str, path: str) -> None:
    with scripted(answering(answer("200 OK", TOLD))) as server:
        client(server.url).read(login)
    assert f"GET /subaccount/{path} HTTP/1.1" == sent(server)[0]


@pytest.mark.parametrize("login", ["", ".", ".."])
def test_a_login_that_would_leave_its_place_in_the_path_is_not_sent(login: str) -> None:
    with scripted(answering(answer("200 OK", TOLD))) as server:
        outcomes = (client(server.url).read(login), client(server.url).edit(login, CHANGED))
        assert 0 == server.connections
    assert {Then.GO_ON} == {each.then for each in outcomes if isinstance(each, Failed)}


@pytest.mark.parametrize(("login", "key"), [(LOGIN, "a\r\nb"), (LOGIN, "clé"), ("a\0b", "key"), ("a b", "key")])
def test_a_credential_that_no_header_can_carry_fails_for_its_own_account_alone(login: str, key: str) -> None:
    verdict = client("https://api.octopush.invalid").balance(Credentials(login, Secret(key)))
    assert Failed("its login or key cannot be sent", Then.GO_ON) == verdict


def test_an_account_is_read_with_the_credentials_of_its_parent() -> None:
    with scripted(answering(answer("200 OK", TOLD))) as server:
        reading = client(f"{server.url}/v1/public").read(LOGIN)
    assert Observed({"first_name": "Leonardo"}, Secret("sub-key-77")) == reading
    line, headers, body = sent(server)
    assert f"GET /v1/public/subaccount/{LOGIN} HTTP/1.1" == line
    assert ("parent@example.com", KEY.reveal()) == (headers["api-login"], headers["api-key"])
    assert b"" == body


def test_a_balance_is_asked_for_with_the_credentials_of_its_owner() -> None:
    with scripted(answering(answer("200 OK", b'{"amount": 12.5, "unit": "euros"}'))) as server:
        balance = client(f"{server.url}/v1/public").balance(Credentials(LOGIN, Secret("sub-key-77")))
    assert Balance(12.5, "euros") == balance
    line, headers, _ = sent(server)
    assert "GET /v1/public/wallet/check-balance?with_details=true HTTP/1.1" == line
    assert (LOGIN, "sub-key-77") == (headers["api-login"], headers["api-key"])
    assert KEY.reveal() not in repr(server.requests)


def test_hints_name_the_variables_of_the_parent_and_a_balance_has_none() -> None:
    with scripted(answering(answer("401 Unauthorized", b""))) as server:
        acme = client(server.url, credential_names="ACME_LOGIN and ACME_KEY")
        theirs = (acme.create(LEONARDO), acme.edit(LOGIN, CHANGED), acme.read(LOGIN))
        own = acme.balance(Credentials(LOGIN, Secret("sub-key-77")))
    for verdict in theirs:
        assert isinstance(verdict, NotCreated | Failed)
        assert "Check ACME_LOGIN and ACME_KEY," in verdict.hint
    assert isinstance(own, Failed)
    assert "ACME" not in own.hint


def test_the_sandbox_changes_reads_and_counts_the_account_that_was_made() -> None:
    callbacks = Callbacks(callback_url_for_visits="https://hooks.example.com/?t=1", email_for_inbounds="a@example.com")
    request = EditRequest(Attributes("Leonardo", "Vinci", None, callbacks), Secret("Another-1504"))
    with sandboxed() as sandbox:
        mine = client(sandbox.url)
        made = mine.create(LEONARDO)
        assert isinstance(made, Created)
        login = made.credentials.api_login
        assert Edited() == mine.edit(login, request)
        flat = request.attributes.flat()
        assert Observed({path: flat.get(path) for path in FIELDS}, made.credentials.api_key) == mine.read(login)
        assert isinstance(mine.balance(made.credentials), Balance)
        assert isinstance(mine.read("nobody@x"), Missing)
        assert isinstance(mine.edit("nobody@x", request), Missing)
        assert [Secret("Another-1504")] == [each.password for each in sandbox.accounts]


# ── Tried again ──────────────────────────────────────────────────────────────

OK: Final = answering(answer("200 OK", TOLD))
BROKEN: Final = answering(answer("500 Oh", b""))
RESET: Final = then(Wire.reset)
REFUSED_400: Final = answering(answer("400 Bad", b""))
BUSY: Final = answering(answer("429 Busy", b""))


@pytest.mark.parametrize("before", [BROKEN, RESET, BUSY])
def test_an_edit_and_a_reading_are_tried_again(before: Script) -> None:
    with scripted(scripts(before, OK, before, OK)) as server:
        assert Edited() == client(server.url).edit(LOGIN, CHANGED)
        assert isinstance(client(server.url).read(LOGIN), Observed)
    assert 4 == len(server.requests)
    assert server.requests[0] == server.requests[1]


@pytest.mark.parametrize(
    ("script", "then_", "possible", "requests"),
    [
        (scripts(REFUSED_400), Then.GO_ON, False, 1),
        (scripts(BUSY, REFUSED_400), Then.GO_ON, False, 2),
        (scripts(BROKEN, REFUSED_400), Then.GO_ON, True, 2),
        (scripts(RESET, BUSY, BUSY), Then.RETRY, True, 3),
        (scripts(BUSY, BUSY, RESET), Then.RETRY, True, 3),
        (scripts(BUSY, BUSY, BUSY), Then.RETRY, False, 3),
        (scripts(answering(answer("303 See", b"", "Location: /"))), Then.STOP, True, 1),
    ],
)
def test_an_edit_of_which_any_attempt_may_have_been_carried_out_may_have_been(
    script: Script, then_: Then, *, possible: bool, requests: int
) -> None:
    with scripted(script) as server:
        verdict = client(server.url).edit(LOGIN, CHANGED)
    assert isinstance(verdict, Failed)
    assert (then_, possible, requests) == (verdict.then, verdict.possible, len(server.requests))


NOT_FOUND: Final = answering(answer("404 Not Found", b""))


@pytest.mark.parametrize(
    ("script", "possible"),
    [
        (scripts(NOT_FOUND), False),
        (scripts(BUSY, NOT_FOUND), False),
        (scripts(RESET, NOT_FOUND), True),
        (scripts(BROKEN, BUSY, NOT_FOUND), True),
    ],
)
def test_a_login_that_is_not_known_any_more_does_not_undo_an_attempt_before(script: Script, *, possible: bool) -> None:
    with scripted(script) as server:
        assert Missing("Octopush does not know its login (HTTP 404)", possible) == client(server.url).edit(
            LOGIN, CHANGED
        )


def test_an_edit_without_an_answer_in_time_may_have_been_carried_out() -> None:
    with scripted(then(Wire.silence)) as server:
        verdict = client(server.url, timeout=SHORT).edit(LOGIN, CHANGED)
    assert isinstance(verdict, Failed)
    place = server.url.removeprefix("http://").partition("/")[0]
    assert (f"no answer within {SHORT} s ({place})", True) == (verdict.reason, verdict.possible)


def test_an_edit_that_cannot_be_sent_was_not_carried_out() -> None:
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        verdict = client(f"http://{HOST}:{bound.getsockname()[1]}").edit(LOGIN, CHANGED)
    assert isinstance(verdict, Failed)
    assert (Then.RETRY, False) == (verdict.then, verdict.possible)


@pytest.mark.parametrize(("before", "possible"), [(BUSY, False), (BROKEN, True)])
def test_an_interruption_while_an_edit_waits_sends_nothing_more(before: Script, *, possible: bool) -> None:
    waits: list[float] = []
    policy = RetryPolicy(ATTEMPTS, 60, 120, waits.append, lambda: bool(waits))
    with scripted(before) as server:
        verdict = client(server.url, retry=policy).edit(LOGIN, CHANGED)
    assert Failed("the run was interrupted before it was sent", Then.STOP, possible=possible) == verdict
    assert 1 == len(server.requests)


def test_nothing_is_sent_after_an_interruption() -> None:
    policy = RetryPolicy(ATTEMPTS, 60, 120, lambda _: None, lambda: True)
    with scripted(OK) as server:
        mine = client(server.url, retry=policy)
        verdicts = (mine.edit(LOGIN, CHANGED), mine.read(LOGIN), mine.balance(Credentials(LOGIN, KEY)))
    assert {Failed("the run was interrupted before it was sent", Then.STOP)} == set(verdicts)
    assert [] == server.requests


@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("secret", [KEY.reveal(), PASSWORD.reveal(), "tok%2Den", "pass-word"])
def test_what_the_api_echoes_of_an_edit_is_masked(status: int, secret: str) -> None:
    body = json.dumps({"code": 7, "message": f"-{secret}-"}).encode()
    request = EditRequest(Attributes("Leonardo", "Da Vinci", None, CALLBACKS), PASSWORD)
    with scripted(answering(answer(f"{status} Whatever", body))) as server:
        verdict = client(server.url).edit(LOGIN, request)
    assert isinstance(verdict, Failed | Missing)
    assert "-***-" in verdict.reason
    assert secret not in repr(verdict)


def test_what_the_api_echoes_of_a_key_is_masked() -> None:
    echo = answering(answer("400 Bad", json.dumps({"message": f"-{KEY.reveal()}- -sub-key-77-"}).encode()))
    with scripted(echo) as server:
        reading = client(server.url).read(LOGIN)
        balance = client(server.url).balance(Credentials(LOGIN, Secret("sub-key-77")))
    assert isinstance(reading, Failed)
    assert isinstance(balance, Failed)
    assert "-***-" in reading.reason
    assert "-***-" in balance.reason
    assert KEY.reveal() not in reading.reason
    assert "sub-key-77" not in balance.reason
