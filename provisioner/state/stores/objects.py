"""A state in an object storage: one object for each serial, created once and never changed.

``…/{parent}/00000007.json`` is the document with serial 7; the highest number is the state. A save
creates the object after the one that was loaded. The only condition needed is that an object can
be created only once; it is free of the ABA problem. Together the objects are the history, and
reading one object shows whether a save with a lost answer succeeded. ``lease.json`` is next to them.

If a serial skips numbers (a state that moves here), the next object is created first, because
other runs would create that one too, and then the object of the serial.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

from provisioner.errors import ProvisionerError, SettingInvalid, StateNotSaved
from provisioner.immutable import immutable
from provisioner.model.revision import Revision
from provisioner.state.lease import Lease, decode
from provisioner.state.stores import ABSENT, Note, moved
from provisioner.state.stores.bucket import Bucket, Object

_ADDRESS: Final = re.compile(
    r"(?P<scheme>s3|az|gs)://(?P<bucket>[a-z0-9][a-z0-9._-]{1,62})/(?P<path>[\w][\w./-]*)", re.ASCII
)
_NOT_A_PATH: Final = re.compile(r"(?:^|/)(?:\.|/|$)|\.\.")
_NAME: Final = re.compile(r"([0-9]{8})\.json")
_VERSION: Final = re.compile(r"([0-9]{8})-[0-9a-f]{32}")
_RECORDS: Final = "history"
"""The folder of the lines of history, next to the documents."""
_NO_LEASE: Final = b"{}\n"
_RENEWS: Final = timedelta(minutes=1)
"""How much later a lease must expire to be worth a request."""
_AT_ONCE: Final = 16
_MAX_METADATA: Final = 200
_SAFE: Final = " :,;()@/"
_PROVEN: Final[set[str]] = set()
"""The buckets whose server enforces the condition, as this process has found out."""
_PROVING: Final = threading.Lock()
"""Held while finding out: many parents start at once, and one proof is enough for all."""


@immutable
class _Head:
    """The object with the highest number."""

    number: int
    content: Object
    version: str

    @property
    def serial(self) -> int:
        """The serial of the document according to its metadata; 0: unknown."""
        return _serial(self.content)


class ObjectBackend:
    """See :class:`provisioner.state.stores.remote.Backend`; used by one thread at a time."""

    keeps_history = True

    def __init__(self, address: str, open_bucket: Callable[[str, str], Bucket]) -> None:
        """``open_bucket`` takes the scheme and the bucket's name. Raises SettingInvalid if ``address`` is not valid."""
        match = _ADDRESS.fullmatch(address)
        if match is None or _NOT_A_PATH.search(match["path"]):
            raise SettingInvalid(
                f"{address} is not the address of a state in an object storage.",
                hint="Write s3://BUCKET/PREFIX/{parent}, az://CONTAINER/PREFIX/{parent} or gs://BUCKET/PREFIX/{parent}.",
            )
        self.address = address
        self._folder = match["path"]
        self._bucket = open_bucket(match["scheme"], match["bucket"])
        self._head: _Head | None = None
        """As it was loaded or saved last."""
        self._leased: Lease | None = None

    @property
    def key(self) -> str:
        """See :class:`Backend`."""
        return f"{self._bucket.key}/{self._folder}"

    # ── The state ────────────────────────────────────────────────────────────

    def load(self) -> tuple[bytes | None, str]:
        """Read the object with the highest number."""
        self._head = None
        for number in self._numbers():
            # Somebody may just have removed it.
            if (found := self._bucket.get(self._path(number))) is not None:
                self._head = _Head(number, found, _version(number, found.raw))
                return found.raw, self._head.version
        return None, ABSENT

    def save(self, raw: bytes, expected_version: str, note: Note, lease: Lease | None) -> str:
        """Create the object of the next serial."""
        number = 0
        if expected_version != ABSENT:
            if (match := _VERSION.fullmatch(expected_version)) is None:
                raise moved(self.address)
            number = int(match[1])
            if expected_version == _version(number, raw):
                # It is saved already, unless somebody saved after it.
                if self.load()[1] != expected_version:
                    raise moved(self.address)
                return expected_version
        elif self._numbers():
            raise moved(self.address)
        elif self._bucket.key not in _PROVEN:
            with _PROVING:
                if self._bucket.key not in _PROVEN:
                    self._prove()
        head = self._head
        if head is not None and head.version == expected_version and head.serial > number:
            # The run that saved it died before it created the second object.
            number = head.serial
            self._create(number, head.content.raw, head.content.metadata)
        serial = max(note.serial, number + 1)
        metadata = _metadata(note, lease)
        for each in sorted({number + 1, serial}):
            self._create(each, raw, metadata)
        self._head = _Head(serial, Object(raw, metadata, datetime.now(UTC)), _version(serial, raw))
        self._announce(lease)
        return self._head.version

    def try_out(self) -> str:
        """Create the newest object again, which must be refused; if there is none, test the server.

        The content is the same, so nothing changes even if it is not refused.
        """
        self.load()
        if (head := self._head) is None:
            self._prove()
        elif self._bucket.try_create(self._path(head.number), head.content.raw, head.content.metadata):
            raise self._unfit("creates an object again that exists")
        return f"objects can be created at {self._folder}, and each only once"

    def newest(self, lineage: str | None) -> int:
        """See :class:`Backend`; for any lineage the highest number, else the highest with its own serial."""
        if self._head is None or lineage is None:
            return 0 if self._head is None else self._head.number
        for number in (self._head.number, *(each for each in self._numbers() if each < self._head.number)):
            is_head = number == self._head.number
            found = self._head.content if is_head else self._bucket.get(self._path(number), whole=False)
            if found is not None and _serial(found) == number:
                return number if _text(found, "lineage") == lineage else 0
        return 0

    def _create(self, number: int, raw: bytes, metadata: Mapping[str, str]) -> None:
        if not self._bucket.create(self._path(number), raw, metadata):
            raise moved(self.address)

    def _numbers(self) -> list[int]:
        """Return the numbers of the objects, highest first."""
        matches = map(_NAME.fullmatch, self._bucket.names(self._folder))
        return sorted((int(match[1]) for match in matches if match), reverse=True)

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"

    # ── Who is at work ───────────────────────────────────────────────────────

    def lease(self) -> Lease | None:
        """Read the lease."""
        found = self._bucket.get(self._lease_path)
        return None if found is None else decode(found.raw)

    def end(self, lease: str) -> None:
        """Overwrite the lease: an apply need not be allowed to delete."""
        if (found := self.lease()) is not None and found.id == lease:
            self._bucket.put(self._lease_path, _NO_LEASE)

    def _announce(self, lease: Lease | None) -> None:
        """Write the lease if it is new or lasts noticeably longer."""
        before = self._leased
        if lease is None or (before is not None and before.id == lease.id and _until(lease) < _until(before) + _RENEWS):
            return
        # The state is saved; the lease only informs others.
        with suppress(ProvisionerError):
            self._bucket.put(self._lease_path, lease.encode())
            self._leased = lease

    @property
    def _lease_path(self) -> str:
        return f"{self._folder}/lease.json"

    # ── Its history ──────────────────────────────────────────────────────────

    def history(self) -> tuple[Revision, ...]:
        """Return the metadata of each object, except those that were put there by hand."""
        numbers = self._numbers()
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = threads.map(lambda number: self._bucket.get(self._path(number), whole=False), numbers)
            return tuple(
                _revision(number, each)
                for number, each in zip(numbers, found, strict=True)
                if each is not None and _serial(each) == number
            )

    def record(self, note: Note) -> None:
        """See :class:`Backend`; in an object of its own, because metadata has little space."""
        self._bucket.put(self._record_path(f"{note.serial:08d}.jsonl"), "\n".join(note.lines).encode())

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Backend`."""
        names = sorted(self._bucket.names(f"{self._folder}/{_RECORDS}"))
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = threads.map(lambda name: self._bucket.get(self._record_path(name)), names)
            texts = [each.raw.decode(errors="replace") for each in found if each is not None]
        return tuple(line for text in texts for line in text.split("\n"))

    def _record_path(self, name: str) -> str:
        return f"{self._folder}/{_RECORDS}/{name}"

    def revision(self, serial: int) -> bytes | None:
        """See :class:`Backend`."""
        found = self._bucket.get(self._path(serial))
        return None if found is None or _serial(found) not in {0, serial} else found.raw

    def prepare(self) -> bool:
        """Do nothing: whoever pays for the bucket creates it."""
        return False

    # ── Whether the server can be trusted ────────────────────────────────────

    def _prove(self) -> None:
        """Test that an object can be created only once; raises StateNotSaved, before anything is sent."""
        probe = f"{self._folder}/probe-{secrets.token_hex(8)}"
        made = [f"{probe}-0"]
        try:
            if not self._bucket.try_create(made[0], b"first", {}):
                raise self._unfit("says that an object exists which does not")
            if self._bucket.try_create(made[0], b"second", {}):
                raise self._unfit("creates an object again that exists")
            if (found := self._bucket.get(made[0])) is None or found.raw != b"first":
                raise self._unfit("lost or replaced an object that was created")
            for attempt in range(3):
                made.append(f"{probe}-{attempt + 1}")
                with ThreadPoolExecutor(_AT_ONCE) as threads:
                    attempts = [
                        threads.submit(self._bucket.try_create, made[-1], str(each).encode(), {})
                        for each in range(_AT_ONCE)
                    ]
                winners = [str(each).encode() for each, attempt in enumerate(attempts) if attempt.result()]
                found = self._bucket.get(made[-1])
                if len(winners) > 1 or (winners and (found is None or found.raw != winners[0])):
                    raise self._unfit(f"lets {len(winners)} of {_AT_ONCE} simultaneous creates succeed instead of one")
                if winners:
                    break
            else:
                raise self._unfit(f"lets none of {_AT_ONCE} simultaneous creates succeed")
        except StateNotSaved:
            raise
        except ProvisionerError as error:
            raise StateNotSaved(error.message, hint=error.hint) from error
        finally:
            self._bucket.delete(made)
        _PROVEN.add(self._bucket.key)

    def _unfit(self, what: str) -> StateNotSaved:
        return StateNotSaved(
            f"{self.address} cannot keep a state: its server {what}.",
            hint="Two runs could save there at once, and create every account twice. Use a server that supports"
            " `If-None-Match: *`, or another store. Nothing was sent.",
        )


def _version(number: int, raw: bytes) -> str:
    return f"{number:08d}-{hashlib.sha256(raw).hexdigest()[:32]}"


def _until(lease: Lease) -> datetime:
    return datetime.fromisoformat(lease.expires_at)


def _metadata(note: Note, lease: Lease | None) -> dict[str, str]:
    """Return the metadata of an object, in a form that every service accepts."""
    if not note.serial:
        return {}
    by = "" if lease is None else str(lease.holder)
    texts = {"serial": str(note.serial), "lineage": note.lineage, "what": note.what, "by": by}
    return {name: quote(text[:_MAX_METADATA], safe=_SAFE) for name, text in texts.items() if text}


def _text(found: Object, name: str) -> str:
    return unquote(found.metadata.get(name, ""))


def _serial(found: Object) -> int:
    """Return the serial in an object's metadata; 0: there is none, so we did not write the object."""
    text = _text(found, "serial")
    return int(text) if text.isascii() and text.isdigit() else 0


def _revision(serial: int, found: Object) -> Revision:
    at = found.written_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Revision(serial, _text(found, "lineage"), at, _text(found, "what"), _text(found, "by"))
