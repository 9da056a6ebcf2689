"""A PostgreSQL server: how to connect to it and run statements, and what its refusals mean.

Owns the connection. Everything that libpq would take from environment variables and from the
home folder is read from the given environment and passed to it: it looks up nothing by itself.
"""

from __future__ import annotations

import configparser
import os
import pwd
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from provisioner.errors import SettingInvalid, StateUnreachable

ServerRow: TypeAlias = tuple[Any, ...]

PATIENCE: Final = 20.0
"""Seconds that one statement may take, whether or not the server answers."""
_CONNECT_TIMEOUT: Final = "10"
_TRIES: Final = 5
_PAUSE: Final = 0.5
_MAX_MESSAGE: Final = 300
_AT_HOME: Final = {
    "passfile": ".pgpass",
    "sslcert": ".postgresql/postgresql.crt",
    "sslkey": ".postgresql/postgresql.key",
    "sslrootcert": ".postgresql/root.crt",
    "sslcrl": ".postgresql/root.crl",
}
_NEVER_EMPTY: Final = {"require_auth", "sslcertmode", "min_protocol_version", "max_protocol_version"}
_ENDED: Final = ("08", "40", "57P")
"""SQLSTATEs of a lost connection or a conflict between transactions: the statement can be repeated."""

_RIGHTS: Final = "Grant the role the rights that the manual lists in its chapter on stores."
_TLS: Final = "Put sslmode and sslrootcert into the address, as in ?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem."
_PRIMARY: Final = (
    "It is a standby, or the role may only read. Name the primary in `state`, or all servers with"
    " ?target_session_attrs=read-write."
)
_REFUSALS: Final = tuple(
    (re.compile(words), means, hint)
    for words, means, hint in (
        (
            r"password authentication failed|no password supplied",
            "does not accept the password",
            "Set the right one in PGPASSWORD, in a service file, or in ~/.pgpass, which only you may read.",
        ),
        (
            r"database \".*\" does not exist",
            "has no such database",
            "Correct `state`, or ask the server's administrator to create it.",
        ),
        (
            r"role \".*\" does not exist|authentication failed for user",
            "does not know the user",
            "Name the right one in `state`, as in postgresql://USER@HOST/DATABASE#{parent}, or in PGUSER.",
        ),
        (
            r"(?s)^(?!.*SSL encryption).*pg_hba\.conf.*no encryption$",
            "refuses this user from here without TLS",
            f"{_TLS} Or ask the server's administrator to allow it in pg_hba.conf.",
        ),
        (r"does not support SSL", "has no TLS, which the address requires", "Turn it on at the server."),
        (r"[Cc]ertificate", "does not have the certificate that the address requires", _TLS),
        (
            r"pg_hba\.conf|permission denied for database",
            "refuses this user from here",
            "Ask the server's administrator to allow it in pg_hba.conf, and to GRANT CONNECT on the database.",
        ),
        (
            r"too many connections|too many clients|connection slots",
            "has no connection left",
            "Use fewer --jobs, or allow more connections.",
        ),
        (r"session is read-only|hot standby mode", "does not accept writes", _PRIMARY),
    )
)


