"""A local server that behaves like Octopush's sub-account API, with a dashboard and faults to order.

Owns made-up accounts, their ledger and a count of the requests. Refuses to listen
anywhere but on loopback, to start a client, and to import anything that does not
come with Python: it must start at once, as a process of its own.

What stands behind its behaviour:

- documented by Octopush: the paths, the authentication headers, the fields of the
  requests, the answers of create, read and balance; that reading and writing
  differ (``callbacks`` is read back as ``callback``, ``email_for_inbounds`` as
  ``email``, a URL that is not set as ``null``); that a limit exists, 20 by default;
  that a request with incorrect values is corrected silently and succeeds.
- seen in clients: the look of a login; 201 as the answer to an edit; a refusal as
  ``{"code", "message"}``.
- guessed: every code and message, and how the account over the limit is refused
  (400); what a missing field or wrong credentials do (400, 401; 403 where a
  sub-account asks for what is its parent's); which characters are prohibited; that
  a number or a boolean given for a text is cast and anything else ignored; that an
  edit keeps what it does not name, replaces ``callbacks`` as a whole and forgets a
  company that is ``null`` or empty; the names of the URLs in ``callback``, the body
  of an edit (``{}``), and the shape of ``wallet_packs``.
- by hand: what the API has no call for, and a person is taken to do in Octopush's
  dashboard. These calls are the sandbox's own: they need no credentials, no fault
  strikes them, and they are not among the requests that are told and counted:

  - ``GET /sandbox/accounts``: the accounts, the oldest first, ``[{"api_login",
    "first_name", "last_name", "company_name", "callbacks"}]``.
  - ``PATCH /sandbox/accounts/{login}``: sets those given of ``first_name``,
    ``last_name``, ``company_name``, ``callbacks`` and ``api_key`` to exactly what is
    given; of ``callbacks`` those that are named, where null clears one. Answers the
    account as it is listed, or 400 for what cannot be set, and then sets nothing.
  - ``DELETE /sandbox/accounts/{login}``: the account is gone, its place free.
  - ``GET /sandbox/requests``: what the API received, ``[{"n", "method", "path",
    "status", "fault"}]``, the latest 10,000, with null for a status that was not, or
    not yet, sent.

With a ledger, a sandbox that is stopped, or killed, and started again still knows
its accounts; the file holds their made-up passwords and keys **in clear**.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import secrets
import signal
import socket
import string
import struct
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass, replace
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar
from urllib.parse import parse_qs, unquote

from provisioner.errors import SettingInvalid
from provisioner.model.account import Secret
from provisioner.octopush.faults import (
    FAULT_HELP,
    LIMIT_REACHED,
    Ending,
    Endpoint,
    Fault,
    Reply,
    answered,
    parse_fault,
    refused,
)
from provisioner.octopush.ledger import Account, Ledger, follow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["FAULT_HELP", "Account", "Fault", "Sandbox", "Seen", "Settings", "parse_fault"]

HOST: Final = "127.0.0.1"
PREFIX: Final = "/v1/public"
BY_HAND: Final = "/sandbox/"
REQUESTS_KEPT: Final = 10_000
BODY_CAP: Final = 64 * 2**10
DRAIN_CAP: Final = 16 * 2**20
IDLE_SECONDS: Final = 60
POLL_SECONDS: Final = 0.02
PARENT_EUROS: Final = 12.54
MADE_UP_KEY: Final = Secret("sandbox")


@dataclass(frozen=True, slots=True)
class Settings:
    """How one sandbox is to behave."""

    port: int = 0
    """0: any that is free."""
    limit: int = 20
    latency: float = 0.0
    """Seconds between the processing of a request and its answer."""
    ledger: Path | None = None
    faults: tuple[Fault, ...] = ()
    api_login: str = "parent@example.com"
    api_key: Secret = MADE_UP_KEY


class RefusalError(Exception):
    """A request that is answered with ``reply`` and changes nothing."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def _refuse(status: int, code: int, message: str) -> NoReturn:
    raise RefusalError(refused(status, code, message))


