"""What only a run needs of the settings: credentials, identity, the address to call; read when they are asked for.

Refuses to look at any environment but the one that it is given, and to print: what a
command says that was run for the identity is handed to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from provisioner import placeholders
from provisioner.errors import SettingInvalid
from provisioner.model.account import Credentials, Secret
from provisioner.settings import ParentSettings, Settings

_IDENTITY_SECONDS: Final = 60


def credentials(parent: ParentSettings, environ: Mapping[str, str], base: Path) -> Credentials:
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


def identity(
    settings: Settings, environ: Mapping[str, str], default: Path, said: Callable[[str], None] | None
) -> tuple[Secret, str]:
    """Return the text of the identity and the place that it came from.

    Looked for in this order: PROVISIONER_IDENTITY, PROVISIONER_IDENTITY_FILE,
    PROVISIONER_IDENTITY_COMMAND, the setting ``identity_file``, the file ``default``.
    ``said`` hears what the command writes to standard error; None: a person is there,
    whom it may ask, so that it writes to the process's own.

    Raises:
        SettingInvalid: there is none, or it cannot be read.

    """
    if text := environ.get("PROVISIONER_IDENTITY"):
        return Secret(text), "PROVISIONER_IDENTITY"
    if name := environ.get("PROVISIONER_IDENTITY_FILE"):
        return _identity_from_file(Path(name))
    if command := environ.get("PROVISIONER_IDENTITY_COMMAND"):
        return _identity_from_command(command, environ, said), "PROVISIONER_IDENTITY_COMMAND"
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


def _identity_from_command(command: str, environ: Mapping[str, str], said: Callable[[str], None] | None) -> Secret:
    """Run a password manager or key service."""
    import subprocess  # noqa: PLC0415  # only who opens what is sealed needs it

    words: bytes | None = None
    try:
        done = subprocess.run(  # noqa: S602  # the person's own command line, from their own environment
            command,
            shell=True,
            check=True,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=None if said is None else subprocess.PIPE,
            timeout=_IDENTITY_SECONDS,
        )
        words = done.stderr
        return Secret(done.stdout.decode())
    except subprocess.CalledProcessError as error:
        words = error.stderr
        problem = f"ended with {error.returncode}"
    except subprocess.TimeoutExpired as error:
        words = error.stderr
        problem = f"did not end within {_IDENTITY_SECONDS} s"
    except UnicodeDecodeError:
        problem = "printed something that is not text"
    finally:
        if said is not None and words:
            said(words.decode(errors="backslashreplace").rstrip("\n"))
    raise SettingInvalid(
        f"The command of PROVISIONER_IDENTITY_COMMAND {problem}.", hint="Run it by hand and see what it prints."
    )
