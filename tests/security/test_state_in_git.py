"""A state in git: changes to a project's files cannot make git run a program, read anything else or get a secret."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from provisioner import Folders, Project
from provisioner.errors import ProvisionerError, StateUnreachable
from provisioner.state import codec
from provisioner.state.stores import Note
from tests.state import STATE
from tests.state.stores.remotes import GIT, git, git_machine, new_clone, new_remote

PLACE = "git:origin/provisioner-state/{parent}.json"
BARE = """\
[core]
  bare = true
  fsmonitor = touch {ran}
  sshCommand = touch {ran}
[protocol "ext"]
  allow = always
[remote "origin"]
  url = "ext::touch {ran}"
"""
SETTINGS = """\
heartbeat_url: https://monitor.example.com/${env:PING_ID}
parents: {default: {api_login: "${env:ACME_LOGIN}", api_key: "${env:ACME_KEY}"}}
"""
RAW = codec.encode(STATE)
IDENTITY = "AGE-SECRET-KEY-1NOTONEATALL"


def planned(folder: Path, settings: str = "", *, place: str = PLACE, **environ: str) -> ProvisionerError | None:
    """Plan a project with one account and its state at ``place``, and return the error, if any."""
    (folder / "manifests").mkdir(parents=True, exist_ok=True)
    (folder / "manifests" / "m.csv").write_text("name,first_name,last_name\nparis,a,b\n")
    (folder / "provisioner.yaml").write_text(f"state: '{place}'\n{settings}")
    home = folder.parent / "home"
    known = {"PATH": "/usr/bin:/bin", "HOME": str(home), **GIT, **environ}
    plans = Project.open(folder, environ=known, folders=Folders(home, home)).plan()
    return plans.failures.get("default")


def test_a_projects_files_are_never_treated_as_its_repository(tmp_path: Path) -> None:
    """To git, a folder with HEAD, objects and refs is a repository, and its configuration says what git runs."""
    remote = new_remote(tmp_path / "remote.git")
    project = new_clone(tmp_path / "clone", str(remote)) / "infra"
    ran = tmp_path / "ran"
    for folder in ("objects", "refs/heads"):
        (project / folder).mkdir(parents=True)
    (project / "HEAD").write_text("ref: refs/heads/main\n")
    (project / "config").write_text(BARE.format(ran=ran))
    assert "true" == git(project, "rev-parse", "--is-bare-repository")
    assert (None, False) == (planned(project), ran.exists())
    (tmp_path / "clone" / ".git").rename(tmp_path / "away")
    error = planned(project)
    assert ("is not in one" in str(error), False) == (True, ran.exists())


def test_git_finds_none_of_our_secrets(tmp_path: Path) -> None:
    project = new_clone(tmp_path / "clone", f"ext::sh -c env>{tmp_path}/found")
    git(project, "config", "protocol.ext.allow", "always")
    ours = {
        "OCTOPUSH_API_LOGIN": "of a parent",
        "OCTOPUSH_API_KEY_OTHER": "of another",
        "ACME_LOGIN": "of a third",
        "ACME_KEY": "of the third",
        "PING_ID": "of the heartbeat",
        "PROVISIONER_IDENTITY": IDENTITY,
        "PROVISIONER_NOTE_TOKEN": "of the notes",
        "SOPS_AGE_KEY": IDENTITY.lower(),
        "HOOK_TOKEN": "for a callback",
        "PROVISIONER_PLACEHOLDERS": "HOOK_*",
    }
    gits = {"PROVISIONER_PUSH_TOKEN": "pushes", "GITHUB_TOKEN": "pushes", "SSH_AUTH_SOCK": "agent", "MY_TOKEN": "helps"}
    assert isinstance(planned(project, SETTINGS, **ours, **gits), StateUnreachable)
    found = dict(line.split("=", 1) for line in (tmp_path / "found").read_text().splitlines())
    assert gits.items() <= found.items()
    assert not ours.keys() & found.keys()


@pytest.mark.parametrize(
    "place",
    [
        "git:origin/provisioner-st\u0430te/x.json",
        "git:\u043erigin/provisioner-state/x.json",
        "git:origin/provisioner-state/\uff58.json",
        "git:origin/provisioner\u2010state/x.json",
        "git:origin/provisioner-state/x.json ",
    ],
)
def test_no_address_of_a_state_looks_like_another(tmp_path: Path, place: str) -> None:
    project = new_clone(tmp_path / "clone", str(tmp_path))
    assert "is not the address of a state in git" in str(planned(project, place=place))


@pytest.mark.parametrize(
    ("subject", "trailer", "date"),
    [
        ("x\x1fy\x1b[2Jz", "1 a\x1fb acme.json\x1f", "@1 +0000"),
        ("x", "9" * 5000 + " a acme.json", "@1 +0000"),
        ("x", "1 a acme.json", "@9999999999999 +0000"),
    ],
)
def test_no_commit_by_somebody_else_can_end_a_run(tmp_path: Path, subject: str, trailer: str, date: str) -> None:
    remote = new_remote(tmp_path / "remote.git")
    machine = git_machine(tmp_path / "one", str(remote))
    store = machine.store()
    saved = store.save(RAW, store.load()[1], Note("lineage-1", 3, "paris: active"))
    project = machine.folder / "project"
    git(project, "fetch", "--quiet", "origin", "provisioner-state")
    git(project, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    message = f"{subject}\n\nProvisioner-State: {trailer}\n"
    environ = {**os.environ, **GIT, "GIT_COMMITTER_DATE": date}
    command = ["git", "-c", "user.name=x", "-c", "user.email=x", "commit", "--quiet", "--allow-empty", "--file=-"]
    subprocess.run(command, cwd=project, env=environ, input=message.encode(), check=True)
    git(project, "push", "--quiet", "origin", "HEAD:refs/heads/provisioner-state")
    assert (RAW, saved) == store.load()
    assert 3 == store.newest("lineage-1")
    assert {3} <= {each.serial for each in store.backend.history()}


@pytest.mark.parametrize("place", [".git/hooks/pre-push", ".github/workflows/x.yml", "ci/x.json", "a/.gitlab-ci.yml"])
def test_no_state_is_kept_where_git_or_a_pipeline_reads_instructions(tmp_path: Path, place: str) -> None:
    project = new_clone(tmp_path / "clone", str(tmp_path))
    assert "The setting state cannot be used" in str(planned(project, place=place))
