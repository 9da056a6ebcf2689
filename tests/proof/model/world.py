"""What the runners share: Octopush, a bucket or a disk for the state, and the clock; each can fail at any call."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any, Final, TypeVar

from provisioner.errors import ExitCode, StateNotSaved, StateUnreachable
from provisioner.model.account import CALLBACK_NAMES
from provisioner.octopush.transport import Failure, Reply, Request
from provisioner.state.disk import Disk
from provisioner.state.holder import Holder
from provisioner.state.stores import NOTE, Note
from provisioner.state.stores.bucket import Bucket, Object
from tests.proof.model.baton import current, step

_T = TypeVar("_T")
PARENT_KEY: Final = "key-of-the-parent-c0ffee"
LOST_ANSWERS: Final = ("late", "lost", "500 late", "500", "cut")
"""After each of these, nobody can know whether a create was carried out; "late" means that it was."""
REFUSED_ANSWERS: Final = ("unsent", "429", "400", "401")
"""These prove that it was not."""


class Clock:
    """Virtual time, in seconds."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def text(self) -> str:
        return self.now.isoformat(timespec="seconds").replace("+00:00", "Z")

    def sleep(self, seconds: float) -> None:
        """Advance by whole seconds, because the jitter of a wait must not decide anything."""
        step("sleep", lambda: self.advance(ceil(seconds)))

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Account:
    """A sub-account, as it really exists."""

    login: str
    key: str
    password: str
    fields: dict[str, Any]
    by_hand: bool = False

    @property
    def person(self) -> str:
        """Whose account it is: the first name never changes, whatever the account is called."""
        return str(self.fields["first_name"])


@dataclass
class Octopush:
    """The API: what exists, and which creates it has been sent."""

    limit: int
    accounts: dict[str, Account] = field(default_factory=dict)
    made: int = 0
    secrets: set[str] = field(default_factory=lambda: {PARENT_KEY})

    def create(self, body: Mapping[str, Any], *, by_hand: bool = False) -> Account:
        self.made += 1
        login, key = f"sub_{self.made}@sub-accounts.com", f"key-{self.made}-{'f00d' * 4}"
        fields = {name: each for name, each in body.items() if name != "password"}
        self.accounts[login] = account = Account(login, key, str(body["password"]), fields, by_hand)
        self.secrets |= {key, account.password}
        return account

    def answer(self, request: Request) -> tuple[Reply, Account | None]:
        """Carry out ``request``; return the answer, and the account if it was created."""
        body = json.loads(request.body) if request.body else {}
        if request.method == "POST":
            if len(self.accounts) >= self.limit:
                return _reply(400, {"code": 150, "message": "The limit of sub-accounts is reached."}), None
            made = self.create(body)
            return _reply(201, {"api_login": made.login, "api_key": made.key}), made
        login = request.url.split("/subaccount/")[1].removesuffix("/edit")
        account = self.accounts.get(login)
        if account is None:
            return _reply(404, {"code": 210, "message": "Not one of your sub-accounts."}), None
        if request.method == "PATCH":
            account.password = body.pop("password", account.password)
            self.secrets.add(account.password)
            account.fields = body
            return _reply(200, {}), None
        given = account.fields.get("callbacks") or {}
        names = {name: name.removeprefix("email_for_inbounds") or "email" for name in CALLBACK_NAMES}
        callback = {shown: given.get(name) for name, shown in names.items()}
        three = {name: account.fields.get(name) for name in ("first_name", "last_name", "company_name")}
        return _reply(200, {**three, "api_key": account.key, "callback": callback}), None


def _reply(status: int, document: object) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(document).encode())


class Wire:
    """One runner's connection to Octopush, which loses answers; ``sending`` and ``answered`` are told the truth."""

    def __init__(
        self,
        octopush: Octopush,
        sending: Callable[[Request], None],
        answered: Callable[[Request, Account | None, str], None],
        delivered: Callable[[Account], None],
    ) -> None:
        self._octopush = octopush
        self._sending, self._answered, self._delivered = sending, answered, delivered

    def exchange(self, request: Request) -> Reply | Failure:
        runner = current()
        fault = "" if runner is None else runner.answer()
        reply, made = step(f"{request.method} {fault}", lambda: self._carried_out(request, fault))
        if made is not None and isinstance(reply, Reply) and fault == "":
            self._delivered(made)
        return reply

    def _carried_out(self, request: Request, fault: str) -> tuple[Reply | Failure, Account | None]:
        if fault == "unsent":
            return Failure(sent=False, reason="the connection was refused"), None
        self._sending(request)
        made: Account | None = None
        if fault in {"", "late", "500 late", "cut"}:
            reply, made = self._octopush.answer(request)
        else:
            status = int(fault) if fault.isdigit() else 500
            reply = _reply(status, {"code": 1, "message": "No."})
        self._answered(request, made, fault)
        if fault in {"late", "lost"}:
            return Failure(sent=True, reason="the connection was reset"), made
        if fault == "500 late":
            return _reply(500, {"code": 1, "message": "No."}), made
        if fault == "cut":
            return Reply(reply.status, reply.headers, reply.body[:-9], cut="it ended early"), made
        return reply, made


