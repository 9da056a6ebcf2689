"""The secrets that only a run needs: credentials, identity, the heartbeat's address; read on demand.

Looks only at the environment that it is given. Does not print: what the identity command
writes goes to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
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
                f"The API {what} of the parent {parent.name} contains a character that an HTTP header cannot contain.",
                hint=f"Check the value of {' and '.join(placeholders.names(text))}.",
            )
        values.append(value)
    if missing:
        raise placeholders.together(missing)
    return Credentials(values[0], Secret(values[1]))


def known_login(parent: ParentSettings, reader: Reader, base: Path) -> str | None:
    """Return the parent's login if it can be read here, for the reader of a plan; otherwise None.

    Only an e-mail address that is written as a whole is shown: anything else could be a key.
    """
    text = parent.api_login
    if text not in {*(f"${{{each}}}" for each in placeholders.names(text)), placeholders.filled(text, "")}:
        return None
    with suppress(SettingInvalid):
        value = _expanded(reader, text, base, "The login")
        return value if "@" in value.strip("@") else None
    return None


def identity(
    settings: Settings, environ: Mapping[str, str], default: Path, on_stderr: Callable[[str], None] | None
) -> tuple[Secret, str]:
    """Return the text of the identity and where it came from.

    The first of these: PROVISIONER_IDENTITY, PROVISIONER_IDENTITY_FILE,
    PROVISIONER_IDENTITY_COMMAND, the setting ``identity_file``, the file ``default``.
    ``on_stderr`` receives what the command writes to standard error; None: the command
    writes to the process's own, so that it can ask the person there.

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
                "PROVISIONER_IDENTITY_COMMAND is a key and not a command; the shell would print it in its error.",
                hint="Put the key itself into PROVISIONER_IDENTITY, and a command that prints it into this one.",
            )
        return _identity_from_command(command, environ, on_stderr), "PROVISIONER_IDENTITY_COMMAND"
    if named is not None:
        return _identity_from_file(named)
    if default.exists():
        return _identity_from_file(default)
    raise SettingInvalid(
        f"There is no identity to open what is sealed: none is named, and there is none at {default}.",
        hint="Put it there, or set PROVISIONER_IDENTITY_FILE, PROVISIONER_IDENTITY_COMMAND or PROVISIONER_IDENTITY.",
    )


def has_identity(settings: Settings, environ: Mapping[str, str], default: Path) -> bool:
    """Return whether an identity is given anywhere, right or wrong."""
    variables = ("PROVISIONER_IDENTITY", "PROVISIONER_IDENTITY_COMMAND")
    named = any(environ.get(each) for each in variables) or identity_file(settings, environ) is not None
    return named or default.exists()


def heartbeat(text: str | None, reader: Reader, base: Path) -> Secret | None:
    """Return the address to call after a run, with placeholders filled in; None if none is set.

    Raises:
        SettingInvalid: it is not an http(s) address, it has no TLS to another machine, or a
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
            hint=f"Whoever listens in could report that a run ended well. Plain http is for this machine alone. {hint}",
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
            hint=f"{error.hint} PROVISIONER_IDENTITY_FILE or identity_file says where it is.",
        ) from None


def _identity_from_command(command: str, environ: Mapping[str, str], on_stderr: Callable[[str], None] | None) -> Secret:
    """Run a password manager or key service."""
    import subprocess  # noqa: PLC0415  # only needed to open what is sealed

    with subprocess.Popen(  # noqa: S602  # the user's own command line, from their own environment
        command,
        shell=True,
        env=dict(environ),
        stdout=subprocess.PIPE,
        stderr=None if on_stderr is None else subprocess.PIPE,
    ) as process:
        output, errors, problem = _outputs(process)
    if on_stderr is not None and errors:
        on_stderr(errors.decode(errors="backslashreplace").rstrip("\n"))
    if problem is None:
        return Secret(text_of(output, "The output of the command in PROVISIONER_IDENTITY_COMMAND"))
    raise SettingInvalid(
        f"The command in PROVISIONER_IDENTITY_COMMAND {problem}.", hint="Run it by hand and see what it prints."
    )


def _outputs(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, str | None]:
    """Return the standard output and error of a command, up to a limit, and how it failed, or None."""
    import os  # noqa: PLC0415  # only needed to open what is sealed
    import selectors  # noqa: PLC0415
    import subprocess  # noqa: PLC0415
    import time  # noqa: PLC0415

    end = time.monotonic() + _IDENTITY_SECONDS
    late = f"did not end within {_IDENTITY_SECONDS} s"
    output, errors, problem = bytearray(), bytearray(), None
    with selectors.DefaultSelector() as waiting:
        for stream, content in ((process.stdout, output), (process.stderr, errors)):
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
    # Processes that it has started notice that nobody reads their output.
    process.kill()
    return bytes(output), bytes(errors), problem
