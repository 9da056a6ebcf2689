"""The outputs of a run for people and tools that did not watch it: report, metrics, page, heartbeat.

Owns when each one is written, and to which path. All paths are checked before the run begins.
At its end, a failure here never hides or changes the result of the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import (
    CommandInvalid,
    ExitCode,
    InterruptedRunError,
    PlanStale,
    ProvisionerError,
    SettingInvalid,
)
from provisioner.project import heartbeat
from provisioner.project.running import attempted
from provisioner.render import documents
from provisioner.settings import secrets

if TYPE_CHECKING:
    from provisioner.model.account import Secret
    from provisioner.model.shard import Shard
    from provisioner.placeholders.reading import Reader
    from provisioner.project.pages import PageRequest
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports

_HEARTBEAT_SECONDS: Final = 5.0
_INTERRUPTED_SECONDS: Final = 1.0
"""After an interruption: whoever sent the signal does not wait long."""
_INTERRUPTED: Final = frozenset({ExitCode.INTERRUPTED, ExitCode.TERMINATED})


class Outlets:
    """The outputs of one run; each is None until it is certain that it can be written."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._start = time.monotonic()
        self._report: Path | None = None
        self._metrics: Path | None = None
        self._page: PageRequest | None = None
        self._heartbeat: Secret | None = None
        self._project: Project | None = None
        self._parents: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._start, 3)

    def prepare_call(self, address: str | None, reader: Reader, base: Path) -> None:
        """Prepare the heartbeat at ``address``, with its placeholders relative to ``base``; raises SettingInvalid."""
        self._heartbeat = secrets.heartbeat((address or "").strip() or None, reader, base)

    def prepare(
        self,
        project: Project,
        manifests: Sequence[Path],
        report: Path | None,
        page: PageRequest | None,
        parents: Sequence[str] | None,
        shard: Shard | None,
    ) -> None:
        """Prepare the outputs in the settings, a ``report`` and a ``page``; after an error, those before it stay ready.

        ``parents`` and ``shard`` choose the parents of the run; None: they are not known yet.

        Raises:
            CommandInvalid: the report or the page cannot be written to its path.
            SettingInvalid: the metrics cannot be written to their path, or the heartbeat has no address.

        """
        self._project, settings = project, project.settings
        if parents is not None:
            known = settings.parents.keys() & (set(parents) or settings.parents.keys())
            self._parents = tuple(name for name in known if shard is None or name in shard)
        if settings.heartbeat_url is not None:
            self.prepare_call(settings.heartbeat_url, project.readers.heartbeat, settings.base)
        if report is None and page is None and settings.metrics_file is None:
            return
        from provisioner.project import outputs  # most runs leave no file

        taken = project.files(manifests)
        if report is not None:
            project.require_place(report, outputs.REPORT, taken)
            taken[report] = "the report"
            self._report = report
        if page is not None:
            project.require_place(page.path, outputs.PAGE, taken)
            taken[page.path] = "the page"
            self._page = page
        if settings.metrics_file is not None:
            path = Path(settings.metrics_file)
            try:
                project.require_place(path, outputs.METRICS, taken)
            except CommandInvalid as error:
                raise SettingInvalid(
                    f"The setting metrics_file cannot be used. {error.message}", hint=f"{error.hint} Nothing was sent."
                ) from None
            self._metrics = path

    def _withdraw(self) -> None:
        """Keep only outputs that a variable or a flag of this run names.

        If a plan is stale, its reviewer may not have seen the outputs in the settings file.
        """
        own = frozenset() if self._project is None else self._project.settings.stronger
        self._heartbeat = self._heartbeat if "heartbeat_url" in own else None
        self._metrics = self._metrics if "metrics_file" in own else None

    def write(self, done: Reports | ProvisionerError, phases: Mapping[str, float]) -> bool:
        """Write the report and the metrics of a run that ended with ``done``, and return whether both were written.

        ``phases`` has the duration of each part of the run, in seconds.
        """
        if isinstance(done, PlanStale):
            self._withdraw()
        written = True
        try:
            if self._report is not None:
                document = (
                    documents.error(done)
                    if isinstance(done, ProvisionerError)
                    else documents.reports(done.reports, done.digest)
                )
                from provisioner.project import outputs

                outputs.write(self._report, documents.text(document), outputs.REPORT)
        except CommandInvalid as error:
            self._warn(f"the report is lost: {error.message}")
            written = False
        try:
            if self._metrics is not None and self._project is not None:
                from provisioner.project import metrics

                metrics.write(self._metrics, self._project, done, self._parents, phases, self.duration, self._warn)
        except CommandInvalid as error:
            self._warn(f"the metrics were not updated: {error.message}")
            written = False
        return written

    def write_page(self, done: Reports | ProvisionerError) -> bool:
        """Write the page of a run that ended with ``done``, and return whether it was written.

        This comes last, because it reads every state once more. An interrupted run does not update the page.
        """
        if self._page is None or self._project is None or done.exit_code in _INTERRUPTED:
            return True
        from provisioner.project import pages

        try:
            failure = attempted(pages.write, self._page, self._project, done)
        except KeyboardInterrupt:
            failure = InterruptedRunError("Interrupted.")
        if failure is not None:
            self._warn(f"the page was not updated: {failure.message}")
        return failure is None

    def call(self, code: ExitCode) -> None:
        """Call the heartbeat's address; a failure is only a warning."""
        if self._heartbeat is None:
            return
        patience = _INTERRUPTED_SECONDS if code in _INTERRUPTED else _HEARTBEAT_SECONDS
        settings = None if self._project is None else self._project.settings
        connection = () if settings is None else (settings.proxy, settings.ca_file)
        if (reason := heartbeat.call(self._heartbeat, code, patience, *connection)) is not None:
            self._warn(f"the heartbeat was not received: {reason}.")
