"""``provisioner credentials``: show, list and export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from provisioner.cli import completion, moments, options
from provisioner.cli.help import Group
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid, ExitCode

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.project.credentials import Opened

_FORMATS: Final = ("env", "dotenv", "docker", "json", "csv", "kubernetes")
_READERS: Final = (
    ("env", "a POSIX shell: set -a; . ./FILE; set +a"),
    ("dotenv", "python-dotenv"),
    ("docker", "docker run --env-file FILE; values must be single lines"),
    ("json", "programs"),
    ("csv", "spreadsheets; a value that looks like a formula gets an apostrophe"),
    ("kubernetes", "kubectl apply -f FILE: a Secret for each account"),
)
DELIVERED: Final = "this is the previous password"


@click.group(cls=Group, short_help="Show, list or export credentials.")
def command() -> None:
    """Show, list or export credentials; needs an identity."""


@command.command(
    "show", examples=[("provisioner credentials show paris", "Print login, key and password in clear text.")]
)
@click.argument("name", shell_complete=completion.accounts("active", "unknown"))
@options.parents
@options.project()
@options.output("text", "json")
@options.pass_context
def show(context: Context, *, choice: Choice, name: str, parents: tuple[str, ...], output: str) -> int:
    """Show the login, key and password of one account in clear text."""
    from provisioner.cli.progress import reporter_for
    from provisioner.render import credentials as formats

    console = context.console
    project = choice.open(context)
    (opened,) = project.open_credentials([name], parents=parents, reporter=reporter_for(console))
    if output == "json":
        console.exact(formats.shown_as_json(opened.content, opened.unfinished_passwords))
    else:
        # Never wrapped at a terminal's edge: people copy these.
        lines = formats.as_text(opened.content, opened.unfinished_passwords)
        console.exact("".join(f"{line.text}\n" for line in lines))
    _warn(console, [opened], "one of these passwords is correct")
    if opened.content.credentials is None:
        console.warn(
            f"the outcome of {name} is unknown: this is what was kept of it, not credentials that are known to work."
        )
    return ExitCode.DONE


@command.command("list")
@options.parents
@options.project()
@options.output("text", "json")
@options.pass_context
def list_(context: Context, *, choice: Choice, parents: tuple[str, ...], output: str) -> int:
    """List the logins of all active accounts, without their keys and passwords."""
    from provisioner.cli.progress import reporter_for
    from provisioner.render import credentials as formats

    console = context.console
    project = choice.open(context)
    listed = project.list_credentials(parents=parents, reporter=reporter_for(console))
    if output == "json":
        accounts = [(each.content, each.record) for each in listed.opened]
        console.document(formats.listed_as_json(accounts, listed.damaged, listed.failures))
    else:
        several = len(project.settings.parents) > 1
        console.lines(formats.masked((each.content for each in listed.opened), name_parents=several))
    _warn(console, listed.opened, "the stored password may be the previous one")
    for error in listed.damaged.values():
        console.failure(error)
    for parent, failure in listed.failures.items():
        console.failure(failure, parent)
    return listed.exit_code


@command.command(
    "export",
    short_help="Write credentials in clear text, for other programs.",
    table=("What each format is for", _READERS),
    examples=[
        ("provisioner credentials export --format dotenv --out .env", "Write the credentials of all accounts."),
        ("provisioner credentials export paris --format json", "Print the credentials of one account."),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.accounts("active"))
@options.parents
@options.project(*options.CONNECTION)
@options.output(*_FORMATS)
@click.option("--verified", is_flag=True, help="Write only if `verify` succeeds for all of them; exit with 7 if not.")
@click.option(
    "--since", metavar="WHEN", help="Only accounts created since a date or time (UTC), or in the last 30m, 12h or 7d."
)
@click.option("--out", type=options.FILE, metavar="FILE", help="Write to FILE (0600) instead of standard output.")
@options.pass_context
def export(
    context: Context,
    *,
    choice: Choice,
    names: tuple[str, ...],
    parents: tuple[str, ...],
    output: str,
    verified: bool,
    since: str | None,
    out: Path | None,
) -> int:
    """Write the credentials of all active accounts, or of those named, in clear text."""
    from provisioner.cli.progress import reporter_for
    from provisioner.project.credentials import require_credentials, require_distinct
    from provisioner.render import credentials as formats

    console = context.console
    moment = moments.since(since)
    if moment is not None and names:
        raise CommandInvalid("Names and --since cannot be combined.", hint="Give either names or --since.")
    project = choice.open(context)
    if out is not None:
        from provisioner.project import outputs

        project.require_place(out, outputs.EXPORT)
    with reporter_for(console, len(project.settings.parents)) as reporter:
        opened = project.open_credentials(names, parents=parents, since=moment, verified=verified, reporter=reporter)
    require_credentials(opened, "Nothing was exported.")
    if output != "kubernetes":
        require_distinct(opened)
    contents = [each.content for each in opened]
    if moment is not None and not contents:
        console.talk(f"No account was created since {moment:%Y-%m-%d %H:%M:%S} UTC.")
    content = formats.FORMATS[output](contents)
    if output == "csv" and (altered := formats.altered_by_csv(contents)):
        console.warn(f"a value of {', '.join(altered)} now begins with an apostrophe, so that it is not a formula.")
    _warn(console, opened, DELIVERED)
    if out is None:
        console.exact(content)
    else:
        outputs.write(out, content, outputs.EXPORT)
        console.talk(f"Written to {out}; only you can read it.")
    if output == "env" and content:
        console.talk("It is for a POSIX shell. --format dotenv is for python-dotenv, --format docker for Docker.")
    return ExitCode.DONE


def _warn(console: Console, opened: Sequence[Opened], consequence: str) -> None:
    for each in opened:
        for warning in each.warnings(consequence):
            console.warn(warning)
