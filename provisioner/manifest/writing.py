"""Writing: accounts that exist become a manifest that asks for exactly them.

Owns what of an account must not stand in a manifest in clear. Refuses to quote by
hand: what YAML takes for something else is the emitter's matter.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import yaml

from provisioner import placeholders
from provisioner.model.url import may_hold_secret
from provisioner.placeholders.reading import is_own

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provisioner.model.account import Attributes

_ABOVE: Final = """\
# yaml-language-server: $schema=../schemas/manifest.v1.schema.json
# These accounts existed already and were taken over.
"""


def as_yaml(accounts: Iterable[tuple[str, Attributes]], *, parent: str | None = None) -> str:
    """Return a manifest of ``accounts``, names with attributes, sorted by name.

    :param accounts: one at least; a manifest of none is not valid.
    :param parent: written into the manifest; None leaves it to whoever loads it.
    """
    manifest = {
        "version": 1,
        **({} if parent is None else {"parent": parent}),
        "accounts": [{"name": name, **each.document()} for name, each in sorted(accounts, key=itemgetter(0))],
    }
    # A text stays on its line, so that a review shows one line for each field that changed.
    return _ABOVE + yaml.safe_dump(manifest, allow_unicode=True, sort_keys=False, width=sys.maxsize)


def with_placeholders(name: str, attributes: Attributes) -> tuple[Attributes, dict[str, str]]:
    """Return ``attributes`` as the manifest may have them, and the variables that it then needs.

    A placeholder stands for each callback URL that may carry a token, and for each
    text that would itself be read as one, since nothing can escape it.

    :return: the second maps each variable to the path of the field whose value it must have.
    """
    own: dict[str, str] = {}
    callbacks: dict[str, str] = {}
    variables: dict[str, str] = {}
    for path, text in attributes.flat().items():
        group, _, field = path.rpartition(".")
        if _must_not_stand(field, text):
            variable = _variable(name, field)
            variables[variable] = path
            (callbacks if group else own)[field] = f"${{env:{variable}}}"
    return replace(attributes, **own, callbacks=replace(attributes.callbacks, **callbacks)), variables


def _must_not_stand(field: str, text: str) -> bool:
    if placeholders.names(text) or placeholders.fault(text):
        return True
    return field.startswith("callback_url_") and may_hold_secret(text)


def _variable(name: str, field: str) -> str:
    """Return a variable for ``field`` of the account ``name``, which is no other's: a name holds no underscore."""
    variable = f"{name}_{field}".upper().replace("-", "_")
    return f"_{variable}" if variable[0].isdigit() or is_own(variable) else variable
