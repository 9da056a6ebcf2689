"""The commands that begin a project: ``init``, ``keygen`` and ``sandbox``."""

from __future__ import annotations

import gc
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import schemas
from provisioner.cli import terminal, wiring
from provisioner.cli.wiring import Options
from provisioner.errors import CommandInvalid, ExitCode, SettingInvalid
from provisioner.model.account import MASK, Secret

if TYPE_CHECKING:
    from provisioner.sandbox import Parent

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

_PARENTS_SHOWN: Final = 10
_FILES: Final = ("provisioner.yaml", "manifests/accounts.yaml", "schemas/manifest.v1.schema.json", ".gitignore")


def keygen(options: Options) -> int:
    """Make an identity, and print its recipient on standard output."""
    path: Path = options["out"] or wiring.default_identity()
    recipient = _new_identity(path)
    terminal.talk(f"The identity is in {path}: keep it secret, and keep a copy. Its recipient:")
    terminal.data(f"{recipient}\n")
    return ExitCode.DONE


def init(options: Options) -> int:
    """Write what a project needs and has not, never over a file that exists."""
    from provisioner.cli import ready

    folder: Path = options["folder"]
    kinds = list(dict.fromkeys((*options["ci"], *options["schedule"])))
    files = ready.files(*kinds)
    if kinds and (folder / "provisioner.yaml").is_file():
        # It has begun long since, perhaps on a machine with another identity: only what was asked for is added.
        files[".gitignore"] = _IGNORED
        _require_room(folder, files)
        kept = _write(folder, files)
    else:
        _require_room(folder, {**dict.fromkeys(_FILES), **files})
        kept = _begin(folder, files)
    for kind in kinds:
        terminal.talk(*ready.steps(kind, kept))
    return ExitCode.DONE


def _begin(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Write a starter project with ``more`` files, and return the texts of those that were there before."""
    identity = wiring.default_identity()
    recipient = _known_recipient(identity) if identity.exists() else _new_identity(identity)
    contents = (_SETTINGS.format(recipient=recipient), _MANIFEST, schemas.text("manifest.v1"), _IGNORED)
    files = dict(zip(_FILES, contents, strict=True))
    if any((folder / "manifests").glob("*")):
        # A project that has manifests wants no example among them: it would be created.
        del files["manifests/accounts.yaml"]
    kept = _write(folder, {**files, **more})
    terminal.talk(f"identity {identity}: keep a copy of it somewhere safe, it alone opens the credentials")
    if recipient not in _text_of(folder / "provisioner.yaml"):
        terminal.warn(f"provisioner.yaml does not name the recipient of this identity, {recipient}.")
    step = "" if folder == Path() else f"cd {folder}, "
    terminal.talk(f"Next: {step}edit the manifests in manifests/, then run `provisioner plan`.")
    return kept


def _write(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Write each of ``files`` that is not there, and return the texts of those that are."""
    kept = {}
    for name, content in files.items():
        path = folder / name
        written = _written(path, content)
        terminal.talk(f"{'written' if written else 'kept   '}  {path}")
        if not written:
            kept[name] = _text_of(path)
    return kept


def sandbox(options: Options) -> int:
    """Serve until the process is asked to end."""
    from provisioner.sandbox import FAULT_HELP, Parent, Sandbox, Settings, parse_fault, parse_parents

    if "help" in options["faults"]:
        terminal.data(FAULT_HELP.rstrip("\n") + "\n")
        return ExitCode.DONE
    usual = Parent()
    login, key = (os.environ.get(f"OCTOPUSH_API_{each}") for each in ("LOGIN", "KEY"))
    from_environment = Parent(login or usual.api_login, Secret(key) if key else usual.api_key, limit=options["limit"])
    settings = Settings(
        port=options["port"],
        parents=parse_parents(options["parent_accounts"], limit=options["limit"]) or (from_environment,),
        latency=options["latency"],
        ledger=options["ledger"],
        faults=tuple(parse_fault(each) for each in options["faults"]),
    )
    gc.enable()
    with Sandbox(settings) as server:
        terminal.data(f"{server.url}\n")
        terminal.talk("This is a sandbox: nothing here is real. Stop it with Ctrl-C. To use it:")
        # The usual key is a word of this program; any other may be a real one.
        shown_key = MASK if key or options["parent_accounts"] else usual.api_key.reveal()
        terminal.talk(*_exports(server.url, settings.parents, shown_key))
        terminal.talk(f"Its dashboard, to list, PATCH and DELETE accounts by hand: curl {server.dashboard}")
        server.serve_forever()
    return ExitCode.DONE


def _exports(url: str, parents: Sequence[Parent], shown_key: str) -> Iterator[str]:
    """Yield the lines that lead a shell to a sandbox with ``parents``."""
    yield f"  export OCTOPUSH_API_URL={url}"
    if len(parents) > 1:
        yield "and be one of its parents, or name them in provisioner.yaml, under parents:"
    for parent in parents[:_PARENTS_SHOWN]:
        yield f"  export OCTOPUSH_API_LOGIN={shlex.quote(parent.api_login)} OCTOPUSH_API_KEY={shown_key}"
    if len(parents) > _PARENTS_SHOWN:
        yield f"  and {len(parents) - _PARENTS_SHOWN:,} more"


def _new_identity(path: Path) -> str:
    """Write a new identity to ``path``, which must not exist, and return its recipient."""
    from provisioner.cli import holding
    from provisioner.state.disk import Disk, make_folder, open_private
    from provisioner.state.sealing import new_identity

    identity, recipient = new_identity()
    content = f"# created: {holding.now()}\n# public key: {recipient}\n{identity.reveal()}\n"
    try:
        make_folder(path.parent, Disk())
        descriptor = open_private(path, os.O_WRONLY | os.O_EXCL)
    except OSError as error:
        if os.path.lexists(path):
            raise CommandInvalid(f"{path} exists and is left as it is.", hint=_there(path)) from None
        raise CommandInvalid(
            f"The identity cannot be written to {path}: {error.strerror}.", hint="Give another place with -o."
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return recipient


def _there(path: Path) -> str:
    """Return what is to be done about the file that stands where an identity was to be written."""
    another = "For another one, give another place with -o."
    try:
        return f"The recipient of the identity that is there is {_known_recipient(path)}. {another}"
    except SettingInvalid as error:
        return f"{error.message} {another}"


def _known_recipient(path: Path) -> str:
    """Return the recipient of the identity that is already there."""
    from provisioner import placeholders
    from provisioner.state.sealing import parse_identities, recipient_of

    (first, *_) = parse_identities(Secret(placeholders.read_file(path)), str(path))
    return recipient_of(first, str(path))


def _require_room(folder: Path, files: Iterable[str]) -> None:
    """Refuse what is in the way of ``files`` in ``folder``, before any of them is written."""
    hint = "Move it away, or begin the project in another folder."
    for path in (folder / name for name in files):
        for above in (folder, *(folder / each for each in path.relative_to(folder).parents)):
            if os.path.lexists(above) and not above.is_dir():
                raise CommandInvalid(f"{above} is no folder.", hint=hint)
        if os.path.lexists(path) and not path.is_file():
            raise CommandInvalid(f"{path} is no file, nor a link to one.", hint=hint)


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
