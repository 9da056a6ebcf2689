"""``provisioner apply``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    from provisioner.cli.reporters import ConsoleReporter
    from provisioner.model.shard import Shard
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project
    from provisioner.project.reports import Reports


@click.command(
    cls=Command,
    short_help="Create what is missing, change what differs.",
    examples=[
        ("provisioner apply", "Show the plan for manifests/, ask, and apply it."),
        ("provisioner apply --only paris", "Do this for one account."),
        ("provisioner apply --plan plan.json --yes", "Apply a saved and reviewed plan, without asking."),
    ],
)
@options.manifests
@options.parents
@options.shard
@options.only
@options.project(
    "limit",
    "reserved",
    "encoding",
    *options.CONNECTION,
    *options.CREATION,
    "lock_timeout",
    "metrics_file",
    "heartbeat_url",
)
@options.output("text", "json")
@options.log_format
@options.report
@click.option(
    "--plan", "saved", type=options.FILE, metavar="FILE",
    help="Apply exactly the plan that `plan --out FILE` saved; skip parents for which it is stale (9).",
)  # fmt: skip
@click.option(
    "--digest",
    metavar="HEX",
    help="With --plan: all 64 digits of the digest that was reviewed; nothing is sent for any other plan (9).",
)
@click.option(
    "--new-recipients",
    is_flag=True,
    help="Seal even if nobody who can open the state now could open what is sealed (else 4).",
)
@options.compact
@options.refresh
@options.jobs
@options.cluster
@options.apply_rate
@options.yes
@options.new_state
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    manifests: tuple[Path, ...],
    parents: tuple[str, ...],
    shard: Shard | None,
    only: tuple[str, ...],
    output: str,
    report: Path | None,
    saved: Path | None,
    digest: str | None,
    new_recipients: bool,
    compact: bool | None,
    refresh: bool,
    jobs: int,
    cluster: str | None,
    rate: int | None,
    yes: bool,
    new_state: bool,
) -> int:
    """Create what is missing, change what differs, and keep the credentials sealed.

    Makes a plan, shows it, asks, and applies exactly that plan: one account at a time, and
    several parents in parallel. Never deletes anything. Needs the parents' credentials and the
    recipients to seal to. Changing an account also needs an identity.

    With --refresh, it first looks for what somebody changed at Octopush, and changes it back.
    With --plan, it makes the saved plan again and compares the two, so exactly what was
    reviewed is applied. With --digest as well, the plan must have this digest, which every
    format of `plan` prints. If a create looks like an account that was renamed or moved, it asks
    about that account, even with --yes; without a terminal, it refuses (4).
    """
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.watched import watched
    from provisioner.project.bounds import Bounds

    console = context.console
    attended = console.is_interactive
    if digest is not None and saved is None:
        raise CommandInvalid("--digest needs --plan.", hint=f"Write `provisioner apply --plan FILE --digest {digest}`.")
    if saved is not None and (manifests or parents or shard or only or refresh):
        raise CommandInvalid(
            "A saved plan already contains its manifests, its parents, shard or accounts, and whether --refresh was"
            " given.",
            hint=f"Write `provisioner apply --plan {saved}`.",
        )

    if not yes and not attended:
        raise CommandInvalid(
            "There is no terminal to ask for confirmation.",
            hint="Look at `provisioner plan`, then apply with --yes. If there is no account and no state yet, add"
            " --new-state.",
        )

    def run(project: Project, reporter: ConsoleReporter) -> Reports:
        reporter.compact = compact
        if saved is not None:
            plans = project.reviewed(saved, digest=digest, jobs=jobs, rate=rate, reporter=reporter)
        else:
            plans = project.plan(
                manifests,
                parents=parents,
                shard=shard,
                only=only,
                refresh=refresh,
                wait=True,
                jobs=jobs,
                rate=rate,
                reporter=reporter,
            )
        # A saved plan, or an apply that asks nobody, must not begin a state: a wrong checkout has none either.
        begins = new_state or (attended and not yes and saved is None)
        # If there is a person, they are asked instead.
        bounds = Bounds(new_state=begins, lookalikes=attended, new_recipients=new_recipients or not yes)
        with options.cluster_at(cluster, choice) as workers, Interrupt(console.urgent) as interrupt:

            def approve(allowed: Plans) -> bool:
                for parent, error in () if yes else allowed.failures.items():
                    console.failure(error, parent)
                seals = yes or new_recipients or not allowed.shut_out or console.confirm(_SHUT_OUT, yes=False)
                # --yes must not confirm a rename that nobody has noticed.
                agreed = seals and all(console.confirm(each, yes=False) for each in doubts(allowed))
                agreed = agreed and console.confirm(question(allowed, project), yes=yes)
                interrupt.arm()
                return agreed

            return project.apply(
                plans,
                approve=approve,
                bounds=bounds,
                jobs=jobs,
                cluster=workers,
                rate=rate,
                reporter=reporter,
                cancel=interrupt,
            )

    chosen = parents if saved is None else None
    return watched(context, choice, run, manifests=manifests, parents=chosen, shard=shard, output=output, report=report)


_SHUT_OUT: Final = "Nobody who can open the state now could open what this apply seals. Seal it anyway?"


def doubts(plans: Plans) -> Iterator[str]:
    """Yield a question for each account to create that looks like a renamed one."""
    for plan in plans.plans:
        whose = f" of {plan.parent}" if len(plans.parents) > 1 else ""
        for change in plan.creates:
            if change.resembles is not None:
                yield (
                    f"{change.name} has the same names as {change.resembles}{whose}, which no manifest contains any"
                    f" more. Create {change.name} as another account?"
                )
            if (old := change.moved_from) is not None:
                yield (
                    f"{change.name} of {plan.parent} has the same names as {old.name} of {old.parent}, which no"
                    f" manifest contains any more. Octopush cannot move it. Create {change.name} as another account?"
                )


def question(plans: Plans, project: Project) -> str:
    """Return the question before ``plans`` are applied: what changes, for whom, where, and in which state."""
    from provisioner.render import conditions
    from provisioner.render.lines import counted, printable

    parts = [f"{verb} {count}" for verb, count in (("create", plans.creates), ("change", plans.updates)) if count]
    noun = "sub-account" if plans.creates + plans.updates == 1 else "sub-accounts"
    changed = {name: terms for name, each in plans.parents.items() if each.plan.pending and (terms := each.plan.terms)}
    place = f" at {project.settings.api_url}"
    match [*changed.items()]:
        case [(name, terms)]:
            whose = printable(terms.account or conditions.source(terms.login))
            whose = f"{name} ({whose})" if len(project.settings.parents) > 1 else whose
            state = printable(terms.state)
            place += f", {'and begin the state' if terms.begins else 'state in'} {state}"
        case _:
            begun = sum(terms.begins for terms in changed.values())
            whose = f"{len(changed)} parents"
            place += f", and begin {counted(begun, 'state')}" if begun else ""
    return f"{' and '.join(parts).capitalize()} {noun} of {whose}{place}?"
