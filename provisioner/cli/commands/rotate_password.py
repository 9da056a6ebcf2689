"""``provisioner rotate-password``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioner.cli import completion, options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.project.rotating import Rotation


@click.command(
    "rotate-password",
    short_help="Give accounts new passwords.",
    cls=Command,
    examples=[
        ("provisioner rotate-password paris rome", "Set new passwords for two accounts."),
        ("provisioner rotate-password --all --parent acme", "Set new passwords for all accounts of one parent."),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.accounts("active"))
@click.option("--all", "everyone", is_flag=True, help="All active accounts: of every parent, or of those of --parent.")
@click.option(
    "--manifest", "manifests", type=options.FILE, multiple=True, metavar="FILE",
    help="A manifest that may contain their passwords; may be repeated [default: manifests/].",
)  # fmt: skip
@options.parents
@options.project("encoding", "lock_timeout", *options.CONNECTION)
@options.output("text", "json")
@options.jobs
@options.apply_rate
@options.yes
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    names: tuple[str, ...],
    everyone: bool,
    manifests: tuple[Path, ...],
    parents: tuple[str, ...],
    output: str,
    jobs: int,
    rate: int | None,
    yes: bool,
) -> int:
    """Give accounts new passwords: those in the manifests, or else generated ones.

    It asks once, for all accounts. Only the password of each account changes. The old password
    is kept until it is certain that the new one is set. An account that cannot get a new password
    now is reported, and the others continue. Needs the parents' credentials and an identity.
    """
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.progress import reporter_for
    from provisioner.cli.watched import show

    console = context.console
    _require_accounts(names, everyone=everyone)
    console.require_answer(yes=yes)
    project = choice.open(context)
    with Interrupt(console.urgent) as interrupt, reporter_for(console, len(project.settings.parents)) as reporter:

        def approve(these: Sequence[Rotation]) -> bool:
            agreed = yes or _asked(console, these)
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
    show(console, reports, output)
    return reports.exit_code


def _require_accounts(names: Sequence[str], *, everyone: bool) -> None:
    if everyone == bool(names):
        raise CommandInvalid(
            "Names and --all cannot be combined." if names else "No account was named.",
            hint="Write `provisioner rotate-password NAME…`, or --all without names.",
        )
    for name in names:
        if "/" in name or "." in name:
            raise CommandInvalid(f"{name} cannot be an account's name.", hint="Name a manifest with --manifest FILE.")


def _asked(console: Console, these: Sequence[Rotation]) -> bool:
    """Show whose passwords would change, and ask for confirmation."""
    from provisioner.cli.questions import place
    from provisioner.render.lines import counted, printable

    for each in these:
        console.talk(*place(each.parent))
        if each.names:
            console.talk(f"  {', '.join(each.names)}")
        for error in each.refused.values():
            console.talk(f"  skipped: {printable(error.message)}")
    names = [name for each in these for name in each.names]
    many = sum(bool(each.names) for each in these)
    whose = counted(len(names), "account") + (f" of {many} parents" if many > 1 else "")
    question = f"Set a new password for {names[0]}?" if len(names) == 1 else f"Set new passwords for {whose}?"
    return console.confirm(question, yes=False)
