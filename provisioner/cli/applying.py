"""An apply, as ``apply`` and ``reconcile`` do it: with signals, a cluster, and everything that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.cli.failures import reported
from provisioner.errors import ExitCode, PlanStale
from provisioner.immutable import immutable
from provisioner.project import heartbeat
from provisioner.project.outlets import Outlets
from provisioner.render.events import INFO, Event
from provisioner.settings.readers import alone

if TYPE_CHECKING:
    from provisioner.cli.context import Context
    from provisioner.cli.reporter import ConsoleReporter
    from provisioner.model.shard import Shard
    from provisioner.project.bounds import Bounds
    from provisioner.project.pages import PageRequest
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports

Plan = Callable[["Project", "ConsoleReporter"], "Plans"]
Limit = Callable[["Project"], "Bounds"]
Approve = Callable[["Project", "Plans"], bool]


@immutable
class Work:
    """What an apply works with, and what it leaves."""

    context: Context
    output: str
    manifests: Sequence[Path]
    parents: Sequence[str] | None
    """The parents of the run; None: a saved plan has them."""
    shard: Shard | None
    report: Path | None
    jobs: int
    cluster: str | None
    rate: float | None
    page: PageRequest | None = None

    def run(self, plan: Plan, bounds: Limit, approve: Approve) -> int:
        """Apply what ``plan`` returns, write the outputs, print the reports, and return the exit code.

        If an output cannot be written, the code is 1, unless the run itself ended with another.
        """
        context, console = self.context, self.context.console
        outlets, phases = Outlets(console.warn), dict[str, float]()

        def end(code: ExitCode) -> None:
            outlets.call(code)
            status, taken = heartbeat.status_of(code), outlets.duration
            console.event(INFO, Event.FINISHED, status=status, exit_code=int(code), duration=taken, phases=phases)

        try:
            # First, so that the heartbeat is called even if the settings cannot be read.
            named = context.flags["heartbeat_url"] or context.environ.get("PROVISIONER_HEARTBEAT_URL")
            reader = alone(context.environ, Path(), interactive=console.is_interactive)
            outlets.prepare_call(None if named is None else str(named), reader, Path())
            project = context.open()
            outlets.prepare(project, self.manifests, self.report, self.page, self.parents, self.shard)
            with context.reporter(project) as reporter:
                phases = reporter.phases
                reports = self._applied(project, reporter, plan(project, reporter), bounds(project), approve)
            reports.require_any()
        except BaseException as error:
            failure = reported(error)
            if isinstance(failure, PlanStale):
                outlets.withdraw()
            outlets.write(failure, phases)
            outlets.write_page(failure)
            end(failure.exit_code)
            raise
        written = outlets.write(reports, phases)
        code = reports.exit_code
        try:
            context.show(reports, self.output)
        finally:
            written = outlets.write_page(reports) and written
            if not written and code is ExitCode.DONE:
                code = ExitCode.FAILURE
            end(code)
        return code

    def _applied(
        self, project: Project, reporter: ConsoleReporter, plans: Plans, bounds: Bounds, approve: Approve
    ) -> Reports:
        with self.context.cluster(self.cluster) as workers, self.context.interrupt() as interrupt:

            def armed(allowed: Plans) -> bool:
                agreed = approve(project, allowed)
                interrupt.arm()
                return agreed

            return project.apply(
                plans,
                approve=armed,
                bounds=bounds,
                jobs=self.jobs,
                cluster=workers,
                rate=self.rate,
                reporter=reporter,
                cancel=interrupt,
            )
