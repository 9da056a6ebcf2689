"""Many parents in parallel: each is independent of the others."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from provisioner import CancelToken, Shard, schemas
from provisioner.errors import CommandInvalid, ExitCode
from provisioner.octopush.client import Exchange
from provisioner.octopush.transport import Failure, Reply, Request, Transport
from provisioner.project.parts import Parts
from provisioner.project.recovering import Accepted
from provisioner.settings import Settings
from provisioner.state.holder import Holder
from provisioner.state.stores.local import LocalStore
from tests import forks
from tests.cli.steps import metrics
from tests.conftest import Project, SandboxProcess, StartSandbox, assert_no_secret
from tests.project.opened import Heard, accounts_of, having, many, opened, results, state_of

GOOD = tuple(f"good-{number:02}" for number in range(16))
BAD = ("damaged", "doubt", "locked", "refused")
THREE = ("acme", "globex", "initech")
OTHER = Holder(1, "elsewhere", "bob", "2026-01-01T00:00:00Z")


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox(*accounts_of(*THREE))


@pytest.fixture
def three(server: SandboxProcess, tmp_path: Path) -> Project:
    return many(server, tmp_path / "three", {"acme": ["paris", "rome"], "globex": ["oslo"], "initech": ["paris"]})


# ── Failures of single parents ───────────────────────────────────────────────


@pytest.fixture
def troubled(sandbox: StartSandbox, tmp_path: Path) -> Iterator[tuple[SandboxProcess, Project]]:
    """Twenty parents: 16 good ones, one with a wrong key, one locked, one damaged, one whose answer is lost."""
    server = sandbox(*accounts_of(*BAD, *GOOD), "--fault", "lost@1")
    mine = many(server, tmp_path / "twenty", {parent: ["paris", "rome"] for parent in (*BAD, *GOOD)})
    # The answer to the first create is lost.
    assert 8 == opened(mine).apply(opened(mine).plan(parents=["doubt"])).exit_code
    state_of(mine, "damaged").parent.mkdir(exist_ok=True)
    state_of(mine, "damaged").write_text('{"version": 1')
    with LocalStore(state_of(mine, "locked")).hold(OTHER, timeout=0, sleep=lambda _: None):
        yield server, having(mine, REFUSED_KEY="not-the-key-5c1d")


SAID = {
    "damaged": "is not a JSON document",
    "doubt": "Look in Octopush's dashboard",
    "locked": "The state is held by process 1 of bob on elsewhere",
    "refused": "Check REFUSED_LOGIN and REFUSED_KEY",
}


@pytest.mark.parametrize("jobs", ["1", "8"])
def test_good_parents_are_applied_and_each_bad_one_says_why(
    troubled: tuple[SandboxProcess, Project], jobs: str
) -> None:
    server, mine = troubled
    done = mine.run("apply", "--yes", "--jobs", jobs)
    assert 8 == done.returncode
    parts = dict(
        zip(sorted((*BAD, *GOOD)), re.split(r"^(?=[a-z0-9-]+:$)", done.stdout, flags=re.MULTILINE)[1:], strict=True)
    )
    for parent in GOOD:
        place = re.search(
            r"^  address  http.*\n  login    .*\n  key .*\n  state    state/(.*)\.json, begun by this run\n",
            parts[parent],
            re.MULTILINE,
        )
        assert place is not None
        assert parent == place.group(1)
        parts[parent] = parts[parent].replace(place.group(), "")
        assert f"{parent}:\n  created        paris\n  created        rome\nDone: 2 created.\n" == parts[parent]
    for parent, words in SAID.items():
        assert words in parts[parent]
    assert 2 * len(GOOD) + 2 == len(server.accounts())
    assert_no_secret_of(server, mine, done.stdout, done.stderr)


def test_json_documents_contain_the_same(troubled: tuple[SandboxProcess, Project]) -> None:
    _, mine = troubled
    done = mine.run("apply", "--yes", "--format", "json", "--log-format", "json", "--metrics-file", "run.prom")
    assert 8 == done.returncode
    found = metrics(mine.folder / "run.prom")
    codes = {"damaged": 5, "doubt": 8, "locked": 6, "refused": 10}
    assert {parent: found[f"parent_last_run_exit_code {parent}"] for parent in codes} == codes
    assert {0} == {found[f"parent_last_run_exit_code {parent}"] for parent in GOOD}
    # There is nothing in a state that nobody could read.
    assert {*GOOD, "doubt", "refused"} == {each.split()[-1] for each in found if each.startswith("slots limit")}
    document = json.loads(done.stdout)
    Draft202012Validator(schemas.load("report.v1")).validate(document)
    reports = {each["parent"]: each for each in document["reports"]}
    assert {"damaged": "StateInvalid", "locked": "StateLocked"} == {
        parent: each["error"]["name"] for parent, each in reports.items() if "error" in each
    }
    assert {"unknown", "created"} == {each["status"] for each in reports["doubt"]["outcomes"]}
    assert ["failed", "not_attempted"] == [each["status"] for each in reports["refused"]["outcomes"]]
    log = [json.loads(line) for line in done.stderr.splitlines()]
    assert {*GOOD, "doubt"} == {
        each["parent"] for each in log if each["event"] == "account" and each["status"] == "created"
    }
    assert all(each["parent"] for each in log if each["event"] in {"account", "plan", "request", "waiting"})
    ended = {each["parent"]: each for each in log if each["event"] in {"error", "stopped"}}
    assert {"damaged": "StateInvalid", "locked": "StateLocked"} == {
        parent: each["name"] for parent, each in ended.items() if each["event"] == "error"
    }
    assert "did not accept" in ended["refused"]["reason"]
    assert "REFUSED_KEY" in ended["refused"]["hint"]
    assert [] == [each for each in log if each["event"] == "message"]


def test_the_exit_code_is_the_gravest(troubled: tuple[SandboxProcess, Project]) -> None:
    _, mine = troubled
    project = opened(mine)
    for parents, code in (
        (["doubt", "damaged", "refused", "locked", "good-01"], ExitCode.OUTCOME_UNKNOWN),
        (["damaged", "refused", "locked", "good-02"], ExitCode.STATE_UNUSABLE),
        (["refused", "locked", "good-03"], ExitCode.SETTING_INVALID),
        (["locked", "good-04"], ExitCode.STATE_LOCKED),
        (["good-05", "good-06"], ExitCode.DONE),
    ):
        assert code is project.apply(project.plan(parents=parents)).exit_code


def assert_no_secret_of(server: SandboxProcess, mine: Project, *printed: str) -> None:
    keys = {value for name, value in mine.environ.items() if name.endswith("_KEY")}
    texts = [*printed, *(each.read_bytes().decode("latin-1") for each in mine.files())]
    assert not [key for key in keys for text in texts if key in text]
    assert_no_secret(server, mine, *printed)


class Counted(CancelToken):
    """Counts the seconds that are slept."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        super().sleep(seconds)


