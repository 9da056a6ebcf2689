"""``provisioner verify``."""

from __future__ import annotations

import click

from provisioner.cli.options import (
    CONNECTION,
    Choice,
    Context,
    format_option,
    jobs_option,
    log_format_option,
    parents_option,
    pass_context,
    project_options,
    rate_option,
)


@click.command(short_help="Prove that the credentials are good.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@parents_option
@project_options(*CONNECTION)
@format_option("text", "json")
@log_format_option
@jobs_option
@rate_option
@pass_context
def command(  # the options of the command
    context: Context,
    *,
    choice: Choice,
    names: tuple[str, ...],
    parents: tuple[str, ...],
    output: str,
    jobs: int,
    rate: int,
) -> int:
    """Open every credential, or those named, and compare it with its record and with Octopush.

    One that was replaced, moved, doubled or is dead is named, and the exit is 7. Needs
    the parents' credentials and the identity; changes nothing.
    """
    from provisioner.cli.outlets import show
    from provisioner.cli.progress import reporter

    project = choice.open(context)
    hears = reporter(context.console, len(project.settings.parents))
    with hears:
        reports = project.verify(names, parents=parents, jobs=jobs, rate=rate, reporter=hears)
    reports.require_any()
    show(context.console, reports, output)
    return reports.exit_code
