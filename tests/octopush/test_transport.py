"""The transport over real sockets: how far each request got, and what came back."""

from __future__ import annotations

import gzip
import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from provisioner.octopush.transport import (
    BODY_CAP,
    WATCHDOG,
    Failure,
    Reply,
    Request,
    Transport,
    _Phase,
    _RecordedTLSConnection,
    _SharedContext,
    _Watchdog,
)
from tests.conftest import eventually
from tests.octopush.servers import ANSWERED, HOST, Script, Wire, answer, answering, dripping, scripted, then

KEY: Final = "parent-key-3f9c1b7e5d"
HEADERS: Final = {"api-login": "parent@example.com", "api-key": KEY}
BODY: Final = b'{"password": "Gioconda-1503"}'
PATIENT: Final = 10.0
SHORT: Final = 0.3
LATE: Final = {"no answer within 0.3 s", "no connection within 0.3 s"}
"""The deadline of the exchange and the time-out of its socket end at the same time: either may be the first."""


def post(url: str, transport: Transport | None = None, body: bytes = BODY) -> Reply | Failure:
    return (transport or Transport(PATIENT)).exchange(Request("POST", url, HEADERS, body))


def replied(script: Script, timeout: float = PATIENT) -> Reply:
    with scripted(script) as server:
        outcome = post(server.url, Transport(timeout))
        assert 1 == server.connections
    assert isinstance(outcome, Reply)
    return outcome


def failed(script: Script, timeout: float = PATIENT, body: bytes = BODY) -> Failure:
    with scripted(script) as server:
        outcome = post(server.url, Transport(timeout), body)
        assert 1 == server.connections
    assert isinstance(outcome, Failure)
    return outcome


# ── Certificates ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that only those with its file trust, and two servers with its certificates."""

    ca_file: str
    here: ssl.SSLContext
    elsewhere: ssl.SSLContext


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with the openssl command, and there is none here")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    def new_key(name: str) -> None:
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")

    def vouched(name: str, subject: str) -> ssl.SSLContext:
        new_key(name)
        openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(
            f"subjectAltName={subject}\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        return context

    (folder / "ca.conf").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=ca\nprompt=no\n[name]\nCN=made up\n"
        "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
    )
    new_key("ca")
    openssl("req", "-x509", "-new", "-key", "ca.key", "-config", "ca.conf", "-days", "2", "-out", "ca.pem")
    here, elsewhere = vouched("here", f"IP:{HOST}"), vouched("elsewhere", "DNS:elsewhere.invalid")
    return Authority(str(folder / "ca.pem"), here, elsewhere)


# ── Before the request is sent ───────────────────────────────────────────────


def test_a_name_that_cannot_be_resolved_is_not_sent() -> None:
    outcome = post("https://api.octopush.invalid/", Transport(60))
    assert Failure(sent=False, reason="the server's name could not be resolved") == outcome
    assert "the server's name could not be resolved (api.octopush.invalid)" == outcome.reason_with_host


def test_a_refused_connection_is_not_sent() -> None:
    with socket.socket() as bound:
        bound.bind((HOST, 0))  # and never listens
        expected = Failure(sent=False, reason="the connection was refused")
        assert expected == post(f"http://{HOST}:{bound.getsockname()[1]}")


