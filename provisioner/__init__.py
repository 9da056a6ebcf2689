"""Provision Octopush SMS sub-accounts in batch, and never lose a credential."""

__version__ = "0.1.0"
