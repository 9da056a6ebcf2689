"""Writing: a manifest of accounts that exist.

Decides which values must not be in clear text in a manifest. Leaves quoting to the YAML
emitter.
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

    :param accounts: at least one; an empty manifest is not valid.
    :param parent: written into the manifest; None leaves it out.
    """
    manifest = {
        "version": 1,
        **({} if parent is None else {"parent": parent}),
        "accounts": [{"name": name, **each.document()} for name, each in sorted(accounts, key=itemgetter(0))],
    }
    # No line breaks, so that a review shows one line per changed field.
    return _ABOVE + yaml.safe_dump(manifest, allow_unicode=True, sort_keys=False, width=sys.maxsize)


def with_placeholders(name: str, attributes: Attributes) -> tuple[Attributes, dict[str, str]]:
    """Return ``attributes`` as the manifest may have them, and the variables that it then needs.

    A placeholder replaces each callback URL that may contain a token, and each text that
    would itself be read as a placeholder, since there is no escape for it.

    :return: the second maps each variable to the path of the field whose value it must have.
    """
    own: dict[str, str] = {}
    callbacks: dict[str, str] = {}
    variables: dict[str, str] = {}
    for path, text in attributes.flat().items():
        group, _, field = path.rpartition(".")
        if _needs_placeholder(field, text):
            variable = _variable(name, field)
            variables[variable] = path
            (callbacks if group else own)[field] = f"${{env:{variable}}}"
    return replace(attributes, **own, callbacks=replace(attributes.callbacks, **callbacks)), variables


def _needs_placeholder(field: str, text: str) -> bool:
    if placeholders.names(text) or placeholders.fault(text):
        return True
    return field.startswith("callback_url_") and may_hold_secret(text)


def _variable(name: str, field: str) -> str:
    """Return a unique variable for ``field`` of the account ``name``: a name has no underscore."""
    variable = f"{name}_{field}".upper().replace("-", "_")
    return f"_{variable}" if variable[0].isdigit() or is_own(variable) else variable
