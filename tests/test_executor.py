"""The executor: what is saved and sent in which order, and what becomes of every verdict."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner import executor
from provisioner.errors import CommandInvalid, ExitCode, OverLimit, StateError, StateMoved, StateNotSaved
from provisioner.executor import UPDATE_REASON, Ports
from provisioner.model.account import Attributes, Credentials, DesiredAccount, Manifest, Origin, Secret
from provisioner.model.plan import Change, Plan, raise_if_over
from provisioner.model.report import Outcome, Report, Result, Stop, exit_code
from provisioner.model.state import Abandoned, Active, Operation, Pending, Record, State, Unknown
from provisioner.model.verdict import Answer, Created, CreateRequest, InDoubt, NotCreated, SealedContent, Then, Verdict
from provisioner.planner import plan
from provisioner.state.rescue import Entry, Rescue, found_in
from provisioner.state.sealing import AgeOpener, AgeSealer, new_identity, parse_identities
from provisioner.state.session import Session
from provisioner.state.store import ABSENT, MemoryStore

IDENTITY, RECIPIENT = new_identity()
OPERATION: Final = Operation("an earlier one", "2026-01-01T00:00:00Z", "me@here")
NOW: Final = "2026-02-03T04:05:06Z"
THREE: Final = ("athens", "berlin", "paris")
ANSWER: Final = Answer(201, b'{"api_login": "abc_1f2@sub-accounts.com"}')

SEALED: Final = AgeSealer([RECIPIENT]).seal(SealedContent("lineage", "default", "paris", OPERATION.id))
EMPTY: Final = State("lineage", "default", recipients=(RECIPIENT,))
NOT_SAVED: Final = StateNotSaved("The state could not be saved: full.", hint="Make room.")

LOST: Final = InDoubt("the connection was reset, after the request was sent")
CUT: Final = InDoubt("HTTP 201, but the answer was cut", ANSWER)
REFUSED: Final = NotCreated("the API refused it (HTTP 400)", Then.GO_ON)
UNAUTHORIZED: Final = NotCreated("not accepted (HTTP 401)", Then.STOP, None, ExitCode.SETTING_INVALID, "Check the key.")
EXHAUSTED: Final = NotCreated("the API asked to try later (HTTP 429)", Then.RETRY, 30.0)


def attributes(name: str) -> Attributes:
    return Attributes(name.title(), "Crash")


def credentials(name: str) -> Credentials:
    return Credentials(f"{name}@sub-accounts.com", Secret(f"key of {name}"))


def created(name: str) -> Created:
    return Created(credentials(name))


def manifest(*names: str) -> Manifest:
    these = (DesiredAccount(name, attributes(name), None, Origin("accounts.yaml")) for name in names)
    return Manifest("default", tuple(these))


def active(name: str) -> Active:
    return Active(attributes(name), OPERATION, NOW, SEALED)


# ── A run whose every port is watched ────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Failure:
    """A save that fails; ``durable`` where the state is there all the same."""

    error: StateError = NOT_SAVED
    durable: bool = False


class WatchedStore:
    """A memory store that tells ``events`` of every save, and fails at those that ``failures`` counts from 1."""

    address = key = "memory"

    def __init__(self, state: State, failures: dict[int, Failure], events: list[object]) -> None:
        self._store = MemoryStore()
        if state.accounts:
            self._store.save(state, ABSENT)
        self._failures = failures
        self._events = events
        self._saves = 0

    def load(self) -> tuple[State | None, str]:
        return self._store.load()

    def save(self, state: State, expected_version: str) -> str:
        self._saves += 1
        failure = self._failures.get(self._saves)
        if failure is not None and not failure.durable:
            raise failure.error
        version = self._store.save(state, expected_version)
        if failure is not None:
            raise failure.error
        self._events.append({name: type(record) for name, record in state.accounts.items()})
        return version


@dataclass
class Run:
    """An apply to a state in memory: its script, and after it what was seen."""

    state: State = EMPTY
    names: Sequence[str] = THREE
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """What the API says of an account; Created where nothing is said."""
    failures: dict[int, Failure] = field(default_factory=dict)
    interrupt: tuple[str, ExitCode] | None = None
    """The account while whose request is in flight a signal comes."""
    limit: int = 20
    reserved: int = 0
    by_plan: Plan | None = None

    events: list[object] = field(default_factory=list)
    """Every save, as the kind of each record, and every other call, as a pair of words; in their order."""
    sent: list[CreateRequest] = field(default_factory=list)
    stderr: io.StringIO = field(default_factory=io.StringIO)
    heard: ExitCode | None = None

    def __post_init__(self) -> None:
        self._store = WatchedStore(self.state, self.failures, self.events)
        self.session = self.opened()
        self._sealer = AgeSealer([RECIPIENT])

    def opened(self) -> Session:
        """Load what is durable, as the next run does."""
        return Session(self._store, Rescue(None, self.stderr))

    def apply(self, **options: Any) -> Report:  # noqa: ANN401  # those of executor.apply
        todo = self.by_plan or plan(manifest(*self.names), self.state, limit=self.limit, reserved=self.reserved)
        requests = {name: CreateRequest(attributes(name), Secret(f"password of {name}")) for name in self.names}
        return executor.apply(todo, self.state, requests, self.ports(), **options)

    def ports(self) -> Ports:
        return Ports(
            api=self,
            journal=self.session,
            sealer=self,
            progress=self,
            now=lambda: NOW,
            new_id=lambda: f"operation {len(self.sent) + 1}",
            by="me@here",
            interrupted=lambda: self.heard,
        )

    def create(self, request: CreateRequest) -> Verdict:
        name = request.attributes.first_name.lower()
        self.events.append(("sent", name))
        self.sent.append(request)
        if self.interrupt is not None and self.interrupt[0] == name:
            self.heard = self.interrupt[1]
        return self.verdicts.get(name, created(name))

    def seal(self, content: SealedContent) -> str:
        what = "credentials" if content.credentials else "answer" if content.answer else "password"
        self.events.append((f"sealed {what}", content.name))
        return self._sealer.seal(content)

    def started(self, name: str) -> None:
        self.events.append(("started", name))

    def finished(self, outcome: Outcome) -> None:
        self.events.append((outcome.result.value, outcome.name))

    @property
    def records(self) -> dict[str, Record]:
        """What is durable."""
        state, _ = self._store.load()
        return dict(state.accounts) if state else {}

    @property
    def rescued(self) -> tuple[Entry, ...]:
        """What went to standard error instead."""
        return found_in(self.stderr.getvalue(), "standard error")


def opened(name: str, record: Record | None) -> SealedContent:
    """Open what is sealed in a record."""
    assert record is not None
    assert record.sealed is not None
    return AgeOpener(parse_identities(IDENTITY, "the test")).open(
        record.sealed, lineage="lineage", parent="default", name=name
    )


def results(report: Report) -> dict[str, str]:
    return {each.name: each.result.value for each in report.outcomes}


# ── The order of things ──────────────────────────────────────────────────────


def test_intent_before_the_request_and_credential_before_the_next() -> None:
    run = Run(names=("berlin", "athens"))
    report = run.apply()
    assert [
        ("started", "athens"),
        ("sealed password", "athens"),
        {"athens": Pending},
        ("sent", "athens"),
        ("sealed credentials", "athens"),
        {"athens": Active},
        ("created", "athens"),
        ("started", "berlin"),
        ("sealed password", "berlin"),
        {"athens": Active, "berlin": Pending},
        ("sent", "berlin"),
        ("sealed credentials", "berlin"),
        {"athens": Active, "berlin": Active},
        ("created", "berlin"),
    ] == run.events
    assert (
        Report(
            "default",
            (Outcome("athens", "create", Result.CREATED), Outcome("berlin", "create", Result.CREATED)),
        )
        == report
    )


def test_what_is_kept_of_an_account_that_was_created() -> None:
    run = Run(names=("paris",))
    run.apply()
    record = run.records["paris"]
    operation = Operation("operation 1", NOW, "me@here")
    assert isinstance(record, Active)
    assert Active(attributes("paris"), operation, NOW, record.sealed) == record
    assert SealedContent(
        "lineage", "default", "paris", "operation 1", Secret("password of paris"), credentials("paris")
    ) == opened("paris", record)
    assert [CreateRequest(attributes("paris"), Secret("password of paris"))] == run.sent
    assert run.session.state is not None
    assert 2 == run.session.state.serial


def test_placeholders_are_sent_expanded_and_kept_as_they_are() -> None:
    run = Run(names=("paris",))
    account = DesiredAccount("paris", Attributes("${env:NAME}", "Crash"), None, Origin("accounts.yaml"))
    run.by_plan = plan(Manifest("default", (account,)), run.state, limit=20, reserved=0)
    run.apply()
    assert attributes("paris") == run.sent[0].attributes
    assert run.records["paris"].attributes == account.attributes


def test_a_warning_of_the_api_is_told() -> None:
    run = Run(names=("paris",), verdicts={"paris": Created(credentials("paris"), "HTTP 200")})
    assert (Outcome("paris", "create", Result.CREATED, "HTTP 200"),) == run.apply().outcomes


def test_applying_again_sends_nothing() -> None:
    first = Run()
    first.apply()
    assert first.session.state is not None
    again = Run(first.session.state)
    assert dict.fromkeys(THREE, "unchanged") == results(again.apply())
    assert [] == again.sent
    assert again.records == first.records


# ── Every verdict ────────────────────────────────────────────────────────────

Row = tuple[Verdict, type[Record] | None, str, Stop | None, Stop | None]
IN_DOUBT: Final = Stop(ExitCode.OUTCOME_UNKNOWN, "the outcome of berlin is unknown")
VERDICTS: Final[dict[str, Row]] = {
    "created": (created("berlin"), Active, "created", None, None),
    "lost": (LOST, Unknown, "unknown", IN_DOUBT, None),
    "cut": (CUT, Unknown, "unknown", IN_DOUBT, None),
    "refused": (REFUSED, None, "failed", None, None),
    "unauthorized": (
        UNAUTHORIZED,
        None,
        "failed",
        *[Stop(ExitCode.SETTING_INVALID, UNAUTHORIZED.reason, "Check the key.")] * 2,
    ),
    "exhausted": (EXHAUSTED, None, "failed", *[Stop(ExitCode.SOME_FAILED, EXHAUSTED.reason)] * 2),
}


@pytest.mark.parametrize("keep_going", [False, True])
@pytest.mark.parametrize("row", VERDICTS.values(), ids=VERDICTS)
def test_what_becomes_of_every_verdict(row: Row, *, keep_going: bool) -> None:
    verdict, kind, result, stop_at_once, stop_all_the_same = row
    stop = stop_all_the_same if keep_going else stop_at_once
    run = Run(verdicts={"berlin": verdict})
    report = run.apply(keep_going=keep_going)

    reason = None if isinstance(verdict, Created) else verdict.reason
    last = (
        Outcome("paris", "create", Result.NOT_ATTEMPTED, stop.reason)
        if stop
        else Outcome("paris", "create", Result.CREATED)
    )
    assert (
        Outcome("athens", "create", Result.CREATED),
        Outcome("berlin", "create", Result(result), reason),
        last,
    ) == report.outcomes
    assert stop == report.stop
    kinds = {"athens": Active, "berlin": kind, "paris": None if stop else Active}
    assert {name: each for name, each in kinds.items() if each} == {
        name: type(record) for name, record in run.records.items()
    }
    assert len(run.sent) == (2 if stop else 3)
    assert ("started", "paris") in run.events or stop is not None
    assert "" == run.stderr.getvalue()


@pytest.mark.parametrize("verdict", [LOST, CUT], ids=["no answer", "an answer"])
def test_a_doubt_keeps_the_reason_the_password_and_the_answer_as_it_came(verdict: InDoubt) -> None:
    run = Run(names=("paris",), verdicts={"paris": verdict})
    run.apply()
    record = run.records["paris"]
    assert (
        Unknown(attributes("paris"), Operation("operation 1", NOW, "me@here"), verdict.reason, record.sealed) == record
    )
    assert SealedContent(
        "lineage", "default", "paris", "operation 1", Secret("password of paris"), None, verdict.answer
    ) == opened("paris", record)


def test_a_verdict_of_no_known_kind_is_a_defect_and_leaves_the_intent() -> None:
    run = Run(names=("paris",), verdicts={"paris": cast("Verdict", "what is this?")})
    with pytest.raises(AssertionError):
        run.apply()
    assert isinstance(run.records["paris"], Pending)


# ── What is no create ────────────────────────────────────────────────────────


def test_what_is_not_to_be_created_is_told_and_left_alone() -> None:
    state = State(
        "lineage",
        "default",
        serial=3,
        accounts={
            "abandoned": Abandoned(attributes("abandoned"), OPERATION, "lost"),
            "changed": active("before"),
            "same": active("same"),
            "unknown": Unknown(attributes("unknown"), OPERATION, "cut"),
            "unmanaged": active("unmanaged"),
        },
    )
    run = Run(state, names=("abandoned", "changed", "same", "unknown"))
    report = run.apply()
    assert (
        Outcome("abandoned", "abandoned", Result.NOT_ATTEMPTED, "abandoned: lost"),
        Outcome("changed", "update", Result.NOT_ATTEMPTED, UPDATE_REASON),
        Outcome("same", "unchanged", Result.UNCHANGED),
        Outcome("unknown", "unknown", Result.UNKNOWN, "cut"),
    ) == report.outcomes
    assert report.stop is None
    assert [] == run.sent
    assert state.accounts == run.records
    assert run.events == [(each.result.value, each.name) for each in report.outcomes]


def test_an_unknown_of_an_earlier_run_does_not_stop_this_one() -> None:
    run = Run(State("lineage", "default", accounts={"athens": Unknown(attributes("athens"), OPERATION, "cut")}))
    assert {"athens": "unknown", "berlin": "created", "paris": "created"} == results(run.apply())


def test_a_change_of_no_known_kind_is_a_defect() -> None:
    run = Run()
    todo = plan(manifest(), run.state, limit=20, reserved=0)
    run.by_plan = replace(todo, changes=(cast("Change", "what is this?"),))
    with pytest.raises(AssertionError):
        run.apply()


# ── Slots ────────────────────────────────────────────────────────────────────


def test_over_the_limit_nothing_is_sent() -> None:
    run = Run(State("lineage", "default", accounts={"rome": active("rome")}), limit=5, reserved=2)
    with pytest.raises(OverLimit, match=r"3 to create, and 2 of 5 slots free; these do not fit: paris\.") as caught:
        run.apply()
    assert "Nothing was sent" in caught.value.hint
    assert [] == run.events


def test_no_slot_is_free_where_more_are_taken_than_there_are() -> None:
    run = Run(State("lineage", "default", accounts={"rome": active("rome")}), limit=0)
    with pytest.raises(OverLimit, match=r"0 of 0 slots free"):
        run.apply()


def test_a_plan_that_fits_is_let_through() -> None:
    raise_if_over(plan(manifest(*THREE), None, limit=3, reserved=0))


def test_the_slots_are_counted_again_before_each_create() -> None:
    run = Run(limit=4)
    todo = plan(manifest(*THREE), run.state, limit=4, reserved=0)
    run.by_plan = replace(todo, slots=replace(todo.slots, limit=3, reserved=1))
    report = run.apply()
    assert {"athens": "created", "berlin": "created", "paris": "not_attempted"} == results(report)
    assert Stop(ExitCode.REFUSED, "there is no slot left") == report.stop
    assert 2 == len(run.sent)


def test_a_doubt_keeps_its_slot_and_a_refusal_gives_it_back() -> None:
    for verdict, last in ((LOST, "not_attempted"), (REFUSED, "created")):
        run = Run(verdicts={"athens": verdict})
        todo = plan(manifest(*THREE), run.state, limit=4, reserved=0)
        run.by_plan = replace(todo, slots=replace(todo.slots, limit=2))
        assert results(run.apply(keep_going=True))["paris"] == last


# ── Interruption ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_a_signal_during_a_request_lets_it_finish_and_be_saved(code: ExitCode) -> None:
    run = Run(interrupt=("athens", code))
    report = run.apply()
    assert {"athens": "created", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert Stop(code, "the run was interrupted", "Run it again to go on.") == report.stop
    assert "the run was interrupted" == report.outcomes[2].reason
    assert code is exit_code([report])
    assert credentials("athens") == opened("athens", run.records["athens"]).credentials
    assert 1 == len(run.sent)


@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
@pytest.mark.parametrize("then", [Then.RETRY, Then.STOP])
def test_a_signal_during_a_wait_ends_the_run_with_its_own_code(code: ExitCode, then: Then) -> None:
    run = Run(interrupt=("berlin", code), verdicts={"berlin": NotCreated("asked to try later", then)})
    report = run.apply(keep_going=True)
    assert {"athens": "created", "berlin": "failed", "paris": "not_attempted"} == results(report)
    assert code is exit_code([report])
    assert {"athens"} == run.records.keys()


def test_a_signal_before_the_first_create_sends_nothing() -> None:
    run = Run(heard=ExitCode.TERMINATED)
    report = run.apply()
    assert dict.fromkeys(THREE, "not_attempted") == results(report)
    assert ExitCode.TERMINATED is exit_code([report])
    assert [] == run.sent
    assert ("started", "athens") not in run.events


def test_a_signal_during_the_last_request_changes_nothing() -> None:
    run = Run(interrupt=("paris", ExitCode.INTERRUPTED))
    report = run.apply()
    assert dict.fromkeys(THREE, "created") == results(report)
    assert ExitCode.DONE is exit_code([report])


# ── Several parents ──────────────────────────────────────────────────────────


def test_what_ended_the_run_for_a_parent_ends_it_for_the_next() -> None:
    state = State("lineage", "default", accounts={"athens": active("athens")})
    run = Run(state)
    stop = Stop(ExitCode.SETTING_INVALID, "not accepted (HTTP 401)")
    report = run.apply(stop=stop, keep_going=True)
    assert stop == report.stop
    assert (
        Outcome("athens", "unchanged", Result.UNCHANGED),
        Outcome("berlin", "create", Result.NOT_ATTEMPTED, stop.reason),
        Outcome("paris", "create", Result.NOT_ATTEMPTED, stop.reason),
    ) == report.outcomes
    assert [] == run.sent
    assert state.accounts == run.records


def test_an_earlier_stop_is_stronger_than_a_signal() -> None:
    stop = Stop(ExitCode.SETTING_INVALID, "not accepted (HTTP 401)")
    assert stop == Run(heard=ExitCode.INTERRUPTED).apply(stop=stop).stop


# ── Saves that fail ──────────────────────────────────────────────────────────

FULL: Final = Failure()
MOVED: Final = Failure(StateMoved("Somebody saved it.", hint="Look at it."))


@pytest.mark.parametrize("failure", [FULL, MOVED, replace(FULL, durable=True)], ids=["full", "moved", "durable"])
def test_where_the_intent_cannot_be_saved_nothing_is_sent(failure: Failure) -> None:
    run = Run(failures={3: failure})
    report = run.apply(keep_going=True)
    place = "standard error, in the line that begins with provisioner-rescue (`provisioner recover LOG` puts it back)"
    reason = f"the state could not be saved, and the outcome is kept in {place}; nothing was sent"
    assert (
        Outcome("athens", "create", Result.CREATED),
        Outcome("berlin", "create", Result.FAILED, reason),
        Outcome("paris", "create", Result.NOT_ATTEMPTED, failure.error.message.removesuffix(".")),
    ) == report.outcomes
    assert ["Athens"] == [request.attributes.first_name for request in run.sent]
    assert (Entry("lineage", "default", "berlin", "operation 2", None),) == run.rescued
    assert report.stop is not None
    assert f"{failure.error.hint} The outcome of berlin is kept in {place}." == report.stop.hint
    assert ExitCode.STATE_UNUSABLE is exit_code([report])

    run.opened().put_back(run.rescued)
    assert {"athens"} == run.records.keys()


@pytest.mark.parametrize("failure", [FULL, MOVED, replace(FULL, durable=True)], ids=["full", "moved", "durable"])
def test_where_a_credential_cannot_be_saved_it_is_rescued_and_the_run_stops(failure: Failure) -> None:
    run = Run(failures={2: failure}, verdicts={"athens": Created(credentials("athens"), "HTTP 200")})
    report = run.apply(keep_going=True)
    assert {"athens": "created", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    place = "standard error, in the line that begins with provisioner-rescue (`provisioner recover LOG` puts it back)"
    assert f"HTTP 200; the state could not be saved, and the outcome is kept in {place}" == report.outcomes[0].reason
    assert ExitCode.STATE_UNUSABLE is exit_code([report])
    assert 1 == len(run.sent)

    (entry,) = run.rescued
    assert (
        "lineage",
        "default",
        "athens",
        "operation 1",
    ) == (entry.lineage, entry.parent, entry.name, entry.operation)
    assert credentials("athens") == opened("athens", entry.record).credentials
    assert "key of athens" not in run.stderr.getvalue()

    run.opened().put_back(run.rescued)
    assert credentials("athens") == opened("athens", run.records["athens"]).credentials


def test_a_created_account_whose_save_fails_has_that_as_its_only_reason() -> None:
    report = Run(failures={2: FULL}).apply()
    assert str(report.outcomes[0].reason).startswith("the state could not be saved, and the outcome is kept in")


def test_a_doubt_that_cannot_be_saved_is_rescued_and_stays_the_strongest() -> None:
    run = Run(failures={2: FULL}, verdicts={"athens": CUT})
    report = run.apply(keep_going=True)
    assert {"athens": "unknown", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert str(report.outcomes[0].reason).startswith(f"{CUT.reason}; the state could not be saved")
    assert report.stop is not None
    assert ExitCode.STATE_UNUSABLE is report.stop.exit_code
    assert ExitCode.OUTCOME_UNKNOWN is exit_code([report])
    assert ANSWER == opened("athens", run.rescued[0].record).answer


def test_a_refusal_that_cannot_be_saved_is_rescued_so_that_no_doubt_remains() -> None:
    run = Run(failures={2: FULL}, verdicts={"athens": REFUSED})
    report = run.apply()
    assert {"athens": "failed", "berlin": "not_attempted", "paris": "not_attempted"} == results(report)
    assert (Entry("lineage", "default", "athens", "operation 1", None),) == run.rescued
    assert isinstance(run.records["athens"], Pending)
    run.session.put_back(run.rescued)
    assert {} == run.records


# ── What a run that died left ────────────────────────────────────────────────


def test_an_intent_of_a_run_that_died_becomes_unknown_durably() -> None:
    left = Pending(attributes("paris"), OPERATION, SEALED)
    state = State("lineage", "default", serial=7, accounts={"athens": active("athens"), "paris": left})
    run = Run(state)
    after = executor.settle(state, run.session)
    unknown = Unknown(attributes("paris"), OPERATION, executor.RUN_DIED, SEALED)
    assert replace(state, serial=8, accounts={"athens": active("athens"), "paris": unknown}) == after
    assert run.session.state == after
    assert run.records == after.accounts


def test_all_intents_are_settled_in_one_save() -> None:
    left = {name: Pending(attributes(name), OPERATION) for name in THREE}
    run = Run(State("lineage", "default", accounts=left))
    executor.settle(run.state, run.session)
    assert [dict.fromkeys(THREE, Unknown)] == run.events


def test_where_no_intent_is_left_nothing_is_saved() -> None:
    run = Run(State("lineage", "default", accounts={"athens": active("athens")}))
    assert executor.settle(run.state, run.session) is run.state
    assert [] == run.events


def test_what_cannot_be_settled_is_an_error() -> None:
    left = {"athens": Pending(attributes("athens"), OPERATION)}
    run = Run(State("lineage", "default", accounts=left), failures={1: FULL})
    with pytest.raises(StateNotSaved):
        executor.settle(run.state, run.session)


# ── What a person decides ────────────────────────────────────────────────────

UNDECIDED: Final = (
    Unknown(attributes("paris"), OPERATION, "the answer was lost", SEALED),
    Pending(attributes("paris"), OPERATION, SEALED),
)


@pytest.mark.parametrize("record", UNDECIDED)
def test_what_was_not_created_gives_its_slot_back(record: Record) -> None:
    state = State("lineage", "default", serial=7, accounts={"athens": active("athens"), "paris": record})
    assert replace(state, serial=8, accounts={"athens": active("athens")}) == executor.resolve(
        state, "paris", abandon=False
    )


@pytest.mark.parametrize("record", UNDECIDED)
def test_what_is_abandoned_keeps_its_slot_and_what_was_sealed(record: Unknown | Pending) -> None:
    state = State("lineage", "default", serial=7, accounts={"paris": record})
    reason = executor.RUN_DIED if isinstance(record, Pending) else record.reason
    gone = Abandoned(record.attributes, record.operation, reason, record.sealed)
    assert replace(state, serial=8, accounts={"paris": gone}) == executor.resolve(state, "paris", abandon=True)


@pytest.mark.parametrize("abandon", [False, True])
@pytest.mark.parametrize(
    ("record", "status"),
    [(active("paris"), "active"), (Abandoned(attributes("paris"), OPERATION, "lost"), "abandoned")],
)
def test_what_is_not_in_doubt_cannot_be_resolved(record: Record, status: str, *, abandon: bool) -> None:
    with pytest.raises(CommandInvalid, match=f"paris is not unknown: it is {status}") as caught:
        executor.resolve(State("lineage", "default", accounts={"paris": record}), "paris", abandon=abandon)
    assert caught.value.hint


@pytest.mark.parametrize("abandon", [False, True])
def test_what_is_not_there_cannot_be_resolved(*, abandon: bool) -> None:
    with pytest.raises(CommandInvalid, match="no account paris") as caught:
        executor.resolve(State("lineage", "default"), "paris", abandon=abandon)
    assert "status" in caught.value.hint


# ── Whatever the API says ────────────────────────────────────────────────────

SCRIPTS: Final = st.fixed_dictionaries(
    {name: st.sampled_from([created(name), LOST, CUT, REFUSED, UNAUTHORIZED, EXHAUSTED]) for name in THREE}
)


@settings(max_examples=60)
@given(verdicts=SCRIPTS, keep_going=st.booleans(), reserved=st.integers(0, 5))
def test_applied_to_the_end_every_account_is_where_it_belongs(
    verdicts: dict[str, Verdict], *, keep_going: bool, reserved: int
) -> None:
    run = Run(verdicts=verdicts, limit=8, reserved=reserved)
    report = run.apply(keep_going=keep_going)
    assert [each.name for each in report.outcomes] == list(THREE)
    for outcome in report.outcomes:
        record = run.records.get(outcome.name)
        match outcome.result:
            case Result.CREATED:
                assert credentials(outcome.name) == opened(outcome.name, record).credentials
            case Result.UNKNOWN:
                assert isinstance(record, Unknown)
            case _:
                assert record is None

    assert run.session.state is None or run.session.state.serial == 2 * len(run.sent)
    again = Run(run.session.state or run.state, limit=8, reserved=reserved)
    again.apply()
    assert len(again.sent) == sum(each.result in {Result.FAILED, Result.NOT_ATTEMPTED} for each in report.outcomes)
    assert () == plan(manifest(*THREE), again.session.state, limit=8, reserved=reserved).creates
