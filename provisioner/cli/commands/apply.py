"""``provisioner apply``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioner.cli import options
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    from provisioner.cli.reporters import ConsoleReporter
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports


@click.command(short_help="Create what is missing.")
@options.manifests
@options.parents
@options.project(
    "limit",
    "reserved",
    *options.CONNECTION,
    "retry_on_503",
    "lock_timeout",
    "keep_going",
    "metrics_file",
    "heartbeat_url",
)
@options.output("text", "json")
@options.log_format
@options.report
@click.option(
    "--plan", "saved", type=options.FILE, metavar="FILE",
    help="Do exactly what `plan --out FILE` saved; nothing to a parent for which it is stale (9).",
)  # fmt: skip
@options.refresh
@options.jobs
@options.apply_rate
@options.yes
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    manifests: tuple[Path, ...],
    parents: tuple[str, ...],
    output: str,
    report: Path | None,
    saved: Path | None,
    refresh: bool,
    jobs: int,
    rate: int | None,
    yes: bool,
) -> int:
    """Create what is missing, one account at a time, and keep the credentials sealed.

    Plans, shows the plan, asks, and does exactly that; several parents are worked on side
    by side. Needs the parents' credentials and the recipients to seal to. With --refresh,
    what somebody changed at Octopush is found first, and changed back. With --plan, the
    saved plan is made again and compared: what was reviewed is what happens.
    """
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.watched import watched

    console = context.console
    if not yes and not console.is_interactive:
        raise CommandInvalid(
            "There is no terminal to ask on.", hint="Look at `provisioner plan`, then apply with --yes."
        )
    if saved is not None and (manifests or parents or refresh):
        raise CommandInvalid(
            "A saved plan says by itself from which manifests it was made, for which parents, and whether --refresh was"
            " given.",
            hint=f"Write `provisioner apply --plan {saved}`.",
        )

    def run(project: Project, hears: ConsoleReporter) -> Reports:
        if saved is not None:
            plans = project.reviewed(saved, jobs=jobs, rate=rate, reporter=hears)
        else:
            plans = project.plan(
                manifests, parents=parents, refresh=refresh, wait=True, jobs=jobs, rate=rate, reporter=hears
            )
        with Interrupt(console.urgent) as interrupt:

            def approve(allowed: Plans) -> bool:
                for parent, error in () if yes else allowed.failures.items():
                    console.failure(error, parent)
                agreed = console.confirm(question(allowed), yes=yes)
                interrupt.arm()
                return agreed

            return project.apply(plans, approve=approve, jobs=jobs, rate=rate, reporter=hears, cancel=interrupt)

    return watched(context, choice, run, manifests=manifests, output=output, report=report)


def question(plans: Plans) -> str:
    """Return what a person is asked before ``plans`` are carried out."""
    parts = [f"{verb} {count}" for verb, count in (("create", plans.creates), ("change", plans.updates)) if count]
    noun = "sub-account" if plans.creates + plans.updates == 1 else "sub-accounts"
    changed = [name for name, each in plans.parents.items() if each.plan.creates or each.plan.updates]
    whose = f" of {len(changed)} parents" if len(changed) > 1 else f" of {changed[0]}" if len(plans.parents) > 1 else ""
    return f"{' and '.join(parts).capitalize()} {noun}{whose}?"
