"""The files of a starter project.

Owns what they hold, and that none is written over a file that exists.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import schemas
from provisioner.cli import templates
from provisioner.errors import CommandInvalid
from provisioner.project import identity
from provisioner.project.folders import Folders

if TYPE_CHECKING:
    from provisioner.cli.console import Console

_SETTINGS: Final = """\
# Settings of this project. Every key is optional; a variable (PROVISIONER_LIMIT)
# is stronger than this file, and a flag (--limit) stronger still.

# Where the state is kept. It is sealed: commit it, it is the only map of what exists.
state: state/{{parent}}.json

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

_MANIFEST: Final = """\
# yaml-language-server: $schema=../schemas/manifest.v1.schema.json
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

_IGNORED: Final = """\
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

_FILES: Final = ("provisioner.yaml", "manifests/accounts.yaml", "schemas/manifest.v1.schema.json", ".gitignore")


def write(console: Console, folder: Path, kinds: Sequence[str]) -> None:
    """Write what a project needs and lacks, never over a file that exists.

    ``kinds`` are those of ready-made files to add, as in ``github`` or ``cron``.

    Raises:
        CommandInvalid: something is in the way, or the folder cannot be written.
        SettingInvalid: the identity that is there cannot be read.

    """
    files = templates.files(*kinds)
    if kinds and (folder / "provisioner.yaml").is_file():
        # It began long ago, perhaps on a machine with another identity: only what was asked for is added.
        files[".gitignore"] = _IGNORED
        _require_room(folder, files)
        kept = _write(console, folder, files)
    else:
        _require_room(folder, {**dict.fromkeys(_FILES), **files})
        kept = _begin(console, folder, files)
    for kind in kinds:
        console.talk(*templates.steps(kind, kept))


def _begin(console: Console, folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Write a starter project with ``more`` files, and return the texts of those that were there before."""
    path = Folders.of_user().identity
    recipient = identity.recipient(path) if path.exists() else identity.keygen(path)
    contents = (_SETTINGS.format(recipient=recipient), _MANIFEST, schemas.text("manifest.v1"), _IGNORED)
    files = dict(zip(_FILES, contents, strict=True))
    if any((folder / "manifests").glob("*")):
        # A project that has manifests wants no example among them: it would be created.
        del files["manifests/accounts.yaml"]
    kept = _write(console, folder, {**files, **more})
    console.talk(f"identity {path}: keep a copy of it somewhere safe, it alone opens the credentials")
    if recipient not in _text_of(folder / "provisioner.yaml"):
        console.warn(f"provisioner.yaml does not name the recipient of this identity, {recipient}.")
    step = "" if folder == Path() else f"cd {folder}, "
    console.talk(f"Next: {step}edit the manifests in manifests/, then run `provisioner plan`.")
    return kept


def _write(console: Console, folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Write each of ``files`` that is not there, and return the texts of those that are."""
    kept = {}
    for name, content in files.items():
        path = folder / name
        written = _written(path, content)
        console.talk(f"{'written' if written else 'kept   '}  {path}")
        if not written:
            kept[name] = _text_of(path)
    return kept


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
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CommandInvalid(
            f"{path} cannot be read: {error.strerror}.", hint="Ask for the right to read it."
        ) from error


def _written(path: Path, content: str) -> bool:
    """Write ``content`` to ``path`` unless something is there; tell whether it was written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return False
    except OSError as error:
        raise CommandInvalid(
            f"{path} cannot be written: {error.strerror}.", hint="Run it in a folder that is writable."
        ) from error
    return True
