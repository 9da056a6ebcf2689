"""``init``: a project that works, its pipelines and schedules; nothing that exists is written over."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from provisioner.errors import ExitCode
from tests.cli.steps import run

KINDS = [
    ("--ci", "github", ".github/workflows/provisioner-apply.yml", "ci/requirements.txt"),
    ("--ci", "gitlab", ".gitlab/provisioner.gitlab-ci.yml", ".gitlab-ci.yml"),
    ("--schedule", "cron", "schedule/provisioner.cron", "monitoring/provisioner.rules.yml"),
    ("--schedule", "systemd", "schedule/provisioner-reconcile.service", "schedule/provisioner-reconcile.timer"),
    ("--schedule", "kubernetes", "schedule/provisioner-reconcile.yaml", "schedule/provisioner-shards.yaml"),
]


def test_init_writes_a_project_that_plans_and_never_over_a_file(tmp_path: Path) -> None:
    first = run(tmp_path, "init", "mine")
    assert (0, "") == (first.returncode, first.stdout)
    identity = tmp_path / "config" / "octopush-provisioner" / "identity.txt"
    assert 0o600 == stat.S_IMODE(identity.stat().st_mode)
    assert str(identity.relative_to(tmp_path)) not in {str(path) for path in (tmp_path / "mine").rglob("*")}
    assert 0 == run(tmp_path / "mine", "validate").returncode
    assert "2 planned" in run(tmp_path / "mine", "plan").stdout
    manifest = tmp_path / "mine" / "manifests" / "accounts.yaml"
    assert manifest.read_text().startswith("# yaml-language-server: $schema=../schemas/manifest.v1.schema.json\n")
    manifest.write_text("mine")
    key = identity.read_text()
    again = run(tmp_path, "init", "mine")
    assert (0, "mine", key) == (again.returncode, manifest.read_text(), identity.read_text())
    assert "kept" in again.stderr
    assert "*.lock" in (tmp_path / "mine" / ".gitignore").read_text()


def test_with_a_git_remote_init_proposes_a_state_on_a_branch_and_writes_it_for_a_pipeline(
    tmp_path: Path,
) -> None:
    for words in (("init", "--quiet"), ("remote", "add", "upstream", "nowhere")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    address = 'state: "git:upstream/provisioner-state/{parent}.json"'
    assert f"set `{address}` in provisioner.yaml" in run(tmp_path, "init", "one").stderr
    assert address not in (tmp_path / "one" / "provisioner.yaml").read_text()
    assert 0 == run(tmp_path, "init", "--ci", "github", "two").returncode
    assert address in (tmp_path / "two" / "provisioner.yaml").read_text()


def test_a_second_project_seals_to_the_same_identity(tmp_path: Path) -> None:
    run(tmp_path, "init", "one")
    run(tmp_path, "init", "two")
    assert (tmp_path / "one" / "provisioner.yaml").read_text() == (tmp_path / "two" / "provisioner.yaml").read_text()
    assert "age1" in (tmp_path / "two" / "provisioner.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("provisioner.yaml", "link"),
        ("provisioner.yaml", "folder"),
        ("manifests", "file"),
        ("manifests", "link"),
        ("manifests/accounts.yaml", "folder"),
        ("schemas", "file"),
        (".gitignore", "folder"),
        (".", "file"),
        (".", "link"),
    ],
)
def test_init_says_what_is_in_its_way_and_writes_nothing(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "folder":
        path.mkdir()
    elif what == "link":
        path.symlink_to("nowhere")
    else:
        path.write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    done = run(tmp_path, "init", "mine")
    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"error: {path.relative_to(tmp_path)} is not a ")
    assert before == sorted(tmp_path.rglob("*"))


def test_a_link_to_settings_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "shared.yaml").write_text("limit: 3\n")
    (tmp_path / "mine" / "provisioner.yaml").symlink_to("../shared.yaml")
    done = run(tmp_path, "init", "mine")
    assert (0, "limit: 3\n") == (done.returncode, (tmp_path / "shared.yaml").read_text())
    assert "does not name the recipient" in done.stderr


def test_a_relative_folder_for_user_files_is_ignored(tmp_path: Path) -> None:
    done = run(tmp_path, "init", "mine", XDG_CONFIG_HOME="config", XDG_STATE_HOME=".", HOME=str(tmp_path / "home"))
    assert 0 == done.returncode
    assert (tmp_path / "home" / ".config" / "octopush-provisioner" / "identity.txt").is_file()
    assert ["home", "mine"] == sorted(each.name for each in tmp_path.iterdir())


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("option", "kind", "first", "second"), KINDS)
def test_a_new_project_has_its_files_and_a_second_time_keeps_them(
    tmp_path: Path, option: str, kind: str, first: str, second: str
) -> None:
    done = run(tmp_path, "init", "mine", option, kind)
    mine = tmp_path / "mine"
    assert (0, True, True) == (done.returncode, (mine / first).is_file(), (mine / second).is_file())
    assert {"provisioner.yaml", "manifests/accounts.yaml", ".gitignore"} <= set(files(mine))
    assert "set up its secrets" in done.stderr
    assert 0 == run(mine, "validate").returncode
    before = files(mine)
    (mine / second).write_text("mine\n")
    again = run(tmp_path, "init", "mine", option, kind)
    assert (0, {**before, second: "mine\n"}) == (again.returncode, files(mine))
    assert (f"kept     mine/{first}" in again.stderr, "written" in again.stderr) == (True, False)


def test_a_project_that_exists_gets_only_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "provisioner.yaml").write_text("limit: 30\n")
    done = run(tmp_path, "init", "--ci", "gitlab", "--schedule", "cron")
    assert 0 == done.returncode
    assert {
        ".gitignore",
        ".gitlab-ci.yml",
        ".gitlab/provisioner.gitlab-ci.yml",
        "ci/requirements.txt",
        "monitoring/provisioner.rules.test.yml",
        "monitoring/provisioner.rules.yml",
        "provisioner.yaml",
        "schedule/provisioner.cron",
    } == set(files(tmp_path))
    assert "limit: 30\n" == (tmp_path / "provisioner.yaml").read_text()
    # Nobody asked for an identity.
    assert "identity " not in done.stderr


def test_for_an_existing_pipeline_init_says_what_to_include(tmp_path: Path) -> None:
    pipeline = tmp_path / ".gitlab-ci.yml"
    pipeline.write_text("stages: [test, deploy]\n")
    said = run(tmp_path, "init", "--ci", "gitlab").stderr
    assert "Add to .gitlab-ci.yml" in said
    assert "- local: .gitlab/provisioner.gitlab-ci.yml" in said
    pipeline.write_text("include:\n  - local: .gitlab/provisioner.gitlab-ci.yml\n")
    assert "Add to" not in run(tmp_path, "init", "--ci", "gitlab").stderr


def test_both_are_written_if_both_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("stages: [test, deploy]\n")
    done = run(tmp_path, "init", "--ci", "gitlab", "--ci", "github", "--schedule", "cron", "--schedule", "systemd")
    assert (0, 1) == (done.returncode, done.stderr.count("Add to .gitlab-ci.yml"))
    assert {
        ".github/workflows/provisioner-apply.yml",
        ".gitlab/provisioner.gitlab-ci.yml",
        "schedule/provisioner.cron",
        "schedule/provisioner-reconcile.service",
    } <= set(files(tmp_path))


@pytest.mark.parametrize(
    ("name", "what"), [("schedule", "is not a folder"), ("schedule/provisioner.cron/x", "is not a file")]
)
def test_init_reports_what_is_in_the_way_and_writes_nothing(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    done = run(tmp_path, "init", "--schedule", "cron")
    assert (ExitCode.USAGE, True) == (done.returncode, what in done.stderr)
    assert {name: "mine\n"} == files(tmp_path)


def test_git_ignores_files_of_this_machine_and_not_those_of_the_state(tmp_path: Path) -> None:
    assert 0 == run(tmp_path, "init", "--ci", "github").returncode
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    committed = ["state/default.json", "state/default.json.forgotten", "state/acme.json", "ci/requirements.txt"]
    own = ["state/default.json.lock", "state/default.json.backup", "state/default.json.rescue"]
    told = subprocess.run(
        ["git", "check-ignore", *committed, *own], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert own == told.stdout.splitlines()


def test_another_kind_is_refused(tmp_path: Path) -> None:
    assert ExitCode.USAGE == run(tmp_path, "init", "--ci", "jenkins").returncode
    assert {} == files(tmp_path)


def test_a_diff_writes_nothing_and_says_whether_there_is_a_change(tmp_path: Path) -> None:
    nothing = run(tmp_path, "init", "--ci", "github", "--diff", "--detailed-exitcode")
    assert (2, {}) == (nothing.returncode, files(tmp_path))
    run(tmp_path, "init", "--ci", "github")
    same = run(tmp_path, "init", "--diff", "--detailed-exitcode")
    assert (0, "", "This version would change nothing.\n") == (same.returncode, same.stdout, same.stderr)
    (tmp_path / "ci" / "requirements.txt").write_text("mine\n")
    done = run(tmp_path, "init", "--diff")
    assert (0, True) == (done.returncode, "\n-mine\n" in done.stdout)
    forced = run(tmp_path, "init", "--force")
    assert (0, True) == (forced.returncode, "edited   ci/requirements.txt" in forced.stderr)
    assert "mine\n" == (tmp_path / "ci" / "requirements.txt").read_text()
    for wrong in (["--diff", "--force"], ["--detailed-exitcode"]):
        assert ExitCode.USAGE == run(tmp_path, "init", *wrong).returncode
