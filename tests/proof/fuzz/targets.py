"""Every kind of input that people and other programs can write, each with the code of the program that reads it.

A target takes bytes and an empty folder. It may raise one of the program's own errors. Anything
else is a finding: another exception, a promise that does not hold (:class:`Broken`), or a
message that repeats :data:`MARK`, which stands for a secret.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from requests.structures import CaseInsensitiveDict

import provisioner
from provisioner import manifest, planner
from provisioner.errors import InternalError, ProvisionerError
from provisioner.manifest import expansion, logins, writing
from provisioner.model.account import PLACEHOLDER, Manifest, Problem, Secret
from provisioner.model.exchange import Failed, Missing
from provisioner.model.plan import Plan
from provisioner.model.state import State
from provisioner.model.status import ParentStatus
from provisioner.model.verdict import Created, NotCreated, OutcomeUnknown, SealedContent
from provisioner.octopush.idempotent import judge_balance, judge_edit, judge_read
from provisioner.octopush.transport import Failure, Reply, Request, Transport
from provisioner.octopush.verdict import judge
from provisioner.placeholders.reading import Reader
from provisioner.project import saved
from provisioner.project.folders import Folders
from provisioner.render import annotations, documents, html, markdown, status, text
from provisioner.render.lines import is_seen
from provisioner.settings import loading
from provisioner.settings.paths import is_address
from provisioner.state import codec, history, rescue
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities
from tests.octopush.servers import Server, Wire
from tests.proof.fuzz.suites import age_vectors

MARK: Final = "Zq7/s3cret+9Kx=Wv4/Jt1"
"""Stands for a secret. It does not look like a name, which messages repeat."""
OUTSIDE: Final = "outside-2b8e"
"""Stands in the places that no placeholder may read."""
ENVIRON: Final = {"HOOK_TOKEN": MARK, "OCTOPUSH_API_KEY": OUTSIDE, "CI_TOKEN": OUTSIDE, "OTHER": OUTSIDE}
NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PARTS: Final = re.compile(rb"^=== ([^\n]*) ===\n", re.MULTILINE)
_SOURCE: Final = "the input"
_SHOWN: Final = 100
"""How many accounts are shown in every format; of more, only the reading is tried."""


class Broken(AssertionError):  # noqa: N818  # a promise, not an error of the program
    """Something that the program promises does not hold."""


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of input, and the code that reads it."""

    use: Callable[[bytes, Path], None]
    words: tuple[str, ...] = ()
    """What a mutation may insert, besides the fields of :attr:`schemas`."""
    schemas: tuple[str, ...] = ()
    size: int = 4096
    """The longest input in bytes that is tried."""


def attempt(target: Target, data: bytes, folder: Path) -> Exception | None:
    """Give ``data`` to a target; return what it should not have raised, or None."""
    try:
        target.use(data, folder)
    except InternalError as error:
        return error
    except ProvisionerError as error:
        return None if is_quiet(error.message, error.hint) else Broken("an error repeats the secret")
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  # that is what is looked for
        return error
    except BaseException as error:
        # A library in Rust that panics.
        if type(error).__name__ == "PanicException":
            return Broken(f"a library panics: {error}")
        raise
    return None


def require(holds: bool, promise: str) -> None:  # noqa: FBT001  # it reads like assert
    """Raise :class:`Broken` unless a promise holds."""
    if not holds:
        raise Broken(promise)


def is_quiet(*texts: str | None) -> bool:
    """Return whether none of the texts holds the secret."""
    return not any(MARK in (each or "") for each in texts)


# ── Manifests, and what is shown of them ─────────────────────────────────────


def _manifest(suffix: str, data: bytes, folder: Path, encoding: str | None = None) -> None:
    path = folder / f"accounts{suffix}"
    path.write_bytes(data)
    reader = Reader(ENVIRON, (folder,), listed=("HOOK_*", "./secrets/*"))
    found = manifest.load([path], reader=reader, encoding=encoding)
    require(found == manifest.load([path], reader=reader, encoding=encoding), "the same file is the same manifest")
    _require_shown(found.problems)
    for this in found.manifests:
        if len(this.accounts) <= _SHOWN:
            _require_manifest(this, reader, folder)
    found.require()


