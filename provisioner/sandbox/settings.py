"""How one sandbox is to behave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provisioner.sandbox.faults import Fault
from provisioner.sandbox.parent import SandboxParent


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How one sandbox is to behave."""

    port: int = 0
    """0: any that is free."""
    parents: tuple[SandboxParent, ...] = (SandboxParent(),)
    """At least one, each with a login of its own; what a ledger holds without a parent is the first one's."""
    latency: float = 0.0
    """Seconds between the processing of a request and its answer."""
    ledger: Path | None = None
    faults: tuple[Fault, ...] = ()
