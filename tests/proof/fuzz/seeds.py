"""Seeds: valid inputs of each kind, from which a search for odd ones begins."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from openpyxl import Workbook

from provisioner.model.history import Author, HistoryEntry
from provisioner.state import codec, history, rescue
from provisioner.state.sealing import new_identity
from tests.proof.fuzz.suites import age_vectors
from tests.proof.fuzz.targets import MARK, open_project, own_words
from tests.state import LATER, PENDING, STATE, UNKNOWN

_FIRST: Final = f"""\
version: 1
defaults: &d
  company_name: Italy
accounts:
  - name: paris
    first_name: Leonardo
    last_name: "Da\\u0020Vinci"
    password: {MARK}
    callbacks:
      callback_url_for_deliveries: https://hooks.example.com/dlr?t={MARK}
      email_for_inbounds: sms@example.com
  - {{<<: *d, name: oslo, previously: rome, first_name: 1e5, last_name: 'no', password_version: 2}}
"""
_TABLE: Final = (
    f"name;first_name;last_name;password;callback_url_for_visits\n"
    f'paris;Leonardo;"Da; Vinci";{MARK};https://h.example/?t={MARK}\noslo;É;0033;;\n'
)
_CONTENT: Final = (
    '<d:c xmlns:d="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:t="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:x="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><d:body><d:spreadsheet><t:table t:name="a">{}'
    "</t:table></d:spreadsheet></d:body></d:c>"
)
_ROW: Final = "<t:table-row>{}</t:table-row>"
_CELL: Final = '<t:table-cell d:value-type="string"><x:p>{}</x:p></t:table-cell>'
_NAMES: Final = ("name", "first_name", "last_name")


def of(target: str) -> Iterator[bytes]:
    """Yield the seeds of a target."""
    yield from _SEEDS[target]()


def _texts(*texts: str) -> Iterator[bytes]:
    for text in texts:
        yield text.encode()


def _yaml() -> Iterator[bytes]:
    yield from _texts(
        _FIRST,
        "version: 1\nparent: acme\naccounts:\n- name: a\n  first_name: |\n    A\n  last_name: >-\n    B\n",
        json.dumps(
            {"version": 1, "accounts": [{"name": "a", "first_name": "\U0001f600", "last_name": "${env:HOOK_TOKEN}"}]}
        ),
    )


def _csv() -> Iterator[bytes]:
    yield from _texts(_TABLE, "sep=;\n" + _TABLE, "name\tfirst_name\tlast_name\ta\nb\tc\td\te\n")
    yield f"#encoding cp850\n{_TABLE}".encode("cp850")
    yield _TABLE.encode("cp1252")
    yield _TABLE.encode("utf-16")


def _workbook() -> Iterator[bytes]:
    book = Workbook()
    sheet = book.active
    for row in (_NAMES, ("paris", "Léonardo", "0033"), ("oslo", 33, "=A1")):
        sheet.append(row)
    sheet.row_dimensions[9].hidden = True
    packed = io.BytesIO()
    book.save(packed)
    with zipfile.ZipFile(packed) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    del parts["xl/theme/theme1.xml"]
    yield b"".join(b"=== " + name.encode() + b" ===\n" + content + b"\n" for name, content in parts.items())
    rows = "".join(_ROW.format("".join(map(_CELL.format, row))) for row in (_NAMES, ("paris", "A", "B<x:s x:c='2'/>C")))
    yield b"=== content.xml ===\n" + _CONTENT.format(rows).encode()


def _logins() -> Iterator[bytes]:
    yield from _texts("name,login\nparis,abc_1f2@sub-accounts.com\noslo,b@c.d\n")


def _state() -> Iterator[bytes]:
    yield codec.encode(STATE)
    yield codec.encode(LATER, "b3" * 16)
    yield codec.tombstone("s3://bucket/default.json")
    yield json.dumps({**json.loads(codec.encode(STATE)), "endpoint": None, "placements": {"a": "b"}}).encode()


def _rescue() -> Iterator[bytes]:
    for record in (PENDING, UNKNOWN, None):
        line = rescue.encode(rescue.RescueEntry("l", "default", "paris", "op-1", record))
        yield line.encode()
        yield f"\x1b[31m12:00 {line}\x1b[0m\n".encode()
        yield json.dumps({"event": "rescue", rescue.MARK: json.loads(line.partition(" ")[2])}).encode()


def _history() -> Iterator[bytes]:
    author = Author("2026-01-02T03:04:05Z", "ada@laptop", "ada", None, "run", None)
    yield history.encode(HistoryEntry(author, 3, "paris", "create", "created", "rome")).encode()


def _sealed() -> Iterator[bytes]:
    place = {"lineage": "l", "parent": "p", "name": "paris", "operation": "o"}
    for more in (
        {"api_login": "abc_1f2@sub-accounts.com", "api_key": "k", "password": MARK, "others": ["a"]},
        {"answer": {"status": 500, "body": "x"}, "sent": {"first_name": "A", "last_name": "B"}, "altered": {"x": None}},
        {
            "answer": {"status": 500, "body_base64": "eA=="},
            "sent": {"first_name": "A", "last_name": "B", "callbacks": {}},
        },
    ):
        yield json.dumps(place | more).encode()


def _armour() -> Iterator[bytes]:
    for name in ("x25519", "armor_x25519", "armor_crlf", "scrypt", "hybrid_and_x25519", "x25519_multiple_recipients"):
        yield age_vectors()[name].armour()


def _keys() -> Iterator[bytes]:
    identity = age_vectors()["x25519"].identities[0]
    yield from _texts(f"# a comment\n{identity}\n", identity.lower(), "-----BEGIN OPENSSH PRIVATE KEY-----\n")
    yield from _texts(new_identity()[1], "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")


def _plan() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as name:
        project = open_project(Path(name))
        path = Path(name) / "plan.json"
        project.save_plan(project.plan(), path)
        saved = path.read_bytes()
        for mark, own in own_words(Path(name)).items():
            saved = saved.replace(own, mark)
        yield saved


def _settings() -> Iterator[bytes]:
    yield from _texts(
        "state: state/{parent}.json\nlimit: 20\nreserved: 1\ntimeout: 2.5\nkeep_going: true\nattempts: 3\n"
        f"proxy: http://a:{MARK}@127.0.0.1:9\nheartbeat_url: ${{env:PING}}\nencoding: cp850\n",
        "parents:\n  acme: {api_login: '${env:A}', api_key: '${env:K}', limit: 50, frozen: {until: 2026-12-31,"
        " reason: x}}\n  beta: {}\n",
        "recipients: [age1x]\nca_file: ~/ca.pem\nmetrics_file: m.prom\napi_url: http://localhost:1/v1/public\n",
    )


def _environment() -> Iterator[bytes]:
    yield from _texts(
        "PROVISIONER_LIMIT=20\nPROVISIONER_TIMEOUT=1e1\nPROVISIONER_KEEP_GOING=yes\nPROVISIONER_STATE=~/s/{parent}.json",
        "OCTOPUSH_API_URL=https://api.example/v1\nPROVISIONER_RECIPIENTS=age1x,age1y ssh-ed25519 A\nHOME=/h",
        "PROVISIONER_PLACEHOLDERS=HOOK_* ./secrets/*\nPROVISIONER_PROXY=\nPROVISIONER_CA_FILE=ca\nHOOK_TOKEN=x",
    )


def _placeholders() -> Iterator[bytes]:
    yield from _texts(
        "https://h.example/?t=${env:HOOK_TOKEN}",
        "${file:secrets/token}${file:./secrets/token}",
        "${file:secrets/link/token}${file:secrets/out}${env:CI_TOKEN}${file:../token}",
        "${env:OTHER}${file:key}${env:HOOK_",
    )


def _secret_file() -> Iterator[bytes]:
    yield from _texts(f"{MARK}\n", f"\ufeff{MARK}\r\n", "a\nb")
    yield MARK.encode("utf-16")


def _answers() -> Iterator[tuple[str, str]]:
    yield "201 Created", '{"api_login": "abc_1f2@sub-accounts.com", "api_key": "sub-key-77"}'
    yield "400 Bad Request", f'{{"code": 121, "message": "The password {MARK} is wrong for parent@example.com"}}'
    yield "409 Conflict", '{"api_login": "abcdefgh1", "api_key": "0123456789ab"}'
    yield "404 Not Found", "<html>not here</html>"
    yield "429 Too Many Requests", '{"code": 1, "message": "limit of sub-accounts reached"}'
    yield "503 Unavailable", ""
    yield (
        "200 OK",
        (
            '{"first_name": "A", "company_name": null, "callback": {"email": "a@b.c", "callback_url_for_visits": null},'
            ' "api_key": "k", "code": 0}'
        ),
    )
    yield (
        "200 OK",
        (
            '{"amount": 12.54, "unit": "euros", "wallet_packs":'
            ' [{"credit": 1, "expiration_date": "2030-10-23T13:41:46+02:00"}]}'
        ),
    )


def _answer() -> Iterator[bytes]:
    for line, body in _answers():
        yield f"{line[:3]}\nContent-Type: application/json\nRetry-After: 7\n\n{body}".encode()
    yield b"201\nContent-Encoding: gzip\nX-Cut: it ended\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\n\n{"


def _wire() -> Iterator[bytes]:
    for line, body in _answers():
        yield f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield f"{chunked}5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n".encode()
    yield b"HTTP/1.0 302 Found\r\nLocation: /\r\nSet-Cookie: a=b\r\n\r\nelsewhere"


_SEEDS: Final = {
    "manifest-yaml": _yaml,
    "manifest-csv": _csv,
    "workbook": _workbook,
    "logins": _logins,
    "state": _state,
    "rescue": _rescue,
    "history": _history,
    "sealed-content": _sealed,
    "armour": _armour,
    "keys": _keys,
    "plan": _plan,
    "settings": _settings,
    "environment": _environment,
    "placeholders": _placeholders,
    "secret-file": _secret_file,
    "answer": _answer,
    "wire": _wire,
}