def _require_shown(problems: Sequence[Problem]) -> None:
    """Require that problems can be shown in every form, and do not repeat the secret."""
    lines = [line.text for each in problems for line in text.problem(each)]
    lines += [line for each in problems for line in annotations.github([each]).splitlines()]
    require(all(map(is_seen, lines)), "a problem shows no control character")
    require(is_quiet(*lines, documents.text(documents.problems(problems))), "no problem repeats a secret")


def _require_manifest(this: Manifest, reader: Reader, folder: Path) -> None:
    """Require of an accepted manifest that it is planned, shown, written and expanded as it is."""
    plan = planner.plan(this, None, limit=20, reserved=0)
    secrets = {MARK}
    for account in this.accounts:
        for path, each in account.attributes.flat().items():
            # A query is masked; anything before it may be shown.
            public = each.partition("?")[0] if path.startswith("callbacks.callback_url") else each
            secrets -= {secret for secret in secrets if secret in public}
    require_pages([plan], secrets)
    copy = folder / "copy.yaml"
    copy.write_text(writing.as_yaml([(each.name, each.attributes) for each in this.accounts]), encoding="utf-8")
    (again,) = manifest.load([copy]).require()
    was = {each.name: each.attributes for each in this.accounts}
    require(was == {each.name: each.attributes for each in again.accounts}, "a manifest that is written is read back")
    requests = expansion.requests(plan.creates, reader, lambda: Secret("generated"))
    require(len(requests) == len(this.accounts), "there is a request for each account")


def require_pages(plans: Sequence[Plan], secrets: Iterable[str] = ()) -> None:
    """Require that plans are shown in every format without a control character and without ``secrets``."""
    digest = documents.digest(documents.plans(plans))
    pages = {
        "text": "\n".join(line.text for line in text.plans(plans, digest)),
        "markdown": markdown.plans(plans, digest),
        "json": documents.text(documents.plans(plans)),
        "html": html.page(plans, digest),
    }
    for name, page in pages.items():
        require(not _CONTROL.search(page), f"a plan as {name} has no control character")
        require(not any(secret in page for secret in secrets), f"a plan as {name} shows no secret")
    require(json.loads(pages["json"])["plans"] is not None, "a plan as JSON is JSON")


def yaml_manifest(data: bytes, folder: Path) -> None:
    """Read a manifest in YAML."""
    _manifest(".yaml", data, folder)


def csv_manifest(data: bytes, folder: Path) -> None:
    """Read a manifest in CSV; a first line ``#encoding NAME`` is the setting of that name."""
    encoding = re.match(rb"#encoding ([\w-]+)\n", data)
    name = encoding[1].decode(errors="replace") if encoding else None
    if name is not None and provisioner.document.encoding_fault(name):
        return
    _manifest(".csv", data[encoding.end() :] if encoding else data, folder, name)


def workbook(data: bytes, folder: Path) -> None:
    """Read a workbook: the bytes of its archive, or its parts, each below a line ``=== NAME ===``."""
    packed = packed_parts(data)
    _manifest(".ods" if b"content.xml" in data else ".xlsx", data if packed is None else packed, folder)


def packed_parts(data: bytes) -> bytes | None:
    """Return the archive of the parts in ``data``; None if there are no parts."""
    _, *found = _PARTS.split(data)
    if not found:
        return None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in dict(zip(found[::2], found[1::2], strict=True)).items():
            archive.writestr(zipfile.ZipInfo(name.decode("latin-1") or "x"), content)
    return packed.getvalue()


def login_table(data: bytes, folder: Path) -> None:
    """Read a table of logins to adopt; it has no secret, so the mark in it is only a name."""
    if MARK.encode() in data:
        return
    path = folder / "logins.csv"
    path.write_bytes(data)
    found = logins.read(path)
    require(found == logins.read(path), "the same table has the same logins")
    _require_shown(found.problems)
    found.require()


