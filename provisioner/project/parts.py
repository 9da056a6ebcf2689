"""The replaceable parts of a project: stores of states, transport of requests, passwords and the clock.

Owns the defaults. A program can bring its own, and tests use parts that fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from provisioner.immutable import immutable
from provisioner.state.stores.opening import Place, open_store

if TYPE_CHECKING:
    from provisioner.model.account import Secret
    from provisioner.octopush.client import Exchange
    from provisioner.settings import Settings
    from provisioner.state.stores import Store

_PASSWORD_BYTES: Final = 24


def transport(settings: Settings) -> Exchange:
    """Return an HTTP transport with the timeout, proxy and certificate authorities of ``settings``."""
    from provisioner.octopush.transport import Transport  # a plan without refresh does not need it

    return Transport(settings.timeout, settings.proxy, settings.ca_file)


def new_password() -> Secret:
    """Return a password of 32 characters, with 190 bits of entropy; Octopush does not document its rules.

    It begins with a letter, contains upper and lower case, a digit and a sign, and needs no
    quotes in a shell, a URL or a spreadsheet.
    """
    import secrets  # a plan does not need it
    import string

    from provisioner.model.account import Secret

    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_")
    while True:
        text = secrets.token_urlsafe(_PASSWORD_BYTES)
        if text[0].isalpha() and all(any(one in kind for one in text) for kind in kinds):
            return Secret(text)


def now() -> str:
    """Return the time, UTC, in the format of the state."""
    from provisioner.project import provenance  # a plan does not need it

    return provenance.now()


@immutable
class Parts:
    """A function for each part."""

    store: Callable[[Place], Store] = open_store
    """Returns the store of one parent's state."""
    transport: Callable[[Settings], Exchange] = transport
    """Returns the transport for the requests of all parents; several threads use it."""
    new_password: Callable[[], Secret] = new_password
    """Returns a password for an account that has none in the manifest."""
    now: Callable[[], str] = now
    """Returns the time, UTC, as in ``2026-12-31T12:00:00Z``."""


USUAL: Final = Parts()
