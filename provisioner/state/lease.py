"""Leases: which run is at work on a state that several machines can reach.

A lease informs people and decides nothing. The store's condition alone makes sure that only
one of two runs can save.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime

from provisioner.immutable import immutable
from provisioner.state.holder import Holder


@immutable
class Lease:
    """Says that a run is at work, until it ends or stops renewing the lease."""

    id: str
    holder: Holder
    expires_at: str
    """UTC, ISO 8601."""

    def is_over(self, now: datetime) -> bool:
        """Return whether the lease has expired."""
        return datetime.fromisoformat(self.expires_at) <= now

    def encode(self) -> bytes:
        """Return the lease as indented JSON."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def decode(raw: bytes | None) -> Lease | None:
    """Return the lease in ``raw``; None if there is none, or it cannot be read: it only informs people."""
    try:
        document = json.loads(raw or b"null")
        lease = Lease(str(document["id"]), Holder(**document["holder"]), document["expires_at"])
        # A time without a zone is useless; an id must be one word when it is copied into a shell.
        lease.is_over(datetime.now(UTC))
        if not re.fullmatch(r"[\w-]+", lease.id, re.ASCII):
            return None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return lease
