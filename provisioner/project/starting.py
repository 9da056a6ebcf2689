"""Creates a project: its settings, a manifest, an identity outside the repository, and ready-made files.

Owns the content of these files. Never replaces a file that somebody has edited.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from provisioner import files
from provisioner.errors import CommandInvalid
from provisioner.immutable import immutable
from provisioner.project import identity, templates
from provisioner.settings import USUAL_STATE
from provisioner.state.disk import PUBLIC, Disk, write_atomically
from provisioner.state.stores import repository

_SETTINGS: Final = """\
# {written_by}.
# Settings of this project. Every key is optional. A variable (PROVISIONER_LIMIT)
# overrides this file, and a flag (--limit) overrides both.

# Where the state is kept: {where}
state: {state}

# Who can open the credentials: age recipients, the public halves of identities.
recipients:
  - {recipient}

# How many sub-accounts Octopush allows you, and how many existing ones this project
# does not manage.
limit: 20
reserved: 0

# The parent's credentials come from OCTOPUSH_API_LOGIN and OCTOPUSH_API_KEY. If you
# have several parents, list each with its variables; never write a credential here.
# parents:
#   default: {{api_login: "${{env:OCTOPUSH_API_LOGIN}}", api_key: "${{env:OCTOPUSH_API_KEY}}"}}
#   acme: {{api_login: "${{env:ACME_LOGIN}}", api_key: "${{env:ACME_KEY}}", limit: 50}}
"""

_MANIFEST: Final = f"""\
# yaml-language-server: $schema=../schemas/manifest.v1.schema.json
# {templates.WRITTEN_BY}.
version: 1

# Defaults for every account.
defaults:
  company_name: Example Ltd

accounts:
  - name: paris            # your own key for the account; to rename it, add `previously: paris`
    first_name: Leonardo
    last_name: Da Vinci
    # Without a password, a strong one is generated and sealed.
  - name: rome
    first_name: Artemisia
    last_name: Gentileschi
    callbacks:
      callback_url_for_deliveries: https://hooks.example.com/octopush/deliveries
"""

_IGNORED: Final = f"""\
# {templates.WRITTEN_BY}.
# Commit the state itself; these files belong to this machine.
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

_IN_A_FILE: Final = (
    "in a file. Commit it: secrets in it are sealed, and only it knows all accounts.",
    USUAL_STATE,
)
_IN_GIT: Final = (
    "on its own git branch, which every clone and every runner can reach.",
    '"git:REMOTE/provisioner-state/{parent}.json"',
)
_MAX_BYTES: Final = 10_000_000
_FILES: Final = ("provisioner.yaml", "manifests/accounts.yaml", templates.SCHEMA, ".gitignore")


class Fate(Enum):
    """What happened to a file."""

    WRITTEN = "written"
    KEPT = "kept"
    REPLACED = "replaced"
    EDITED = "edited"
    """Not replaced, because somebody has edited it."""


@immutable
class Started:
    """The result of creating a project."""

    files: tuple[tuple[Path, Fate], ...]
    """Each file, and what happened to it."""
    recipient: str | None
    """The recipient of the identity; None if the project already existed."""
    names_recipient: bool
    """Whether the recipient is in ``provisioner.yaml``."""
    steps: tuple[str, ...]
    """What the user still has to do for the ready-made files."""
    remote: str | None
    """The git remote where the project could keep its state, but does not."""


def start(
    folder: Path, kinds: Sequence[str], identity_path: Path, environ: Mapping[str, str], *, force: bool = False
) -> Started:
    """Write the missing files of a project to ``folder``, and an identity to ``identity_path`` if there is none.

    ``kinds`` are the ready-made files to add, such as ``github`` or ``cron``; an existing
    project gets only these. With files for a CI, a new project keeps its state in git. With
    ``force``, existing ready-made files are replaced by those of this version, unless somebody
    has edited them; without ``kinds``, all that the project has.

    Raises:
        CommandInvalid: something is in the way, or the folder cannot be written.
        SettingInvalid: the existing identity cannot be read.

    """
    kinds = _chosen(folder, kinds) if force else kinds
    ready = templates.files(*kinds)
    exists = bool(kinds or force) and (folder / "provisioner.yaml").is_file()
    files = {name: templates.marked(content) for name, content in ready.items()}
    # An existing project may have the recipients of other machines.
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
    in_file = state is None or re.search(r"git:|://", state[1]) is None
    if in_git and in_file:
        where = _in_git(remote or "origin")[1]
        steps.append(
            f"Set `state: {where}` in provisioner.yaml: a state in a file is lost with its runner. Move an existing"
            " state with `provisioner state migrate --from ADDRESS`."
        )
    paths = tuple((folder / name, fate) for name, fate in fates.items())
    return Started(paths, recipient, names, tuple(steps), remote if in_file and not in_git else None)


# ── Updates from a newer version ─────────────────────────────────────────────


def differences(folder: Path, kinds: Sequence[str]) -> str:
    """Return what this version would change in the ready-made files of ``kinds``, as one unified diff.

    Without ``kinds``, in all that the project has. Leaves out files that are the same in the
    version that wrote them. Keeps what a person has filled in.

    Raises:
        CommandInvalid: the project has no ready-made files, or a file cannot be read.

    """
    from difflib import unified_diff  # rarely needed

    kinds = _chosen(folder, kinds)
    contents = templates.renewable(folder, kinds)
    if not contents:
        raise CommandInvalid(
            f"{folder} has no files from --ci or --schedule.", hint="Name a kind, as in `--ci github`."
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
    """Replace existing ready-made files, unless somebody has edited them; return what happened to each."""
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
    """Return the content of the files of a new project, by path."""
    settings = _SETTINGS.format(written_by=templates.WRITTEN_BY, recipient=recipient, where=where, state=state)
    contents = (settings, _MANIFEST, templates.marked(templates.schema()[templates.SCHEMA]), _IGNORED)
    files = dict(zip(_FILES, contents, strict=True))
    if any((folder / "manifests").glob("*")):
        # No example among existing manifests: its accounts would be created.
        del files["manifests/accounts.yaml"]
    return files


def _require_room(folder: Path, files: Iterable[str]) -> None:
    """Raise CommandInvalid if something is in the way of ``files`` in ``folder``, before any is written."""
    hint = "Move it away, or create the project in another folder."
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
        raise CommandInvalid(f"{path} cannot be read: {error.strerror}.", hint="Make it readable.") from error


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
    """Replace the file at ``path`` with ``content``, completely or not at all."""
    try:
        write_atomically(path, content.encode(), Disk(), mode=PUBLIC)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> CommandInvalid:
    return CommandInvalid(f"{path} cannot be written: {error.strerror}.", hint="Run it in a writable folder.")
