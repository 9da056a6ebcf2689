"""The schedules: what each would start is started, with the environment that it would give."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from provisioner.state import codec
from provisioner.state.sealing import new_identity
from tests.conftest import SandboxProcess
from tests.ready.conftest import PARIS, ROME, SECRETS


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
    identity, recipient = new_identity()
    (tmp_path / "etc/provisioner/identity.txt").write_text(f"{identity.reveal()}\n")
    (project / "provisioner.yaml").write_text(f"recipients: [{recipient}]\napi_url: {server.url}\n")
    write_manifest(project, PARIS)
    lines = [f"{name}='{value}'\n" for name, value in SECRETS.items()]
    (tmp_path / "etc/provisioner/env").write_text("".join(lines))
    return tmp_path


def write_manifest(folder: Path, *accounts: str) -> None:
    (folder / "manifests" / "accounts.yaml").write_text("version: 1\naccounts:\n" + "".join(accounts))


def apply_first(folder: Path, environ: dict[str, str]) -> None:
    """Begin the state by hand, as the head of each file says, and want one account more from then on."""
    subprocess.run(
        ["provisioner", "apply", "--yes"], cwd=folder, env=environ | SECRETS, check=True, capture_output=True
    )
    write_manifest(folder, PARIS, ROME)


def assert_reconciled(place: Path, state: Path, metrics: Path) -> None:
    accounts = codec.decode(state.read_bytes(), str(state)).accounts
    assert ["paris", "rome"] == sorted(accounts)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.read_text())
        for sample in family.samples
    }
    assert 0 == samples["octopush_provisioner_last_run_exit_code",]
    assert 2 == samples["octopush_provisioner_accounts", "default", "active"]
    # Read by a collector that is another user.
    assert 0o644 == metrics.stat().st_mode & 0o777
    texts = [
        path.read_text(errors="replace") for path in place.rglob("*") if path.is_file() and "etc" not in path.parts
    ]
    assert [] == [
        value for value in (SECRETS["OCTOPUSH_API_KEY"], SECRETS["HOOK_TOKEN"]) if any(value in text for text in texts)
    ]


def test_what_cron_starts(place: Path, machine: dict[str, str]) -> None:
    project = place / "srv/provisioner"
    crontab = (project / "schedule/provisioner.cron").read_text()
    settings = dict(re.findall(r"^([A-Z_]+)=(.*)$", crontab, re.MULTILINE))
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
    events = [json.loads(line) for line in (place / "log").read_text().splitlines() if line.startswith("{")]
    assert {"account", "request"} <= {each["event"] for each in events}
    assert_reconciled(place, project / "state/default.json", place / "var/lib/provisioner/metrics/provisioner.prom")


def test_what_systemd_starts(place: Path, machine: dict[str, str]) -> None:
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
    apply_first(project, environ)
    (start,) = re.findall(r"^ExecStart=/usr/local/bin/(.*)$", lines, re.MULTILINE)
    done = subprocess.run(
        shlex.split(start),
        cwd=project,
        env=environ | SECRETS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    assert not (project / "state").exists()
    folder = place / "var/lib/provisioner"
    assert_reconciled(place, folder / "default.json", folder / "metrics/provisioner.prom")
    (report,) = json.loads((folder / "report.json").read_text())["reports"]
    assert {"paris": "unchanged", "rome": "created"} == {each["name"]: each["status"] for each in report["outcomes"]}


def test_what_kubernetes_starts(place: Path, machine: dict[str, str]) -> None:
    project = place / "srv/provisioner"
    _, job = yaml.safe_load_all((project / "schedule/provisioner-reconcile.yaml").read_text())
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    # A ConfigMap is mounted as links into a folder of a date, itself behind a link.
    mounted = place / "project"
    (mounted / "manifests/..2026_01_01").mkdir(parents=True)
    (project / "manifests/accounts.yaml").rename(mounted / "manifests/..2026_01_01/accounts.yaml")
    (mounted / "manifests/..data").symlink_to("..2026_01_01")
    (mounted / "manifests/accounts.yaml").symlink_to("..data/accounts.yaml")
    (project / "provisioner.yaml").rename(mounted / "provisioner.yaml")
    environ = {each["name"]: each["value"].replace("/var/lib", f"{place}/var/lib") for each in container["env"]}
    environ["PATH"] = machine["PATH"]
    apply_first(mounted, environ)
    here = [word.replace("/var/lib", f"{place}/var/lib") for word in container["command"]]
    done = subprocess.run(
        here,
        cwd=mounted,
        env=environ | SECRETS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stderr
    folder = place / "var/lib/provisioner"
    assert_reconciled(place, folder / "default.json", folder / "provisioner.prom")
