"""Makes the client that speaks to Octopush for one parent, from the settings."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from provisioner.cli.interrupt import Interrupt
from provisioner.config import Settings
from provisioner.model.account import Credentials
from provisioner.octopush.client import Client, Exchange
from provisioner.octopush.pace import Paced
from provisioner.octopush.retry import RetryPolicy
from provisioner.octopush.transport import Transport


def client(
    credentials: Credentials,
    settings: Settings,
    waiting: Callable[[str], None],
    interrupt: Interrupt | None = None,
    *,
    carrier: Exchange | None = None,
) -> Client:
    """Return a client; ``waiting`` hears why it waits, and ``carrier`` carries what it sends.

    With ``interrupt`` a signal ends a wait and keeps what follows from being sent.
    Without, for commands that only read, a signal ends the command at once.
    """
    return Client(
        base_url=settings.api_url.rstrip("/"),
        parent=credentials,
        transport=carrier or direct(settings),
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


def direct(settings: Settings) -> Exchange:
    """Return what carries requests as the settings say."""
    return Transport(settings.timeout, settings.proxy, settings.ca_file)


def paced(settings: Settings, rate: float) -> Exchange:
    """Return what carries the requests of any number of clients, no more than ``rate`` of them begun in a second."""
    return Paced(direct(settings), rate, clock=time.monotonic, sleep=time.sleep)


def new_id() -> str:
    """Return a new operation's id."""
    return str(uuid.uuid4())


def _never() -> bool:
    return False


def _utc_now() -> datetime:
    return datetime.now(UTC)