@contextmanager
def full_backlog() -> Iterator[int]:
    """The port of a listening socket with a full queue."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connect_time_out_is_not_sent() -> None:
    with full_backlog() as port:
        outcome = post(f"http://{HOST}:{port}", Transport(SHORT))
    assert isinstance(outcome, Failure)
    assert (False, True) == (outcome.sent, outcome.reason in LATE)


class SlowHeaders(Mapping[str, str]):
    """Headers that are handed over only once the deadline has passed."""

    def __iter__(self) -> Iterator[str]:
        time.sleep(SHORT)
        return iter(HEADERS)

    def __getitem__(self, name: str) -> str:
        return HEADERS[name]

    def __len__(self) -> int:
        return len(HEADERS)


def test_a_deadline_that_passed_before_the_connection_was_made_is_not_sent() -> None:
    with scripted(answering(answer())) as server:
        outcome = Transport(SHORT / 3).exchange(Request("POST", server.url, SlowHeaders(), BODY))
        assert Failure(sent=False, reason="no answer within 0.1 s") == outcome
    assert [] == server.requests


@pytest.mark.parametrize("header", ["k\N{EURO SIGN}y", "k\r\ny", " key"])
def test_a_request_that_cannot_be_put_on_the_wire_is_not_sent_and_not_shown(header: str) -> None:
    with scripted(answering(answer())) as server:
        outcome = Transport(PATIENT).exchange(Request("POST", server.url, {"api-key": header}, BODY))
    assert isinstance(outcome, Failure)
    assert (False, False) == (outcome.sent, header in outcome.reason)
    assert [] == server.requests


def test_an_address_may_contain_a_login() -> None:
    with scripted(answering(answer())) as server:
        assert isinstance(post(server.url.replace("//", "//ada:p%40ss@") + "/hook?a=%2F"), Reply)
        (request,) = server.requests
    assert request.startswith(b"POST /hook?a=%2F HTTP/1.1\r\n")
    assert b"\r\nauthorization: Basic YWRhOnBAc3M=\r\n" in request


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://[::1/", "ftp://127.0.0.1/", "http:///", ""])
def test_an_address_that_cannot_be_used_is_not_sent(url: str) -> None:
    outcome = post(url)
    assert isinstance(outcome, Failure)
    assert not outcome.sent


def own_address() -> str | None:
    """This machine's address in its network, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return None


def test_plain_http_stays_on_this_machine_whatever_the_name() -> None:
    own = own_address()
    if own is None:
        pytest.skip("this machine has no network: every address of its own is loopback")
    with socket.create_server((own, 0)) as listener:
        to = f"{own}:{listener.getsockname()[1]}"
        outcome = post(f"http://{to}/")
        assert Failure(sent=False, reason="plain http would leave this machine", exposed=True) == outcome
        listener.settimeout(PATIENT)
        with listener.accept()[0] as accepted:
            assert b"" == accepted.recv(1)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.255.255.1:9\\[::1]/",
        "http://10.255.255.1:9\\@127.0.0.1/",
        "https://10.255.255.1\\.octopush.invalid/",
        "https://stra\u00dfe.octopush.invalid/",
    ],
)
def test_an_address_with_two_readings_is_not_sent(url: str) -> None:
    assert post(url) == Failure(sent=False, reason="its address can be read in two ways", exposed=True)


RECORD: Final = b"\x16\x03\x03\x40\x00\x02" + bytes(1000)
"""The beginning of a TLS record that holds the server's part of a handshake."""


def reads_a_little_and_resets(wire: Wire) -> None:
    wire.connection.recv(1024)
    wire.reset()


@pytest.mark.parametrize(
    ("script", "timeout", "reasons"),
    [
        (Wire.silence, SHORT, LATE),
        (lambda wire: wire.drip(RECORD), SHORT, {"no answer within 0.3 s"}),
        (reads_a_little_and_resets, PATIENT, {"the connection was reset"}),
        (lambda wire: wire.send(answer()), PATIENT, {"the TLS connection failed", "the connection was reset"}),
        (lambda wire: wire.connection.recv(65536), PATIENT, {"the TLS connection failed"}),
    ],
    ids=["silence", "drip", "reset", "garbage", "closed"],
)
def test_a_failed_tls_handshake_is_not_sent(script: Script, timeout: float, reasons: set[str]) -> None:
    started = time.monotonic()
    with scripted(script) as server:
        outcome = post(server.url.replace("http:", "https:"), Transport(timeout))
        # The client may have given up before the server came to accept it.
        while server.connections == 0 and time.monotonic() - started < PATIENT:
            time.sleep(0.01)
        assert 1 == server.connections
    assert isinstance(outcome, Failure)
    assert (False, False) == (outcome.sent, outcome.certificate)
    assert outcome.reason in reasons
    assert time.monotonic() - started < PATIENT


