"""The schedules: the tests start what each would start, with the same environment."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from provisioner import Shard
from provisioner.errors import ExitCode
from provisioner.state import codec
from provisioner.state.sealing import new_identity
from provisioner.state.stores.opening import Place, open_store
from provisioner.state.stores.remote import RemoteStore
from tests.conftest import SandboxProcess
from tests.ready.conftest import PARIS, ROME, SECRETS

Scheduler = Callable[[Path, dict[str, str]], tuple[list[str], dict[str, str]]]


@pytest.fixture
def place(tmp_path: Path, machine: dict[str, str], server: SandboxProcess) -> Path:
    """Return the root of a machine with a project in ``srv/provisioner``, and its secrets in ``etc/provisioner``."""
    project = tmp_path / "srv" / "provisioner"
    for folder in (project.parent, tmp_path / "etc" / "provisioner", tmp_path / "var/lib/provisioner/metrics"):
        folder.mkdir(parents=True)
    environ = machine | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "person")}
    for kind in ("cron", "systemd", "kubernetes"):
        subprocess.run(
            ["provisioner", "init", project, "--schedule", kind], env=environ, check=True, capture_output=True
        )
    for path in (project / "schedule").iterdir():
        # As each asks for: what placeholders may read.
        text = re.sub(r'(PLACEHOLDERS(?:=|\n +value: ))(?:"")?$', r"\1HOOK_*", path.read_text(), flags=re.MULTILINE)
        path.write_text(text)
    identity, recipient = new_identity()
    (tmp_path / "etc/provisioner/identity.txt").touch(mode=0o600)
    (tmp_path / "etc/provisioner/identity.txt").write_text(f"{identity.reveal()}\n")
    (project / "provisioner.yaml").write_text(f"recipients: [{recipient}]\napi_url: {server.url}\n")
    write_manifest(project, PARIS)
    lines = [f"{name}='{value}'\n" for name, value in SECRETS.items()]
    (tmp_path / "etc/provisioner/env").write_text("".join(lines))
    return tmp_path


def write_manifest(folder: Path, *accounts: str) -> None:
    (folder / "manifests" / "accounts.yaml").write_text("version: 1\naccounts:\n" + "".join(accounts))


def apply_first(folder: Path, environ: dict[str, str]) -> None:
    """Create the state by hand, as the head of each file says, then add one account to the manifest."""
    subprocess.run(
        ["provisioner", "apply", "--yes", "--new-state"],
        cwd=folder,
        env=environ | SECRETS,
        check=True,
        capture_output=True,
    )
    write_manifest(folder, PARIS, ROME)


def assert_reconciled(place: Path, state: Path, metrics: Path | None) -> None:
    accounts = codec.decode(state.read_bytes(), str(state)).accounts
    assert ["paris", "rome"] == sorted(accounts)
    if metrics is not None:
        assert_collected(metrics)
    assert (
        "2 accounts, 18 slots left. Nothing needs attention." in (place / "var/lib/provisioner/status.html").read_text()
    )
    texts = [
        path.read_text(errors="replace") for path in place.rglob("*") if path.is_file() and "etc" not in path.parts
    ]
    assert [] == [
        value for value in (SECRETS["OCTOPUSH_API_KEY"], SECRETS["HOOK_TOKEN"]) if any(value in text for text in texts)
    ]


def assert_collected(metrics: Path) -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.read_text())
        for sample in family.samples
    }
    assert 0 == samples["octopush_provisioner_last_run_exit_code",]
    assert 2 == samples["octopush_provisioner_accounts", "default", "active"]
    # Read by a collector that is another user.
    assert 0o644 == metrics.stat().st_mode & 0o777


def test_what_cron_starts(place: Path, machine: dict[str, str]) -> None:
    project = place / "srv/provisioner"
    crontab = (project / "schedule/provisioner.cron").read_text()
    settings = dict(re.findall(r'^([A-Z_]+)="?(.*?)"?$', crontab, re.MULTILINE))
    (command,) = re.findall(r"^(?:[\d*]+ +){5}(.+)$", crontab, re.MULTILINE)
    assert "%" not in command
    # There is no log of the system here.
    (place / "bin").mkdir()
    logger = place / "bin" / "logger"
    logger.write_text(f"#!/bin/sh\ncat > {place}/log\n")
    logger.chmod(0o755)
    environ = {name: f"{place}{value}" if value.startswith("/") else value for name, value in settings.items()}
    environ |= {"HOME": str(place), "PATH": f"{place}/bin:{machine['PATH']}"}
    apply_first(project, environ)
    done = subprocess.run([settings["SHELL"], "-c", command], env=environ, check=False, capture_output=True, text=True)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    events = [json.loads(line) for line in (place / "log").read_text().splitlines()]
    assert {"account", "request"} <= {each["event"] for each in events}
    assert_reconciled(place, project / "state/default.json", place / "var/lib/provisioner/metrics/provisioner.prom")


def systemd(place: Path, machine: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return what systemd starts, and the environment that it gives."""
    project = place / "srv/provisioner"
    lines = (project / "schedule/provisioner-reconcile.service").read_text()
    # What systemd puts for its specifiers.
    lines = (
        lines.replace("%S", f"{place}/var/lib")
        .replace("%d", f"{place}/etc/provisioner")
        .replace("/identity\n", "/identity.txt\n")
    )
    environ = dict(
        word.split("=", 1)
        for line in re.findall(r"^Environment=(.*)$", lines, re.MULTILINE)
        for word in shlex.split(line)
    )
    environ["PATH"] = machine["PATH"]
    (start,) = re.findall(r"^ExecStart=/usr/local/bin/(.*)$", lines, re.MULTILINE)
    return shlex.split(start), environ


