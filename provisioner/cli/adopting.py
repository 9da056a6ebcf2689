"""``adopt``: accounts that exist already, at Octopush, are taken over.

Owns what is asked for, and the manifest that is written for accounts that have none, once
they are in the state. Refuses to put into a manifest what may hold a token, and to write
over a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from provisioner import config, executor, placeholders
from provisioner.cli import applying, connection, holding, opening, planning, terminal, wiring
from provisioner.cli.interrupt import Interrupt
from provisioner.cli.progress import progress as progressing
from provisioner.cli.wiring import Options
from provisioner.config import Settings
from provisioner.errors import CommandInvalid
from provisioner.executor.adopt import Adopted, Row
from provisioner.manifest import logins, yaml_manifest
from provisioner.manifest.problems import errors
from provisioner.manifest.sources import YAML_SUFFIXES
from provisioner.manifest.writing import as_yaml, with_placeholders
from provisioner.model.account import DEFAULT_PARENT, Attributes, Problem
from provisioner.model.report import Result
from provisioner.render import text
from provisioner.render.lines import counted
from provisioner.state.disk import Disk, write_new
from provisioner.state.sealing import AgeSealer

_USUAL: Final = wiring.MANIFESTS / "adopted.yaml"


def adopt(options: Options) -> int:
    """Take over one account, or those of a table, and write a manifest for those that have none."""
    rows, manifests = _asked(options)
    parent, target = options["parent"], _target(options)
    desired = planning.accounts({**options, "manifests": manifests}, *_written_before(target))
    settings = wiring.settings(options)
    config.require_connection(settings)
    sealer, opener = AgeSealer(settings.recipients), opening.opener(settings)
    with holding.held(settings, parent) as session, Interrupt() as interrupt, progressing(len(rows)) as progress:
        credentials = config.credentials(settings.parent(parent), os.environ, settings.base)
        state = applying.bound(session.state, parent, credentials, settings)
        planning.warn_of_recipients(session.state, settings)
        api = connection.client(credentials, settings, progress.waiting, interrupt)
        ports = applying.ports_of(session, api, sealer, progress, interrupt)
        alone = options["table"] is None
        done = executor.adopt(
            rows, state, desired, ports, opener, alone=alone, fits=placeholders.fits, writable=_writable
        )
        if done.unwritten:
            _write(target, done.unwritten, parent)
    _remind(done, settings)
    return applying.told([done.report], options)


# ── What is asked for ────────────────────────────────────────────────────────


def _asked(options: Options) -> tuple[Sequence[Row], tuple[Path, ...]]:
    """Return the rows to adopt, and the manifests that were named."""
    words: tuple[str, ...] = options["words"]
    if options["table"] is not None:
        found = logins.read(options["table"])
        for problem in found.problems:
            terminal.talk(*text.problem(problem))
        return [(each.name, each.api_login) for each in found.require()], tuple(map(Path, words))
    try:
        name, login, *manifests = words
    except ValueError:
        raise CommandInvalid(
            "Say which account is to be adopted.",
            hint="Give its name and its login at Octopush, or a table of both with --from FILE.",
        ) from None
    if fault := logins.fault(name, login):
        raise CommandInvalid(fault[0], hint=fault[1])
    return [(name, login)], tuple(map(Path, manifests))


def _target(options: Options) -> Path:
    target: Path = options["write"] or _USUAL
    if target.suffix.lower() not in YAML_SUFFIXES:
        raise CommandInvalid(
            f"{target} is not the name of a YAML file.", hint="--write makes a manifest: end its name in .yaml."
        )
    return target


def _places(target: Path) -> Iterator[Path]:
    """Yield ``target`` and, should something be there, the names to try after it."""
    yield target
    for number in count(2):
        yield target.with_stem(f"{target.stem}-{number}")


def _written_before(target: Path) -> Iterator[Path]:
    """Yield what earlier runs have written: who is in there is in a manifest, whichever were named."""
    for place in _places(target):
        if not os.path.lexists(place):
            return
        if place.is_file():
            yield place


# ── What may stand in a manifest ─────────────────────────────────────────────


def _writable(name: str, found: Attributes) -> Attributes | Problem:
    """Return an account as a manifest may have it, or what is wrong with a manifest that has it."""
    wanted, _ = with_placeholders(name, found)
    problems = errors(yaml_manifest.read(as_yaml([(name, wanted)]).encode(), name).problems)
    return problems[0] if problems else wanted


# ── Afterwards ───────────────────────────────────────────────────────────────


def _write(target: Path, accounts: Mapping[str, Attributes], parent: str) -> None:
    """Write one manifest of ``accounts``, and say what it needs; raises CommandInvalid."""
    content = as_yaml(accounts.items(), parent=None if parent == DEFAULT_PARENT else parent).encode()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = _first_free(target, content)
    except OSError as error:
        raise CommandInvalid(
            f"The manifest cannot be written to {target}: {error.strerror or error}.",
            hint="What was adopted is in the state. Run it again, with --write and a place that is writable.",
        ) from error
    terminal.talk(f"Written to {written}: {counted(len(accounts), 'account')} that no manifest named.")
    for name, attributes in sorted(accounts.items()):
        for path, value in attributes.flat().items():
            for variable in placeholders.names(value):
                terminal.talk(
                    f"  {variable.removeprefix('env:')} stands there for {path} of {name}: before an apply changes the"
                    f" account, set it; `provisioner credentials show {name}` shows its value."
                )


def _first_free(target: Path, content: bytes) -> Path:
    for place in _places(target):
        try:
            write_new(place, content, Disk())
        except FileExistsError:
            continue
        return place
    raise AssertionError  # the places have no end


def _remind(done: Adopted, settings: Settings) -> None:
    state, parent = done.state, settings.parent(done.state.parent)
    if done.without_password:
        names = ", ".join(done.without_password)
        terminal.talk(
            f"Passwords cannot be read, so that none is kept of {names}: `provisioner rotate-password` sets one."
        )
    slots = state.slots(limit=parent.limit, reserved=parent.reserved, planned=0)
    if any(each.result is Result.ADOPTED for each in done.report.outcomes) and slots.left < 0:
        terminal.warn(
            f"{slots.used} slots are used and {slots.reserved} are reserved, of {slots.limit}: what was adopted is no"
            f" longer outside this project. Lower `reserved` to {max(0, slots.limit - slots.used)} or less."
        )