class LateContext(ssl.SSLContext):
    """Does the handshake only after the connection has ended on both sides."""

    ending: Callable[[], None]

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401  # its own arguments
        self.ending()
        return super().wrap_socket(*args, **options)


def test_a_deadline_that_passes_between_the_connection_and_its_handshake_is_not_sent() -> None:
    ended = threading.Event()

    def ends(wire: Wire) -> None:
        wire.silence()
        wire.connection.close()
        ended.set()

    def ending() -> None:
        phase.expire()
        assert ended.wait(PATIENT)

    phase, context = _Phase(), LateContext(ssl.PROTOCOL_TLS_CLIENT)
    context.ending = ending
    with scripted(ends) as server:
        connection = _RecordedTLSConnection(HOST, server.port, phase=phase, ssl_context=context)
        with closing(phase), closing(connection), pytest.raises(TimeoutError):
            connection.request("POST", "/", body=BODY)
    assert (False, []) == (phase.sent, server.requests)


@pytest.mark.parametrize("case", ["unknown authority", "another name"])
def test_a_certificate_that_is_not_valid_is_told_from_other_failures(authority: Authority, case: str) -> None:
    context, ca_file = (
        (authority.here, None) if case == "unknown authority" else (authority.elsewhere, authority.ca_file)
    )
    with scripted(answering(answer()), context) as server:
        outcome = post(server.url, Transport(PATIENT, ca_file=ca_file))
    reason = "the server's certificate is not valid for its name"
    assert Failure(sent=False, reason=reason, certificate=True) == outcome
    assert [] == server.requests


def test_a_certificate_of_an_authority_in_the_ca_file_is_accepted(authority: Authority) -> None:
    with scripted(answering(answer()), authority.here) as server:
        outcome = post(server.url, Transport(PATIENT, ca_file=authority.ca_file))
    assert isinstance(outcome, Reply)
    assert (201, ANSWERED, None) == (outcome.status, outcome.body, outcome.cut)
    assert KEY.encode() in server.requests[0]


