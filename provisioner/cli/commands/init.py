"""``provisioner init``."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.cli.options import FILE, Context, pass_context
from provisioner.errors import ExitCode


@click.command(short_help="Write a starter project.")
@click.argument("folder", default=".", type=FILE)
@click.option(
    "--ci", type=click.Choice(["github", "gitlab"]), multiple=True,
    help="Plan each pull request, apply what is merged, reconcile at night; may be repeated.",
)  # fmt: skip
@click.option(
    "--schedule", type=click.Choice(["cron", "systemd", "kubernetes"]), multiple=True,
    help="Reconcile every night on a machine or cluster of yours, with alert rules for Prometheus; may be repeated.",
)  # fmt: skip
@pass_context
def command(context: Context, *, folder: Path, ci: tuple[str, ...], schedule: tuple[str, ...]) -> int:
    """Write a starter project: settings, a manifest, and an identity outside the repository.

    --ci and --schedule write working files for those as well; in a project that exists, only
    these are added. A file that is there is never changed.
    """
    from provisioner.cli import starter

    starter.write(context.console, folder, tuple(dict.fromkeys((*ci, *schedule))))
    return ExitCode.DONE
