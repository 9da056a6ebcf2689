"""What a run leaves behind for those who did not watch it: report, metrics, page, heartbeat.

Owns when each of them is written, and where it may be. Everything is checked before the
run begins; at its end nothing of this hides or changes what the run did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.errors import CommandInvalid, ExitCode, InterruptedRunError, ProvisionerError, SettingInvalid
from provisioner.project import heartbeat
from provisioner.project.running import attempted
from provisioner.render import documents
from provisioner.settings import secrets

if TYPE_CHECKING:
    from provisioner.model.account import Secret
    from provisioner.placeholders.reading import Reader
    from provisioner.project.pages import PageRequest
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports

_HEARTBEAT_SECONDS: Final = 5.0
_HURRIED_SECONDS: Final = 1.0
"""Where the run was asked to end: whoever asked will not wait for long."""
_HURRIED: Final = frozenset({ExitCode.INTERRUPTED, ExitCode.TERMINATED})


class Outlets:
    """Where one run leaves what; each is None until it is known that it may be left there."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._begun = time.monotonic()
        self._report: Path | None = None
        self._metrics: Path | None = None
        self._page: PageRequest | None = None
        self._heartbeat: Secret | None = None
        self._project: Project | None = None

    @property
    def duration(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._begun, 3)

    def prepare_call(self, address: str | None, reader: Reader, base: Path) -> None:
        """Make ready to call ``address``, its placeholders relative to ``base``; raises SettingInvalid."""
        self._heartbeat = secrets.heartbeat((address or "").strip() or None, reader, base)

    def prepare(
        self, project: Project, manifests: Sequence[Path], report: Path | None, page: PageRequest | None
    ) -> None:
        """Make ready what the settings ask for, a ``report`` and a ``page``; what came before a fault stays so.

        Raises:
            CommandInvalid: the report or the page cannot be written where it should be.
            SettingInvalid: the same of the metrics, or the heartbeat has no address.

        """
        self._project, settings = project, project.settings
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

    def withdraw(self) -> None:
        """Leave word only where a variable or a flag of this run says.

        Of a plan that is stale, what the settings' file says may be the very thing that was never reviewed.
        """
        own = frozenset() if self._project is None else self._project.settings.stronger
        self._heartbeat = self._heartbeat if "heartbeat_url" in own else None
        self._metrics = self._metrics if "metrics_file" in own else None

    def keep(self, done: Reports | ProvisionerError, phases: Mapping[str, float]) -> bool:
        """Write report and metrics of a run that came to ``done``, and return whether that could be done.

        ``phases`` are the seconds that each part took.
        """
        reports = None if isinstance(done, ProvisionerError) else done
        kept = True
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
            kept = False
        try:
            if self._metrics is not None and self._project is not None:
                from provisioner.project import metrics

                code, duration = done.exit_code, self.duration
                metrics.write(self._metrics, self._project, reports, code, phases, duration, self._warn)
        except CommandInvalid as error:
            self._warn(f"the metrics are as they were: {error.message}")
            kept = False
        return kept

    def keep_page(self, done: Reports | ProvisionerError) -> bool:
        """Write the page of a run that came to ``done``, and return whether that could be done.

        It reads every state once more, and so comes last. A run that was asked to end leaves the page as it was.
        """
        if self._page is None or self._project is None or done.exit_code in _HURRIED:
            return True
        from provisioner.project import pages

        try:
            failure = attempted(pages.write, self._page, self._project, done)
        except KeyboardInterrupt:
            failure = InterruptedRunError("Interrupted.")
        if failure is not None:
            self._warn(f"the page is as it was: {failure.message}")
        return failure is None

    def call(self, code: ExitCode) -> None:
        """Call the heartbeat's address; that nobody hears it makes no run fail."""
        if self._heartbeat is None:
            return
        patience = _HURRIED_SECONDS if code in _HURRIED else _HEARTBEAT_SECONDS
        settings = None if self._project is None else self._project.settings
        known = () if settings is None else (settings.proxy, settings.ca_file)
        if (unheard := heartbeat.call(self._heartbeat, code, patience, *known)) is not None:
            self._warn(f"the heartbeat was not received: {unheard}.")
