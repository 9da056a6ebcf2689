"""Placement of accounts: where they are created, and that no two runs create one on two parents."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from jsonschema import Draft202012Validator

from provisioner import Bounds, Folders, Shard, schemas
from provisioner.errors import OverLimit, PlanStale, ProvisionerError, StateConflict
from provisioner.project.parts import Parts
from provisioner.project.plans import Plans
from provisioner.state import codec
from provisioner.state.holder import Holder
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.memory import MemoryStore
from provisioner.state.stores.opening import Place, open_store
from tests.conftest import PATIENCE, Project, SandboxProcess, StartSandbox
from tests.project.opened import accounts_of, having, many, opened, results, state_of

THREE: Final = ("acme", "globex", "initech")


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox(*accounts_of(*THREE))


@pytest.fixture
def mine(server: SandboxProcess, tmp_path: Path) -> Project:
    project = many(server, tmp_path / "mine", dict.fromkeys(THREE, ()))
    ask(project, "paris", "rome")
    return project


def ask(project: Project, *names: str, file: str = "accounts", **more: str) -> Path:
    """Write a manifest with accounts of ``parent: auto``, and ``more`` with one parent each."""
    rows = "".join(
        f"{name},{name.title()},Da Vinci,{parent}\n"
        for name, parent in {**dict.fromkeys(names, "auto"), **more}.items()
    )
    path = project.folder / "manifests" / f"{file}.csv"
    path.write_text(f"name,first_name,last_name,parent\n{rows}")
    return path


def remembered(project: Project) -> dict[str, str]:
    """Return the record of placements."""
    return dict(codec.decode(state_of(project, "auto").read_bytes(), "it").placements)


def created(server: SandboxProcess) -> list[str]:
    """Return the first names of all accounts on all parents."""
    return sorted(each["first_name"] for each in server.accounts())


def test_placements_are_shown_saved_and_stable(mine: Project, server: SandboxProcess) -> None:
    shown = {output: mine.run("plan", "--format", output).stdout for output in ("text", "markdown", "html", "json")}
    for output in ("text", "markdown", "html"):
        assert "placed on acme" in shown[output], output
        assert "placed on globex" in shown[output], output
    document = json.loads(shown["json"])
    Draft202012Validator(schemas.load("plan.v1")).validate(document)
    assert ["acme", "globex"] == [each["placed"] for plan in document["plans"] for each in plan["changes"]]
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    done = mine.run("apply", "--yes", "--new-state", "--plan", "plan.json", "--digest", document["digest"])
    assert (0, ["Paris", "Rome"]) == (done.returncode, created(server)), done.stderr
    assert {"paris": "acme", "rome": "globex"} == remembered(mine)
    # Other accounts, and their slots, come and go.
    ask(mine, "athens", "paris", "rome")
    project = opened(mine)
    assert {
        "acme": {"paris": "unchanged"},
        "globex": {"rome": "unchanged"},
        "initech": {"athens": "created"},
    } == results(project.apply(project.plan()))
    project = opened(mine)
    before = state_of(mine, "auto").read_bytes()
    assert 0 == project.apply(project.plan()).exit_code
    assert before == state_of(mine, "auto").read_bytes()


def test_a_renamed_account_stays_on_its_parent_and_is_recorded(mine: Project, server: SandboxProcess) -> None:
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    table = "name,first_name,last_name,parent,previously\nlutece,Paris,Da Vinci,auto,paris\nrome,Rome,Da Vinci,auto,\n"
    (mine.folder / "manifests" / "accounts.csv").write_text(table)
    assert {"lutece": "updated"} == results(opened(mine).apply(opened(mine).plan()))["acme"]
    assert {"lutece": "acme", "paris": "acme", "rome": "globex"} == remembered(mine)
    assert 2 == len(server.accounts())


def test_shards_and_selected_parents_place_like_a_full_run(mine: Project, server: SandboxProcess) -> None:
    ask(mine, *(f"a{number}" for number in range(9)))
    whole = {plan.parent: [each.name for each in plan.creates] for plan in opened(mine).plan().plans}
    assert {3} == {len(names) for names in whole.values()}
    for parent in THREE:
        (plan,) = opened(mine).plan(parents=[parent]).plans
        assert whole[parent] == [each.name for each in plan.creates]
    for number in (1, 2, 3):
        project = opened(mine)
        assert 0 == project.apply(project.plan(shard=Shard(number, 3))).exit_code
    assert 9 == len(server.accounts())
    assert whole == {
        parent: sorted(codec.decode(state_of(mine, parent).read_bytes(), "it").accounts) for parent in THREE
    }


def test_a_plan_that_cannot_place_everything_places_nothing(mine: Project, server: SandboxProcess) -> None:
    small = having(mine, PROVISIONER_LIMIT="1")
    ask(mine, "athens", "oslo", "paris", "rome", lima="acme")
    plans = opened(small).plan()
    assert isinstance(plans.failures["auto"], OverLimit)
    assert "asks for 4 slots, and all parents together have 2 free: 2 too few." in str(plans.failures["auto"])
    done = small.run("apply", "--yes", "--new-state")
    assert (4, ["Lima"], False) == (done.returncode, created(server), state_of(mine, "auto").exists())
    assert 4 == small.run("plan", "--out", "plan.json").returncode


def test_nothing_is_placed_while_one_state_cannot_be_read(mine: Project, server: SandboxProcess) -> None:
    project = opened(mine)
    assert 0 == project.apply(project.plan()).exit_code
    state_of(mine, "initech").write_text("{")
    ask(mine, "athens", "paris", "rome")
    plans = opened(mine).plan()
    assert {"acme", "globex"} == plans.parents.keys()
    assert isinstance(plans.failures["auto"], StateConflict)
    assert "The state of initech cannot be read, and may have athens." in str(plans.failures["auto"])
    assert 5 == opened(mine).apply(plans).exit_code
    assert ["Paris", "Rome"] == created(server)


def test_a_record_of_placements_is_created_only_if_allowed(mine: Project, server: SandboxProcess) -> None:
    for parent in THREE:
        ask(mine, **{f"old-{parent}": parent})
        assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    ask(mine, "paris")
    project = opened(mine)
    with pytest.raises(StateConflict, match="There is no record of earlier placements at"):
        project.apply(project.plan(), bounds=Bounds())
    assert 3 == len(server.accounts())
    assert 0 == project.apply(project.plan()).exit_code
    assert {"paris": "acme"} == remembered(mine)


def test_the_record_of_placements_moves_with_the_states_and_can_be_restored(mine: Project) -> None:
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    moved = having(mine, PROVISIONER_STATE=f"{mine.root}/elsewhere/{{parent}}.json")
    done = moved.run("state", "migrate", "--from", "state/{parent}.json")
    assert (0, True) == (done.returncode, "The state of auto has moved" in done.stderr), done.stderr
    project = opened(moved)
    assert 0 == project.plan().creates
    raw = project.pull_state(parents=["auto"])
    assert {"paris": "acme", "rome": "globex"} == codec.decode(raw, "it").placements
    assert "auto" == project.push_state(raw, "it", parents=["auto"]).parent


# ── Two runs at once ─────────────────────────────────────────────────────────


@pytest.fixture
def theirs(mine: Project) -> Path:
    """Return a manifest that places paris differently from the first one."""
    ask(mine, "paris")
    other = mine.folder / "other"
    other.mkdir()
    return ask(mine, "athens", "paris", file="../other/accounts")


def test_an_account_that_two_runs_place_differently_is_created_once(
    mine: Project, server: SandboxProcess, theirs: Path
) -> None:
    ours, others = opened(mine), opened(mine)
    plans, their_plans = ours.plan(), others.plan([theirs])
    assert ["acme", "globex"] == [
        plan.parent
        for each in (plans, their_plans)
        for plan in each.plans
        for change in plan.creates
        if change.name == "paris"
    ]

    def approve(_: Plans) -> bool:
        # While a person thinks about their run, ours is applied.
        assert 0 == ours.apply(plans).exit_code
        return True

    reports = others.apply(their_plans, approve=approve)
    assert 9 == reports.exit_code
    assert all(isinstance(each.failure, PlanStale) for each in reports.reports)
    assert "Another run has meanwhile placed accounts elsewhere: paris on acme." in str(reports.reports[0].failure)
    assert ["Paris"] == created(server)


class Early(LocalStore):
    """Runs a function before it is held for the first time."""

    def __init__(self, path: Path, before: list[Callable[[], object]]) -> None:
        super().__init__(path)
        self._before = before

    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> AbstractContextManager[None]:
        while self._before:
            self._before.pop()()
        return super().hold(holder, timeout=timeout, sleep=sleep)


def test_a_saved_placement_binds_other_runs_before_the_create(
    mine: Project, server: SandboxProcess, theirs: Path
) -> None:
    before: list[Callable[[], object]] = []

    def store(place: Place) -> LocalStore:
        made = open_store(place)
        assert isinstance(made, LocalStore)
        return Early(made.path, before) if made.path.name == "acme.json" else made

    def theirs_first() -> None:
        others = opened(mine)
        plans = others.plan([theirs])
        assert {"acme": ["paris"], "globex": ["athens"]} == {
            plan.parent: [each.name for each in plan.creates] for plan in plans.plans
        }
        assert 0 == others.apply(plans).exit_code

    ours = opened(mine, parts=Parts(store=store))
    plans = ours.plan()
    before.append(theirs_first)
    assert 9 == ours.apply(plans).exit_code
    assert ["Athens", "Paris"] == created(server)
    assert {"paris": "acme", "athens": "globex"} == remembered(mine)


class Anywhere(MemoryStore):
    """A state that many machines share; only the condition of a save keeps them apart."""

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name)
        self._chance = chance

    def load(self) -> tuple[bytes | None, str]:
        time.sleep(self._chance.random() / 250)
        return super().load()

    @contextmanager
    def hold(self, holder: Holder, *, timeout: float, sleep: Callable[[float], None]) -> Iterator[None]:
        del holder, timeout, sleep
        yield


@pytest.mark.parametrize("seed", range(8))
def test_racing_machines_with_other_manifests_and_limits_create_no_account_twice(
    mine: Project, server: SandboxProcess, seed: int
) -> None:
    states: dict[str, Anywhere] = {}
    lock, gate = threading.Lock(), threading.Barrier(3)

    def store(place: Place) -> Anywhere:
        with lock:
            return states.setdefault(place.address, Anywhere(place.address, random.Random(seed)))  # noqa: S311  # of a test

    def machine(number: int) -> None:
        chance = random.Random(10 * seed + number)  # noqa: S311  # of a test
        (mine.folder / str(number)).mkdir()
        path = ask(mine, *chance.sample(list("abcdef"), chance.randint(2, 5)), file=f"../{number}/accounts")
        home = Folders(mine.identity_path.parent, mine.root / f"machine-{number}")
        limited = having(mine, PROVISIONER_LIMIT=str(chance.choice((2, 3, 4, 20))))
        gate.wait(PATIENCE)
        for _ in range(2):
            project = opened(limited, folders=home, parts=Parts(store=store))
            with suppress(ProvisionerError):
                project.apply(project.plan([path]))

    with ThreadPoolExecutor(3) as machines:
        list(machines.map(machine, range(3)))
    assert created(server)
    assert len({*created(server)}) == len(created(server))


def test_removing_a_parent_from_the_settings_does_not_move_its_accounts(mine: Project, server: SandboxProcess) -> None:
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    settings = json.loads((mine.folder / "provisioner.yaml").read_text())
    del settings["parents"]["acme"]
    (mine.folder / "provisioner.yaml").write_text(json.dumps(settings))
    assert "paris on acme" in str(opened(mine).plan().failures["auto"])
    assert (5, ["Paris", "Rome"]) == (mine.run("apply", "--yes", "--new-state").returncode, created(server))