def test_authorities_are_read_once_for_any_number_of_threads(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    transport = Transport(PATIENT, ca_file=str(file))
    with scripted(answering(answer()), authority.here) as server, ThreadPoolExecutor(8) as pool:
        # A file that cannot be read at first is read at the next exchange.
        assert isinstance(post(server.url, transport), Failure)
        file.write_text(Path(authority.ca_file).read_text())
        assert isinstance(post(server.url, transport), Reply)
        file.unlink()
        outcomes = list(pool.map(post, [server.url] * 16, [transport] * 16))
        assert 17 == server.connections
    assert [(201, ANSWERED)] * 16 == [(each.status, each.body) for each in outcomes if isinstance(each, Reply)]
    # And no other authority is trusted meanwhile.
    assert {"x509": 1, "x509_ca": 1, "crl": 0} == transport._authorities.context(None).cert_store_stats()  # noqa: SLF001


def test_tls_is_asked_for_a_valid_certificate_and_for_http_1_1_alone(authority: Authority) -> None:
    context = _SharedContext(authority.ca_file)
    assert (ssl.CERT_REQUIRED, True, False) == (
        context.verify_mode,
        context.check_hostname,
        context.hostname_checks_common_name,
    )
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version
    assert ssl.create_default_context().verify_flags == context.verify_flags
    chosen: list[str | None] = []

    def script(wire: Wire) -> None:
        connection = wire.connection
        assert isinstance(connection, ssl.SSLSocket)
        chosen.append(connection.selected_alpn_protocol())
        answering(answer())(wire)

    authority.here.set_alpn_protocols(["h2", "http/1.1"])
    with scripted(script, authority.here) as server:
        transport = Transport(PATIENT, ca_file=authority.ca_file)
        assert isinstance(post(server.url, transport), Reply)
        assert isinstance(post(server.url, transport), Reply)
    assert ["http/1.1"] * 2 == chosen


# ── A proxy ──────────────────────────────────────────────────────────────────

PROXY_USER: Final = "proxy-user:proxy-password"
ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "timeout", "reasons"),
    [
        (answering(answer("407 Proxy Authentication Required")), PATIENT, {"the proxy refused the connection"}),
        (answering(answer("502 Bad Gateway")), PATIENT, {"the proxy refused the connection"}),
        (answering(), PATIENT, {"the connection was closed without an answer"}),
        (answering(b"what?\r\n\r\n"), PATIENT, {"the answer is not HTTP"}),
        (
            Wire.reset,
            PATIENT,
            {"the connection was reset", "the connection was closed while the request was being sent"},
        ),
        (then(Wire.silence), SHORT, LATE),
        (dripping(answer("200 OK", b"", "X-Pad: " + "x" * 1000)), SHORT, {"no answer within 0.3 s"}),
        (then(reads_a_little_and_resets, ESTABLISHED), PATIENT, {"the connection was reset"}),
        (then(Wire.silence, ESTABLISHED), SHORT, LATE),
        (dripping(RECORD, ESTABLISHED), SHORT, {"no answer within 0.3 s"}),
    ],
    ids=["407", "502", "closed", "garbage", "reset", "silence", "drip", "tls reset", "tls silence", "tls drip"],
)
def test_a_failure_of_the_proxy_before_tls_means_not_sent(script: Script, timeout: float, reasons: set[str]) -> None:
    with scripted(script) as proxy:
        address = proxy.url.replace("//", f"//{PROXY_USER}@")
        outcome = post("https://api.octopush.invalid/v1", Transport(timeout, proxy=address))
    assert isinstance(outcome, Failure)
    assert (False, False) == (outcome.sent, outcome.certificate)
    assert outcome.reason in reasons
    assert all(each.startswith(b"CONNECT api.octopush.invalid:443 ") for each in proxy.requests)
    assert KEY.encode() not in b"".join(proxy.requests)


def test_a_proxy_that_cannot_be_reached_is_not_sent() -> None:
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        place = f"{HOST}:{bound.getsockname()[1]}"
        outcome = post("https://api.octopush.invalid/", Transport(PATIENT, proxy=f"http://ada:SECRET@{place}"))
        assert Failure(sent=False, reason="the connection was refused") == outcome
        assert (
            f"the connection was refused (api.octopush.invalid through the proxy {place})" == outcome.reason_with_host
        )


@pytest.mark.parametrize("known", [True, False])
def test_a_proxy_over_tls_needs_a_valid_certificate_too(authority: Authority, *, known: bool) -> None:
    with scripted(answering(answer("502 Bad Gateway")), authority.here) as proxy:
        transport = Transport(PATIENT, proxy=proxy.url, ca_file=authority.ca_file if known else None)
        outcome = post("https://api.octopush.invalid/v1", transport)
    assert isinstance(outcome, Failure)
    assert (False, not known) == (outcome.sent, outcome.certificate)
    assert known == (len(proxy.requests) == 1)


def test_a_proxy_carries_tls_and_never_sees_the_key(authority: Authority) -> None:
    def script(wire: Wire) -> None:
        wire.request()
        wire.send(ESTABLISHED)
        wire.secure(authority.elsewhere)
        answering(answer())(wire)

    with scripted(script) as proxy:
        transport = Transport(PATIENT, proxy=proxy.url, ca_file=authority.ca_file)
        outcome = post("https://elsewhere.invalid/v1", transport)
    assert isinstance(outcome, Reply)
    assert (201, ANSWERED) == (outcome.status, outcome.body)
    connect, request = proxy.requests
    assert connect.startswith(b"CONNECT elsewhere.invalid:443 ")
    assert KEY.encode() not in connect
    assert request.startswith(b"POST /v1 ")
    assert KEY.encode() in request


