"""A lease that somebody else wrote: it can show who is running, and do nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from provisioner.state.holder import Holder
from provisioner.state.lease import Lease, decode

LEASE = Lease("2d1e-7", Holder(7, "vm", "ci", "2026-01-01T00:00:00Z"), "2026-01-01T00:10:00Z")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_lease_is_read_as_it_was_written_and_ends() -> None:
    assert LEASE == decode(LEASE.encode())
    assert LEASE.is_over(NOON.replace(hour=0, minute=10))
    assert not LEASE.is_over(NOON.replace(hour=0, minute=9, second=59))


@pytest.mark.parametrize(
    "change",
    [
        *({"expires_at": each} for each in ("", 5, None, "soon", "2026-01-01", "2026-01-01T00:00:00")),
        *({"id": each} for each in ("", "a b", "$(id)", "x;id", "a\nb", "\x1b[2J", "\u00e9")),
        *({"holder": each} for each in (None, [], "x", {}, {"pid": 1, "other": 2})),
    ],
)
def test_an_unreadable_lease_is_ignored(change: dict[str, Any]) -> None:
    assert decode(json.dumps(json.loads(LEASE.encode()) | change).encode()) is None


@pytest.mark.parametrize("raw", [None, b"", b"null", b"[]", b"\xff", b"[" * 100_000])
def test_an_invalid_lease_is_ignored(raw: bytes | None) -> None:
    assert decode(raw) is None


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_time_at_the_end_of_all_days_stops_nobody(moment: str) -> None:
    lease = decode(json.dumps(json.loads(LEASE.encode()) | {"expires_at": moment}).encode())
    assert lease is None or lease.is_over(NOON) == moment.startswith("0")
