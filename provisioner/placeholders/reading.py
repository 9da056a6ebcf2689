"""Reading: which variables and files placeholders may read, and their values.

Someone who may change a manifest or ``provisioner.yaml`` must not get at a secret that way. So
our own secrets are never read, even if listed, and the list of what else may be read comes from
the environment alone. Never follows a link out of the folder that a file may be in.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Final

from provisioner import files
from provisioner.errors import SettingInvalid
from provisioner.immutable import immutable
from provisioner.model.account import PLACEHOLDER
from provisioner.placeholders import fault, fill

LIST: Final = "PROVISIONER_PLACEHOLDERS"
"""The variable that lists what may be read."""
MACHINES: Final = (
    *("PROVISIONER_*", "CI_*", "GITHUB_*", "GITLAB_*", "ACTIONS_*", "RUNNER_*"),
    *("GH_TOKEN", "GH_ENTERPRISE_TOKEN"),
)
"""The variables of this program and of the CI that runs it; some of them are secrets."""
OWN: Final = ("OCTOPUSH_API_LOGIN*", "OCTOPUSH_API_KEY*", *MACHINES)
"""The same, plus the default variables of a parent's credentials."""
STORES: Final = (
    *("PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY"),
    *("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN", "AZURE_CLIENT_SECRET", "GOOGLE_SERVICE_ACCOUNT*"),
    "GOOGLE_BEARER_TOKEN",
)
"""The variables that give access to state stores; a command that is run may need them itself."""
MAX_FILE_BYTES: Final = 64 * 1024
"""A secret is short; a longer file is the wrong one."""

_IDENTITY: Final = "AGE-SECRET-KEY-"
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Without O_NONBLOCK, opening a named pipe would block for ever."""
_PASS: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW

Fault = tuple[str, str]
"""A predicate and a hint."""


def is_own(variable: str, patterns: tuple[str, ...] = OWN) -> bool:
    """Return whether ``variable``, in any capitals, matches one of ``patterns``."""
    return _matches(variable.upper(), patterns)


def holds_identity(value: str) -> bool:
    """Return whether ``value`` contains an identity, which opens a state."""
    return _IDENTITY in value.upper()


@lru_cache(maxsize=1024)
def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether ``name`` matches one of ``patterns``; cached, as most accounts name the same few variables."""
    return any(fnmatchcase(name, each) for each in patterns)