# ── Stores ───────────────────────────────────────────────────────────────────


@dataclass
class Objects:
    """What is in the bucket."""

    there: dict[str, Object] = field(default_factory=dict)
    enforces: bool = True
    """Whether an object can be created only once."""


class VirtualBucket(Bucket):
    """The real rules for a create with an unclear answer, over objects in memory."""

    key = "virtual"

    def __init__(self, objects: Objects, clock: Clock, saved: Callable[[bytes], None]) -> None:
        self._address = "s3://virtual/states"
        self._sleep = clock.sleep
        self._objects, self._clock, self._saved = objects, clock, saved

    def names(self, folder: str) -> list[str]:
        found = sorted(each for each in [*self._objects.there] if each.startswith(f"{folder}/"))
        return self._done("list", lambda: [each.removeprefix(f"{folder}/") for each in found if each.count("/") == 1])

    def get(self, path: str, *, whole: bool = True) -> Object | None:
        del whole
        return self._done("get", lambda: self._objects.there.get(path))

    def put(self, path: str, raw: bytes) -> None:
        self._done("put", lambda: self._put(path, raw, {}))

    def delete(self, paths: list[str]) -> None:
        for each in paths:
            self._objects.there.pop(each, None)

    def try_create(self, path: str, raw: bytes, metadata: Mapping[str, str]) -> bool:
        def create() -> bool:
            if path in self._objects.there and self._objects.enforces:
                return False
            self._put(path, raw, metadata)
            if path.removesuffix(".json")[-1].isdigit() and path.endswith(".json"):
                self._saved(raw)
            return True

        return self._done("create", create)

    def _put(self, path: str, raw: bytes, metadata: Mapping[str, str]) -> None:
        self._objects.there[path] = Object(raw, dict(metadata), self._clock.now)

    def _done(self, word: str, effect: Callable[[], _T]) -> _T:
        """Have the effect, unless a fault comes before it; its answer may be lost."""
        runner = current()
        fault = "" if runner is None else runner.fault(word)

        def unless_failed() -> _T:
            if fault == "fails":
                raise StateUnreachable("The bucket cannot be reached.")
            result = effect()
            if fault == "lost":
                raise StateUnreachable("The bucket does not answer.")
            return result

        return step(f"{word} {fault}", unless_failed)


class FailingDisk(Disk):
    """The real disk, with a point around each call; ``saved`` gets each new content of ``state``."""

    def __init__(self, state: Path, saved: Callable[[bytes], None]) -> None:
        self._state, self._saved = state, saved

    def write(self, descriptor: int, data: bytes) -> None:
        self._done("write", lambda: Disk.write(self, descriptor, data))

    def sync(self, descriptor: int) -> None:
        self._done("sync", lambda: Disk.sync(self, descriptor))

    def replace(self, source: Path, target: Path) -> None:
        def replaced() -> None:
            Disk.replace(self, source, target)
            if target == self._state:
                self._saved(target.read_bytes())

        self._done("replace", replaced)

    def _done(self, word: str, effect: Callable[[], None]) -> None:
        runner = current()
        fault = "" if runner is None else runner.fault(word)

        def unless_failed() -> None:
            if fault == "fails":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            effect()
            if fault == "lost":
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        step(f"{word} {fault}", unless_failed)


class Watched:
    """A store with a point around each call of its interface; a save may fail, or only seem to."""

    def __init__(self, store: Any) -> None:  # noqa: ANN401  # any store
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # the store's own
        found = getattr(self._store, name)
        if name not in {"load", "rescue", "rescued", "clear_rescued", "reserve", "release", "keep_forgotten"}:
            return found
        return lambda *arguments: step(name, lambda: found(*arguments))

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        runner = current()
        fault = "" if runner is None else runner.fault("save")

        def unless_failed() -> str:
            if fault == "fails":
                raise StateNotSaved("The state could not be saved.")
            version = self._store.save(raw, expected_version, note)
            if fault == "lost":
                raise StateNotSaved("Nobody can know whether the state was saved.")
            return str(version)

        return step(f"save {fault}", unless_failed)

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        step("hold", lambda: None)
        with self._store.hold(holder, timeout=timeout, sleep=sleep):
            yield


class Signals:
    """Whether a signal was received, and virtual sleep; the interface of the library's ``Cancel``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cancelled = False

    def code(self) -> ExitCode | None:
        runner = current()
        heard = self._cancelled or (runner is not None and runner.interrupted)
        return ExitCode.INTERRUPTED if heard else None

    def cancel(self) -> None:
        self._cancelled = True

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
