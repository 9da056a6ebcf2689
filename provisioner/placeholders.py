"""Placeholders: ``${env:NAME}`` and ``${file:PATH}`` inside a text.

Owns their syntax and their expansion. Refuses to look at the environment or at
a file by itself while expanding (both are handed in), to expand what came out of
an expansion, and to put a value into any message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Final, Literal, cast

from provisioner.errors import SettingInvalid
from provisioner.model.account import PLACEHOLDER, stood_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provisioner.model.account import DesiredAccount

MAX_FILE_BYTES: Final = 64 * 1024
"""A secret is short; whatever is longer is the wrong file."""

_SCHEME: Final = re.compile(r"^(?:https?:|[\ue000-\uf8ff]+:?)//", re.IGNORECASE)
_BEHIND_HOST: Final = re.compile(r"[/?#]")
_NEARLY: Final = ("${", "$(env:", "$(file:")
_HINT: Final = "Write ${env:NAME} for an environment variable or ${file:PATH} for a file, without spaces."


def names(text: str) -> tuple[str, ...]:
    """Return what ``text`` refers to, in order, as in ``("env:HOOK_TOKEN", "file:secrets/paris")``."""
    return tuple(match.group()[2:-1] for match in PLACEHOLDER.finditer(text))


@dataclass(frozen=True, slots=True)
class Read:
    """One placeholder of an account: what an apply would read, and to whom the field that holds it goes."""

    kind: Literal["env", "file"]
    name: str
    """The variable, or the file's path as the manifest has it."""
    path: str
    """The field's dotted path, as in ``callbacks.email_for_inbounds``, or ``password``."""
    to: str | None
    """The host, with a port that is given, or the e-mail domain that gets the value besides Octopush; None: nobody.

    Where a placeholder brings that itself, it stands in here as it was written.
    """


def reads(account: DesiredAccount, *, password: bool = True) -> tuple[Read, ...]:
    """Return every placeholder of ``account``, by field in the order of the manifest; nothing is read.

    Without ``password``, none of its password: a change that sets none does not read it.
    """
    texts = account.attributes.flat()
    if password and account.password is not None:
        texts["password"] = account.password.reveal()
    return tuple(
        Read(cast("Literal['env', 'file']", kind), name, path, _receiver(path, text))
        for path, text in texts.items()
        for kind, _, name in (each.partition(":") for each in names(text))
    )


def fault(text: str) -> tuple[str, str] | None:
    """Return what is wrong with the placeholders of ``text`` and a hint, or None.

    Neither repeats any of the text: it may be a password in which ``${`` stands by chance.
    """
    if "$" not in text:
        return None
    rest = filled(text, " ")
    if any(each in rest for each in _NEARLY):
        return "contains a placeholder that is not well formed", _HINT
    return None


def filled(text: str, stand_in: str) -> str:
    """Return ``text`` with ``stand_in`` for each placeholder, so that the text around them can be checked."""
    return stand_in.join(PLACEHOLDER.split(text)[::3]) if "$" in text else text


def fits(text: str, value: str) -> bool:
    """Tell whether ``value`` may be what ``text`` expands to: the text around the placeholders is there, in order.

    A placeholder stands for one character at least, whatever they are.
    """
    first, *others = PLACEHOLDER.split(text)[::3]
    if not others:
        return text == value
    *between, last = others
    end = len(first)
    for each in between:
        # The first place that fits leaves the most for those that follow.
        found = value.find(each, end + 1)
        if found < 0:
            return False
        end = found + len(each)
    return value.startswith(first) and value.endswith(last) and len(value) - len(last) > end


def expand(
    text: str,
    *,
    environ: Mapping[str, str],
    read_file: Callable[[Path], str],
    base: Path,
) -> str:
    """Return ``text`` with each placeholder replaced by what it refers to; see :func:`values`."""
    return fill(text, values(text, environ=environ, read_file=read_file, base=base))


def fill(text: str, found: Sequence[str]) -> str:
    """Return ``text`` with its placeholders replaced by what was ``found`` for them, in order."""
    around = PLACEHOLDER.split(text)[::3]
    return "".join(part for pair in zip_longest(around, found, fillvalue="") for part in pair)


def values(
    text: str,
    *,
    environ: Mapping[str, str],
    read_file: Callable[[Path], str],
    base: Path,
) -> tuple[str, ...]:
    """Return what the placeholders of ``text`` refer to, in order.

    A file's path is relative to ``base``; one newline at its end is dropped. What
    comes in is never looked at for further placeholders.

    :raises SettingInvalid: a placeholder is malformed, or what it names is missing,
        empty or holds a NUL; the message names the variable or file, never a value.
    """
    if wrong := fault(text):
        raise SettingInvalid(f"A value {wrong[0]}.", hint=wrong[1])
    return tuple(
        _variable(variable, environ) if variable else _file(base / path, read_file)
        for variable, path in PLACEHOLDER.findall(text)
    )


def read_file(path: Path) -> str:
    """Return the text of the file at ``path``.

    :raises SettingInvalid: it cannot be read, is no regular file, is over
        :data:`MAX_FILE_BYTES` or is not UTF-8.
    """
    try:
        # Asked before opening: to open a named pipe would wait for ever.
        if not S_ISREG(path.stat().st_mode):
            raise SettingInvalid(f"{path} is not a file.", hint="Name a file that holds the value and nothing else.")
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingInvalid(
            f"The file {path} cannot be read: {error.strerror}.",
            hint="A placeholder's path is relative to the folder of the file that it stands in.",
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise SettingInvalid(
            f"The file {path} is over {MAX_FILE_BYTES:,} bytes.",
            hint="Name a file that holds the value and nothing else.",
        )
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # Without its cause: that would carry the file's bytes into a traceback.
        raise SettingInvalid(f"The file {path} is not UTF-8 text.", hint="Save it as UTF-8.") from None


def together(errors: Sequence[SettingInvalid]) -> SettingInvalid:
    """Return one error that says what all of ``errors`` say, each once."""
    messages, hints = (list(dict.fromkeys(texts)) for texts in zip(*((e.message, e.hint) for e in errors), strict=True))
    return SettingInvalid("\n".join(messages), hint="\n".join(hints))


def _receiver(path: str, text: str) -> str | None:
    if not path.startswith("callbacks."):
        return None
    bare, written = stood_in(text)
    if path.startswith("callbacks.callback_url_"):
        bare = _BEHIND_HOST.split(_SCHEME.sub("", bare), maxsplit=1)[0]
    return bare.rpartition("@")[2].lower().translate(written)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise SettingInvalid(f"The environment variable {name} is not set.", hint=f"Set {name} and run again.")
    return _usable(value, f"The environment variable {name}")


def _file(path: Path, read: Callable[[Path], str]) -> str:
    value = read(path)
    value = value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
    return _usable(value, f"The file {path}")


def _usable(value: str, source: str) -> str:
    if not value:
        raise SettingInvalid(f"{source} is empty.", hint="Give it a value and run again.")
    # Bytes of the environment that are no text come as halves of characters, which nothing can send.
    if "\0" in value or any("\ud800" <= one <= "\udfff" for one in value):
        raise SettingInvalid(f"{source} holds a character that is no text.", hint="It must hold plain UTF-8 text.")
    return value