def test_a_run_waits_only_once_for_a_held_state(server: SandboxProcess, tmp_path: Path) -> None:
    mine = many(server, tmp_path / "one", {"acme": ["paris"]})
    project, token = opened(mine, flags={"lock_timeout": 1.0}), Counted()
    with LocalStore(state_of(mine, "acme")).hold(OTHER, timeout=0, sleep=lambda _: None):
        reports = project.apply(project.plan(wait=True, cancel=token), cancel=token)
    assert (6, "StateLocked") == (reports.exit_code, type(reports.reports[0].failure).__name__)
    assert 1 <= token.slept < 1.5


# ── In parallel ──────────────────────────────────────────────────────────────


class Meeting:
    """Sends requests only after those of three parents have arrived."""

    def __init__(self, settings: Settings) -> None:
        self._real = Transport(settings.timeout)
        self._barrier = threading.Barrier(3)

    def exchange(self, request: Request) -> Reply | Failure:
        self._barrier.wait(30)
        return self._real.exchange(request)


def meeting(settings: Settings) -> Exchange:
    return Meeting(settings)


@pytest.mark.parametrize("kind", ["number", "executor"])
def test_parents_are_worked_on_at_once(server: SandboxProcess, tmp_path: Path, kind: str) -> None:
    mine = many(server, tmp_path / "equal", {key: ["paris", "rome"] for key in THREE})
    project = opened(mine, parts=Parts(transport=meeting))
    with ThreadPoolExecutor(3) as threads:
        reports = project.apply(project.plan(), jobs=3 if kind == "number" else threads)
    assert {parent: {"paris": "created", "rome": "created"} for parent in THREE} == results(reports)


