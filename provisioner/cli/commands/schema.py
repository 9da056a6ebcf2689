"""``provisioner schema``."""

from __future__ import annotations

from typing import Final

import click

from provisioner import schemas
from provisioner.cli import options
from provisioner.cli.help import Command
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


_DESCRIPTIONS: Final = (
    ("manifest", "a manifest (the default)"),
    ("config", "provisioner.yaml"),
    ("state", "a state"),
    ("plan", "plan --format json"),
    ("report", "apply, reconcile, refresh, verify, adopt, forget, rotate-password, rekey"),
    ("status", "status"),
    ("problems", "validate"),
    ("credentials", "credentials show and export"),
    ("credentials-list", "credentials list"),
    ("history", "state history"),
    ("operations", "history"),
    ("doctor", "doctor"),
    ("error", "every command that fails"),
)


@click.command(
    cls=Command,
    table=("What each NAME describes", _DESCRIPTIONS),
    short_help="Print a JSON Schema.",
    examples=[
        ("provisioner schema > manifest.schema.json", "Save the schema of manifests for an editor."),
    ],
)
@click.argument("name", type=click.Choice(SCHEMAS), default="manifest", metavar="[NAME]")
@options.pass_context
def command(context: Context, *, name: str) -> int:
    """Print the JSON Schema of a file, or of a command's JSON output."""
    context.console.data(schemas.text(f"{name}.v1"))
    return ExitCode.DONE
