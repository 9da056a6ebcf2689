"""The settings of one sandbox."""

from __future__ import annotations

from pathlib import Path

from provisioner.immutable import immutable
from provisioner.sandbox.faults import Fault
from provisioner.sandbox.parent import SandboxParent


@immutable
class SandboxSettings:
    """How one sandbox behaves."""

    port: int = 0
    """0: any free one."""
    parents: tuple[SandboxParent, ...] = (SandboxParent(),)
    """At least one, each with its own login; accounts in a ledger without a parent belong to the first."""
    latency: float = 0.0
    """Seconds between the processing of a request and its answer."""
    ledger: Path | None = None
    faults: tuple[Fault, ...] = ()
