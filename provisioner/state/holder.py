"""The holder of a state: what a lock or a lease says about the run that has it."""

from __future__ import annotations

from provisioner.immutable import immutable


@immutable
class Holder:
    """The run that holds a state."""

    pid: int
    host: str
    user: str
    started_at: str
    ci_run: str | None = None
    """The address of the CI run, if there is one."""

    def __str__(self) -> str:
        run = f", {self.ci_run}" if self.ci_run else ""
        return f"process {self.pid} of {self.user} on {self.host}, since {self.started_at}{run}"
