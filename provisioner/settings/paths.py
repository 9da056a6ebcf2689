"""Paths in settings: expands the home folder, and refuses placeholders."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from typing import Final

from provisioner import placeholders
from provisioner.errors import SettingInvalid
from provisioner.placeholders.reading import holds_identity

_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|git:")
_VARIABLE: Final = r"\$\w+|%\w+%"


def is_address(text: str) -> bool:
    """Return whether ``text`` names a store, as in ``git:origin/…`` or ``s3://…``, and not a path."""
    return _ADDRESS.match(text) is not None


def require_plain(text: str, name: str, hint: str = "") -> None:
    """Refuse a placeholder, which nothing would fill in, and a private key; raises SettingInvalid.

    ``name`` is the name of the setting.
    """
    if holds_identity(text) or "PRIVATE KEY-----" in text:
        raise SettingInvalid(
            f"{name} contains a private key, which every plan and many errors would show.",
            hint="Remove it, and make a new one if anybody may have seen it. A key belongs in PROVISIONER_IDENTITY or"
            " in a file.",
        )
    if placeholders.names(text) or placeholders.fault(text):
        raise SettingInvalid(
            f"{name} takes no placeholder, such as ${{env:NAME}}.",
            hint=hint or "Write the value itself, or set the variable or the flag of this setting.",
        )


def from_home(text: str, environ: Mapping[str, str], name: str) -> str:
    """Return the path ``text``, with a ``~`` at its beginning replaced by the home folder.

    Raises:
        SettingInvalid: it contains a placeholder or a shell variable, or nobody has that home folder.

    """
    require_plain(text, name)
    if (variable := re.search(_VARIABLE, text)) is not None:
        raise SettingInvalid(
            f"{name} contains {variable.group()}, which only a shell would expand.",
            hint="Write the folder itself; ~ is your home folder.",
        )
    if not text.startswith("~"):
        return text
    whose, slash, rest = text.partition("/")
    try:
        if whose == "~":
            home = environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
        else:
            home = pwd.getpwnam(whose[1:]).pw_dir
    except KeyError:
        raise SettingInvalid(
            f"{name} begins with {whose}, but there is no such home folder.",
            hint="Write the folder itself, or put ./ in front if that is its name.",
        ) from None
    return home + slash + rest
