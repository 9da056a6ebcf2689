"""Placeholders: ``${env:NAME}`` and ``${file:PATH}`` inside a text.

Has their syntax, and what is known without reading one; ``reading`` decides which may be read,
and reads them. Never expands the result of an expansion, and never puts a value into a message.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, Literal, cast

from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable
from provisioner.model.account import PLACEHOLDER, stood_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.model.account import DesiredAccount

_SCHEME: Final = r"^(?:[hH][tT][tT][pP][sS]?:|[\ue000-\uf8ff]+:?)//"
_BEHIND_HOST: Final = r"[/?#]"
_NEARLY: Final = ("${", "$(env:", "$(file:")
_HINT: Final = "Write ${env:NAME} for an environment variable or ${file:PATH} for a file, without spaces."


def names(text: str) -> tuple[str, ...]:
    """Return what ``text`` refers to, in order, as in ``("env:HOOK_TOKEN", "file:secrets/paris")``."""
    return tuple(match.group()[2:-1] for match in PLACEHOLDER.finditer(text))


@immutable
class Read:
    """One placeholder of an account: what an apply would read, and who receives the field."""

    kind: Literal["env", "file"]
    name: str
    """The variable, or the file's path as the manifest has it."""
    path: str
    """The field's dotted path, as in ``callbacks.email_for_inbounds``, or ``password``."""
    to: str | None
    """The host, with its port if given, or the e-mail domain that receives the value besides Octopush; None: nobody.

    If that is itself a placeholder, it is shown as written.
    """


def reads(account: DesiredAccount, *, password: bool = True) -> tuple[Read, ...]:
    """Return every placeholder of ``account``, by field in the order of the manifest, without reading any.

    Without ``password``, those of its password are left out: a change that sets none does not read them.
    """
    texts = account.texts() if password else account.attributes.flat()
    return tuple(
        Read(cast("Literal['env', 'file']", kind), name, path, _receiver(path, text))
        for path, text in texts.items()
        for kind, _, name in (each.partition(":") for each in names(text))
    )


def fault(text: str) -> tuple[str, str] | None:
    """Return what is wrong with the placeholders of ``text`` and a hint, or None.

    Neither repeats the text: it may be a password that happens to contain ``${``.
    """
    if "$" not in text:
        return None
    rest = filled(text, " ")
    if any(each in rest for each in _NEARLY):
        return "contains a malformed placeholder", _HINT
    return None


def filled(text: str, substitute: str) -> str:
    """Return ``text`` with ``substitute`` for each placeholder, so that the text around them can be checked."""
    return substitute.join(PLACEHOLDER.split(text)[::3]) if "$" in text else text


def fill(text: str, values: Sequence[str]) -> str:
    """Return ``text`` with its placeholders replaced by ``values``, in order."""
    around = PLACEHOLDER.split(text)[::3]
    return "".join(part for pair in zip_longest(around, values, fillvalue="") for part in pair)


def together(errors: Sequence[SettingInvalid]) -> SettingInvalid:
    """Return one error with the messages and hints of all ``errors``, each once."""
    messages, hints = (list(dict.fromkeys(texts)) for texts in zip(*((e.message, e.hint) for e in errors), strict=True))
    return SettingInvalid("\n".join(messages), hint="\n".join(hints))


def _receiver(path: str, text: str) -> str | None:
    if not path.startswith("callbacks."):
        return None
    bare, written = stood_in(text)
    if path.startswith("callbacks.callback_url_"):
        bare = re.split(_BEHIND_HOST, re.sub(_SCHEME, "", bare), maxsplit=1)[0]
    return bare.rpartition("@")[2].lower().translate(written)