class StateServer:
    """The server of one address; used by one thread at a time."""

    def __init__(
        self,
        address: str,
        conninfo: str,
        environ: Mapping[str, str],
        sleep: Callable[[float], None],
        patience: float = PATIENCE,
    ) -> None:
        """``conninfo`` is libpq's connection string; raises SettingInvalid if it is not valid."""
        self._address = address
        self._open: psycopg.Connection | None = None
        try:
            self._parameters = _parameters(conninfo, environ)
            self._conninfo = make_conninfo(**self._parameters)
        except psycopg.ProgrammingError as error:
            raise SettingInvalid(
                f"{address} is not the address of a PostgreSQL server: {_message(error)}.",
                hint="Write postgresql://USER@HOST/DATABASE#{parent}.",
            ) from None
        self._sleep = sleep
        self._patience = patience

    @property
    def key(self) -> str:
        """The same for every user: where the tables are."""
        found = self._parameters
        where = f"{found['host'] or found['hostaddr']}:{found['port']}/{found['dbname'] or found.get('user')}"
        return f"postgresql://{where}{found['options'] and '?'}{found['options']}"

    def ask(self, statement: str, given: Mapping[str, object], *, keep: bool = False) -> tuple[list[ServerRow], bool]:
        """Return the rows, and whether an earlier answer was lost, so that ``statement`` may have run twice.

        ``keep`` leaves the connection open for the next statement.

        Raises:
            StateUnreachable: the server does not answer, or refuses.

        """
        failure: psycopg.Error | None = None
        for attempt in range(_TRIES):
            if attempt:
                self._sleep(_PAUSE * attempt)
            try:
                connection = self._connection()
            except psycopg.Error as error:
                if failure is None:
                    raise self._refused(error) from error
                failure = error
                continue
            try:
                with self._in_time(connection):
                    cursor = connection.execute(statement.encode(), given)
                    rows = cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                connection.close()
                if not _is_over(error):
                    raise self._failed(error) from error
                failure = error
            else:
                self._open = connection if keep else None
                if not keep:
                    connection.close()
                return rows, attempt > 0
        reason = _message(failure) if failure else ""
        raise StateUnreachable(
            f"The connection to {self._address} was lost, and it is unknown whether the last statement was carried"
            f" out: {reason}.",
            hint="Run it again once the server is reachable.",
        ) from failure

    def __del__(self) -> None:
        """Close the open connection of a run that failed."""
        if self._open is not None:
            self._open.close()

    def _connection(self) -> psycopg.Connection:
        if self._open is not None and not self._open.closed:
            return self._open
        connection = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        try:
            with self._in_time(connection):
                # An acknowledged save must be on the server's disk, whatever its default is.
                connection.execute(
                    f"SET synchronous_commit = on; SET statement_timeout = {int(self._patience * 1000)}".encode()
                )
        except psycopg.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _in_time(self, connection: psycopg.Connection) -> Iterator[None]:
        """Cut the connection if the server does not answer: libpq would wait forever."""
        with socket.socket(fileno=os.dup(connection.fileno())) as wire:

            def cut() -> None:
                with suppress(OSError):
                    wire.shutdown(socket.SHUT_RDWR)

            timer = threading.Timer(self._patience * 1.5, cut)
            timer.daemon = True
            timer.start()
            try:
                yield
            finally:
                timer.cancel()

    def _refused(self, error: psycopg.Error) -> StateUnreachable:
        """Return the error for a failed connection."""
        text = str(error)
        for words, means, hint in _REFUSALS:
            if words.search(text):
                return StateUnreachable(f"The server of {self._address} {means}: {_message(error)}.", hint=hint)
        return StateUnreachable(
            f"{self._address} cannot be reached: {_message(error)}.",
            hint="Check that the server runs, and that host and port are right: psql accepts the address up to the #.",
        )

    def _failed(self, error: psycopg.Error) -> StateUnreachable:
        """Return the error for a failed statement."""
        match error:
            case errors.UndefinedTable() | errors.UndefinedColumn() | errors.InvalidSchemaName():
                means = "has no tables for states"
                hint = "`provisioner state migrate` creates them, once for all states."
            case errors.InsufficientPrivilege():
                means, hint = "does not allow this user to do that", _RIGHTS
            case errors.ReadOnlySqlTransaction():
                means, hint = "does not accept writes", _PRIMARY
            case errors.QueryCanceled():
                means, hint = "took too long", "Find what locks the row of this state in pg_stat_activity and pg_locks."
            case _:
                means, hint = "reported an error", "Correct that, then run again."
        return StateUnreachable(f"{self._address} {means}: {_message(error)}.", hint=hint)


def _is_over(error: psycopg.Error) -> bool:
    is_of_the_connection = isinstance(error, psycopg.OperationalError)
    return is_of_the_connection and (error.sqlstate is None or error.sqlstate.startswith(_ENDED))


def _message(error: psycopg.Error) -> str:
    """Return the server's message in one line; libpq's messages contain no password."""
    text = error.diag.message_primary or re.sub(r"^connection (failed|is bad): ", "", str(error))
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split()).rstrip(".")
    return f"{text[:_MAX_MESSAGE]}…" if len(text) > _MAX_MESSAGE else text


# ── Connection parameters ────────────────────────────────────────────────────


def _parameters(conninfo: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return every parameter that libpq would read from a variable or the home folder; raises ProgrammingError."""
    given = {name: str(text) for name, text in conninfo_to_dict(conninfo).items()}
    # Without a home folder, a folder that does not exist keeps libpq from looking for one.
    home = Path(environ.get("HOME") or "/nonexistent")
    found = {"connect_timeout": _CONNECT_TIMEOUT, "application_name": "provisioner", **_user()}
    found |= {name: str(home / path) for name, path in _AT_HOME.items()}
    for each in pq.Conninfo.get_defaults():
        name = each.keyword.decode()
        if each.envvar and (text := environ.get(each.envvar.decode())):
            found[name] = text
        elif each.envvar and name not in found and name not in _NEVER_EMPTY:
            found[name] = (each.compiled or b"").decode()
    service = given.get("service") or found["service"]
    found |= _of_service(service, home, environ) if service else {}
    found |= given
    del found["service"]
    return found | {"client_encoding": "UTF8"}


def _user() -> dict[str, str]:
    with suppress(KeyError):
        return {"user": pwd.getpwuid(os.getuid()).pw_name}
    return {}


def _of_service(name: str, home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a service from the first service file that has it; raises SettingInvalid."""
    files = [Path(environ.get("PGSERVICEFILE") or home / ".pg_service.conf")]
    if folder := environ.get("PGSYSCONFDIR"):
        files.append(Path(folder) / "pg_service.conf")
    for file in files:
        parser = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=False)
        try:
            parser.read_string(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            # The parser's message may quote a password.
            raise SettingInvalid(
                f"{file} cannot be read as a service file of PostgreSQL ({type(error).__name__}).", hint="Correct it."
            ) from None
        if parser.has_section(name):
            return dict(parser.items(name))
    raise SettingInvalid(
        f"There is no service {name} in {' or '.join(map(str, files))}.",
        hint="Correct the name in `state` or in PGSERVICE, or set PGSERVICEFILE.",
    )
