"""``provisioner adopt``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from provisioner.cli import completion, options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from provisioner.cli.console import Console
    from provisioner.project.adopting import Adoption


def _complete(this: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Complete the account's name and the manifests, but not the login between them, which only Octopush knows."""
    given = 2 if this.params.get("table") else len(this.params.get("words") or ())
    if given == 0:
        return completion.accounts("unknown", "pending", planned=True)(this, parameter, incomplete)
    return [] if given == 1 else completion.files(this, parameter, incomplete)


@options.command(
    "Take over existing accounts.",
    examples=[
        ("provisioner adopt paris abc_1f2@sub-accounts.com", "Take over one account."),
        ("provisioner adopt --from accounts.csv", "Take over all accounts in a table: name,login."),
    ],
)
def command(
    *,
    words: Annotated[
        tuple[str, ...],
        options.argument(nargs=-1, metavar="[NAME LOGIN] [MANIFEST]...", shell_complete=_complete),
    ],
    table: Annotated[Path | None, options.option("Take over all accounts in a CSV table: name,login.", "--from")],
    write: Annotated[Path | None, "Where to write accounts that no manifest names [default: manifests/adopted.yaml]."],
    different: Annotated[
        bool, "Adopt an account even if its names differ from those that were sent, or from the manifest."
    ],
    parents: options.Parents,
    context: Annotated[Context, options.settings("limit", "reserved", "encoding", "lock_timeout", *options.CONNECTION)],
    output: options.Output,
) -> int:
    """Take over accounts that already exist at Octopush. NAME is your name, LOGIN is Octopush's.

    Reads each account, and stores its login and key, sealed. If the state has the login
    already, it takes over a key that Octopush has changed. If an account's names differ from
    those that were sent, or from the manifest, it refuses, unless you give --different. The next
    apply changes anything else that differs from the manifest. Accounts that no manifest names
    are written to a new one. No file is overwritten: the next free name is used. Needs the
    parent's credentials and an identity.
    """
    from provisioner.project.adopting import read_table

    named = _named(words) if table is None else []
    manifests = [Path(word) for word in (words[2:] if table is None else words)]
    project = context.open()
    with context.reporter(project) as reporter:
        rows = named if table is None else read_table(table, project.settings.encoding, reporter)
        with context.interrupt() as interrupt:
            interrupt.arm()
            adoption = project.adopt(
                rows,
                manifests,
                write=write,
                alone=table is None,
                different=different,
                parents=parents,
                reporter=reporter,
                cancel=interrupt,
            )
    _remind(context.console, adoption)
    return context.show(adoption.reports, output)


def _named(words: Sequence[str]) -> list[tuple[str, str]]:
    try:
        name, login, *_ = words
    except ValueError:
        raise CommandInvalid(
            "No account to adopt was given.",
            hint="Give its name and its login at Octopush, or a table of both with --from FILE.",
        ) from None
    return [(name, login)]


def _remind(console: "Console", done: "Adoption") -> None:
    """Report what is left to do."""
    from provisioner.render.lines import counted

    for each in done.written:
        console.talk(f"Written to {each.path}: {counted(len(each.accounts), 'account')} that no manifest named.")
        for variable, name, path in each.variables:
            console.talk(
                f"  {path} of {name} is written there as {variable}. Set this variable before an apply changes the"
                f" account; `provisioner credentials show {name}` shows its value."
            )
    if done.without_password:
        console.talk(
            f"Passwords cannot be read, so there is none for {', '.join(done.without_password)}:"
            " `provisioner rotate-password` sets one."
        )
    for slots in done.over.values():
        console.warn(
            f"{slots.used} slots are used and {slots.reserved} are reserved, of {slots.limit}. The adopted accounts are"
            f" part of this project now: lower `reserved` to {max(0, slots.limit - slots.used)} or less."
        )
