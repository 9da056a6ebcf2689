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
from dataclasses import dataclass
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
from provisioner.render import report as faces
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
    settings = wiring.settings(options)
    outlets = _Outlets.checked(options, settings)
    watch = Watch()
    try:
        reports = run(options, settings, watch)
    except BaseException as error:
        failure = failures.told(error)
        outlets.keep(watch, failure.exit_code, documents.error(failure), whole=False)
        outlets.call(watch, failure.exit_code)
        raise
    code = exit_code(reports)
    if not outlets.keep(watch, code, faces.document(reports), whole=True) and code is ExitCode.DONE:
        code = ExitCode.FAILURE
    try:
        terminal.reports(reports, options["output"])
    finally:
        outlets.call(watch, code)
    return code


@dataclass(frozen=True, slots=True)
class _Outlets:
    """Where a run leaves what; each is None where it is not wanted."""

    report: Path | None
    metrics: Path | None
    heartbeat: Secret | None
    settings: Settings

    @classmethod
    def checked(cls, options: Options, settings: Settings) -> _Outlets:
        """Return those of the settings, of which each file can be written; raises CommandInvalid or SettingInvalid."""
        report: Path | None = options["report"]
        if report is not None:
            outfile.require_place(report)
        metrics = None if settings.metrics_file is None else Path(settings.metrics_file)
        if metrics is not None:
            try:
                outfile.require_place(metrics)
            except CommandInvalid as error:
                raise SettingInvalid(
                    f"The setting metrics_file is of no use. {error.message}", hint=f"{error.hint} Nothing was done."
                ) from None
        return cls(report, metrics, config.heartbeat(settings, os.environ), settings)

    def keep(self, watch: Watch, code: ExitCode, document: documents.Document, *, whole: bool) -> bool:
        """Write the files, and tell whether that could be done; ``whole`` is whether the run came to every parent."""
        kept = True
        try:
            if self.report is not None:
                outfile.write(self.report, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        except CommandInvalid as error:
            terminal.warn(f"the report is lost: {error.message}")
            kept = False
        try:
            if self.metrics is not None:
                _write_metrics(self.metrics, watch, code, whole=whole)
        except OSError as error:
            terminal.warn(f"the metrics are as they were: {self.metrics} cannot be written: {error.strerror or error}.")
            kept = False
        return kept

    def call(self, watch: Watch, code: ExitCode) -> None:
        """Call the heartbeat's address, and end the log; that nobody hears it makes no run fail."""
        status = "success" if code is ExitCode.DONE else "failure"
        if self.heartbeat is not None and (deaf := self._called(self.heartbeat, status, code)) is not None:
            terminal.warn(f"the heartbeat was not heard: {deaf}.")
        terminal.event("finished", status=status, exit_code=int(code), duration=watch.duration, phases=watch.phases)

    def _called(self, url: Secret, status: str, code: ExitCode) -> str | None:
        """Call the heartbeat's address, and return why nobody heard, or None; the address may be a secret."""
        address = url.reveal().replace("{status}", status).replace("{exit_code}", str(int(code)))
        body = json.dumps({"version": 1, "status": status, "exit_code": int(code)}).encode()
        message = Request("POST", address, {"Content-Type": "application/json"}, body)
        patience = _HURRIED_SECONDS if code in _HURRIED else _HEARTBEAT_SECONDS
        transport = Transport(patience, self.settings.proxy, self.settings.ca_file)
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
        before = metrics.parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except ValueError:
        terminal.warn(f"{path} held no metrics that can be read; when the last success was is not known any more.")
    seen = tuple(
        metrics.Seen(name, parent.limit, parent.reserved, session.state)
        for name, (parent, session) in watch.sessions.items()
    )
    run = metrics.Run(seen, code, round(time.time(), 3), watch.duration, watch.phases, whole)
    write_to_textfile(str(path), metrics.registry(metrics.after(run, before)))
