"""Runs that write a report, a page, metrics or a heartbeat, and how a report is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.cli import failures
from provisioner.cli.console import INFO
from provisioner.cli.events import Event
from provisioner.cli.progress import reporter_for
from provisioner.cli.reporters import ConsoleReporter
from provisioner.errors import ExitCode, InternalError, PlanStale
from provisioner.project import heartbeat
from provisioner.project.outlets import Outlets
from provisioner.render import documents
from provisioner.render import report as texts
from provisioner.settings.readers import alone

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.cli.options import Choice, Context
    from provisioner.model.shard import Shard
    from provisioner.project.pages import PageRequest
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports

Run = Callable[["Project", ConsoleReporter], "Reports"]


def watched(  # noqa: PLR0913  # the project, the run, and its outputs
    context: Context,
    choice: Choice,
    run: Run,
    *,
    manifests: Sequence[Path],
    parents: Sequence[str] | None,
    shard: Shard | None,
    output: str,
    report: Path | None,
    page: PageRequest | None = None,
) -> int:
    """Do ``run``, write the outputs that the settings ask for, print its reports, and return the exit code.

    ``parents`` and ``shard`` choose the parents of the run; None: a saved plan does. If an output
    cannot be written, the code is 1, unless the run itself ended with another.
    """
    console = context.console
    outlets, reporter = Outlets(console.warn), ConsoleReporter(console)

    def end(code: ExitCode) -> None:
        outlets.call(code)
        status, taken = heartbeat.status_of(code), outlets.duration
        console.event(INFO, Event.FINISHED, status=status, exit_code=int(code), duration=taken, phases=reporter.phases)

    try:
        # First, so that the heartbeat is called even if the settings cannot be read.
        named = choice.flags["heartbeat_url"] or context.environ.get("PROVISIONER_HEARTBEAT_URL")
        reader = alone(context.environ, Path(), interactive=console.is_interactive)
        outlets.prepare_call(None if named is None else str(named), reader, Path())
        project = choice.open(context)
        outlets.prepare(project, manifests, report, page, parents, shard)
        with reporter_for(console, len(project.settings.parents)) as reporter:
            reports = run(project, reporter)
        reports.require_any()
    except BaseException as error:
        failure = failures.reported(error)
        if isinstance(failure, PlanStale):
            outlets.withdraw()
        outlets.write(failure, reporter.phases)
        outlets.write_page(failure)
        end(failure.exit_code)
        raise
    code, written = reports.exit_code, outlets.write(reports, reporter.phases)
    try:
        show(console, reports, output)
    finally:
        written = outlets.write_page(reports) and written
        if not written and code is ExitCode.DONE:
            code = ExitCode.FAILURE
        end(code)
    return code


def show(console: Console, reports: Reports, output: str) -> None:
    """Print what an operation did, as text or as JSON; with JSON, standard error says why it ended early."""
    for each in reports.reports:
        if isinstance(each.failure, InternalError):
            console.raw(failures.trace(each.failure))
    if output == "json":
        console.document(documents.reports(reports.reports, reports.digest))
    else:
        for each in reports.reports:
            console.lines(texts.text(each, console.view(console.stdout)))
    console.endings(reports.reports, are_read=output != "json")
