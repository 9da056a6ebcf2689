"""Every step at which a run of three creates can die, fail, be interrupted or be overtaken; the rules hold at each.

The real executor runs over ports that count their calls. A kill is an exception after which
nothing works any more; what the run leaves is then taken up by another run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count, product
from typing import Any, Final

import pytest

from provisioner import executor
from provisioner.errors import ExitCode, InternalError, StateError, StateMoved
from provisioner.executor import Ports, Work
from provisioner.model.account import Credentials, Secret
from provisioner.model.exchange import Balance, EditRequest, EditVerdict, Failed, Reading
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import Active, Pending, Record, State, Unknown
from provisioner.model.verdict import Created, CreateRequest, OutcomeUnknown, SealedContent, Verdict
from provisioner.planner import plan
from provisioner.state import rescue
from provisioner.state.rescue import RescueEntry
from tests.executor.examples import (
    CUT,
    EMPTY,
    EXHAUSTED,
    LOST,
    NOT_SAVED,
    NOW,
    REFUSED,
    THREE,
    UNAUTHORIZED,
    attributes,
    manifest,
    observed,
)

MADE: Final = None
"""Stands for a create that is answered with its credentials."""
Script = tuple[Verdict | None, ...]
"""What Octopush makes of the creates of the three, in their order."""
SCRIPTS: Final[tuple[Script, ...]] = tuple(
    (*two, MADE) for two in product((MADE, LOST, CUT, REFUSED, UNAUTHORIZED, EXHAUSTED), repeat=2)
)
"""Every two verdicts in a row."""
FEW: Final[tuple[Script, ...]] = tuple((*two, MADE) for two in product((MADE, CUT, REFUSED, UNAUTHORIZED), repeat=2))
MOVED: Final = StateMoved("Somebody saved it.")
WINDOW: Final = frozenset({"finished", "started", "asked", "send"})
"""All that may come between the save that holds an intent and its request: nothing else fails or waits there."""


class Killed(BaseException):
    """The process has died."""


@dataclass
class World:
    """Octopush and a store: they outlive every run."""

    script: Mapping[str, Verdict | None] = field(default_factory=dict)
    state: State = EMPTY
    rescued: list[RescueEntry] = field(default_factory=list)
    """What a run kept next to the state."""
    there: dict[str, str] = field(default_factory=dict)
    """The account's name, by the login that Octopush has given."""
    seals: dict[str, SealedContent] = field(default_factory=dict)
    intents: set[str] = field(default_factory=set)
    """The operations whose intent has been durable."""
    sent: set[str] = field(default_factory=set)
    """Those that were sent."""
    ids: Iterator[int] = field(default_factory=count)
    wrong: list[str] = field(default_factory=list)
    """The rules that were broken."""

    def pending(self) -> dict[str, Pending]:
        return {name: each for name, each in self.state.accounts.items() if isinstance(each, Pending)}