# ── States ───────────────────────────────────────────────────────────────────


def state_document(data: bytes, folder: Path) -> None:
    """Read a state, write it and read it again; show it as a plan and a status."""
    codec.moved_to(data)
    found = codec.decode(data, _SOURCE)
    require(found == codec.decode(codec.encode(found), _SOURCE), "a state that is written is read back")
    _show_state(found, folder)


def _show_state(found: State, folder: Path) -> None:
    require_pages([planner.plan(Manifest(found.parent, ()), found, limit=20, reserved=0)])
    shown = [ParentStatus(found.parent, str(folder), found, 20, 0)]
    lines = [line.text for line in status.text(found.parent, found, str(folder))]
    require(all(map(is_seen, lines)), "a status shows no control character")
    require(not _CONTROL.search(documents.text(documents.states(shown))), "a status as JSON has none either")


def rescue_lines(data: bytes, _: Path) -> None:
    """Read rescued outcomes from a file, and from a log."""
    for read in (lambda: rescue.decode(data, _SOURCE), lambda: rescue.found_in(data.decode(errors="replace"), _SOURCE)):
        try:
            entries = read()
        except ProvisionerError as error:
            require(is_quiet(error.message, error.hint), "an error about a rescue file repeats no secret")
            continue
        lines = "\n".join(map(rescue.encode, entries))
        require(entries == rescue.decode(lines.encode(), _SOURCE), "a rescued outcome that is written is read back")
        rescue.put_back(None, entries)


def history_line(data: bytes, _: Path) -> None:
    """Read a line of the history of a state, which anybody may have written."""
    entry = history.decode(data.decode(errors="replace"))
    if entry is not None:
        require(entry == history.decode(history.encode(entry)), "an entry that is written is read back")


@cache
def _identity() -> tuple[AgeOpener, AgeSealer]:
    """Return what opens and seals: with a new identity, and with the one that everybody knows from age's vectors."""
    own, recipient = new_identity()
    known = age_vectors()["x25519"].identities[0]
    return AgeOpener(parse_identities(Secret(f"{own.reveal()}\n{known}"), "a file")), AgeSealer([recipient])


def _open(sealed: str) -> SealedContent:
    return _identity()[0].open(sealed, lineage="l", parent="p", name="paris", operation="o")


def sealed_content(data: bytes, _: Path) -> None:
    """Open a record whose content somebody else sealed."""
    import pyrage  # noqa: PLC0415  # a target that is not this one does not need it

    sealer = _identity()[1]
    armoured = pyrage.encrypt(
        data, [pyrage.x25519.Recipient.from_str(each) for each in sealer.recipients], armored=True
    )
    found = _open(armoured.decode("ascii"))
    require(found == _open(sealer.seal(found)), "a content that is sealed is opened again")
    secrets = (found.password, found.credentials, found.others, found.answer)
    require(MARK not in repr(secrets), "no content shows a secret")


def armour(data: bytes, _: Path) -> None:
    """Open a sealed value that is damaged, or is none."""
    _open(data.decode("latin-1"))


def keys(data: bytes, _: Path) -> None:
    """Read an identity file, and a recipient."""
    written = data.decode(errors="surrogateescape")
    try:
        identities = parse_identities(Secret(written), "a file")
    except ProvisionerError as error:
        require(is_quiet(error.message, error.hint), "an error about an identity does not repeat it")
    else:
        AgeOpener(identities)
    AgeSealer([written])


# ── Plans and settings ───────────────────────────────────────────────────────


def open_project(folder: Path, environ: dict[str, str] | None = None) -> provisioner.Project:
    """Open a project with one manifest in ``folder``, as the command does."""
    manifests = folder / "project" / "manifests"
    if not manifests.exists():
        manifests.mkdir(parents=True)
        (manifests / "accounts.yaml").write_text(
            "version: 1\naccounts:\n"
            "- {name: paris, first_name: Ada, last_name: Lovelace, password: '${env:HOOK_TOKEN}'}\n"
            "- {name: oslo, first_name: Ada, last_name: Byron, callbacks: {email_for_inbounds: a@example.com}}\n"
        )
    variables = {"PROVISIONER_PLACEHOLDERS": "HOOK_*", "PROVISIONER_RECIPIENTS": _identity()[1].recipients[0]}
    environ = {**ENVIRON, **variables} if environ is None else environ
    return provisioner.Project.open(
        folder / "project", environ=environ, folders=Folders(folder / "config", folder / "state")
    )


