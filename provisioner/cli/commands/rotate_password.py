"""``provisioner rotate-password``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.project.rotating import Rotation


@options.command(
    "Give accounts new passwords.",
    examples=[
        ("provisioner rotate-password paris rome", "Set new passwords for two accounts."),
        ("provisioner rotate-password --all --parent acme", "Set new passwords for all accounts of one parent."),
    ],
)
def command(
    *,
    names: options.Names,
    everyone: Annotated[
        bool, options.option("All active accounts: of every parent, or of those of --parent.", "--all")
    ],
    manifests: Annotated[
        tuple[Path, ...],
        options.option(
            "A manifest that may contain their passwords; may be repeated [default: manifests/].", "--manifest"
        ),
    ],
    parents: options.Parents,
    context: Annotated[Context, options.settings("encoding", "lock_timeout", *options.CONNECTION)],
    output: options.Output,
    jobs: options.Jobs,
    rate: options.ApplyRate,
    yes: options.Yes,
) -> int:
    """Give accounts new passwords: those in the manifests, or else generated ones.

    It asks once, for all accounts. Only the password of each account changes. The old password
    is kept until it is certain that the new one is set. An account that cannot get a new password
    now is reported, and the others continue. Needs the parents' credentials and an identity.
    """
    _require_accounts(names, everyone=everyone)
    context.console.require_answer(yes=yes)
    project = context.open()
    with context.interrupt() as interrupt, context.reporter(project) as reporter:

        def approve(these: Sequence["Rotation"]) -> bool:
            agreed = yes or _asked(context.console, these)
            interrupt.arm()
            return agreed

        reports = project.rotate_passwords(
            None if everyone else names,
            manifests,
            parents=parents,
            approve=approve,
            jobs=jobs,
            rate=rate,
            reporter=reporter,
            cancel=interrupt,
        )
    reports.require_any()
    return context.show(reports, output)


def _require_accounts(names: Sequence[str], *, everyone: bool) -> None:
    if everyone == bool(names):
        raise CommandInvalid(
            "Names and --all cannot be combined." if names else "No account was named.",
            hint="Write `provisioner rotate-password NAME…`, or --all without names.",
        )
    for name in names:
        if "/" in name or "." in name:
            raise CommandInvalid(f"{name} cannot be an account's name.", hint="Name a manifest with --manifest FILE.")


def _asked(console: "Console", these: Sequence["Rotation"]) -> bool:
    """Show whose passwords would change, and ask for confirmation."""
    from provisioner.render import questions
    from provisioner.render.lines import counted, printable

    for each in these:
        console.talk(*questions.place(each.parent.name, each.parent.terms()))
        if each.names:
            console.talk(f"  {', '.join(each.names)}")
        for error in each.refused.values():
            console.talk(f"  skipped: {printable(error.message)}")
    names = [name for each in these for name in each.names]
    many = sum(bool(each.names) for each in these)
    whose = counted(len(names), "account") + (f" of {many} parents" if many > 1 else "")
    question = f"Set a new password for {names[0]}?" if len(names) == 1 else f"Set new passwords for {whose}?"
    return console.confirm(question, yes=False)