# ── What the API does ────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was received."""

    method: str
    target: str
    api_login: str
    api_key: str
    body: bytes

    def document(self) -> dict[str, object]:
        """Return the body, an object; anything else is refused."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            _refuse(HTTPStatus.BAD_REQUEST, 100, "The body is not a JSON object.")
        return document


class ByHand(Enum):
    """What can be done in the dashboard."""

    REQUESTS = "requests"
    ACCOUNTS = "accounts"
    CHANGE = "change"
    DELETE = "delete"


ROUTES: Final = (
    (re.compile(f"{PREFIX}/subaccount/create"), {"POST": Endpoint.CREATE}),
    (re.compile(f"{PREFIX}/subaccount/([^/]+)"), {"GET": Endpoint.READ}),
    (re.compile(f"{PREFIX}/subaccount/([^/]+)/edit"), {"PATCH": Endpoint.EDIT}),
    (re.compile(f"{PREFIX}/wallet/check-balance"), {"GET": Endpoint.BALANCE}),
)
ROUTES_BY_HAND: Final = (
    (re.compile(f"{BY_HAND}requests"), {"GET": ByHand.REQUESTS}),
    (re.compile(f"{BY_HAND}accounts"), {"GET": ByHand.ACCOUNTS}),
    (re.compile(f"{BY_HAND}accounts/([^/]+)"), {"PATCH": ByHand.CHANGE, "DELETE": ByHand.DELETE}),
)
REQUIRED: Final = ("first_name", "last_name", "password")
Call = TypeVar("Call", Endpoint, ByHand)


def _routed(request: Request, routes: Iterable[tuple[re.Pattern[str], Mapping[str, Call]]]) -> tuple[Call, str]:
    """Return what is called and the login in its path, empty where there is none."""
    path = request.target.partition("?")[0]
    for pattern, calls in routes:
        if found := pattern.fullmatch(path):
            if request.method not in calls:
                allow = (("Allow", ", ".join(calls)),)
                raise RefusalError(
                    refused(HTTPStatus.METHOD_NOT_ALLOWED, 105, "This method is not allowed here.", headers=allow)
                )
            return calls[request.method], unquote("".join(found.groups()))
    return _refuse(HTTPStatus.NOT_FOUND, 104, "There is nothing at this path.")


class Api:
    """One parent's sub-accounts behind the four calls and the dashboard; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._ledger = Ledger(settings.ledger) if settings.ledger else None
        self.accounts: dict[str, Account] = {}
        if self._ledger:
            try:
                self.accounts, cut = self._ledger.load()
            except BaseException:
                self._ledger.close()
                raise
            if cut:
                print(f"sandbox: the last line of {settings.ledger} was damaged; it is dropped", file=sys.stderr)

    def close(self) -> None:
        """Let the ledger go, once a request in flight is stored."""
        with self._lock:
            if self._ledger:
                self._ledger.close()

    def answer(self, endpoint: Endpoint, login: str, request: Request, ignored: Collection[str] = ()) -> Reply:
        """Return the honest answer, with some of the request's fields ``ignored``; raises RefusalError."""
        parent = self._authenticated(request)
        if endpoint is Endpoint.BALANCE:
            return self._balance(request, PARENT_EUROS if parent else 0.0)
        if not parent:
            _refuse(HTTPStatus.FORBIDDEN, 103, "Only the parent account may do this.")
        if endpoint is Endpoint.CREATE:
            return self._create(request.document(), ignored)
        account = self._known(login)
        if endpoint is Endpoint.EDIT:
            return self._edit(login, request.document(), ignored)
        return answered(HTTPStatus.OK, account.read())

    def listed(self) -> list[dict[str, object]]:
        """Return every account as the dashboard lists it, the oldest first."""
        with self._lock:
            return [account.listed() for account in self.accounts.values()]

    def change(self, login: str, document: dict[str, object]) -> dict[str, object]:
        """Set by hand what ``document`` gives, and return the account as it is listed; raises RefusalError."""
        with self._lock:
            try:
                account = self._known(login).set_by_hand(document)
            except ValueError as error:
                _refuse(HTTPStatus.BAD_REQUEST, 109, f"Nothing is changed: {error}.")
            self._store("edited", account)
        return account.listed()

    def delete(self, login: str) -> None:
        """Forget an account; raises RefusalError."""
        with self._lock:
            self._store("deleted", self._known(login))

    def _known(self, login: str) -> Account:
        account = self.accounts.get(login)
        if account is None:
            _refuse(HTTPStatus.NOT_FOUND, 106, "This sub-account is not known.")
        return account

    def _authenticated(self, request: Request) -> bool:
        """Return whether the parent asks, and not one of its sub-accounts."""
        parent = _same(request.api_login, self._settings.api_login)
        account = self.accounts.get(request.api_login)
        expected = self._settings.api_key if parent or account is None else account.api_key
        if not _same(request.api_key, expected.reveal()) or not (parent or account):
            _refuse(HTTPStatus.UNAUTHORIZED, 101, "The credentials are not valid.")
        return parent

    def _balance(self, request: Request, euros: float) -> Reply:
        balance: dict[str, object] = {"amount": euros, "unit": "euros"}
        if parse_qs(request.target.partition("?")[2]).get("with_details") == ["true"]:
            balance["wallet_packs"] = [{"id": 1, "residual_credit": euros}]
        return answered(HTTPStatus.OK, balance)

    def _create(self, document: dict[str, object], ignored: Collection[str]) -> Reply:
        if missing := [name for name in REQUIRED if name not in document]:
            _refuse(HTTPStatus.BAD_REQUEST, 121, f"Missing: {', '.join(missing)}.")
        with self._lock:
            if len(self.accounts) >= self._settings.limit:
                raise RefusalError(LIMIT_REACHED)
            key = secrets.token_hex(16)
            account = Account(self._unused_login(), Secret(key), Secret("")).corrected(document, ignored)
            self._store("created", account)
        return answered(HTTPStatus.CREATED, {"api_key": key, "api_login": account.api_login})

    def _edit(self, login: str, document: dict[str, object], ignored: Collection[str]) -> Reply:
        with self._lock:
            self._store("edited", self._known(login).corrected(document, ignored))
        return answered(HTTPStatus.CREATED, {})

    def _store(self, event: str, account: Account) -> None:
        try:
            if self._ledger:
                self._ledger.append(event, account)
        except OSError as error:
            print(f"sandbox: {self._settings.ledger} could not be written: {error}", file=sys.stderr)
            _refuse(HTTPStatus.INTERNAL_SERVER_ERROR, 500, "The sandbox could not write its ledger.")
        follow(self.accounts, event, account)

    def _unused_login(self) -> str:
        while True:
            letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(3))
            login = f"{letters}_{secrets.randbelow(16**3):03x}@sub-accounts.com"
            if login not in self.accounts:
                return login


