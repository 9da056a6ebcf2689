"""Sends one HTTP request, and records how far it got.

Records the send phase: whether any byte of the request itself was handed to the
connection. A name look-up, a TLS handshake and a proxy's CONNECT are not part of the
request. Does not retry, follow redirects, use ambient settings (``.netrc``, proxy
variables) or accept compressed bodies. Does not raise: the outcome is returned.

Each exchange has a new connection, because a reused one can lose or mix up an
answer, and one deadline for everything from the connect to the last byte. Any
number of threads may share a transport.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import field
from functools import partial
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InvalidHeader, LocationValueError
from urllib3.util import Url, make_headers, parse_url

from provisioner import files
from provisioner.immutable import immutable
from provisioner.model import address
from provisioner.octopush.framing import (
    BrokenChunkError,
    CutHeadError,
    EndlessInterimError,
    StrictResponse,
    UnclearEndError,
)

BODY_CAP: Final = 64 * 1024
"""How many bytes of a body are read; the documented answers have a few hundred."""

WATCHDOG: Final = "exchange deadlines"
"""The name of the thread that ends late exchanges."""


@immutable
class Request:
    """One HTTP request; ``headers`` contain the parent's key, so they are never shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@immutable
class Reply:
    """An answer, complete or cut."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    cut: str | None = None
    """Why the body is not complete; None if it is."""
    host: str = field(default="", repr=False, compare=False)
    """The host that was called."""


@immutable
class Failure:
    """No answer arrived."""

    sent: bool
    """Whether any byte of the request was handed to the connection."""
    reason: str
    certificate: bool = False
    """The server's certificate or host name is not valid."""
    exposed: bool = False
    """Plain http would have left this machine: nothing was sent."""
    interrupted: bool = False
    """The run was interrupted while the request waited for its turn: nothing was sent."""
    host: str = field(default="", compare=False)
    """The host that was called, with its proxy; empty if none was."""

    @property
    def reason_with_host(self) -> str:
        """The reason, and the host that it is about."""
        return f"{self.reason} ({self.host})" if self.host else self.reason


class _Phase:
    """The progress of one exchange, and the means to end it at its deadline."""

    def __init__(self) -> None:
        self.connecting = False
        self.sent = False
        self.expired = False
        self.reply: Reply | None = None
        """The answer, once all that comes of it has been read."""
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def watch(self, connection: socket.socket) -> None:
        """Keep a second handle to the connection, because TLS takes over the first one."""
        with self._lock:
            if self.expired:
                connection.close()
                raise TimeoutError
            self._socket = connection.dup()

    def begin(self) -> None:
        """Record that the request itself is handed over; raises TimeoutError if the exchange has been ended.

        If a connection is ended before its handshake, TLS silently skips the handshake.
        """
        with self._lock:
            if self.expired:
                raise TimeoutError
            self.sent = True

    def expire(self) -> None:
        """End the exchange: whoever waits on the connection sees its end."""
        with self._lock:
            self.expired = True
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    # The other side has just closed it.
                    return

    def close(self) -> None:
        """Close the second handle."""
        with self._lock:
            if self._socket is not None:
                with suppress(OSError):  # the handle is gone even then
                    self._socket.close()
                self._socket = None


class _Watchdog:
    """Ends the exchanges of one transport at their deadlines, with one thread while there are any.

    All have the same timeout, so they are due in the order in which they began, and a new one
    need not wake the thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[_Phase, float] = {}
        self._thread: threading.Thread | None = None

    def watch(self, phase: _Phase, timeout: float) -> None:
        """End the exchange in ``timeout`` seconds; raises RuntimeError if no thread can be started."""
        with self._lock:
            self._deadlines[phase] = time.monotonic() + timeout
            if self._thread is None or not self._thread.is_alive():  # a fork leaves the threads behind
                self._thread = threading.Thread(target=self._run, name=WATCHDOG, daemon=True)
                self._thread.start()

    def forget(self, phase: _Phase) -> None:
        """Stop watching the exchange: it has ended by itself."""
        with self._lock:
            self._deadlines.pop(phase, None)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._deadlines:
                    self._thread = None
                    return
                phase, deadline = next(iter(self._deadlines.items()))
                wait = deadline - time.monotonic()
                is_late = wait <= 0
                if is_late:
                    del self._deadlines[phase]
            if is_late:
                phase.expire()
            else:
                time.sleep(wait)


class _SharedContext(ssl.SSLContext):
    """Trusts the authorities of one file, for many connections at once.

    Python's documentation forbids changes once a connection uses it. urllib3 sets the
    protocols again for each connection, so they are set once here, and then kept.
    """

    def __new__(cls, _: str | None) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate that is valid for the name

    def __init__(self, ca_file: str | None) -> None:
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        self.hostname_checks_common_name = False
        self.options |= ssl.OP_NO_TICKET  # no session is ever resumed
        if sys.version_info >= (3, 13):
            self.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT  # as Python's own default
        super().set_alpn_protocols(["http/1.1"])
        if ca_file is None:
            self.load_verify_locations(certifi.where())
        else:
            self.load_verify_locations(cadata=files.read_authorities(Path(ca_file)))

    def set_alpn_protocols(self, _: object) -> None:
        """Change nothing."""


class _Authorities:
    """The authorities that a transport trusts: parsed once, on first use, as that takes longer than most exchanges."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def context(self, ca_file: str | None) -> ssl.SSLContext:
        """Return the context that all connections share; raises OSError for a file without authorities."""
        with self._lock:
            if self._context is None:
                self._context = _SharedContext(ca_file)
            return self._context


