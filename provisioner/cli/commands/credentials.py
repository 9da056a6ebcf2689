"""``provisioner credentials``: show, list and export."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import click

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.cli.help import Group
from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.project.credentials import Opened

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


@options.command(
    of=command,
    examples=[("provisioner credentials show paris", "Print login, key and password in clear text.")],
)
def show(
    *,
    name: Annotated[str, options.account("active", "unknown")],
    parents: options.Parents,
    context: Annotated[Context, options.settings()],
    output: options.Output,
) -> None:
    """Show the login, key and password of one account in clear text."""
    from provisioner.render import credentials as formats

    console = context.console
    project = context.open()
    (opened,) = project.open_credentials([name], parents=parents, reporter=context.reporter(project))
    if output == "json":
        console.exact(formats.shown_as_json(opened.content, opened.unfinished_passwords))
    else:
        # Never wrapped at a terminal's edge: people copy these.
        lines = formats.as_text(opened.content, opened.unfinished_passwords)
        console.exact("".join(f"{line.text}\n" for line in lines))
    warn(console, [opened], "one of these passwords is correct")
    if opened.content.credentials is None:
        console.warn(
            f"the outcome of {name} is unknown: this is what was kept of it, not credentials that are known to work."
        )


@options.command(of=command)
def list_(*, parents: options.Parents, context: Annotated[Context, options.settings()], output: options.Output) -> int:
    """List the logins of all active accounts, without their keys and passwords."""
    from provisioner.render import credentials as formats

    console = context.console
    project = context.open()
    listed = project.list_credentials(parents=parents, reporter=context.reporter(project))
    if output == "json":
        accounts = [(each.content, each.record) for each in listed.opened]
        console.document(formats.listed_as_json(accounts, listed.damaged, listed.failures))
    else:
        several = len(project.settings.parents) > 1
        console.lines(formats.masked((each.content for each in listed.opened), name_parents=several))
    warn(console, listed.opened, "the stored password may be the previous one")
    for error in listed.damaged.values():
        console.failure(error)
    console.failed(listed.failures)
    return listed.exit_code


@options.command(
    "Write credentials in clear text, for other programs.",
    of=command,
    table=("What each format is for", _READERS),
    examples=[
        ("provisioner credentials export --format dotenv --out .env", "Write the credentials of all accounts."),
        ("provisioner credentials export paris --format json", "Print the credentials of one account."),
    ],
)
def export(
    *,
    names: options.Names,
    parents: options.Parents,
    context: Annotated[Context, options.settings(*options.CONNECTION)],
    output: Annotated[str, options.formats(*(name for name, _ in _READERS))],
    verified: Annotated[bool, "Write only if `verify` succeeds for all of them; exit with 7 if not."],
    since: options.Created,
    out: Annotated[Path | None, "Write to FILE (0600) instead of standard output."],
) -> None:
    """Write the credentials of all active accounts, or of those named, in clear text."""
    from provisioner.project import outputs
    from provisioner.project.credentials import require_credentials, require_distinct
    from provisioner.render import credentials as formats

    console = context.console
    if since is not None and names:
        raise CommandInvalid("Names and --since cannot be combined.", hint="Give either names or --since.")
    project = context.open()
    if out is not None:
        project.require_place(out, outputs.EXPORT)
    with context.reporter(project) as reporter:
        opened = project.open_credentials(names, parents=parents, since=since, verified=verified, reporter=reporter)
    require_credentials(opened, "Nothing was exported.")
    if output != "kubernetes":
        require_distinct(opened)
    contents = [each.content for each in opened]
    if since is not None and not contents:
        console.talk(f"No account was created since {since:%Y-%m-%d %H:%M:%S} UTC.")
    content = formats.FORMATS[output](contents)
    if output == "csv" and (altered := formats.altered_by_csv(contents)):
        console.warn(f"a value of {', '.join(altered)} now begins with an apostrophe, so that it is not a formula.")
    warn(console, opened, DELIVERED)
    if out is None:
        console.exact(content)
    else:
        outputs.write(out, content, outputs.EXPORT)
        console.talk(f"Written to {out}; only you can read it.")
    if output == "env" and content:
        console.talk("It is for a POSIX shell. --format dotenv is for python-dotenv, --format docker for Docker.")


def warn(console: "Console", opened: Sequence["Opened"], consequence: str) -> None:
    """Print the warnings about opened credentials."""
    for each in opened:
        for warning in each.warnings(consequence):
            console.warn(warning)
