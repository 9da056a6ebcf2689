"""The state machine: people edit the manifest, run commands at once on several machines, and look at Octopush."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from provisioner.errors import InternalError, ProvisionerError
from provisioner.model.state import Active, Pending
from tests.proof.model import commands
from tests.proof.model.baton import ENDLESS, Fate, Runner, Turn, race
from tests.proof.model.commands import COMMANDS, LIMIT, RESERVED, Site, Wanted
from tests.proof.model.world import LOST_ANSWERS, REFUSED_ANSWERS

Task = tuple[str, int, int, Fate]
"""A command, its machine, the account that it picks, and its fate."""
STATS: Counter[str] = Counter()
"""What was tried, over all examples of this process."""

_FEW = st.integers(0, 7)
_AT = st.integers(1, 120)
_KILL = {
    "kill": st.integers(1, 6) | _AT,
    "kill_at": st.sampled_from(["", "POST", "PATCH", "save", "create", "replace", "rescue", "clear", "report", "log"]),
}
_FAULTS = {
    "faults_from": st.integers(1, 4) | st.integers(1, 9),
    "faults": st.lists(st.sampled_from(["fails", "lost"]), min_size=1, max_size=9).map(tuple),
    "faults_at": st.sampled_from(["save", "", "create", "replace", "write"]),
}
_ANSWERS = {
    "answers": st.lists(st.sampled_from(["", *LOST_ANSWERS, *REFUSED_ANSWERS]), min_size=1, max_size=4).map(tuple)
}
_SIGNAL = {"interrupt": st.integers(1, 6) | _AT, "interrupt_at": st.sampled_from(["", "save", "report", "POST"])}
FATES = st.one_of(
    st.just(Fate()),
    st.builds(Fate, **_KILL),
    st.builds(Fate, **_ANSWERS),
    st.builds(Fate, **_FAULTS),
    st.builds(Fate, **_ANSWERS, **_KILL),
    st.builds(Fate, **_FAULTS, **_KILL, **_ANSWERS),
    st.builds(Fate, **_SIGNAL),
    st.builds(Fate, **_SIGNAL, **_ANSWERS),
)
_COMMANDS = st.one_of(st.just("apply"), st.just("mend"), st.sampled_from(sorted(COMMANDS)))
TASKS = st.tuples(_COMMANDS, _FEW, _FEW, FATES)
_WORDS = st.sampled_from(["load", "save", "create", "POST", "release"])
TURNS = st.one_of(
    st.lists(st.builds(Turn, st.integers(1, 90), jump=st.booleans()), max_size=5),
    st.lists(st.builds(Turn, st.integers(1, 5), _WORDS, st.booleans()), max_size=5),
    # Two that are both about to save for the first time.
    st.just([Turn(1, "create"), Turn(1, "create")]),
)


class Life(RuleBasedStateMachine):
    """One project over weeks; every rule of :class:`Reference` is checked after every step."""

    def __init__(self) -> None:
        super().__init__()
        self._persons = count(1)
        self._names = count(1)
        self._dropped: list[str] = []
        self.site: Site | None = None

    @property
    def here(self) -> Site:
        assert self.site is not None
        return self.site

    @initialize(remote=st.booleans(), patient=st.booleans(), accounts=st.integers(1, 3))
    def begin(self, remote: bool, patient: bool, accounts: int) -> None:  # noqa: FBT001
        STATS["examples"] += 1
        self.site = Site(remote, lock_timeout=5 if patient else 0)
        for _ in range(accounts):
            self.add()

    # ── What people do meanwhile ─────────────────────────────────────────────

    @rule(change=st.sampled_from(["add", "edit", "new_password", "rename", "drop", "want_again"]), pick=_FEW)
    def change_manifest(self, change: str, pick: int) -> None:
        if change == "add":
            self.add()
        elif change == "want_again":
            self.want_again(pick)
        elif self.here.wanted:
            name = list(self.here.wanted)[pick % len(self.here.wanted)]
            wanted = self.here.wanted[name]
            match change:
                case "edit":
                    wanted.last_name += "x"
                case "new_password":
                    wanted.password_version += 1
                case "rename":
                    del self.here.wanted[name]
                    wanted.previously = self.here.record_of(wanted.person)
                    self.here.wanted[self._name()] = wanted
                case _:
                    del self.here.wanted[name]
                    self._dropped.append(wanted.person)

    def add(self) -> None:
        if len(self.here.wanted) < LIMIT:
            self.here.wanted[self._name()] = Wanted(f"P{next(self._persons)}", "First")

    def want_again(self, pick: int) -> None:
        if self._dropped:
            person = self._dropped.pop(pick % len(self._dropped))
            self.here.wanted[self.here.record_of(person) or self._name()] = Wanted(person, "Again")

    def _name(self) -> str:
        return f"n{next(self._names)}"

    @rule(event=st.sampled_from(["wait", "make_by_hand", "delete_by_hand", "lose_machine"]), pick=_FEW)
    def meanwhile(self, event: str, pick: int) -> None:
        here, octopush = self.here, self.here.octopush
        match event:
            case "wait":
                here.clock.advance(660)
            case "make_by_hand":
                outside = [a for a in octopush.accounts.values() if a.by_hand and here.record_of(a.person) is None]
                if len(outside) < RESERVED and len(octopush.accounts) < LIMIT:
                    person = f"H{next(self._persons)}"
                    body = {"first_name": person, "last_name": "Hand", "password": f"by-{person}"}
                    octopush.create(body, by_hand=True)
            case "delete_by_hand":
                active = here.names(Active)
                account = here.account_of(here.holder(active[pick % len(active)])) if active else None
                if account is not None:
                    del octopush.accounts[account.login]
            case _ if here.remote:
                # What lay next to the state on that machine is lost, but not the log.
                here.homes[pick % 2] = here.root / f"home-{next(here.numbers)}-new"

    # ── Commands ─────────────────────────────────────────────────────────────

    @rule(task=TASKS)
    def run_one(self, task: Task) -> None:
        self._run([task], [])

    @rule(tasks=st.lists(TASKS, min_size=2, max_size=3), turns=TURNS)
    def run_at_once(self, tasks: list[Task], turns: list[Turn]) -> None:
        STATS["races"] += 1
        self._run(tasks, turns)

    def _run(self, tasks: Sequence[Task], turns: Sequence[Turn]) -> None:
        site = self.here
        if not site.wanted:
            self.add()
        site.write()
        before = site.names(Pending)
        runners = [_runner(site, *task) for task in tasks]
        site.running = runners
        race(runners, turns, lambda: site.clock.advance(660))
        for each in runners:
            self._look_at(each)
        if not any(each.killed or each.met_faults for each in runners) and (
            left := set(site.names(Pending)) - {*before}
        ):
            site.reference.broken.append(f"intents of {left} were left without a death")
        for account in site.octopush.accounts.values():
            # What a person has adopted is in the manifest from now on.
            name = site.record_of(account.person) if account.by_hand else None
            known = [*self._dropped, *(each.person for each in site.wanted.values())]
            if name is not None and account.person not in known:
                site.wanted[name] = Wanted(account.person, str(account.fields["last_name"]))
        site.reference.check()

    def _look_at(self, runner: Runner) -> None:
        STATS["commands"] += 1
        STATS["points"] += runner.points
        STATS["deaths"] += runner.killed
        STATS["creates sent"] += len(self.here.reference.senders.get(runner, ()))
        STATS["answers lost"] += sum(word in {f"POST {each}" for each in LOST_ANSWERS} for word in runner.trace)
        STATS["store faults"] += runner.met_faults
        broken, error, code = self.here.reference.broken, runner.error, None
        assert runner.points <= ENDLESS, f"{runner.name} does not end"
        if isinstance(error, ProvisionerError):
            self.here.said.append(f"{error.message} {error.hint}")
            code = int(error.exit_code)
        if (error is not None and not isinstance(error, ProvisionerError)) or isinstance(error, InternalError):
            broken.append(f"{runner.name} failed: {error!r} {error.__cause__!r}")
        if isinstance(runner.result, int):
            code = runner.result
        self.here.reference.check_run(runner, code, runner.planned)

    def teardown(self) -> None:
        if self.site is None:
            return
        try:
            if not self.site.reference.broken:
                self._end(self.site)
        finally:
            self.site.close()

    def _end(self, site: Site) -> None:
        site.write()
        commands.calm(site)
        site.reference.check()
        found = {each for each in site.octopush.secrets for text in site.texts() if each in text}
        assert not found, f"in clear: {found}"


def _runner(site: Site, command: str, machine: int, pick: int, fate: Fate) -> Runner:
    return Runner(command, lambda: COMMANDS[command](site, machine, pick), fate)
