"""What a run leaves behind for those who did not watch it: report, metrics, heartbeat, and the end of the log.

Owns when each of them is written. Everything is checked before the run begins; at its
end nothing of this hides or changes what the run did, but for the exit code 1 of one
that could not leave what it was to leave.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from provisioner import config
from provisioner.cli import failures, outfile, terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.config import Parent, Settings
from provisioner.errors import CommandInvalid, ExitCode, SettingInvalid
from provisioner.model.account import Secret
from provisioner.model.report import Report, exit_code
from provisioner.octopush.transport import Reply, Request, Transport
from provisioner.render import documents
from provisioner.state.disk import read_file
from provisioner.state.session import Session

_HEARTBEAT_SECONDS: Final = 5.0
_HURRIED_SECONDS: Final = 1.0
"""Where the run was asked to end: whoever asked will not wait for long."""
_HURRIED: Final = frozenset({ExitCode.INTERRUPTED, ExitCode.TERMINATED})


class Watch:
    """What one run tells of itself while it goes on."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.phases: dict[str, float] = {}
        """Seconds that each part of the run took."""
        self.sessions: dict[str, tuple[Parent, Session]] = {}
        """By the parent's name."""

    def follow(self, parent: Parent, session: Session) -> None:
        """Hear whose state the run holds; what it is in the end, the session tells."""
        self.sessions[parent.name] = (parent, session)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a part of the run."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = round(time.monotonic() - begun, 3)

    @property
    def duration(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._begun, 3)


Run = Callable[[Options, Settings, Watch], list[Report]]


def watched(options: Options, run: Run) -> int:
    """Carry ``run`` out, leave behind what the settings ask for, print its reports, and return the exit code."""
    outlets, watch = _Outlets(), Watch()
    try:
        # First, so that whoever waits for the call hears of settings that cannot be read.
        outlets.prepare_call(options["heartbeat_url"] or os.environ.get("PROVISIONER_HEARTBEAT_URL"), Path())
        settings = wiring.settings(options)
        outlets.prepare(options, settings)
        reports = run(options, settings, watch)
    except BaseException as error:
        failure = failures.told(error)
        outlets.keep(watch, failure.exit_code, documents.error(failure), whole=False)
        outlets.call(watch, failure.exit_code)
        raise
    code = exit_code(reports)
    if not outlets.keep(watch, code, documents.reports(reports), whole=True) and code is ExitCode.DONE:
        code = ExitCode.FAILURE
    try:
        terminal.reports(reports, options["output"])
    finally:
        outlets.call(watch, code)
    return code


class _Outlets:
    """Where a run leaves what; each is None until it is known that it may be left there."""

    def __init__(self) -> None:
        self._report: Path | None = None
        self._metrics: Path | None = None
        self._heartbeat: Secret | None = None
        self._settings: Settings | None = None

    def prepare_call(self, heartbeat: str | None, base: Path) -> None:
        """Make ready to call ``heartbeat``; raises SettingInvalid."""
        self._heartbeat = config.heartbeat(heartbeat or None, os.environ, base)

    def prepare(self, options: Options, settings: Settings) -> None:
        """Make ready what the settings ask for; what came before a fault stays so.

        Raises:
            CommandInvalid: the report cannot be written where it should be.
            SettingInvalid: the same of the metrics, or the heartbeat has no address.

        """
        self._settings = settings
        if settings.heartbeat_url is not None:
            self.prepare_call(settings.heartbeat_url, settings.base)
        taken = wiring.own_files(settings, options)
        report: Path | None = options["report"]
        if report is not None:
            outfile.require_free(report, taken)
            outfile.require_place(report)
            taken[report] = "the report"
            self._report = report
        if settings.metrics_file is not None:
            metrics = Path(settings.metrics_file)
            try:
                outfile.require_free(metrics, taken)
                outfile.require_place(metrics)
            except CommandInvalid as error:
                raise SettingInvalid(
                    f"The setting metrics_file is of no use. {error.message}", hint=f"{error.hint} Nothing was sent."
                ) from None
            self._metrics = metrics

    def keep(self, watch: Watch, code: ExitCode, document: documents.Document, *, whole: bool) -> bool:
        """Write the files, and tell whether that could be done; ``whole`` is whether the run came to every parent."""
        kept = True
        try:
            if self._report is not None:
                outfile.write(self._report, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        except CommandInvalid as error:
            terminal.warn(f"the report is lost: {error.message}")
            kept = False
        try:
            if self._metrics is not None:
                _write_metrics(self._metrics, watch, code, whole=whole)
        except OSError as error:
            terminal.warn(
                f"the metrics are as they were: {self._metrics} cannot be written: {error.strerror or error}."
            )
            kept = False
        return kept

    def call(self, watch: Watch, code: ExitCode) -> None:
        """Call the heartbeat's address, and end the log; that nobody hears it makes no run fail."""
        status = "success" if code is ExitCode.DONE else "failure"
        if self._heartbeat is not None and (deaf := self._called(self._heartbeat, status, code)) is not None:
            terminal.warn(f"the heartbeat was not heard: {deaf}.")
        terminal.event("finished", status=status, exit_code=int(code), duration=watch.duration, phases=watch.phases)

    def _called(self, url: Secret, status: str, code: ExitCode) -> str | None:
        """Call the heartbeat's address, and return why nobody heard, or None; the address may be a secret."""
        address = url.reveal().replace("{status}", status).replace("{exit_code}", str(int(code)))
        body = json.dumps({"version": 1, "status": status, "exit_code": int(code)}).encode()
        message = Request("POST", address, {"Content-Type": "application/json"}, body)
        patience = _HURRIED_SECONDS if code in _HURRIED else _HEARTBEAT_SECONDS
        known = () if self._settings is None else (self._settings.proxy, self._settings.ca_file)
        transport = Transport(patience, *known)
        answers: list[str | None] = []

        def call() -> None:
            outcome = transport.exchange(message)
            if isinstance(outcome, Reply):
                answers.append(None if outcome.status in range(200, 300) else f"it answered with HTTP {outcome.status}")
            else:
                answers.append(outcome.reason)

        # The look-up of a name knows no time-out, and must not hold up a run that has ended.
        caller = threading.Thread(target=call, daemon=True)
        caller.start()
        caller.join(patience)
        return answers[0] if answers else f"no answer within {patience:g} s"


def _write_metrics(path: Path, watch: Watch, code: ExitCode, *, whole: bool) -> None:
    """Write the metrics in the place of those of the run before; raises OSError."""
    from prometheus_client import write_to_textfile  # noqa: PLC0415  # only who wants metrics needs it

    from provisioner.render import metrics  # noqa: PLC0415

    before: metrics.Samples = {}
    try:
        before = metrics.parsed((read_file(path) or b"").decode())
    except (OSError, ValueError):
        terminal.warn(f"{path} held no metrics that can be read; when the last success was is not known any more.")
    seen = tuple(
        metrics.Seen(name, parent.limit, parent.reserved, session.state)
        for name, (parent, session) in watch.sessions.items()
    )
    run = metrics.Run(seen, code, round(time.time(), 3), watch.duration, watch.phases, whole)
    write_to_textfile(str(path), metrics.registry(metrics.after(run, before)))
