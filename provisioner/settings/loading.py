"""Settings: from flags, the environment and ``provisioner.yaml``, strongest first.

Decides where each setting comes from; names, types, limits and defaults are those of
``config.v1.schema.json``. Expands no placeholder before a secret is needed, so that
planning needs none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from provisioner import document, files, placeholders, schemas
from provisioner.errors import SettingInvalid
from provisioner.model import address
from provisioner.model.account import AUTO_PARENT, DEFAULT_PARENT, Problem, Severity
from provisioner.model.terms import Freeze
from provisioner.settings import FILE, TUNING, USUAL_STATE, ParentSettings, Settings
from provisioner.settings.paths import from_home, is_address, require_plain

_SCHEMA: Final = "config.v1"
CONFIG: Final = "PROVISIONER_CONFIG"
"""The variable that names the file of the settings."""
_MAX_BYTES: Final = 10_000_000
_API_URL: Final = "OCTOPUSH_API_URL"
_RECIPIENTS: Final = "PROVISIONER_RECIPIENTS"
_PATHS: Final = ("state", "identity_file", "ca_file", "metrics_file")
_PUBLIC: Final = ("age1", "ssh-")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


def load(
    file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object], *, folder: Path = Path()
) -> Settings:
    """Return the settings of a project.

    ``file`` is what ``--config`` names. Without it, the file is PROVISIONER_CONFIG, or else
    ``provisioner.yaml`` in ``folder``, which may be absent. ``flags`` holds the flags by the
    name of their setting; None means not given.

    Raises:
        SettingInvalid: a file, variable or flag has a value that its setting cannot have.

    """
    config, where = (environ.get(CONFIG), CONFIG) if file is None else (str(file), "--config")
    named = Path(from_home(config, environ, where)) if config else None
    path = named or folder / FILE
    from_file = _from_file(path, environ, required=named is not None)
    given = {name: value for name, value in flags.items() if value is not None}
    _require(given, "on the command line")
    _expand_homes(given, environ, "on the command line")
    known = schemas.load(_SCHEMA)["properties"]
    defaults: dict[str, Any] = {name: _deref(each).get("default") for name, each in known.items()}
    defaults["state"] = str(folder / USUAL_STATE)
    stronger = {**_from_environment(environ), **given}
    merged: dict[str, Any] = {**defaults, **from_file, **stronger}
    merged["api_url"] = _address(merged["api_url"], _API_URL if "api_url" in stronger else f"api_url of {path}")
    if merged["encoding"] is not None and (fault := document.encoding_fault(merged["encoding"])):
        raise SettingInvalid(f"The setting encoding {fault[0]}: {merged['encoding']!r}.", hint=fault[1])
    parents = _parents(merged, from_file, stronger)
    merged = {name: merged[name] for name in known if name not in {"parents", "limit", "reserved"}}
    merged["recipients"] = tuple(merged["recipients"])
    if not all(each.strip().casefold().startswith(_PUBLIC) for each in merged["recipients"]):
        # Anything else may be a secret in the wrong place, and a plan shows recipients.
        raise SettingInvalid(
            "The setting recipients contains something other than public keys.",
            hint="Each is the age1… text that `provisioner keygen` prints, or an ssh-ed25519 public key.",
        )
    return Settings(**merged, parents=parents, file=path, stronger=frozenset(stronger))


def _from_file(path: Path, environ: Mapping[str, str], *, required: bool) -> dict[str, Any]:
    try:
        raw = files.read(path, _MAX_BYTES)
    except FileNotFoundError as error:
        if not required:
            return {}
        raise SettingInvalid(
            f"There is no folder or settings file {path}.", hint="Check --config or PROVISIONER_CONFIG."
        ) from error
    except OSError as error:
        raise SettingInvalid(
            f"The settings {path} cannot be read: {error.strerror}.", hint="They must be in a file that you can read."
        ) from error
    settings = _parsed(raw, path)
    _expand_homes(settings, environ, f"in {path}")
    for name in _PATHS:
        if name in settings and not is_address(settings[name]):
            settings[name] = str(path.parent / settings[name])
    _check_parents(settings.get("parents", {}), path)
    return settings


def _expand_homes(settings: dict[str, Any], environ: Mapping[str, str], where: str) -> None:
    """Expand the paths in ``settings`` that begin with a home folder; raises SettingInvalid."""
    for name, value in settings.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and name != "heartbeat_url":
                require_plain(text, f"The setting {name} {where}")
        if name in _PATHS and value is not None and not is_address(value):
            settings[name] = from_home(value, environ, f"The setting {name} {where}")


def _parsed(raw: bytes, path: Path) -> dict[str, Any]:
    if all(line.lstrip().startswith(b"#") for line in raw.splitlines() if line.strip()):
        return {}
    parsed = document.parse_yaml(raw, str(path), _SCHEMA)
    if problems := [each for each in parsed.checked(_SCHEMA, {"date": _date_fault}) if each.severity is Severity.ERROR]:
        raise SettingInvalid(_summary(problems), hint=problems[0].hint)
    return dict(cast("dict[str, Any]", parsed.value))


def _date_fault(text: str) -> tuple[str, str] | None:
    from datetime import date  # noqa: PLC0415  # most projects have none

    try:
        known = date.fromisoformat(text).isoformat() == text
    except ValueError:
        known = False
    return None if known else ("must be a date", "Write year, month and day, as in 2026-12-31.")


def _summary(problems: Sequence[Problem]) -> str:
    first, more = problems[0], len(problems) - 1
    place = f"{first.origin.file}:{first.origin.line}" if first.origin.line else first.origin.file
    return f"{place}: {first.message}{f' ({more} more)' if more else ''}"


def _check_parents(parents: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    for name, parent in parents.items():
        if name == AUTO_PARENT:
            raise SettingInvalid(
                f"{path}: a parent cannot be named {name}.",
                hint="In a manifest, `parent: auto` places the account on one of several parents. Give this parent"
                " another name.",
            )
        text = parent.get("api_key")
        if text is not None and placeholders.filled(text, ""):
            raise SettingInvalid(
                f"{path}: the api_key of the parent {name} is in clear text.",
                hint="Write a placeholder, as in ${env:ACME_KEY}, and replace the key: many people can read this file.",
            )


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = schemas.load(_SCHEMA)["properties"]
    settings: dict[str, Any] = {}
    for name in ("state", *TUNING):
        variable = f"PROVISIONER_{name.upper()}"
        schema = _deref(known[name])
        text = environ.get(variable)
        if text is not None and not text.strip() and schema["type"] == "string" and "default" not in schema:
            # An empty variable means no value, and certainly not that of a file that a pull request can change.
            settings[name] = None
        elif text is not None:
            settings[name] = _typed(_given(text, variable), schema["type"], variable)
            _require({name: settings[name]}, f"in {variable}")
    if (url := environ.get(_API_URL)) is not None:
        settings["api_url"] = _given(url, _API_URL)
    if (text := environ.get(_RECIPIENTS)) is not None:
        settings["recipients"] = _split_recipients(_given(text, _RECIPIENTS))
    _expand_homes(settings, environ, "in the environment")
    return settings


def _given(text: str, variable: str) -> str:
    """Return ``text``, the value of ``variable``; raises SettingInvalid if it is empty, which does not mean unset."""
    if not text.strip():
        raise SettingInvalid(f"{variable} is empty.", hint=f"Give {variable} a value, or unset it.")
    return text


def _split_recipients(text: str) -> list[str]:
    """Split at commas, line feeds and spaces; an ssh key contains a space itself."""
    words = text.replace(",", " ").split()
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in {"ssh-ed25519", "ssh-rsa"}:
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    return joined


def _typed(text: str, kind: str, variable: str) -> object:
    """Return the text of an environment variable as the type that the schema wants."""
    if kind == "string":
        return text
    if kind == "boolean" and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    try:
        return {"integer": int, "number": float}[kind](text)
    except (KeyError, ValueError):
        wanted = {"integer": "a whole number", "number": "a number"}.get(kind, "true or false")
        raise SettingInvalid(f"{variable} must be {wanted}.", hint=f"Correct or unset {variable}.") from None


def _require(settings: Mapping[str, object], where: str) -> None:
    for name, value in settings.items():
        # Every comparison with NaN is false, so no limit in the schema stops it.
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingInvalid(f"The setting {name} {where} must be a number.", hint="Write it in digits.")
    for found in document.violations(cast("document.Value", settings), _SCHEMA, {}):
        name = document.spelled(found.path)
        raise SettingInvalid(f"The setting {name} {where} {found.predicate}.", hint=found.hint)


def _deref(schema: dict[str, Any]) -> dict[str, Any]:
    if (reference := schema.get("$ref")) is not None:
        found: dict[str, Any] = schemas.load(_SCHEMA)["$defs"][reference.rpartition("/")[2]]
        return found
    return schema


def _parents(
    merged: Mapping[str, Any], from_file: Mapping[str, Any], stronger: Mapping[str, Any]
) -> dict[str, ParentSettings]:
    """Return every parent; its own limit overrides the file's, and a variable or flag overrides both."""
    listed = from_file.get("parents") or {
        DEFAULT_PARENT: {"api_login": "${env:OCTOPUSH_API_LOGIN}", "api_key": "${env:OCTOPUSH_API_KEY}"}
    }
    return {
        name: ParentSettings(
            name,
            parent.get("api_login", "${env:OCTOPUSH_API_LOGIN}"),
            parent.get("api_key", "${env:OCTOPUSH_API_KEY}"),
            limit=stronger.get("limit", parent.get("limit", merged["limit"])),
            reserved=stronger.get("reserved", parent.get("reserved", merged["reserved"])),
            frozen=None if (frozen := parent.get("frozen")) is None else Freeze(**frozen),
        )
        for name, parent in listed.items()
    }


def _address(text: str, where: str) -> str:
    """Return the API's address, normalised: https to anywhere, and http to this machine alone.

    Every request carries the key. The transport checks again that a name such as
    ``localhost`` is this machine.
    """
    try:
        url = address.normal(text.strip(" \t\r\n"))
    except address.AddressError as error:
        usual = _deref(schemas.load(_SCHEMA)["properties"]["api_url"])["default"]
        raise SettingInvalid(
            f"The address of the API, in {where}, {error}.", hint=f"Write it as in {usual}, and nothing after that."
        ) from None
    parts = urlsplit(url)
    if parts.scheme == "http" and not address.is_this_machine(parts.hostname or ""):
        raise SettingInvalid(
            f"The address of the API, in {where}, is http without TLS, to {parts.hostname}.",
            hint="Every request carries the parent's key: use https. Plain http is for this machine alone.",
        )
    return url
