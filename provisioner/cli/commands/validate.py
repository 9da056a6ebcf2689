"""``provisioner validate``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid, ExitCode


@options.command(
    "Report every problem in the manifests.",
    examples=[
        ("provisioner validate", "Check every manifest in manifests/."),
        ("provisioner validate customers.csv --format github", "Check one file, and annotate a pull request."),
    ],
)
def command(
    *,
    manifests: options.Manifests,
    parents: options.Parents,
    context: Annotated[Context, options.settings("encoding")],
    output: Annotated[str, options.formats("text", "json", "github", "gitlab")],
) -> int:
    """Report every problem in the manifests, with its place and what to do.

    --parent chooses which accounts are counted; the problems of all are reported.
    """
    from provisioner.render import documents, text

    console = context.console
    project = context.open()
    try:
        loaded = project.validate(manifests)
    except CommandInvalid as error:
        # A program gets a report even if there is nothing to validate.
        if output == "gitlab":
            console.data("[]\n")
        elif output == "github":
            console.data(f"::error::{error.message} {error.hint}\n")
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
        console.lines([text.verdict(loaded.problems, sum(len(each.accounts) for each in chosen))])
    return ExitCode.MANIFEST_INVALID if loaded.errors else ExitCode.DONE
