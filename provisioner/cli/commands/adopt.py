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
    """Complete the account's name, and then manifests: only Octopush's dashboard has the login between them."""
    given = 2 if this.params.get("table") else len(this.params.get("words") or ())
    if given == 0:
        return completion.accounts("unknown", "pending", planned=True)(this, parameter, incomplete)
    return [] if given == 1 else completion.files(this, parameter, incomplete)


@click.command(
    cls=Command,
    short_help="Take over accounts that exist.",
    examples=[
        ("provisioner adopt paris abc_1f2@sub-accounts.com", "Take over one account."),
        ("provisioner adopt --from accounts.csv", "Take over all accounts of a table: name,login."),
    ],
)
@click.argument("words", nargs=-1, metavar="[NAME LOGIN] [MANIFEST]...", shell_complete=_complete)
@click.option("--from", "table", type=options.FILE, metavar="FILE", help="Take over those of a CSV table: name,login.")
@click.option(
    "--write", type=options.FILE, metavar="FILE",
    help="Where to write accounts that no manifest names [default: manifests/adopted.yaml].",
)  # fmt: skip
@click.option(
    "--different", is_flag=True,
    help="It is the right account, even though its names are not those that were sent, or that the manifest has.",
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
    """Take over accounts that exist at Octopush already: NAME is yours, LOGIN theirs.

    Reads each account, and keeps its login and key, sealed. Where the state has the login
    already, it takes over a key that Octopush has changed. An account that has other names
    than were sent, or than the manifest has, is refused, unless you say --different. What
    else differs from the manifest is changed by the next apply. Accounts that no manifest
    names are written to a new one, never over a file: the next free name is taken. Needs
    the parent's credentials and an identity.
    """
    from provisioner.cli.interrupt import Interrupt
    from provisioner.cli.progress import reporter
    from provisioner.cli.watched import show
    from provisioner.project.adopting import read_table

    console = context.console
    named = _named(words) if table is None else []
    manifests = [Path(word) for word in (words[2:] if table is None else words)]
    project = choice.open(context)
    with reporter(console, len(project.settings.parents)) as hears:
        rows = named if table is None else read_table(table, project.settings.encoding, hears)
        with Interrupt(console.urgent) as interrupt:
            interrupt.arm()
            adoption = project.adopt(
                rows,
                manifests,
                write=write,
                alone=table is None,
                different=different,
                parents=parents,
                reporter=hears,
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
            "Say which account is to be adopted.",
            hint="Give its name and its login at Octopush, or a table of both with --from FILE.",
        ) from None
    return [(name, login)]


def _remind(console: Console, done: Adoption) -> None:
    """Say what is left to do."""
    from provisioner.render.lines import counted

    for each in done.written:
        console.talk(f"Written to {each.path}: {counted(len(each.accounts), 'account')} that no manifest named.")
        for variable, name, path in each.variables:
            console.talk(
                f"  {variable} stands there for {path} of {name}: before an apply changes the account, set it;"
                f" `provisioner credentials show {name}` shows its value."
            )
    if done.without_password:
        console.talk(
            f"Passwords cannot be read, so that none is kept of {', '.join(done.without_password)}:"
            " `provisioner rotate-password` sets one."
        )
    for slots in done.over.values():
        console.warn(
            f"{slots.used} slots are used and {slots.reserved} are reserved, of {slots.limit}: what was adopted is no"
            f" longer outside this project. Lower `reserved` to {max(0, slots.limit - slots.used)} or less."
        )
