"""``provisioner forget``."""

from __future__ import annotations

import click

from provisioner.cli.options import (
    CONNECTION,
    Choice,
    Context,
    format_option,
    parents_option,
    pass_context,
    project_options,
    yes_option,
)


@click.command(short_help="Free the slot of a deleted account.")
@click.argument("name")
@parents_option
@project_options("lock_timeout", *CONNECTION)
@format_option("text", "json")
@click.option("--force", is_flag=True, help="Do not ask Octopush whether it is still there.")
@yes_option
@pass_context
def command(  # the options of the command
    context: Context, *, choice: Choice, name: str, parents: tuple[str, ...], output: str, force: bool, yes: bool
) -> int:
    """Forget an account that was deleted in Octopush's dashboard, and free its slot.

    Refuses while Octopush knows its login. Needs the credentials of the parent and
    an identity; with --force neither. What was known of it is kept, sealed, next to the
    state, and `recover` puts it back.
    """
    from provisioner.cli.outlets import show
    from provisioner.cli.progress import reporter

    console = context.console
    console.require_answer(yes=yes)
    unasked = " Octopush is not asked whether it is still there." if force else ""
    reports, kept = choice.open(context).forget(
        name,
        force=force,
        parents=parents,
        confirm=lambda: console.confirm(f"Forget {name}, its login, key and password?{unasked}", yes=yes),
        reporter=reporter(console),
    )
    console.talk(
        "Its slot is free; while a manifest names it, the next apply creates it again. What was known of it is kept,"
        f" sealed, in {kept}: `provisioner recover {kept} --only {name}` puts it back."
    )
    show(console, reports, output)
    return reports.exit_code
