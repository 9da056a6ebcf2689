"""Makes the client that speaks to Octopush for one parent, from the settings."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from provisioner.cli.interrupt import Interrupt
from provisioner.config import Settings
from provisioner.model.account import Credentials
from provisioner.octopush.client import Client
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Transport


def client(
    credentials: Credentials,
    settings: Settings,
    waiting: Callable[[str], None],
    interrupt: Interrupt | None = None,
) -> Client:
    """Return a client; ``waiting`` hears why it waits.

    With ``interrupt`` a signal ends a wait and keeps what follows from being sent.
    Without, for commands that only read, a signal ends the command at once.
    """
    return Client(
        base_url=settings.api_url.rstrip("/"),
        parent=credentials,
        transport=Transport(settings.timeout, settings.proxy, settings.ca_file),
        retry=RetryPolicy(
            attempts=settings.attempts,
            budget=settings.retry_budget,
            retry_after_cap=settings.retry_after_cap,
            sleep=time.sleep if interrupt is None else interrupt.sleep,
            interrupted=_never if interrupt is None else interrupt.is_set,
            waiting=waiting,
        ),
        now=_utc_now,
        retry_on_503=settings.retry_on_503,
    )


def new_id() -> str:
    """Return a new operation's id."""
    return str(uuid.uuid4())


def _never() -> bool:
    return False


def _utc_now() -> datetime:
    return datetime.now(UTC)