@immutable
class Transport:
    """How requests travel; ``timeout`` is the deadline of one exchange in seconds."""

    timeout: float
    proxy: str | None = field(default=None, repr=False)
    """For https only: plain http is for this machine, and through a proxy the key would leave it in clear text."""
    ca_file: str | None = None
    """A PEM file of certificate authorities, instead of those of certifi."""
    _watchdog: _Watchdog = field(default_factory=_Watchdog, init=False, repr=False, compare=False)
    _authorities: _Authorities = field(default_factory=_Authorities, init=False, repr=False, compare=False)

    def exchange(self, request: Request) -> Reply | Failure:
        """Send ``request`` over its own connection, and return the outcome."""
        phase = _Phase()
        try:
            target = _read_once(request.url)
            _require_sendable(request.headers)
            self._watchdog.watch(phase, self.timeout)
            with closing(self._pool(phase, target)) as pool:
                return self._send(pool, phase, request, target)
        except Exception as error:  # noqa: BLE001  # how far the request got decides, not the exception
            if phase.reply is not None:
                # Only the end of the connection failed. The answer may be the only copy of credentials.
                return phase.reply
            reason = self._late() if phase.expired else _describe(error, self.timeout)
            return Failure(
                phase.sent,
                reason,
                certificate=_is_any(error, ssl.SSLCertVerificationError),
                exposed=_is_any(error, ExposedError),
                host=self._host(request.url),
            )
        finally:
            self._watchdog.forget(phase)
            phase.close()

    def _pool(self, phase: _Phase, target: Url) -> urllib3.HTTPConnectionPool:
        """Return a pool of one connection, which will record the progress of its exchange in ``phase``."""
        if target.scheme == "http":
            pool = urllib3.HTTPConnectionPool(str(target.host), target.port)
            pool.ConnectionCls = partial(_RecordedConnection, phase=phase)  # type: ignore[assignment]  # urllib3's own way in
            return pool
        trusting = self._authorities.context(self.ca_file)
        if self.proxy is None:
            pool = urllib3.HTTPSConnectionPool(str(target.host), target.port, ssl_context=trusting)
        else:
            user = parse_url(self.proxy).auth
            password = make_headers(proxy_basic_auth=unquote(user)) if user else None
            through = urllib3.ProxyManager(
                self.proxy, proxy_headers=password, proxy_ssl_context=trusting, ssl_context=trusting
            )
            pool = through.connection_from_host(target.host, target.port, "https")
        pool.ConnectionCls = partial(_RecordedTLSConnection, phase=phase)  # type: ignore[assignment]  # the same
        return pool

    def _send(self, pool: urllib3.HTTPConnectionPool, phase: _Phase, request: Request, target: Url) -> Reply:
        user = make_headers(basic_auth=unquote(target.auth)) if target.auth else {}
        headers = {"Accept-Encoding": "identity", **request.headers, **user}
        response = pool.urlopen(
            request.method, target.request_uri, request.body, headers, retries=False, redirect=False,
            timeout=self.timeout, preload_content=False, decode_content=False,
        )  # fmt: skip
        with closing(response):
            body = bytearray()
            cut = None
            try:
                for piece in _pieces(response):
                    body += piece
                    if len(body) > BODY_CAP:
                        cut = f"it is larger than {BODY_CAP} bytes"
                        break
            except Exception as error:  # noqa: BLE001  # the status is valid even if the body is not
                cut = _describe(error, self.timeout)
            if phase.expired and (cut or "Content-Length" not in response.headers):
                # Without a declared length, being cut at the deadline looks like a normal end.
                cut = self._late()
            kept = bytes(body[:BODY_CAP])
            phase.reply = Reply(response.status, response.headers, kept, cut, self._host(request.url))
            return phase.reply

    def _host(self, url: str) -> str:
        """Return the host and its proxy, and nothing else of an address, which may contain a secret."""
        through = f" through the proxy {host(self.proxy)}" if self.proxy and url.startswith("https:") else ""
        return f"{host(url)}{through}"

    def _late(self) -> str:
        return _LATE.format(self.timeout)


