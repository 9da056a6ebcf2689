"""The settings that decide what a run sends, where it goes and what it leaves behind: what a reviewer must see.

Owns which settings count, and what may be shown of each. A setting that is new counts,
unless it is named here as one that cannot matter.
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
"""Each parent has its own: they stand with its plan."""
_IMMATERIAL: Final = frozenset({"file", "stronger", "lock_timeout"})
"""Where the settings are, which of them are whose, and how patiently a run begins: none changes what it does."""
_CONTENT: Final = frozenset({"ca_file"})
"""These name files, and it is their content that counts."""
_MAX_BYTES: Final = 16_000_000


def steering(settings: Settings) -> tuple[Setting, ...]:
    """Return the settings that are not as they usually are, by name; raises SettingInvalid for a file's content."""
    known = schemas.load("config.v1")["properties"]
    found = []
    for each in fields(settings):
        if each.name in _ELSEWHERE | _IMMATERIAL:
            continue
        value, usual = getattr(settings, each.name), known.get(each.name, {}).get("default")
        if value == (tuple(usual) if isinstance(usual, list) else usual):
            continue
        shown = _shown(each.name, value)
        sha256 = _sha256(_content(Path(value), each.name)) if each.name in _CONTENT else None
        if MASK in shown and each.name not in settings.stronger:
            # It stands in the file in clear; what is behind the mask counts as well.
            sha256 = _sha256(_text(value).encode())
        found.append(Setting(each.name, shown, _text(usual) or None, sha256))
    return tuple(sorted(found, key=lambda setting: setting.name))


def _shown(name: str, value: object) -> str:
    text = _text(value)
    if name in OUTLETS and "://" in text:
        return _address(text)
    # A proxy's address may hold a password.
    return re.sub(r"(?<=://)[^/?#]*@", f"{MASK}@", text)


def _address(url: str) -> str:
    """Return an address of which everything but its host may be a token: its placeholders stay visible."""
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
            hint="It is part of what is reviewed: name a file that is there.",
        ) from error