def saved_plan(data: bytes, folder: Path) -> None:
    """Read a saved plan with a valid digest, and compare it with a new plan, as apply does."""
    project = open_project(folder)
    path = folder / "plan.json"
    for mark, own in own_words(folder).items():
        data = data.replace(mark, own)
    path.write_bytes(with_digest(data))
    require(saved.read(path) == saved.read(path), "the same file is the same plan")
    plans = project.reviewed(path)
    require(set(plans.parents) <= {"default"}, "a plan that somebody else wrote plans nothing else")


def own_words(folder: Path) -> dict[bytes, bytes]:
    """Return what differs between one run and the next in a saved plan, by what stands for it in an input."""
    return {b"@FOLDER@": str(folder).encode(), b"@RECIPIENT@": _identity()[1].recipients[0].encode()}


def with_digest(data: bytes) -> bytes:
    """Return a saved plan with the digest of its content, if it is one: otherwise nothing below it is ever read."""
    try:
        document = json.loads(data)
        if isinstance(document, dict) and "digest" in document:
            rest = {key: value for key, value in document.items() if key != "digest"}
            return json.dumps({**rest, "digest": documents.digest(rest)}).encode()
    except (ValueError, RecursionError):
        pass
    return data


def settings_file(data: bytes, folder: Path) -> None:
    """Read provisioner.yaml, and plan with it, unless it names a server."""
    (folder / "project").mkdir(exist_ok=True)
    path = folder / "project" / "provisioner.yaml"
    path.write_bytes(data)
    try:
        project = open_project(folder)
        require(project.settings == open_project(folder).settings, "the same file has the same settings")
        if not is_address(project.settings.state):
            require_pages([each.plan for each in project.plan().parents.values()])
    finally:
        path.unlink()


def environment(data: bytes, folder: Path) -> None:
    """Read settings from variables, one in each line, as in ``PROVISIONER_LIMIT=20``."""
    pairs = (line.partition("=") for line in data.decode(errors="surrogateescape").replace("\0", "").split("\n"))
    variables = {name: value for name, _, value in pairs if name and name != loading.CONFIG}
    project = open_project(folder, variables)
    if not is_address(project.settings.state):
        project.plan()


# ── Placeholders ─────────────────────────────────────────────────────────────


def placeholders(data: bytes, folder: Path) -> None:
    """Expand the placeholders of a text; the secret is in the files that they name, and not in the text."""
    if MARK.encode() in data:
        return
    base = folder / "project" / "manifests"
    if not base.exists():
        (base / "secrets").mkdir(parents=True)
        (base / "secrets" / "token").write_text(MARK)
        for place in (folder / "token", base / "key", base.parent / "token", base / ".env"):
            place.write_text(OUTSIDE)
        (base / "secrets" / "link").symlink_to(folder)
        (base / "secrets" / "out").symlink_to("../key")
    written = data.decode(errors="surrogateescape")
    for listed in (("HOOK_*", "secrets/*"), ("HOOK_*", "./secrets/*", "x/*")):
        reader = Reader(ENVIRON, (base.parent,), listed=listed)
        values = reader.values(written, base)
        require(len(values) == len(PLACEHOLDER.findall(written)), "there is a value for each placeholder")
        require(all(each == MARK for each in values), "a placeholder reads nothing but what is listed")
        reader.expand(written, base)


def secret_file(data: bytes, folder: Path) -> None:
    """Read the file that a placeholder names."""
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "token").write_bytes(data)
    (value,) = Reader({}, (folder,), listed=("./secrets/*",)).values("${file:secrets/token}", folder)
    require(bool(value) and "\n" not in value and "\0" not in value, "the value of a file is one line of text")


