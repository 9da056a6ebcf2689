"""``provisioner schema``."""

from __future__ import annotations

from typing import Final

import click

from provisioner import schemas
from provisioner.cli import options
from provisioner.cli.options import Context
from provisioner.errors import ExitCode

SCHEMAS: Final = (
    "manifest",
    "config",
    "state",
    "plan",
    "report",
    "status",
    "problems",
    "credentials",
    "credentials-list",
    "history",
    "operations",
    "doctor",
    "error",
)


@click.command(short_help="Print a JSON Schema.")
@click.argument("name", type=click.Choice(SCHEMAS), default="manifest")
@options.pass_context
def command(context: Context, *, name: str) -> int:
    """Print a JSON Schema: of a manifest or the settings, of the state, or of what a command prints as JSON.

    \b
    plan              plan --format json
    report            apply, reconcile, refresh, verify, adopt, forget, rotate-password, rekey
    status            status
    problems          validate
    credentials       credentials show and export
    credentials-list  credentials list
    history           state history
    operations        history
    doctor            doctor
    error             every command that fails
    """  # noqa: D301  # click looks for the character itself
    context.console.data(schemas.text(f"{name}.v1"))
    return ExitCode.DONE
