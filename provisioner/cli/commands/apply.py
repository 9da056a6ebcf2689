"""``provisioner apply``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    from provisioner.cli.reporter import ConsoleReporter
    from provisioner.project.plans import Plans
    from provisioner.project.project import Project

_SHUT_OUT: Final = "Nobody who can open the state now could open what this apply seals. Seal it anyway?"


@options.command(
    "Create what is missing, change what differs.",
    examples=[
        ("provisioner apply", "Show the plan for manifests/, ask, and apply it."),
        ("provisioner apply --only paris", "Do this for one account."),
        ("provisioner apply --plan plan.json --yes", "Apply a saved and reviewed plan, without asking."),
    ],
)
def command(
    *,
    manifests: options.Manifests,
    parents: options.Parents,
    shard: options.Shards,
    only: options.Only,
    context: Annotated[Context, options.settings("limit", "reserved", *options.APPLICATION)],
    output: options.LoggedOutput,
    report: options.Report,
    saved: Annotated[
        Path | None,
        options.option(
            "Apply exactly the plan that `plan --out FILE` saved; skip parents for which it is stale (9).", "--plan"
        ),
    ],
    digest: Annotated[
        str | None,
        options.option(
            "With --plan: all 64 digits of the digest that was reviewed; nothing is sent for any other plan (9).",
            metavar="HEX",
        ),
    ],
    new_recipients: Annotated[
        bool,
        options.option(
            "Seal even if nobody who can open the state now could open what is sealed (else 4).", advanced=True
        ),
    ],
    compact: options.Compact,
    refresh: options.Refresh,
    jobs: options.Jobs,
    cluster: options.Cluster,
    rate: options.ApplyRate,
    yes: options.Yes,
    new_state: options.NewState,
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
    from provisioner.cli.applying import Work
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
    chosen = parents if saved is None else None
    work = Work(
        context, output, report, manifests=manifests, parents=chosen, shard=shard, jobs=jobs, cluster=cluster, rate=rate
    )

    def plan(project: "Project", reporter: "ConsoleReporter") -> "Plans":
        reporter.compact = compact
        if saved is not None:
            return project.reviewed(saved, digest=digest, jobs=jobs, rate=rate, reporter=reporter)
        return project.plan(
            manifests, parents=parents, shard=shard, only=only, refresh=refresh, wait=True, jobs=jobs, rate=rate,
            reporter=reporter,
        )  # fmt: skip

    def approve(project: "Project", allowed: "Plans") -> bool:
        from provisioner.render import questions

        if not yes:
            console.failed(allowed.failures)
        seals = yes or new_recipients or not allowed.shut_out or console.confirm(_SHUT_OUT, yes=False)
        # --yes must not confirm a rename that nobody has noticed.
        agreed = seals and all(console.confirm(each, yes=False) for each in questions.doubts(allowed.plans))
        settings = project.settings
        question = questions.apply(allowed.plans, settings.api_url, several=len(settings.parents) > 1)
        return agreed and console.confirm(question, yes=yes)

    # A saved plan, or an apply that asks nobody, must not begin a state: a wrong checkout has none either.
    begins = new_state or (attended and not yes and saved is None)
    # If there is a person, they are asked instead.
    bounds = Bounds(new_state=begins, lookalikes=attended, new_recipients=new_recipients or not yes)
    return work.run(plan, lambda _: bounds, approve)