# ── Answers ──────────────────────────────────────────────────────────────────


def parsed_answer(data: bytes) -> Reply:
    """Return the answer in ``data``: a line with its status, its headers, an empty line, and its body."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    number = int(first) if re.fullmatch("[1-9][0-9]{2}", first) else 201
    fields = CaseInsensitiveDict({name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)})
    cut = "it ended early" if "X-Cut" in fields else None  # the program's own words, not those of the answer
    return Reply(number, fields, body, cut, "api.example")


def api_answer(data: bytes, _: Path) -> None:
    """Judge an answer to each kind of request; no judge may raise anything."""
    reply = parsed_answer(data)
    hidden = (MARK, "parent@example.com")
    try:
        for retry in (True, False):
            found = judge(reply, retry_on_429=retry, retry_on_503=not retry, now=NOW, hidden=hidden)
            _require_verdict(found, reply)
        others = [judge_edit(reply, now=NOW, hidden=hidden), judge_read(reply, now=NOW, hidden=hidden)]
        others.append(judge_balance(reply, now=NOW, hidden=hidden))
    except ProvisionerError as error:
        raise Broken("a judge never raises") from error
    for other in others:
        if isinstance(other, Failed | Missing):
            require(is_quiet(other.reason, getattr(other, "hint", "")), "no reason repeats what was sent")
            require(is_seen(other.reason), "a reason has no control character")


def _require_verdict(found: Created | NotCreated | OutcomeUnknown, reply: Reply) -> None:
    if isinstance(found, Created):
        require(reply.status // 100 == 2 and reply.cut is None, "only a complete success creates")
        document = json.loads(reply.body)
        pair = found.credentials.api_login, found.credentials.api_key.reveal()
        require(pair == (document["api_login"], document["api_key"]), "the credentials are those of the answer")
        return
    words = found.api_message if isinstance(found, OutcomeUnknown) else found.hint
    require(is_quiet(found.reason, words), "no reason repeats what was sent")
    require(is_seen(found.reason) and is_seen(words), "a reason has no control character")
    if isinstance(found, NotCreated):
        require(reply.status // 100 != 2, "a success is never taken for a refusal")
        require(not _brings_credentials(reply.body), "an answer with credentials is never taken for a refusal")


def _brings_credentials(body: bytes) -> bool:
    """Return whether a body plainly brings credentials, by a rule that is not the program's."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict):
        return False
    pair = (document.get("api_login"), document.get("api_key"))
    return all(isinstance(each, str) and re.fullmatch("[a-z0-9_]{8,40}", each) for each in pair)


