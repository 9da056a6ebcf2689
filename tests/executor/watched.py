"""Runs of the executor whose every port is watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provisioner import executor
from provisioner.errors import ExitCode, StateError, StateNotSaved
from provisioner.executor import Ports, Work
from provisioner.manifest.expansion import edits
from provisioner.model.account import Attributes, Credentials, DesiredAccount, Secret
from provisioner.model.exchange import Balance, Edited, EditRequest, EditVerdict, Failed, Reading
from provisioner.model.plan import Plan
from provisioner.model.report import Outcome, Report
from provisioner.model.state import Record, State
from provisioner.model.verdict import CreateRequest, SealedContent, Verdict
from provisioner.placeholders.reading import Reader
from provisioner.planner import plan
from provisioner.state import codec
from provisioner.state.rescue import RescueEntry, found_in
from provisioner.state.seen import Seen
from provisioner.state.session import Memory, Session
from provisioner.state.stores import ABSENT, NOTE, Note
from provisioner.state.stores.memory import MemoryStore
from tests.executor.examples import (
    EMPTY,
    NOT_SAVED,
    NOW,
    OPENER,
    SEALER,
    attributes,
    created,
    kind,
    manifest,
    observed,
    opened,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A save that fails; ``durable`` if the state was saved nevertheless."""

    error: StateError = NOT_SAVED
    durable: bool = False


class Forgetful(Seen):
    """A machine that remembers nothing; what it should is shown where sessions are."""

    def note(self, address: str, state: State) -> None: ...


class WatchedStore(MemoryStore):
    """A memory store that notes every save in ``events``, and fails at those that ``failures`` counts from 1.

    It rescues as many lines as it has ``room`` for; the others go to the last resort.
    """

    def __init__(self, state: State, failures: dict[int, Failure], events: list[object], room: int = 0) -> None:
        super().__init__()
        self._room = room
        if state.accounts:
            super().save(codec.encode(state), ABSENT)
        self._failures = failures
        self._events = events
        self._saves = 0

    def save(self, raw: bytes, expected_version: str, note: Note = NOTE) -> str:
        self._saves += 1
        failure = self._failures.get(self._saves)
        if failure is not None and not failure.durable:
            raise failure.error
        version = super().save(raw, expected_version, note)
        if failure is not None:
            raise failure.error
        accounts = codec.decode(raw, self.address).accounts
        self._events.append({name: kind(record) for name, record in accounts.items()})
        return version

    def rescue(self, line: bytes) -> None:
        self._room -= 1
        if self._room < 0:
            raise StateNotSaved(f"{len(line)} bytes are too many.")
        super().rescue(line)


class Watcher:
    """Records the progress of a command."""

    def __init__(self, events: list[object] | None = None) -> None:
        self.events: list[object] = [] if events is None else events

    def started(self, name: str, operation: str | None = None) -> None:
        del operation
        self.events.append(("started", name))

    def finished(self, outcome: Outcome) -> None:
        self.events.append((outcome.result.value, outcome.name))

    def read_back(self, found: Outcome) -> None:
        self.events.append((f"found {found.reason}", found.name))


class Octopush:
    """The API as far as it is needed: it keeps what it was sent, unless its script says otherwise, by name."""

    def __init__(self, events: list[object] | None = None) -> None:
        self.events: list[object] = [] if events is None else events
        self.creates: Mapping[str, Verdict] = {}
        self.edits: Mapping[str, EditVerdict] = {}
        self.readings: Mapping[str, Reading] = {}
        self.balances: Mapping[str, Balance | Failed] = {}
        self.sent: list[CreateRequest] = []
        self.edited: list[tuple[str, EditRequest]] = []
        self.on_request: Callable[[str], None] = lambda _: None
        self.on_read: Callable[[str], None] = lambda _: None
        self._there: dict[str, Attributes] = {}

    def create(self, request: CreateRequest) -> Verdict:
        name = request.attributes.first_name.lower()
        self.events.append(("sent", name))
        self.sent.append(request)
        self.on_request(name)
        self._there[name] = request.attributes
        return self.creates.get(name, created(name))

    def edit(self, api_login: str, request: EditRequest) -> EditVerdict:
        name = api_login.partition("@")[0]
        self.events.append(("edited", name))
        self.edited.append((api_login, request))
        self.on_request(name)
        self._there[name] = request.attributes
        return self.edits.get(name, Edited())

    def read(self, api_login: str) -> Reading:
        name = api_login.partition("@")[0]
        self.events.append(("read", name))
        self.on_read(name)
        if name in self.readings:
            return self.readings[name]
        return observed(self._there.get(name, attributes(name)), f"key of {name}")

    def balance(self, account: Credentials) -> Balance | Failed:
        self.events.append(("balance", account.api_login))
        return self.balances[account.api_login.partition("@")[0]]


