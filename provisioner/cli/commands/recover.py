"""``provisioner recover``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from provisioner.cli import completion, options
from provisioner.cli.context import Context
from provisioner.errors import CommandInvalid, gravest

if TYPE_CHECKING:
    from provisioner.project.recovering import Accepted


@options.command(
    "Restore rescued outcomes.",
    examples=[
        ("provisioner recover", "Restore everything from the .rescue file."),
        ("provisioner recover run.log", "Restore what a run had to print into its log."),
    ],
)
def command(
    *,
    log: Annotated[str | None, options.argument(required=False, metavar="[LOG]", shell_complete=completion.files)],
    parents: options.Parents,
    context: Annotated[Context, options.settings("lock_timeout")],
    only: Annotated[
        str | None, options.option("Restore only this account, from its last entry in LOG.", metavar="NAME")
    ],
    accept_state: Annotated[
        bool,
        options.option(
            "Accept the state as it is, even if this machine has seen a newer or another one.", advanced=True
        ),
    ],
    yes: options.Yes,
) -> int:
    """Restore what was rescued when the state could not be saved.

    Without LOG, it reads the .rescue file next to the state. LOG is the log of a run (- is
    standard input) that could save an outcome nowhere and printed it, sealed; or the .forgotten
    file next to the state, where `forget` keeps what it removes.
    """
    from provisioner.render import status as texts

    console = context.console
    if only is not None and log is None:
        raise CommandInvalid("--only needs a LOG to choose from.", hint="Name the file that contains the account.")

    def approve(these: Sequence["Accepted"]) -> bool:
        return console.confirm(
            f"Accept {' and '.join(map(_described, these))}, even if this machine has seen a newer or another state?"
            " Accounts that it does not contain would be created again.",
            yes=yes,
        )

    project = context.open()
    text, source = (None, "") if log is None else context.read(log)
    recovered = project.recover(
        text,
        source,
        only=only,
        accept_state=accept_state,
        parents=parents,
        approve=approve,
        reporter=context.reporter(project),
    )
    for each in recovered:
        console.talk(*texts.restored(each.names, each.before, each.after))
        if each.failure is not None:
            console.failure(each.failure, each.parent)
        elif accept_state and each.after is None:
            console.talk(f"Accepted: there is no state at {each.address}. The next apply may begin a state here.")
        else:
            console.lines(texts.text(each.parent, each.after, each.address))
    if not recovered:
        console.talk("There is nothing to restore.")
    return gravest(each.failure.exit_code for each in recovered if each.failure is not None)


def _described(this: "Accepted") -> str:
    """Return a description of the state to accept."""
    from provisioner.render.lines import counted

    if this.state is None:
        return f"that there is no state at {this.address}"
    return f"{this.address} with serial {this.state.serial} and {counted(len(this.state.accounts), 'account')}"
