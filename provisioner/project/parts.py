"""What a project is made of besides its settings: where states are kept, what carries requests, how passwords are made.

Owns the usual parts. A program may bring its own, and tests bring ones that fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provisioner.state.stores.opening import Place, open_store

if TYPE_CHECKING:
    from provisioner.model.account import Secret
    from provisioner.octopush.client import Exchange
    from provisioner.settings import Settings
    from provisioner.state.stores import Store

_PASSWORD_BYTES: Final = 24


def transport(settings: Settings) -> Exchange:
    """Return what carries requests as the settings say."""
    from provisioner.octopush.transport import Transport  # a plain plan sends nothing

    return Transport(settings.timeout, settings.proxy, settings.ca_file)


def new_password() -> Secret:
    """Return a password of 32 characters, of 190 bits; what Octopush demands of one is not documented.

    It begins with a letter, holds a capital, a digit and a sign, and needs no quotes in
    a shell, a URL or a spreadsheet.
    """
    import secrets  # a plan makes none
    import string

    from provisioner.model.account import Secret

    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_")
    while True:
        text = secrets.token_urlsafe(_PASSWORD_BYTES)
        if text[0].isalpha() and all(any(one in kind for one in text) for kind in kinds):
            return Secret(text)


def now() -> str:
    """Return the time, UTC, as the state holds it."""
    from provisioner.project import provenance  # a plain plan has no use for it

    return provenance.now()


@dataclass(frozen=True, slots=True)
class Parts:
    """How each part is made."""

    store: Callable[[Place], Store] = open_store
    """The store of one parent's state, from its place."""
    transport: Callable[[Settings], Exchange] = transport
    """What carries the requests of all parents; used by several threads."""
    new_password: Callable[[], Secret] = new_password
    """A password for an account that the manifest gives none."""
    now: Callable[[], str] = now
    """The time, UTC, as in ``2026-12-31T12:00:00Z``."""


USUAL: Final = Parts()
