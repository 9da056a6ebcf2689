"""``provisioner plan``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import SettingInvalid

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project


@options.command(
    "Show what apply would do.",
    examples=[
        ("provisioner plan", "Plan all manifests in manifests/."),
        ("provisioner plan customers.csv --only paris", "Plan one account of one file."),
        ("provisioner plan --out plan.json", "Save the plan, for `apply --plan plan.json`."),
        ("provisioner plan --format html > plan.html", "Make a page for a reviewer."),
    ],
)
def command(
    *,
    manifests: options.Manifests,
    parents: options.Parents,
    shard: options.Shards,
    only: options.Only,
    context: Annotated[
        Context, options.settings("limit", "reserved", "encoding", *options.CONNECTION, *options.CREATION)
    ],
    output: Annotated[str, options.formats("text", "markdown", "json", "html")],
    out: Annotated[Path | None, "Save the plan, for `apply --plan FILE`; it contains no secret."],
    compact: options.Compact,
    detailed: Annotated[bool, options.option("Exit with 2 if changes are pending.", "--detailed-exitcode")],
    refresh: options.Refresh,
    jobs: options.Jobs,
    rate: options.Rate,
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
    project = context.open()
    if out is not None:
        from provisioner.project import outputs

        project.require_place(out, outputs.PLAN, project.files(manifests))
    with context.reporter(project) as reporter:
        plans = project.plan(
            manifests, parents=parents, shard=shard, only=only, refresh=refresh, jobs=jobs, rate=rate, reporter=reporter
        )
    plans.require_any()
    if refresh:
        _show_unchecked(console, plans)
    try:
        project.require_sealer(plans)
    except SettingInvalid as missing:
        console.warn(f"apply would refuse this plan. {missing.message} {missing.hint}")
    if out is not None:
        _save(console, project, plans, out)
    _show(console, project, plans, output, compact=compact)
    console.failed(plans.failures)
    for over in plans.over:
        console.failure(over)
    return plans.exit_code(detailed=detailed)


def _show_unchecked(console: "Console", plans: "Plans") -> None:
    from provisioner.render import advice, report

    for name, each in plans.parents.items():
        if each.refreshed is not None:
            whose = f"{name}: " if len(plans.parents) > 1 else ""
            for sentence in report.unchecked(each.refreshed.report):
                console.warn(f"{whose}{sentence}")
            stop = each.refreshed.report.stop
            if stop is not None and (hint := advice.hint(stop)):
                console.talk(f"  {hint}")


def _save(console: "Console", project: "Project", plans: "Plans", out: Path) -> None:
    if plans.failures:
        console.warn(f"the plan is not saved to {out}: {', '.join(plans.failures)} could not be planned.")
        return
    import shlex

    project.save_plan(plans, out)
    console.talk(f"Saved to {out}: `provisioner apply --plan {shlex.quote(str(out))}` applies exactly this plan.")


def _show(console: "Console", project: "Project", plans: "Plans", output: str, *, compact: bool | None) -> None:
    these, digest, unplanned = plans.plans, project.digest(plans), tuple(plans.failures)
    match output:
        case "json":
            from provisioner.render import documents

            document = documents.plans(these, plans.failures) | documents.logins(these)
            console.document({**document, "digest": digest})
        case "markdown":
            from provisioner.render import markdown, words

            console.data(markdown.plans(these, digest, unplanned, words.View(compact=compact)))
        case "html":
            from provisioner.render import html

            console.data(html.page(these, digest, unplanned))
        case _:
            from provisioner.render import text

            console.lines(text.plans(these, digest, console.view(console.stdout, compact=compact)))
