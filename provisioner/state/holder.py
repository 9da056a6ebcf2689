"""Who holds a state: what a lock or a lease says of the run that has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a state."""

    pid: int
    host: str
    user: str
    started_at: str
    ci_run: str | None = None
    """Address of the CI run, where there is one."""

    def __str__(self) -> str:
        run = f", {self.ci_run}" if self.ci_run else ""
        return f"process {self.pid} of {self.user} on {self.host}, since {self.started_at}{run}"
