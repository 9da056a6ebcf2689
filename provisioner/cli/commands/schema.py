"""``provisioner schema``."""

from typing import Annotated, Final

import click

from provisioner import schemas
from provisioner.cli import options
from provisioner.cli.context import Context

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
_NAMES: Final = click.Choice([name for name, _ in _DESCRIPTIONS])


@options.command(
    "Print a JSON Schema.",
    table=("What each NAME describes", _DESCRIPTIONS),
    examples=[("provisioner schema > manifest.schema.json", "Save the schema of manifests for an editor.")],
)
def command(
    *, name: Annotated[str, options.argument(type=_NAMES, default="manifest", metavar="[NAME]")], context: Context
) -> None:
    """Print the JSON Schema of a file, or of a command's JSON output."""
    context.console.data(schemas.text(f"{name}.v1"))
