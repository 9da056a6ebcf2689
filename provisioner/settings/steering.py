"""The settings that decide what a run sends, where, and what it leaves behind: what a reviewer must see.

Decides which settings count, and what may be shown of each. A new setting counts unless
it is listed here as immaterial.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from provisioner import files, placeholders, schemas
from provisioner.errors import SettingInvalid
from provisioner.model.account import MASK
from provisioner.model.terms import Setting
from provisioner.settings import OUTLETS, Settings

_ELSEWHERE: Final = frozenset({"state", "parents"})
"""Each parent has its own, which its plan shows."""
_IMMATERIAL: Final = frozenset({"file", "stronger", "lock_timeout"})
"""Where the settings come from, and how long a run waits for a lock: neither changes what it does."""
_CONTENT: Final = frozenset({"ca_file"})
"""These name files, whose content counts."""
_MAX_BYTES: Final = 16_000_000


def steering(settings: Settings) -> tuple[Setting, ...]:
    """Return the settings that differ from their defaults, by name; raises SettingInvalid for an unreadable file."""
    known = schemas.load("config.v1")["properties"]
    found = []
    for each in fields(settings):
        if each.name in _ELSEWHERE | _IMMATERIAL:
            continue
        value, default = getattr(settings, each.name), known.get(each.name, {}).get("default")
        if value == (tuple(default) if isinstance(default, list) else default):
            continue
        shown = _shown(each.name, value)
        sha256 = _sha256(_content(Path(value), each.name)) if each.name in _CONTENT else None
        if MASK in shown and each.name not in settings.stronger:
            # The file has it in clear text, and the masked part counts as well.
            sha256 = _sha256(_text(value).encode())
        found.append(Setting(each.name, shown, _text(default) or None, sha256))
    return tuple(sorted(found, key=lambda setting: setting.name))


def _shown(name: str, value: object) -> str:
    text = _text(value)
    if name in OUTLETS and "://" in text:
        return _address(text)
    # A proxy's address may contain a password.
    return re.sub(r"(?<=://)[^/?#]*@", f"{MASK}@", text)


def _address(url: str) -> str:
    """Return an address with all but its host masked, as it may be a token; its placeholders stay visible."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    host = parts.netloc.rpartition("@")[2]
    named = [f"${{{each}}}" for each in placeholders.names(url)]
    hidden = "/".join((MASK, *named)) if parts.path.strip("/") or parts.query or "@" in parts.netloc else ""
    return f"{parts.scheme}://{host}" + (f"/{hidden}" if hidden else "")


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case tuple() | list():
            return ", ".join(sorted(map(str, value)))
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def _sha256(raw: bytes) -> str:
    import hashlib  # noqa: PLC0415  # most projects name no such file

    return hashlib.sha256(raw).hexdigest()


def _content(path: Path, name: str) -> bytes:
    try:
        return files.read(path, _MAX_BYTES)
    except OSError as error:
        raise SettingInvalid(
            f"The setting {name}, {path}, cannot be read: {error.strerror or error}.",
            hint="Its content is part of the review: name a file that exists.",
        ) from error
