"""A disk that is really full and a folder that is really read-only, made by the kernel in a namespace of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from provisioner.model.rescue import MARK
from tests.conftest import (
    NewProject,
    Project,
    SandboxProcess,
    StartSandbox,
    assert_kept,
    assert_no_secret,
    eventually,
    finished,
)

TWO: Final = ("paris", "rome")
SLOW_FIRST: Final = ("--fault", "delay=2@1")
"""Leaves time to break the disk while the first create is in flight."""
PAGE: Final = 4096
DISK: Final = 256 * PAGE


@dataclass(frozen=True, slots=True)
class Namespace:
    """A separate view of the file system, in which the folder of a project's state is a small disk."""

    keeper: int
    """The process that keeps it."""
    project: Project

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command begins with to run in here, in the project's folder."""
        enter = ("nsenter", "--target", str(self.keeper), "--user", "--mount", "--preserve-credentials")
        return (*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(self.project.folder))

    def shell(self, script: str) -> None:
        """Run a shell script in the folder of the state."""
        subprocess.run([*self.prefix, "sh", "-ec", f"cd state && {script}"], check=True, capture_output=True)

    def fill(self, *, free: int) -> None:
        """Leave so many bytes of the disk free, in whole pages."""
        taken = f"$(df --block-size=1 --output=avail . | tail -1) - {free}"
        self.shell(f"head -c $(({taken})) /dev/zero >filler")

    def free(self) -> None:
        """Free the space again."""
        self.shell("rm filler")

    def make_read_only(self) -> None:
        """Put a read-only view over the folder: what is open stays open, and nothing can be opened to write."""
        self.shell('mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD"')

    def make_writable(self) -> None:
        """Take the read-only view away."""
        self.shell('folder="$PWD" && cd / && umount "$folder"')

    def see(self) -> None:
        """Copy the files to where the test can read them, under the same path."""
        state = self.project.folder / "state"
        shutil.copytree(Path(f"/proc/{self.keeper}/root{state}"), state, dirs_exist_ok=True)


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox(*SLOW_FIRST)


@pytest.fixture
def small_disk(server: SandboxProcess, project: NewProject) -> Iterator[Namespace]:
    """A project whose state is on a disk of 1 MiB."""
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        pytest.skip("this machine has no util-linux: unshare, nsenter")
    mine = project(server, TWO)
    state = mine.folder / "state"
    state.mkdir()
    script = f'mount -t tmpfs -o size={DISK},mode=0700 none "{state}" && echo ready && exec cat'
    with ExitStack() as ending:
        keeper = ending.enter_context(
            subprocess.Popen(
                ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        ending.callback(keeper.kill)
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        if keeper.stdout.readline() != "ready\n":
            pytest.skip(f"this machine gives no namespace: {keeper.stderr.read().strip()}")
        yield Namespace(keeper.pid, mine)


def created(server: SandboxProcess) -> bool:
    return len(server.accounts()) == 1


def assert_next_run_completes(server: SandboxProcess, disk: Namespace) -> None:
    done = disk.project.run("apply", "--yes", prefix=disk.prefix)
    assert 0 == done.returncode
    disk.see()
    for name in TWO:
        assert_kept(server, disk.project, name)
    assert_no_secret(server, disk.project, done.stdout, done.stderr)


@pytest.mark.parametrize("free", [0, 128 * PAGE, 134 * PAGE], ids=["full", "no room to rescue", "no room to save"])
def test_full_before_the_create(server: SandboxProcess, small_disk: Namespace, free: int) -> None:
    small_disk.fill(free=free)
    done = small_disk.project.run("apply", "--yes", prefix=small_disk.prefix)
    assert 5 == done.returncode
    assert "No space left on device" in done.stdout + done.stderr
    assert [] == server.requests()

    small_disk.free()
    assert_next_run_completes(server, small_disk)


def test_full_after_the_create(server: SandboxProcess, small_disk: Namespace) -> None:
    with small_disk.project.start("apply", "--yes", prefix=small_disk.prefix) as process:
        eventually(partial(created, server))
        small_disk.fill(free=0)
        done = finished(process)
    assert 5 == done.returncode
    assert [201] == server.statuses()
    assert "is kept in state/default.json.rescue" in done.stdout
    assert MARK not in done.stderr

    small_disk.free()
    assert_next_run_completes(server, small_disk)
    assert [201, 201] == server.statuses()


def test_read_only_before_the_create(server: SandboxProcess, small_disk: Namespace) -> None:
    small_disk.make_read_only()
    done = small_disk.project.run("apply", "--yes", prefix=small_disk.prefix)
    assert 5 == done.returncode
    assert "Read-only file system" in done.stderr
    assert [] == server.requests()

    small_disk.make_writable()
    assert_next_run_completes(server, small_disk)


@pytest.mark.parametrize("form", ["text", "json"])
def test_read_only_after_the_create(server: SandboxProcess, small_disk: Namespace, form: str) -> None:
    with small_disk.project.start("apply", "--yes", "--log-format", form, prefix=small_disk.prefix) as process:
        eventually(partial(created, server))
        small_disk.make_read_only()
        done = finished(process)
    assert 5 == done.returncode
    assert [201] == server.statuses()
    assert MARK in done.stderr
    assert "Read-only file system" in done.stderr
    if form == "json":
        assert "rescue" in [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert_no_secret(server, small_disk.project, done.stdout, done.stderr)

    small_disk.make_writable()
    log = small_disk.project.root / "run.log"
    log.write_text("".join(f"2026-01-01T00:00:00Z | {line}\n" for line in done.stderr.splitlines()))
    recovered = small_disk.project.run("recover", str(log), prefix=small_disk.prefix)
    assert 0 == recovered.returncode
    small_disk.see()
    assert_kept(server, small_disk.project, "paris")
    assert_next_run_completes(server, small_disk)
    assert [201, 201] == server.statuses()