@dataclass
class Run:
    """An apply to a state in memory: its script, and after it what was seen."""

    state: State = EMPTY
    wanted: Sequence[str | DesiredAccount] = ("athens", "berlin", "paris")
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """The API's verdict on a create, by account; Created by default."""
    edits: dict[str, EditVerdict] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    interrupt: tuple[str, ExitCode] | None = None
    """The account during whose request a signal comes."""
    limit: int = 20
    reserved: int = 0
    by_plan: Plan | None = None
    environ: dict[str, str] = field(default_factory=dict)
    new_password: str = "a new password"
    room: int = 0
    """How many rescued lines the store takes."""
    identity: bool = True
    """Whether the run has an identity that opens sealed content."""

    events: list[object] = field(default_factory=list)
    """Every save, as the kind of each record, and every other call, as a pair of words; in their order."""
    said: list[str] = field(default_factory=list)
    """Warnings, and what went to the last resort."""
    heard: ExitCode | None = None
    operations: int = 0

    def __post_init__(self) -> None:
        self._store = WatchedStore(self.state, self.failures, self.events, self.room)
        self.session = self.loaded()
        self.api = Octopush(self.events)
        self.api.creates, self.api.edits, self.api.readings = self.verdicts, self.edits, self.readings
        self.api.on_request = self._hear

    def loaded(self) -> Session:
        """Load what is durable, as the next run does."""
        memory = Memory(
            self._store, Forgetful(Path("nowhere")), self.said.append, lambda: None, lambda _: nullcontext()
        )
        return Session(self._store, memory, self.said.append, self._last_resort)

    def _last_resort(self, line: str) -> bool:
        self.said.append(line)
        return True

    def plan(self) -> Plan:
        return self.by_plan or plan(manifest(*self.wanted), self.state, limit=self.limit, reserved=self.reserved)

    def work(self, todo: Plan) -> Work:
        """Prepare what a plan needs, as the command line does."""
        creates = {
            each.name: CreateRequest(attributes(each.name), Secret(f"password of {each.name}")) for each in todo.creates
        }
        if not self.identity:
            return Work(creates)
        held, begun = {}, {}
        for each in todo.updates:
            held[each.record_name] = opened(each.record_name, self.state.accounts[each.record_name])
            if (edit := executor.open_edit(self.state, each.record_name, OPENER)) is not None:
                begun[each.record_name] = edit
        sends = [each for each in todo.updates if each.sends]
        changes = edits(sends, Reader(self.environ, ()), lambda: Secret(self.new_password))
        return Work(creates, changes, held, begun)

    def apply(self, **options: Any) -> Report:  # noqa: ANN401  # those of executor.apply
        todo = self.plan()
        return executor.apply(todo, self.state, self.work(todo), self.ports(), **options)

    def next(self, **changes: Any) -> Run:  # noqa: ANN401  # those of Run
        """Return the run that comes after this one, to the state that is durable."""
        return replace(
            self,
            **(
                {
                    "state": self.loaded().state or self.state,
                    "failures": {},
                    "edits": {},
                    "events": [],
                    "heard": None,
                    "interrupt": None,
                }
                | changes
            ),
        )

    def ports(self) -> Ports:
        return Ports(
            api=self.api,
            journal=self.session,
            sealer=self,
            progress=Watcher(self.events),
            now=lambda: NOW,
            new_id=self._new_id,
            by="me@here",
            interrupted=lambda: self.heard,
        )

    def seal(self, content: SealedContent) -> str:
        what = "credentials" if content.credentials else "answer" if content.answer else "password"
        self.events.append((f"sealed {what}", content.name))
        return SEALER.seal(content)

    def _new_id(self) -> str:
        self.operations += 1
        return f"operation {self.operations}"

    def _hear(self, name: str) -> None:
        if self.interrupt is not None and self.interrupt[0] == name:
            self.heard = self.interrupt[1]

    @property
    def sent(self) -> list[CreateRequest]:
        return self.api.sent

    @property
    def records(self) -> dict[str, Record]:
        """What is durable."""
        raw, _ = self._store.load()
        return {} if raw is None else dict(codec.decode(raw, "memory").accounts)

    @property
    def rescued(self) -> tuple[RescueEntry, ...]:
        """What went to the last resort instead."""
        return found_in("\n".join(self.said), "standard error")