class _Answering:
    """A server on this machine that answers whatever it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.server = Server(self._script, None)
        self.transport = Transport(10)
        self.ended = ExitStack()
        self.ended.callback(self.server.stop)

    def _script(self, wire: Wire) -> None:
        wire.request()
        self.server.requests.clear()
        wire.send(self.data)


@cache
def answering() -> _Answering:
    """Return the server; its creator ends it."""
    return _Answering()


def wire(data: bytes, folder: Path) -> None:
    """Receive an answer, byte for byte, over a connection, and judge it."""
    peer = answering()
    peer.data = data
    outcome = peer.transport.exchange(Request("POST", f"{peer.server.url}/create", {}, b"{}"))
    if isinstance(outcome, Failure):
        require(outcome.sent, "an answer came, so the request was sent")
        require(is_seen(outcome.reason), "a reason has no control character")
        return
    require(data.startswith(b"HTTP/1."), "only HTTP is taken for an answer")
    headers = "\n".join(f"{name}: {value}" for name, value in outcome.headers.items() if "\n" not in value)
    cut = "" if outcome.cut is None else "\nX-Cut: yes"
    api_answer(f"{outcome.status}\n{headers}{cut}\n\n".encode("latin-1", "replace") + outcome.body, folder)


# ── All of them ──────────────────────────────────────────────────────────────

_YAML: Final = (
    *("- ", ": ", "&a ", "*a", "<<: *a", "!!str ", "|\n  ", ">-\n  "),
    *("\\ud83d\\ude00", "${env:HOOK_TOKEN}", "~", "#", "?"),
)
_CSV: Final = (",", ";", "\t", '""', "sep=;\n", "\r\n", "#encoding cp850\n")
_JSON: Final = ("{}", "[]", "null", "true", "1e9", "-0", "NaN", "\\ud800", '"":', "1" * 20)
_HTTP: Final = (
    *("HTTP/1.1 201 Created\r\n", "HTTP/1.0 100 Continue\r\n\r\n", "Content-Length: 2\r\n", "\r\n\r\n"),
    *("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "5;x=y\r\n", "Retry-After: ", "Content-Type: text/html\r\n"),
)
_ANSWER: Final = ("api_login", "api_key", "code", "message", "callback", "wallet_packs", "amount", "expiration_date")
_XML: Final = ("<c r='A1' t='inlineStr'>", "<is><t>", "</t></is></c>", "<row r='1'>", "hidden='1'", "<f>", "&amp;")
_ODS: Final = ("<table:table-row>", "<table:table-cell>", "<text:p>", "table:number-columns-repeated='9'", "<text:s/>")

TARGETS: Final = {
    "manifest-yaml": Target(yaml_manifest, _YAML, ("manifest.v1",)),
    "manifest-csv": Target(
        csv_manifest, (",", ";", "\t", '""', "sep=;\n", "\r\n", "#encoding cp850\n"), ("manifest.v1",)
    ),
    "workbook": Target(workbook, (*_XML, *_ODS, "=== content.xml ===\n"), ("manifest.v1",), size=8192),
    "logins": Target(login_table, ("name,login\n", ",", ";", '"', "@sub-accounts.com")),
    "state": Target(state_document, _JSON, ("state.v1",), size=8192),
    "rescue": Target(rescue_lines, (*_JSON, rescue.MARK, "\x1b[31m", '{"event": "rescue"'), ("rescue.v1", "state.v1")),
    "history": Target(history_line, _JSON, ("history.v1",), size=1024),
    "sealed-content": Target(sealed_content, (*_JSON, *_ANSWER, "body_base64", "altered", "others"), ("state.v1",)),
    "armour": Target(armour, ("-> X25519 ", "--- ", "\r\n", "==", "age-encryption.org/v1"), size=2048),
    "keys": Target(keys, ("AGE-SECRET-KEY-1", "age1", "ssh-ed25519 ", "# ", "-----BEGIN OPENSSH PRIVATE KEY-----")),
    "plan": Target(saved_plan, _JSON, ("plan.v1",), size=8192),
    "settings": Target(settings_file, _YAML, ("config.v1",)),
    "environment": Target(environment, tuple(f"PROVISIONER_{name.upper()}=" for name in loading.TUNING), size=1024),
    "placeholders": Target(
        placeholders, ("${env:", "${file:", "secrets/", "../", "}", "HOOK_TOKEN", ".git/"), size=512
    ),
    "secret-file": Target(secret_file, ("\ufeff", "\n", "AGE-SECRET-KEY-1"), size=512),
    "answer": Target(api_answer, (*_JSON, *_ANSWER, "Retry-After: ", "Content-Encoding: gzip\n"), size=2048),
    "wire": Target(wire, (*_HTTP, *_ANSWER), size=2048),
}
"""By name."""


def dictionary(target: Target) -> Iterator[str]:
    """Yield what a mutation may insert: the words of a target, the fields of its schemas, and the secret."""
    from provisioner import schemas  # noqa: PLC0415  # only for a fuzzer

    yield MARK
    yield from target.words
    for name in target.schemas:
        yield from sorted(_fields(schemas.load(name)))


def _fields(schema: Any) -> set[str]:  # noqa: ANN401  # JSON has no closer type
    """Return the names of all fields in a schema, and its fixed values."""
    found: set[str] = set()
    if isinstance(schema, dict):
        found.update(schema.get("properties", {}) if isinstance(schema.get("properties"), dict) else ())
        found.update(each for each in schema.get("enum", ()) if isinstance(each, str))
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        found |= _fields(each)
    return found
