"""``provisioner validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioner.cli import options
from provisioner.cli.help import Command
from provisioner.cli.options import Choice, Context
from provisioner.errors import CommandInvalid, ExitCode

if TYPE_CHECKING:
    from provisioner.cli.console import Console


@click.command(
    cls=Command,
    short_help="Report every problem in the manifests.",
    examples=[
        ("provisioner validate", "Check every manifest in manifests/."),
        ("provisioner validate customers.csv --format github", "Check one file, and annotate a pull request."),
    ],
)
@options.manifests
@options.parents
@options.project("encoding")
@options.output("text", "json", "github", "gitlab")
@options.pass_context
def command(
    context: Context, *, choice: Choice, manifests: tuple[Path, ...], parents: tuple[str, ...], output: str
) -> int:
    """Report every problem in the manifests, with its place and what to do.

    --parent chooses which accounts are counted; the problems of all are reported.
    """
    from provisioner.render import documents, text

    console = context.console
    project = choice.open(context)
    try:
        loaded = project.validate(manifests)
    except CommandInvalid as error:
        _report_nothing(console, error, output)
        raise
    if output == "json":
        console.document(documents.problems(loaded.problems))
    elif output in {"github", "gitlab"}:
        from provisioner.render import annotations

        annotated = annotations.github if output == "github" else annotations.gitlab
        console.data(annotated(loaded.problems))
    else:
        for problem in loaded.problems:
            console.lines(text.problem(problem))
        chosen = [each for each in loaded.manifests if not parents or each.parent in parents]
        console.lines(
            [text.verdict(loaded.problems, sum(len(each.accounts) for each in chosen))],
        )
    return ExitCode.MANIFEST_INVALID if loaded.errors else ExitCode.DONE


def _report_nothing(console: Console, error: CommandInvalid, output: str) -> None:
    """Print a report for a program even if there is nothing to validate."""
    if output == "gitlab":
        console.data("[]\n")
    elif output == "github":
        console.data(f"::error::{error.message} {error.hint}\n")
