"""Parents on a real Dask cluster of several processes; one is killed while it creates an account."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

import provisioner
from provisioner.errors import ExitCode, PlanStale, Refused, SettingInvalid
from provisioner.model.report import Report
from provisioner.model.state import Pending
from provisioner.project import spreading, worker
from provisioner.project.reports import failed
from provisioner.state.stores.remote import RemoteStore
from tests.conftest import PATIENCE, NewProject, Project, SandboxProcess, StartSandbox
from tests.project.opened import opened
from tests.state.stores.remotes import GIT, git, new_remote

PARENTS: Final = ("acme", "globex", "initech")
SETTINGS: Final = """\
state: "git:origin/provisioner-state/{parent}.json"
parents:
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A scheduler and its workers, each a separate process in the project's folder."""

    address: str
    workers: tuple[subprocess.Popen[str], ...]


def started(module: str, *arguments: str, mine: Project) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=mine.folder, env=mine.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def server(sandbox: StartSandbox, request: pytest.FixtureRequest) -> SandboxProcess:
    accounts = [word for name in PARENTS for word in ("--parent-account", f"{name}@example.com:key-of-{name}")]
    return sandbox(*accounts, *getattr(request, "param", ("--latency", "1")))


@pytest.fixture
def mine(project: NewProject, server: SandboxProcess, tmp_path: Path) -> Project:
    """A project of three parents with two accounts each, whose states are in git."""
    made = project(server, ())
    git(made.folder, "init", "--quiet")
    git(made.folder, "remote", "add", "origin", str(new_remote(tmp_path / "remote.git")))
    settings, accounts, environ = SETTINGS, "version: 1\naccounts:\n", {**made.environ, **GIT}
    for name in PARENTS:
        settings += f'  {name}: {{api_login: "{name}@example.com", api_key: "${{env:{name.upper()}_KEY}}"}}\n'
        environ[f"{name.upper()}_KEY"] = f"key-of-{name}"
        for number in (1, 2):
            accounts += f"  - {{name: {name}-{number}, first_name: {name}-{number}, last_name: X, parent: {name}}}\n"
    (made.folder / "provisioner.yaml").write_text(settings)
    (made.folder / "manifests" / "accounts.yaml").write_text(accounts)
    return replace(made, environ=environ)


@pytest.fixture
def cluster(mine: Project) -> Iterator[Cluster]:
    with ExitStack() as running:

        def start(module: str, *arguments: str) -> subprocess.Popen[str]:
            process = running.enter_context(started(module, *arguments, mine=mine))
            running.callback(process.kill)
            return process

        scheduler = start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        output = ""
        while (found := re.search(r"Scheduler at: +tcp://(\S+)", output)) is None:
            assert scheduler.stderr is not None
            line = scheduler.stderr.readline()
            assert line, output
            output += line
        options = ("--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        workers = tuple(
            start("distributed.cli.dask_worker", f"tcp://{found.group(1)}", *options) for _ in range(len(PARENTS))
        )
        yield Cluster(f"dask://{found.group(1)}", workers)


def at_work(this: provisioner.Project) -> int | None:
    """Wait for a process that is creating an account of acme, and return it."""
    (parent,) = this.parents(["acme"])
    state = this.status(parents=["acme"])[0].state
    store = parent.store
    if state is None or not isinstance(state.accounts.get("acme-1"), Pending) or not isinstance(store, RemoteStore):
        return None
    lease = store.backend.lease()
    return None if lease is None else lease.holder.pid


def ready(cluster: Cluster) -> None:
    """Wait until all workers are there."""
    with worker.opened(cluster.address, None, {}) as reached:
        client = reached.executor._client  # type: ignore[attr-defined]  # noqa: SLF001  # it has no other way to wait
        client.wait_for_workers(len(PARENTS), timeout=PATIENCE)


def test_workers_apply_and_a_killed_worker_loses_no_account(
    cluster: Cluster, mine: Project, server: SandboxProcess
) -> None:
    ready(cluster)
    arguments = ("apply", "--yes", "--new-state", "--executor", cluster.address)
    this = opened(mine)
    with mine.start(*arguments) as process:
        # The worker that is creating an account of acme.
        while (pid := at_work(this)) is None:
            assert process.poll() is None, process.communicate()
        os.kill(pid, signal.SIGKILL)
        out, output = process.communicate(timeout=PATIENCE * 4)
    assert pid in {each.pid for each in cluster.workers}
    digest = re.search("Plan digest: ([0-9a-f]{64})", output)
    assert digest is not None
    assert {digest[1]} == {entry.author.plan for each in this.history() for entry in each.entries}
    states = {each.parent: each.state for each in this.status()}
    statuses = {
        name: record.status for state in states.values() if state is not None for name, record in state.accounts.items()
    }
    names = [each["first_name"] for each in server.accounts()]
    assert len(names) == len({*names}), names
    # Two parents are complete; the third has an unknown outcome.
    assert {"globex-1", "globex-2", "initech-1", "initech-2"} <= {
        name for name, status in statuses.items() if status == "active"
    }, (out, output)
    assert "unknown        acme-1" in out, out
    for opened_one in this.open_credentials([name for name, status in statuses.items() if status == "active"]):
        assert opened_one.content.credentials is not None
        assert server.accepts(opened_one.content.credentials)
    assert all(name in out for name in (f"{parent}-{number}" for parent in PARENTS for number in (1, 2))), out
    assert ExitCode.OUTCOME_UNKNOWN == process.returncode, (out, output)
    # The next run creates nothing twice, and the unknown outcome waits for a person.
    again = mine.run("apply", "--yes", "--lock-timeout", "0")
    assert ExitCode.OUTCOME_UNKNOWN == again.returncode, again.stderr
    names = [each["first_name"] for each in server.accounts()]
    assert len(names) == len({*names}), names