def test_plain_http_goes_through_no_proxy() -> None:
    with scripted(answering(answer())) as server, scripted(answering(answer())) as proxy:
        assert isinstance(post(server.url, Transport(PATIENT, proxy=proxy.url)), Reply)
        assert (1, 0) == (server.connections, proxy.connections)


# ── After sending began ──────────────────────────────────────────────────────

HUGE: Final = bytes(32 * 2**20)
CLOSED: Final = "the connection was closed without an answer"


@pytest.mark.parametrize(
    ("script", "timeout", "body", "reasons"),
    [
        (then(Wire.reset), PATIENT, BODY, {"the connection was reset"}),
        (answering(), PATIENT, BODY, {CLOSED}),
        (then(Wire.silence), SHORT, BODY, LATE),
        (answering(b"HTTQ/9 what?\r\n\r\n"), PATIENT, BODY, {"the answer is not HTTP"}),
        (answering(b"HTTP/9 201 Created\r\n\r\n"), PATIENT, BODY, {"the answer is not HTTP"}),
        (
            answering(answer("201 Created", b"{}", *["X: y"] * 200)),
            PATIENT,
            BODY,
            {"the answer is not HTTP"},
        ),
        (dripping(b"HTTP/1.1 201 Created\r\nX-Pad: " + b"x" * 1000), SHORT, BODY, {"no answer within 0.3 s"}),
        (dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), SHORT, BODY, {"no answer within 0.3 s"}),
        (reads_a_little_and_resets, PATIENT, HUGE, {"the connection was reset", CLOSED}),
        (Wire.hold, SHORT, HUGE, LATE),
    ],
    ids=[
        *("reset", "end of file", "silence", "broken status line", "unknown protocol"),
        *("too many headers", "dripping header", "dripping 100", "reset while sending", "full buffer"),
    ],
)
def test_a_failure_after_sending_began_was_sent(script: Script, timeout: float, body: bytes, reasons: set[str]) -> None:
    started = time.monotonic()
    outcome = failed(script, timeout, body)
    assert outcome.sent
    assert outcome.reason in reasons
    assert time.monotonic() - started < SHORT * 5


def test_a_reset_over_tls_after_sending_began_was_sent(authority: Authority) -> None:
    with scripted(then(Wire.reset), authority.here) as server:
        outcome = post(server.url, Transport(PATIENT, ca_file=authority.ca_file))
    assert outcome in (Failure(sent=True, reason="the connection was reset"), Failure(sent=True, reason=CLOSED))


def test_a_deadline_over_tls_ends_a_dripping_answer(authority: Authority) -> None:
    with scripted(dripping(answer() + bytes(1000)), authority.here) as server:
        outcome = post(server.url, Transport(SHORT, ca_file=authority.ca_file))
    assert Failure(sent=True, reason="no answer within 0.3 s") == outcome


