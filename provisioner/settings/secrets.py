"""What only a run needs of the settings: credentials, identity, the address to call; read when they are asked for.

Refuses to look at any environment but the one that it is given, and to print: what a
command says that was run for the identity is handed to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from provisioner import placeholders
from provisioner.errors import SettingInvalid
from provisioner.model import address
from provisioner.model.account import Credentials, Secret
from provisioner.placeholders.reading import MAX_FILE_BYTES, Reader, read_private, text_of
from provisioner.settings import ParentSettings, Settings
from provisioner.settings.readers import IDENTITY_FILE, identity_file

if TYPE_CHECKING:
    import subprocess

_IDENTITY_SECONDS: Final = 60


def credentials(parent: ParentSettings, reader: Reader, base: Path) -> Credentials:
    """Return the parent's login and key.

    Raises:
        SettingInvalid: one of them is missing, may not be read, or cannot be an HTTP header.

    """
    values: list[str] = []
    missing: list[SettingInvalid] = []
    for what, text in (("login", parent.api_login), ("key", parent.api_key)):
        try:
            value = _expanded(reader, text, base, f"The API {what} of the parent {parent.name}")
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
    named = identity_file(settings, environ)
    if named is not None and environ.get(IDENTITY_FILE):
        return _identity_from_file(named)
    if command := environ.get("PROVISIONER_IDENTITY_COMMAND"):
        if re.match(r"\s*(AGE-SECRET-KEY-|-----BEGIN )", command, re.IGNORECASE):
            raise SettingInvalid(
                "PROVISIONER_IDENTITY_COMMAND is a key, and no command, which the shell would name in its error.",
                hint="The key itself goes into PROVISIONER_IDENTITY, and what prints it into this one.",
            )
        return _identity_from_command(command, environ, said), "PROVISIONER_IDENTITY_COMMAND"
    if named is not None:
        return _identity_from_file(named)
    if default.exists():
        return _identity_from_file(default)
    raise SettingInvalid(
        f"There is no identity to open what is sealed: none is named, and there is none at {default}.",
        hint="Put it there, or set PROVISIONER_IDENTITY_FILE, PROVISIONER_IDENTITY_COMMAND or PROVISIONER_IDENTITY.",
    )


def has_identity(settings: Settings, environ: Mapping[str, str], default: Path) -> bool:
    """Tell whether an identity was given anywhere; whether it is right is another matter."""
    variables = ("PROVISIONER_IDENTITY", "PROVISIONER_IDENTITY_COMMAND")
    named = any(environ.get(each) for each in variables) or identity_file(settings, environ) is not None
    return named or default.exists()


def heartbeat(text: str | None, reader: Reader, base: Path) -> Secret | None:
    """Return the address to call when a run has ended, its placeholders filled in; None where none is set.

    Raises:
        SettingInvalid: it is no http(s) address, or one without TLS to another machine, or a
            placeholder in it cannot or may not be read.

    """
    if text is None:
        return None
    hint = "Write it as in https://monitor.example.com/ping/${env:PING_ID}."
    url = _expanded(reader, text, base, "The setting heartbeat_url")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not (valid and url.isascii() and url.isprintable() and not {" ", "\\"} & set(url)):
        raise SettingInvalid("The setting heartbeat_url is not an http(s) address.", hint=hint)
    if parts.scheme == "http" and not address.is_this_machine(parts.hostname or ""):
        raise SettingInvalid(
            f"The setting heartbeat_url is http without TLS, to {parts.hostname}.",
            hint=f"Whoever hears it could say that a run ended well. Plain http is for this machine alone. {hint}",
        )
    return Secret(url)


def _expanded(reader: Reader, text: str, base: Path, subject: str) -> str:
    if wrong := reader.refused(text, base):
        raise SettingInvalid(f"{subject} {wrong[0]}.", hint=wrong[1])
    return reader.expand(text, base).strip()


def _identity_from_file(path: Path) -> tuple[Secret, str]:
    try:
        return Secret(read_private(path)), str(path)
    except SettingInvalid as error:
        raise SettingInvalid(
            f"The identity cannot be read. {error.message}",
            hint=f"{error.hint} Its place is that of PROVISIONER_IDENTITY_FILE or identity_file.",
        ) from None


def _identity_from_command(command: str, environ: Mapping[str, str], said: Callable[[str], None] | None) -> Secret:
    """Run a password manager or key service."""
    import subprocess  # noqa: PLC0415  # only who opens what is sealed needs it

    with subprocess.Popen(  # noqa: S602  # the person's own command line, from their own environment
        command,
        shell=True,
        env=dict(environ),
        stdout=subprocess.PIPE,
        stderr=None if said is None else subprocess.PIPE,
    ) as process:
        printed, words, problem = _printed(process)
    if said is not None and words:
        said(words.decode(errors="backslashreplace").rstrip("\n"))
    if problem is None:
        return Secret(text_of(printed, "What the command of PROVISIONER_IDENTITY_COMMAND printed"))
    raise SettingInvalid(
        f"The command of PROVISIONER_IDENTITY_COMMAND {problem}.", hint="Run it by hand and see what it prints."
    )


def _printed(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, str | None]:
    """Return what a command writes to its two streams, up to a bound, and what is wrong with how it ended, or None."""
    import os  # noqa: PLC0415  # only who opens what is sealed needs these
    import selectors  # noqa: PLC0415
    import subprocess  # noqa: PLC0415
    import time  # noqa: PLC0415

    end = time.monotonic() + _IDENTITY_SECONDS
    late = f"did not end within {_IDENTITY_SECONDS} s"
    printed, words, problem = bytearray(), bytearray(), None
    with selectors.DefaultSelector() as waiting:
        for stream, content in ((process.stdout, printed), (process.stderr, words)):
            if stream is not None:
                waiting.register(stream, selectors.EVENT_READ, content)
        while waiting.get_map() and problem is None:
            ready = waiting.select(max(0.0, end - time.monotonic()))
            problem = None if ready else late
            for key, _ in ready:
                if not (piece := os.read(key.fd, MAX_FILE_BYTES)):
                    waiting.unregister(key.fileobj)
                key.data.extend(piece)
                if len(key.data) > MAX_FILE_BYTES:
                    problem = f"printed more than {MAX_FILE_BYTES:,} bytes"
    if problem is None:
        try:
            code = process.wait(max(0.0, end - time.monotonic()))
            problem = f"ended with {code}" if code else None
        except subprocess.TimeoutExpired:
            problem = late
    # Whatever it has started still sees that nobody reads.
    process.kill()
    return bytes(printed), bytes(words), problem
