"""The result of an operation, for each parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from provisioner.immutable import immutable
from provisioner.model.report import Report, exit_code

if TYPE_CHECKING:
    from provisioner.errors import ExitCode, ProvisionerError
    from provisioner.model.state import State


@immutable
class Reports:
    """The report of each parent, sorted by name."""

    reports: tuple[Report, ...]
    states: Mapping[str, State | None] = field(default_factory=dict, repr=False)
    """The state of each parent at the end, if it was held."""
    digest: str | None = None
    """The digest of the plans that were applied, if any."""

    @property
    def exit_code(self) -> ExitCode:
        """The gravest exit code of all reports."""
        return exit_code(self.reports)

    def require_any(self) -> None:
        """If there is only one parent and nothing was done for it, raise its failure."""
        if len(self.reports) == 1 and (failure := self.reports[0].failure) is not None:
            raise failure


def failed(parent: str, failure: ProvisionerError) -> Report:
    """Return the report of a parent for which nothing could be done."""
    return Report(parent, (), failure=failure)
