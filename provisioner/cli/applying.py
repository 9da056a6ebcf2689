"""An apply, as ``apply`` and ``reconcile`` do it: with signals, a cluster, and everything that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.cli.failures import reported
from provisioner.errors import ExitCode, ProvisionerError
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
    report: Path | None
    manifests: Sequence[Path]
    parents: Sequence[str] | None
    """The parents of the run; None: a saved plan has them."""
    shard: Shard | None
    jobs: int
    cluster: str | None
    rate: float | None
    page: PageRequest | None = None

    def run(self, plan: Plan, bounds: Limit, approve: Approve) -> int:
        """Apply what ``plan`` returns, write the outputs, print the reports, and return the exit code.

        If an output cannot be written, the code is 1, unless the run itself ended with another.
        """
        context = self.context
        outlets, phases = Outlets(context.console.warn), dict[str, float]()
        try:
            # First, so that the heartbeat is called even if the settings cannot be read.
            named = context.flags["heartbeat_url"] or context.environ.get("PROVISIONER_HEARTBEAT_URL")
            reader = alone(context.environ, Path(), interactive=context.console.is_interactive)
            outlets.prepare_call(None if named is None else str(named), reader, Path())
            project = context.open()
            outlets.prepare(project, self.manifests, self.report, self.page, self.parents, self.shard)
            with context.reporter(project) as reporter:
                phases = reporter.phases
                reports = self._applied(project, reporter, plan(project, reporter), bounds(project), approve)
            reports.require_any()
        except BaseException as error:
            self._end(reported(error), outlets, phases)
            raise
        return self._end(reports, outlets, phases)

    def _end(self, done: Reports | ProvisionerError, outlets: Outlets, phases: Mapping[str, float]) -> ExitCode:
        """Write the outputs of a run that ended with ``done``, print its reports, and return the exit code."""
        written, code = outlets.write(done, phases), done.exit_code
        try:
            if not isinstance(done, ProvisionerError):
                self.context.show(done, self.output)
        finally:
            written = outlets.write_page(done) and written
            if not written and code is ExitCode.DONE:
                code = ExitCode.FAILURE
            outlets.call(code)
            self.context.console.event(
                INFO, Event.FINISHED, status=heartbeat.status_of(code), exit_code=int(code), duration=outlets.duration,
                phases=phases,
            )  # fmt: skip
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
