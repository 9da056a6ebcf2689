"""``provisioner adopt``."""

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
    from click.shell_completion import CompletionItem

    from provisioner.cli.console import Console
    from provisioner.project.adopting import Adoption


def _complete(this: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the account's name and the manifests, but not the login between them, which only Octopush knows."""
    given = 2 if this.params.get("table") else len(this.params.get("words") or ())
    if given == 0:
        return completion.accounts("unknown", "pending", planned=True)(this, parameter, incomplete)
    return [] if given == 1 else completion.files(this, parameter, incomplete)


@click.command(
    cls=Command,
    short_help="Take over existing accounts.",
    examples=[
        ("provisioner adopt paris abc_1f2@sub-accounts.com", "Take over one account."),
        ("provisioner adopt --from accounts.csv", "Take over all accounts in a table: name,login."),
    ],
)
@click.argument("words", nargs=-1, metavar="[NAME LOGIN] [MANIFEST]...", shell_complete=_complete)
@click.option(
    "--from", "table", type=options.FILE, metavar="FILE", help="Take over all accounts in a CSV table: name,login."
)
@click.option(
    "--write", type=options.FILE, metavar="FILE",
    help="Where to write accounts that no manifest names [default: manifests/adopted.yaml].",
)  # fmt: skip
@click.option(
    "--different", is_flag=True,
    help="Adopt an account even if its names differ from those that were sent, or from the manifest.",
)  # fmt: skip
@options.parents
@options.project("limit", "reserved", "encoding", "lock_timeout", *options.CONNECTION)
@options.output("text", "json")
@options.pass_context
def command(
    context: Context,
    *,
    choice: Choice,
    words: tuple[str, ...],
    table: Path | None,
    write: Path | None,
    different: bool,
    parents: tuple[str, ...],
    output: str,
) -> int:
    """Take over accounts that already exist at Octopush. NAME is your name, LOGIN is Octopush's.

    Reads each account, and stores its login and key, sealed. If the state has the login
    already, it takes over a key that Octopush has changed. If an account's names differ from
    those that were sent, or from the manifest, it refuses, unless you give --different. The next
    apply changes anything else that differs from the manifest. Accounts that no manifest names
    are written to a new one. No file is overwritten: the next free name is used. Needs the
    parent's credentials and an identity.
    """
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.progress import reporter_for
    from provisioner.cli.watched import show
    from provisioner.project.adopting import read_table

    console = context.console
    named = _named(words) if table is None else []
    manifests = [Path(word) for word in (words[2:] if table is None else words)]
    project = choice.open(context)
    with reporter_for(console, len(project.settings.parents)) as reporter:
        rows = named if table is None else read_table(table, project.settings.encoding, reporter)
        with Interrupt(console.urgent) as interrupt:
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
    _remind(console, adoption)
    show(console, adoption.reports, output)
    return adoption.reports.exit_code


def _named(words: Sequence[str]) -> list[tuple[str, str]]:
    try:
        name, login, *_ = words
    except ValueError:
        raise CommandInvalid(
            "No account to adopt was given.",
            hint="Give its name and its login at Octopush, or a table of both with --from FILE.",
        ) from None
    return [(name, login)]


def _remind(console: Console, done: Adoption) -> None:
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
