"""Who says to be at work on a state that several machines can reach.

A lease tells people; it decides nothing. That of two runs only one saves is the affair of
the store's condition, whatever a lease says.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from provisioner.state.holder import Holder


@dataclass(frozen=True, slots=True)
class Lease:
    """That a run is at work, until it ends or has not been heard of for a while."""

    id: str
    holder: Holder
    expires_at: str
    """UTC, as the state writes a time."""

    def is_over(self, now: datetime) -> bool:
        """Tell whether nobody has to wait for it any more."""
        return datetime.fromisoformat(self.expires_at) <= now

    def encode(self) -> bytes:
        """Return it as JSON, a line for each member."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def decode(raw: bytes | None) -> Lease | None:
    """Return the lease that ``raw`` is; None where it is none: a lease that nobody can read tells nothing."""
    try:
        document = json.loads(raw or b"null")
        lease = Lease(str(document["id"]), Holder(**document["holder"]), document["expires_at"])
        # A time without a zone tells nothing, nor does an id that, copied into a shell, would be more than one word.
        lease.is_over(datetime.now(UTC))
        if not re.fullmatch(r"[\w-]+", lease.id, re.ASCII):
            return None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return lease
