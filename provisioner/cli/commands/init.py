"""``provisioner init``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from provisioner.cli import completion, options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid, ExitCode

if TYPE_CHECKING:
    from provisioner.cli.console import Console
    from provisioner.project.starting import Started


@options.command(
    "Write a starter project.",
    examples=[
        ("provisioner init customers --ci github", "Start a project with workflows for GitHub."),
        ("provisioner init --diff", "Show what this version would change in these files."),
        ("provisioner init --force", "Replace the files that nobody has edited."),
    ],
)
def command(
    *,
    folder: Annotated[Path, options.argument(default=".", type=options.FILE, shell_complete=completion.folders)],
    ci: Annotated[
        tuple[str, ...],
        options.option(
            "Plan each pull request, apply what is merged, reconcile every night; may be repeated.",
            type=click.Choice(["github", "gitlab"]),
        ),
    ],
    schedule: Annotated[
        tuple[str, ...],
        options.option(
            "Reconcile every night on your own machine or cluster, with alert rules for Prometheus; may be repeated.",
            type=click.Choice(["cron", "systemd", "kubernetes"]),
        ),
    ],
    force: Annotated[bool, "Replace the files of --ci and --schedule that nobody has edited."],
    diff: Annotated[bool, "Only show what this version would change in these files."],
    detailed: Annotated[bool, options.option("With --diff: exit with 2 if there is a change.", "--detailed-exitcode")],
    context: Context,
) -> int:
    """Write a starter project: settings, a manifest, and an identity outside the repository.

    --ci and --schedule also write working files for CI and schedules; in an existing project,
    they add only these. Existing files are not changed.

    After an upgrade of this program, --diff shows what it would change in these files, and --force
    replaces them. What you have filled in stays: PROVISIONER_PLACEHOLDERS, the secrets of your
    placeholders, and the place of the program. A file that you have edited in any other way is
    never replaced. Without --ci and --schedule, both work on all such files of the project.
    """
    from provisioner.project.folders import Folders
    from provisioner.project.starting import differences, start

    console, identity = context.console, Folders.of_user().identity
    if (diff and force) or (detailed and not diff):
        raise CommandInvalid(
            "--diff and --force cannot be combined." if force else "--detailed-exitcode needs --diff.",
            hint="Look at `provisioner init --diff` first.",
        )
    kinds = tuple(dict.fromkeys((*ci, *schedule)))
    if diff:
        found = differences(folder, kinds)
        console.data(found)
        if not found:
            console.talk("This version would change nothing.")
        return ExitCode.CHANGES_PENDING if detailed and found else ExitCode.DONE
    done = start(folder, kinds, identity, context.environ, force=force)
    _show_files(console, done)
    if done.recipient is not None:
        console.talk(f"identity {identity}. Keep a copy of it somewhere safe: it alone opens the credentials.")
        if not done.names_recipient:
            console.warn(f"provisioner.yaml does not name the recipient of this identity, {done.recipient}.")
        step = "" if folder == Path() else f"cd {folder}, "
        console.talk(
            f"Next: {step}edit the manifests in manifests/, then run `provisioner plan`.",
            "Before an apply, set OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY to the login and key of your account.",
        )
    if done.remote is not None:
        console.talk(
            "To share one state between machines, keep it on a branch of this repository: set"
            f' `state: "git:{done.remote}/provisioner-state/{{parent}}.json"` in provisioner.yaml.'
        )
    console.talk(*done.steps)
    return ExitCode.DONE


def _show_files(console: "Console", done: "Started") -> None:
    console.talk(*(f"{fate.value:8} {path}" for path, fate in done.files))
    if any(fate.value == "edited" for _, fate in done.files):
        console.talk(
            "Edited files are not changed. `provisioner init --diff` shows what this version would write. Copy what you"
            " want by hand, and the first line; or move the file away, and run this again."
        )
