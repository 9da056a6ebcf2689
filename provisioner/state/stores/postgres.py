"""A state in PostgreSQL: a row for each parent, and a second table with all saves.

A save is one statement, which changes the row only if it still has the document that was loaded.
So it can safely be sent twice: the second time, the condition no longer holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Final

from provisioner.errors import SettingInvalid, StateNotSaved, StateUnreachable
from provisioner.model import address as addresses
from provisioner.model.revision import Revision
from provisioner.state.lease import Lease, decode
from provisioner.state.stores import ABSENT, Note, moved, version
from provisioner.state.stores.server import ServerRow, StateServer

_ADDRESS: Final = re.compile(r"(?P<conninfo>postgresql://[^#\s]*)#(?P<parent>[\w.@][\w.@/-]{0,199})")

SCHEMA: Final = """\
CREATE TABLE IF NOT EXISTS provisioner_state (
    parent text PRIMARY KEY,
    document bytea NOT NULL,
    lease jsonb,
    saved_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS provisioner_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent text NOT NULL,
    lineage text NOT NULL,
    serial bigint NOT NULL,
    document bytea NOT NULL,
    what text NOT NULL,
    saved_by text NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS provisioner_history_newest ON provisioner_history (parent, lineage, serial);
"""
"""Also in docs/stores.md, for people who create the tables by hand."""

_IS_READY: Final = """
SELECT to_regclass('provisioner_state') IS NOT NULL AND to_regclass('provisioner_history') IS NOT NULL
"""
# One statement, so that the state is never older than the history that it is compared with.
_LOAD: Final = """
SELECT (SELECT document FROM provisioner_state WHERE parent = %(parent)s),
       (SELECT json_object_agg(lineage, newest) FROM (
            SELECT lineage, max(serial) AS newest FROM provisioner_history WHERE parent = %(parent)s GROUP BY lineage
        ) AS known)
"""
_FIRST: Final = """
WITH saved AS (
    INSERT INTO provisioner_state (parent, document, lease) VALUES (%(parent)s, %(document)s, %(lease)s::jsonb)
    ON CONFLICT DO NOTHING
    RETURNING parent
)
"""
_NEXT: Final = """
WITH saved AS (
    UPDATE provisioner_state
    SET document = %(document)s, lease = coalesce(%(lease)s::jsonb, lease), saved_at = now()
    WHERE parent = %(parent)s AND encode(sha256(document), 'hex') = %(expected)s
    RETURNING parent
)
"""
# In the same statement, so that every save is in the history.
_KEEP: Final = """
, kept AS (
    INSERT INTO provisioner_history (parent, lineage, serial, document, what, saved_by)
    SELECT parent, %(lineage)s, %(serial)s, %(document)s, %(what)s, %(by)s FROM saved WHERE %(serial)s > 0
)
SELECT count(*) FROM saved
"""
# A save that changes no row: the server still checks the rights.
_TRY: Final = """
WITH first AS (
    INSERT INTO provisioner_state (parent, document, lease) SELECT %(parent)s, '', NULL WHERE false
), next AS (
    UPDATE provisioner_state SET document = '', lease = NULL, saved_at = now() WHERE false
), kept AS (
    INSERT INTO provisioner_history (parent, lineage, serial, document, what, saved_by)
    SELECT %(parent)s, '', 0, '', '', '' WHERE false
)
SELECT
"""
_LEASE: Final = "SELECT lease::text FROM provisioner_state WHERE parent = %(parent)s"
_END: Final = """
UPDATE provisioner_state SET lease = NULL WHERE parent = %(parent)s AND lease->>'id' = %(lease)s RETURNING parent
"""
_HISTORY: Final = """
SELECT serial, lineage, saved_at, what, saved_by FROM provisioner_history WHERE parent = %(parent)s ORDER BY id DESC
"""
_REVISION: Final = """
SELECT document FROM provisioner_history WHERE parent = %(parent)s AND serial = %(serial)s ORDER BY id DESC LIMIT 1
"""


class PostgresBackend:
    """See :class:`provisioner.state.stores.remote.Backend`; used by one thread at a time."""

    keeps_history = True

    def __init__(self, address: str, open_server: Callable[[str], StateServer]) -> None:
        """``open_server`` takes libpq's connection string. Raises SettingInvalid if ``address`` is not valid."""
        if addresses.holds_password(address):
            raise SettingInvalid(
                "The address of the state contains a password, which every plan would show.",
                hint="Set it in PGPASSWORD, in ~/.pgpass, or in a service file of PostgreSQL.",
            )
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise SettingInvalid(
                f"{address} is not the address of a state in PostgreSQL.",
                hint="Write postgresql://USER@HOST/DATABASE#{parent}: an address for psql, then # and the name of the"
                " row.",
            )
        self.address = address
        self._parent = match["parent"]
        self._server = open_server(match["conninfo"])
        self._serials: Mapping[str, int] = {}
        """The highest serial of each lineage in the history, as of the last load."""

    @property
    def key(self) -> str:
        """The same for every user of the tables."""
        return f"{self._server.key}#{self._parent}"

    def prepare(self) -> bool:
        """Create the tables if there are none."""
        if self._one(_IS_READY)[0]:
            return False
        self._ask(SCHEMA)
        return True

    # ── The state ────────────────────────────────────────────────────────────

    def load(self) -> tuple[bytes | None, str]:
        """Read the row, and the highest serials in the history."""
        document, serials = self._one(_LOAD)
        self._serials = serials or {}
        return document, version(document)

    def try_out(self) -> str:
        """Run a save that changes nothing: it needs the same rights."""
        self._ask(_TRY)
        return "the role may save, and the server accepts writes"

    def newest(self, lineage: str | None) -> int:
        """See :class:`Backend`."""
        return max(self._serials.values(), default=0) if lineage is None else self._serials.get(lineage, 0)

    def save(self, raw: bytes, expected_version: str, note: Note, lease: Lease | None) -> str:
        """Change the row if it is the one that was loaded; a run with a lease keeps its connection open."""
        given = {
            "document": raw,
            "expected": expected_version,
            "lease": None if lease is None else lease.encode().decode(),
            "lineage": note.lineage,
            "serial": note.serial,
            # Existing tables have no column for the lines of history, so they are appended to this one.
            "what": "\n".join((note.what, *note.lines)),
            "by": "" if lease is None else str(lease.holder),
        }
        statement = (_FIRST if expected_version == ABSENT else _NEXT) + _KEEP
        try:
            ((saved,),), is_again = self._ask(statement, keep=lease is not None, **given)
            if not saved and not (is_again and self.load()[1] == version(raw)):
                raise moved(self.address)
        except StateUnreachable as error:
            raise StateNotSaved(f"The save failed. {error.message}", hint=error.hint) from error
        return version(raw)

    # ── Who is at work ───────────────────────────────────────────────────────

    def lease(self) -> Lease | None:
        """Read the lease in the row."""
        rows, _ = self._ask(_LEASE)
        return decode(rows[0][0].encode()) if rows and rows[0][0] is not None else None

    def end(self, lease: str) -> None:
        """Remove the lease from the row."""
        self._ask(_END, lease=lease)

    # ── Its history ──────────────────────────────────────────────────────────

    def history(self) -> tuple[Revision, ...]:
        """Read the saves of this state from the second table."""
        rows, _ = self._ask(_HISTORY)
        return tuple(
            Revision(serial, lineage, at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), what.partition("\n")[0], by)
            for serial, lineage, at, what, by in rows
        )

    def record(self, note: Note) -> None:
        """Do nothing: the save had the lines."""

    def recorded(self) -> tuple[str, ...]:
        """See :class:`Backend`."""
        rows, _ = self._ask(_HISTORY)
        return tuple(line for _, _, _, what, _ in reversed(rows) for line in what.split("\n")[1:])

    def revision(self, serial: int) -> bytes | None:
        """See :class:`Backend`."""
        rows, _ = self._ask(_REVISION, serial=serial)
        return rows[0][0] if rows else None

    def _one(self, statement: str) -> ServerRow:
        return self._ask(statement)[0][0]

    def _ask(self, statement: str, *, keep: bool = False, **given: object) -> tuple[list[ServerRow], bool]:
        return self._server.ask(statement, {"parent": self._parent, **given}, keep=keep)
