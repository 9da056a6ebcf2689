"""Begins a project: its settings, a manifest, an identity outside the repository, and ready-made files.

Owns what these files hold, and that none is written over a file that somebody has edited.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from provisioner import files
from provisioner.errors import CommandInvalid
from provisioner.project import identity, templates
from provisioner.state.disk import PUBLIC, Disk, write_atomically
from provisioner.state.stores import repository

_SETTINGS: Final = """\
# {written_by}.
# Settings of this project. Every key is optional; a variable (PROVISIONER_LIMIT)
# is stronger than this file, and a flag (--limit) stronger still.

# Where the state is kept: {where}
state: {state}

# Who can open the credentials: age recipients, the public halves of identities.
recipients:
  - {recipient}

# How many sub-accounts Octopush allows you, and how many of them exist that this
# project does not know.
limit: 20
reserved: 0

# The parent's credentials come from OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY. With
# several parents, name each, and where its credentials are; never write one here.
# parents:
#   default: {{api_login: "${{env:OCTOPUSH_API_LOGIN}}", api_key: "${{env:OCTOPUSH_API_KEY}}"}}
#   acme: {{api_login: "${{env:ACME_LOGIN}}", api_key: "${{env:ACME_KEY}}", limit: 50}}
"""

_MANIFEST: Final = f"""\
# yaml-language-server: $schema=../schemas/manifest.v1.schema.json
# {templates.WRITTEN_BY}.
version: 1

# Merged under every account.
defaults:
  company_name: Example Ltd

accounts:
  - name: paris            # our own key, by which the account is known; to change it, say the old one: previously
    first_name: Leonardo
    last_name: Da Vinci
    # Without a password, a strong one is made and sealed.
  - name: rome
    first_name: Artemisia
    last_name: Gentileschi
    callbacks:
      callback_url_for_deliveries: https://hooks.example.com/octopush/deliveries