def test_a_deadline_that_finds_the_connection_reset_is_quiet() -> None:
    with socket.create_server((HOST, 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        phase = _Phase()
        phase.watch(client)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        eventually(lambda: bool(select.select([client], [], [], 0)[0]))
        phase.expire()
        phase.close()
        assert phase.expired


# ── An answer ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [101, 200, 201, 204, 299, 304, 400, 418, 429, 500, 599, 999])
def test_every_status_is_an_answer(status: int) -> None:
    reply = replied(answering(answer(f"{status} Whatever", b"")))
    assert (status, b"", None) == (reply.status, reply.body, reply.cut)


def test_an_answer_is_kept_whole_with_its_headers() -> None:
    reply = replied(answering(answer("429 Too Many", b"{}", "Retry-After: 7")))
    assert (429, b"{}", None, "7") == (reply.status, reply.body, reply.cut, reply.headers.get("retry-after"))


CHUNKED: Final = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN: Final = b"HTTP/1.1 201 Created\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize(
    "wire",
    [
        CHUNKED + chunk(ANSWERED[:9]) + chunk(ANSWERED[9:]) + chunk(b""),
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 999\r\n\r\n") + chunk(ANSWERED) + chunk(b""),
        PLAIN + ANSWERED,
        answer("201 Created", ANSWERED, "Content-Type: application/json; charset"),
        answer("201 Created", ANSWERED, "Content-Type: \xff\xfe; charset=\xff"),
        answer("201 Created", ANSWERED, "Set-Cookie: \xff=;;;expires=a;version=x"),
    ],
    ids=["chunks", "chunks and a length", "closed", "charset", "odd type", "odd cookie"],
)
def test_a_whole_body_is_whole(wire: bytes) -> None:
    reply = replied(answering(wire))
    assert (201, ANSWERED, None) == (reply.status, reply.body, reply.cut)


HALF: Final = ANSWERED[:20]


@pytest.mark.parametrize(
    ("script", "body", "cut"),
    [
        (answering(answer(length=999)), ANSWERED, "it ended too early"),
        (answering(answer("201 Created", b"", length=999)), b"", "it ended too early"),
        (answering(CHUNKED + chunk(HALF)), HALF, "it ended too early"),
        (answering(CHUNKED + chunk(ANSWERED)[:23]), ANSWERED[:19], "it ended too early"),
        (answering(CHUNKED + chunk(HALF) + b"what?\r\n"), HALF + b"what?\r\n", "it ended too early"),
        (then(Wire.reset, answer("201 Created", b"", length=999)), b"", None),
    ],
    ids=["length", "nothing", "chunks", "in a chunk", "no chunk", "reset"],
)
def test_a_cut_body_is_told_and_kept(script: Script, body: bytes, cut: str | None) -> None:
    with scripted(script) as server:
        outcome = post(server.url)
    if cut is None:  # a reset can overtake the status line
        assert outcome == Failure(sent=True, reason="the connection was reset") or isinstance(outcome, Reply)
        return
    assert isinstance(outcome, Reply)
    assert (201, body, cut) == (outcome.status, outcome.body, outcome.cut)


def test_the_deadline_ends_a_dripping_body() -> None:
    reply = replied(dripping(ANSWERED * 99, answer(body=b"", length=99999)), SHORT)
    assert (201, "no answer within 0.3 s") == (reply.status, reply.cut)
    assert 0 < len(reply.body) < 20
    assert (ANSWERED * 99).startswith(reply.body)


def test_a_body_that_stops_coming_is_cut() -> None:
    reply = replied(then(Wire.silence, answer(body=HALF, length=999)), SHORT)
    assert (201, HALF) == (reply.status, reply.body)
    assert reply.cut in LATE


@pytest.mark.parametrize(("size", "cut"), [(65_535, None), (65_536, None), (65_537, "it is larger than 65536 bytes")])
def test_a_body_is_read_up_to_a_cap(size: int, cut: str | None) -> None:
    reply = replied(answering(answer(body=b"x" * size)))
    assert (min(size, 65_536), cut) == (len(reply.body), reply.cut)


@pytest.mark.parametrize("status", ["201 Created", "302 Found"])
def test_an_endless_body_is_left_at_the_cap(status: str) -> None:
    def endless(wire: Wire) -> None:
        answering(f"HTTP/1.1 {status}\r\nLocation: /\r\n\r\n".encode())(wire)
        while True:
            wire.send(bytes(65536))

    reply = replied(endless)
    assert (bytes(BODY_CAP), f"it is larger than {BODY_CAP} bytes") == (reply.body, reply.cut)


@pytest.mark.parametrize("status", ["201 Created", "302 Found"])
def test_a_compressed_body_is_kept_as_it_came(status: str) -> None:
    packed = gzip.compress(ANSWERED)
    reply = replied(answering(answer(status, packed, "Content-Encoding: gzip", "Location: /")))
    assert (packed, None) == (reply.body, reply.cut)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    with scripted(answering(answer())) as other:
        reply = replied(answering(answer(f"{status} Elsewhere", b"moved", f"Location: {other.url}/v1")))
        assert (status, b"moved", None) == (reply.status, reply.body, reply.cut)
        assert (0, []) == (other.connections, other.requests)


@pytest.mark.parametrize("location", ["http://[::1", "/\xff\xfe", "", "//", "http://\x7f"])
def test_where_a_redirect_points_is_not_even_read(location: str) -> None:
    reply = replied(answering(answer("302 Found", b"moved", f"Location: {location}")))
    assert (302, b"moved", None) == (reply.status, reply.body, reply.cut)


# ── What is sent ─────────────────────────────────────────────────────────────


def test_the_request_is_sent_as_given_and_asks_for_no_compression() -> None:
    with scripted(answering(answer())) as server:
        post(f"{server.url}/v1/public?a=b")
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    assert ("POST /v1/public?a=b HTTP/1.1", BODY) == (line, body)
    expected = {"Host": f"{HOST}:{server.port}", "Accept-Encoding": "identity", "Content-Length": str(len(BODY))}
    assert HEADERS | expected == dict(each.split(": ", 1) for each in fields if not each.startswith("User-Agent"))


def test_each_exchange_has_a_connection_of_its_own() -> None:
    with scripted(
        then(Wire.silence, answer("201 Created", ANSWERED, "Connection: keep-alive", "Set-Cookie: a=b"))
    ) as server:
        transport = Transport(PATIENT)
        for _ in range(3):
            assert isinstance(post(server.url, transport), Reply)
        eventually(lambda: len(server.requests) == 3)
        assert 3 == server.connections
    assert b"cookie" not in b"".join(server.requests).lower()


# ── The deadlines of many ────────────────────────────────────────────────────


@contextmanager
def talking_to_all() -> Iterator[str]:
    """A server that keeps sending 100, so that no wait for a byte is long, and never answers."""
    stopping = threading.Event()

    def talk() -> None:
        with ExitStack() as opened:
            connections: list[socket.socket] = []
            while not stopping.is_set():
                if select.select([listener], [], [], 0.02)[0]:
                    connections.append(opened.enter_context(listener.accept()[0]))
                for each in connections:
                    with suppress(OSError):  # it has gone
                        each.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    with socket.create_server((HOST, 0)) as listener:
        talker = threading.Thread(target=talk)
        talker.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            stopping.set()
            talker.join()


def watchdogs() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == WATCHDOG}


