"""Provision Octopush SMS sub-accounts in batch, and never lose a credential."""

from typing import Final

__version__: Final = "0.1.0"