class Counting:
    """Sends requests, and records how many are in flight at once, over all parents and within one."""

    def __init__(self, settings: Settings) -> None:
        self._real = Transport(settings.timeout)
        self._lock = threading.Lock()
        self._busy: list[str] = []
        self.most_of_one = 0

    def exchange(self, request: Request) -> Reply | Failure:
        login = request.headers["api-login"]
        with self._lock:
            self._busy.append(login)
            self.most_of_one = max(self.most_of_one, self._busy.count(login))
        try:
            return self._real.exchange(request)
        finally:
            with self._lock:
                self._busy.remove(login)


def test_within_a_parent_there_is_one_request_at_a_time(server: SandboxProcess, tmp_path: Path) -> None:
    carriers: list[Counting] = []

    def counting(settings: Settings) -> Exchange:
        carriers.append(Counting(settings))
        return carriers[0]

    mine = many(server, tmp_path / "equal", {key: [f"a{number}" for number in range(6)] for key in THREE})
    project = opened(mine, parts=Parts(transport=counting))
    assert 0 == project.apply(project.plan(), jobs=3).exit_code
    assert [1] == [each.most_of_one for each in carriers]


class Clocked:
    """Sends requests, and records the start of each."""

    def __init__(self, settings: Settings) -> None:
        self._real = Transport(settings.timeout)
        self.starts: list[float] = []

    def exchange(self, request: Request) -> Reply | Failure:
        self.starts.append(time.monotonic())
        return self._real.exchange(request)


def test_a_rate_holds_over_all_parents_together(server: SandboxProcess, tmp_path: Path) -> None:
    carriers: list[Clocked] = []

    def clocked(settings: Settings) -> Exchange:
        carriers.append(Clocked(settings))
        return carriers[-1]

    mine = many(server, tmp_path / "equal", {key: ["paris", "rome"] for key in THREE})
    project = opened(mine, parts=Parts(transport=clocked))
    plans, before = project.plan(), time.monotonic()
    assert 0 == project.apply(plans, jobs=3, rate=15).exit_code
    # Of twelve requests, the first is sent at once; each may be half an interval early.
    assert 12 == len(carriers[-1].starts)
    assert carriers[-1].starts[-1] - before >= 10.5 / 15
    before = time.monotonic()
    assert 0 == project.refresh(jobs=3, rate=10).exit_code
    assert 12 + 6 == len(carriers[-1].starts)
    assert carriers[-1].starts[-1] - before >= 4.5 / 10


def test_a_password_manager_runs_once_for_all_parents(three: Project) -> None:
    assert 0 == opened(three).apply(opened(three).plan()).exit_code
    asked = three.root / "asked"
    command = f"echo asked >> {asked}; cat {three.identity_path}"
    mine = having(three, PROVISIONER_IDENTITY_COMMAND=command)
    assert 0 == mine.run("refresh").returncode
    assert "asked\n" == asked.read_text()
    project = opened(mine)
    assert 0 == project.apply(project.plan(refresh=True)).exit_code
    assert 0 == project.verify().exit_code
    assert "asked\nasked\n" == asked.read_text()