@dataclass
class Machine:
    """The ports of one run, which note each step; at one of them something happens."""

    world: World
    at: int = 0
    happens: Callable[[Machine], None] = lambda _: None
    failing: int = 0
    """Which save fails, counted from 1."""
    error: StateError = NOT_SAVED
    durable: bool = False
    """Whether it is there nevertheless."""

    steps: list[str] = field(default_factory=list)
    dead: bool = False
    heard: ExitCode | None = None
    saves: int = 0
    known: State = EMPTY
    """As this run last loaded or saved it."""
    operation: str = ""
    report: Report | None = None

    def step(self, word: str) -> None:
        if self.dead:
            raise Killed
        self.steps.append(word)
        if len(self.steps) == self.at:
            self.happens(self)

    # ── A run ────────────────────────────────────────────────────────────────

    def run(self, *, keep_going: bool = False) -> None:
        """Continue from the state, as an apply does, and create what is missing."""
        world = self.world
        state = rescue.put_back(world.state, world.rescued) or EMPTY
        if state != world.state:
            world.state = replace(state, serial=state.serial + 1)
        world.rescued.clear()
        self.known = world.state
        state = executor.settle(world.state, self)
        todo = plan(manifest(*THREE), state, limit=20, reserved=0)
        requests = {each.name: CreateRequest(attributes(each.name), Secret("p")) for each in todo.creates}
        self.report = executor.apply(todo, state, Work(requests), self.ports(), keep_going=keep_going)

    def ports(self) -> Ports:
        return Ports(self, self, self, self, self.now, self.new_id, "me@here", self.interrupted)

    # ── Its ports ────────────────────────────────────────────────────────────

    def save(self, state: State) -> None:
        world = self.world
        self.saves += 1
        fails = self.saves == self.failing
        self.step("save")
        if fails and not self.durable:
            raise self.error
        if world.state != self.known:
            raise MOVED
        world.state = self.known = state
        world.intents |= {each.operation.id for each in world.pending().values()}
        self.step("saved")
        if fails:
            raise self.error
        if len(world.pending()) > 1:
            world.wrong.append("a death would leave more than one doubt")

    def rescue(self, state: State, name: str, operation: str, record: Record | None) -> str:
        self.step("rescue")
        self.world.rescued.append(RescueEntry(state.lineage, state.parent, name, operation, record))
        return "the rescue"

    def seal(self, content: SealedContent) -> str:
        self.step("seal")
        token = f"seal {next(self.world.ids)}"
        self.world.seals[token] = content
        return token

    def create(self, request: CreateRequest) -> Verdict:
        world, name = self.world, request.attributes.first_name.lower()
        self.step("send")
        if self.operation not in world.intents:
            world.wrong.append("a create was sent before its intent was durable")
        if self.operation in world.sent:
            world.wrong.append("an intent was sent twice")
        world.sent.add(self.operation)
        verdict = world.script.get(name)
        if verdict is None or isinstance(verdict, OutcomeUnknown):
            login = f"{name}-{next(world.ids)}@sub-accounts.com"
            world.there[login] = name
            verdict = verdict or Created(Credentials(login, Secret(f"key of {login}")))
        self.step("answered")
        return verdict

    def read(self, api_login: str) -> Reading:
        self.step("read")
        return observed(attributes(self.world.there[api_login]), f"key of {api_login}", last_name="Altered")

    def edit(self, api_login: str, request: EditRequest) -> EditVerdict:
        raise NotImplementedError

    def balance(self, account: Credentials) -> Balance | Failed:
        raise NotImplementedError

    def started(self, name: str, operation: str | None = None) -> None:
        del name
        self.operation = operation or ""
        self.step("started")

    def finished(self, outcome: Outcome) -> None:
        kept = {each.name for each in self.world.rescued if isinstance(each.record, Active)}
        kept |= {name for name, each in self.world.state.accounts.items() if isinstance(each, Active)}
        if outcome.result is Result.CREATED and outcome.name not in kept:
            self.world.wrong.append("an account was reported before it was durable")
        self.step("finished")

    def read_back(self, found: Outcome) -> None:
        del found
        self.step("read_back")

    def now(self) -> str:
        self.step("now")
        return NOW

    def new_id(self) -> str:
        self.step("id")
        return f"operation {next(self.world.ids)}"

    def interrupted(self) -> ExitCode | None:
        self.step("asked")
        return self.heard


# ── What can happen ──────────────────────────────────────────────────────────


def die(machine: Machine) -> None:
    machine.dead = True
    raise Killed


def hear(machine: Machine) -> None:
    machine.heard = ExitCode.INTERRUPTED


def fail(_: Machine) -> None:
    raise ValueError


def cut_off(_: Machine) -> None:
    raise KeyboardInterrupt


def overtake(machine: Machine) -> None:
    """Let another run come, on a machine that does not have what this one has rescued."""
    rescued, machine.world.rescued = machine.world.rescued, []
    Machine(machine.world).run()
    machine.world.rescued = rescued


def started(script: Script) -> World:
    return World(dict(zip(THREE, script, strict=True)))


def runs(script: Script, happens: Callable[[Machine], None], **options: Any) -> Iterator[Machine]:  # noqa: ANN401
    """Yield a run for each of its steps at which something happens, ended however it ends."""
    for keep_going in (False, True)[: 1 + any(isinstance(each, OutcomeUnknown) for each in script)]:
        for at in count(1):
            machine = Machine(started(script), at, happens, **options)
            with suppress(Killed, KeyboardInterrupt, ValueError, InternalError):
                machine.run(keep_going=keep_going)
            if len(machine.steps) < at:
                break
            yield machine