def _same(given: str, expected: str) -> bool:
    """Compare any texts: a key that was set by hand may not fit into UTF-8."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass"))


# ── HTTP ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that was received; ``n`` counts them from 1."""

    n: int
    method: str
    path: str
    status: int | None = None
    """What the client could read; None: nothing, or not yet."""
    fault: str | None = None


class _Server(ThreadingTCPServer):
    """The socket, a daemon thread for each connection, and what they share."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, settings: Settings, api: Api) -> None:
        super().__init__((HOST, settings.port), _Handler)
        self.settings = settings
        self.api = api
        self.stopping = threading.Event()
        self.seen: dict[int, Seen] = {}
        self.connections: set[socket.socket] = set()
        self._received = 0
        self._counts: Counter[Endpoint] = Counter()
        self._lock = threading.Lock()

    def note(self, method: str, path: str) -> Seen:
        """Count one request, and forget the oldest beyond those kept."""
        with self._lock:
            self._received += 1
            seen = self.seen[self._received] = Seen(self._received, method, path)
            self.seen.pop(self._received - REQUESTS_KEPT, None)
        return seen

    def reply(self, request: Request) -> tuple[Reply, Fault | None]:
        """Return the answer to one request, and the fault that distorted it; raises RefusalError."""
        endpoint, login = _routed(request, ROUTES)
        with self._lock:
            self._counts[endpoint] += 1
            number = self._counts[endpoint]
        fault = next((each for each in self.settings.faults if each.strikes(endpoint, number)), None)
        if fault is None:
            return self.api.answer(endpoint, login, request), None
        honest = self.api.answer(endpoint, login, request, fault.ignored) if fault.processed else Reply(None)
        return fault.distorted(honest), fault

    def reply_by_hand(self, request: Request) -> Reply:
        """Return the dashboard's answer; raises RefusalError."""
        call, login = _routed(request, ROUTES_BY_HAND)
        match call:
            case ByHand.REQUESTS:
                return answered(HTTPStatus.OK, [asdict(each) for each in tuple(self.seen.values())])
            case ByHand.ACCOUNTS:
                return answered(HTTPStatus.OK, self.api.listed())
            case ByHand.CHANGE:
                return answered(HTTPStatus.OK, self.api.change(login, request.document()))
            case ByHand.DELETE:
                self.api.delete(login)
                return answered(HTTPStatus.OK, {})

    def settle(self, seen: Seen) -> None:
        """Note how a request was answered, unless it is forgotten already."""
        with self._lock:
            if seen.n in self.seen:
                self.seen[seen.n] = seen

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Say nothing of a client that went away; anything else is a defect and is shown."""
        if not isinstance(sys.exception(), OSError) and not self.stopping.is_set():
            super().handle_error(request, client_address)

    def stop(self, *, serving: bool) -> None:
        """Stop accepting, and end every connection and pause."""
        self.stopping.set()
        if serving:
            self.shutdown()  # waits for the loop, and for ever where there is none
        self.server_close()
        for connection in tuple(self.connections):
            with contextlib.suppress(OSError):  # it was closed a moment ago
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection, for as many requests as it brings."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server: _Server

    def setup(self) -> None:
        """Make the connection known until it ends, so that a stop ends it."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        """Answer a request of any method."""
        if self.path.startswith(BY_HAND):
            self._send(self._reply_by_hand())
            return
        seen = self.server.note(self.command, self.path)
        fault = None
        try:
            reply, fault = self.server.reply(self._request())
        except RefusalError as refusal:
            reply = refusal.reply
        if self.server.stopping.wait(self.server.settings.latency + reply.wait):
            self.close_connection = True
            return
        self.server.settle(replace(seen, status=reply.status, fault=fault.spec if fault else None))
        self._send(reply)

    do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = do_GET

    def _reply_by_hand(self) -> Reply:
        try:
            return self.server.reply_by_hand(self._request())
        except RefusalError as refusal:
            return refusal.reply

    def _request(self) -> Request:
        login, key = self.headers.get("api-login", ""), self.headers.get("api-key", "")
        return Request(self.command, self.path, login, key, self._body())

    def _body(self) -> bytes:
        declared = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch(r"\d{1,15}", declared, re.ASCII):
            self.close_connection = True
            _refuse(HTTPStatus.LENGTH_REQUIRED, 107, "A Content-Length is needed.")
        length = int(declared)
        if length > BODY_CAP:
            self.close_connection = True
            self.rfile.read(min(length, DRAIN_CAP))  # a client reads no answer before it has sent its body
            _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 108, f"The body is longer than {BODY_CAP} bytes.")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client went away before its body was whole")
        return body

    def _send(self, reply: Reply) -> None:
        self.close_connection = self.close_connection or reply.ending is not Ending.KEEP
        if reply.ending is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # close() alone would come after a FIN
            return
        data = reply.encoded(close=self.close_connection, bodiless=self.command == "HEAD")
        step = 1 if reply.pace else max(len(data), 1)
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            if self.server.stopping.wait(reply.pace):
                return

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is not HTTP, in the API's shape."""
        self.close_connection = True
        self._send(refused(code, 100, message or explain or "This is not HTTP."))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Print nothing; what was received can be asked for."""


# ── The sandbox ──────────────────────────────────────────────────────────────


class Sandbox:
    """A running sandbox: ``with Sandbox(settings) as sandbox: client(sandbox.url)``.

    Making one opens the ledger and the port, and raises SettingInvalid where that
    fails; entering it serves from a thread; leaving it stops.
    """

    def __init__(self, settings: Settings) -> None:
        self._api = Api(settings)
        try:
            self._server = _Server(settings, self._api)
        except (OSError, OverflowError) as error:
            self._api.close()
            raise SettingInvalid(
                f"The sandbox cannot listen on {HOST} port {settings.port}: {error}",
                hint="Choose another port, or 0 for any that is free.",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)

    @property
    def url(self) -> str:
        """The base address of the API."""
        return f"http://{HOST}:{self._server.server_address[1]}{PREFIX}"

    @property
    def dashboard(self) -> str:
        """The address at which accounts are listed, and below which each is changed and deleted by hand."""
        return f"{self.url.removesuffix(PREFIX)}{BY_HAND}accounts"

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Every account, the oldest first."""
        return tuple(self._api.accounts.values())

    @property
    def requests(self) -> tuple[Seen, ...]:
        """What was received, the oldest first; what ``GET /sandbox/requests`` tells."""
        return tuple(self._server.seen.values())

    def serve_forever(self) -> None:
        """Return once :meth:`shutdown` was called or, in the main thread, on SIGINT or SIGTERM."""
        if threading.current_thread() is not threading.main_thread():
            self._thread.join()
            return
        before = {each: signal.signal(each, signal.default_int_handler) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            with contextlib.suppress(KeyboardInterrupt):  # both signals: the way to stop a sandbox
                self._thread.join()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def shutdown(self) -> None:
        """Stop at once, answers in flight unsent; harmless when done twice."""
        self._server.stop(serving=self._thread.is_alive())
        self._api.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