def test_a_parent_without_a_plan_is_in_every_format(three: Project) -> None:
    state_of(three, "globex").parent.mkdir()
    state_of(three, "globex").write_text('{"version": 1')
    for command, kind in (("plan", "plan.v1"), ("status", "status.v1")):
        done = three.run(command, "--format", "json")
        document = json.loads(done.stdout)
        Draft202012Validator(schemas.load(kind)).validate(document)
        assert [("globex", "StateInvalid")] == [
            (each["parent"], each["error"]["name"]) for each in document["failures"]
        ]
        assert (5, True) == (done.returncode, "globex" in done.stderr)
    shown = {output: three.run("plan", "--format", output).stdout for output in ("markdown", "html")}
    assert "\n> **Not planned**: no plan could be made for `globex`." in shown["markdown"]
    assert "<strong>Not planned</strong>: no plan could be made for <code>globex</code>." in shown["html"]
    whole = three.run("plan", "--format", "markdown", "--parent", "acme")
    assert (0, False) == (whole.returncode, "Not planned" in whole.stdout)


def test_an_error_names_the_variables_of_the_parent(three: Project) -> None:
    assert 0 == opened(three).apply(opened(three).plan()).exit_code
    mistaken = having(three, ACME_LOGIN=three.environ["GLOBEX_LOGIN"])
    done = mistaken.run("apply", "--yes", "--parent", "acme")
    assert 5 == done.returncode
    assert "The accounts of acme belong to another Octopush account than the one in ACME_LOGIN." in done.stderr


# ── Choosing parents ─────────────────────────────────────────────────────────


def test_the_only_parent_owns_accounts_that_name_none(server: SandboxProcess, tmp_path: Path) -> None:
    mine = many(server, tmp_path / "one", {"acme": ["paris"]})
    (mine.folder / "manifests" / "accounts.csv").write_text("name,first_name,last_name\nparis,A,B\n")
    project = opened(mine)
    assert {"acme": {"paris": "created"}} == results(project.apply(project.plan()))
    assert state_of(mine, "acme").exists()


def test_a_filter_selects_parents_and_moves_no_account(three: Project) -> None:
    project = opened(three)
    assert ("acme", "initech") == tuple(plan.parent for plan in project.plan(parents=["initech", "acme", "acme"]).plans)
    assert {"globex": {"oslo": "created"}} == results(project.apply(project.plan(parents=["globex"])))
    assert ["globex.json", "globex.json.history.jsonl", "globex.json.lock"] == sorted(
        each.name for each in state_of(three, "globex").parent.iterdir()
    )
    for command in ("plan", "refresh", "verify", "status", "rekey --yes", "credentials list", "recover", "validate"):
        done = three.run(*command.split(), "--parent", "globex")
        assert (command, 0) == (command, done.returncode)
        assert "acme" not in done.stdout + done.stderr
    nobody = three.run("plan", "--parent", "nobody")
    assert (10, True) == (nobody.returncode, "The settings have no parent nobody" in nobody.stderr)


def test_shards_share_the_parents_between_them(three: Project) -> None:
    project = opened(three)
    shards = [Shard(number, 3) for number in (1, 2, 3)]
    # Fixed forever: the same shard has the same parents on every machine.
    assert [[], ["globex"], ["acme", "initech"]] == [
        [parent.name for parent in project.parents(shard=shard)] for shard in shards
    ]
    assert ["acme"] == [parent.name for parent in project.parents(["acme", "globex"], shard=shards[2])]
    done = [results(project.apply(project.plan(shard=shard))) for shard in shards]
    assert [[], ["globex"], ["acme", "initech"]] == [list(each) for each in done]
    for command in ("plan", "reconcile", "refresh", "verify", "status"):
        some = three.run(command, "--shard", "3/3")
        assert (0, True, False) == (some.returncode, "acme" in some.stdout, "globex" in some.stdout + some.stderr)