# ── What must hold ───────────────────────────────────────────────────────────


def settled(world: World) -> set[str]:
    """Continue with another run, in which Octopush does not fail; return the names whose outcome is unknown.

    Every account that exists is in the state under its name, once, and with its credentials where they are known.
    """
    world.script = {}
    Machine(world).run()
    assert [] == world.wrong
    assert set(THREE) == world.state.accounts.keys()
    assert len(world.there) == len(set(world.there.values()))
    doubtful = set()
    for name, record in world.state.accounts.items():
        assert record.sealed is not None
        credentials = world.seals[record.sealed].credentials
        if credentials is None:
            assert isinstance(record, Unknown)
            doubtful.add(name)
        else:
            assert name == world.there[credentials.api_login]
    return doubtful


def unknown(machine: Machine) -> set[str]:
    """Return the accounts whose outcome is unknown because of Octopush's answer."""
    these = dict(machine.world.state.accounts) | {each.name: each.record for each in machine.world.rescued}
    return {name for name, record in these.items() if isinstance(record, Unknown)}


def sends_after(machine: Machine, step: int) -> int:
    return machine.steps[step:].count("send")


def test_a_dead_run_leaves_at_most_one_unknown_and_a_false_one_only_just_before_the_request() -> None:
    false = 0
    for script in SCRIPTS:
        for machine in runs(script, die):
            pending = machine.world.pending()
            expected = pending.keys() | unknown(machine)
            if any(each.operation.id not in machine.world.sent for each in pending.values()):
                false += 1
                assert WINDOW >= set(since_the_save(machine))
            assert expected == settled(machine.world)
    assert false


def since_the_save(machine: Machine) -> list[str]:
    """Return the steps that came after the last save, up to where the run died."""
    return machine.steps[len(machine.steps) - machine.steps[::-1].index("saved") :]


@pytest.mark.parametrize(("error", "durable"), [(NOT_SAVED, False), (NOT_SAVED, True), (MOVED, False)])
def test_a_save_that_fails_loses_nothing_and_nothing_more_is_sent(error: StateError, *, durable: bool) -> None:
    for script, failing, keep_going in product(SCRIPTS, range(1, 6), (False, True)):
        machine = Machine(started(script), failing=failing, error=error, durable=durable)
        machine.run(keep_going=keep_going)
        if machine.saves < failing:
            continue
        assert failing == machine.saves
        assert 0 == sends_after(machine, [n for n, step in enumerate(machine.steps) if step == "save"][failing - 1])
        assert unknown(machine) == settled(machine.world)


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("failing", range(1, 6))
def test_a_run_that_dies_after_a_failed_save_leaves_at_most_one_unknown(failing: int, *, durable: bool) -> None:
    for machine in runs((MADE, MADE, MADE), die, failing=failing, durable=durable):
        pending = machine.world.pending().keys()
        assert len(settled(machine.world)) <= len(pending) <= 1


def test_a_signal_lets_the_request_in_flight_end_and_takes_back_the_intent_of_the_next() -> None:
    for script in FEW:
        for machine in runs(script, hear):
            assert 0 == sends_after(machine, machine.at)
            assert {} == machine.world.pending()
            assert unknown(machine) == settled(machine.world)


@pytest.mark.parametrize("happens", [fail, cut_off])
def test_a_failure_loses_nothing_and_adds_no_unknown_to_that_of_the_request(
    happens: Callable[[Machine], None],
) -> None:
    for script in FEW:
        for machine in runs(script, happens):
            pending, doubtful = machine.world.pending().keys(), unknown(machine)
            assert 0 == sends_after(machine, machine.at)
            if machine.steps[machine.at - 1] in {"send", "answered"}:
                assert pending | doubtful == settled(machine.world)
            else:
                assert doubtful >= settled(machine.world)


def test_two_runs_at_once_create_nothing_twice_and_lose_nothing() -> None:
    for script in FEW:
        for machine in runs(script, overtake):
            settled(machine.world)
