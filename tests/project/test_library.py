"""The Python API as a program uses it: typed values in and out, no output, no effect on the process."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import provisioner
from provisioner import Bounds, CancelToken
from provisioner.errors import (
    CommandInvalid,
    ExitCode,
    InterruptedRunError,
    ManifestInvalid,
    OverThreshold,
    PlanStale,
    SettingInvalid,
    StateConflict,
    StateForeign,
)
from provisioner.model.plan import Create
from provisioner.model.report import Outcome
from provisioner.project import running
from provisioner.project.plans import Plans
from provisioner.project.reporter import Requested
from provisioner.render import report
from provisioner.state.holder import Holder
from provisioner.state.stores.local import LocalStore
from tests import forks
from tests.conftest import PATIENCE, NewProject, Project, SandboxProcess, StartSandbox, assert_kept, eventually
from tests.project.opened import Heard, accounts_of, having, many, opened, results

TWO = ("paris", "rome")
OTHER = Holder(1, "elsewhere", "bob", "2026-01-01T00:00:00Z")


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox()


@pytest.fixture
def mine(server: SandboxProcess, project: NewProject) -> Project:
    return project(server, TWO)


# ── Plan and apply ───────────────────────────────────────────────────────────


def test_a_plan_is_a_value_and_an_apply_gives_reports(mine: Project, server: SandboxProcess) -> None:
    this = opened(mine)
    plans = this.plan()
    assert (2, 0) == (plans.creates, plans.updates)
    assert list(TWO) == [change.name for plan in plans.plans for change in plan.changes if isinstance(change, Create)]
    asked: list[int] = []
    reports = this.apply(plans, approve=lambda these: asked.append(these.creates) is None)
    assert ([2], {"default": {"paris": "created", "rome": "created"}}) == (asked, results(reports))
    assert ExitCode.DONE is reports.exit_code
    for name in TWO:
        assert_kept(server, mine, name)
    assert {"default": {"paris": "unchanged", "rome": "unchanged"}} == results(this.apply(this.plan()))


def test_a_project_is_opened_by_its_folder_its_file_or_where_one_is(mine: Project) -> None:
    file = mine.folder / "provisioner.yaml"
    file.write_text("limit: 7\n")
    for path in (mine.folder, str(mine.folder), file):
        found = provisioner.Project.open(path, environ=mine.environ)
        assert 7 == found.settings.parent("default").limit
        assert mine.state_path == found.parents()[0].store.path  # type: ignore[attr-defined]  # a local one
    assert 3 == opened(mine, flags={"limit": 3}).settings.parent("default").limit
    other = mine.root / "other.yaml"
    other.write_text("limit: 9\n")
    named = {**mine.environ, "PROVISIONER_CONFIG": str(other)}
    # A folder from the caller overrides the environment.
    assert 7 == provisioner.Project.open(mine.folder, environ=named).settings.parent("default").limit
    assert 9 == provisioner.Project.open(environ=named, folder=mine.folder).settings.parent("default").limit


def test_a_declined_apply_does_nothing(mine: Project, server: SandboxProcess) -> None:
    this = opened(mine)
    with pytest.raises(InterruptedRunError):
        this.apply(this.plan(), approve=lambda _: False)
    assert [] == server.requests()
    assert not mine.state_path.parent.exists()


def test_no_lock_is_held_while_a_person_thinks(mine: Project) -> None:
    this = opened(mine)

    def think(_: Plans) -> bool:
        with LocalStore(mine.state_path).hold(OTHER, timeout=0, sleep=lambda _: None):
            return True

    assert 0 == this.apply(this.plan(), approve=think).exit_code


def test_a_state_that_changes_meanwhile_is_refused_if_the_plan_differs(mine: Project, server: SandboxProcess) -> None:
    this = opened(mine)

    def somebody_else(_: Plans) -> bool:
        assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
        return True

    reports = this.apply(this.plan(), approve=somebody_else)
    assert ExitCode.PLAN_STALE is reports.exit_code
    assert isinstance(reports.reports[0].failure, PlanStale)
    assert "the plan now differs for paris, rome" in reports.reports[0].failure.message
    assert 2 == len(server.accounts())
    with pytest.raises(PlanStale):
        reports.require_any()


def test_a_state_that_changes_meanwhile_is_accepted_if_the_plan_is_the_same(
    mine: Project, server: SandboxProcess
) -> None:
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    manifest = mine.folder / "manifests" / "accounts.yaml"
    manifest.write_text(manifest.read_text() + "  - {name: oslo, first_name: oslo}\n")
    this = opened(mine)

    def rekey(_: Plans) -> bool:
        return bool(opened(mine).rekey()[0].exit_code is ExitCode.DONE)

    reports = this.apply(this.plan(), approve=rekey)
    assert {"oslo": "created", "paris": "unchanged", "rome": "unchanged"} == results(reports)["default"]
    assert 3 == len(server.accounts())


def test_bounds_count_over_all_parents(mine: Project, server: SandboxProcess) -> None:
    this = opened(mine)
    with pytest.raises(OverThreshold):
        this.apply(this.plan(), bounds=Bounds(max_creates=1))
    with pytest.raises(StateConflict, match="There is no state"):
        this.apply(this.plan(), bounds=Bounds())
    assert [] == server.requests()
    assert 0 == this.apply(this.plan(), bounds=Bounds(max_creates=2, new_state=True)).exit_code


def test_only_what_the_changes_need_is_read(mine: Project) -> None:
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    known = ("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY", "PROVISIONER_RECIPIENTS")
    poor = opened(mine, environ={name: each for name, each in mine.environ.items() if name not in known})
    assert {"default": {"paris": "unchanged", "rome": "unchanged"}} == results(poor.apply(poor.plan()))
    elsewhere = opened(having(mine, OCTOPUSH_API_LOGIN="", OCTOPUSH_API_URL="https://api.example.com"))
    with pytest.raises(StateForeign, match="The accounts of this state live at"):
        elsewhere.apply(elsewhere.plan())
    manifest = mine.folder / "manifests" / "accounts.yaml"
    manifest.write_text(manifest.read_text() + "  - {name: oslo, first_name: oslo}\n")
    with pytest.raises(SettingInvalid):
        poor.apply(poor.plan())


def test_errors_are_those_of_the_tree(mine: Project) -> None:
    heard = Heard()
    (mine.folder / "manifests" / "bad.yaml").write_text("version: 1\naccounts: [{name: Oslo}]\n")
    with pytest.raises(ManifestInvalid):
        opened(mine).plan(reporter=heard)
    assert {str(mine.folder / "manifests" / "bad.yaml")} == {each.origin.file for each in heard.problems}
    (mine.folder / "manifests" / "bad.yaml").unlink()
    with pytest.raises(StateConflict, match="There is no state"):
        opened(mine).rotate_passwords(["atlantis"])
    opened(mine).apply(opened(mine).plan())
    with pytest.raises(CommandInvalid, match="The state has no account atlantis"):
        opened(mine).rotate_passwords(["atlantis"])


def test_every_other_operation(mine: Project, server: SandboxProcess) -> None:
    this = opened(mine)
    this.apply(this.plan())
    before = mine.opened("paris").password
    assert {"default": {"paris": "updated"}} == results(this.rotate_passwords(["paris"]))
    assert before != mine.opened("paris").password
    assert {"default": {"paris": "verified", "rome": "verified"}} == results(this.verify())
    assert {"default": {"paris": "unchanged", "rome": "unchanged"}} == results(this.refresh())
    assert {"default": {"paris": "updated", "rome": "updated"}} == results(this.rekey()[0])
    (found,) = this.open_credentials(["rome"])
    assert found.content.credentials is not None
    login = found.content.credentials.api_login
    (status,) = this.status(balances=True)
    assert status.balances is not None
    assert {"paris", "rome"} == status.balances.keys()
    reports, kept = this.forget("rome", force=True)
    assert {"default": {"rome": "forgotten"}} == results(reports)
    (recovered,) = this.recover(Path(kept).read_text(), kept, only="rome")
    assert ("rome",) == recovered.names
    this.forget("rome", force=True)
    adoption = this.adopt([("rome", login)])
    assert {"default": {"rome": "adopted"}} == results(adoption.reports)
    assert ("rome",) == adoption.without_password
    assert 2 == len({each["api_login"] for each in server.accounts()})
    assert (2, True) == (len(this.validate().manifests[0].accounts), this.has_identity)


def test_an_unknown_outcome_is_resolved(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "lost@1"), ("paris",))
    this = opened(mine)
    assert ExitCode.OUTCOME_UNKNOWN is this.apply(this.plan()).exit_code
    with pytest.raises(InterruptedRunError):
        this.resolve("paris", abandon=True, confirm=lambda _, __: False)
    assert {"paris": "unknown"} == mine.statuses()
    this.resolve("paris", abandon=False)
    assert {} == mine.statuses()


def test_a_decision_is_refused_if_the_account_has_changed_since(sandbox: StartSandbox, project: NewProject) -> None:
    mine = project(sandbox("--fault", "lost@1"), ("paris",))
    this = opened(mine)
    this.apply(this.plan())

    def meanwhile(_: object, __: object) -> bool:
        opened(mine).resolve("paris", abandon=True)
        return True

    with pytest.raises(StateConflict, match="Since you were asked, another run has changed paris"):
        this.resolve("paris", abandon=False, confirm=meanwhile)
    assert {"paris": "abandoned"} == mine.statuses()


# ── The process ──────────────────────────────────────────────────────────────


def test_the_library_does_not_touch_the_process(mine: Project, capfd: pytest.CaptureFixture[str]) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGPIPE)
    before = ([signal.getsignal(each) for each in numbers], gc.isenabled(), sys.stderr, sys.stdout, os.getcwd())  # noqa: PTH109
    this = opened(mine)
    this.apply(this.plan(), jobs=4)
    this.refresh()
    this.verify()
    this.rekey()
    assert before == (
        [signal.getsignal(each) for each in numbers], gc.isenabled(), sys.stderr, sys.stdout, os.getcwd(),  # noqa: PTH109
    )  # fmt: skip
    assert ("", "") == capfd.readouterr()


def test_only_the_given_environment_is_read(mine: Project, server: SandboxProcess) -> None:
    code = (
        "import json, sys, provisioner\n"
        "from pathlib import Path\n"
        "environ, folder, home = json.loads(sys.argv[1]), sys.argv[2], provisioner.Folders(*map(Path, sys.argv[3:5]))\n"
        "this = provisioner.Project.open(folder, environ=environ, folders=home)\n"
        "begins = provisioner.Bounds(new_state=True)\n"
        "print(int(this.apply(this.plan(), bounds=begins).exit_code), int(this.verify().exit_code))"
    )
    command = f"echo $WHERE >/dev/null; cat {mine.identity_path}"
    given = {**mine.environ, "PROVISIONER_IDENTITY_COMMAND": command}
    wrong = {
        "OCTOPUSH_API_LOGIN": "wrong@example.com", "OCTOPUSH_API_KEY": "wrong", "OCTOPUSH_API_URL": "http://127.0.0.1:1",
        "PROVISIONER_LIMIT": "0", "PROVISIONER_RECIPIENTS": "wrong", "PROVISIONER_IDENTITY": "wrong",
        "PROVISIONER_STATE": "/nowhere/{parent}", "PROVISIONER_CONFIG": "/nowhere.yaml", "HOOK_TOKEN": "wrong",
        "HTTP_PROXY": "http://127.0.0.1:1", "LOGNAME": "wrong", "HOME": "/nowhere",
    }  # fmt: skip
    home = [str(mine.root / "home" / each) for each in ("config", "state")]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(given), str(mine.folder), *home],
        env={"PATH": os.environ["PATH"], **wrong}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ("0 0\n", "") == (done.stdout, done.stderr)
    assert 2 == len(server.accounts())
    assert "wrong" not in mine.state_path.read_text()


def test_several_projects_in_one_process_and_from_threads(sandbox: StartSandbox, tmp_path: Path) -> None:
    server = sandbox(*accounts_of("a", "b", "c", "d"))
    mine = many(server, tmp_path / "four", {parent: ["paris", "rome"] for parent in "abcd"})
    shared, codes = opened(mine), []

    def work(parent: str, this: provisioner.Project) -> None:
        codes.append(int(this.apply(this.plan(parents=[parent])).exit_code))
        codes.append(int(this.verify(parents=[parent]).exit_code))

    chosen = {"a": shared, "b": shared, "c": opened(mine), "d": opened(mine)}
    threads = [threading.Thread(target=work, args=each) for each in chosen.items()]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [0] * 8 == codes
    assert 8 == len(server.accounts())
    assert 0 == shared.apply(shared.plan()).exit_code


# ── Ending early, and reporters that fail ────────────────────────────────────


def test_a_token_cancels_an_apply_between_two_requests(mine: Project, server: SandboxProcess) -> None:
    token, this = CancelToken(), opened(mine)

    class Cancelling(Heard):
        def finished(self, parent: str, outcome: Outcome) -> None:
            token.cancel()
            super().finished(parent, outcome)

    reports = this.apply(this.plan(), cancel=token, reporter=Cancelling())
    assert ExitCode.INTERRUPTED is reports.exit_code
    assert {"paris": "created", "rome": "not_attempted"} == results(reports)["default"]
    assert_kept(server, mine, "paris")
    assert 1 == len(server.accounts())
    # The intent of rome, which was saved with the outcome of paris, is taken back.
    assert {"paris": "active"} == mine.statuses()


def test_a_report_says_that_a_state_is_new_only_if_it_was_created(mine: Project, server: SandboxProcess) -> None:
    this, token = opened(mine), CancelToken()
    token.cancel()
    (untouched,) = this.apply(this.plan(), cancel=token).reports
    (done,) = this.apply(this.plan()).reports
    places = [report.text(each)[3].text.rpartition(", ")[2] for each in (untouched, done)]
    assert ["not begun by this run", "begun by this run"] == places
    assert 2 == len(server.accounts())


class Failing(Heard):
    """Fails on every request of one parent."""

    def requested(self, request: Requested) -> None:
        if request.parent == "b":
            raise ValueError("secret-4f5e")


def test_a_failing_reporter_loses_no_answer_and_ends_only_its_parent(sandbox: StartSandbox, tmp_path: Path) -> None:
    server = sandbox(*accounts_of("a", "b"))
    mine = many(server, tmp_path / "two", {"a": ["paris"], "b": ["paris", "rome"]})
    reports = opened(mine).apply(opened(mine).plan(), reporter=Failing())
    assert {"a": {"paris": "created"}, "b": {}} == results(reports)
    failure = reports.reports[1].failure
    assert failure is not None
    assert ("InternalError", False) == (type(failure).__name__, "secret-4f5e" in f"{failure.message}{failure.hint}")
    # The answer was saved before the reporter's failure ended the parent.
    assert 2 == len(server.accounts())
    assert {"paris"} == {each.name for each in opened(mine).open_credentials(parents=["b"])}
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code


class Deaf(Heard):
    """Fails on every outcome of one parent, and at the end."""

    def finished(self, parent: str, outcome: Outcome) -> None:
        if parent == "b":
            raise ValueError(outcome.name)

    def phase(self, name: str, seconds: float) -> None:
        raise ValueError(name, seconds)


def test_a_reporter_that_fails_on_outcomes_loses_no_report(sandbox: StartSandbox, tmp_path: Path) -> None:
    server = sandbox(*accounts_of("a", "b", "c"))
    mine = having(many(server, tmp_path / "three", {key: ["paris"] for key in ("a", "b", "c")}), B_KEY="")
    this = opened(mine)
    reports = this.apply(this.plan(), reporter=Deaf())
    assert {"a": {"paris": "created"}, "b": {}, "c": {"paris": "created"}} == results(reports)
    assert "InternalError" == type(reports.reports[1].failure).__name__


@pytest.mark.parametrize("jobs", [1, 8])
def test_ctrl_c_waits_for_the_request_in_flight_and_saves_its_answer(
    sandbox: StartSandbox, project: NewProject, jobs: int
) -> None:
    server = sandbox("--fault", "delay=1@1:create")
    mine = project(server, TWO)
    this = opened(mine)

    def interrupt() -> None:
        eventually(lambda: bool(server.requests()))
        os.kill(os.getpid(), signal.SIGINT)

    with forks.interruptible():
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            this.apply(this.plan(), jobs=jobs)
    assert 1 == len(server.accounts())
    assert_kept(server, mine, "paris")
    assert {"default": {"paris": "unchanged", "rome": "created"}} == results(this.apply(this.plan()))


def test_an_exception_waits_for_the_items_in_progress() -> None:
    begun, done = threading.Event(), threading.Event()

    def work(item: str) -> None:
        if item == "first":
            begun.wait(PATIENCE)
            raise KeyboardInterrupt
        begun.set()
        token.sleep(PATIENCE)
        done.set()

    token = CancelToken()
    with ThreadPoolExecutor(2) as threads:
        with pytest.raises(KeyboardInterrupt):
            running.each(["first", "second"], work, threads, token)
        assert done.is_set()


def test_the_next_run_binds_an_unbound_state(mine: Project, server: SandboxProcess) -> None:
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    document = json.loads(mine.state_path.read_text())
    mine.state_path.write_text(json.dumps({**document, "parent_check": None}))
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    add_one = mine.folder / "manifests" / "one.yaml"
    add_one.write_text("version: 1\naccounts:\n  - {name: oslo, first_name: Harriet, last_name: Backer}\n")
    assert 0 == opened(mine).apply(opened(mine).plan()).exit_code
    assert json.loads(mine.state_path.read_text())["parent_check"] is not None
    stranger = having(mine, OCTOPUSH_API_LOGIN="somebody@example.com")
    with pytest.raises(StateForeign):
        opened(stranger).apply(opened(stranger).plan())
    assert 3 == len(server.accounts())


def test_the_output_of_an_identity_command_is_reported(mine: Project) -> None:
    this = opened(mine)
    this.apply(this.plan())
    messages: list[str] = []

    class Listening(Heard):
        def identity_said(self, text: str) -> None:
            messages.append(text)

    command = f"echo touch your key >&2; cat {mine.identity_path}"
    assert 0 == opened(having(mine, PROVISIONER_IDENTITY_COMMAND=command)).verify(reporter=Listening()).exit_code
    assert ["touch your key"] == messages


def test_zero_jobs_and_a_zero_rate_are_refused(mine: Project) -> None:
    this = opened(mine)
    with pytest.raises(CommandInvalid, match="0 is not a valid number of jobs"):
        this.plan(jobs=0)
    for rate in (0, -1.0, float("nan")):
        with pytest.raises(CommandInvalid, match="requests per second is not possible"):
            this.apply(this.plan(), rate=rate)
