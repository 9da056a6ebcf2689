"""``provisioner init``."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.cli import completion, options
from provisioner.cli.options import Context
from provisioner.errors import ExitCode


@click.command(short_help="Write a starter project.")
@click.argument("folder", default=".", type=options.FILE, shell_complete=completion.folders)
@click.option(
    "--ci", type=click.Choice(["github", "gitlab"]), multiple=True,
    help="Plan each pull request, apply what is merged, reconcile at night; may be repeated.",
)  # fmt: skip
@click.option(
    "--schedule", type=click.Choice(["cron", "systemd", "kubernetes"]), multiple=True,
    help="Reconcile every night on a machine or cluster of yours, with alert rules for Prometheus; may be repeated.",
)  # fmt: skip
@options.pass_context
def command(context: Context, *, folder: Path, ci: tuple[str, ...], schedule: tuple[str, ...]) -> int:
    """Write a starter project: settings, a manifest, and an identity outside the repository.

    --ci and --schedule write working files for those as well; in a project that exists, only
    these are added. A file that is there is never changed.
    """
    from provisioner.project.folders import Folders
    from provisioner.project.starting import start

    console, identity = context.console, Folders.of_user().identity
    done = start(folder, tuple(dict.fromkeys((*ci, *schedule))), identity, context.environ)
    for path, written in done.files:
        console.talk(f"{'written' if written else 'kept   '}  {path}")
    if done.recipient is not None:
        console.talk(f"identity {identity}: keep a copy of it somewhere safe, it alone opens the credentials")
        if not done.names_recipient:
            console.warn(f"provisioner.yaml does not name the recipient of this identity, {done.recipient}.")
        step = "" if folder == Path() else f"cd {folder}, "
        console.talk(f"Next: {step}edit the manifests in manifests/, then run `provisioner plan`.")
    if done.remote is not None:
        console.talk(
            "To share one state between machines, keep it on a branch of this repository: set"
            f' `state: "git:{done.remote}/provisioner-state/{{parent}}.json"` in provisioner.yaml.'
        )
    for each in done.steps:
        console.talk(each)
    return ExitCode.DONE