"""

_IGNORED: Final = f"""\
# {templates.WRITTEN_BY}.
# The state itself is committed; these are this machine's alone.
*.lock
*.backup
*.rescue
.*.tmp
# Credentials in clear, as `provisioner credentials export --out` writes them.
.env
*.env
credentials*
*identity*.txt
"""

_IN_A_FILE: Final = ("in a file. It is sealed: commit it, it is the only map of what exists.", "state/{parent}.json")
_IN_GIT: Final = (
    "on a branch of its own, where every clone and every runner has it.",
    '"git:REMOTE/provisioner-state/{parent}.json"',
)
_MAX_BYTES: Final = 10_000_000
_FILES: Final = ("provisioner.yaml", "manifests/accounts.yaml", templates.SCHEMA, ".gitignore")


class Fate(Enum):
    """What became of a file."""

    WRITTEN = "written"
    KEPT = "kept"
    REPLACED = "replaced"
    EDITED = "edited"
    """It was to be replaced, and is as it was: somebody has edited it."""


@dataclass(frozen=True, slots=True)
class Started:
    """What was written."""

    files: tuple[tuple[Path, Fate], ...]
    """Each file, and what became of it."""
    recipient: str | None
    """That of the identity; None in a project that began before."""
    names_recipient: bool
    """Whether ``provisioner.yaml`` names it."""
    steps: tuple[str, ...]
    """What is left to do for the ready-made files."""
    remote: str | None
    """The remote of the repository in which the project could keep its state, and does not."""


def start(
    folder: Path, kinds: Sequence[str], identity_path: Path, environ: Mapping[str, str], *, force: bool = False
) -> Started:
    """Write what a project in ``folder`` needs and lacks, and an identity to ``identity_path`` where there is none.

    ``kinds`` are those of ready-made files to add, as in ``github`` or ``cron``; in a
    project that exists, only these are added. With those of a CI, a new project keeps its
    state in git. With ``force``, those that are there are replaced by what this version writes, unless
    somebody has edited them; without ``kinds``, all that the project has.

    Raises:
        CommandInvalid: something is in the way, or the folder cannot be written.
        SettingInvalid: the identity that is there cannot be read.

    """
    kinds = _chosen(folder, kinds) if force else kinds
    ready = templates.files(*kinds)
    exists = bool(kinds or force) and (folder / "provisioner.yaml").is_file()
    files = {name: templates.marked(content) for name, content in ready.items()}
    # One that exists began long ago, perhaps on a machine with another identity.
    files = {**files, ".gitignore": _IGNORED} if exists else files
    _require_room(folder, files if exists else {**dict.fromkeys(_FILES), **files})
    recipient = None if exists else _recipient(identity_path)
    remote = repository.first_remote(folder, environ)
    in_git = templates.is_ci(kinds)
    place = _in_git(remote or "origin") if in_git else _IN_A_FILE
    wanted = files if recipient is None else {**_starter(folder, recipient, *place), **files}
    replaced = _replaced(folder, kinds) if force else {}
    fates = {name: replaced.get(name) or _written(folder / name, content) for name, content in wanted.items()}
    fates = replaced | fates
    kept = {name: _text_of(folder / name) for name in wanted if fates[name] is not Fate.WRITTEN}
    names = recipient is None or recipient in _text_of(folder / "provisioner.yaml")
    steps = [step for kind in kinds for step in templates.steps(kind, kept)] if Fate.WRITTEN in fates.values() else []
    state = re.search(r"^state: *(.*)$", _text_of(folder / "provisioner.yaml"), re.MULTILINE)
    elsewhere = state is None or re.search(r"git:|://", state[1]) is None
    if in_git and elsewhere:
        where = _in_git(remote or "origin")[1]
        steps.append(
            f"Set `state: {where}` in provisioner.yaml: a state in a file goes with its runner. Bring one that is there"
            " over with `provisioner state migrate --from ADDRESS`."
        )
    told = tuple((folder / name, fate) for name, fate in fates.items())
    return Started(told, recipient, names, tuple(steps), remote if elsewhere and not in_git else None)


# ── What a newer version writes ──────────────────────────────────────────────


def differences(folder: Path, kinds: Sequence[str]) -> str:
    """Return what this version would change in the ready-made files of ``kinds``, as one unified diff.

    Without ``kinds``, in those that the project has. A file that the version that wrote it wrote in the
    same way is not in it. What a person has filled in stays.

    Raises:
        CommandInvalid: the project has none, or a file cannot be read.

    """
    from difflib import unified_diff  # only this needs it

    kinds = _chosen(folder, kinds)
    contents = templates.renewable(folder, kinds)
    if not contents:
        raise CommandInvalid(
            f"{folder} has none of the files that --ci and --schedule write.", hint="Name a kind, as in `--ci github`."
        )
    diff: list[str] = []
    for name, content in contents.items():
        there = _text_of(folder / name) if (folder / name).is_file() else None
        update = templates.update(there, content)
        if update.is_new:
            before = (there or "").replace("\r\n", "\n").splitlines(keepends=True)
            named = ("/dev/null" if there is None else f"a/{name}", f"b/{name}")
            diff += unified_diff(before, update.text.splitlines(keepends=True), *named)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff)


def _chosen(folder: Path, kinds: Sequence[str]) -> Sequence[str]:
    return kinds or templates.present(folder)


def _replaced(folder: Path, kinds: Sequence[str]) -> dict[str, Fate]:
    """Replace the ready-made files that are there, unless somebody has edited them; return what became of each."""
    fates: dict[str, Fate] = {}
    for name, content in templates.renewable(folder, kinds).items():
        path = folder / name
        if not path.is_file():
            continue
        update = templates.update(_text_of(path), content)
        if not update.is_new:
            fates[name] = Fate.KEPT
        elif update.is_edited or path.is_symlink():
            fates[name] = Fate.EDITED
        else:
            _write(path, update.text)
            fates[name] = Fate.REPLACED
    return fates


def _in_git(remote: str) -> tuple[str, str]:
    where, place = _IN_GIT
    return where, place.replace("REMOTE", remote)


def _recipient(path: Path) -> str:
    return identity.recipient(path) if path.exists() else identity.keygen(path)


def _starter(folder: Path, recipient: str, where: str, state: str) -> dict[str, str]:
    """Return what the files of a new project hold."""
    settings = _SETTINGS.format(written_by=templates.WRITTEN_BY, recipient=recipient, where=where, state=state)
    contents = (settings, _MANIFEST, templates.marked(templates.schema()[templates.SCHEMA]), _IGNORED)
    files = dict(zip(_FILES, contents, strict=True))
    if any((folder / "manifests").glob("*")):
        # A project that has manifests wants no example among them: it would be created.
        del files["manifests/accounts.yaml"]
    return files


def _require_room(folder: Path, files: Iterable[str]) -> None:
    """Refuse what is in the way of ``files`` in ``folder``, before any of them is written."""
    hint = "Move it away, or begin the project in another folder."
    for path in (folder / name for name in files):
        for above in (folder, *(folder / each for each in path.relative_to(folder).parents)):
            if os.path.lexists(above) and not above.is_dir():
                raise CommandInvalid(f"{above} is not a folder.", hint=hint)
        if os.path.lexists(path) and not path.is_file():
            raise CommandInvalid(f"{path} is not a file, nor a link to one.", hint=hint)


def _text_of(path: Path) -> str:
    try:
        return files.read(path, _MAX_BYTES).decode(errors="replace")
    except OSError as error:
        raise CommandInvalid(
            f"{path} cannot be read: {error.strerror}.", hint="Ask for the right to read it."
        ) from error


def _written(path: Path, content: str) -> Fate:
    """Write ``content`` to ``path`` unless something is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return Fate.KEPT
    except OSError as error:
        raise _unwritable(path, error) from error
    return Fate.WRITTEN


def _write(path: Path, content: str) -> None:
    """Put ``content`` in the place of the file that is there, wholly or not at all."""
    try:
        write_atomically(path, content.encode(), Disk(), mode=PUBLIC)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> CommandInvalid:
    return CommandInvalid(f"{path} cannot be written: {error.strerror}.", hint="Run it in a folder that is writable.")
