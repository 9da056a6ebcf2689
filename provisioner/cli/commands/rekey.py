"""``provisioner rekey``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from provisioner.cli import options
from provisioner.cli.context import Context

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.project.rekeying import Rekey


def _recipients(words: str) -> options.Declared:
    return options.option(f"{words} to this recipient; may be repeated.", metavar="RECIPIENT")


@options.command("Change who can open the credentials.")
def command(
    *,
    add: Annotated[tuple[str, ...], _recipients("Also seal")],
    remove: Annotated[tuple[str, ...], _recipients("No longer seal")],
    parents: options.Parents,
    context: Annotated[Context, options.settings("lock_timeout")],
    output: options.Output,
    yes: options.Yes,
) -> int:
    """Open everything and seal it again, all or nothing for each parent.

    Seals to the recipients in the settings, changed by --add and --remove. A recipient that
    only the state names is unknown, and is removed. Needs an identity.
    """
    console = context.console
    console.require_answer(yes=yes)
    project = context.open()

    def approve(these: Sequence["Rekey"]) -> bool:
        _show_recipients(console, these)
        return console.confirm(_question(these), yes=yes)

    reports, done = project.rekey(
        add=add, remove=remove, parents=parents, approve=approve, reporter=context.reporter(project)
    )
    reports.require_any()
    _remind(console, [each for each in done if each.parent.name in reports.states])
    return context.show(reports, output)


def _show_recipients(console: "Console", these: Sequence["Rekey"]) -> None:
    from provisioner.render import questions
    from provisioner.render.lines import printable

    for each in these:
        console.talk(*questions.place(each.parent.name, each.parent.terms()))
    alike = len({each.changes for each in these}) == 1
    for each in these[:1] if alike else these:
        if not alike:
            console.talk(f"{printable(each.parent.name)}:")
        for sign, recipient in each.changes:
            unknown = "  unknown: only the state names it, and it is removed" if sign == "?" else ""
            console.talk(f"  {sign} {printable(recipient)}{unknown}")


def _question(these: Sequence["Rekey"]) -> str:
    from provisioner.render.lines import counted

    accounts = counted(sum(len(each.state.accounts) for each in these), "account")
    many = f" of {len(these)} parents" if len(these) > 1 else ""
    numbers = sorted({len(each.recipients) for each in these})
    recipients = counted(numbers[0], "recipient") if len(numbers) == 1 else "their recipients"
    return f"Seal {accounts}{many} again, to {recipients}?"


def _remind(console: "Console", these: Sequence["Rekey"]) -> None:
    """Report what rekeying cannot do, and what is left to do."""
    from provisioner.render.lines import printable

    if any(each.removes for each in these):
        older = ", ".join(dict.fromkeys(copy for each in these for copy in each.older_copies))
        console.talk(
            "Whoever was removed may have read the credentials, and can still open every older copy of the state:"
            f" {f'{older}, ' if older else ''}version control, backups.",
            "To lock them out, rotate the passwords, and ask Octopush to change the keys.",
        )
    others = dict.fromkeys(each.recipients for each in these if each.differs_from_settings)
    for recipients in others:
        named = ", ".join(f'"{each}"' if " " in each else each for each in recipients)
        console.warn(
            "the settings name other recipients than these, and the next apply seals to theirs. Change them in"
            f" provisioner.yaml or PROVISIONER_RECIPIENTS: recipients: [{printable(named)}]"
        )
