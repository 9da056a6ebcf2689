"""The script that takes the state from git and brings it back, by itself."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE
from tests.ready.conftest import MARKER, ROOT
from tests.ready.forge import READS, WRITES, Forge

SCRIPT = ROOT / "provisioner/templates/ci/ci/provisioner-state.sh"
SAVES = "mkdir -p state && echo '{\"serial\": 1}' > state/default.json"


class Clone:
    """A repository in the forge with one commit, and a machine's clone of it."""

    def __init__(self, folder: Path, forge: Forge, environ: dict[str, str]) -> None:
        self.folder = folder
        self.environ = environ | {"GITHUB_RUN_ID": "1"}
        remote = forge.remote.replace("://", f"://runner:{WRITES}@")
        self.git("clone", "--quiet", remote, folder, cwd=folder.parent)
        (folder / ".gitignore").write_text("*.rescue\n")
        self.commit({})

    def commit(self, files: dict[str, str]) -> None:
        """Write ``files``, and push everything to main."""
        for name, content in files.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(content)
        self.git("add", "--all")
        self.git(
            "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "--allow-empty", "-m", "Begin"
        )
        self.git("push", "--quiet", "origin", "HEAD:refs/heads/main")

    def git(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=cwd or self.folder, env=self.environ, check=True, capture_output=True, text=True
        ).stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(["bash", SCRIPT, *arguments], cwd=self.folder, env=self.environ, **streams)

    def run(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            said = process.communicate(timeout=PATIENCE * 4)[0]
        return process.returncode, said

    def branches(self) -> list[str]:
        return [line.rpartition("refs/heads/")[2] for line in self.git("ls-remote", "--heads", "origin").splitlines()]

    def kept(self, folder: str = "state/") -> list[str]:
        """Return the files of the state that main has."""
        self.git("fetch", "--quiet", "origin", "refs/heads/main")
        return self.git("ls-tree", "-r", "--name-only", "FETCH_HEAD", folder).splitlines()


@pytest.fixture
def clone(tmp_path: Path, forge: Forge, machine: dict[str, str]) -> Clone:
    return Clone(tmp_path / "clone", forge, machine)


def test_a_run_brings_the_state_and_the_exit_of_its_command(clone: Clone) -> None:
    assert (8, "") == clone.run("run", "main", "sh", "-c", f"{SAVES}; exit 8")
    assert (["main"], ["state/default.json"]) == (clone.branches(), clone.kept())
    assert (0, "Nothing was begun, so that there is nothing to keep.\n") == clone.run("keep", "main")
    head = clone.git("rev-parse", "FETCH_HEAD")
    assert (0, "") == clone.run("run", "main", "true")
    clone.kept()
    assert head == clone.git("rev-parse", "FETCH_HEAD")


def test_a_stop_reaches_the_command_and_its_state_is_kept(clone: Clone) -> None:
    ends = f"trap '{SAVES.replace(chr(39), chr(34))}; exit 143' TERM; echo ready; while :; do sleep 0.1; done"
    with clone.start("run", "main", "bash", "-c", ends) as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert (143, ["main"], ["state/default.json"]) == (process.returncode, clone.branches(), clone.kept())


def test_two_do_not_begin_at_once(clone: Clone) -> None:
    assert (0, "") == clone.run("begin", "main")
    clone.environ["GITHUB_RUN_ID"] = "2"
    code, said = clone.run("begin", "main")
    assert (1, True, True) == (code, "runs/1/attempts/1" in said, "adopt it" in said)
    # What another run has begun on this machine, this one does not end.
    assert 0 == clone.run("keep", "main")[0]
    assert ["main", MARKER] == clone.branches()


def test_what_the_state_did_not_take_is_kept_and_nothing_else(clone: Clone) -> None:
    assert 0 == clone.run("begin", "main")[0]
    state = clone.folder / "state"
    state.mkdir()
    for name, content in {
        "default.json": "{}",
        "default.json.lock": "",
        "default.json.backup": "{}",
        ".default.json.x.tmp": "{",
        "default.json.rescue": "{}\0\0",
        "acme.json.rescue": "\0",
        "default.json.forgotten": "2026-01-31T12:00:00Z {}\n",
        "notes.txt": "of somebody",
    }.items():
        (state / name).write_text(content)
    assert 0 == clone.run("keep", "main")[0]
    brought = ["state/default.json", "state/default.json.forgotten", "state/default.json.rescue"]
    assert brought == clone.kept()
    # A later run has put it back.
    assert 0 == clone.run("run", "main", "rm", "state/default.json.rescue")[0]
    assert brought[:2] == clone.kept()


NOT_HERE = "The settings do not keep this state in state/: "
IGNORED = "git ignores state/default.json, so that it could not be brought back"


@pytest.mark.parametrize(
    ("files", "variables", "reason"),
    [
        ({"provisioner.yaml": "state: accounts/{parent}.json\n"}, {}, f"{NOT_HERE}default: there is no state at acc"),
        ({"provisioner.yaml": "state: state/{parent}/state.json\n"}, {}, NOT_HERE),
        ({"provisioner.yaml": "state: state/{parent}.state\n"}, {}, NOT_HERE),
        ({"provisioner.yaml": "state: state/../{parent}.json\n"}, {}, NOT_HERE),
        ({"ops/p.yaml": "state: state/{parent}.json\n"}, {"PROVISIONER_CONFIG": "ops/p.yaml"}, NOT_HERE),
        ({}, {"PROVISIONER_STATE": "/var/lib/provisioner/{parent}.json"}, NOT_HERE),
        ({}, {"PROVISIONER_STATE": "/x/{parent}.json", "PROVISIONER_STATE_FOLDER": "/x"}, "keep this state in /x/: "),
        ({}, {"PROVISIONER_STATE": "../x/{parent}.json", "PROVISIONER_STATE_FOLDER": "../x"}, "git takes no ../x/def"),
        ({"provisioner.yaml": "stat: state/{parent}.json\n"}, {}, "The settings do not tell where the state is."),
        ({}, {"PROVISIONER_CONFIG": "../provisioner.yaml"}, "The settings do not tell where the state is."),
        ({".gitignore": "state/\n"}, {}, IGNORED),
        ({".gitignore": "*.json\n"}, {}, IGNORED),
        (
            {".gitignore": "acme*\n", "provisioner.yaml": "parents: {acme: {}, default: {}}\n"},
            {},
            "git ignores state/acme.json,",
        ),
    ],
)
def test_nothing_is_begun_whose_state_would_not_come_back(
    clone: Clone, files: dict[str, str], variables: dict[str, str], reason: str
) -> None:
    clone.commit(files)
    clone.environ |= variables
    code, said = clone.run("run", "main", "sh", "-c", SAVES)
    assert (1, True, True) == (code, reason in said, "Nothing was sent." in said), said
    assert ((clone.folder / "state").exists(), ["main"]) == (False, clone.branches())


def test_a_folder_that_is_a_link_is_refused(clone: Clone) -> None:
    (clone.folder.parent / "elsewhere").mkdir()
    (clone.folder / "state").symlink_to("../elsewhere")
    clone.commit({})
    code, said = clone.run("run", "main", "sh", "-c", SAVES)
    assert (1, True, ["main"]) == (code, "git takes no state/default.json" in said, clone.branches())
    assert [] == list((clone.folder.parent / "elsewhere").iterdir())


def test_a_state_in_another_folder_is_kept_there(clone: Clone) -> None:
    clone.commit({"ops/p.yaml": "state: kept/{parent}.json\nparents: {acme: {}, default: {}}\n"})
    clone.environ |= {"PROVISIONER_CONFIG": "ops/p.yaml", "PROVISIONER_STATE_FOLDER": "ops/kept/"}
    saves = "mkdir ops/kept && echo {} > ops/kept/acme.json && echo {} > ops/kept/default.json"
    assert (0, "") == clone.run("run", "main", "sh", "-c", saves)
    assert ["ops/kept/acme.json", "ops/kept/default.json"] == clone.kept("ops/kept/")
    # What is there is no reason to refuse the next run.
    assert (0, "") == clone.run("run", "main", "true")


def test_a_state_that_is_in_the_repository_comes_back_whatever_is_ignored(clone: Clone) -> None:
    assert (0, "") == clone.run("run", "main", "sh", "-c", SAVES)
    clone.git("checkout", "--quiet", "-B", "main", "origin/main")
    clone.commit({".gitignore": "state/\n"})
    saves = "echo '{\"serial\": 2}' > state/default.json; echo x > state/default.json.forgotten"
    assert (0, "") == clone.run("run", "main", "sh", "-c", saves)
    assert ["state/default.json", "state/default.json.forgotten"] == clone.kept()
    assert '{"serial": 2}\n' == clone.git("show", "FETCH_HEAD:state/default.json")


def test_what_is_kept_waits_for_a_command_that_is_still_at_it(clone: Clone) -> None:
    assert 0 == clone.run("begin", "main")[0]
    (clone.folder / "state").mkdir()
    with (clone.folder / "state/default.json.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def ends() -> None:
            (clone.folder / "state/default.json").write_text("{}")
            fcntl.flock(lock, fcntl.LOCK_UN)

        timer = threading.Timer(1, ends)
        timer.start()
        assert 0 == clone.run("keep", "main")[0]
        timer.join()
    assert ["state/default.json"] == clone.kept()


def test_gitlab_pushes_with_a_token_of_the_project(clone: Clone, forge: Forge) -> None:
    # The job itself may only read, and what it may is in its address.
    clone.git("remote", "set-url", "origin", forge.remote.replace("://", f"://gitlab-ci-token:{READS}@"))
    clone.environ |= {"GITLAB_CI": "true", "CI_PROJECT_URL": forge.remote.removesuffix(".git"), "CI_JOB_URL": "job 1"}
    for token, reason in (("", "There is no PROVISIONER_PUSH_TOKEN"), (READS, "Nothing could be pushed")):
        clone.environ["PROVISIONER_PUSH_TOKEN"] = token
        code, said = clone.run("run", "main", "sh", "-c", SAVES)
        assert (1, True, False) == (code, reason in said, (clone.folder / "state").exists())
        assert READS not in said
    clone.environ["PROVISIONER_PUSH_TOKEN"] = WRITES
    assert (0, "") == clone.run("run", "main", "sh", "-c", SAVES)
    assert (["main"], ["state/default.json"]) == (clone.branches(), clone.kept())


@pytest.mark.parametrize("arguments", [(), ("begin",), ("end", "main")])
def test_a_wrong_call_is_refused(clone: Clone, arguments: tuple[str, ...]) -> None:
    code, said = clone.run(*arguments)
    assert (1, True) == (code, "begin, keep or run" in said)


def test_a_tag_that_is_named_like_the_branch_is_never_taken_for_it(clone: Clone) -> None:
    clone.git("push", "--quiet", "origin", "HEAD:refs/tags/main")
    clone.commit({"reviewed": "yes"})
    assert 0 == clone.run("begin", "main")[0]
    assert (clone.folder / "reviewed").exists()
    # Nor is one that is named like the mark.
    assert 0 == clone.run("keep", "main")[0]
    clone.git("push", "--quiet", "origin", f"HEAD:refs/tags/{MARKER}")
    assert (0, "") == clone.run("run", "main", "sh", "-c", SAVES)
    assert (["main"], ["state/default.json"]) == (clone.branches(), clone.kept())


@pytest.mark.parametrize("older", ['{\n  "serial": 4\n}\n', None])
def test_a_state_that_is_older_than_the_branch_has_had_begins_no_run(clone: Clone, older: str | None) -> None:
    for serial in (4, 10):
        clone.commit({"state/default.json": f'{{\n  "serial": {serial}\n}}\n'})
    if older is None:
        (clone.folder / "state/default.json").unlink()
    clone.commit({} if older is None else {"state/default.json": older})
    code, said = clone.run("begin", "main")
    assert (1, True) == (code, "has had 10 on this branch: what was created since would be created again" in said)
    # What goes on regardless finds no state, and begins none.
    assert not (clone.folder / "state/default.json").exists()
    assert ["main"] == clone.branches()
    clone.commit({"state/default.json": '{\n  "serial": 11\n}\n'})
    assert 0 == clone.run("begin", "main")[0]