def test_a_shard_without_parents_says_so_and_exits_with_0(three: Project, server: SandboxProcess) -> None:
    for command, kind in (
        ("plan --out plan.json", "plan.v1"),
        ("apply --yes", "report.v1"),
        ("apply --yes --plan plan.json", "report.v1"),
        ("refresh", "report.v1"),
        ("verify", "report.v1"),
        ("status", "status.v1"),
    ):
        shard = () if "--plan" in command else ("--shard", "1/3")
        done = three.run(*command.split(), *shard, "--format", "json")
        assert (command, 0) == (command, done.returncode), done.stderr
        assert not shard or "shard 1/3: there is nothing to do." in done.stderr
        document = json.loads(done.stdout)
        Draft202012Validator(schemas.load(kind)).validate(document)
        assert [] == document[{"plan.v1": "plans", "report.v1": "reports", "status.v1": "states"}[kind]]
    assert [] == server.accounts()


def test_a_saved_plan_of_a_shard_contains_only_its_parents(three: Project, server: SandboxProcess) -> None:
    assert 0 == three.run("plan", "--shard", "2/3", "--out", "plan.json").returncode
    assert 64 == three.run("apply", "--yes", "--plan", "plan.json", "--shard", "2/3").returncode
    done = three.run("apply", "--yes", "--new-state", "--plan", "plan.json")
    assert (0, 1) == (done.returncode, len(server.accounts())), done.stderr
    assert state_of(three, "globex").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "x", "1/0", "-1/3", "1/3/5", ""])
def test_an_invalid_shard_is_refused(text: str) -> None:
    with pytest.raises(CommandInvalid, match="shard"):
        Shard.parse(text)


def test_a_name_under_two_parents_needs_the_parent(three: Project) -> None:
    project = opened(three)
    assert 0 == project.apply(project.plan()).exit_code
    for command in ("credentials show paris", "resolve paris --not-created --yes", "exec paris -- env"):
        done = three.run(*command.split())
        assert (command, 64) == (command, done.returncode)
        assert "paris exists under several parents (acme, initech)." in done.stderr
    logins = {
        parent: project.open_credentials(["paris"], parents=[parent])[0].content.credentials
        for parent in ("acme", "initech")
    }
    assert len({each.api_login for each in logins.values() if each is not None}) == 2
    assert 0 == three.run("credentials", "show", "rome").returncode
    for output in ("env", "json", "csv"):
        done = three.run("credentials", "export", "--format", output)
        assert (64, True) == (
            done.returncode,
            "Several parents have an account named paris (acme, initech)" in done.stderr,
        )
    assert 0 == three.run("credentials", "export", "--format", "kubernetes").returncode
    assert 0 == three.run("credentials", "export", "--format", "json", "--parent", "acme").returncode
    with pytest.raises(CommandInvalid, match="No state has an account atlantis"):
        project.owner_of("atlantis")


def test_every_command_covers_all_parents(three: Project) -> None:
    project, heard = opened(three), Heard()
    assert 0 == project.apply(project.plan(), reporter=heard).exit_code
    everybody = [("acme", "paris"), ("acme", "rome"), ("globex", "oslo"), ("initech", "paris")]
    assert everybody == sorted((parent, name) for parent, name, _ in heard.outcomes)
    assert {parent for parent, _ in everybody} == {each.parent for each in heard.requests}
    assert everybody == [(each.content.parent, each.name) for each in project.open_credentials()]
    assert list(THREE) == [each.parent for each in project.status()]
    for reports in (project.refresh(), project.verify(), project.rekey()[0]):
        assert everybody == [(each.parent, outcome.name) for each in reports.reports for outcome in each.outcomes]
    listed = three.run("credentials", "list").stdout.splitlines()
    assert ["PARENT", "acme", "acme", "globex", "initech"] == [line.split()[0] for line in listed]


def test_accept_state_accepts_only_states_that_this_machine_refuses(three: Project) -> None:
    project = opened(three)
    assert 0 == project.apply(project.plan()).exit_code
    newest = state_of(three, "acme").read_bytes()
    state_of(three, "acme").unlink()
    asked: list[str] = []

    def approve(these: Sequence[Accepted]) -> bool:
        asked.extend(each.address for each in these)
        return True

    assert 5 == three.run("status").returncode
    opened(three).recover(accept_state=True, approve=approve)
    assert [str(state_of(three, "acme"))] == asked
    assert 0 == three.run("status").returncode
    state_of(three, "acme").write_bytes(newest)
    with pytest.raises(CommandInvalid, match="Every state is the one"):
        opened(three).recover(accept_state=True)