def test_one_thread_ends_every_exchange_of_a_transport_at_its_own_deadline() -> None:
    before, transport = watchdogs(), Transport(SHORT)
    with talking_to_all() as url, ThreadPoolExecutor(8) as pool:
        outcomes = [pool.submit(post, url, transport) for _ in range(24)]
        while not all(each.done() for each in outcomes):
            assert len(running := watchdogs() - before) <= 1
            assert all(each.daemon for each in running)  # none keeps a program that ends from ending
            time.sleep(0.01)
    ends = [each.result() for each in outcomes]
    assert {"no answer within 0.3 s"} == {each.reason for each in ends if isinstance(each, Failure)}
    assert 24 == sum(isinstance(each, Failure) for each in ends)


def test_nothing_is_left_running_and_the_next_exchange_has_its_deadline_again() -> None:
    before, transport = watchdogs(), Transport(SHORT)
    with scripted(answering(answer())) as server:
        for _ in range(3):
            assert isinstance(post(server.url, transport), Reply)
            assert len(watchdogs() - before) <= 1
    eventually(lambda: not watchdogs() - before)
    with talking_to_all() as url:
        assert Failure(sent=True, reason="no answer within 0.3 s") == post(url, transport)


def test_an_exchange_that_has_ended_is_not_ended_again() -> None:
    watchdog, ended, late = _Watchdog(), _Phase(), _Phase()
    before = watchdogs()
    watchdog.watch(ended, SHORT)
    watchdog.watch(late, SHORT)
    watchdog.forget(ended)
    eventually(lambda: not watchdogs() - before)
    assert (False, True) == (ended.expired, late.expired)
    watchdog.forget(late)


