"""How one sandbox is to behave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provisioner.model.account import Secret
from provisioner.sandbox.faults import Fault

MADE_UP_KEY: Final = Secret("sandbox")


@dataclass(frozen=True, slots=True)
class Settings:
    """How one sandbox is to behave."""

    port: int = 0
    """0: any that is free."""
    limit: int = 20
    latency: float = 0.0
    """Seconds between the processing of a request and its answer."""
    ledger: Path | None = None
    faults: tuple[Fault, ...] = ()
    api_login: str = "parent@example.com"
    api_key: Secret = MADE_UP_KEY
