"""The context of a command: its console, its environment, and the project that it opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from provisioner.errors import CommandInvalid, ExitCode, InternalError
from provisioner.immutable import immutable

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.reporter import ConsoleReporter
    from provisioner.model.state import State
    from provisioner.project.parent import Parent
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports
    from provisioner.project.spreading import Cluster


@immutable
class Context:
    """What every command gets."""

    console: Console
    environ: Mapping[str, str]
    config: Path | None = None
    """The settings file that ``--config`` names."""
    flags: Mapping[str, object] = field(default_factory=dict)
    """The settings that flags override."""

    def open(self) -> Project:
        """Return the project; raises SettingInvalid."""
        from provisioner.project.project import Project

        try:
            Path.cwd()
        except FileNotFoundError:
            raise CommandInvalid(
                "The current folder no longer exists.", hint="Change to an existing folder, and run the command again."
            ) from None
        # Another settings file does not change the folder that paths are relative to.
        return Project.open(
            self.config,
            environ=self.environ,
            flags=self.flags,
            folder=Path(),
            interactive=self.console.is_interactive,
        )

    def reporter(self, project: Project) -> ConsoleReporter:
        """Return the reporter of an operation on ``project``."""
        from provisioner.cli.reporter import ConsoleReporter

        return ConsoleReporter(self.console, len(project.settings.parents))

    def interrupt(self) -> Interrupt:
        """Return what makes signals end an operation between two requests."""
        from provisioner.cli.interrupt import Interrupt

        return Interrupt(self.console.urgent)

    def asking(self, name: str, question: str, *, yes: bool) -> Callable[[Parent, State], bool]:
        """Return what asks a ``question`` about the account ``name``, below its parent and its state."""

        def confirm(parent: Parent, state: State) -> bool:
            from provisioner.render import questions

            about = questions.about(parent.name, parent.terms(), name, state.accounts.get(name))
            return self.console.confirm("\n".join((*about, question)), yes=False)

        return lambda parent, state: yes or confirm(parent, state)

    def read(self, name: str) -> tuple[str, str]:
        """Return the text of a file, or of standard input for ``-``, and its name in messages."""
        from provisioner.project.recovering import read_log

        if name != "-":
            return read_log(Path(name), name), name
        source = "standard input"
        return read_log(cast("BinaryIO", click.open_file(name, "rb")), source), source

    @contextmanager
    def cluster(self, address: str | None) -> Iterator[Cluster | None]:
        """Connect to the cluster that ``--executor`` names, if any; raises SettingInvalid."""
        if address is None:
            yield None
            return
        from provisioner.project import worker

        with worker.opened(address, self.config, self.flags) as cluster:
            yield cluster

    def show(self, reports: Reports, output: str) -> ExitCode:
        """Print what an operation did, as text or as JSON, and return its exit code."""
        from provisioner.cli import failures
        from provisioner.render import documents
        from provisioner.render import report as texts

        console = self.console
        for each in reports.reports:
            if isinstance(each.failure, InternalError):
                console.raw(failures.trace(each.failure))
        if output == "json":
            console.document(documents.reports(reports.reports, reports.digest))
        else:
            for each in reports.reports:
                console.lines(texts.text(each, console.view(console.stdout)))
        # With JSON, standard error says why it ended early.
        console.endings(reports.reports, are_read=output != "json")
        return reports.exit_code