@immutable
class Reader:
    """Reads what the placeholders of one kind of text may read, and nothing else."""

    environ: Mapping[str, str] = field(repr=False)
    folders: tuple[Path, ...] | None
    """The folders that files may be in, subfolders included; None: anywhere."""
    own: tuple[str, ...] = (*OWN, *STORES)
    """Patterns, in capitals, of the variables that are never read."""
    own_files: tuple[Path, ...] = ()
    """The files that are never read, under any name."""
    listed: tuple[str, ...] | None = None
    """What else may be read: patterns of variables and, with a slash in them, of files; None: anything."""

    def refused(self, text: str, base: Path) -> Fault | None:
        """Return why placeholders of ``text``, from a file in ``base``, may not be read; None if all may."""
        found = PLACEHOLDER.findall(text)
        places = (self._place(path, base) for _, path in found if path)
        variables = self._variables_refused(dict.fromkeys(variable for variable, _ in found if variable))
        faults = dict.fromkeys((*variables, *(each for each in places if isinstance(each, tuple))))
        if not faults:
            return None
        return ", and ".join(predicate for predicate, _ in faults), " ".join(dict.fromkeys(hint for _, hint in faults))

    def expand(self, text: str, base: Path) -> str:
        """Return ``text`` with each placeholder replaced by its value; see :meth:`values`."""
        return fill(text, self.values(text, base))

    def values(self, text: str, base: Path) -> tuple[str, ...]:
        """Return the values of the placeholders of ``text``, in order.

        A file's path is relative to ``base``; one newline at its end is dropped. A
        placeholder in a value is not expanded.

        :raises SettingInvalid: a placeholder is malformed or may not be read, or what it names is
            missing, empty or holds a NUL; the message names the variable or file, never a value.
        """
        if wrong := fault(text) or self.refused(text, base):
            raise SettingInvalid(f"A value {wrong[0]}.", hint=wrong[1])
        return tuple(
            self._variable(variable) if variable else self._file(path, base)
            for variable, path in PLACEHOLDER.findall(text)
        )

    # ── Variables ────────────────────────────────────────────────────────────

    def _variables_refused(self, names: Collection[str]) -> Iterator[Fault]:
        if own := [name for name in names if is_own(name, self.own)]:
            yield (
                f"may not read {', '.join(own)}: secrets of the project and of its machine are off limits",
                "Put the value in another variable: nothing can allow this one.",
            )
        unlisted = [name for name in names if name not in own and not self._lists(name)]
        if unlisted:
            yield _unlisted(", ".join(unlisted))

    def _lists(self, name: str) -> bool:
        return self.listed is None or _matches(name, self.listed)

    def is_named(self, variable: str) -> bool:
        """Return whether the list names ``variable``; a pattern that matches everything does not count."""
        return _matches(variable, tuple(each for each in self.listed or () if not fnmatchcase("PATH", each)))

    def _variable(self, name: str) -> str:
        value = self.environ.get(name)
        if value is None:
            raise SettingInvalid(f"The environment variable {name} is not set.", hint=f"Set {name} and run again.")
        return _usable(value, f"The environment variable {name}")

    # ── Files ────────────────────────────────────────────────────────────────

    def _place(self, written: str, base: Path) -> Path | Fault | None:
        """Return the folder that the file must really be in, None for any, or why it may not be read."""
        path = base / written
        steps = written.split("/")
        if ".git" in map(str.lower, steps) or any(_is_same(path, each) for each in self.own_files):
            return (
                f"may not read {written}: secrets of the project and files of git are off limits",
                "Put the value in another file: nothing can allow this one.",
            )
        if self.folders is None:
            return None
        if ".." in steps:
            return f"may not read {written}: a path with .. in it leaves its folder", _NEAR
        found = self._folder(written, base)
        if isinstance(found, Path) and not _is_within(path, found):
            return f"may not read {written}: it is a link that leads out of its folder", _NEAR
        return found

    def _folder(self, written: str, base: Path) -> Path | Fault:
        top = next((each for each in self.folders or () if _is_within(base, each)), None)
        if self.listed is None:
            if top is None or written.startswith("/"):
                return f"may not read {written}, which is outside the project", _NEAR
            return top
        plain = os.path.normpath(written)
        absolute = os.path.abspath(base / written)  # noqa: PTH100  # links are checked later
        for pattern in (each.removeprefix("./") for each in self.listed if "/" in each):
            if pattern.startswith("/"):
                if fnmatchcase(absolute, pattern):
                    return Path(_fixed(pattern))
            elif top is not None and not written.startswith("/"):
                for start, name in ((base, plain), (top, os.path.relpath(absolute, top))):
                    folder = str(Path(os.path.realpath(start), _fixed(pattern)))
                    # If the folder were itself a link, its author would choose where it leads.
                    if fnmatchcase(name, pattern) and os.path.realpath(folder) == folder:
                        return Path(folder)
        return _unlisted(written if "/" in written else f"./{written}")

    def _file(self, written: str, base: Path) -> str:
        path, folder = base / written, self._place(written, base)
        assert not isinstance(folder, tuple)  # noqa: S101  # the caller has checked it
        value = _without_newline(_contents(path, folder, self.own_files))
        if "\n" in value or "\r" in value:
            raise SettingInvalid(f"The file {path} has more than one line.", hint=_ALONE)
        return _usable(value, f"The file {path}")


_ALONE: Final = "Name a file that contains the value and nothing else."
_PRIVATE: Final = (
    "Let nobody else read it: `chmod 600` the file. In a container or a service, give it the mode 0400 (defaultMode"
    " in Kubernetes, mode in Docker; LoadCredential of systemd does that)."
)
_NEAR: Final = (
    f"Put the file in the manifest's folder or below, or name another folder in {LIST}, as in /run/secrets/*."
)


