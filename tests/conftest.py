"""What tests of the real command share: a project in a folder of its own, and a sandbox as a process of its own.

``project`` and ``sandbox`` make as many of each as a test asks for::

    server = sandbox("--fault", "lost@2")
    mine = project(server, names=("paris", "rome"))
    assert mine.run("apply", "--yes").returncode == 8

A child process sees nothing of the user who runs the tests: its environment is
made here, and its home is a temporary folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import hypothesis
import pytest
import requests

from provisioner import executor
from provisioner.model.account import Credentials, Secret
from provisioner.model.state import State
from provisioner.model.verdict import SealedContent
from provisioner.state import codec
from provisioner.state.sealing import AgeOpener, new_identity, parse_identities
from tests import forks
from tests.forks import COMMAND, PATIENCE

if TYPE_CHECKING:
    from tests.state.stores.cluster import Cluster
    from tests.state.stores.storage import Storage

PARENT: Final = Credentials("parent@example.com", Secret("parent-key-3f9c1b7e5d"))
ACME: Final = "acme@example.com"
"""The login of a second parent, which every sandbox serves with the key of the first."""
_NO_OBSTORE: Final = "obstore is not installed here; `make test` installs it"
HOOK_TOKEN: Final = "hook-token-8a2d4c6e"
# How long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def eventually(condition: Callable[[], bool], *, within: float = PATIENCE) -> None:
    """Return once ``condition`` holds; fail the test where it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.005)


def headers(credentials: Credentials) -> dict[str, str]:
    """Return what a request of ``credentials`` carries."""
    return {"api-login": credentials.api_login, "api-key": credentials.api_key.reveal()}


# ── The sandbox ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A sandbox that runs as a process of its own."""

    url: str
    ledger: Path

    def accounts(self) -> list[dict[str, Any]]:
        """Return every account that was created, from the ledger: login, key and password in clear."""
        return [json.loads(line) for line in self.ledger.read_text().splitlines()] if self.ledger.exists() else []

    def requests(self) -> list[dict[str, Any]]:
        """Return what was received: ``n``, ``method``, ``path``, ``status``, ``fault`` of each request."""
        received: list[dict[str, Any]] = requests.get(
            self.url.replace("/v1/public", "/sandbox/requests"), timeout=PATIENCE
        ).json()
        return received

    def statuses(self) -> list[int | None]:
        """Return what every create so far was answered; None: nothing, or not yet."""
        return [each["status"] for each in self.requests() if each["path"].endswith("/create")]

    def key_of(self, login: str) -> str:
        """Return the key of a sub-account, as its parent reads it."""
        answer = requests.get(f"{self.url}/subaccount/{login}", headers=headers(PARENT), timeout=PATIENCE)
        return str(answer.json()["api_key"])

    def accepts(self, credentials: Credentials) -> bool:
        """Tell whether a sub-account can call the API with ``credentials``."""
        address = f"{self.url}/wallet/check-balance"
        return requests.get(address, headers=headers(credentials), timeout=PATIENCE).status_code == 200


class StartSandbox(Protocol):
    """Starts a sandbox with the command's own options."""

    def __call__(self, *options: str) -> SandboxProcess: ...


@contextmanager
def running_sandboxes(folder: Path) -> Iterator[StartSandbox]:
    """Keep sandboxes, with their ledgers in ``folder``, for the length of a ``with``."""
    with ExitStack() as started:

        def start(*options: str) -> SandboxProcess:
            ledger = folder / f"ledger-{len(list(folder.iterdir()))}.jsonl"
            parents = [f"--parent-account={login}:{PARENT.api_key.reveal()}" for login in (PARENT.api_login, ACME)]
            if any(each.startswith("--parent-account") for each in options):
                parents = []
            arguments = ("sandbox", "--ledger", str(ledger), *parents, *options)
            url = started.enter_context(forks.serving(arguments, folder, environment(folder)))
            return SandboxProcess(url, ledger)

        yield start


@pytest.fixture
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSandbox]:
    """Start sandboxes; their ledgers, which hold keys in clear, are in no project's folder."""
    with running_sandboxes(tmp_path_factory.mktemp("sandbox")) as start:
        yield start


# ── A server of states ───────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run a PostgreSQL server; one is enough for all tests of a worker."""
    pytest.importorskip("psycopg", reason="psycopg is not installed here; `make test` installs it")
    from tests.state.stores.cluster import running_cluster  # noqa: PLC0415

    with running_cluster() as made:
        yield made


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Return an object storage that speaks S3."""
    pytest.importorskip("obstore", reason=_NO_OBSTORE)
    from tests.state.stores.storage import running_seaweed  # noqa: PLC0415

    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as made:
        yield made


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Return another object storage that speaks S3."""
    pytest.importorskip("obstore", reason=_NO_OBSTORE)
    from tests.state.stores.storage import running_moto  # noqa: PLC0415

    with running_moto(tmp_path_factory.mktemp("moto")) as made:
        yield made


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Return an object storage that speaks as Azure's does."""
    pytest.importorskip("obstore", reason=_NO_OBSTORE)
    from tests.state.stores.storage import running_azurite  # noqa: PLC0415

    with running_azurite(tmp_path_factory.mktemp("azurite")) as made:
        yield made


# ── A project ────────────────────────────────────────────────────────────────


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a child process that lives in ``home``."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "LANG": "C.UTF-8",
        "OCTOPUSH_API_LOGIN": PARENT.api_login,
        "OCTOPUSH_API_KEY": PARENT.api_key.reveal(),
        "HOOK_TOKEN": HOOK_TOKEN,
        "PROVISIONER_PLACEHOLDERS": "*",
    }


