"""``provisioner forget``."""

from typing import Annotated

from provisioner.cli import options
from provisioner.cli.context import Context


@options.command(
    "Free the slot of a deleted account.",
    examples=[("provisioner forget paris", "Forget an account that was deleted at Octopush.")],
)
def command(
    *,
    name: Annotated[str, options.account("active", "unknown", "abandoned")],
    parents: options.Parents,
    context: Annotated[Context, options.settings("lock_timeout", *options.CONNECTION)],
    output: options.Output,
    force: Annotated[bool, "Do not check at Octopush whether it still exists."],
    yes: options.Yes,
) -> int:
    """Forget an account that was deleted in Octopush's dashboard, and free its slot.

    Refuses while Octopush still knows its login. Needs the parent's credentials and an
    identity; with --force, neither. A sealed copy of its record is kept next to the state, and
    `recover` restores it.
    """
    context.console.require_answer(yes=yes)
    unchecked = " Nothing checks whether it still exists at Octopush." if force else ""
    question = f"Forget {name}, with its login, key and password?{unchecked}"
    project = context.open()
    reports, backup = project.forget(
        name,
        force=force,
        parents=parents,
        confirm=context.asking(name, question, yes=yes),
        reporter=context.reporter(project),
    )
    context.console.talk(
        "Its slot is free. If a manifest still names it, the next apply creates it again. A sealed copy of its record"
        f" is in {backup}: `provisioner recover {backup} --only {name}` restores it."
    )
    return context.show(reports, output)