def _unlisted(name: str) -> Fault:
    hint = (
        f"Set {LIST} in the environment of the run, for example to 'HOOK_* ./secrets/*'. Without it, only a person at a"
        " terminal may read others, and a command whose output goes into a pipe does not count as one."
    )
    return f"may not read {name}: it is not listed in {LIST}", hint


def read_private(path: Path) -> str:
    """Return the text of the file at ``path``, which holds a secret and must be private.

    :raises SettingInvalid: it cannot be read, is not a regular file, can be read by others, is
        over :data:`MAX_FILE_BYTES` or is not text.
    """
    return _contents(path, None, (), private=True)


def text_of(raw: bytes, source: str) -> str:
    """Return ``raw`` as text, without its byte-order mark; ``source`` begins the message of an error.

    :raises SettingInvalid: it is neither UTF-8 nor UTF-16 with a byte-order mark.
    """
    from provisioner.model.characters import decoded  # noqa: PLC0415  # most values come from variables

    try:
        text = decoded(raw)
    except UnicodeDecodeError:
        # Without its cause, which would carry the file's bytes into a traceback.
        raise SettingInvalid(f"{source} is not UTF-8 text.", hint="Save it as UTF-8.") from None
    if "\0" in text:
        raise SettingInvalid(
            f"{source} contains a NUL, as UTF-16 without a byte-order mark does.", hint="Save it as UTF-8."
        )
    return text


def _contents(path: Path, folder: Path | None, own: tuple[Path, ...], *, private: bool = False) -> str:
    try:
        with os.fdopen(_opened(path, folder), "rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            files.require_fit(status)
            if private:
                files.require_private(status)
            if any(each.exists() and os.path.samestat(status, each.stat()) for each in own):
                raise SettingInvalid(f"{path} was replaced by another file.", hint="Find out who did that.")
            raw = files.bounded(stream.fileno(), MAX_FILE_BYTES)
    except files.Exposed as error:
        raise SettingInvalid(f"The file {path} contains a secret, and {error.strerror}.", hint=_PRIVATE) from error
    except files.Unfit as error:
        raise SettingInvalid(f"The file {path} cannot be read: {error.strerror}.", hint=_ALONE) from error
    except OSError as error:
        raise SettingInvalid(
            f"The file {path} cannot be read: {error.strerror}.",
            hint=_ALONE if private else "A placeholder's path is relative to the folder of the file that contains it.",
        ) from error
    return text_of(raw, f"The file {path}")


def _opened(path: Path, folder: Path | None) -> int:
    """Open ``path``; with a ``folder``, only if it really is inside, even if links are swapped in meanwhile."""
    if folder is None:
        return files.open_file(path)
    top = os.path.realpath(folder)
    try:
        *steps, name = Path(os.path.realpath(path)).relative_to(top).parts
    except ValueError:
        raise SettingInvalid(f"{path} is not a file in {folder}.", hint=_NEAR) from None
    inside = os.open(top, _PASS)
    try:
        for step in steps:
            inside, outside = os.open(step, _PASS, dir_fd=inside), inside
            os.close(outside)
        return os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=inside)
    finally:
        os.close(inside)


def _fixed(pattern: str) -> str:
    """Return the folder that contains every file matching ``pattern``, as in ``secrets`` for ``secrets/*``."""
    steps = pattern.split("/")[:-1]
    count = next((index for index, step in enumerate(steps) if any(sign in step for sign in "*?[")), len(steps))
    return "/".join(steps[:count]) or ("/" if pattern.startswith("/") else "")


def _is_within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _is_same(path: Path, other: Path) -> bool:
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return path.samefile(other)
    except OSError:
        return False


def _without_newline(value: str) -> str:
    return value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value


def _usable(value: str, source: str) -> str:
    if not value:
        raise SettingInvalid(f"{source} is empty.", hint="Give it a value and run again.")
    # Environment bytes that are not text arrive as surrogates, which cannot be sent.
    if "\0" in value or any("\ud800" <= one <= "\udfff" for one in value):
        raise SettingInvalid(f"{source} contains a character that is not text.", hint="Use plain UTF-8 text.")
    if holds_identity(value):
        raise SettingInvalid(f"{source} contains an identity, which opens what is sealed.", hint="Name another one.")
    return value