def test_a_missing_cluster_is_named_in_the_error(mine: Project) -> None:
    for address, says in (
        ("dask://127.0.0.1:9", "The cluster at dask://127.0.0.1:9 cannot be reached"),
        ("tcp://h:1", "is not the address of a cluster"),
    ):
        with pytest.raises(SettingInvalid, match=says), worker.opened(address, None, {}):
            pass
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from provisioner.project import worker\n"
        "try: worker.opened('dask://h:1', None, {}).__enter__()\n"
        "except Exception as error: print(error.message, error.hint)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], env=mine.environ, capture_output=True, text=True, check=True
    ).stdout
    assert output.startswith("Support for clusters is not installed")
    assert output.endswith("Install it: pip install 'octopush-provisioner[dask]'.\n")


def test_a_cluster_refuses_a_state_in_a_file(mine: Project, server: SandboxProcess) -> None:
    path = str(mine.folder / "state" / "{parent}.json")
    this = opened(mine, environ={**mine.environ, "PROVISIONER_STATE": path})
    with ThreadPoolExecutor() as threads:
        here = spreading.Cluster(threads, worker.carried_out, None, {})
        with pytest.raises(Refused, match="which the workers of a cluster cannot reach"):
            this.apply(this.plan(), cluster=here)
    assert [] == server.accounts()


def test_a_late_worker_does_not_claim_accounts_that_another_created(mine: Project, server: SandboxProcess) -> None:
    this, others = opened(mine), opened(mine)
    plans = this.plan(parents=["acme"])

    def late(task: spreading.Task) -> spreading.Done:
        others.apply(others.plan(parents=[task.parent]))
        return failed(task.parent, PlanStale("The plan is stale.", hint="Plan again.")), False, None

    with ThreadPoolExecutor(1) as threads:
        reports = this.apply(plans, cluster=spreading.Cluster(threads, late, None, {}))
    assert 2 == len(server.accounts())
    assert {("created", "by a worker that was lost, or by another run")} == {
        (each.result.value, each.reason) for report in reports.reports for each in report.outcomes
    }


@pytest.mark.parametrize("server", [("--fault", "lost@2-:edit")], indirect=True)
def test_an_edit_of_a_lost_worker_is_not_reported_as_not_attempted(mine: Project, server: SandboxProcess) -> None:
    del server
    this, others = opened(mine), opened(mine, environ={**mine.environ, "PROVISIONER_ATTEMPTS": "1"})
    this.apply(this.plan(parents=["acme"]))
    manifest = mine.folder / "manifests" / "accounts.yaml"
    text = manifest.read_text().replace("last_name: X, parent: acme", "last_name: Y, parent: acme")
    manifest.write_text(text.replace("{name: acme-1,", "{name: acme-one, previously: acme-1,"))

    def lost(task: spreading.Task) -> spreading.Done:
        others.apply(others.plan(parents=[task.parent]))
        raise ChildProcessError

    with ThreadPoolExecutor(1) as threads:
        (report,) = this.apply(this.plan(parents=["acme"]), cluster=spreading.Cluster(threads, lost, None, {})).reports
    assert [
        ("acme-2", "updated", "by a worker that was lost, or by another run"),
        ("acme-one", "failed", "the worker that sent it was lost; the next apply finishes it"),
    ] == [(each.name, each.result.value, each.reason) for each in report.outcomes]


def test_a_run_that_waits_for_a_worker_can_be_interrupted(mine: Project, server: SandboxProcess) -> None:
    this, token = opened(mine), provisioner.CancelToken()
    plans = this.plan(parents=["acme"])

    class Queue(ThreadPoolExecutor):
        """Accepts tasks without a worker; a waiting run polls it."""

        def submit(self, *_: object, **__: object) -> Future[Any]:
            token.cancel()
            return Future()

    with Queue() as queue:
        reports = this.apply(plans, cancel=token, cluster=spreading.Cluster(queue, worker.carried_out, None, {}))
    assert ExitCode.INTERRUPTED is reports.exit_code
    assert {"acme-1", "acme-2"} == {each.name for report in reports.reports for each in report.outcomes}
    assert [] == server.accounts()


def test_a_task_contains_no_secret(mine: Project) -> None:
    tasks: list[spreading.Task] = []

    def record(task: spreading.Task) -> spreading.Done:
        tasks.append(task)
        return Report(task.parent, ()), False, None

    this = opened(mine)
    with ThreadPoolExecutor() as threads:
        this.apply(this.plan(), cluster=spreading.Cluster(threads, record, None, {}))
    assert [*PARENTS] == sorted(task.parent for task in tasks)
    secrets = [text for name, text in mine.environ.items() if name.endswith("_KEY")]
    assert [] == [secret for secret in secrets for task in tasks if secret.encode() in pickle.dumps(task)]
