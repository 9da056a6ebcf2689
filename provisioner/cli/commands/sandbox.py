"""``provisioner sandbox``."""

import gc
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import click

from provisioner.cli import options
from provisioner.cli.context import Context
from provisioner.model.account import Secret

if TYPE_CHECKING:
    from provisioner.sandbox import SandboxParent

_PARENTS_SHOWN: Final = 10
_CALLS: Final = (
    ("GET /sandbox/accounts", "List the accounts of all parents, with their logins."),
    ("PATCH /sandbox/accounts/LOGIN", "Change first_name, last_name, company_name, callbacks or api_key."),
    ("DELETE /sandbox/accounts/LOGIN", "Delete an account, and free its slot."),
)


@options.command(
    "Run a local Octopush to try things out.",
    table=("Requests that do what a person does in the dashboard", _CALLS),
    examples=[
        ("provisioner sandbox --port 8080", "Run it on a port of your choice."),
        ("provisioner sandbox --fault lost@2", "Lose the answer to the second create."),
    ],
)
def command(
    *,
    port: Annotated[
        int, options.option("The loopback port [default: a free one].", type=click.IntRange(0, 65535), default=0)
    ],
    parent_accounts: Annotated[
        tuple[str, ...],
        options.option(
            "A parent, with a made-up key; may be repeated [default: the parent in the environment].",
            "--parent-account",
            metavar="LOGIN:KEY[:LIMIT]",
        ),
    ],
    limit: Annotated[
        int, options.option("Slots of each parent.", type=click.IntRange(0), default=20, show_default=True)
    ],
    latency: Annotated[
        float, options.option("Seconds before each answer.", type=click.FloatRange(0, 60), default=0.0, metavar="S")
    ],
    ledger: Annotated[Path | None, "Keep the accounts in FILE for the next start."],
    faults: Annotated[
        tuple[str, ...],
        options.option("A fault to simulate; `--fault help` describes all of them.", "--fault", metavar="SPEC"),
    ],
    context: Context,
) -> None:
    """Run a local Octopush to try things out, with limits, latency and faults on demand.

    With --port and --ledger, a restart keeps the address and the accounts. It accepts the
    login and key in OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY, if they are set. For several
    parents, give each with --parent-account, and never use a real key. Each has its own
    sub-accounts, and its own limit if you give one.
    """
    from provisioner.sandbox import FAULT_HELP, Sandbox, SandboxParent, SandboxSettings, parse_fault, parse_parents

    console = context.console
    if "help" in faults:
        console.data(FAULT_HELP.rstrip("\n") + "\n")
        return
    usual = SandboxParent()
    login, key = (context.environ.get(f"OCTOPUSH_API_{each}") for each in ("LOGIN", "KEY"))
    of_environment = SandboxParent(login or usual.api_login, Secret(key) if key else usual.api_key, limit=limit)
    settings = SandboxSettings(
        port=port,
        parents=parse_parents(parent_accounts, limit=limit) or (of_environment,),
        latency=latency,
        ledger=ledger,
        faults=tuple(parse_fault(each) for each in faults),
    )
    gc.enable()
    with Sandbox(settings) as server:
        console.data(f"{server.url}\n")
        console.talk("This is a sandbox: nothing here is real. Stop it with Ctrl-C. To use it:")
        # The default key is part of this program; any other may be a real one.
        usual_key = None if key or parent_accounts else usual.api_key.reveal()
        console.talk(*_exports(server.url, settings.parents, usual_key))
        if usual_key is None:
            console.talk(
                f"The key: {'the one in --parent-account' if parent_accounts else 'the one that is set already'}."
            )
        console.talk("Its dashboard, to list, PATCH and DELETE accounts by hand:", f"  curl {server.dashboard}")
        server.serve_forever()


def _exports(url: str, parents: Sequence["SandboxParent"], usual_key: str | None) -> Iterator[str]:
    """Yield the shell commands that make a sandbox with ``parents`` the address to use."""
    yield f"  export OCTOPUSH_API_URL={url}"
    if len(parents) > 1:
        yield "and use one of its parents, or name them in provisioner.yaml, under parents:"
    key = "" if usual_key is None else f" OCTOPUSH_API_KEY={usual_key}"
    for parent in parents[:_PARENTS_SHOWN]:
        yield f"  export OCTOPUSH_API_LOGIN={shlex.quote(parent.api_login)}{key}"
    if len(parents) > _PARENTS_SHOWN:
        yield f"  and {len(parents) - _PARENTS_SHOWN:,} more"