class ExposedError(Exception):
    """Plain http would go to another machine."""


class TwoReadingsError(ExposedError):
    """The address is ambiguous: two parsers read two different hosts in it."""


class _RecordedConnection(HTTPConnection):
    """Records the send phase of its request, and reads its answer strictly."""

    response_class = StrictResponse
    _in_clear = True

    def __init__(self, *args: Any, phase: _Phase, **options: Any) -> None:  # noqa: ANN401  # urllib3's own arguments
        super().__init__(*args, **options)
        self._phase = phase

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        # A name proves nothing; the address that was connected to does.
        if self._in_clear and not address.is_loopback(connection.getpeername()[0]):
            connection.close()
            raise ExposedError
        self._phase.watch(connection)
        return connection

    def connect(self) -> None:
        self._phase.connecting = True
        try:
            super().connect()
        finally:
            self._phase.connecting = False

    def send(self, data: Any) -> None:  # noqa: ANN401  # http.client's own argument
        if self.sock is None:
            self.connect()
        if not self._phase.connecting:
            self._phase.begin()
        super().send(data)


class _RecordedTLSConnection(_RecordedConnection, HTTPSConnection):
    """The same over TLS; the order of the bases puts the recording around the handshake."""

    _in_clear = False


def _pieces(raw: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    while piece := raw.read1(BODY_CAP, decode_content=False):
        yield piece


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes, outermost first; urllib3 hides causes in arguments."""
    pending: list[BaseException] = [error]
    visited: list[BaseException] = []
    while pending:
        current = pending.pop(0)
        if any(current is each for each in visited):
            continue
        visited.append(current)
        yield current
        inner = (*current.args, getattr(current, "reason", None), current.__cause__, current.__context__)
        pending += [each for each in inner if isinstance(each, BaseException)]


def _read_once(url: str) -> Url:
    """Return the parts of an http(s) address; raises TwoReadingsError if its host is ambiguous."""
    read = urlsplit(url)
    # Two standards disagree about such hosts, and urllib3 would need another library to follow one.
    if not (read.hostname or "").isascii():
        raise TwoReadingsError
    connected = parse_url(url)
    if (read.scheme, read.hostname, read.port) != (
        connected.scheme, (connected.host or "").strip("[]") or None, connected.port
    ):  # fmt: skip
        raise TwoReadingsError
    if connected.scheme not in {"http", "https"} or not connected.host:
        raise LocationValueError
    return connected


def _require_sendable(headers: Mapping[str, str]) -> None:
    """Raise InvalidHeader for a value that a server would read as another one, or as several fields."""
    if any(re.search(r"^\s|[\r\n]", value) for value in headers.values()):
        raise InvalidHeader


def _is_any(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(each, kind) for each in _chain(error))


def host(url: str) -> str:
    """Return the host, with its port if given; an empty text if the address cannot be parsed."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _describe(error: BaseException, timeout: float) -> str:
    """Return what happened, without any address, header or proxy password."""
    chain = tuple(_chain(error))
    for kind, words in _WORDS:
        if any(isinstance(each, kind) for each in chain):
            return words.format(timeout)
    return f"the connection failed ({type(chain[-1]).__name__})"


_LATE: Final = "no answer within {:g} s"
_WORDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TwoReadingsError, "its address can be read in two ways"),
    (ExposedError, "plain http would leave this machine"),
    (ssl.SSLCertVerificationError, "the server's certificate is not valid for its name"),
    (urllib3.exceptions.NameResolutionError, "the server's name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (RemoteDisconnected, "the connection was closed without an answer"),
    (ConnectionResetError, "the connection was reset"),
    (BrokenPipeError, "the connection was closed while the request was being sent"),
    (urllib3.exceptions.NewConnectionError, "no connection could be made"),  # a kind of the next one
    (urllib3.exceptions.ConnectTimeoutError, "no connection within {:g} s"),
    # The deadline and the wait for a byte are equally long; which one ends first is chance.
    (TimeoutError, _LATE),
    (urllib3.exceptions.ReadTimeoutError, _LATE),
    (ssl.SSLError, "the TLS connection failed"),
    (IncompleteRead, "it ended too early"),
    (BrokenChunkError, "it ended too early"),
    (CutHeadError, "the answer ended within its head"),
    (UnclearEndError, "its Content-Length is not valid"),
    (EndlessInterimError, "interim answers came, but no final one"),
    (HTTPException, "the answer is not HTTP"),
    (urllib3.exceptions.InvalidHeader, "the answer is not HTTP"),
    (urllib3.exceptions.ProxyError, "the proxy refused the connection"),
)