def kubernetes(place: Path, machine: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return what the container starts, and the environment that it has."""
    path = place / "srv/provisioner/schedule/provisioner-reconcile.yaml"
    _, job = yaml.safe_load_all(path.read_text())
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    environ = {each["name"]: each["value"].replace("/var/lib", f"{place}/var/lib") for each in container["env"]}
    environ["PATH"] = machine["PATH"]
    return [word.replace("/var/lib", f"{place}/var/lib") for word in container["command"]], environ


def shard(place: Path, machine: dict[str, str], index: int) -> tuple[list[str], dict[str, str]]:
    """Return what the pod of an index starts, and the environment that it has; its state is in a file here."""
    path = place / "srv/provisioner/schedule/provisioner-shards.yaml"
    pod = yaml.safe_load(path.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environ = {each["name"]: each["value"] for each in container["env"]}
    # What a pod keeps for itself goes with it.
    environ |= dict.fromkeys(("XDG_STATE_HOME", "XDG_CONFIG_HOME"), f"{place}/pod-{index}")
    environ |= {"PROVISIONER_STATE": f"{place}/server/{{parent}}.json", "JOB_COMPLETION_INDEX": str(index)}
    environ["PATH"] = machine["PATH"]
    return container["command"], environ


def test_what_the_pods_of_an_indexed_job_start(place: Path, machine: dict[str, str]) -> None:
    path = place / "srv/provisioner/schedule/provisioner-shards.yaml"
    job = yaml.safe_load(path.read_text())["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    named = {each["name"]: each["value"] for each in container["env"]}
    assert (job["completions"], job["completions"]) == (int(named["SHARDS"]), job["parallelism"])
    assert ("Indexed", "Failed", 0) == (job["completionMode"], job["podReplacementPolicy"], job["backoffLimitPerIndex"])
    (rule,) = job["podFailurePolicy"]["rules"]
    told = {"containerName": container["name"], "operator": "In", "values": [int(ExitCode.OUTCOME_UNKNOWN)]}
    assert {"action": "FailIndex", "onExitCodes": told} == rule
    address = named["PROVISIONER_STATE"].replace("{parent}", "default")
    assert isinstance(open_store(Place(address, place, place, machine)), RemoteStore)
    # One of the shards, and one to which no parent falls.
    project = place / "srv/provisioner"
    (found,) = [index for index in range(job["completions"]) if "default" in Shard(index + 1, job["completions"])]
    for index, states in ((found - 1, []), (found, ["default.json"])):
        command, environ = shard(place, machine, index)
        if states:
            first = [command[0], command[1], command[2].replace("reconcile", "apply --yes --new-state")]
            subprocess.run(first, cwd=project, env=environ | SECRETS, check=True, capture_output=True)
            write_manifest(project, PARIS, ROME)
        done = subprocess.run(command, cwd=project, env=environ | SECRETS, check=False, capture_output=True, text=True)
        assert 0 == done.returncode, done.stderr
        assert states == [each.name for each in (place / "server").glob("*.json")]
        assert (not states) == ("there is nothing to do" in done.stderr)
    assert ["paris", "rome"] == sorted(codec.decode((place / "server/default.json").read_bytes(), "it").accounts)


@pytest.mark.parametrize("scheduler", [systemd, kubernetes])
@pytest.mark.parametrize("parent", ["report", "provisioner"])
def test_a_parents_name_cannot_collide_with_another_file(
    place: Path, machine: dict[str, str], scheduler: Scheduler, parent: str
) -> None:
    project = place / "srv/provisioner"
    with (project / "provisioner.yaml").open("a") as settings:
        settings.write(f"parents:\n  {parent}:\n")
        settings.write("    api_login: ${env:OCTOPUSH_API_LOGIN}\n    api_key: ${env:OCTOPUSH_API_KEY}\n")
    command, environ = scheduler(place, machine)
    for word in ("created", "unchanged"):
        (project / "manifests/accounts.yaml").write_text(f"version: 1\nparent: {parent}\naccounts:\n{PARIS}")
        done = subprocess.run(
            command if word == "unchanged" else ["provisioner", "apply", "--yes", "--new-state"],
            cwd=project, env=environ | SECRETS, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert 0 == done.returncode, done.stderr
    folder = place / "var/lib/provisioner"
    state = codec.decode((folder / f"state/{parent}.json").read_bytes(), "the state")
    assert (parent, ["paris"]) == (state.parent, list(state.accounts))
    (report,) = json.loads((folder / "report.json").read_text())["reports"]
    assert parent == report["parent"]


def test_what_systemd_starts(place: Path, machine: dict[str, str]) -> None:
    project = place / "srv/provisioner"
    command, environ = systemd(place, machine)
    apply_first(project, environ)
    done = subprocess.run(
        command,
        cwd=project,
        env=environ | SECRETS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    assert not (project / "state").exists()
    folder = place / "var/lib/provisioner"
    assert_reconciled(place, folder / "state/default.json", folder / "metrics/provisioner.prom")
    (report,) = json.loads((folder / "report.json").read_text())["reports"]
    assert {"paris": "unchanged", "rome": "created"} == {each["name"]: each["status"] for each in report["outcomes"]}


def test_what_kubernetes_starts(place: Path, machine: dict[str, str]) -> None:
    project = place / "srv/provisioner"
    command, environ = kubernetes(place, machine)
    # A ConfigMap is mounted as links into a folder of a date, itself behind a link.
    mounted = place / "project"
    (mounted / "manifests/..2026_01_01").mkdir(parents=True)
    (project / "manifests/accounts.yaml").rename(mounted / "manifests/..2026_01_01/accounts.yaml")
    (mounted / "manifests/..data").symlink_to("..2026_01_01")
    (mounted / "manifests/accounts.yaml").symlink_to("..data/accounts.yaml")
    (project / "provisioner.yaml").rename(mounted / "provisioner.yaml")
    apply_first(mounted, environ)
    done = subprocess.run(
        command,
        cwd=mounted,
        env=environ | SECRETS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    folder = place / "var/lib/provisioner"
    assert_reconciled(place, folder / "state/default.json", None)