FORKED: Final = """
import os, signal, sys, warnings
from provisioner.octopush.transport import Request, Transport
warnings.simplefilter("ignore")
transport = Transport(1)
answering, talking = (Request("GET", url, {}) for url in sys.argv[1:])
transport.exchange(answering)
if (child := os.fork()) == 0:
    signal.alarm(20)
    os._exit(transport.exchange(talking).reason != "no answer within 1 s")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_that_is_forked_keeps_its_deadlines_itself() -> None:
    with scripted(answering(answer())) as server, talking_to_all() as url:
        child = [sys.executable, "-c", FORKED, server.url, url]
        assert 0 == subprocess.run(child, cwd=Path(__file__).parents[2], check=False, timeout=60).returncode


# ── Ambient settings ─────────────────────────────────────────────────────────

CHILD: Final = """
import json, sys
from provisioner.octopush.transport import Request, Transport
for url in sys.argv[2:]:
    outcome = Transport(10, ca_file=sys.argv[1] or None).exchange(Request("POST", url, {"api-key": "k"}, b"{}"))
    print(json.dumps([getattr(outcome, "status", None), getattr(outcome, "reason", None)]))
"""


def as_a_process(home: Path, ca_file: str, *urls: str, **environ: str) -> list[list[object]]:
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, ca_file, *urls],
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environ},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_netrc_and_proxy_variables_are_ignored(authority: Authority, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {HOST} login ambient password ambient\ndefault login ambient password ambient\n")
    netrc.chmod(0o600)
    with (
        scripted(answering(answer("502 Bad Gateway"))) as proxy,
        scripted(answering(answer())) as plain,
        scripted(answering(answer()), authority.here) as secure,
    ):
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        environ = {**dict.fromkeys(names, proxy.url), "NETRC": str(netrc)}
        outcomes = as_a_process(tmp_path, authority.ca_file, plain.url, secure.url, **environ)
        assert [[201, None]] * 2 == outcomes
        assert 0 == proxy.connections
    assert 2 == len(plain.requests + secure.requests)
    assert b"authorization" not in b"".join(plain.requests + secure.requests).lower()


def test_authorities_in_the_environment_are_ignored(authority: Authority, tmp_path: Path) -> None:
    with scripted(answering(answer()), authority.here) as server:
        names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        (outcome,) = as_a_process(tmp_path, "", server.url, **dict.fromkeys(names, authority.ca_file))
    assert [None, "the server's certificate is not valid for its name"] == outcome
    assert [] == server.requests


# ── What is shown ────────────────────────────────────────────────────────────


def test_no_secret_is_shown() -> None:
    request = Request("POST", "https://api.example.com", HEADERS, BODY)
    assert "Request(method='POST', url='https://api.example.com')" == repr(request)
    assert "Reply(status=201, cut=None)" == repr(Reply(201, {"Set-Cookie": KEY}, ANSWERED))
    assert "Transport(timeout=1, ca_file=None)" == repr(Transport(1, proxy=f"http://{PROXY_USER}@proxy"))


@pytest.mark.parametrize("name", ["absent.pem", "."])
def test_a_ca_file_that_cannot_be_used_is_not_sent(name: str, tmp_path: Path) -> None:
    with closing(socket.create_server((HOST, 0))) as listener:
        url = f"https://{HOST}:{listener.getsockname()[1]}"
        outcome = post(url, Transport(SHORT, ca_file=str(tmp_path / name)))
    assert isinstance(outcome, Failure)
    assert not outcome.sent
