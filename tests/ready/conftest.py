"""Fixtures for the tests of the ready-made files: the package as pip installs it, a forge, and a project in it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from provisioner import executor
from provisioner.model.account import Secret
from provisioner.model.state import State
from provisioner.model.verdict import SealedContent
from provisioner.state import codec
from provisioner.state.sealing import AgeOpener, parse_identities
from tests.conftest import HOOK_TOKEN, PARENT, PATIENCE, SandboxProcess, StartSandbox, environment
from tests.ready.forge import READS, WRITES, Forge, running_forge

ROOT: Final = Path(__file__).resolve().parents[2]
WHEEL: Final = "TESTED_WHEEL"
"""The variable that says where the package is that these tests have built."""
STATE: Final = "default.json"
BRANCH: Final = "provisioner-state"
PARIS: Final = "  - {name: paris, first_name: Leonardo, last_name: Da Vinci}\n"
ROME: Final = """\
  - name: rome
    first_name: Artemisia
    last_name: Gentileschi
    callbacks: {callback_url_for_deliveries: "https://hooks.example.com/?t=${env:HOOK_TOKEN}"}
"""
LYON: Final = "  - {name: lyon, first_name: Louise, last_name: Labé}\n"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a machine that has Python, and where pip finds our package and what it needs."""
    folder = tmp_path_factory.mktemp("machine")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "wheels"]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "python"], check=True)
    # The libraries are those that these tests run with, and so is pip; the package itself is what pip installs.
    pip = folder / "python" / "bin" / "pip"
    pip.write_text('#!/bin/sh\nexec python -m pip "$@"\n')
    pip.chmod(0o755)
    (own,) = (folder / "python" / "lib").glob("python*/site-packages")
    (own / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    environ = environment(folder) | {"PATH": f"{folder / 'python' / 'bin'}:{os.environ['PATH']}"}
    for name in ("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY", "HOOK_TOKEN"):
        del environ[name]
    environ |= {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    (wheel,) = (folder / "wheels").iterdir()
    only = {"PIP_IGNORE_INSTALLED": "1"}
    subprocess.run(["pip", "install", "--quiet", wheel], env=environ | only, check=True)
    return environ | {WHEEL: str(wheel)}


def locked(machine: Mapping[str, str]) -> str:
    """Return the line of the lock that says where the program is: the libraries are there."""
    wheel = Path(machine[WHEEL])
    return f"octopush-provisioner @ {wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with running_forge(tmp_path / "forge") as made:
        yield made


@dataclass(slots=True)
class Developer:
    """A person with a clone, an identity, and the right to push."""

    folder: Path
    environ: dict[str, str]
    forge: Forge
    server: SandboxProcess

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Dev", "-c", "user.email=dev@example.com")
        return subprocess.run(
            ["git", *who, *arguments],
            cwd=self.folder,
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def provisioner(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["provisioner", *arguments], cwd=self.folder, env=self.environ, check=False, capture_output=True, text=True
        )

    def write_manifest(self, *accounts: str) -> None:
        text = "version: 1\naccounts:\n" + "".join(accounts)
        (self.folder / "manifests" / "accounts.yaml").write_text(text)

    def commit(self, message: str) -> str:
        """Commit everything to the branch that is checked out, and push it."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def propose(self, branch: str, *accounts: str) -> str:
        """Push a branch on which the manifest has ``accounts``, made from the latest main or continued."""
        self.pull()
        if branch in self.git("branch", "--list", branch):
            self.git("checkout", "--quiet", branch)
        else:
            self.git("checkout", "--quiet", "-b", branch)
        self.write_manifest(*accounts)
        commit = self.commit(f"Work on {branch}")
        # What GitHub makes of a pull request, for its runs.
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-edit", branch)
        self.git("push", "--quiet", "--force", "origin", "HEAD:refs/pull/merge")
        self.git("checkout", "--quiet", branch)
        return commit

    def merge(self, branch: str) -> None:
        self.pull()
        self.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
        self.git("push", "--quiet", "origin", "main")

    def pull(self) -> None:
        """Check out the latest main."""
        self.git("checkout", "--quiet", "main")
        self.git("pull", "--quiet", "--ff-only", "origin", "main")

    def branches(self) -> list[str]:
        """Return the branches that the forge has."""
        return [line.rpartition("refs/heads/")[2] for line in self.git("ls-remote", "--heads", "origin").splitlines()]

    def state(self) -> State | None:
        """Return the state that is in the forge."""
        if BRANCH not in self.branches():
            return None
        self.git("fetch", "--quiet", "origin", BRANCH)
        return codec.decode(self.git("show", f"FETCH_HEAD:{STATE}").encode(), STATE)

    def statuses(self) -> dict[str, str]:
        state = self.state()
        return {name: type(record).__name__.lower() for name, record in state.accounts.items()} if state else {}

    @property
    def identity(self) -> str:
        return (Path(self.environ["XDG_CONFIG_HOME"]) / "octopush-provisioner" / "identity.txt").read_text()

    def opened(self, name: str) -> SealedContent:
        """Return the sealed content of an account."""
        state = self.state()
        assert state is not None
        opener = AgeOpener(parse_identities(Secret(self.identity), "the test"))
        content = executor.open_record(state, name, opener)
        assert content is not None
        return content

    def assert_kept(self, name: str, first_name: str) -> None:
        """Check that the state has working credentials of the one account that was made for a name."""
        made = [each for each in self.server.accounts() if each["first_name"] == first_name]
        assert 1 == len({each["api_login"] for each in made})
        credentials = self.opened(name).credentials
        assert credentials is not None
        assert made[0]["api_login"] == credentials.api_login
        assert self.server.accepts(credentials)

    def change_by_hand(self, name: str, **fields: str) -> None:
        """Change an account as somebody does in the dashboard."""
        credentials = self.opened(name).credentials
        assert credentials is not None
        address = f"{self.server.url.replace('/v1/public', '/sandbox/accounts')}/{credentials.api_login}"
        assert requests.patch(address, json=fields, timeout=PATIENCE).ok

    def secrets(self) -> set[str]:
        made = {each[what] for each in self.server.accounts() for what in ("api_key", "password") if each.get(what)}
        return {PARENT.api_key.reveal(), HOOK_TOKEN, WRITES, READS, self.identity.splitlines()[-1], *made}

    def assert_no_secret(self, *printed: str) -> None:
        """Check that no secret is in what was printed, in a comment, or in any object of the repository."""
        objects = self.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)").splitlines()
        blobs = [self.git("cat-file", "blob", each.split()[0]) for each in objects if each.endswith(" blob")]
        texts = [*printed, *self.forge.texts(), *blobs]
        assert [] == [secret for secret in self.secrets() if any(secret in text for text in texts)]


def begun(folder: Path, machine: dict[str, str], forge: Forge, server: SandboxProcess, kind: str) -> Developer:
    """Return a developer with a new project that has the files of a CI; its main has no account yet."""
    (folder / "project").mkdir(parents=True)
    environ = machine | {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    developer = Developer(folder / "project", environ, forge, server)
    developer.git("init", "--quiet", "--initial-branch=main")
    developer.git("remote", "add", "origin", forge.remote)
    basic = requests.auth._basic_auth_str("dev", WRITES)  # noqa: SLF001  # the one that encodes it
    developer.git("config", "http.extraheader", f"Authorization: {basic}")
    done = developer.provisioner("init", "--ci", kind)
    assert 0 == done.returncode, done.stderr
    with (developer.folder / "provisioner.yaml").open("a") as settings:
        settings.write(f"api_url: {server.url}\n")
    (developer.folder / "ci" / "requirements.txt").write_text(locked(machine))
    developer.write_manifest(PARIS)
    developer.commit("Begin")
    return developer


@pytest.fixture
def server(sandbox: StartSandbox) -> SandboxProcess:
    return sandbox()


SECRETS: Final[dict[str, Any]] = {
    "OCTOPUSH_API_LOGIN": PARENT.api_login,
    "OCTOPUSH_API_KEY": PARENT.api_key.reveal(),
    "HOOK_TOKEN": HOOK_TOKEN,
}