# ── Accounts that leave a manifest ───────────────────────────────────────────


def table(mine: Project) -> Path:
    return mine.folder / "manifests" / "accounts.csv"


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_account_that_moves_to_another_parent_is_shown_in_both_and_created_only_by_a_person(
    three: Project, server: SandboxProcess
) -> None:
    assert 0 == opened(three).apply(opened(three).plan()).exit_code
    before = len(server.accounts())
    # With the last name, which is the old parent's.
    rewrite(table(three), "rome,rome,acme,three,acme", "rome,rome,acme,three,globex")
    shown = three.run("plan")
    assert "  ! unmanaged  rome  exists but is in no manifest; it is not changed;" in shown.stdout
    assert " it cannot be moved: rome of globex has the same names\n" in shown.stdout
    assert "      rome of acme is in no manifest and has the same names. Octopush cannot move\n" in shown.stdout
    document = json.loads(three.run("plan", "--format", "json", "--out", "plan.json").stdout)
    Draft202012Validator(schemas.load("plan.v1")).validate(document)
    changes = {plan["parent"]: {each["name"]: each for each in plan["changes"]} for plan in document["plans"]}
    assert {"parent": "globex", "name": "rome"} == changes["acme"]["rome"]["moved_to"]
    assert {"parent": "acme", "name": "rome"} == changes["globex"]["rome"]["moved_from"]
    for form in ("markdown", "html"):
        page = three.run("plan", "--format", form).stdout
        assert ("it cannot be moved" in page, "Octopush cannot move" in page) == (True, True)
    for arguments in ("apply", "--yes"), ("reconcile",), ("apply", "--plan", "plan.json", "--yes"):
        done = three.run(*arguments)
        assert 4 == done.returncode
        assert "rome like rome of acme" in done.stdout
    assert before == len(server.accounts())
    asked = forks.at_terminal(("apply", "--yes"), three.folder, three.environ, "y\n")
    assert "rome of globex has the same names as rome of acme, which no manifest contains any more." in asked[1]
    assert (0, before + 1) == (asked[0], len(server.accounts()))
    assert "cannot be moved" not in three.run("plan").stdout


def test_accounts_of_a_parent_that_no_manifest_names_are_shown_and_nothing_else(
    three: Project, server: SandboxProcess
) -> None:
    assert 0 == opened(three).apply(opened(three).plan()).exit_code
    rewrite(table(three), "oslo,oslo,globex,three,globex\n", "")
    sent = len(server.requests())
    without = having(three, GLOBEX_KEY="")
    shown = without.run("plan", "--out", "plan.json")
    assert (0, True) == (shown.returncode, "globex: 1 of 20 slots used" in shown.stdout), shown.stderr
    assert "  ! unmanaged  oslo  exists but is in no manifest; it is not changed\n" in shown.stdout
    with LocalStore(state_of(three, "globex")).hold(OTHER, timeout=0, sleep=lambda _: None):
        for arguments in ("apply", "--yes"), ("apply", "--yes", "--plan", "plan.json"):
            done = without.run(*arguments)
            assert (0, False) == (done.returncode, "globex:" in done.stdout), done.stderr
        done = without.run("plan", "--refresh")
        assert (0, True) == (done.returncode, "unmanaged  oslo" in done.stdout), done.stderr
    # The refresh reads the three other accounts.
    assert sent + 3 == len(server.requests())
    assert 0 == three.run("plan", "--parent", "globex").returncode
    assert "oslo" not in three.run("plan", str(table(three))).stdout
    # Its state concerns nobody: that it cannot be read is only a warning.
    state_of(three, "globex").write_text("{")
    done = three.run("plan")
    assert (0, True) == (done.returncode, "warning: globex: no manifest has accounts of it" in done.stderr)
