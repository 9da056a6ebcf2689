"""The stores that runs share, each with a real server; what they hold is read by other code than the program's."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.proof.chaos.grounds import Ground, Local, Store
from tests.proof.chaos.tracing import NotSupported

if TYPE_CHECKING:
    from tests.state.stores.cluster import Cluster
    from tests.state.stores.storage import Storage

NewStore = Callable[[], Store]

_GIT: Final = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
_BRANCH: Final = "provisioner-state"


@contextmanager
def in_files(_: Path) -> Iterator[NewStore]:
    """Keep states in files: there is nothing to start."""
    yield Local


# ── git ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Git:
    """A branch of a bare repository on this machine."""

    name: str = "git"

    def prepare(self, ground: Ground) -> None:
        """Make the repository, and make the project's folder one with that remote."""
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(self._remote(ground)))
        _git("init", "--quiet", "--initial-branch=main", str(ground.folder))
        _git("-C", str(ground.folder), "remote", "add", "origin", self._remote(ground).as_uri())

    def settings(self, ground: Ground) -> Mapping[str, str]:
        """Return what the program finds."""
        del ground
        return {**_GIT, "PROVISIONER_STATE": f"git:origin/{_BRANCH}/{{parent}}.json"}

    def documents(self, ground: Ground) -> Mapping[str, bytes]:
        """Return what the tip of the branch has."""
        remote = f"--git-dir={self._remote(ground)}"
        listed = subprocess.run(["git", remote, "ls-tree", "--name-only", _BRANCH], capture_output=True, check=False)
        files = {f"{parent}.json": parent for parent in ground.parents}
        return {
            files[each]: _git(remote, "show", f"{_BRANCH}:{each}")
            for each in listed.stdout.decode().split()
            if each in files
        }

    def texts(self, ground: Ground) -> list[tuple[str, bytes]]:
        """Return every object of the remote and of the project's repository."""
        places = {"the remote": self._remote(ground), "the repository": ground.folder / ".git"}
        return [
            (name, _git(f"--git-dir={place}", "cat-file", "--batch-all-objects", "--batch"))
            for name, place in places.items()
        ]

    @staticmethod
    def _remote(ground: Ground) -> Path:
        return ground.root.parent / "remote.git"


def _git(*arguments: str) -> bytes:
    environ = {**os.environ, **_GIT}
    return subprocess.run(["git", *arguments], check=True, capture_output=True, env=environ).stdout


@contextmanager
def in_git(_: Path) -> Iterator[NewStore]:
    """Keep states in git: each run has a remote of its own."""
    yield Git


# ── PostgreSQL ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a server that all runs share."""

    cluster: Cluster
    name: str = "postgresql"
    place: str = field(default_factory=lambda: uuid.uuid4().hex)

    def prepare(self, ground: Ground) -> None:
        """A row is made by the first save."""

    def settings(self, ground: Ground) -> Mapping[str, str]:
        """Return what the program finds."""
        del ground
        return {
            "PGPASSWORD": self.cluster.password,
            "PROVISIONER_STATE": self.cluster.address(row=f"{self.place}-{{parent}}"),
        }

    def documents(self, ground: Ground) -> Mapping[str, bytes]:
        """Return the rows."""
        rows = {f"{self.place}-{parent}": parent for parent in ground.parents}
        found = self.cluster.sql("SELECT parent, document FROM provisioner_state WHERE parent = ANY(%s)", [*rows])
        return {rows[row]: bytes(document) for row, document in found}

    def texts(self, ground: Ground) -> list[tuple[str, bytes]]:
        """Return all columns of both tables."""
        del ground
        tables = ("provisioner_state", "provisioner_history")
        found = [
            self.cluster.sql(f"SELECT * FROM {table} WHERE parent LIKE %s", f"{self.place}-%")  # noqa: S608
            for table in tables
        ]
        return [(table, repr(rows).encode()) for table, rows in zip(tables, found, strict=True)]


@contextmanager
def in_postgresql(_: Path) -> Iterator[NewStore]:
    """Keep states in PostgreSQL."""
    with needed():
        from tests.state.stores.cluster import running_cluster  # noqa: PLC0415
    with needed(), running_cluster() as cluster:
        yield lambda: Rows(cluster)


# ── Object storage ───────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects below a prefix, on a server that all runs share."""

    storage: Storage
    name: str
    client: Any
    """obstore's own."""
    place: str = field(default_factory=lambda: uuid.uuid4().hex)

    def prepare(self, ground: Ground) -> None:
        """An object is made by the first save."""

    def settings(self, ground: Ground) -> Mapping[str, str]:
        """Return what the program finds."""
        del ground
        bucket = self.storage.address().split("/")[2]
        return {
            **self.storage.environ,
            "PROVISIONER_STATE": f"{self.storage.scheme}://{bucket}/{self.place}/{{parent}}",
        }

    def documents(self, ground: Ground) -> Mapping[str, bytes]:
        """Return the object with the highest number below each parent's prefix."""
        found = {}
        texts = dict(self.texts(ground))
        for parent in ground.parents:
            prefix = f"{self.place}/{parent}/"
            numbered = [path for path in texts if path.startswith(prefix) and path.removeprefix(prefix)[:-5].isdigit()]
            if numbered:
                found[parent] = texts[max(numbered)]
        return found

    def texts(self, ground: Ground) -> list[tuple[str, bytes]]:
        """Return every object."""
        del ground
        listed = [each["path"] for page in self.client.list(f"{self.place}/") for each in page]
        return [(path, bytes(self.client.get(path).bytes())) for path in listed]


@contextmanager
def in_s3(folder: Path) -> Iterator[NewStore]:
    """Keep states in S3, as SeaweedFS speaks it."""
    with needed():
        from obstore.store import S3Store  # noqa: PLC0415

        from tests.state.stores.storage import BUCKET, running_seaweed  # noqa: PLC0415
    with needed(), running_seaweed(folder) as storage:
        options = {"aws_endpoint": storage.environ["AWS_ENDPOINT_URL"], "aws_region": "us-east-1"}
        keys = {name.lower(): text for name, text in storage.environ.items() if "KEY" in name}
        config: Any = {**options, **keys}
        client = S3Store(BUCKET, config=config, client_options={"allow_http": True})
        yield lambda: Objects(storage, "s3", client)


@contextmanager
def in_azure(folder: Path) -> Iterator[NewStore]:
    """Keep states in Azure, as Azurite speaks it."""
    with needed():
        from obstore.store import AzureStore  # noqa: PLC0415

        from tests.state.stores.storage import BUCKET, running_azurite  # noqa: PLC0415
    with needed(), running_azurite(folder) as storage:
        config: Any = {name.lower(): text for name, text in storage.environ.items()}
        client = AzureStore(BUCKET, config=config, client_options={"allow_http": True})
        yield lambda: Objects(storage, "azure", client)


@contextmanager
def needed() -> Iterator[None]:
    """Say what is missing as NotSupported does."""
    try:
        yield
    except (ImportError, pytest.skip.Exception) as error:
        raise NotSupported(str(error)) from None
