"""What an operation did, parent by parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provisioner.model.report import Report, exit_code

if TYPE_CHECKING:
    from provisioner.errors import ExitCode, ProvisionerError
    from provisioner.model.state import State


@dataclass(frozen=True, slots=True)
class Reports:
    """The report of each parent, sorted by name."""

    reports: tuple[Report, ...]
    states: Mapping[str, State | None] = field(default_factory=dict, repr=False)
    """The state in which each parent that was held was left."""
    digest: str | None = None
    """That of the plans, where plans were carried out."""

    @property
    def exit_code(self) -> ExitCode:
        """The gravest of all."""
        return exit_code(self.reports)

    def require_any(self) -> None:
        """Raise the failure of the only parent where nothing was done for it: there is nothing else to report."""
        if len(self.reports) == 1 and (failure := self.reports[0].failure) is not None:
            raise failure


def failed(parent: str, failure: ProvisionerError) -> Report:
    """Return the report of a parent that nothing could be done for."""
    return Report(parent, (), failure=failure)
