"""What a run leaves behind for those who did not watch it: report, metrics, heartbeat, and the end of the log.

Owns when each of them is written. Everything is checked before the run begins; at its
end nothing of this hides or changes what the run did, but for the exit code 1 of one
that could not leave what it was to leave.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner.cli import failures
from provisioner.cli.console import INFO
from provisioner.cli.progress import reporter
from provisioner.cli.reporters import ConsoleReporter
from provisioner.errors import CommandInvalid, ExitCode, SettingInvalid
from provisioner.project import heartbeat, metrics, outputs
from provisioner.render import documents
from provisioner.render import report as texts
from provisioner.settings import secrets

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.cli.options import Choice, Context
    from provisioner.model.account import Secret
    from provisioner.project.applying import Reports
    from provisioner.project.project import Project

_HEARTBEAT_SECONDS: Final = 5.0
_HURRIED_SECONDS: Final = 1.0
"""Where the run was asked to end: whoever asked will not wait for long."""
_HURRIED: Final = frozenset({ExitCode.INTERRUPTED, ExitCode.TERMINATED})

Run = Callable[["Project", ConsoleReporter], "Reports"]


def watched(  # noqa: PLR0913  # which project, what it leaves, and what it does
    context: Context, choice: Choice, run: Run, *, manifests: Sequence[Path], output: str, report: Path | None
) -> int:
    """Carry ``run`` out, leave behind what the settings ask for, print its reports, and return the exit code."""
    console = context.console
    outlets = _Outlets(context)
    reports: Reports | None = None
    hears: ConsoleReporter | None = None
    try:
        # First, so that whoever waits for the call hears of settings that cannot be read.
        named = choice.flags["heartbeat_url"] or context.environ.get("PROVISIONER_HEARTBEAT_URL")
        outlets.prepare_call(None if named is None else str(named), Path())
        project = choice.open(context)
        hears = reporter(console, len(project.settings.parents))
        outlets.prepare(project, manifests, report)
        with hears:
            reports = run(project, hears)
        reports.require_any()
    except BaseException as error:
        failure = failures.reported(error)
        outlets.keep(reports, failure.exit_code, documents.error(failure), hears)
        outlets.call(failure.exit_code, hears)
        raise
    code = reports.exit_code
    if not outlets.keep(reports, code, documents.reports(reports.reports), hears) and code is ExitCode.DONE:
        code = ExitCode.FAILURE
    try:
        show(console, reports, output)
    finally:
        outlets.call(code, hears)
    return code


def show(console: Console, reports: Reports, output: str) -> None:
    """Print what an operation did, as text or as JSON; of the latter, why it ended early is talk."""
    if output != "json":
        for each in reports.reports:
            console.lines(texts.text(each))
        return
    console.document(documents.reports(reports.reports))
    console.talk(*texts.endings(reports.reports))


class _Outlets:
    """Where a run leaves what; each is None until it is known that it may be left there."""

    def __init__(self, context: Context) -> None:
        self._console = context.console
        self._environ = context.environ
        self._begun = time.monotonic()
        self._report: Path | None = None
        self._metrics: Path | None = None
        self._heartbeat: Secret | None = None
        self._project: Project | None = None

    def prepare_call(self, address: str | None, base: Path) -> None:
        """Make ready to call ``address``; raises SettingInvalid."""
        self._heartbeat = secrets.heartbeat(address or None, self._environ, base)

    def prepare(self, project: Project, manifests: Sequence[Path], report: Path | None) -> None:
        """Make ready what the settings ask for; what came before a fault stays so.

        Raises:
            CommandInvalid: the report cannot be written where it should be.
            SettingInvalid: the same of the metrics, or the heartbeat has no address.

        """
        self._project, settings = project, project.settings
        if settings.heartbeat_url is not None:
            self.prepare_call(settings.heartbeat_url, settings.base)
        if report is None and settings.metrics_file is None:
            return
        taken = project.files(manifests)
        if report is not None:
            outputs.require_free(report, taken)
            outputs.require_place(report)
            taken[report] = "the report"
            self._report = report
        if settings.metrics_file is not None:
            path = Path(settings.metrics_file)
            try:
                outputs.require_free(path, taken)
                outputs.require_place(path)
            except CommandInvalid as error:
                raise SettingInvalid(
                    f"The setting metrics_file cannot be used. {error.message}", hint=f"{error.hint} Nothing was sent."
                ) from None
            self._metrics = path

    def keep(
        self,
        reports: Reports | None,
        code: ExitCode,
        document: documents.Document,
        hears: ConsoleReporter | None,
    ) -> bool:
        """Write the files, and return whether that could be done."""
        kept = True
        try:
            if self._report is not None:
                outputs.write_json(self._report, document, ascii_only=False)
        except CommandInvalid as error:
            self._console.warn(f"the report is lost: {error.message}")
            kept = False
        try:
            if self._metrics is not None and self._project is not None and hears is not None:
                metrics.write(self._metrics, self._project, reports, code, hears.phases, self._duration, hears)
        except OSError as error:
            self._console.warn(
                f"the metrics are as they were: {self._metrics} cannot be written: {error.strerror or error}."
            )
            kept = False
        return kept

    def call(self, code: ExitCode, hears: ConsoleReporter | None) -> None:
        """Call the heartbeat's address, and end the log; that nobody hears it makes no run fail."""
        if self._heartbeat is not None:
            patience = _HURRIED_SECONDS if code in _HURRIED else _HEARTBEAT_SECONDS
            settings = None if self._project is None else self._project.settings
            known = () if settings is None else (settings.proxy, settings.ca_file)
            if (unheard := heartbeat.call(self._heartbeat, code, patience, *known)) is not None:
                self._console.warn(f"the heartbeat was not received: {unheard}.")
        self._console.event(
            INFO,
            "finished",
            status=heartbeat.status_of(code),
            exit_code=int(code),
            duration=self._duration,
            phases={} if hears is None else hears.phases,
        )

    @property
    def _duration(self) -> float:
        return round(time.monotonic() - self._begun, 3)
