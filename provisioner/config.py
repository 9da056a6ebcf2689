"""Settings: from flags, the environment and ``provisioner.yaml``, strongest first.

Owns where each setting comes from and what it may be; names, kinds, bounds and
defaults are those of ``config.v1.schema.json``. Refuses to expand a placeholder
before a secret is needed, so that planning needs none.
"""

from __future__ import annotations

import ipaddress
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from provisioner import document, placeholders, schemas
from provisioner.errors import SettingInvalid
from provisioner.model.account import DEFAULT_PARENT, Credentials, Problem, Secret

FILE: Final = "provisioner.yaml"
_SCHEMA: Final = "config.v1"
TUNING: Final = (
    "limit",
    "reserved",
    "timeout",
    "attempts",
    "retry_budget",
    "retry_after_cap",
    "retry_on_503",
    "lock_timeout",
    "keep_going",
    "proxy",
    "ca_file",
    "max_creates",
    "max_updates",
    "metrics_file",
    "heartbeat_url",
)
_API_URL: Final = "OCTOPUSH_API_URL"
_IDENTITY_SECONDS: Final = 60
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Parent:
    """One Octopush account that owns sub-accounts; login and key are placeholders."""

    name: str
    api_login: str
    api_key: str
    limit: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one run; seconds are floats."""

    state: str
    recipients: tuple[str, ...]
    api_url: str
    timeout: float
    attempts: int
    retry_budget: float
    retry_after_cap: float
    retry_on_503: bool
    lock_timeout: float
    keep_going: bool
    parents: Mapping[str, Parent]
    base: Path
    """The folder that the paths of ``provisioner.yaml`` are relative to."""
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    identity_file: str | None = None
    max_creates: int | None = None
    max_updates: int | None = None
    metrics_file: str | None = None
    heartbeat_url: str | None = field(default=None, repr=False)
    """Placeholders unexpanded."""

    def parent(self, name: str) -> Parent:
        """Return the settings of one parent; raises SettingInvalid where there is none of that name."""
        try:
            return self.parents[name]
        except KeyError:
            raise SettingInvalid(
                f"There is no parent {name} in the settings; known: {', '.join(sorted(self.parents))}.",
                hint=f"Name it under `parents` in {FILE}, or correct the manifest.",
            ) from None

    def state_path(self, parent: str) -> Path:
        """Return the file of one parent's state; raises SettingInvalid for an address that is no path."""
        if "://" in self.state:
            scheme = self.state.partition("://")[0]
            raise SettingInvalid(
                f"States cannot be kept in {scheme}: this version keeps them in files.",
                hint="Set `state` to a path, as in state/{parent}.json.",
            )
        if "{parent}" not in self.state and len(self.parents) > 1:
            raise SettingInvalid(
                "Several parents would share one state.", hint="Put {parent} into `state`: each parent has its own."
            )
        return Path(self.state.replace("{parent}", parent))


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings of this run.

    ``file`` is what ``--config`` named. ``flags`` holds the flags that were given, by
    the setting's name; those that are None were not.

    Raises:
        SettingInvalid: a file, variable or flag is not what its setting may be.

    """
    path = file or (Path(named) if (named := environ.get("PROVISIONER_CONFIG")) else None)
    from_file, base = _from_file(path)
    given = {name: value for name, value in flags.items() if value is not None}
    _require(given, "on the command line")
    known = schemas.load(_SCHEMA)["properties"]
    defaults = {name: _deref(each).get("default") for name, each in known.items()}
    merged: dict[str, Any] = {**defaults, **from_file, **_from_environment(environ), **given}
    _check_url(merged["api_url"])
    parents = _parents(merged, from_file, {**_from_environment(environ), **given})
    merged = {name: merged[name] for name in known if name not in {"parents", "limit", "reserved"}}
    return Settings(**{**merged, "recipients": tuple(merged["recipients"])}, parents=parents, base=base)


def credentials(parent: Parent, environ: Mapping[str, str], base: Path) -> Credentials:
    """Return the parent's login and key.

    Raises:
        SettingInvalid: one of them is missing, or cannot be an HTTP header.

    """
    values: list[str] = []
    missing: list[SettingInvalid] = []
    for what, text in (("login", parent.api_login), ("key", parent.api_key)):
        try:
            value = placeholders.expand(text, environ=environ, read_file=placeholders.read_file, base=base).strip()
        except SettingInvalid as error:
            missing.append(error)
            continue
        if not (value.isascii() and value.isprintable()):
            raise SettingInvalid(
                f"The API {what} of the parent {parent.name} holds a character that no HTTP header may hold.",
                hint=f"Check what {' and '.join(placeholders.names(text))} holds.",
            )
        values.append(value)
    if missing:
        raise placeholders.together(missing)
    return Credentials(values[0], Secret(values[1]))


def identity(settings: Settings, environ: Mapping[str, str], default: Path) -> tuple[Secret, str]:
    """Return the text of the identity and the place that it came from.

    Looked for in this order: PROVISIONER_IDENTITY, PROVISIONER_IDENTITY_FILE,
    PROVISIONER_IDENTITY_COMMAND, the setting ``identity_file``, the file ``default``.

    Raises:
        SettingInvalid: there is none, or it cannot be read.

    """
    if text := environ.get("PROVISIONER_IDENTITY"):
        return Secret(text), "PROVISIONER_IDENTITY"
    if name := environ.get("PROVISIONER_IDENTITY_FILE"):
        return _identity_from_file(Path(name))
    if command := environ.get("PROVISIONER_IDENTITY_COMMAND"):
        return _identity_from_command(command), "PROVISIONER_IDENTITY_COMMAND"
    if settings.identity_file is not None:
        return _identity_from_file(Path(settings.identity_file))
    if default.exists():
        return _identity_from_file(default)
    raise SettingInvalid(
        f"There is no identity to open what is sealed: none is named, and there is none at {default}.",
        hint="Put it there, or set PROVISIONER_IDENTITY_FILE, PROVISIONER_IDENTITY_COMMAND or PROVISIONER_IDENTITY.",
    )


def has_identity(settings: Settings, environ: Mapping[str, str], default: Path) -> bool:
    """Tell whether an identity was given anywhere; whether it is right is another matter."""
    variables = ("PROVISIONER_IDENTITY", "PROVISIONER_IDENTITY_FILE", "PROVISIONER_IDENTITY_COMMAND")
    return any(environ.get(each) for each in variables) or settings.identity_file is not None or default.exists()


def require_connection(settings: Settings) -> None:
    """Check what a connection will need, before anything is held or sent; raises SettingInvalid."""
    if settings.ca_file is not None:
        import ssl  # noqa: PLC0415  # a plan has no use for it

        try:
            ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ValueError) as error:
            raise SettingInvalid(
                f"The setting ca_file, {settings.ca_file}, holds no certificate authorities.",
                hint="It must be a readable file of certificates in PEM form.",
            ) from error
    if settings.proxy is not None:
        try:
            parts = urlsplit(settings.proxy)
            valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise SettingInvalid(
                "The setting proxy is not the address of a proxy.", hint="Write it as in http://proxy.example.com:3128."
            )


def heartbeat(text: str | None, environ: Mapping[str, str], base: Path) -> Secret | None:
    """Return the address to call when a run has ended, its placeholders filled in; None where none is set.

    Raises:
        SettingInvalid: it is no http(s) address, or a placeholder in it cannot be read.

    """
    if text is None:
        return None
    url = placeholders.expand(text, environ=environ, read_file=placeholders.read_file, base=base).strip()
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not (valid and url.isascii() and url.isprintable() and " " not in url):
        raise SettingInvalid(
            "The setting heartbeat_url is not an http(s) address.",
            hint="Write it as in https://monitor.example.com/ping/${env:PING_ID}.",
        )
    return Secret(url)


def _identity_from_file(path: Path) -> tuple[Secret, str]:
    try:
        return Secret(placeholders.read_file(path)), str(path)
    except SettingInvalid as error:
        raise SettingInvalid(
            f"The identity cannot be read. {error.message}", hint="Check PROVISIONER_IDENTITY_FILE or identity_file."
        ) from None


def _identity_from_command(command: str) -> Secret:
    """Run a password manager or key service; what it prints on standard error is for the person."""
    import subprocess  # noqa: PLC0415  # only who opens what is sealed needs it

    # Where nobody can answer a question there, it is handed on, in whatever form standard error has.
    stderr = None if sys.stderr.isatty() else subprocess.PIPE
    said: bytes | None = None
    try:
        done = subprocess.run(  # noqa: S602  # the person's own command line, from their own environment
            command, shell=True, check=True, stdout=subprocess.PIPE, stderr=stderr, timeout=_IDENTITY_SECONDS
        )
        said = done.stderr
        return Secret(done.stdout.decode())
    except subprocess.CalledProcessError as error:
        said = error.stderr
        problem = f"ended with {error.returncode}"
    except subprocess.TimeoutExpired as error:
        said = error.stderr
        problem = f"did not end within {_IDENTITY_SECONDS} s"
    except UnicodeDecodeError:
        problem = "printed something that is no text"
    finally:
        if said:
            sys.stderr.write(said.decode(errors="backslashreplace").rstrip("\n") + "\n")
    raise SettingInvalid(
        f"The command of PROVISIONER_IDENTITY_COMMAND {problem}.", hint="Run it by hand and see what it prints."
    )


def _from_file(path: Path | None) -> tuple[dict[str, Any], Path]:
    explicit = path is not None
    path = path or Path(FILE)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        if not explicit:
            return {}, Path()
        raise SettingInvalid(f"There is no {path}.", hint="Check --config or PROVISIONER_CONFIG.") from error
    except OSError as error:
        raise SettingInvalid(f"{path} cannot be read: {error.strerror}.", hint="It must be a readable file.") from error
    settings = _parsed(raw, path)
    base = path.parent
    for name in ("state", "identity_file", "ca_file", "metrics_file"):
        if name in settings and "://" not in settings[name]:
            settings[name] = str(base / settings[name])
    _check_parents(settings.get("parents", {}), path)
    return settings, base


def _parsed(raw: bytes, path: Path) -> dict[str, Any]:
    if all(line.lstrip().startswith(b"#") for line in raw.splitlines() if line.strip()):
        return {}
    parsed = document.parse_yaml(raw, str(path), _SCHEMA)
    if problems := parsed.checked(_SCHEMA, {}):
        raise SettingInvalid(_told(problems), hint=problems[0].hint)
    return dict(cast("dict[str, Any]", parsed.value))


def _told(problems: tuple[Problem, ...]) -> str:
    first, more = problems[0], len(problems) - 1
    place = f"{first.origin.file}:{first.origin.line}" if first.origin.line else first.origin.file
    return f"{place}: {first.message}{f' ({more} more)' if more else ''}"


def _check_parents(parents: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    for name, parent in parents.items():
        text = parent.get("api_key")
        if text is not None and placeholders.filled(text, ""):
            raise SettingInvalid(
                f"{path}: the api_key of the parent {name} is written in clear.",
                hint="Write a placeholder, as in ${env:ACME_KEY}, and change the key: this file is read by many.",
            )


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = schemas.load(_SCHEMA)["properties"]
    settings: dict[str, Any] = {}
    for name in ("state", *TUNING):
        variable = f"PROVISIONER_{name.upper()}"
        if text := environ.get(variable):
            settings[name] = _typed(text, _deref(known[name])["type"], variable)
            _require({name: settings[name]}, f"in {variable}")
    if url := environ.get(_API_URL):
        settings["api_url"] = url
    if text := environ.get("PROVISIONER_RECIPIENTS"):
        settings["recipients"] = _split_recipients(text)
    return settings


def _split_recipients(text: str) -> list[str]:
    """Split at commas, line feeds, and blanks; an ssh key holds a blank of its own."""
    words = text.replace(",", " ").split()
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in {"ssh-ed25519", "ssh-rsa"}:
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    return joined


def _typed(text: str, kind: str, variable: str) -> object:
    """Return the text of an environment variable as what the schema wants."""
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
        # Every comparison with a NaN is false, so that no bound of the schema stops it.
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


def _parents(merged: Mapping[str, Any], from_file: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Parent]:
    """Return every parent; a limit of its own is weaker than a variable or flag, and stronger than the file's."""
    listed = from_file.get("parents") or {
        DEFAULT_PARENT: {"api_login": "${env:OCTOPUSH_API_LOGIN}", "api_key": "${env:OCTOPUSH_API_KEY}"}
    }
    return {
        name: Parent(
            name,
            parent.get("api_login", "${env:OCTOPUSH_API_LOGIN}"),
            parent.get("api_key", "${env:OCTOPUSH_API_KEY}"),
            limit=stronger.get("limit", parent.get("limit", merged["limit"])),
            reserved=stronger.get("reserved", parent.get("reserved", merged["reserved"])),
        )
        for name, parent in listed.items()
    }


def _check_url(url: str) -> None:
    """Accept https anywhere, and http to this machine alone: the key goes with every request."""
    hint = f"Set {_API_URL} to an address such as {_deref(schemas.load(_SCHEMA)['properties']['api_url'])['default']}."
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    if not (port_is_valid and parts.hostname and parts.scheme in {"http", "https"}):
        raise SettingInvalid("The address of the API is not an http(s) address.", hint=hint)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingInvalid("The address of the API holds more than host and path.", hint=hint)
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise SettingInvalid(
            f"The address of the API is http without TLS, to {parts.hostname}.",
            hint="The parent's key goes with every request: use https. Plain http is for this machine alone.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
