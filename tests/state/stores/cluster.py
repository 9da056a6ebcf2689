"""A PostgreSQL server of the tests' own, with the tables and the roles that the manual describes."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from provisioner.state.stores.postgres import PostgresBackend
from provisioner.state.stores.server import PATIENCE, StateServer
from tests.state.stores.remotes import Machine

PASSWORD: Final = "pass-of-a-role-4f7a"
APPLIES: Final = "applies"
PLANS: Final = "plans"
OUTSIDE: Final = "outside"
TLS_ONLY: Final = "tls_only"
UNLISTED: Final = "unlisted"
DATABASE: Final = "states"
_MANUAL: Final = Path(__file__).resolve().parents[3] / "docs" / "stores.md"
_HBA: Final = f"""\
local all,replication all trust
hostssl all {TLS_ONLY} 127.0.0.1/32 scram-sha-256
host all {TLS_ONLY},{UNLISTED} 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""
_CHEAP: Final = ("fsync=off", "shared_buffers=16MB", "autovacuum=off", "jit=off", "listen_addresses=127.0.0.1")
_STARTS_WITHIN: Final = 60.0


def statements() -> str:
    """Return the SQL of the manual."""
    return "".join(re.findall(r"^```sql\n(.+?)^```", _MANUAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))


@dataclass(frozen=True, slots=True)
class Cluster:
    """The server and its address."""

    folder: Path
    """Its own, where its socket is too."""
    port: int
    password: str = PASSWORD
    """That of every role."""

    def sql(self, statement: str, *given: object, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run a statement as the owner of everything."""
        with self._connected(database) as connection:
            connection.autocommit = True
            cursor = connection.execute(statement.encode(), given or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def held(self, statement: str, *given: object) -> Iterator[None]:
        """Hold what a statement locks for the length of a ``with``, and take back what it did."""
        with self._connected(DATABASE) as connection:
            connection.execute(statement.encode(), given)
            yield
            connection.rollback()

    def waiting(self) -> int:
        """Return how many connections wait for a lock."""
        return int(self.sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0])

    def _connected(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database)

    def address(
        self, user: str = APPLIES, *, database: str = DATABASE, port: int = 0, query: str = "", row: str = ""
    ) -> str:
        """Return the address of a state: a new one if no ``row`` is given."""
        row = row or f"row-{uuid.uuid4()}"
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}{query}#{row}"

    def machine(
        self, folder: Path, address: str, environ: Mapping[str, str] | None = None, patience: float = PATIENCE
    ) -> Machine:
        """Return a machine that reaches the state at ``address``, and knows the password."""
        known = {"PGPASSWORD": PASSWORD} if environ is None else environ

        def backend(_: Path) -> PostgresBackend:
            return PostgresBackend(address, lambda given: StateServer(address, given, known, lambda _: None, patience))

        folder.mkdir(exist_ok=True)
        return Machine(folder, backend)

    @contextmanager
    def standby(self) -> Iterator[Cluster]:
        """Run a standby of it, which has TLS, for the length of a ``with``."""
        with _own_folder() as folder:
            source = ("-h", str(self.folder), "-p", str(self.port), "-U", "postgres")
            _run("pg_basebackup", *source, "-D", str(folder / "data"), "-c", "fast", "--no-sync", "-R")
            kind = ("-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
            names = ("-subj", "/CN=states", "-addext", "subjectAltName=IP:127.0.0.1")
            files = ("-keyout", str(folder / "data" / "server.key"), "-out", str(folder / "data" / "server.crt"))
            _run("openssl", "req", *kind, *names, *files)
            with _serving(folder, "ssl=on") as made:
                yield made


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a server for the length of a ``with``; skip the test if it is not installed."""
    with _own_folder() as folder:
        options = ("--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8", "--auth=trust")
        _run("initdb", "-D", str(folder / "data"), "-U", "postgres", "--wal-segsize=1", *options)
        (folder / "data" / "pg_hba.conf").write_text(_HBA)
        with _serving(folder) as made:
            for role in (APPLIES, PLANS, OUTSIDE, TLS_ONLY, UNLISTED):
                made.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'", database="postgres")
            made.sql(f"CREATE DATABASE {DATABASE}", database="postgres")
            made.sql(statements())
            made.sql(f"GRANT {PLANS} TO {TLS_ONLY}")
            yield made


@contextmanager
def _serving(folder: Path, *more: str) -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [word for each in (*_CHEAP, *more, f"unix_socket_directories={folder}") for word in ("-c", each)]
    command = [_program("postgres"), "-D", str(folder / "data"), "-p", str(port), *options]
    made = Cluster(folder, port)
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, **_who()) as process:
        try:
            deadline = time.monotonic() + _STARTS_WITHIN
            while True:
                try:
                    made.sql("SELECT 1", database="postgres")
                    break
                except psycopg.OperationalError:
                    said = (folder / "log").read_text()
                    assert process.poll() is None, said
                    assert time.monotonic() < deadline, said
                    time.sleep(0.02)
            yield made
        finally:
            process.send_signal(signal.SIGINT)  # it also ends open connections


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Make a folder that the server can reach: it does not run as root, whose temporary folders are its own."""
    # Not below that of the tests, which may be long: the path of a socket is short.
    folder = Path(tempfile.mkdtemp(prefix="provisioner-postgres-", dir="/tmp"))
    try:
        if who := _who():
            os.chown(folder, who["user"], who["group"])
        yield folder
    finally:
        shutil.rmtree(folder)


def _who() -> dict[str, Any]:
    """Return the user that runs the server's programs: never root."""
    if os.getuid() != 0:
        return {}
    known = {each.pw_name: each for each in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(name: str, *arguments: str) -> None:
    done = subprocess.run([_program(name), *arguments], capture_output=True, text=True, check=False, cwd="/", **_who())
    assert done.returncode == 0, done.stderr


def _program(name: str) -> str:
    """Return the path of a program of the server: Debian does not add it to PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{name} is not installed here; `make tools` fetches it")
    return found
