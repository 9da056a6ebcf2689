"""``provisioner plan``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import SettingInvalid

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.cli.reporters import ConsoleReporter
    from provisioner.model.shard import Shard
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project


_NAMED: Final = 20
"""How many accounts one warning names; it only counts the rest."""


@click.command(
    cls=Command,
    short_help="Show what apply would do.",
    examples=[
        ("provisioner plan", "Plan all manifests in manifests/."),
        ("provisioner plan customers.csv --only paris", "Plan one account of one file."),
        ("provisioner plan --out plan.json", "Save the plan, for `apply --plan plan.json`."),
        ("provisioner plan --format html > plan.html", "Make a page for a reviewer."),
    ],
)
@options.manifests
@options.parents
@options.shard
@options.only
@options.project("limit", "reserved", "encoding", *options.CONNECTION, *options.CREATION)
@options.output("text", "markdown", "json", "html")
@click.option(
    "--out",
    type=options.FILE,
    metavar="FILE",
    help="Save the plan, for `apply --plan FILE`; it contains no secret.",
)
@options.compact
@options.detailed
@options.refresh
@options.jobs
@options.rate
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
    out: Path | None,
    detailed: bool,
    compact: bool | None,
    refresh: bool,
    jobs: int,
    rate: int,
) -> int:
    """Show what apply would do, and the slots used, planned and left.

    The plan begins with the settings that differ from their defaults and, for each parent, the
    address, the source of its login, and the place of the state. It ends with the digest of
    all that, for `apply --plan FILE --digest HEX`. It needs no secret and no network.

    With --refresh, it reads the accounts at Octopush first. That needs the parents' credentials
    and an identity, and saves nothing. It exits with 7 if an account could not be checked, and
    with 10 if Octopush does not accept the credentials.
    """
    console = context.console
    project = choice.open(context)
    if out is not None:
        from provisioner.project import outputs

        project.require_place(out, outputs.PLAN, project.files(manifests))
    reporter = _reporter(console, project, refresh=refresh)
    with reporter:
        plans = project.plan(
            manifests, parents=parents, shard=shard, only=only, refresh=refresh, jobs=jobs, rate=rate, reporter=reporter
        )
    plans.require_any()
    _say_unchecked(console, plans)
    try:
        project.require_sealer(plans)
    except SettingInvalid as missing:
        console.warn(f"apply would refuse this plan. {missing.message} {missing.hint}")
    if out is not None:
        _save(console, project, plans, out)
    _show(console, project, plans, output, compact=compact)
    for parent, error in plans.failures.items():
        console.failure(error, parent)
    for over in plans.over:
        console.failure(over)
    return plans.exit_code(detailed=detailed)


def _reporter(console: Console, project: Project, *, refresh: bool) -> ConsoleReporter:
    """Return the reporter; only a refresh needs one that shows progress."""
    if not refresh:
        from provisioner.cli.reporters import ConsoleReporter

        return ConsoleReporter(console)
    from provisioner.cli.progress import reporter_for

    return reporter_for(console, len(project.settings.parents))


def _say_unchecked(console: Console, plans: Plans) -> None:
    """Report which accounts could not be checked, and why."""
    from provisioner.render import advice, words

    for name, each in plans.parents.items():
        if each.refreshed is None:
            continue
        whose = f"{name}: " if len(plans.parents) > 1 else ""
        once: dict[str, list[str]] = {}
        for outcome in each.refreshed.report.outcomes:
            if outcome.exit_code:
                reason = advice.reason(outcome) or ""
                same = next((each for each in once if reason.endswith(each)), reason)
                once.setdefault(same, []).append(outcome.name)
        for reason, names in once.items():
            console.warn(f"{whose}{''.join(words.listed(names, _NAMED))} could not be checked: {reason}.")
        stop = each.refreshed.report.stop
        if stop is not None and (hint := advice.hint(stop)):
            console.talk(f"  {hint}")


def _save(console: Console, project: Project, plans: Plans, out: Path) -> None:
    if plans.failures:
        console.warn(f"the plan is not saved to {out}: {', '.join(plans.failures)} could not be planned.")
        return
    project.save_plan(plans, out)
    console.talk(f"Saved to {out}: `provisioner apply --plan {shlex.quote(str(out))}` applies exactly this plan.")


def _show(console: Console, project: Project, plans: Plans, output: str, *, compact: bool | None) -> None:
    match output:
        case "json":
            from provisioner.render import documents

            document = documents.plans(plans.plans, plans.failures) | documents.logins(plans.plans)
            console.document({**document, "digest": project.digest(plans)})
        case "markdown":
            from provisioner.render import markdown, words

            view = words.View(compact=compact)
            console.data(markdown.plans(plans.plans, project.digest(plans), tuple(plans.failures), view))
        case "html":
            from provisioner.render import html

            console.data(html.page(plans.plans, project.digest(plans), tuple(plans.failures)))
        case _:
            from provisioner.render import text

            view = console.view(console.stdout, compact=compact)
            console.lines(text.plans(plans.plans, project.digest(plans), view))