@dataclass(frozen=True, slots=True)
class Project:
    """A person's project: a folder with a manifest, and a home with their identity; both below ``root``."""

    root: Path
    names: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Where the command is run."""
        return self.root / "project"

    @property
    def state_path(self) -> Path:
        """Where the state is."""
        return self.folder / "state" / "default.json"

    @property
    def identity_path(self) -> Path:
        """Where the person's identity is: the one file below ``root`` that holds a secret in clear."""
        return self.root / "home" / "config" / "octopush-provisioner" / "identity.txt"

    def start(self, *arguments: str, prefix: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[str]:  # noqa: ANN401  # Popen's own
        """Start the real command in the project's folder; it hears SIGINT, unless ``prefix`` has it ignored."""
        arguments = _as_first(arguments)
        usual = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": self.environ}
        with forks.interruptible():
            return subprocess.Popen([*prefix, *COMMAND, *arguments], cwd=self.folder, text=True, **(usual | options))

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run the real command in the project's folder, to its end."""
        if not prefix:
            return forks.command(_as_first(arguments), self.folder, self.environ)
        with self.start(*arguments, prefix=prefix) as process:
            return finished(process)

    def state(self) -> State | None:
        """Return the state as it is on the disk, or None where there is none."""
        raw = self.state_path.read_bytes() if self.state_path.exists() else None
        return None if raw is None else codec.decode(raw, str(self.state_path))

    def statuses(self) -> dict[str, str]:
        """Return the status of every account of the state."""
        state = self.state()
        return {name: type(record).__name__.lower() for name, record in state.accounts.items()} if state else {}

    def opened(self, name: str) -> SealedContent:
        """Return what is sealed in an account's record."""
        state = self.state()
        assert state is not None
        opener = AgeOpener(parse_identities(Secret(self.identity_path.read_text()), "the test"))
        content = executor.open_record(state, name, opener)
        assert content is not None
        return content

    def files(self) -> list[Path]:
        """Return every file below ``root`` but the identity, leftovers and temporary files included."""
        return [each for each in self.root.rglob("*") if each.is_file() and each != self.identity_path]


def _as_first(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return the arguments of a command; the projects are new: an apply that nobody attends to may begin the state."""
    return (*arguments, "--new-state") if {"apply", "--yes"} <= {*arguments} else arguments


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a process and return all that it said."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class NewProject(Protocol):
    """Makes a project whose manifest asks for ``names`` from the sandbox."""

    def __call__(self, server: SandboxProcess, names: tuple[str, ...]) -> Project: ...


@pytest.fixture
def project(tmp_path: Path) -> NewProject:
    """Make projects, each with an identity and an account name that tells it from the others.

    Every account's first name is its key in the manifest, which the API never hears,
    and its company is the project: so a test can tell whose account the server has.
    """

    def make(server: SandboxProcess, names: tuple[str, ...]) -> Project:
        root = tmp_path / f"{tmp_path.name}-{len(list(tmp_path.iterdir()))}"
        identity, recipient = new_identity()
        environ = environment(root / "home") | {
            "OCTOPUSH_API_URL": server.url,
            "PROVISIONER_RECIPIENTS": recipient,
        }
        made = Project(root, names, environ)
        made.identity_path.parent.mkdir(parents=True)
        made.identity_path.touch(mode=0o600)
        made.identity_path.write_text(f"{identity.reveal()}\n")
        (made.folder / "manifests").mkdir(parents=True)
        (made.folder / "manifests" / "accounts.yaml").write_text(_manifest(root.name, names))
        return made

    return make


def _manifest(company: str, names: tuple[str, ...]) -> str:
    accounts = "".join(f"  - {{name: {name}, first_name: {name}}}\n" for name in names)
    return f"""\
version: 1
defaults:
  last_name: Crash
  company_name: {company}
  callbacks: {{callback_url_for_deliveries: "https://hooks.example.com/?t=${{env:HOOK_TOKEN}}"}}
accounts:
{accounts}"""


def server_accounts(server: SandboxProcess, project: Project) -> dict[str, list[dict[str, Any]]]:
    """Return the accounts that the server made for each name of the project."""
    mine = [each for each in server.accounts() if each["company_name"] == project.root.name]
    return {name: [each for each in mine if each["first_name"] == name] for name in project.names}


def secrets_of(server: SandboxProcess, project: Project) -> set[str]:
    """Return every text that must be nowhere in clear."""
    identity = project.identity_path.read_text().strip()
    made = [each for each in server.accounts() if each["company_name"] == project.root.name]
    credentials = {each[what] for each in made for what in ("api_key", "password")}
    return {identity, PARENT.api_key.reveal(), HOOK_TOKEN, *credentials}


def assert_no_secret(server: SandboxProcess, project: Project, *printed: str) -> None:
    """Check that no secret is in clear in any file of the project and its home, nor in what was ``printed``."""
    secrets = secrets_of(server, project)
    texts = {str(each): each.read_bytes().decode("latin-1") for each in project.files()}
    texts |= {f"printed {number}": text for number, text in enumerate(printed)}
    leaks = [place for place, text in texts.items() if any(secret in text for secret in secrets)]
    assert leaks == []


def assert_kept(server: SandboxProcess, project: Project, name: str) -> None:
    """Check that the state holds the credentials of the one account of that name, and that they work."""
    (made,) = server_accounts(server, project)[name]
    content = project.opened(name)
    assert content.credentials is not None
    assert content.password is not None
    assert (made["api_login"], made["api_key"], made["password"]) == (
        content.credentials.api_login,
        content.credentials.api_key.reveal(),
        content.password.reveal(),
    )
    assert server.key_of(made["api_login"]) == content.credentials.api_key.reveal()
    assert server.accepts(content.credentials)
